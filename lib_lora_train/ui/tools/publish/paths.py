"""Finding the folders of this machine in texts, and cutting each path to its last part.

A path is found in two ways: by folders that are known to be private (``PrivateFolders``), in whatever way they are
written, and by how paths begin. Where it ends inside a sentence is a guess, which rather takes out too much.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import quote

_MOST_WORDS = 7
_LONGEST_NAME, _LONGEST_PATH = 255, 4096
_FILES = ("safetensors|ckpt|pth?|bin|onnx|npz|png|jpe?g|webp|avif|gif|bmp|txt|caption|tags|csv|log|md|jsonl?|ya?ml|"
          "toml|zip|py|bat|sh|exe")
_BELOW = r"(?:[\\/]|%2[Ff]|%5[Cc])+"
"""What stands between two folders: slashes, backslashes (doubled in JSON), and both as an address writes them."""
_FIRST_BELOW = rf"(?<![\\/])(?<!%2[Ff])(?<!%5[Cc]){_BELOW}"
_COLON = r"(?::|%3[Aa])"
_AT_HOME = r"(?:home|users|root|mnt|media|volumes|cygdrive|workspace|kaggle|srv|var|opt|usr|tmp)"
"""Folders at the top of Unix and Windows below which the folders of users are."""
_VARIABLE = r"(?:\$env:\w+|\$\{?(?:(?-i:[A-Z_][A-Z\d_]+)|home)\}?|%~?[a-z]\w*(?:\(x86\))?%)"
_WEB = re.compile(r"\bhttps?:[\\/]+[^\s\"'<>`]*", re.IGNORECASE)
_START = re.compile(
    rf"\b(?!https?:)[a-z][a-z\d+.-]{{1,20}}:/{_BELOW}|\bfile:{_BELOW}"               # file:///home, smb://nas/share
    rf"|(?:(?<!\\)\\{{2,}}[?.]|(?<!/)//[?.]|\\\?\?){_BELOW}(?:UNC{_BELOW})?"          # \\?\C:\, \\?\UNC\nas
    rf"|(?:(?<=-[a-z])|(?<![a-z]))[a-z]{_COLON}{_BELOW}"                              # C:\ and -IC:\
    r"|(?<=[a-z])[a-z]:\\+(?=[^\\/()\[\]\s\"'][^\\/\r\n\"]*[\\/])"                    # seeC:\sets\x
    rf"|(?<!\\)\\{{2,}}(?=[\w.$%][^\\/:*?\"<>|\r\n]*{_BELOW})"                        # \\nas\share
    rf"|{_VARIABLE}{_BELOW}"                                                          # $HOME/, %USERPROFILE%\
    rf"|(?<![\w.~])~[\w.-]*{_BELOW}"                                                  # ~/, ~ann/
    rf"|(?<![\w.])\.{{1,2}}{_BELOW}(?=[\w.])"                                         # ../sets
    rf"|{_FIRST_BELOW}(?={_AT_HOME}{_BELOW}[^\s\\/])"                                 # stuck to a word: at/home/ann
    r"|(?:(?<=-[a-z])|(?<![\w.~/<>)\]\\-]))(?!(?<=:)//)/+(?=[\w.@$#%~+-][^\s/\"'<>|,;:()]*/)"  # /any/folder
    r"|(?<![\w%])%2f(?=\w)",
    re.IGNORECASE)
_SEPARATOR = re.compile(_BELOW)
_ENDS_A_FILE = re.compile(rf"\.(?:{_FILES})[\])}}'.,;:!?]*$", re.IGNORECASE)
_ALONE = re.compile(r"[^\r\n,;|<>]*")
_CAN_PRECEDE = re.compile(r"[\s\"'`(\[,;=:|<>]|[^\w\\/](?![\\/])")
"""What stands before the next path, not before a separator of this one."""
_NEVER_IN_A_PATH = re.compile(r"[\r\n\"<>|*`]|(?<!\w)'|'(?!\w)")
_CLOSING = {mark: re.compile(rf"{mark}(?!\w)|[\r\n]") for mark in "\"'`"}


@dataclass(frozen=True)
class PrivateFolders:
    """Folders that are known to be private: home, the webui's data, runs, datasets. ``pattern`` finds them in texts."""

    pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, folders: Iterable[str | Path]) -> PrivateFolders:
        """Those of ``folders`` that are absolute and below a drive or the root; the others say nothing."""
        ways = sorted({way for folder in folders if (way := _way(str(folder)))}, key=len, reverse=True)
        return cls(re.compile(rf"(?:{'|'.join(ways)})(?!\w|[.-]\w)", re.IGNORECASE) if ways else None)

    def cut(self, text: str) -> str:
        """``text`` without these folders; one that stands alone becomes "…"."""
        return _cut(text, self.pattern, known=True) if self.pattern is not None else text


