"""What the page gets about a run's diagnosis. Types for the page are made from these, by tests/ui/answer_types.py."""

from __future__ import annotations

from dataclasses import dataclass

OFF, WAITING, NONE, MEASURED = "off", "waiting", "none", "measured"


@dataclass(frozen=True)
class ImageNow:
    """The image today: whether it is ``gone`` from its place, its loss weight and repeats, and whether its caption is
    no longer the one it was trained with."""

    gone: bool
    weight: float
    repeats: int
    retagged: bool


@dataclass(frozen=True)
class DiagnosedImage:
    """An image of the run. ``path`` is relative to the dataset's folder, empty for an image elsewhere.

    ``curve`` is its loss at each measured step, the geometric mean over the timesteps; ``suspicion`` is 0 to 1.
    """

    index: int
    path: str
    name: str
    concept: str
    bucket: tuple[int, int] | None
    repeats: int
    suspicion: float
    curve: tuple[float | None, ...]


@dataclass(frozen=True)
class DiagnosedTag:
    """A tag. ``curve`` is its mean effect on its images at each measured step: by how much the loss is higher without
    it, as a share, so that a tag that fits is above 0. ``alarm``: whether it stands out from what is usual in the set.
    """

    tag: str
    images: tuple[int, ...]
    suspicion: float
    alarm: bool
    reason: str
    curve: tuple[float | None, ...]


@dataclass(frozen=True)
class SuspiciousImage:
    """An image in the ranking: ``reason`` is a sentence, ``others`` are images to compare with, ``ways`` what helps.

    ``alarm``: whether it stands out from what is usual in the set.
    """

    image: int
    rank: int
    suspicion: float
    kind: str
    reason: str
    alarm: bool
    others: tuple[int, ...]
    ways: tuple[str, ...]
    now: ImageNow | None


@dataclass(frozen=True)
class BalancePart:
    """How much of the loss of a concept, a bucket or the images with certain repeats has gone: ``learned``, a share.

    ``images`` is their number; ``reason`` may be empty.
    """

    kind: str
    name: str
    learned: float
    images: int
    reason: str


@dataclass(frozen=True)
class Diagnosis:
    """A run's diagnosis. ``state`` is ``off``, ``waiting`` (for the first measurement), ``none`` or ``measured``.

    ``folder`` is the dataset's, empty if its images cannot be shown; ``problems`` and ``left_out`` are sentences about
    files that cannot be used and about what was not measured. ``typical`` is the
    median loss of the images at each of ``steps``, ``found_step`` the step of the findings.
    """

    state: str
    folder: str = ""
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    epochs: tuple[int, ...] = ()
    seconds: float = 0.0
    typical: tuple[float | None, ...] = ()
    images: tuple[DiagnosedImage, ...] = ()
    tags: tuple[DiagnosedTag, ...] = ()
    findings: tuple[SuspiciousImage, ...] = ()
    balance: tuple[BalancePart, ...] = ()
    found_step: int | None = None


@dataclass(frozen=True)
class TagEffect:
    """The loss of one image with a tag and without it, at the last measurement."""

    tag: str
    with_tag: float
    without: float


@dataclass(frozen=True)
class ImageDetail:
    """More about one image: the ``caption`` it was trained with, its loss without a caption at each measured step, its
    last loss at each of ``timesteps``, and the effect of each of its tags."""

    index: int
    caption: str
    empty: tuple[float | None, ...]
    timesteps: tuple[int, ...]
    losses: tuple[float | None, ...]
    tags: tuple[TagEffect, ...]
