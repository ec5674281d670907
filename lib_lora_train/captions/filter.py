"""The caption editor's filter language: parses text into a tree; errors carry the position.

    red boots AND NOT (solo OR *hair)        tags; AND, OR, NOT in capitals; a comma is AND; * and ? are wildcards
    "saber (fate)"                           a literal tag, whatever characters it has
    text:"sitting on"   nocaption   prose    the caption's text, no caption, sentences instead of tags
    size<512  width>=768  height=512  ratio>1.5  tags<5  tokens>75  chars!=0  weight<1  repeats=0
    mask   nomask                            the image has a mask file, or none
    bucket:512x768   folder:saber   name:IMG   path:"set 2/IMG"   name:IMG*

``size`` is the shorter side, ``ratio`` width by height; ``tags``, ``tokens`` and ``chars`` are the caption's counts,
``weight`` and ``repeats`` the image's own.
``folder``, ``name`` and ``path`` match any part, or the whole if they have a wildcard. taggui's syntax is accepted:
``tag:``, ``caption:``, a colon before the comparison (``tags:>5``), ``==``, single quotes after a colon.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import DatasetError

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, "=": operator.eq, ">": operator.gt, "<": operator.lt}
_EXAMPLES = {"size": "512", "width": "768", "height": "768", "ratio": "1.5", "tags": "10", "tokens": "75",
             "chars": "200", "weight": "1", "repeats": "1"}
FIELDS = ("text", "caption", "tag", "folder", "name", "path", "bucket")
_TOKEN = re.compile(rf"""
    (?P<space>\s+) | (?P<comma>,) | (?P<open>\() | (?P<close>\))
  | (?P<field>(?i:{"|".join(FIELDS)}):)
  | (?P<number>(?i:{"|".join(_EXAMPLES)})\s*(?::\s*(?:>=|<=|!=|==|[=<>])|>=|<=|!=|==|[=:<>]))
  | (?P<quoted>"(?:\\.|[^"\\])*" | (?<=:)'(?:\\.|[^'\\])*')
  | (?P<word>(?:\\.|[^\s,()"\\]|(?<=[^\s,()])"|\\$)+)
  | (?P<other>.)""", re.VERBOSE | re.DOTALL)
_SIZE = re.compile(r"(\d{1,6})\s*[x×]\s*(\d{1,6})", re.IGNORECASE)
_UNKNOWN_FIELD = re.compile(r"(?:^|\s)([a-z]{2,})\s*(:?(?:[<>]=?|!=|==?)\s*[\d.]+$|:(?=\S))", re.IGNORECASE)
_LIKE_A_FIELD = 0.75
_OPERATORS = ("AND", "OR", "NOT")
MOST_CHARACTERS = 20_000
MOST_DEPTH = 50


class FilterError(DatasetError):
    """A syntax error in the filter, at the characters ``start`` to ``end`` of its text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        self.start, self.end = start, max(end, start + 1)
        super().__init__(message)


@dataclass(frozen=True)
class TagIs:
    """The caption has the tag, with wildcards unless ``exact``; ``start`` and ``end`` are its place in the filter."""

    pattern: str
    exact: bool = False
    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Contains:
    """The caption's text, or the image's ``folder``, ``name`` or ``path``, matches."""

    field: str
    pattern: str


@dataclass(frozen=True)
class NoCaption:
    """The caption is missing or empty."""


@dataclass(frozen=True)
class Prose:
    """The caption is prose."""


@dataclass(frozen=True)
class HasMask:
    """The image has a mask; ``start`` and ``end`` are the word's place in the filter."""

    start: int = field(default=0, compare=False)
    end: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Compare:
    """A measure of the image compared with ``value``."""

    field: str
    sign: str
    value: float

    def holds(self, found: float) -> bool:
        """Whether ``found`` fulfils the comparison."""
        return _COMPARISONS[self.sign](found, self.value)


@dataclass(frozen=True)
class InBucket:
    """The image falls into the bucket of this size."""

    width: int
    height: int


@dataclass(frozen=True)
class Not:
    """Everything that does not match ``inner``."""

    inner: Filter


@dataclass(frozen=True)
class And:
    """Everything that matches all ``parts``."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    """Everything that matches at least one of ``parts``."""

    parts: tuple[Filter, ...]


Filter = TagIs | Contains | NoCaption | Prose | HasMask | Compare | InBucket | Not | And | Or


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def parse(text: str) -> Filter | None:
    """The tree of a filter, or ``None`` if it is blank. Raises ``FilterError``."""
    if len(text) > MOST_CHARACTERS:
        raise FilterError(f"The filter has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read. Shorten it.",
                          MOST_CHARACTERS, len(text))
    tokens = [_Token(str(found.lastgroup), found[0], found.start(), found.end()) for found in _TOKEN.finditer(text)]
    parser = _Parser(tokens)
    if parser.peek() is None:
        return None
    tree = parser.either()
    rest = parser.peek()
    if rest is not None:
        raise FilterError("This closing bracket has no opening one." if rest.kind == "close" else
                          "AND or OR is missing before this.", rest.start, rest.end)
    return tree


class _Parser:
    """Recursive descent with one method for each level of precedence: OR, AND, NOT, a single condition."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def peek(self) -> _Token | None:
        """The next token that is not blank."""
        while self._place < len(self._tokens) and self._tokens[self._place].kind == "space":
            self._place += 1
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def either(self) -> Filter:
        """Conditions joined by OR."""
        parts = [self._all()]
        while self._take("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Filter:
        parts = [self._one()]
        while self._take("AND") or self._take(","):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Filter:
        negated = False
        while self._take("NOT"):  # a loop instead of recursion, since there may be thousands in a row
            negated = not negated
        condition = self._condition()
        return Not(condition) if negated else condition

    def _condition(self) -> Filter:
        token = self.peek()
        if token is None:
            raise FilterError(f"Something is missing after {self._last().text}." if self._place else
                              "The filter is empty.", *self._end())
        if token.kind == "open":
            return self._group(token)
        if token.kind == "close" or token.text in _OPERATORS or token.kind == "comma":
            raise FilterError(f"A tag or a condition is missing before {token.text}.", token.start, token.end)
        if token.kind == "field":
            return self._field(token)
        if token.kind == "number":
            return self._compare(token)
        return self._tag(token)

    def _group(self, opening: _Token) -> Filter:
        self._place += 1
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise FilterError(f"More than {MOST_DEPTH} brackets are open here. Use fewer.", opening.start, opening.end)
        inner = self.either()
        self._depth -= 1
        closing = self.peek()
        if closing is None:
            raise FilterError("This bracket is never closed.", opening.start, opening.end)
        if closing.kind != "close":
            raise FilterError("AND or OR is missing before this.", closing.start, closing.end)
        self._place += 1
        return inner

    def _field(self, token: _Token) -> Filter:
        self._place += 1
        name = token.text[:-1].lower()
        value = self._value()
        if name == "bucket":
            size = _SIZE.fullmatch(value)
            if size is None:
                raise FilterError("bucket takes a size, such as bucket:512x768.", token.start, self._last().end)
            return InBucket(int(size[1]), int(size[2]))
        if not value:
            raise FilterError(f'{name} takes words, such as {name}:"…".', token.start, self._last().end)
        if name == "tag":
            return TagIs(value, start=token.start, end=self._last().end)
        return Contains("text" if name == "caption" else name, value)

    def _compare(self, token: _Token) -> Filter:
        self._place += 1
        found = re.fullmatch(r"([a-z]+)\s*:?\s*(\W*)", token.text.lower())
        name, sign = (found[1], found[2].replace("==", "=") or "=") if found else ("", "")
        value = self._value()
        size = _SIZE.fullmatch(value)
        if name == "size" and sign == "=" and size:
            return And((Compare("width", "=", float(size[1])), Compare("height", "=", float(size[2]))))
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise FilterError(f"{name} is compared with a number, such as {name}{sign}{_EXAMPLES[name]}.",
                              token.start, self._last().end)
        return Compare(name, sign, number)

    def _value(self) -> str:
        """The value of a field: a quoted text, or the words up to the next operator or bracket."""
        token = self.peek()
        if token is not None and token.kind == "quoted":
            self._place += 1
            return _unquoted(token.text)
        if token is not None and token.text.startswith('"'):
            raise FilterError("This quotation mark is never closed.", token.start, token.start + 1)
        return self._words()

    def _tag(self, token: _Token) -> Filter:
        if token.kind == "quoted":
            self._place += 1
            return TagIs(_unquoted(token.text), exact=True, start=token.start, end=token.end)
        if token.text == '"':
            raise FilterError("This quotation mark is never closed.", token.start, token.end)
        words = self._words()
        if words.lower() == "nocaption":
            return NoCaption()
        if words.lower() == "prose":
            return Prose()
        if words.lower() in ("mask", "nomask"):
            found = HasMask(token.start, self._last().end)
            return found if words.lower() == "mask" else Not(found)
        _check_no_field(words, token.start, self._last().end)
        return TagIs(words, start=token.start, end=self._last().end)

    def _words(self) -> str:
        """The words of a tag; brackets after a word belong to it, as in ``saber (fate)``."""
        first = self.peek()
        start = self._place
        words: list[str] = []
        while (token := self.peek()) is not None and not self._ends_words(token, bool(words)):
            if token.kind == "open":
                words.append(self._bracketed(token))
            else:
                words.append(token.text)
                self._place += 1
        if first is None or start == self._place:
            return ""
        return _unescaped(" ".join(words))

    def _ends_words(self, token: _Token, begun: bool) -> bool:
        if token.kind in ("comma", "close", "quoted", "field", "number"):
            return True
        return token.text in _OPERATORS if token.kind == "word" else token.kind == "open" and not begun

    def _bracketed(self, opening: _Token) -> str:
        words = []
        self._place += 1
        while (token := self.peek()) is not None and token.kind != "close":
            if token.text in _OPERATORS or token.kind == "open":
                raise FilterError("AND or OR is missing before this bracket.", opening.start, opening.end)
            words.append(token.text)
            self._place += 1
        if token is None:
            raise FilterError("This bracket is never closed.", opening.start, opening.end)
        self._place += 1
        return f"({' '.join(words)})"

    def _take(self, text: str) -> _Token | None:
        token = self.peek()
        if token is None or token.text != text or token.kind not in ("word", "comma"):
            return None
        self._place += 1
        return token

    def _last(self) -> _Token:
        return next(token for token in reversed(self._tokens[:self._place]) if token.kind != "space")

    def _end(self) -> tuple[int, int]:
        last = self._last()
        return last.start, last.end


def _check_no_field(words: str, start: int, end: int) -> None:
    """Refuse words that resemble a comparison or a misspelled field; tags may have colons. Raises ``FilterError``."""
    found = _UNKNOWN_FIELD.search(words)
    if found is None:
        return
    compares = found[2] != ":"
    known = list(_EXAMPLES) if compares else [*_EXAMPLES, *FIELDS]
    alike = difflib.get_close_matches(found[1].lower(), known, 1, _LIKE_A_FIELD)
    as_tag = f'For the tag, write "{words}" in quotes.'
    if alike:
        raise FilterError(f"There is no field {found[1]}. Did you mean {alike[0]}? {as_tag}", start, end)
    if compares:
        raise FilterError(f"{found[1]} cannot be compared; {', '.join(_EXAMPLES)} can. {as_tag}", start, end)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _unescaped(text: str) -> str:
    return re.sub(r"\\([()\",\\])", r"\1", text)
