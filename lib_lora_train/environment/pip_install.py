"""Running pip: only wheels, only files with a known hash, and never outliving the parent process."""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import WorkerEnvironmentError
from .folders import log_file
from .hashes import HASHES_FILE, WHEELS_FOLDER, hashed_requirements

Progress = Callable[[str], None]


class NotOfferedError(WorkerEnvironmentError):
    """pip's index has no file for a pin, or only one with another hash."""


WITH_PARENT = Path(__file__).with_name("with_parent.py")

_KEPT_LINES = 400
_COLLECTING = re.compile(r"^(?:Collecting|Processing) (?:\S*[/\\])?(\S+)")
_FILE_ENDING = re.compile(r"(-[^-]+-[^-]+-[^-]+\.whl|\.tar\.gz|\.zip)$")
_DOWNLOADING = re.compile(r"^\s*Downloading \S+ \(([\d.]+ \wB)\)")
_SECRETS = re.compile(r"//[^/@\s]+@")
_NOT_FOUND = "No matching distribution found"
_NOT_REACHED = re.compile(r"Retrying \(|Could not fetch URL|connection (?:error|broken)|Errno", re.IGNORECASE)
_MISMATCH = "DO NOT MATCH THE HASHES"
_WRONG_FILE = re.compile(r"^(\S+==\S+) .*?([^/\\\s]+\.(?:whl|tar\.gz|zip))")
_EXPECTED = re.compile(r"^Expected (?:sha256|\s*or) +([0-9a-f]{64})$")
_GOT = re.compile(r"^Got +([0-9a-f]{64})$")


def install_pins(python: str, pins: Sequence[str], progress: Progress, target: Path | None = None) -> None:
    """Install exactly ``pins``, without their dependencies, into ``target`` or into the Python ``python`` itself.

    ``progress`` gets a sentence for each package; pip's output goes to the log file. Raises ``WorkerEnvironmentError``
    with pip's last lines on failure, and with file and hashes if a hash does not match.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(hashed_requirements(pins), encoding="utf-8")
        command = ["install", "--progress-bar", "off", "--no-input", "--disable-pip-version-check", "--no-deps",
                   "--only-binary", ":all:", "--require-hashes", "--find-links", str(WHEELS_FOLDER), "-r", str(wanted)]
        if target is not None:
            command += ["--no-compile", "--target", str(target)]
        index = os.environ.get("INDEX_URL")  # the webui's own setting for pip
        if index:
            command += ["--index-url", index]
        _run(python, command, progress, len(pins))


def start_with_parent(python: str, module: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start ``python -m module`` so that it ends with this process; stdout and stderr are one text stream.

    Its standard input has to stay open until it is done.
    """
    return subprocess.Popen([python, str(WITH_PARENT), module, *arguments], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
                            errors="replace", env=_environ(), start_new_session=True)


def _run(python: str, arguments: Sequence[str], progress: Progress, count: int) -> None:
    last_words: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    with log_file().open("w", encoding="utf-8") as log_stream:
        log_stream.write(f"$ {python} -m pip {_SECRETS.sub('//***@', ' '.join(arguments))}\n")
        process = start_with_parent(python, "pip", arguments)
        try:
            for sentence in _sentences(_kept(process, log_stream.write, last_words), count):
                progress(sentence)
            code = process.wait()
        finally:
            end(process)
    if code != 0:
        wrong = _wrong_hash(last_words)
        kind = NotOfferedError if wrong or _is_not_offered(last_words) else WorkerEnvironmentError
        raise kind(wrong or f"pip ended with code {code}: {_gist(last_words)}")


def end(process: subprocess.Popen[str]) -> None:
    """End a process of ``start_with_parent`` if it is still running, and close its pipes."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()  # closing its input ends it
    process.wait()


def _environ() -> dict[str, str]:
    """Return the environment for pip: the user's pip settings, except those that would install elsewhere."""
    settings = {name: value for name, value in os.environ.items()
                if name not in ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "PIP_NO_BINARY", "PIP_REQUIREMENT")}
    return {**settings, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def _kept(process: subprocess.Popen[str], write: Callable[[str], int],
          last_words: collections.deque[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        write(line)
        last_words.append(line.strip())
        yield line.rstrip()


def _sentences(lines: Iterator[str], count: int) -> Iterator[str]:
    """Turn pip's output into sentences with the number of the current package."""
    number, package = 0, ""
    for line in lines:
        collecting, downloading = _COLLECTING.match(line), _DOWNLOADING.match(line)
        if collecting:
            number += 1
            package = f"{number} of {count}: {_FILE_ENDING.sub('', collecting[1])}"
            yield package
        elif downloading:
            yield f"{package}, downloading {downloading[1]}"
        elif line.startswith("Installing collected"):
            yield "Unpacking."


def _wrong_hash(last_words: Sequence[str]) -> str | None:
    """Return the message for a file with an unlisted hash, from pip's output; ``None`` if pip failed otherwise."""
    begin = next((place for place, line in enumerate(last_words) if _MISMATCH in line), None)
    if begin is None:
        return None
    lines = list(last_words)[begin:]
    files = [match for line in lines if (match := _WRONG_FILE.match(line))]
    got = [match[1] for line in lines if (match := _GOT.match(line))]
    expected = [match[1] for line in lines if (match := _EXPECTED.match(line))]
    what = f"{files[0][2]} ({files[0][1]})" if files else "A downloaded file"
    listed = expected[0] if len(expected) == 1 else f"one of the {len(expected)} in {HASHES_FILE}"
    return (f"{what} is not the file that was checked for this version of the extension, so it was not installed: its "
            f"SHA-256 should be {listed} and is {got[0] if got else 'another'}. Perhaps the download was damaged or a "
            "mirror has another file. Clear pip's cache (pip cache purge) and try again, or set another index")


def _is_not_offered(last_words: Sequence[str]) -> bool:
    """Whether pip searched and found nothing; without a network or with a full disk it never searched."""
    return any(_NOT_FOUND in line for line in last_words) and not any(_NOT_REACHED.search(line) for line in last_words)


def _gist(last_words: Sequence[str]) -> str:
    errors = [line for line in last_words if line.lower().startswith(("error", "fatal", "/"))]
    chosen = (errors or [line for line in last_words if line])[-2:]
    return " ".join(chosen) or f"It said nothing (Python {sys.version.split()[0]})."
