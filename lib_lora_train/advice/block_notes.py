"""Notes on block lists, where their treatment is not obvious from the list."""

from __future__ import annotations

from collections.abc import Iterator

from ..blocks.lists import for_blocks, named_numbers, rate_sentences, read_blocks
from ..blocks.of_file import SD1_BLOCKS, SDXL_BLOCKS, BlockSet
from ..config.block_lists import BLOCK_LISTS
from ..config.groups.network import IA3, LIERLA
from ..config.job import Job
from ..config.optimizer_args import has_one_rate
from .surroundings import Note, Surroundings


def block_notes(job: Job, around: Surroundings) -> Iterator[Note]:
    """Numbers below 0 and above 1, presets of another family, blocks that a list does not name, scaled alphas."""
    network, key = job.network, "network.block_lr_weight"
    for sentence in rate_sentences(network.block_lr_weight):
        yield Note(key, f"{key}: {sentence}")
    rates = read_blocks(network.block_lr_weight) or {}
    if {*rates.values()} - {0.0, 1.0} and has_one_rate(job.optimizer) and network.network_type != IA3:
        beside = " The magnitudes of DoRA have no alpha and learn at the full rate." if network.dora_wd else ""
        yield Note(key, f"{key}: {job.optimizer.optimizer_type} supports only one rate, so the alpha of each block is "
                        f"scaled instead, and its weights change in proportion.{beside}")
    if around.text_encoders is not None:
        blocks = SDXL_BLOCKS if around.text_encoders == 2 else SD1_BLOCKS
        for name in BLOCK_LISTS:
            yield from _about_list(job, name, blocks)


def _about_list(job: Job, name: str, blocks: BlockSet) -> Iterator[Note]:
    text, key = getattr(job.network, name), f"network.{name}"
    translated = for_blocks(text, blocks)
    if translated != text:
        yield Note(key, f"{key}: for {blocks.family}, {text} is {translated}.")
    named, values = named_numbers(text), read_blocks(text) or {}
    missing = [block for block in blocks.full if named and block not in named]
    if missing and job.network.network_type not in (LIERLA, IA3):
        what = "learn at the full rate, as all others do" if values[missing[0]] else "are not trained"
        yield Note(key, f"{key} names {len(named)} blocks; {', '.join(missing)} {what}.")