NONE_KNOWN = PrivateFolders()


def without_paths(text: str, known: PrivateFolders = NONE_KNOWN) -> str:
    """Return ``text`` with every path shortened to its last part, and without the folders of ``known``."""
    text = known.cut(text)
    alone = text.strip().rstrip("/\\")
    if (start := _START.match(alone)) and _ALONE.fullmatch(alone):
        return alone[_last_separator(alone, start.end(), len(alone)):].strip()
    return _cut(text, _START, known=False)


def _way(folder: str) -> str:
    """A pattern for ``folder`` in every way to write it; empty if it is no absolute path below a drive or the root."""
    windows, posix = PureWindowsPath(folder), PurePosixPath(folder)
    if windows.drive.endswith(":") and windows.root:
        drive, parts = re.escape(windows.drive[0]), windows.parts[1:]
        start = rf"(?:(?<![^\W_]){drive}{_COLON}|{_FIRST_BELOW}(?:(?:mnt|cygdrive){_BELOW})?{drive}){_BELOW}"
    elif windows.drive and windows.root:
        parts = (*re.findall(r"[^\\/]+", windows.drive), *windows.parts[1:])
        start = _FIRST_BELOW
    elif posix.is_absolute():
        parts = posix.parts[1:]
        start = _FIRST_BELOW if len(parts) > 1 else rf"(?<![\w.]){_FIRST_BELOW}"
    else:
        return ""
    return start + _BELOW.join(map(any_writing, parts)) if parts else ""


def any_writing(name: str) -> str:
    """A pattern for ``name`` as it is, as an address and JSON write it, and with its accents composed or not."""
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")} | {name}
    ways = {way for form in forms for way in (form, quote(form), quote(form, safe=""), json.dumps(form)[1:-1],
                                              form.replace(" ", "_"))}
    return f"(?:{'|'.join(map(re.escape, sorted(ways, key=len, reverse=True)))})"


def _cut(text: str, start: re.Pattern[str], *, known: bool) -> str:
    """``text`` without the folders of the paths that begin where ``start`` matches."""
    begins = list(start.finditer(text) if known else _starts(text))
    kept, done = list[str](), 0
    for number, found in enumerate(begins):
        if found.start() < done:
            continue
        following = next((later.start() for later in begins[number + 1:number + 9] if later.start() >= found.end()
                          and _CAN_PRECEDE.match(text, later.start() - 1)), len(text))
        end = found.end() if known and not _SEPARATOR.match(text, found.end()) else _end(text, found, following)
        kept.append(text[done:found.start()])
        if known and not _has_more(text, end):
            kept.append("…")
        done = end
    return "".join([*kept, text[done:]])


def _starts(text: str) -> Iterator[re.Match[str]]:
    """Where paths begin; inside an address of the web only behind a ``=``, as in ``file=/home/me``."""
    addresses = [found.span() for found in _WEB.finditer(text)]
    place = 0
    for found in _START.finditer(text):
        while place < len(addresses) and addresses[place][1] <= found.start():
            place += 1
        inside = place < len(addresses) and addresses[place][0] <= found.start()
        if not inside or text[found.start() - 1:found.start()] == "=":
            yield found


def _end(text: str, found: re.Match[str], following: int) -> int:
    """Behind the last separator of the path that begins with ``found``, at most at ``following``."""
    opened = text[found.start() - 1:found.start()]
    if opened in _CLOSING and (closing := _closing(text, opened, found.end())) >= 0:
        return _last_separator(text, found.end(), min(closing, following))
    never = _NEVER_IN_A_PATH.search(text, found.end(), following)
    limit = never.start() if never else following
    at = found.end()
    while separator := _SEPARATOR.search(text, at, min(limit, at + _LONGEST_NAME)):
        words = text[at:separator.start()].split()
        if len(words) > _MOST_WORDS or any(map(_ENDS_A_FILE.search, words[:-1])):
            break
        at = separator.end()
    return at


def _closing(text: str, opened: str, start: int) -> int:
    """Where the quotation mark ``opened`` closes on this line, before the backslashes of JSON; -1 if it does not."""
    found = _CLOSING[opened].search(text, start, start + _LONGEST_PATH)
    if found is None or found[0] != opened:
        return -1
    end = found.start()
    while end > start and text[end - 1] == "\\":
        end -= 1
    return end


def _last_separator(text: str, start: int, end: int) -> int:
    """Behind the last separator between ``start`` and ``end``, or ``start``."""
    return max((found.end() for found in _SEPARATOR.finditer(text, start, end)), default=start)


def _has_more(text: str, end: int) -> bool:
    """Whether the path has a part after the separator before ``end``."""
    return bool(re.search(r"(?:[\\/]|%2f|%5c)$", text[end - 3:end], re.IGNORECASE)) and \
        bool(re.match(r"[^\s\"'`,;<>|)]", text[end:end + 1]))
