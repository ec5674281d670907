"""The variables of a script and their expansion. Environment variables are never read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .arithmetic import worked_out
from .dialect import BASH, BATCH, POWERSHELL, Dialect
from .words import Word

_NAME_IN_EXPRESSION = re.compile(r"\$?\{?(?P<name>[A-Za-z_]\w*)\}?")
_MOST_CHARACTERS, _MOST_WORDS = 100_000, 10_000


@dataclass(frozen=True)
class Text:
    """A word after expansion; ``unset`` are the variables that the script does not set."""

    text: str
    unset: tuple[str, ...] = ()


class Variables:
    """The variables set so far; a list is a variable with several words."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[str, list[Text]] = {}
        if dialect is POWERSHELL:
            self._known = {"true": [Text("True")], "false": [Text("")], "null": [Text("")]}

    def set(self, name: str, texts: list[Text], *, append: bool = False) -> None:
        """Assign words to ``name``; ``append`` adds them to the current ones."""
        key = self._key(name)
        self._known[key] = ([*self._known.get(key, []), *texts] if append else list(texts))[:_MOST_WORDS]

    def texts(self) -> list[str]:
        """Every value that is a single text, for commands that are kept in a variable."""
        return [values[0].text for values in self._known.values() if len(values) == 1]

    def expand(self, word: Word) -> list[Text]:
        """``word`` after expansion: several words for a list that stands alone, none for an empty one."""
        parts = [part for part in word.parts if part != ("text", "")]
        if len(parts) == 1 and parts[0][0] == "variable":
            found = self._known.get(self._key(parts[0][1]))
            if found is not None:
                return list(found) if word.quoted or self._dialect is not BASH else _split_options(found)
        pieces: list[str] = []
        unset: list[str] = []
        for kind, text in word.parts:
            piece = self._part(kind, text)
            pieces.append(piece.text)
            unset += piece.unset
        return [Text("".join(pieces)[:_MOST_CHARACTERS], tuple(dict.fromkeys(unset)))]

    def expand_all(self, words: list[Word]) -> list[Text]:
        """All of ``words`` expanded, in order."""
        return [text for word in words for text in self.expand(word)][:_MOST_WORDS]

    def _part(self, kind: str, text: str) -> Text:
        if kind == "text":
            return Text(text)
        if kind == "variable":
            found = self._known.get(self._key(text))
            shown = f"%{text}%" if self._dialect is BATCH else f"${text}"
            if found is None:
                return Text(shown, (shown,))
            return Text(" ".join(one.text for one in found), tuple(name for one in found for name in one.unset))
        return self._worked_out(text)

    def _worked_out(self, expression: str) -> Text:
        """``((a * 2))``, ``($a * 2)`` or ``{a:-2}`` as a number or text, if it is nothing more."""
        if expression.startswith("{") and ":-" in expression:
            name, _, default = expression[1:-1].partition(":-")
            return self._part("variable", name) if self._key(name) in self._known else Text(default.strip("\"'"))
        unset: list[str] = []

        def put_in(match: re.Match[str]) -> str:
            found = self._part("variable", match["name"])
            unset.extend(found.unset)
            return found.text

        inner = expression.strip("()").strip()
        if self._dialect is POWERSHELL and re.fullmatch(r"\$\w+", inner):
            return self._part("variable", inner[1:])
        if self._dialect is POWERSHELL or expression.startswith("(("):
            number = worked_out(_NAME_IN_EXPRESSION.sub(put_in, inner), whole=self._dialect is BASH)
            if number is not None:
                return Text(number)
        return Text(f"${expression}", tuple(unset) or (f"${expression}",))

    def _key(self, name: str) -> str:
        return name if self._dialect is BASH else name.lower()


def _split_options(texts: list[Text]) -> list[Text]:
    """Split at spaces as bash does for unquoted variables; only for options, since paths may contain spaces."""
    return [Text(part, one.unset) for one in texts
            for part in (one.text.split() if one.text.lstrip().startswith("--") else [one.text])]
