"""A loaded tagger: an ONNX session with the preprocessing of its interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from ..config.groups.tagging import TaggerSettings
from ..config.taggers import DEEPDANBOORU, WD14, TaggerFiles
from ..errors import TaggerError
from .preprocess import for_deepdanbooru, for_wd14
from .providers import CPU, choose_providers, in_words
from .tag_list import TagList, read_tag_list

_PREPARE: dict[str, Callable[[Image.Image, int], NDArray[np.float32]]] = {
    WD14: for_wd14, DEEPDANBOORU: for_deepdanbooru}


class Tagger:
    """A tagger. ``batch_size`` is the most images per call; ``provider`` is the one in use."""

    def __init__(self, files: TaggerFiles, settings: TaggerSettings, warn: Callable[[str], None]) -> None:
        """Load the model; ``warn`` takes a message if the requested provider cannot be used.

        Raises ``TaggerError`` if the file is damaged, has another interface, or does not match its list of tags.
        """
        self.name = files.name
        self.tag_list: TagList = read_tag_list(files)
        self._prepare = _PREPARE[files.interface]
        self._session = open_session(files.model, settings.provider, warn)
        self.provider: str = self._session.get_providers()[0]
        self._input, self._output = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self.side, fixed_batch = _read_input(self._input, files.model)
        self.batch_size = fixed_batch or settings.batch_size
        self._fixed_batch = fixed_batch
        _check_output(self._output, len(self.tag_list.tags), files)

    @property
    def runs_on(self) -> str:
        """The provider for messages: ``the CPU``, ``the GPU (CUDA)`` …"""
        return in_words(self.provider)

    def prepare(self, picture: Image.Image) -> NDArray[np.float32]:
        """Preprocess an RGB image for this tagger: float32 (side, side, 3). Thread-safe."""
        return self._prepare(picture, self.side)

    def confidences(self, pictures: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Confidences from 0 to 1, float32 (images, tags), for at most ``batch_size`` preprocessed images.

        Raises ``TaggerError`` if the provider fails, for example when out of GPU memory.
        """
        batch = np.stack(pictures)
        missing = (self._fixed_batch or len(batch)) - len(batch)
        if missing:
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
        try:
            found = self._session.run([self._output.name], {self._input.name: batch})[0]
        except onnx_errors() as problem:
            raise TaggerError(f"The tagger {self.name} failed on {self.runs_on} with {len(batch)} images at once: "
                              f"{problem}. Lower tagger.batch_size, or set tagger.provider to cpu.") from problem
        found = np.asarray(found, np.float32)[:len(pictures)]
        if found.shape != (len(pictures), len(self.tag_list.tags)) or not np.isfinite(found).all():
            raise TaggerError(f"The tagger {self.name} gave an answer of shape {found.shape} that is not a list of "
                              f"confidences for {len(self.tag_list.tags)} tags. Its files do not belong together.")
        return found


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
            raise TaggerError(f"{model} cannot be read as an ONNX model ({problem}). It may be truncated: "
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


def _read_input(node: Any, model: Path) -> tuple[int, int | None]:
    """The image side in pixels, and the batch size if it is fixed."""
    shape, kind = list(node.shape), node.type
    fits = len(shape) == 4 and shape[3] == 3 and isinstance(shape[1], int) and shape[1] == shape[2]
    if not fits or kind != "tensor(float)":
        hint = " Its input has the color channels first, as taggers of other families have it." \
            if len(shape) == 4 and shape[1] == 3 else ""
        raise TaggerError(f"{model} takes {kind} of shape {shape}, and a tagger like WD14 takes tensor(float) of shape "
                          f"[batch, side, side, 3].{hint} Choose another tagger.")
    return int(shape[1]), shape[0] if isinstance(shape[0], int) else None


def _check_output(node: Any, tags: int, files: TaggerFiles) -> None:
    count = node.shape[-1] if node.shape else None
    if isinstance(count, int) and count != tags:
        raise TaggerError(f"{files.model} has {count} outputs, but the list {files.tags} has {tags} tags, so they do "
                          "not belong together. Download both again.")


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]
