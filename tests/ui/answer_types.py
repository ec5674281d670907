"""Dataclasses that the server answers with, as TypeScript; ``python -m tests.ui.answer_types`` writes the files."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path

from lib_lora_train.advice.difficulty import Difficulty
from lib_lora_train.captions.activation import OnOff
from lib_lora_train.captions.causes.lists import Shown, TagCause
from lib_lora_train.captions.causes.tags import NamedTag
from lib_lora_train.captions.chunks import ChunkEnd
from lib_lora_train.captions.doctor.contents import Content, Share
from lib_lora_train.captions.doctor.doctor import Report
from lib_lora_train.captions.doctor.report import Finding, Fix, Group
from lib_lora_train.captions.doctor.shapes import Crop, ShapeCount
from lib_lora_train.captions.doubtful import Doubt
from lib_lora_train.captions.editor.editor import Outcome, Preview
from lib_lora_train.captions.editor.history import EditChanges, WayBack
from lib_lora_train.captions.editor.selection import CommonTags, CopiedTags, RenameFacts
from lib_lora_train.captions.framing import TagProposal
from lib_lora_train.captions.incoming import IncomingPlan
from lib_lora_train.captions.journal.format import BatchInfo
from lib_lora_train.pictures.problems import Problem
from lib_lora_train.runs.compare.differences import Difference
from lib_lora_train.runs.compare.group import RunGroup
from lib_lora_train.runs.continuing import Continuation
from lib_lora_train.runs.diagnosis.remedies import Remedy
from lib_lora_train.runs.diagnosis.signs import Sign
from lib_lora_train.runs.diagnosis.which_epoch import EpochPoint, WhichEpoch
from lib_lora_train.runs.notes import RunNote
from lib_lora_train.runs.progress.report import MadeFile, PhaseTime, RunReport
from lib_lora_train.runs.space import RunSpace
from lib_lora_train.runs.summary import RunSummary
from lib_lora_train.runs.trash import TrashedFile, TrashEntry
from lib_lora_train.ui.captions.crop_desk import CropOptions, FrameFacts, ProposedCrop
from lib_lora_train.ui.captions.image_batch import BatchCrop, BatchReport
from lib_lora_train.ui.runs.compare.suggestions import Suggestion
from lib_lora_train.ui.runs.compare.variants import Variant, VariantsPlan
from lib_lora_train.ui.runs.diagnosis.records import (
    BalancePart,
    DiagnosedImage,
    DiagnosedTag,
    Diagnosis,
    ImageDetail,
    ImageNow,
    SuspiciousImage,
    TagEffect,
)
from lib_lora_train.ui.runs.diagnosis.suspects import Suspect, Suspects
from lib_lora_train.ui.runs.finished.desk import Choice, Countdown, FinishedState
from lib_lora_train.ui.runs.finished.rule import Notice
from lib_lora_train.ui.runs.finished.tensorboard import TensorBoardState
from lib_lora_train.ui.runs.space_routes import CacheSpace
from lib_lora_train.ui.tools.publish.choices import Remembered
from lib_lora_train.ui.tools.publish.facts import CardSetting, LoraStory, Source
from lib_lora_train.ui.tools.publish.folder import PublishedFolder
from lib_lora_train.ui.tools.publish.routes import CardAnswer, PublishPlan
from lib_lora_train.ui.tools.publish.sidecar import SidecarChange
from lib_lora_train.ui.tools.publish.tested import CardImage, Tested
from lib_lora_train.ui.train.checkpoint_family import FamilyFacts

MODULES = Path(__file__).resolve().parents[2] / "javascript" / "modules"
RECORDS: dict[str, tuple[type, ...]] = {
    "runs": (RunGroup, RunSummary, Continuation, RunNote, RunSpace, CacheSpace, TrashedFile, TrashEntry, Sign, Remedy,
             EpochPoint, WhichEpoch, ImageNow, DiagnosedImage, DiagnosedTag, SuspiciousImage, BalancePart, Diagnosis,
             TagEffect, ImageDetail, Difference, Suggestion, Variant, VariantsPlan, Choice, Countdown, Notice,
             FinishedState, MadeFile, PhaseTime, RunReport, TensorBoardState),
    "tools": (CardSetting, Source, LoraStory, CardImage, Tested, Remembered, PublishPlan, SidecarChange, CardAnswer,
              PublishedFolder),
    "train": (FamilyFacts, Difficulty, Problem),
    "captions": (Outcome, Preview, BatchInfo, OnOff, Doubt, Fix, Group, Finding, ShapeCount, Crop, Share, Content,
                 Report, ChunkEnd, TagProposal, ProposedCrop, CropOptions, FrameFacts, BatchCrop, BatchReport,
                 EditChanges, WayBack, CommonTags, CopiedTags, RenameFacts, IncomingPlan, NamedTag, Shown,
                 TagCause, Suspect, Suspects)}
_PLAIN = {int: "number", float: "number", str: "string", bool: "boolean", Path: "string", type(None): "null"}
_UNKNOWN = "unknown"


def record_types(room: str) -> str:
    """An interface for each dataclass of ``room``, as it is in JSON."""
    lines = ["/** What the server answers with, made from dataclasses by tests/ui/answer_types.py. */"]
    for record in RECORDS[room]:
        hints = typing.get_type_hints(record)
        fields = [f"    {field.name}: {_kind(hints[field.name])};" for field in dataclasses.fields(record)]
        lines += ["", f"export interface {record.__name__} {{", *fields, "}"]
    return "\n".join([*lines, ""])


def record_file(room: str) -> Path:
    """Where the types of ``room`` are."""
    return MODULES / room / "records.d.ts"


def _kind(hint: object) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is typing.Any:
        return _UNKNOWN
    if origin in (typing.Union, types.UnionType):
        return "|".join(_kind(argument) for argument in arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(_kind(argument) for argument in arguments)}]"
    if origin in (list, tuple):
        inner = _kind(arguments[0])
        return f"({inner})[]" if "|" in inner else f"{inner}[]"
    if origin in (dict, Mapping):
        return f"Record<string, {_kind(arguments[1])}>"
    if dataclasses.is_dataclass(hint):
        return typing.cast(type, hint).__name__
    return _PLAIN[typing.cast(type, hint)]


if __name__ == "__main__":
    for room_name in RECORDS:
        record_file(room_name).write_text(record_types(room_name), encoding="utf-8")
