"""Running a program while its output is timed and its memory is counted."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from .programs import Line, Started, Step

_SAMPLE_SECONDS = 0.1
_MORE = 1.003
_COUNTS = 5
_GPU_SECONDS = 0.5
_SHOWN_LINES = 15
_LONG_SECONDS = 4 * 3600.0


@dataclass
class Memory:
    """Bytes that a process and all its children hold; shared pages count once (Linux; else each time).

    ``own`` leaves out pages of files, such as a mapped checkpoint, which the system takes back when it needs them.
    """

    total: int = 0
    own: int = 0
    gpu: int = 0

    def raise_to(self, other: Memory) -> None:
        """Keep the larger of each number."""
        self.total, self.own = max(self.total, other.total), max(self.own, other.own)
        self.gpu = max(self.gpu, other.gpu)

    def exceeds(self, other: Memory) -> bool:
        """Whether ``total`` or ``own`` is clearly larger than in ``other``."""
        return self.total > _MORE * other.total or self.own > _MORE * other.own


@dataclass
class Watched:
    """What was seen of a program: when it began (seconds since the epoch), its steps, and its peak memory.

    ``processor`` has pairs of a moment and the seconds for which all processes together had kept a core busy then.
    """

    began: float
    steps: list[Step] = field(default_factory=list)
    peak: Memory = field(default_factory=Memory)
    output: list[Line] = field(default_factory=list)
    processor: list[tuple[float, float]] = field(default_factory=list)

    @property
    def first_step_seconds(self) -> float:
        """From the start of the program to the end of its first step."""
        return self.steps[0][1] - self.began

    @property
    def step_seconds(self) -> list[float]:
        """How long each step but the first took, with what came between it and the one before."""
        return [(later - sooner) / (number - before) for (before, sooner), (number, later) in pairwise(self.steps)]


    @property
    def step_processor_seconds(self) -> float:
        """For how long a core was busy with each step but the first, on average. What else runs does not lengthen it.
        """
        (before, sooner), (number, later) = self.steps[0], self.steps[-1]
        return (self._busy(later) - self._busy(sooner)) / (number - before)

    @property
    def first_step_processor_seconds(self) -> float:
        """For how long a core was busy up to the end of the first step."""
        return self._busy(self.steps[0][1])

    def _busy(self, moment: float) -> float:
        """The busy seconds at ``moment``, on the line between the two samples around it."""
        samples = [(self.began, 0.0), *self.processor]
        for (sooner, less), (later, more) in pairwise(samples):
            if later >= moment:
                return less + (more - less) * (moment - sooner) / max(later - sooner, 1e-9)
        return samples[-1][1]


def watch(program: Started, name: str, *, gpu: bool = False) -> Watched:
    """Run ``program`` to its end. Raises ``SystemExit`` with its last lines if it fails or makes no two steps."""
    watched = Watched(time.time())
    process = subprocess.Popen(program.command, cwd=program.folder, env=dict(program.environ), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=os.name != "nt")
    reader = threading.Thread(target=_read, args=(process, watched.output), daemon=True)
    reader.start()
    memory, before = TreeMemory(process.pid), gpu_bytes() if gpu else 0
    gpu_read, deadline = 0.0, time.monotonic() + _LONG_SECONDS
    try:
        while process.poll() is None:
            now = time.monotonic()
            if now > deadline:
                raise SystemExit(f"{name} was not done after {_LONG_SECONDS / 3600:.0f} hours.")
            memory.sample()
            watched.processor.append((time.time(), busy_seconds(process.pid)))
            if gpu and now - gpu_read > _GPU_SECONDS:
                memory.peak.gpu = max(memory.peak.gpu, gpu_bytes() - before)
                gpu_read = now
            time.sleep(_SAMPLE_SECONDS)
    finally:
        end_tree(process)
    reader.join(5)
    watched.steps, watched.peak = program.steps(watched.output), memory.peak
    if process.returncode or len(watched.steps) < 2 or not program.lora.is_file():
        raise SystemExit(f"{name} failed (exit status {process.returncode}, {len(watched.steps)} steps, "
                         f"{'a' if program.lora.is_file() else 'no'} LoRA file). Its last lines:\n"
                         + "\n".join(line for _, line in watched.output[-_SHOWN_LINES:]))
    return watched


class TreeMemory:
    """The memory of a process and its children.

    What counts shared pages once takes the kernel tens of milliseconds, so it is asked only where the quick numbers,
    which are never less, are higher than they were at the last time.
    """

    def __init__(self, pid: int) -> None:
        self.peak = Memory()
        self._pid = pid
        self._counted = Memory()

    def sample(self) -> None:
        """Count now."""
        processes = list(_tree(self._pid))
        quick = _quick(processes)
        if not quick.exceeds(self._counted):
            return
        for _ in range(_COUNTS):  # pages that become shared while it counts would count more than once
            exact = [proportional_bytes(process.pid) for process in processes] if sys.platform == "linux" \
                else [(quick.total, quick.own)]
            before, quick = quick, _quick(processes)
            if not quick.exceeds(before):
                break
        self._counted.raise_to(before)
        self.peak.raise_to(Memory(sum(total for total, _ in exact), sum(own for _, own in exact)))


def _quick(processes: list[psutil.Process]) -> Memory:
    sizes = [quick_bytes(process) for process in processes]
    return Memory(sum(total for total, _ in sizes), sum(own for _, own in sizes))


def quick_bytes(process: psutil.Process) -> tuple[int, int]:
    """The resident memory of a process, in all and without pages of files; zeros if it has ended."""
    with contextlib.suppress(psutil.Error, OSError):
        if sys.platform != "linux":
            return int(process.memory_info().rss), int(process.memory_info().rss)
        status = Path(f"/proc/{process.pid}/status").read_text()
        found = {name: int(size) * 1024 for name, size in re.findall(r"^(Rss\w+):\s+(\d+) kB", status, re.MULTILINE)}
        return sum(found.values()), sum(found.values()) - found.get("RssFile", 0)
    return 0, 0


def busy_seconds(pid: int) -> float:
    """For how long a process and its children, those that have ended too, have kept a core busy."""
    seconds = 0.0
    for process in _tree(pid):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def proportional_bytes(pid: int) -> tuple[int, int]:
    """The proportional set size of a process, in all and without pages of files; zeros if it has ended (Linux)."""
    with contextlib.suppress(OSError):
        found = dict(re.findall(r"^(Pss\w*):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
        total = int(found.get("Pss", 0)) * 1024
        return total, total - int(found.get("Pss_File", 0)) * 1024
    return 0, 0


def gpu_bytes() -> int:
    """The memory in use on the first GPU, by all programs; 0 without nvidia-smi."""
    if shutil.which("nvidia-smi") is None:
        return 0
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    printed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return int(printed) * 2 ** 20 if printed.isdigit() else 0


def end_tree(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and its children, if they have not ended, and wait for it."""
    for one in list(_tree(process.pid)) if process.poll() is None else []:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()


def _tree(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        yield from (root, *root.children(recursive=True))


def _read(process: subprocess.Popen[bytes], lines: list[Line]) -> None:
    """Put each line of output, also those that a carriage return ends, into ``lines`` with its time."""
    assert process.stdout is not None
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    while chunk := os.read(process.stdout.fileno(), 65536):
        *whole, rest = re.split(r"[\r\n]+", rest + decoder.decode(chunk))
        now = time.time()
        lines += [(now, line) for line in whole if line.strip()]
        if _is_bar(rest):
            lines.append((now, rest))
    if rest.strip():
        lines.append((time.time(), rest))


def _is_bar(text: str) -> bool:
    """Whether ``text`` is a whole bar of tqdm, which ends its lines only before the next one."""
    return text.endswith("]")
