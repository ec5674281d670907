"""Notes shown beside a field about its current value: the optimizer, the file size per rank, what slows training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..config.change import changed
from ..config.job import Job
from ..config.optimizer_facts import OPTIMIZERS
from .families import FamilyAdvice
from .of_job import dampening_of
from .size import lora_file_bytes
from .surroundings import Note

_ARROWS_WORTH_A_WORD = 1.0
_MB = 1_000_000


def choice_notes(job: Job, family: FamilyAdvice, shapes: Mapping[str, Sequence[int]]) -> Iterator[Note]:
    """Notes on the optimizer and its memory, the file size per rank, and settings that slow learning, with their
    benefit.

    ``shapes`` are the checkpoint's tensors, empty if unknown.
    """
    facts = OPTIMIZERS[job.optimizer.optimizer_type]
    yield Note("optimizer.optimizer_type", f"{job.optimizer.optimizer_type}: {facts.note}. Memory: {facts.memory}.")
    each = bytes_of_a_rank(job, shapes)
    if each is not None:
        yield Note("network.network_dim", f"On this checkpoint each rank takes about {each / _MB:.2f} MB of the file.")
    for brake in dampening_of(job, family).brakes:
        if brake.arrows >= _ARROWS_WORTH_A_WORD:
            yield Note(brake.setting, f"Slows learning and {brake.effect}.")


def bytes_of_a_rank(job: Job, shapes: Mapping[str, Sequence[int]]) -> float | None:
    """File size per rank, averaged from half of ``network_dim`` to all of it, computed for the checkpoint.

    ``None`` if it is unknown or does not depend on the rank.
    """
    dim = job.network.network_dim
    if dim < 2 or job.network.block_dims or job.network.network_weights:
        return None
    half = changed(job, {"network.network_dim": dim // 2, "network.network_alpha": 0.0})
    sizes = [lora_file_bytes(shapes, one.network, job.save.save_precision) for one in (half, job)]
    if sizes[0] is None or sizes[1] is None or sizes[0] == sizes[1]:
        return None
    return (sizes[1] - sizes[0]) / (dim - dim // 2)
