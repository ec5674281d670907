"""Captioners, which describe images in sentences, and where their files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .groups.tagging import FLORENCE
from .taggers import files_by_hand

VISION, EMBEDDING, ENCODER, TOKENIZER = (
    "vision_encoder.onnx", "embed_tokens.onnx", "encoder_model.onnx", "tokenizer.json")
DECODERS = ("decoder_model_merged.onnx", "decoder_model.onnx")
"""The decoder with a cache of earlier tokens, or the one without, which is slower. The first one found counts."""


@dataclass(frozen=True)
class KnownCaptioner:
    """A captioner on huggingface.co."""

    name: str
    repository: str
    repository_files: tuple[str, ...]
    megabytes: int
    licence: str
    kind: str = "captioner"
    in_own_folder: bool = False
    revision: str | None = None

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """No hash is known in advance; the first download is noted and trusted."""
        return {}


@dataclass(frozen=True)
class CaptionerFiles:
    """The files of Florence-2 on this machine."""

    vision: Path
    embedding: Path
    encoder: Path
    decoder: Path
    tokenizer: Path


FLORENCE_2 = KnownCaptioner(
    FLORENCE, "onnx-community/Florence-2-base",
    (*(f"onnx/{name}" for name in (VISION, EMBEDDING, ENCODER, DECODERS[0])), TOKENIZER), 1090, "MIT")


def find_captioner(models_dir: Path) -> CaptionerFiles | None:
    """The files of Florence-2 in its folder in ``models_dir`` or that folder's ``onnx``; ``None`` if any is missing."""
    folder = models_dir / FLORENCE_2.name

    def found(*names: str) -> Path | None:
        places = (place / name for name in names for place in (folder, folder / "onnx"))
        return next((path for path in places if path.is_file()), None)

    files = [found(VISION), found(EMBEDDING), found(ENCODER), found(*DECODERS), found(TOKENIZER)]
    present = [path for path in files if path is not None]
    return CaptionerFiles(*present) if len(present) == len(files) else None


def where_captioner_belongs(models_dir: Path) -> str:
    """A sentence that says which files are missing and where to put them."""
    by_hand = files_by_hand(FLORENCE_2.repository_files, FLORENCE_2.repository, FLORENCE_2.revision,
                            models_dir / FLORENCE_2.name)
    return (f"Florence-2 is not on this machine. Let it be downloaded ({FLORENCE_2.megabytes} MB; prose.download=true, "
            f"or the button in the tab), or {by_hand}")
