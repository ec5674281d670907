"""The editor against a plain dictionary: random edits, undos, redos, crashes, full disks and other programs."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.operations import Operation
from lib_lora_train.captions.editor.pictures import copy_pictures, delete_pictures, move_pictures
from lib_lora_train.captions.journal.apply import ConflictError, HalfDoneError
from lib_lora_train.captions.journal.format import Write
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.captions.tokens import TokenCounter
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.errors import DatasetError
from lib_lora_train.files.confine import HIDDEN_FOLDER
from tests.crashes import Killed, failing, killed_here
from tests.figures import count, figure

SEQUENCES = count(120, 2000)
OF_ALL = SEQUENCES / 2000
STEPS = 10
WORDS = ("penny", "red boots", "hat", "smile", "日本", "cat (pet)")

def folder_of(path: str) -> str:
    return path.rpartition("/")[0]


class Model:
    """What the files are, and the edits; names that begin with ``?`` lie where nobody looks (trash and copies)."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.edits: list[list[tuple[object, ...]]] = []
        self.position = 0

    def visible(self) -> dict[str, bytes]:
        return {name: data for name, data in self.files.items() if name[0] != "?"}

    def conflicts(self, changes: list[tuple[object, ...]]) -> set[str]:
        wrong = set()
        for kind, path, *rest in changes:
            if kind == "write":
                wrong |= {path} if self.files.get(path) != rest[0] else set()
            else:
                wrong |= {path} if path not in self.files else {rest[0]} if rest[0] in self.files else set()
        return wrong

    def carry_out(self, changes: list[tuple[object, ...]]) -> None:
        for kind, path, *rest in changes:
            if kind == "move":
                self.files[rest[0]] = self.files.pop(path)
            elif rest[1] is None:
                self.files.pop(path)
            else:
                self.files[path] = rest[1]

    def do(self, changes: list[tuple[object, ...]]) -> None:
        if changes:
            self.carry_out(changes)
            self.edits = [*self.edits[:self.position], changes]
            self.position += 1

    def undo(self) -> list[tuple[object, ...]]:
        return [(kind, rest[0], path) if kind == "move" else (kind, path, rest[1], rest[0])
                for kind, path, *rest in reversed(self.edits[self.position - 1])] if self.position else []

    def redo(self) -> list[tuple[object, ...]]:
        return self.edits[self.position] if self.position < len(self.edits) else []


