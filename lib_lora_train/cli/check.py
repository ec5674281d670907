"""``train --check``: reports what a job would do, without training."""

from __future__ import annotations

from pathlib import Path

from ..advice.notes import Surroundings, notes_on
from ..advice.size import read_header
from ..advice.surroundings import PlanFacts, plan_facts
from ..batches.captions import plain_caption
from ..batches.plan import TrainingPlan, fits_of, plan_of
from ..blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS
from ..config.block_lists import list_problems
from ..config.job import Job
from ..errors import CheckpointError, ConfigError
from ..models.prediction import VELOCITY, detect_base
from ..models.tokenizer import Tokenizer, find_vocabulary
from ..pictures.scan import Dataset, scan_dataset
from ..training.precision import resolve_device
from ..training.setup import held_out_plan


def check(job: Job) -> int:
    """Print the steps, what is skipped, and every note; returns 0. Raises ``TrainLoraError`` as the run would."""
    dataset = scan_dataset(job.dataset)
    plan = plan_of(job.dataset, dataset, job.training)
    print(f"{len(dataset.pictures)} images, {plan.steps_per_epoch} steps an epoch, {plan.total_steps} in all.")
    for left_out in dataset.left_out:
        print(f"Left out: {left_out.path}: {left_out.reason}")
    for problem in dataset.problems:
        print(f"{problem.level.capitalize()}: {problem.text}")
    around = _surroundings(job, _facts(job, dataset, plan))
    if around.text_encoders is not None:
        problems = list_problems(job.network, SDXL_BLOCKS if around.text_encoders == 2 else SD1_BLOCKS)
        if problems:
            raise ConfigError(problems)
    for note in notes_on(job, around):
        print(f"Note: {note.text}")
    return 0


def _facts(job: Job, dataset: Dataset, plan: TrainingPlan) -> PlanFacts:
    held_out, tokenizer = held_out_plan(job, dataset), Tokenizer(find_vocabulary())
    longest = max(tokenizer.count_tokens(plain_caption(picture, job.dataset)) for picture in plan.pictures)
    return plan_facts(plan, 0 if held_out is None else len(held_out.pictures),
                      lambda settings: fits_of(settings, plan.pictures), longest)


def _surroundings(job: Job, plan: PlanFacts) -> Surroundings:
    device, checkpoint = resolve_device(job.training.device).type, Path(job.base.checkpoint)
    header = read_header(checkpoint)
    if header is None:
        return Surroundings(device, webui=False, plan=plan)
    shapes, metadata = header
    try:
        family, declared = detect_base(checkpoint, shapes, metadata)
    except CheckpointError as problem:
        print(problem)
        return Surroundings(device, webui=False, shapes=shapes, plan=plan)
    return Surroundings(device, False, family.name, len(family.text_encoders), family.follows_clip_skip,
                        declared is not None and declared.kind == VELOCITY, shapes, plan,
                        checkpoint.with_suffix(".yaml").is_file())
