"""The strength of a LoRA outside of prompts, as in a merge: the arguments of a prompt's ``<lora:…>`` without steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigError
from .entries import Entries
from .names import block_of
from .of_file import BlockSet
from .prompt_weights import BlockSpec, read_arguments

_MOST = 1e4
_IN_A_PROMPT = " It works with all blocks instead."
_FATAL = ("cannot be used", "There is no", "is left out", "is no number")


@dataclass(frozen=True)
class Strength:
    """The strength of a LoRA: of text encoder and UNet, block weights, and the rank it is truncated to."""

    text_encoder: float = 1.0
    unet: float = 1.0
    spec: BlockSpec | None = None
    dyn: int | None = None

    def of(self, key: str, *, text_encoder: bool) -> float:
        """The factor for the change of the layer ``key``."""
        strength = self.text_encoder if text_encoder else self.unet
        return strength if self.spec is None else strength * self.spec.of("BASE" if text_encoder else block_of(key))

    @property
    def in_words(self) -> str:
        """For the recipe, in prompt syntax."""
        blocks = f":lbw={self.spec.text()}" if self.spec is not None else ""
        return f"{self.text_encoder:g}:{self.unet:g}{f':dyn={self.dyn}' if self.dyn else ''}{blocks}"


def read_strength(name: str, text: str, presets: Mapping[str, Entries], blocks: BlockSet) -> Strength:
    """Parse the strength ``text``, such as ``0.8:0.6:lbw=OUTALL``, of the LoRA file ``name`` with ``blocks``.

    Raises ``ConfigError`` with a sentence for each invalid part.
    """
    items = [item for item in text.split(":") if item.strip()]
    read = read_arguments([name.replace(":", " "), *items], presets, blocks)
    wrong = [problem for problem in read.problems if any(words in problem for words in _FATAL)]
    if read.spec is not None and read.spec.stepped:
        wrong.append("start=, stop= and step= need sampling steps, which a merge has not.")
    if wrong:
        raise ConfigError([f"The strength {text!r} of {name} cannot be used. {problem.replace(_IN_A_PROMPT, '')}"
                           for problem in wrong])
    return _numbers(name, text, read.plain[1:], read.spec)


def _numbers(name: str, text: str, items: Sequence[str], spec: BlockSpec | None) -> Strength:
    """Positional numbers and ``te=``, ``unet=``, ``dyn=``, interpreted as in the webui."""
    positional = [item for item in items if "=" not in item]
    named = dict(item.split("=", 1) for item in items if "=" in item)
    try:
        text_encoder = float(named.get("te", positional[0] if positional else 1))
        unet = float(named.get("unet", positional[1] if len(positional) > 1 else text_encoder))
        dyn = named.get("dyn", positional[2] if len(positional) > 2 else None)
        strength = Strength(text_encoder, unet, spec, None if dyn is None else int(dyn))
    except ValueError:
        raise ConfigError(f"The strength {text!r} of {name} cannot be read. Write 0.8, 0.8:0.6 (text encoder and UNet) "
                          "or 1:lbw=OUTALL.") from None
    if not (-_MOST < strength.text_encoder < _MOST and -_MOST < strength.unet < _MOST):
        raise ConfigError(f"The strength {text!r} of {name} is out of range. Use numbers around 1.")
    return strength
