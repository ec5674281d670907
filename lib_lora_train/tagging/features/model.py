"""A loaded model of image features: an image's embedding, and the likeness of images by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ...config.groups.features import CROP
from ...config.groups.tagger import NCHW, NHWC, ImageDescription
from ...config.groups.tagger import STRETCH as STRETCHED
from ...errors import TaggerError
from ..preprocess import prepared
from ..providers import in_words
from ..session import onnx_errors, open_session
from .files import FeatureFiles

USUAL_SIDE = 224
"""Of CLIP, SigLIP and DINO, if neither the model nor its description fixes it."""
_POOLED = ("image_embeds", "pooler_output")
_TYPES: dict[str, type[np.float32] | type[np.float16]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

Embedding = NDArray[np.float32]


class FeatureModel:
    """A model of image features. ``words`` are its ``name`` and how images are prepared."""

    def __init__(self, files: FeatureFiles, provider: str, warn: Callable[[str], None]) -> None:
        """Load the model. Raises ``TaggerError`` if it is damaged, or takes something other than an image."""
        self._files = files
        self._session = open_session(files.model, provider, warn, "model of image features")
        inputs = self._session.get_inputs()
        layout = _layout(inputs)
        if layout is None:
            raise TaggerError(f"{files.model} takes {_in_words(inputs)}, not one image. Use the part of the model for "
                              "images, often called vision_model.onnx.")
        self._input = inputs[0]
        self._side = _side(self._input, layout, files)
        self._image = ImageDescription(layout, self._side, STRETCHED, "bicubic", [], "rgb", 255.0, files.mean,
                                       files.std)
        self.name = files.name
        self.words = f"{files.name} ({self._side} pixels, {files.words})"

    def embedding(self, picture: Image.Image) -> Embedding:
        """The features of an RGB image: float32 (features,) of length 1. Raises ``TaggerError`` if the model fails."""
        if self._files.resize == CROP:
            picture = ImageOps.fit(picture, (self._side, self._side), Image.Resampling.BICUBIC)
        pixels = prepared(picture, self._side, self._image).astype(_TYPES[self._input.type])
        count = self._input.shape[0] if isinstance(self._input.shape[0], int) else 1
        try:
            answers = self._session.run(None, {self._input.name: np.repeat(pixels[None], count, axis=0)})
        except onnx_errors() as problem:
            raise TaggerError(f"{self._files.model} failed on {in_words(self._session.get_providers()[0])}: {problem}. "
                              f"If it takes another size than {self._side} pixels, write size: NUMBER into "
                              f"{self._files.model.with_suffix('.yaml').name} beside it.") from problem
        named = {node.name: np.asarray(answer) for node, answer in
                 zip(self._session.get_outputs(), answers, strict=True)}
        found = pooled(named, self._files)
        length = float(np.linalg.norm(found))
        if not np.isfinite(length) or not length:
            raise TaggerError(f"{self._files.model} gave features that are 0 or not numbers.")
        return (found / length).astype(np.float32)


def pooled(answers: Mapping[str, NDArray[Any]], files: FeatureFiles) -> NDArray[np.float64]:
    """The features in the ``answers`` for the first image: those of a 2-D output, or the mean of a 3-D one's tokens.

    Raises ``TaggerError`` if there is neither, or no output of the name in the description.
    """
    if files.output and files.output not in answers:
        raise TaggerError(f"{files.model} has no output {files.output!r}. It has: {', '.join(answers)}.")
    names = [files.output] if files.output else [*(name for name in _POOLED if name in answers), *answers]
    for dimensions in (2, 3):
        for name in names:
            if answers[name].ndim == dimensions:
                first: NDArray[np.float64] = answers[name][0].astype(np.float64)
                return first if dimensions == 2 else first.mean(axis=0)
    shapes = ", ".join(f"{name} {list(answer.shape)}" for name, answer in answers.items())
    raise TaggerError(f"{files.model} gives {shapes}: neither (images, features) nor (images, tokens, features).")


def likenesses(samples: Sequence[Embedding], trained: Sequence[Embedding]) -> tuple[float, float]:
    """The mean over ``samples`` of the cosine to the nearest of ``trained``, and of the mean cosine to all of them."""
    cosines = np.stack(list(samples)) @ np.stack(list(trained)).T
    return float(cosines.max(axis=1).mean()), float(cosines.mean())


def _layout(inputs: Sequence[Any]) -> str | None:
    if len(inputs) != 1 or inputs[0].type not in _TYPES or len(inputs[0].shape) != 4:
        return None
    _, first, _, last = inputs[0].shape
    if last == 3:
        return NHWC
    return NCHW if first == 3 or not isinstance(first, int) else None


def _side(image: Any, layout: str, files: FeatureFiles) -> int:
    sides = image.shape[2:] if layout == NCHW else image.shape[1:3]
    fixed = {side for side in sides if isinstance(side, int)}
    wanted = files.size or next(iter(fixed), USUAL_SIDE)
    if fixed - {wanted}:
        raise TaggerError(f"{files.model} takes images of {' x '.join(map(str, sides))} pixels, not a square of "
                          f"{wanted}. Correct size in its description, or use another model.")
    return int(wanted)


def _in_words(nodes: Sequence[Any]) -> str:
    return ", ".join(f"{node.name} {node.type} {list(node.shape)}" for node in nodes)
