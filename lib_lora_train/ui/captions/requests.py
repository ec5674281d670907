"""Requests to the caption editor's routes, as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic import BaseModel, Field

from ...captions.chunks import Framing
from ...captions.editor.operations import Operation
from ...captions.file_names import NameRule
from ...config.check import problems_of
from ...config.groups.dataset import DatasetSettings
from ...config.load import read_job
from ...errors import ConfigError, DatasetError


class OpenRequest(BaseModel):
    """A dataset folder and the dataset settings that decide how it is read."""

    folder: str
    settings: dict[str, Any] = Field(default_factory=dict)


class SessionRequest(BaseModel):
    """An open dataset; base of all requests below."""

    folder: str
    session: str


class ViewRequest(SessionRequest):
    """The images shown, filtered by ``filter`` and sorted by ``sort``, and which tags are listed.

    ``selected`` are the images selected on the page, shown or not.
    """

    filter: str = ""
    sort: str = "name"
    tag_part: str = ""
    most_tags: int = 400
    selected: list[int] = Field(default_factory=list)


class NumbersRequest(SessionRequest):
    """The images ``numbers``, or all that match ``filter`` if there are none."""

    numbers: list[int] | None = None
    filter: str = ""


class PathsRequest(SessionRequest):
    """Images by ``paths`` relative to the dataset's folder."""

    paths: list[str]


class OperationRequest(NumbersRequest):
    """An ``Operation`` on the captions of images; ``operation`` holds its fields."""

    operation: dict[str, Any]
    activation_tag: str = ""


class TextRequest(SessionRequest):
    """A caption as edited on the page, as ``text`` or as ``tags``. ``before`` is the caption the page was shown."""

    number: int
    before: str
    text: str | None = None
    tags: list[str] | None = None


class StepRequest(SessionRequest):
    """Undo or redo; ``leave`` are files changed by another program that stay unchanged."""

    leave: list[str] = Field(default_factory=list)


class FolderRequest(NumbersRequest):
    """Images to move to ``target``, a folder of the dataset."""

    target: str


class RenameRequest(SessionRequest):
    """A folder of the dataset and its new ``name``."""

    of: str
    name: str


class TagRequest(SessionRequest):
    """A tag, or part of one."""

    tag: str = ""


class RenameTagRequest(TagRequest):
    """A tag and its new ``name``."""

    name: str = ""


class PictureRequest(NumbersRequest):
    """An image, and what the form adds to its caption in training: prefix, suffix and keep-tokens separator."""

    prefix: str = ""
    suffix: str = ""
    mark: str = ""

    def framing(self) -> Framing:
        """The prefix, suffix and separator."""
        return Framing(self.prefix, self.suffix, self.mark)


class MaskRequest(SessionRequest):
    """A painted mask of the image ``number``: a PNG in base64. ``seen`` is the version of the mask it replaces."""

    number: int
    png: str
    seen: str = ""


class MaskPreviewRequest(SessionRequest):
    """The automatic mask of the image ``number`` by the settings ``mask``."""

    number: int
    mask: dict[str, Any] = Field(default_factory=dict)


class HistoryRequest(SessionRequest):
    """The history without its newest ``skip`` edits, or the changes made by the edits ``numbers``."""

    skip: int = Field(default=0, ge=0)
    numbers: list[int] = Field(default_factory=list)


class ReturnRequest(SessionRequest):
    """Go back to before the edit ``edit``, or forward to after it if it was undone.

    ``seen`` is the history's state that the page was shown; ``leave`` are files that stay unchanged.
    """

    edit: int
    seen: str = ""
    leave: list[str] = Field(default_factory=list)


class IncomingRequest(NumbersRequest):
    """Captions from file names (``source`` is ``names``) by ``rule``, or from ``metadata``.

    The metadata is the ``text`` of a JSON file, or the ``file`` of that name in the dataset's folder. ``part`` selects
    what is used of it, ``mode`` what happens to existing captions.
    """

    source: str = "names"
    rule: dict[str, Any] = Field(default_factory=dict)
    text: str = ""
    file: str = ""
    part: str = "both"
    mode: str = "empty"


class ConsolidateRequest(SessionRequest):
    """The accepted suggestions: ``[{"keep": tag, "drop": [tags]}]``."""

    chosen: list[dict[str, Any]]


class DoubtRequest(SessionRequest):
    """Doubtful tags by key; with ``keep`` they are marked as right, otherwise fixed."""

    keys: list[str]
    keep: bool = False


class DoctorRequest(SessionRequest):
    """Start a check with the settings of the coming training, or only report progress."""

    begin: bool = False
    stop: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)
    max_tokens: int = 225


def named(request: NumbersRequest) -> list[int]:
    """The images named one by one, never the current matches of a filter. Raises ``DatasetError`` if there are none."""
    if not request.numbers:
        raise DatasetError("No image is chosen.")
    return request.numbers


def only(numbers: list[int] | None) -> int:
    """The one image named. Raises ``DatasetError`` if it is not exactly one."""
    if not numbers or len(numbers) != 1:
        raise DatasetError("Exactly one image has to be named.")
    return numbers[0]


def operation_of(values: dict[str, Any]) -> Operation:
    """Return the operation that the page describes. Raises ``DatasetError`` if it does not exist."""
    known = {field.name: field for field in dataclasses.fields(Operation)}
    unknown = sorted(set(values) - set(known))
    if unknown or "kind" not in values:
        raise DatasetError(f"The operation {values!r} is not understood.")
    tags = values.get("tags", [])
    types = {"include_prose": bool, "ignore_case": bool, "exact": bool, "limit": int}
    wrong = [name for name, value in values.items() if name != "tags" and not isinstance(value, types.get(name, str))]
    if wrong or not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DatasetError(f"The operation {values!r} is not understood.")
    return Operation(**{**values, "tags": tuple(tags)})


def name_rule_of(values: dict[str, Any]) -> NameRule:
    """Return the rule that the page describes. Raises ``DatasetError`` if it is invalid."""
    types = {"separators": str, "counters": bool, "underscores": bool}
    if any(name not in types or not isinstance(value, types[name]) for name, value in values.items()):
        raise DatasetError(f"The rule {str(values)[:200]} is not understood.")
    return NameRule(**values)


def dataset_settings(values: dict[str, Any]) -> DatasetSettings:
    """Return the form's dataset settings without the folder, which is sent separately. Raises ``ConfigError``."""
    job, problems = read_job({"dataset": {**values, "train_data_dir": ""}}, source="The form")
    problems = [problem for problem in problems if "train_data_dir" not in problem]
    if problems:
        raise ConfigError(problems)
    problems = [problem for problem in problems_of(job)
                if problem.startswith(("dataset.resolution is", "dataset.caption_extension is"))]
    if problems:
        raise ConfigError(problems)
    return job.dataset
