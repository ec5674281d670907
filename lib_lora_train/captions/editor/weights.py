"""Loss weights and repeats of single images, kept in ``<stem>.weight.json`` beside each and undone like captions."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import DatasetError
from ...files.confine import Confined
from ...pictures.problems import count_of
from ...pictures.weights import bytes_of_weight, checked, weight_file
from ..journal.format import Write
from .editor import CaptionEditor, Outcome


def set_weights(editor: CaptionEditor, numbers: Iterable[int], weight: float | None, repeats: int | None) -> Outcome:
    """Set the loss weight and the repeats of images, as one undo step; ``None`` keeps what each image has.

    Images whose names differ in the extension only share one weight. Raises ``DatasetError`` or ``ConflictError``.
    """
    with editor.lock:
        confined = Confined(editor.folder)
        changes: dict[str, Write] = {}
        entries = [editor.entry(number) for number in numbers]
        for entry in entries:
            new = bytes_of_weight(checked(entry.weight.weight if weight is None else weight,
                                          entry.weight.repeats if repeats is None else repeats))
            path = weight_file(entry.path)
            try:
                old = confined.read(path)
            except FileNotFoundError:
                old = None
            except OSError as problem:
                raise DatasetError(f"{path} cannot be read: {problem.strerror}. Nothing was changed.") from problem
            if new != old:
                changes[path] = Write(path, old, new)
        said = [f"weight {weight:g}"] if weight is not None else []
        said += [count_of(repeats, "repeat")] if repeats is not None else []
        label = f"Gave {count_of(len(entries), 'image')} {' and '.join(said) or 'nothing new'}"
        return editor.carry_out(label, list(changes.values()))
