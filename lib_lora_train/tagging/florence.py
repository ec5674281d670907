"""Florence-2 (Xiao et al. 2023, arXiv 2311.06242) as four ONNX files: it describes an image in one or more sentences.

The image's features and the embedded question go through an encoder; a decoder answers token by token, always with the
likeliest one (greedy). The files are those of onnx-community/Florence-2-base.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from ..config.groups.tagging import DETAILED, PARAGRAPH, SHORT, TaggerSettings
from ..config.taggers import CaptionerFiles
from ..errors import TaggerError
from .providers import in_words
from .session import onnx_errors, open_session

_SIDE = 768
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_QUESTIONS = {SHORT: "What does the image describe?", DETAILED: "Describe in detail what is shown in the image.",
              PARAGRAPH: "Describe with a paragraph what is shown in the image."}
"""The questions that Florence-2 was trained with, for <CAPTION>, <DETAILED_CAPTION> and <MORE_DETAILED_CAPTION>."""
_MOST_TOKENS = {SHORT: 64, DETAILED: 160, PARAGRAPH: 320}
_BEGIN, _END = 0, 2
"""The tokens ``<s>``, which every answer begins with, and ``</s>``, which the decoder is started with and ends with."""
_NO_REPEATED = 3
"""No three tokens occur twice in an answer, as in the model's own generation settings."""
_FLOAT, _INT = np.float32, np.int64
Arrays = dict[str, NDArray[Any]]


