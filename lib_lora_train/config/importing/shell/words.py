"""Splits a script into statements, each a list of words; a word is a list of parts for later expansion."""

from __future__ import annotations

from dataclasses import dataclass, field

from ....errors import ConfigError
from .dialect import BASH, BATCH, JOINED, POWERSHELL, Dialect

_ENDS = frozenset("\n;")
_LONGEST_SUBSTITUTION = 2000
_MOST_UNCLOSED = 100  # no real script has more; searching for the end of each would take minutes
_SPACES = frozenset(" \t\r\f" + JOINED)
_MARKS = frozenset("{}|&")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_CLOSING = {"(": ")", "{": "}"}


@dataclass
class Word:
    """``parts`` are (kind, text): "text", "variable" with its name, or "run" for a command substitution."""

    parts: list[tuple[str, str]] = field(default_factory=list)
    quoted: bool = False

    def add(self, kind: str, text: str) -> None:
        """Append a part; adjacent texts are merged."""
        if kind == "text" and self.parts and self.parts[-1][0] == "text":
            self.parts[-1] = ("text", self.parts[-1][1] + text)
        else:
            self.parts.append((kind, text))

    @property
    def plain(self) -> str:
        """The word as written, with variables by name."""
        return "".join(text if kind == "text" else f"${text}" for kind, text in self.parts)


@dataclass
class Statement:
    """The words up to the end of a line, a semicolon, a brace or a pipe; ``line`` counts from 1."""

    line: int
    words: list[Word]
    mark: str = ""
    """The character that ended it."""


class Scanner:
    """Splits a script into statements. Raises ``ConfigError`` for an unclosed quote."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text, self._dialect, self._place, self._line = text, dialect, 0, 1
        self._statements: list[Statement] = []
        self._current = Statement(1, [])
        self._word: Word | None = None
        self._unclosed = 0

    def statements(self) -> list[Statement]:
        """Every statement that has words, and braces without any."""
        while self._place < len(self._text):
            self._step()
        self._end_statement("")
        return self._statements

    def _step(self) -> None:
        sign = self._text[self._place]
        if sign in _ENDS:
            self._end_statement(sign)
            self._line += sign == "\n"
            self._place += 1
        elif sign in _SPACES:
            self._end_word()
            self._line += sign == JOINED
            self._place += 1
        elif sign == "#" and self._word is None and self._dialect is not BATCH:
            self._place = self._end_of_line()
        elif sign == '"' or (sign == "'" and self._dialect.single_quotes):
            self._quoted(sign)
        elif sign in _MARKS and not (sign in "|&" and self._in_test()) and (self._word is None or sign in "|&}"):
            self._end_statement(sign)
            self._place += 1
        else:
            self._unquoted(sign)

    def _unquoted(self, sign: str) -> None:
        word = self._at_word()
        following = self._text[self._place + 1:self._place + 2]
        if sign == self._dialect.escape and following and not following.isalnum():
            word.add("text", following)
            self._place += 2
        elif not self._variable(word):
            word.add("text", sign)
            self._place += 1

    def _quoted(self, quote: str) -> None:
        word, start = self._at_word(), self._line
        word.quoted = True
        word.add("text", "")
        self._place += 1
        while self._place < len(self._text):
            sign = self._text[self._place]
            following = self._text[self._place + 1:self._place + 2]
            if sign == quote:
                if following == quote and self._dialect is POWERSHELL:
                    word.add("text", quote)
                    self._place += 2
                    continue
                self._place += 1
                return
            if sign == self._dialect.escape and quote == '"' and following in ('"', "$", "`", "\\") and not (
                    self._dialect is BASH and following == "\\" and self._text[self._place - 1:self._place] == ":"):
                word.add("text", following)
                self._place += 2
            elif quote == "'" or not self._variable(word):
                self._line += sign == "\n"
                word.add("text", sign)
                self._place += 1
        raise ConfigError(f"The script cannot be read: the quote {quote} of line {start} is never closed. Close it, or "
                          "paste the whole script.")

    def _variable(self, word: Word) -> bool:
        """Consume a variable or a substitution at the current position, if there is one."""
        text, place = self._text, self._place
        if self._dialect is BATCH:
            end = text.find("%", place + 1) if text[place] == "%" else -1
            if end < 0 or not set(text[place + 1:end]) <= _NAME or end == place + 1:
                return False
            word.add("variable", text[place + 1:end])
            self._place = end + 1
            return True
        if text[place] == "`" and self._dialect is BASH:
            return self._substitution(word, place, text.find("`", place + 1))
        if text[place] != "$" or place + 1 >= len(text):
            return False
        following = text[place + 1]
        if following in _CLOSING:
            return self._substitution(word, place, self._closing(place + 1))
        end = place + 1
        while end < len(text) and (text[end] in _NAME or (text[end] == ":" and text[place + 1:end].lower() in (
                "env", "global", "script", "local"))):
            end += 1
        if end == place + 1:
            if following in "@*?#!":
                word.add("variable", following)
                self._place = place + 2
                return True
            return False
        word.add("variable", text[place + 1:end])
        self._place = end
        return True

    def _substitution(self, word: Word, place: int, end: int) -> bool:
        if end < 0:
            return False
        inner = self._text[place:end + 1]
        if inner.startswith("${"):
            name = inner[2:-1].removesuffix("[@]").removesuffix("[*]")
            simple = set(name) <= _NAME or name.lower().startswith("env:")
            word.add("variable" if simple and name else "run", name if simple and name else inner[1:])
        else:
            word.add("run", inner[1:] if inner.startswith("$") else inner)
        self._line += inner.count("\n")
        self._place = end + 1
        return True

    def _closing(self, place: int) -> int:
        if self._unclosed > _MOST_UNCLOSED:
            return -1
        opening, depth = self._text[place], 0
        for at in range(place, min(len(self._text), place + _LONGEST_SUBSTITUTION)):
            if self._text[at] == opening:
                depth += 1
            elif self._text[at] == _CLOSING[opening]:
                depth -= 1
                if not depth:
                    return at
        self._unclosed += 1
        return -1

    def _in_test(self) -> bool:
        """Whether the scanner is inside a condition, where | and & join parts."""
        return bool(self._current.words) and self._current.words[0].plain.lower() in ("if", "elif", "elseif", "[[")

    def _at_word(self) -> Word:
        if self._word is None:
            self._word = Word()
            if not self._current.words:
                self._current.line = self._line
        return self._word

    def _end_word(self) -> None:
        if self._word is not None:
            self._current.words.append(self._word)
            self._word = None

    def _end_statement(self, mark: str) -> None:
        self._end_word()
        if self._current.words or mark in ("{", "}"):
            self._current.mark = mark
            self._statements.append(self._current)
        self._current = Statement(self._line, [])

    def _end_of_line(self) -> int:
        end = self._text.find("\n", self._place)
        return len(self._text) if end < 0 else end
