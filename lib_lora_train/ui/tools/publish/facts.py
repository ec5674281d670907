"""What a LoRA file says about itself: settings that matter, base, trigger word and origin, and what it does not say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import CheckpointError
from ....files.walk import files_below
from ....networks.lora_facts import from_json, in_words, read_facts, read_lora_header
from ....networks.lora_family import family_of_lora, foreign_model
from ...lora_files import activation_tag
from .paths import NONE_KNOWN, PrivateFolders, without_paths
from .private import names_in, without_name
from .thumbnails import is_data_url

_ENDING = ".safetensors"
_NOTHING = ("", "None", "none", "null")
_LONGEST = 300
_MOST_SOURCES = 20
_OPTIONAL = ("ss_min_snr_gamma", "ss_noise_offset", "ss_seed")
_LABELS = {"ss_min_snr_gamma": "Min-SNR gamma", "ss_noise_offset": "Noise offset", "ss_seed": "Seed"}


@dataclass(frozen=True)
class CardSetting:
    """One row of the table of settings."""

    label: str
    value: str


@dataclass(frozen=True)
class Source:
    """A file that the LoRA was made from. ``how`` is "Continued from" and the like; unknown texts are empty."""

    how: str
    name: str
    title: str = ""
    author: str = ""
    license: str = ""
    found: bool = False


@dataclass(frozen=True)
class LoraStory:
    """What the file says. ``missing`` names what it does not; ``problem`` says why it cannot be read."""

    title: str
    trigger: str = ""
    description: str = ""
    author: str = ""
    license: str = ""
    base: str = ""
    family: str = ""
    version: str = ""
    settings: tuple[CardSetting, ...] = ()
    sources: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""


def story_of(path: Path, loras: Path, known: PrivateFolders = NONE_KNOWN) -> LoraStory:
    """What the LoRA file ``path`` says, without the folders ``known``; sources are looked up in the folder ``loras``.
    Never raises for a bad file.
    """
    if path.suffix.lower() != _ENDING:
        return LoraStory(path.stem, problem=f"{path.name} is an old kind of file without metadata, so only what you "
                                            "write stands on its card.")
    try:
        header, facts, trigger = read_lora_header(path), read_facts(path), activation_tag(path)
    except CheckpointError as error:
        return LoraStory(path.stem, problem=str(error))
    family = family_of_lora(header.shapes, header.metadata)
    metadata = {key: value if is_data_url(value) else known.cut(value) for key, value in header.metadata.items()}
    settings, missing = _settings(metadata)
    base = _said(metadata, "ss_sd_model_name")
    missing += [] if base else ["the base model"]
    missing += [] if trigger else ["a trigger word"]
    return LoraStory(
        _said(metadata, "modelspec.title") or path.stem, trigger,
        _said(metadata, "modelspec.description") or _said(metadata, "ss_training_comment"),
        _said(metadata, "modelspec.author"), _said(metadata, "modelspec.license"),
        re.split(r"[\\/]", base)[-1], family.name if family else foreign_model(header.shapes),
        family.webui_version if family else "", (CardSetting("Network", in_words(facts)), *settings),
        tuple(_sources(metadata, path, loras)), tuple(missing))


def story_without_name(story: LoraStory, kept: str) -> LoraStory:
    """Return ``story`` without the name of this machine's user (``without_name``); an author by that name is empty."""
    def cleared(text: str) -> str:
        return without_name(text, kept)

    return dataclasses.replace(
        story, title=cleared(story.title), description=cleared(story.description), license=cleared(story.license),
        author="" if names_in(story.author) else story.author, base=cleared(story.base),
        settings=tuple(CardSetting(row.label, cleared(row.value)) for row in story.settings),
        sources=tuple(dataclasses.replace(source, name=cleared(source.name), title=cleared(source.title),
                                          author=cleared(source.author), license=cleared(source.license))
                      for source in story.sources))


def _settings(metadata: Mapping[str, str]) -> tuple[list[CardSetting], list[str]]:
    """The rows that the metadata fills, and the labels of those that it does not."""
    rows = {"Optimizer": _said(metadata, "ss_optimizer"), "Learning rates": _rates(metadata),
            "Scheduler": _scheduler(metadata), "Length": _length(metadata), "Batch size": _batch(metadata),
            "Resolution": _said(metadata, "ss_resolution").strip("()").replace(", ", " × "),
            "Images": _images(metadata)}
    missing = [label.lower() for label, value in rows.items() if not value]
    rows |= {_LABELS[key]: _said(metadata, key) for key in _OPTIONAL}
    if (skip := _said(metadata, "ss_clip_skip")) not in ("", "1"):
        rows["Clip skip"] = skip
    return [CardSetting(label, value) for label, value in rows.items() if value], missing