class Florence:
    """A loaded captioner. ``provider`` is the one in use."""

    name = "Florence-2"

    def __init__(self, files: CaptionerFiles, settings: TaggerSettings, detail: str,
                 warn: Callable[[str], None]) -> None:
        """Load the files. Raises ``TaggerError`` if one is damaged or has other inputs or outputs."""
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        except Exception as problem:  # the tokenizers library raises plain exceptions
            raise TaggerError(f"{files.tokenizer} cannot be read ({problem}). Download it again.") from problem
        self._vision = _Part(files.vision, settings, warn, ["pixel_values"], 1)
        self._embedding = _Part(files.embedding, settings, warn, ["input_ids"], 1)
        self._encoder = _Part(files.encoder, settings, warn, ["attention_mask", "inputs_embeds"], 1)
        self._decoder = _Part(files.decoder, settings, warn,
                              ["encoder_attention_mask", "encoder_hidden_states", "inputs_embeds"])
        self.provider: str = self._decoder.provider
        self._question = np.array([self._tokenizer.encode(_QUESTIONS[detail]).ids], _INT)
        self._most_tokens = _MOST_TOKENS[detail]
        side = self._vision.inputs["pixel_values"].shape[-1]
        self._side = side if isinstance(side, int) else _SIDE

    @property
    def runs_on(self) -> str:
        """The provider for messages."""
        return in_words(self.provider)

    def prepare(self, picture: Image.Image) -> NDArray[np.float32]:
        """An RGB image as the model takes it: float32 (3, side, side), resized without keeping its ratio."""
        resized = picture.resize((self._side, self._side), Image.Resampling.BICUBIC)
        pixels = np.asarray(resized, _FLOAT) / 255
        normal = (pixels - np.asarray(_MEAN, _FLOAT)) / np.asarray(_STD, _FLOAT)
        return np.ascontiguousarray(normal.transpose(2, 0, 1))

    def describe(self, pixels: NDArray[np.float32]) -> str:
        """The description of a prepared image. Raises ``TaggerError`` if the provider fails."""
        features = self._vision.run({"pixel_values": pixels[None]})[0]
        inputs = np.concatenate([features, self._embedded(self._question)], axis=1)
        attention = np.ones(inputs.shape[:2], _INT)
        hidden = self._encoder.run({"attention_mask": attention, "inputs_embeds": inputs})[0]
        steps = _CachedSteps if self._decoder.cache else _PlainSteps
        answer = self._answer(steps(self._decoder, self._embedded, hidden, attention))
        return " ".join(str(self._tokenizer.decode(answer, skip_special_tokens=True)).split())

    def _embedded(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.asarray(self._embedding.run({"input_ids": tokens})[0], _FLOAT)

    def _answer(self, steps: _PlainSteps | _CachedSteps) -> list[int]:
        """The tokens of the answer, by greedy decoding."""
        tokens = [_END, _BEGIN]
        steps.next_logits([_END])
        while len(tokens) < self._most_tokens:
            logits = steps.next_logits(tokens)
            logits[repeating(tokens, _NO_REPEATED)] = -np.inf
            tokens.append(int(np.argmax(logits)))
            if tokens[-1] == _END:
                break
        return tokens[1:]


def repeating(tokens: Sequence[int], length: int) -> list[int]:
    """The tokens that would complete a sequence of ``length`` tokens which occurs in ``tokens`` already."""
    last = list(tokens[len(tokens) - length + 1:])
    return [tokens[place + length - 1] for place in range(len(tokens) - length + 1)
            if list(tokens[place:place + length - 1]) == last]


class _Part:
    """One of the ONNX files, with its inputs by name."""

    def __init__(self, file: Path, settings: TaggerSettings, warn: Callable[[str], None], needs: Sequence[str],
                 outputs: int | None = None) -> None:
        self._file = file
        self._session: onnxruntime.InferenceSession = open_session(file, settings.provider, warn, "captioner")
        self.provider: str = self._session.get_providers()[0]
        self.inputs = {node.name: node for node in self._session.get_inputs()}
        self.outputs = [node.name for node in self._session.get_outputs()]
        missing = [name for name in needs if name not in self.inputs]
        if missing or (outputs is None and "logits" not in self.outputs):
            raise TaggerError(f"{file} has the inputs {', '.join(self.inputs)} and the outputs "
                              f"{', '.join(self.outputs)}, but {', '.join(missing) or 'logits'} is needed. Use the "
                              "files of onnx-community/Florence-2-base.")

    @property
    def cache(self) -> list[str]:
        """The inputs that take what the decoder remembers of earlier tokens; empty without a cache."""
        return [name for name in self.inputs if name.startswith("past_key_values.")]

    def run(self, given: Arrays) -> list[NDArray[Any]]:
        """The outputs in their order. Raises ``TaggerError``."""
        try:
            return [np.asarray(value) for value in self._session.run(None, given)]
        except onnx_errors() as problem:
            raise TaggerError(f"{self._file.name} of Florence-2 failed on {in_words(self.provider)}: {problem}. Set "
                              "tagger.provider to cpu.") from problem


class _PlainSteps:
    """A decoder without a cache: it is given all tokens at every step."""

    def __init__(self, decoder: _Part, embed: Callable[[NDArray[np.int64]], NDArray[np.float32]],
                 hidden: NDArray[np.float32], attention: NDArray[np.int64]) -> None:
        self._decoder, self._embed = decoder, embed
        self._given: Arrays = {"encoder_hidden_states": hidden, "encoder_attention_mask": attention}

    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The logits of the token after ``tokens``, float32 (vocabulary,)."""
        found = self._decoder.run({**self._given, "inputs_embeds": self._embed(np.array([tokens], _INT))})
        return np.array(found[self._decoder.outputs.index("logits")][0, -1], _FLOAT)


class _CachedSteps(_PlainSteps):
    """A decoder with a cache: it is given one token at a time, and what it remembers of the earlier ones."""

    def __init__(self, decoder: _Part, embed: Callable[[NDArray[np.int64]], NDArray[np.float32]],
                 hidden: NDArray[np.float32], attention: NDArray[np.int64]) -> None:
        super().__init__(decoder, embed, hidden, attention)
        self._past = {name: np.zeros(_empty(decoder.inputs[name].shape), _FLOAT) for name in decoder.cache}
        self._begun = False

    def next_logits(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """As ``_PlainSteps``; ``tokens`` has one more token than at the last step."""
        given = {**self._given, **self._past, "inputs_embeds": self._embed(np.array([tokens[-1:]], _INT))}
        if "use_cache_branch" in self._decoder.inputs:
            given["use_cache_branch"] = np.array([self._begun])
        found = dict(zip(self._decoder.outputs, self._decoder.run(given), strict=True))
        for name in self._past:
            # What is remembered of the image is complete after the first step, and later outputs of it are empty.
            if ".encoder." not in name or not self._begun:
                self._past[name] = found[name.replace("past_key_values", "present")]
        self._begun = True
        return np.array(found["logits"][0, -1], _FLOAT)


def _empty(shape: Sequence[int | str]) -> tuple[int, ...]:
    """The shape (1, heads, 0, size) of an empty cache."""
    heads, size = shape[1], shape[3]
    if not isinstance(heads, int) or not isinstance(size, int):
        raise TaggerError(f"The decoder of Florence-2 has a cache of shape {list(shape)}, without the number of heads. "
                          "Use the files of onnx-community/Florence-2-base.")
    return (1, heads, 0, size)
