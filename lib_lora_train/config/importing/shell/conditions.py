"""Evaluates conditions that depend only on the script's own variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from .dialect import POWERSHELL, Dialect
from .variables import Text, Variables
from .words import Word

_SAME: dict[str, bool] = {"==": True, "=": True, "-eq": True, "!=": False, "-ne": False, "-ceq": True, "-cne": False}
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "-gt": lambda one, other: one > other, "-lt": lambda one, other: one < other,
    "-ge": lambda one, other: one >= other, "-le": lambda one, other: one <= other}
_BRACKETS = frozenset(("[", "]", "[[", "]]", "test"))
_FALSE_WORDS = frozenset(("", "0", "false"))


def holds(words: Sequence[Word], variables: Variables, dialect: Dialect) -> bool | None:
    """Whether the condition after ``if`` holds; ``None`` if it cannot be determined."""
    kept = [word for word in words if not (len(word.parts) == 1 and word.plain in _BRACKETS)]
    texts = [variables.expand(_bare(word)) for word in kept]
    flat = [_joined(one) for one in texts]
    if any(one.unset for one in flat):
        return None
    patterns = [not word.quoted and "*" in word.plain for word in kept]
    return _any_of(list(zip((one.text for one in flat), patterns, strict=True)), dialect)


Token = tuple[str, bool]
"""A word, and whether it is a wildcard pattern."""


def _any_of(tokens: Sequence[Token], dialect: Dialect) -> bool | None:
    """Parts joined by or; each is parts joined by and."""
    found = [_all_of(part, dialect) for part in _split(tokens, ("||", "-or", "-o"))]
    return True if True in found else None if None in found else False


def _all_of(tokens: Sequence[Token], dialect: Dialect) -> bool | None:
    found = [_one(part, dialect) for part in _split(tokens, ("&&", "-and", "-a"))]
    return False if False in found else None if None in found else True


def _split(tokens: Sequence[Token], signs: Sequence[str]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token[0].lower() in signs:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _one(tokens: Sequence[Token], dialect: Dialect) -> bool | None:
    if tokens and tokens[0][0] in ("!", "-not"):
        inner = _decided(tokens[1:], dialect)
        return None if inner is None else not inner
    return _decided(tokens, dialect)


def _decided(tokens: Sequence[Token], dialect: Dialect) -> bool | None:
    texts = [text for text, _ in tokens]
    if len(texts) == 1:
        if texts[0].startswith("!"):
            return None
        return texts[0].lower() not in _FALSE_WORDS if dialect is POWERSHELL else bool(texts[0])
    if len(texts) == 2 and texts[0] in ("-n", "-z"):
        return bool(texts[1]) == (texts[0] == "-n")
    if len(texts) != 3:
        return None
    left, sign, right = texts
    if sign in _SAME:
        same = fnmatchcase(left, right) if tokens[2][1] else _equal(left, right, dialect)
        return same == _SAME[sign]
    if sign in _ORDERS:
        try:
            return _ORDERS[sign](float(left), float(right))
        except ValueError:
            return None
    return None


def _equal(left: str, right: str, dialect: Dialect) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return left.lower() == right.lower() if dialect is POWERSHELL else left == right


def _joined(texts: Sequence[Text]) -> Text:
    return Text(" ".join(one.text for one in texts), tuple(name for one in texts for name in one.unset))


def _bare(word: Word) -> Word:
    """The word without the surrounding brackets of a PowerShell condition."""
    parts = [(kind, text) for kind, text in word.parts]
    if parts and parts[0][0] == "text":
        parts[0] = ("text", parts[0][1].lstrip("("))
    if parts and parts[-1][0] == "text":
        parts[-1] = ("text", parts[-1][1].rstrip(")"))
    return Word([part for part in parts if part != ("text", "")] or [("text", "")], word.quoted)
