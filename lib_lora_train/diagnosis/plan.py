"""Which images and captions are measured at which point of a run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from ..batches.captions import plain_caption
from ..batches.plan import TrainingPlan
from ..batches.timeline import Timeline
from ..config.job import Job
from ..pictures.caption_files import split_tags
from ..pictures.problems import count_of
from ..runs.diagnosis.records import DiagnosisPlan, PlannedImage
from .copies import alike_groups
from .images import EMPTY, SWAP, TAG, CaptionTest, MeasuredImages, caption_without

VISITS = 12
"""Predictions for each image in the whole run, at least: its loss at three points and two other captions."""
FEWEST = 8
"""Fewer images cannot be compared with each other."""
MOST_TAG_TESTS = 200
"""Captions without a tag that are encoded ahead, if captions are encoded before the first step."""


SWAPS = 4
"""Captions of other images that an image is measured with."""

def planned_images(job: Job, plan: TrainingPlan, images: MeasuredImages) -> tuple[PlannedImage, ...]:
    """The training images of ``plan``, without regularization images."""
    found = []
    for index in range(images.count):
        picture, caption, bucket = plan.pictures[index], images.caption(index), images.bucket(index)
        found.append(PlannedImage(index, str(picture.path), caption,
                                  tuple(split_tags(caption, job.dataset.caption_separator)), picture.concept,
                                  (bucket.width, bucket.height), picture.repeats))
    return tuple(found)


def plan_for(job: Job, timeline: Timeline, images: MeasuredImages, timesteps: Sequence[int], predictions: int,
             between: Callable[[], object]) -> DiagnosisPlan:
    """What is measured with ``predictions`` in the whole run. ``between`` is called before each image is read."""
    plan = timeline.first.plan
    described = planned_images(job, plan, images)
    measured = chosen_images(len(described), predictions, job.training.seed)
    left_out = []
    if len(measured) < len(described):
        left_out.append(f"{len(measured)} of {len(described)} images are measured at each save: there is no time for "
                        f"more in {job.diagnosis.diagnosis_share:g} % of this run. Raise diagnosis.diagnosis_share to "
                        "measure more of them.")
    later, groups = later_images(timeline), alike_groups(images.read(between), images.fine, between)
    return DiagnosisPlan(plan.fingerprint, described, tuple(timesteps), measured,
                         tuple(group.images for group in groups), (*left_out, *_of_phases(timeline, len(later))),
                         later, tuple(group.likeness for group in groups))


def later_images(timeline: Timeline) -> tuple[str, ...]:
    """The paths of training images that are not in the first phase, but in a later one."""
    first = set(_paths(timeline.first.plan))
    return tuple(path for path in dict.fromkeys(path for phase in timeline.phases[1:] for path in _paths(phase.plan))
                 if path not in first)


def judged_until(timeline: Timeline) -> int:
    """The steps for which all images of the first phase are trained on, each at the same size.

    After them, losses differ by what a phase trains on, and no longer by what is wrong with an image.
    """
    first = timeline.first.plan
    for phase in timeline.phases[1:]:
        if _paths(phase.plan) != _paths(first) or phase.plan.fits != first.fits:
            return phase.first_step
    return timeline.total_steps


def _of_phases(timeline: Timeline, later: int) -> list[str]:
    """What the diagnosis of a run with training phases does not say, as sentences."""
    until = judged_until(timeline)
    if until == timeline.total_steps:
        return []
    other = next(phase for phase in timeline.phases[1:] if phase.first_step == until)
    found = ["Everything is measured on the images of the first phase, at their sizes there. What stands out is judged "
             f"until step {until:,}: from there on, the phase “{other.title}” trains on other images or at other "
             "sizes, so losses no longer fall alike. The curves continue."]
    if later:
        found.append(f"{count_of(later, 'image')} of later phases {'is' if later == 1 else 'are'} not measured. To "
                     "judge them, train a short run on their folder alone.")
    return found


def _paths(plan: TrainingPlan) -> list[str]:
    return [str(picture.path) for picture in plan.pictures if not picture.regularization]


def chosen_images(images: int, predictions: int, seed: int) -> tuple[int, ...]:
    """The images that are measured with ``predictions`` in the whole run: all, or a fixed random part of them."""
    count = min(images, max(FEWEST, (predictions - images) // VISITS))
    order = list(range(images))
    random.Random(f"diagnosis:{seed}").shuffle(order)
    return tuple(sorted(order[:count]))


def tests_of(plan: DiagnosisPlan, trigger: Sequence[str], seed: int) -> list[CaptionTest]:
    """The tests of captions, in the order in which they are made: round by round, each with all measured images.

    The trigger word is not tested. Tags that several images have come first, since there are others to compare with.
    """
    counts = Counter(tag for image in plan.images for tag in set(image.tags))
    rounds: list[list[CaptionTest]] = []
    for index in plan.measured:
        image, rng = plan.images[index], random.Random(f"tests:{seed}:{index}")
        swaps = [CaptionTest(SWAP, index, other.index) for other in plan.images if other.caption != image.caption]
        tags = [CaptionTest(TAG, index, tag=tag) for tag in dict.fromkeys(image.tags) if tag not in trigger]
        rng.shuffle(swaps)
        rng.shuffle(tags)
        tags.sort(key=lambda test: counts[test.tag] < 2)
        for number, test in enumerate(_alternating(swaps[:SWAPS], tags, CaptionTest(EMPTY, index))):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(test)
    return [test for one in rounds for test in one]


def _alternating(swaps: Sequence[CaptionTest], tags: Sequence[CaptionTest], empty: CaptionTest) -> list[CaptionTest]:
    found = [test for number in range(max(len(swaps), len(tags)))
             for test in (*swaps[number:number + 1], *tags[number:number + 1])]
    return [*found[:4], empty, *found[4:]]


def triggers_of(job: Job) -> list[str]:
    """The tags of the trigger word."""
    return split_tags(job.dataset.activation_tag, job.dataset.caption_separator)


def captions_ahead(job: Job, plan: TrainingPlan) -> list[str]:
    """Captions without a tag, and the empty one, to be encoded before the first step: at most ``MOST_TAG_TESTS``."""
    found = [""]
    pictures = [picture for picture in plan.pictures if not picture.regularization]
    random.Random(f"ahead:{job.training.seed}").shuffle(pictures)
    for picture in pictures:
        caption = plain_caption(picture, job.dataset)
        found += [caption_without(caption, tag, job.dataset)
                  for tag in split_tags(caption, job.dataset.caption_separator) if tag not in triggers_of(job)]
    return list(dict.fromkeys(found))[:MOST_TAG_TESTS]
