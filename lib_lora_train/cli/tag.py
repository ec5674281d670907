"""``tag``: captions the images of a folder with a tagger."""

from __future__ import annotations

from collections.abc import Callable

from ..config.groups.tagging import IF_EMPTY
from ..config.tag_job import TagJob, load_tag_job
from ..runs.folder import TAG, RunFolder
from ..training.reporting.report import Reporter
from .folder_run import PROVIDER_PACKAGES, FolderCommand


def tag_command(arguments: list[str]) -> int:
    """Tag; returns 0 if the run finished or was stopped properly, 1 if it failed."""
    return _TAG.run(arguments)


def _tag(job: TagJob, run: RunFolder, stand_still: Callable[[], object], reporter: Reporter) -> bool:
    from ..tagging.run import run_tagging

    return run_tagging(job, run.state / "tags.jsonl", run.control.asked, stand_still, reporter)


_TAG = FolderCommand(
    TAG, load_tag_job, "tags", "captions", "written", "edited", "change", (IF_EMPTY,),
    packages=lambda job: PROVIDER_PACKAGES.get(job.tagger.provider),
    downloads=lambda job: job.tagger.download or job.prose.download, act=_tag)
