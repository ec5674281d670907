"""Follows a script line by line as far as possible: assignments, lists, arithmetic and plain conditions.

Nothing is executed, no file is read and no environment variable is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .arithmetic import worked_out
from .conditions import holds
from .dialect import BASH, BATCH, POWERSHELL, Dialect, dialect_of, joined
from .variables import Text, Variables
from .words import Scanner, Statement, Word

_BASH_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?P<sign>\+?=)(?P<rest>.*)", re.DOTALL)
_BEFORE_ASSIGNMENT = frozenset(("local", "export", "declare", "readonly", "typeset", "-x", "-r", "-a", "-i", "-g"))
_LEADING = frozenset(("then", "do", "else", "time", "exec", "call", "nohup", "start", "sudo"))
_MOST_STATEMENTS = 20_000


@dataclass
class Branch:
    """An if/else chain; ``active`` is the branch taken, ``None`` if its condition is unknown."""

    active: bool | None
    taken: bool | None
    braces: bool


@dataclass
class Followed:
    """``commands`` are the words of every executed statement; ``undecided`` those of statements that depend on an
    unknown condition.
    """

    commands: list[list[Text]] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def follow(text: str) -> Followed:
    """The commands of the script ``text``. Raises ``ConfigError`` for an unclosed quote."""
    return _Follower(dialect_of(text)).run(text)


class _Follower:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._variables, self._found = dialect, Variables(dialect), Followed()
        self._open: list[Branch | None] = []
        self._closed: Branch | None = None
        self._list: tuple[str, bool] | None = None  # an array whose closing bracket is on a later line

    def run(self, text: str) -> Followed:
        for statement in Scanner(joined(text, self._dialect), self._dialect).statements()[:_MOST_STATEMENTS]:
            self._statement(statement)
        self._found.texts = self._variables.texts()
        return self._found

    def _statement(self, statement: Statement) -> None:
        words = statement.words
        first = words[0].plain.lower() if words else ""
        if self._list is not None:
            self._more_of_list(words)
        elif first in ("if", "elif", "elseif", "else", "fi"):
            self._branch(first, words[1:], statement.mark)
        elif words:
            self._plain(words)
        if statement.mark == "{" and first not in ("if", "elseif", "else"):
            self._open.append(None)
        elif statement.mark == "}" and self._open:
            closed = self._open.pop()
            self._closed = closed if closed is not None else self._closed

    def _branch(self, first: str, rest: list[Word], mark: str) -> None:
        if first == "if":
            state = holds(rest, self._variables, self._dialect)
            self._open.append(Branch(state, state, mark == "{"))
            return
        if first == "fi":
            while self._open and self._open.pop() is None:
                continue
            return
        branch = self._closed if mark == "{" else next((one for one in reversed(self._open) if one), None)
        if branch is None:
            return
        state = True if first == "else" else holds(rest, self._variables, self._dialect)
        decided = None if branch.taken is None else (state if not branch.taken else False)
        branch.active, branch.taken = decided, branch.taken if branch.taken else decided
        if mark == "{":
            self._open.append(branch)
        elif first == "else" and rest:
            self._plain(rest)

    def _active(self) -> bool | None:
        states = [branch.active for branch in self._open if branch is not None]
        if False in states:
            return False
        return None if None in states else True

    def _plain(self, words: list[Word]) -> None:
        while words and words[0].plain.lower() in _LEADING:
            words = words[1:]
        if not words or self._active() is False:
            return
        if self._active() is None:
            self._found.undecided += [word.plain for word in words if "--" in word.plain]
            return
        if not (self._bash_assignment(words) or self._powershell_assignment(words) or self._batch_assignment(words)):
            self._found.commands.append(self._variables.expand_all(words))

    def _bash_assignment(self, words: list[Word]) -> bool:
        if self._dialect is not BASH:
            return False
        rest = words
        while rest and rest[0].plain in _BEFORE_ASSIGNMENT:
            rest = rest[1:]
        if not rest or rest[0].parts[0][0] != "text":
            return False
        match = _BASH_ASSIGNMENT.fullmatch(rest[0].parts[0][1])
        if match is None or (len(rest) > 1 and rest is words and not match["rest"].startswith("(")):
            return False
        first = Word([("text", match["rest"]), *rest[0].parts[1:]], rest[0].quoted)
        if match["rest"].startswith("("):
            first.parts[0] = ("text", match["rest"][1:])
            self._begin_list(match["name"], match["sign"] == "+=", [first, *rest[1:]])
        else:
            self._variables.set(match["name"], _one(self._variables.expand(first)))
            for more in rest[1:]:
                self._bash_assignment([more])
        return True

    def _powershell_assignment(self, words: list[Word]) -> bool:
        if self._dialect is not POWERSHELL:
            return False
        if self._added_to_list(words):
            return True
        parts = [part for part in words[0].parts if part[0] != "text" or not re.fullmatch(r"(\[[\w.]+\])?", part[1])]
        if len(parts) == 2 and parts[0][0] == "variable" and parts[1][0] == "text" and parts[1][1][:1] in "=+" and \
                parts[1][1][:2] in ("=", "+=", parts[1][1][:1] + parts[1][1][1:2]) and "=" in parts[1][1][:2]:
            sign, _, glued = parts[1][1].partition("=")
            words = [Word([parts[0]]), Word([("text", sign + "=")]), *([Word([("text", glued)])] if glued else []),
                     *words[1:]]
            parts = [parts[0]]
        if len(parts) != 1 or parts[0][0] != "variable" or len(words) < 2 or words[1].plain not in ("=", "+="):
            return False
        name, values = parts[0][1], words[2:]
        if values and values[0].plain.startswith("@("):
            values[0].parts[0] = ("text", values[0].parts[0][1][2:])
            self._begin_list(name, words[1].plain == "+=", values)
        elif values and values[0].plain.lower().startswith(("[system.collections", "new-object")):
            self._variables.set(name, [])
        else:
            self._variables.set(name, self._expression(values), append=words[1].plain == "+=")
        return True

    def _added_to_list(self, words: list[Word]) -> bool:
        """``[void]$ext_args.Add("--v2")``."""
        parts = words[0].parts
        place = next((at for at, part in enumerate(parts) if part[0] == "variable"), None)
        if place is None or place + 1 >= len(parts) or not parts[place + 1][1].lower().startswith(".add("):
            return False
        rest = [("text", parts[place + 1][1][len(".add("):]), *parts[place + 2:]]
        inner = [Word(rest, True), *words[1:]]
        _strip_end(inner[-1], ")")
        self._variables.set(parts[place][1], self._expression(inner), append=True)
        return True

    def _batch_assignment(self, words: list[Word]) -> bool:
        if self._dialect is not BATCH or words[0].plain.lower() != "set":
            return False
        rest = [word for word in words[1:] if word.plain.lower() != "/a"]
        whole = " ".join(one.text for one in self._variables.expand_all(rest))
        name, _, value = whole.partition("=")
        sum_of = worked_out(value) if len(rest) < len(words) - 1 else None
        self._variables.set(name.strip(), [Text(sum_of or value)])
        return True

    def _expression(self, words: list[Word]) -> list[Text]:
        """The right side of a PowerShell assignment: a text, arithmetic, or texts joined with plus."""
        if not words:
            return [Text("")]
        expanded = [_one(self._variables.expand(word))[0] for word in words]
        unset = tuple(name for one in expanded for name in one.unset)
        joined_text = " ".join(one.text for one in expanded)
        if len(words) == 1:
            found = self._variables.expand(words[0])
            return [Text(one.text.rstrip(",") if not words[0].quoted else one.text, one.unset) for one in found]
        number = None if unset else worked_out(joined_text)
        if number is not None:
            return [Text(number)]
        if all(word.plain == "+" for word in words[1::2]):
            return [Text("".join(one.text for one in expanded[::2]), unset)]
        return [Text(joined_text, (*unset, joined_text[:60]))]

    def _begin_list(self, name: str, append: bool, words: list[Word]) -> None:
        if not append:
            self._variables.set(name, [])
        self._list = (name, True)
        self._more_of_list(words)

    def _more_of_list(self, words: list[Word]) -> None:
        if self._list is None:
            return
        ends = bool(words) and words[-1].parts[-1][1].endswith(")")
        if ends:
            _strip_end(words[-1], ")")
        for word in words:
            _strip_end(word, ",")
            if word.quoted or word.plain:
                self._variables.set(self._list[0], self._variables.expand(word), append=True)
        if ends:
            self._list = None


def _strip_end(word: Word, sign: str) -> None:
    kind, text = word.parts[-1]
    if kind == "text":
        word.parts[-1] = (kind, text.removesuffix(sign))


def _one(texts: list[Text]) -> list[Text]:
    return [Text(" ".join(one.text for one in texts), tuple(name for one in texts for name in one.unset))]
