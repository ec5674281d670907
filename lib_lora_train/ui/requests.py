"""Requests to the routes, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from .runs.strip_settings import Txt2img


class JobRequest(BaseModel):
    """The form: settings by group and name; missing settings take their defaults.

    ``difficulty`` is the guide's letter for how hard the subject is to learn, empty if unknown. ``txt2img`` holds the
    values of the txt2img form, for samples that the webui generates.
    """

    job: dict[str, Any]
    difficulty: str = ""
    txt2img: Txt2img | None = None


class OverviewRequest(BaseModel):
    """A dataset folder and the dataset settings that decide how it is read."""

    folder: str
    settings: dict[str, Any] = Field(default_factory=dict)


class ControlRequest(BaseModel):
    """``pause``, ``resume``, ``stop``, or ``withdraw`` for a queued run."""

    action: str


class FileRequest(BaseModel):
    """A file that a run has saved."""

    path: str


class ContinueRequest(BaseModel):
    """``resume`` or ``more``, the number of additional epochs, and the factor for the learning rates."""

    how: str = "resume"
    epochs: int = 0
    rate_factor: float | None = None