class Sequence:
    """One random sequence on one folder."""

    def __init__(self, folder: Path, seed: int, seen: Counter[str]) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.seen = seen
        self.serial = 0
        files: dict[str, bytes] = {}
        for name in ("a", "b", "c", "sub/d"):
            files[f"{name}.png"] = name.encode()
            if self.rng.random() < 0.8:
                files[f"{name}.txt"] = self.text().encode()
        (folder / "sub").mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
        self.model = Model(files)
        self.editor = self.opened()

    def opened(self) -> CaptionEditor:
        editor = CaptionEditor(self.folder, DatasetSettings(), self.folder.parent / "facts.json", TokenCounter(None))
        assert not any("missing" in message or "damaged" in message for message in editor.messages)
        return editor

    def text(self) -> str:
        self.serial += 1
        words = self.rng.sample(WORDS, self.rng.randrange(1, 4))
        return ", ".join([*words, f"n{self.serial}"]) + self.rng.choice(["", "", "\n", "\nsecond line"])

    def on_disk(self) -> dict[str, bytes]:
        found = {}
        for place, folders, names in os.walk(self.folder):
            folders[:] = [folder for folder in folders if not folder.startswith(".")]
            for name in names:
                path = f"{place}/{name}"
                found[path[len(str(self.folder)) + 1:]] = Path(path).read_bytes()
        return found

    def compare(self) -> None:
        assert self.on_disk() == self.model.visible()
        captions = {path: caption.data for path, caption in self.editor.index.captions.items()}
        pictures = {path for path in self.model.visible() if path.endswith(".png")}
        assert captions == {f"{path[:-4]}.txt": self.model.files.get(f"{path[:-4]}.txt") for path in pictures}
        assert not (self.folder / HIDDEN_FOLDER / "damaged").exists()  # no crash damages the journal
        history = self.editor.history()
        assert (len(history.batches), history.position) == (len(self.model.edits), self.model.position)

    # --- steps: each gives the editor's act and what the model makes of it ---

    def chosen(self) -> tuple[list[int], list[str]]:
        paths = sorted(path for path in self.model.visible() if path.endswith(".png"))
        some = self.rng.sample(paths, self.rng.randrange(1, len(paths) + 1)) if paths else []
        return [self.editor.index.of_path(path).id for path in some], some

    def write_text(self) -> tuple[Callable[[], object], list[tuple[object, ...]]]:
        numbers, paths = self.chosen()
        changes, texts = [], {}
        for number, path in zip(numbers, paths, strict=True):
            caption, new = f"{path[:-4]}.txt", self.text()
            texts[number] = new
            changes.append(("write", caption, self.model.files.get(caption), new.encode()))
        return lambda: self.editor.set_texts(texts), changes

    def add_tag(self) -> tuple[Callable[[], object], list[tuple[object, ...]]]:
        numbers, paths = self.chosen()
        self.serial += 1
        tag, changes = f"t{self.serial}", []
        for path in paths:
            caption = f"{path[:-4]}.txt"
            old = self.model.files.get(caption)
            line, break_, more = (old or b"").decode().partition("\n")
            tags = [part.strip() for part in line.split(",") if part.strip()]
            changes.append(("write", caption, old, (", ".join([*tags, tag]) + break_ + more).encode()))
        return lambda: self.editor.apply(Operation("add", (tag,)), numbers, ""), changes

    def delete(self) -> tuple[Callable[[], object], list[tuple[object, ...]]]:
        numbers, paths = self.chosen()
        self.serial += 1
        names = [name for path in paths for name in (path, f"{path[:-4]}.txt") if name in self.model.files]
        return (lambda: delete_pictures(self.editor, numbers),
                [("move", name, f"?{self.serial}/{name}") for name in names])

    def elsewhere(self, copy: bool) -> tuple[Callable[[], object], list[tuple[object, ...]]]:
        numbers, paths = self.chosen()
        target = self.rng.choice(["", "sub", "new/deep"])
        if not copy:
            pairs = [(number, path) for number, path in zip(numbers, paths, strict=True) if folder_of(path) != target]
            numbers, paths = [number for number, _ in pairs], [path for _, path in pairs]
        taken = {name.rpartition("/")[2] for name in self.model.visible() if folder_of(name) == target}
        changes = []
        for path in paths:
            stem = wanted = Path(path).stem
            number = 2
            while {f"{stem}.png", f"{stem}.txt"} & taken:
                stem, number = f"{wanted}-{number}", number + 1
            taken |= {f"{stem}.png", f"{stem}.txt"}
            for name, ending in ((path, ".png"), (f"{path[:-4]}.txt", ".txt")):
                if name in self.model.files:
                    source = name
                    if copy:
                        self.serial += 1
                        source = f"?copy{self.serial}"
                        self.model.files[source] = self.model.files[name]
                    changes.append(("move", source, f"{target}/{stem}{ending}".lstrip("/")))
        act = copy_pictures if copy else move_pictures
        return lambda: act(self.editor, numbers, target), changes

    def edit(self) -> tuple[Callable[[], object], list[tuple[object, ...]]]:
        return self.rng.choices([self.write_text, self.add_tag, self.delete, lambda: self.elsewhere(False),
                                 lambda: self.elsewhere(True)], [5, 5, 1, 1, 1])[0]()

    def step(self) -> None:
        kind = self.rng.choices(["edit", "undo", "redo", "other", "settle", "reopen", "other killed"],
                                [8, 5, 3, 2, 1, 1, 1])[0]
        if kind == "other":
            return self.other_program()
        if kind == "other killed":
            return self.other_program_killed()
        accident = self.rng.choices(["", "killed", "full disk", "fails once"], [6, 4, 1, 1])[0]
        self.seen[f"{kind} {accident}".strip()] += 1
        before, after = self.model, deepcopy(self.model)
        act = self.planned(kind, after)
        try:
            with self.accident(accident):
                act()
        except Killed:
            self.seen["killed"] += 1
            self.restart()
            return self.take(before, after)
        except ConflictError as problem:
            assert after.visible() == before.visible() and problem.paths
        except HalfDoneError:
            self.seen["half done"] += 1
            self.restart()
            return self.take(before, after)
        except DatasetError:
            assert accident or (kind in ("undo", "redo") and after.position == before.position)
            after = before
        self.model = after
        if kind == "reopen" and accident:
            self.editor = self.opened()  # the disk is well again
        return None

    def planned(self, kind: str, after: Model) -> Callable[[], object]:
        """What the editor does, while ``after`` is made what the model says of it."""
        if kind == "edit":
            self.model = after
            act, changes = self.edit()
            assert not after.conflicts(changes)
            after.do(changes)
            return act
        if kind == "settle":
            return self.editor.settle
        if kind == "reopen":
            return lambda: setattr(self, "editor", self.opened())
        changes = after.undo() if kind == "undo" else after.redo()
        conflicts = after.conflicts(changes)
        moves = any(change[0] == "move" for change in changes)
        if changes and not conflicts:
            after.carry_out(changes)
            after.position += -1 if kind == "undo" else 1
        elif conflicts and not moves:  # as the page does: those that somebody else has changed are left
            after.carry_out([change for change in changes if change[1] not in conflicts])
            after.position += -1 if kind == "undo" else 1
            self.seen["undo but for conflicts"] += 1
            return lambda: getattr(self.editor, kind)(tuple(conflicts))
        return getattr(self.editor, kind)

    def accident(self, kind: str) -> contextlib.AbstractContextManager[None]:
        at = self.rng.randrange(1, 45)
        if kind == "killed":
            return killed_here(at)
        if kind == "full disk":
            return failing(at, 10_000)
        return failing(at, 1, errno.EACCES) if kind else contextlib.nullcontext()

    def restart(self) -> None:
        """Open the folder again; killed in that, too, now and then."""
        while self.rng.random() < 0.3:
            with contextlib.suppress(Killed), killed_here(self.rng.randrange(1, 20)):
                self.opened()
                self.seen["killed in recovery"] += 1
        self.editor = self.opened()

    def take(self, before: Model, after: Model) -> None:
        """After an accident the edit is wholly done or not at all, and the history says which."""
        done = self.on_disk() == after.visible() and self.editor.history().position == after.position \
            and len(self.editor.history().batches) == len(after.edits)
        self.model = after if done else before
        self.seen["done after all" if done else "not done"] += 1

    def other_program(self) -> None:
        _, paths = self.chosen()
        for path in paths[:1]:
            self.serial += 1
            caption = f"{path[:-4]}.txt"
            data = f"theirs {self.serial}".encode()
            (self.folder / caption).write_bytes(data)
            self.model.files[caption] = data
            self.seen["other program"] += 1
            self.editor.refresh()

    def other_program_killed(self) -> None:
        """A tagging run dies in the middle of its edit, while the editor stays open."""
        changes = [Write(name, data, data + b"!") for name, data in self.model.visible().items()
                   if name.endswith(".txt")]
        if not changes:
            return
        before, after = self.model, deepcopy(self.model)
        after.do([("write", change.path, change.old, change.new) for change in changes])
        with contextlib.suppress(Killed), killed_here(self.rng.randrange(1, 40)):
            Journal(self.folder).do("Tagged", changes, {})
        with contextlib.suppress(DatasetError):
            self.editor.settle()  # which is the first to come, and has to finish it
        self.editor.refresh()
        self.seen["other program killed"] += 1
        self.take(before, after)


@pytest.mark.slow
def test_two_thousand_random_sequences_end_as_a_dictionary_says(memory: Path):
    seen: Counter[str] = Counter()
    with figure("random sequences of the editor") as counted:
        for seed in range(SEQUENCES):
            one = Sequence(memory / "set", seed, seen)
            for number in range(STEPS):
                one.step()
                try:
                    one.compare()
                except AssertionError as problem:
                    raise AssertionError(f"sequence {seed}, step {number}: {problem}") from problem
            shutil.rmtree(memory / "set")
            counted.tried += 1
    assert seen["killed"] > 1500 * OF_ALL, seen
    assert min(seen["done after all"], seen["not done"]) > 300 * OF_ALL, seen
    assert seen["killed in recovery"] > 100 * OF_ALL and seen["other program killed"] > 300 * OF_ALL, seen
    kinds = ("undo", "redo", "settle", "reopen", "undo but for conflicts")
    assert min(seen[kind] for kind in kinds) > 100 * OF_ALL, seen
