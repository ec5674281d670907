"""Requests to the routes, as JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from .runs.strip_settings import Txt2img


class JobRequest(BaseModel):
    """The form: settings by group and name; missing settings take their defaults.

    ``difficulty`` is the guide's letter for how hard the subject is to learn, empty if unknown; ``images_wanted`` is
    how many images a plan wants the run to see, 0 without one. ``txt2img`` holds the values of the txt2img form, for
    samples that the webui generates. ``edited`` is the queued run whose settings these are, empty for a new one.
    """

    job: dict[str, Any]
    difficulty: str = ""
    images_wanted: int = Field(default=0, ge=0, le=1_000_000_000)
    edited: str = ""
    txt2img: Txt2img | None = None


class GoalRequest(BaseModel):
    """The form, and the answers to the questions of a goal: settings of ``GoalSettings``."""

    job: dict[str, Any]
    goal: dict[str, Any] = Field(default_factory=dict)


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
