"""``train --check``: reports what a job would do, without training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..advice.notes import Surroundings, notes_on
from ..advice.size import read_header
from ..advice.surroundings import PlanFacts, plan_facts
from ..batches.captions import plain_caption
from ..batches.plan import TrainingPlan, fits_of
from ..batches.timeline import timeline_of
from ..blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS
from ..config.block_lists import list_problems
from ..config.job import Job
from ..config.phases.effective import phases_of
from ..errors import CheckpointError, ConfigError
from ..models.prediction import VELOCITY, detect_base
from ..models.tokenizer import Tokenizer, find_vocabulary
from ..pictures.scan import Dataset, scan_dataset
from ..training.phases.report import phase_lines, prefix_of
from ..training.precision import resolve_device
from ..training.setup import held_out_plan


def check(job: Job) -> int:
    """Print the steps, what is skipped, and every note; returns 0. Raises ``TrainLoraError`` as the run would."""
    dataset = scan_dataset(job.dataset)
    timeline = timeline_of(job, scan_dataset, dataset)
    plan = timeline.first.plan
    print(f"{len(dataset.pictures)} images, {plan.steps_per_epoch} steps an epoch, {timeline.total_steps} in all.")
    for line in phase_lines(timeline):
        print(line)
    for left_out in dataset.left_out:
        print(f"Left out: {left_out.path}: {left_out.reason}")
    said: set[str] = set()

    def say(level: str, settings: str, text: str) -> None:
        if text not in said:
            said.add(text)
            print(f"{level}: {settings}{text}")

    for phase in timeline.phases:
        for problem in phase.dataset.problems:
            say(problem.level.capitalize(), prefix_of(phase.settings), problem.text)
    around = _surroundings(job)
    if around.text_encoders is not None:
        blocks = SDXL_BLOCKS if around.text_encoders == 2 else SD1_BLOCKS
        problems = [problem for phase in phases_of(job) for problem in list_problems(phase.job.network, blocks)]
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))
    for phase in timeline.phases:
        facts = dataclasses.replace(_facts(phase.job, phase.dataset, phase.plan, partial(say, "Warning", "")),
                                    total_steps=timeline.total_steps, epochs=timeline.epochs)
        settings = phase.job if phase.number > 1 else job
        for note in notes_on(settings, dataclasses.replace(around, plan=facts)):
            say("Note", prefix_of(phase.settings), note.text)
    return 0


def _facts(job: Job, dataset: Dataset, plan: TrainingPlan, warn: Callable[[str], object]) -> PlanFacts:
    held_out, tokenizer = held_out_plan(job, dataset, warn), Tokenizer(find_vocabulary())
    longest = max(tokenizer.count_tokens(plain_caption(picture, job.dataset)) for picture in plan.pictures)
    return plan_facts(plan, 0 if held_out is None else len(held_out.pictures),
                      lambda settings: fits_of(settings, plan.pictures), longest, dataset.pictures)


def _surroundings(job: Job) -> Surroundings:
    device, checkpoint = resolve_device(job.training.device).type, Path(job.base.checkpoint)
    header = read_header(checkpoint)
    if header is None:
        return Surroundings(device, webui=False)
    shapes, metadata = header
    try:
        family, declared = detect_base(checkpoint, shapes, metadata)
    except CheckpointError as problem:
        print(problem)
        return Surroundings(device, webui=False, shapes=shapes)
    return Surroundings(device, False, family.name, len(family.text_encoders), family.follows_clip_skip,
                        declared is not None and declared.kind == VELOCITY, shapes,
                        yaml_beside=checkpoint.with_suffix(".yaml").is_file())
