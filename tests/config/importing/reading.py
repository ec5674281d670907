"""What the import tests share: a machine on which some things exist, and a short way to read and to ask."""

from __future__ import annotations

from lib_lora_train.config.importing.places import missing
from lib_lora_train.config.importing.read import read_settings


class Machine:
    """Files and folders by name; everything else is not there."""

    def __init__(self, there=(), texts=None):
        self.there, self.texts = set(there), dict(texts or {})

    def find(self, kind, path):
        return (path, "") if path in self.there else (None, missing(kind, path))

    def read(self, path):
        return self.texts.get(path)


def read(text, there=(), texts=None):
    return read_settings(text, Machine(there, texts))


def values_of(imported):
    return {f"{group}.{name}": value for group, settings in imported.values.items() for name, value in settings.items()}


def answer_to(imported, option):
    """The only answer for ``option``."""
    found = [answer for answer in imported.answers if answer.option.lstrip("-") == option]
    assert len(found) == 1, (option, [answer.option for answer in imported.answers])
    return found[0]
