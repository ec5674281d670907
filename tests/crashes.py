"""Crashes at every file operation in turn, by Python's audit events: in this process, or as real kills of a child."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lib_lora_train.errors import TrainLoraError

_CHANGES = {"os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
_OF_REQUESTS = "AnyIO worker thread"
"""The threads that answer the requests of a test client; they stay from one request to the next."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killed(BaseException):
    """The program is dead: no file can be changed any more, not even by clean-up code."""


class _Watch:
    """Calls ``act`` with the number of each file operation, from 1, and the path that it is about to write, if any.

    Opening a file to write counts twice: before it, and inside of the write that follows. ``others`` are the threads
    that were at work before: what they write, in the background of an earlier test, does not count.
    """

    def __init__(self) -> None:
        self.act: Callable[[int, str | None], None] | None = None
        self.count = 0
        self.others: frozenset[threading.Thread] = frozenset()
        self.name: str | None = None  # of what the operation is about, as the system's own error would have it

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.act is None or threading.current_thread() in self.others:
            return
        self.name = os.fspath(arguments[0]) if arguments and isinstance(arguments[0], (str, os.PathLike)) else None
        if self.name is not None and "__pycache__" in self.name:
            return  # bytecode of a module that is imported here for the first time
        if event in _CHANGES:
            self._next(None)
        elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES \
                and isinstance(arguments[0], (str, os.PathLike)):
            self._next(None)
            self._next(os.fspath(arguments[0]))

    def _next(self, path: str | None) -> None:
        self.count += 1
        assert self.act is not None
        self.act(self.count, path)


_watch = _Watch()
kills: list[int] = []
"""The signals that ended children, one after the other."""
_installed: list[bool] = []


@contextlib.contextmanager
def _watched(act: Callable[[int, str | None], None]) -> Iterator[None]:
    if not _installed:
        sys.addaudithook(_watch)
        _installed.append(True)
    _watch.others = frozenset(thread for thread in threading.enumerate() if not thread.name.startswith(_OF_REQUESTS)
                              ) - {threading.current_thread()}
    _watch.act, _watch.count = act, 0
    try:
        yield
    finally:
        _watch.act = None


@contextlib.contextmanager
def killed_here(at: int) -> Iterator[None]:
    """In this process: from operation ``at`` on nothing is written any more, and ``Killed`` is raised."""
    def act(number: int, path: str | None) -> None:
        if number == at and path is not None:
            _write_a_part(path)
        if number >= at:
            raise Killed

    with _watched(act):
        yield


@contextlib.contextmanager
def failing(at: int, how_often: int = 1, code: int = errno.ENOSPC) -> Iterator[None]:
    """In this process: ``how_often`` operations from ``at`` on fail with ``OSError``."""
    def act(number: int, path: str | None) -> None:
        if at <= number < at + how_often:
            raise OSError(code, os.strerror(code), _watch.name)

    with _watched(act):
        yield


@contextlib.contextmanager
def cut_off(at: int, written: int) -> Iterator[None]:
    """In this process: from operation ``at`` on, a write fails (EFBIG) behind a file's first ``written`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def act(number: int, path: str | None) -> None:
        if number == at:
            resource.setrlimit(resource.RLIMIT_FSIZE, (written, before[1]))

    with _watched(act):
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused_in_turn(act: Callable[[], object], prepare: Callable[[], object],
                    check: Callable[[str | None, int], object],
                    codes: Sequence[int] = (errno.ENOSPC,), share: Callable[[int], bool] = lambda at: True) -> int:
    """``act``, each time after ``prepare``, with one of its file operations refused, each in turn; how often it raised.

    ``check`` is given the sentence that ``act`` raised as a ``TrainLoraError``, ``None`` if it raised nothing, and the
    number of the operation. ``share`` chooses among the operations.
    """
    refused = 0
    for code in codes:
        at = 0
        while True:
            at += 1
            if not share(at):
                continue
            prepare()
            sentence = None
            try:
                with failing(at, 1, code):
                    act()
            except TrainLoraError as problem:
                sentence, refused = str(problem), refused + 1
                assert "[Errno" not in sentence and ".tmp" not in sentence, (at, sentence)
            seen = operations_seen()
            check(sentence, at)
            if seen < at:
                break
    return refused


def operations_seen() -> int:
    """How many file operations the last of these blocks has seen."""
    return _watch.count


def _write_a_part(path: str) -> None:
    """What a kill in the middle of a write leaves. Names in an open folder are skipped, and so are locks."""
    act, _watch.act = _watch.act, None
    if Path(path).is_absolute() and not path.endswith("lock"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT)
            os.write(handle, b'{"half')
            os.close(handle)
    _watch.act = act


def killed_at(number: int, act: Callable[[], object]) -> bool:
    """A child does ``act`` and is killed, as by ``kill -9``, at its file operation ``number``; whether it came to that.
    """
    def die(count: int, path: str | None) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return _in_child(die, act) == signal.SIGKILL


def killed_inside(number: int, written: int, act: Callable[[], object]) -> bool:
    """A child does ``act`` and is killed by the system once a file it writes has ``written`` bytes.

    That holds from its file operation ``number`` on; whether it came to that.
    """
    def limit(count: int, path: str | None) -> None:
        if count == number:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (written, resource.RLIM_INFINITY))

    return _in_child(limit, act) == signal.SIGXFSZ


def _in_child(watch: Callable[[int, str | None], None], act: Callable[[], object]) -> int:
    """The signal that ended the child, 0 if none did."""
    child = os.fork()
    if not child:
        gc.disable()  # it would touch, and so copy, all the memory of this process
        code = 1
        try:
            with _watched(watch):
                act()
            code = 0
        except BaseException:  # noqa: BLE001  # the child ends here in any case
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        kills.append(os.WTERMSIG(status))
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
