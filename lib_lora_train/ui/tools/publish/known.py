"""Which folders of this machine are known to be private, and where the user's name stays in what is published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ....errors import ConfigError
from ....runs.folder import RunFolder
from ....runs.job import settings_of
from ...places import home
from ...services import Services
from .choices import CardChoices
from .paths import PrivateFolders
from .private import names_in

_TYPED = {"title": "the title", "trigger": "the trigger word", "description": "the description", "author": "the author",
          "license_text": "the name of the license", "license_link": "the address of the license",
          "base_model": "the base model on the hub", "credits": "the credits"}


def private_folders(services: Services, run: RunFolder | None) -> PrivateFolders:
    """The user's home folder, the webui's folders, recent datasets, and the folders of ``run``."""
    host = services.host
    folders = [*home(), host.data_dir, host.models_dir, host.lora_dir, services.runs_dir, Path.cwd(),
               *(file.path.parent for file in host.checkpoints())]
    real = [os.path.realpath(folder) for folder in folders]
    return PrivateFolders.of([*folders, *real, *services.trigger_words.recent(), *_folders_of(run)])


def _folders_of(run: RunFolder | None) -> Iterator[str]:
    if run is None:
        return
    yield str(run.path)
    try:
        dataset, save = settings_of(run).dataset, settings_of(run).save
    except ConfigError:  # the list of runs names the damaged settings; paths are found by their beginnings
        return
    yield from filter(None, (dataset.train_data_dir, dataset.reg_data_dir, dataset.validation_data_dir,
                             dataset.conditioning_data_dir, save.output_dir))


def names_left(choices: CardChoices, stem: str, markdown: str) -> list[str]:
    """A sentence for each name of this machine's user that stays in the folder, with where it comes from."""
    sentences = []
    for name in names_in(f"{markdown}\n{stem}"):
        typed = [label for field, label in _TYPED.items() if name in names_in(str(getattr(choices, field)))]
        where = [*typed, *(["the LoRA's file name"] if name in names_in(stem) else [])]
        sentences.append(f"Not left out: {name}, your name on this machine, is in {_and(where or ['the card'])}. "
                         f"Change {'it' if len(where) < 2 else 'them'} if you do not want to publish it.")
    return sentences


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
