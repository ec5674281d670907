"""The errors that this project raises on purpose.

Each message names the thing, its value and the way out, as a sentence that can be shown to a user
as it is. Anything that is not a ``TrainLoraError`` is a bug and is shown with its traceback.

    TrainLoraError
    ├── ConfigError              a setting is unknown, of the wrong type or out of range
    ├── DatasetError             the folder, a picture or a caption cannot be used
    ├── CheckpointError          the base checkpoint, VAE or a LoRA file cannot be used
    ├── TaggerError              a tagger's or mask model's file, or a list of tags, cannot be used
    ├── WorkerEnvironmentError   the worker's packages are missing, half installed or unusable
    ├── WriteError               a file cannot be written; an OSError as well
    └── RunError                 a run cannot start, continue, save or be found
        ├── DivergedError        the loss is not a number, or has exploded
        └── OutOfMemoryError     one step does not fit into the memory
"""

from __future__ import annotations

from collections.abc import Sequence


class TrainLoraError(Exception):
    """Base of every error whose message is meant for the user."""


class ConfigError(TrainLoraError):
    """One or more settings cannot be used; ``problems`` holds one sentence for each."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class DatasetError(TrainLoraError):
    """The dataset folder, a picture in it or a caption file cannot be used."""


class CheckpointError(TrainLoraError):
    """A checkpoint, VAE or LoRA file is missing, damaged or of a kind that is not supported."""


class TaggerError(TrainLoraError):
    """A tagger's or mask model's file, or a list of tags, is missing, damaged or of a kind that is not known."""


class WorkerEnvironmentError(TrainLoraError):
    """The packages that the worker runs on are missing, half installed or unusable."""


class WriteError(TrainLoraError, OSError):
    """A file cannot be written: ``sentence`` names it and the way out; the rest is as in the system's own error.

    ``needed_bytes`` is what was to be written, 0 where that is not known.
    """

    needed_bytes = 0

    def __init__(self, sentence: str, code: int | None, reason: str | None, file: str) -> None:
        OSError.__init__(self, code, reason or sentence, file)
        self._sentence = sentence

    def __new__(cls, sentence: str, code: int | None, reason: str | None, file: str) -> WriteError:
        return OSError.__new__(cls, code, reason or sentence, file)

    def __str__(self) -> str:
        return self._sentence

    def __reduce__(self) -> tuple[type[WriteError], tuple[str, int | None, str | None, str]]:
        return type(self), (self._sentence, self.errno, self.strerror, str(self.filename))


class RunError(TrainLoraError):
    """A run cannot start, continue, save its files or be found."""


class DivergedError(RunError):
    """The loss is no longer a number, or has exploded, so that continuing would spoil what was learned."""


class OutOfMemoryError(RunError):
    """One step of a run does not fit into the memory, whatever is switched on to save some."""
