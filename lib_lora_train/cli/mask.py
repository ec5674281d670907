"""``mask``: makes masks for the images of a folder."""

from __future__ import annotations

from collections.abc import Callable

from ..config.groups.masking import FACE, IF_MISSING, PREVIEW, SUBJECT
from ..config.mask_job import MaskJob, load_mask_job
from ..runs.folder import MASK, RunFolder
from ..training.reporting.report import Reporter
from .folder_run import PROVIDER_PACKAGES, FolderCommand


def mask_command(arguments: list[str]) -> int:
    """Make masks; returns 0 if the run finished or was stopped properly, 1 if it failed."""
    return _MASK.run(arguments)


def _mask(job: MaskJob, run: RunFolder, stand_still: Callable[[], object], reporter: Reporter) -> bool:
    from ..tagging.masks.run import run_masking

    return run_masking(job, run.state / "masks", run.control.asked, stand_still, reporter)


def _packages(job: MaskJob) -> str | None:
    return {FACE: "opencv", SUBJECT: PROVIDER_PACKAGES.get(job.mask.provider)}.get(job.mask.method)


_MASK = FolderCommand(
    MASK, load_mask_job, "masks", "masks", "in place", "painted", "replace", (IF_MISSING, PREVIEW),
    packages=_packages, downloads=lambda job: job.mask.download, act=_mask)
