"""What routes are sent, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from .runs.strip_settings import Txt2img


class JobRequest(BaseModel):
    """The form: settings by group and name; what is not given takes its default.

    ``difficulty`` is the guide's letter for how hard it is to learn what is trained, empty if nobody has said.
    ``txt2img`` holds the values of txt2img's form, for samples that the webui generates.
    """

    job: dict[str, Any]
    difficulty: str = ""
    txt2img: Txt2img | None = None


class LookRequest(BaseModel):
    """A dataset folder, and the dataset settings that decide how it is read."""

    folder: str
    settings: dict[str, Any] = Field(default_factory=dict)


class ControlRequest(BaseModel):
    """``pause``, ``resume``, ``stop``, or ``withdraw`` for a run that waits in the queue."""

    action: str


class FileRequest(BaseModel):
    """A file that a run has saved."""

    path: str


class ContinueRequest(BaseModel):
    """``resume`` or ``more``, how many epochs more, and what the learning rates are multiplied with."""

    how: str = "resume"
    epochs: int = 0
    rate_factor: float | None = None