def _rates(metadata: Mapping[str, str]) -> str:
    parts = {"UNet": _said(metadata, "ss_unet_lr"), "text encoder": _said(metadata, "ss_text_encoder_lr")}
    return ", ".join(f"{name} {rate}" for name, rate in parts.items() if rate) or _said(metadata, "ss_learning_rate")


def _scheduler(metadata: Mapping[str, str]) -> str:
    warmup = _said(metadata, "ss_lr_warmup_steps")
    name = _said(metadata, "ss_lr_scheduler")
    return f"{name}, {warmup} warmup steps" if name and warmup not in ("", "0", "0.0") else name


def _length(metadata: Mapping[str, str]) -> str:
    def part(word: str, done: str, all_of: str) -> str:
        reached, total = _said(metadata, done), _said(metadata, all_of)
        if not reached:
            return ""
        return f"{word} {reached} of {total}" if total and total != reached else f"{reached} {word}s"

    parts = part("epoch", "ss_epoch", "ss_num_epochs"), part("step", "ss_steps", "ss_max_train_steps")
    return ", ".join(one for one in parts if one)


def _batch(metadata: Mapping[str, str]) -> str:
    size = _said(metadata, "ss_total_batch_size") or _said(metadata, "ss_batch_size_per_device")
    steps = _said(metadata, "ss_gradient_accumulation_steps")
    return f"{size}, {steps} gradient accumulation steps" if size and steps not in ("", "0", "1", "1.0") else size


def _images(metadata: Mapping[str, str]) -> str:
    """``12 × 10 repeats + 20 × 5 repeats``, without the names of the folders."""
    folders = from_json(metadata.get("ss_dataset_dirs"))
    parts = []
    for folder in folders.values() if isinstance(folders, dict) else ():
        count, repeats = (folder.get(name) if isinstance(folder, dict) else None for name in ("img_count", "n_repeats"))
        if isinstance(count, int) and isinstance(repeats, int) and count > 0:
            parts.append(f"{count} × {repeats} repeat{'' if repeats == 1 else 's'}")
    return " + ".join(parts[:_MOST_SOURCES])


def _said(metadata: Mapping[str, str], key: str) -> str:
    value = metadata.get(key, "").strip()
    return "" if value in _NOTHING else without_paths(value)[:_LONGEST]


def _sources(metadata: Mapping[str, str], path: Path, loras: Path) -> list[Source]:
    """The files that the LoRA was made from, those of ``loras`` with their authors and licenses."""
    named = list(dict.fromkeys((how, re.split(r"[\\/]", name)[-1]) for how, name in _named(metadata) if name))
    if not named:
        return []
    wanted = {name.lower().removesuffix(_ENDING) for _, name in named}
    there: dict[str, Path] = {}
    for entry in files_below(loras):
        found = Path(entry.path)
        if found.suffix.lower() == _ENDING and found.stem.lower() in wanted and found != path:
            there.setdefault(found.stem.lower(), found)
    return [_source(how, name, there.get(name.lower().removesuffix(_ENDING))) for how, name in named[:_MOST_SOURCES]]


def _named(metadata: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    job = from_json(metadata.get("train_lora_job"))
    network: Any = job.get("network") if isinstance(job, dict) else None
    if isinstance(network, dict) and isinstance(network.get("network_weights"), str):
        yield "Continued from", network["network_weights"]
    arguments = from_json(metadata.get("ss_network_args"))
    if isinstance(arguments, dict) and isinstance(arguments.get("network_weights"), str):
        yield "Continued from", arguments["network_weights"]
    for key, how in (("train_lora_resized_from", "Resized from"), ("train_lora_baked_from", "Block weights baked into"),
                     ("train_lora_extracted_from", "Extracted from")):
        yield how, _said(metadata, key)
    recipe = from_json(metadata.get("train_lora_mixed_from"))
    for one in recipe if isinstance(recipe, list) else ():
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield "Mixed from", one["name"]
    merged = metadata.get("modelspec.merged_from", "")
    yield from (("Merged from", name.strip()) for name in merged.split(",") if name.strip() not in _NOTHING)


def _source(how: str, name: str, file: Path | None) -> Source:
    name = without_paths(name)[:_LONGEST]
    if file is None:
        return Source(how, name)
    try:
        said = read_lora_header(file).metadata
    except CheckpointError:  # the card says that nothing is known of it
        return Source(how, name)
    return Source(how, name, _said(said, "modelspec.title"), _said(said, "modelspec.author"),
                  _said(said, "modelspec.license"), found=True)
