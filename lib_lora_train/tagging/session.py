"""A loaded tagger: an ONNX session with the preprocessing of its interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from ..config.groups.tagger import LOGITS, NCHW
from ..config.groups.tagging import TaggerSettings
from ..config.taggers import TaggerFiles
from ..errors import TaggerError
from .interface import interface_of
from .preprocess import prepared
from .providers import CPU, choose_providers, in_words
from .tag_list import TagList, read_tag_list
from .thresholds import with_thresholds_file

_MASK_TYPES = {"tensor(bool)": np.bool_, "tensor(float)": np.float32, "tensor(int64)": np.int64,
               "tensor(int32)": np.int32, "tensor(uint8)": np.uint8}


class Tagger:
    """A tagger. ``batch_size`` is the most images per call; ``provider`` is the one in use."""

    def __init__(self, files: TaggerFiles, settings: TaggerSettings, warn: Callable[[str], None]) -> None:
        """Load the model; ``warn`` takes a message if the requested provider cannot be used.

        Raises ``TaggerError`` if the file is damaged, has an interface that is not known, or does not match its list of
        tags.
        """
        self.name = files.name
        self._warn = warn
        self._session = open_session(files.model, settings.provider, warn)
        self.provider: str = self._session.get_providers()[0]
        self._interface = interface_of(files, self._session.get_inputs(), self._session.get_outputs())
        self.description = description = self._interface.description
        self.tag_list: TagList = read_tag_list(files.tags, description)
        if description.files.thresholds:
            self.tag_list = with_thresholds_file(self.tag_list, files.model.with_name(description.files.thresholds),
                                                 description)
        self.side = self._interface.side
        self._fixed_batch = self._interface.batch
        self.batch_size = self._fixed_batch or settings.batch_size
        self._checked_values = False
        _check_output(self._interface.output, len(self.tag_list.tags), files)
        if description.source.note:
            warn(description.source.note)

    @property
    def runs_on(self) -> str:
        """The provider for messages: ``the CPU``, ``the GPU (CUDA)`` …"""
        return in_words(self.provider)

    def prepare(self, picture: Image.Image) -> NDArray[np.float32]:
        """Preprocess an RGB image for this tagger, see ``preprocess.prepared``. Thread-safe."""
        return prepared(picture, self.side, self.description.image, self._interface.mask is not None)

    def confidences(self, pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Confidences from 0 to 1, float32 (images, tags), for at most ``batch_size`` preprocessed images.

        Raises ``TaggerError`` if the provider fails, for example when out of GPU memory.
        """
        batch = np.stack(pictures)
        missing = (self._fixed_batch or len(batch)) - len(batch)
        if missing:
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
        try:
            found = self._session.run([self._interface.output.name], self._fed(batch))[0]
        except onnx_errors() as problem:
            raise TaggerError(f"The tagger {self.name} failed on {self.runs_on} with {len(batch)} images at once: "
                              f"{problem}. Lower tagger.batch_size, or set tagger.provider to cpu.") from problem
        found = np.asarray(found, np.float32)[:len(pictures)]
        if found.shape != (len(pictures), len(self.tag_list.tags)):
            raise TaggerError(f"The tagger {self.name} gave an answer of shape {found.shape} that is not a list of "
                              f"confidences for {len(self.tag_list.tags)} tags. Its files do not belong together.")
        return self._as_confidences(found)

    def _fed(self, batch: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The model's inputs for a batch of ``prepare``'s arrays."""
        mask = self._interface.mask
        if mask is None:
            return {self._interface.image.name: batch}
        channels_first = self.description.image.layout == NCHW
        images, padding = (batch[:, :3], batch[:, 3]) if channels_first else (batch[..., :3], batch[..., 3])
        if len(mask.shape) == 4:
            padding = padding[:, None] if mask.shape[1] == 1 else padding[..., None]
        return {self._interface.image.name: np.ascontiguousarray(images),
                mask.name: padding.astype(_MASK_TYPES.get(mask.type, np.float32))}

    def _as_confidences(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's answer from 0 to 1; what is not a number counts as 0, with a warning."""
        invalid = np.isnan(found)
        logits = self.description.model.values == LOGITS
        least, most = (float(found[~invalid].min()), float(found[~invalid].max())) if not invalid.all() else (0.0, 0.0)
        if invalid.all() or (not logits and invalid.any()):
            raise TaggerError(f"The tagger {self.name} gave values that are not numbers, on {self.runs_on}. Set "
                              "tagger.provider to cpu, or download its model again.")
        if not logits and (least < -0.001 or most > 1.001):
            raise TaggerError(f"The tagger {self.name} gave values from {least:.3g} to {most:.3g}, which are not "
                              "probabilities from 0 to 1. Write model: {values: logits} into its description.")
        if not self._checked_values:
            self._checked_values = True
            if invalid.any():
                self._warn(f"{invalid.sum()} of the {found.size} values that the tagger {self.name} gave are not "
                           "numbers. They count as confidence 0.")
            if logits and least >= 0 and most <= 1:
                self._warn(f"All values that the tagger {self.name} gave are between 0 and 1, as if they were "
                           "probabilities, but its description says logits. If it tags almost everything, write model: "
                           "{values: probabilities} into its description.")
        if logits:
            found = np.asarray(1 / (1 + np.exp(-np.clip(found, -80, 80))), np.float32)
        return np.where(invalid, np.float32(0), np.clip(found, 0, 1)).astype(np.float32)


def open_session(model: Path, wanted: str, warn: Callable[[str], None],
                 kind: str = "tagger") -> onnxruntime.InferenceSession:
    """A session of the ONNX file ``model`` on the provider ``wanted`` or, with a warning, on another.

    ``kind`` is what the messages call the model. Raises ``TaggerError`` if the file cannot be read.
    """
    choice = choose_providers(wanted, onnxruntime.get_available_providers())
    if choice.fallback:
        warn(choice.fallback)
    if "CUDAExecutionProvider" in choice.providers and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # finds CUDA and cuDNN in torch's folders
    for provider in choice.providers:
        session = _try_provider(model, provider, warn, kind)
        if session is not None:
            return session
    raise TaggerError(f"The {kind} {model} could not be started on {in_words(choice.providers[-1])}.")


def _try_provider(model: Path, provider: str, warn: Callable[[str], None],
                  kind: str) -> onnxruntime.InferenceSession | None:
    """A session on ``provider``; ``None``, with a warning, if it does not start and another can be tried."""
    options = onnxruntime.SessionOptions()
    # Otherwise its threads busy-wait on the cores that decode the next images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == "DmlExecutionProvider":  # DirectML requires both
        options.enable_mem_pattern = False
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    providers = [provider] if provider == CPU else [provider, CPU]
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=providers)
    except onnx_errors() as problem:
        if provider == CPU:
            why = str(problem).rsplit("failed:", 1)[-1].strip().rstrip(".")  # before that, it repeats the path
            raise TaggerError(f"{model} cannot be read as an ONNX model ({why}). It may be truncated: "
                              "delete it and download it again.") from problem
        warn(f"{_capitalised(in_words(provider))} cannot be used for the {kind}: {problem}")
        return None
    if session.get_providers()[0] == provider:
        return session
    warn(f"{_capitalised(in_words(provider))} was there but could not be started; most often the CUDA or cuDNN that "
         "onnxruntime was built for is missing. The log says which library. The run continues on the CPU.")
    return session if session.get_providers()[0] == CPU else None


def onnx_errors() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime, which have no common base class but ``Exception``."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = ("EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "ModelLoaded",
             "NoModel", "NoSuchFile", "NotImplemented", "RuntimeException")
    return (*(getattr(state, name) for name in names if hasattr(state, name)), RuntimeError, ValueError)


def _check_output(node: Any, tags: int, files: TaggerFiles) -> None:
    count = node.shape[-1] if node.shape else None
    if isinstance(count, int) and count != tags:
        raise TaggerError(f"{files.model} has {count} outputs, but the list {files.tags} has {tags} tags, so they do "
                          "not belong together. Download both again.")


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]
