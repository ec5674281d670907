"""Models that tell the subject of an image from its background: the known ones, their interfaces, and their files.

A model file from elsewhere is described by a JSON file of the same name beside it, with the fields of ``Interface``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TaggerError
from ..files.json_file import read_object
from .taggers import files_by_hand, model_folders, not_here

Channels = tuple[float, float, float]
PROBABILITY, LOGITS = "probability", "logits"
_LONGEST_DESCRIPTION_BYTES = 10_000
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Interface:
    """What a model takes and gives: RGB channels first, (value / 255 - ``mean``) / ``std``, ``side`` pixels square.

    With ``pad``, the image keeps its ratio, centered on black; otherwise it is stretched. With ``by_brightest``, values
    are divided by the brightest in the image instead of 255. ``output`` is ``probability`` or ``logits``, of the first
    output; with ``full_range``, its values are spread from 0 to 1 for each image.
    """

    side: int
    mean: Channels = (0.0, 0.0, 0.0)
    std: Channels = (1.0, 1.0, 1.0)
    pad: bool = False
    by_brightest: bool = False
    output: str = PROBABILITY
    full_range: bool = False


@dataclass(frozen=True)
class MaskModel:
    """A model on huggingface.co; ``sha256`` is the hash of its file, ``about`` a clause."""

    name: str
    repository: str
    file: str
    sha256: str
    megabytes: int
    about: str
    interface: Interface
    kind: str = "mask model"
    in_own_folder: bool = False
    revision: str | None = None

    @property
    def repository_files(self) -> tuple[str, ...]:
        """The names of its files in the repository."""
        return (self.file,)

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """The SHA-256 of its files."""
        return {self.file: self.sha256}


_U2NET = Interface(320, _IMAGENET_MEAN, _IMAGENET_STD, by_brightest=True, full_range=True)
_REMBG = "tomjackson2023/rembg"
KNOWN_MASK_MODELS = (
    MaskModel("isnet-anime", "skytnt/anime-seg", "isnetis.onnx",
              "f15622d853e8260172812b657053460e20806f04b9e05147d49af7bed31a6e99", 176,
              "for drawn characters", Interface(1024, pad=True)),
    MaskModel("isnet-general-use", _REMBG, "isnet-general-use.onnx",
              "60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a", 179,
              "for photographs of anything, with fine edges",
              Interface(1024, (0.5, 0.5, 0.5), by_brightest=True, full_range=True)),
    MaskModel("u2net", _REMBG, "u2net.onnx",
              "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491", 176,
              "for photographs of anything", _U2NET),
    MaskModel("u2net_human_seg", _REMBG, "u2net_human_seg.onnx",
              "01eb6a29a5c4d8edb30b56adad9bb3a2a0535338e480724a213e0acfd2d1c73c", 176,
              "for people in photographs", _U2NET),
    MaskModel("silueta", _REMBG, "silueta.onnx",
              "75da6c8d2f8096ec743d071951be73b4a8bc7b3e51d9a6625d63644f90ffeedb", 44,
              "nearly as good as u2net and a quarter of its size", _U2NET),
    MaskModel("u2netp", _REMBG, "u2netp.onnx",
              "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8", 5,
              "the smallest and fastest, coarse", _U2NET),
)
_OTHER_FILE_NAMES = {"isnet-anime.onnx": "isnet-anime"}
"""Names under which other programs keep a known model's file."""


def known_mask_model(name: str) -> MaskModel | None:
    """The known model called ``name``."""
    return next((model for model in KNOWN_MASK_MODELS if model.name == name), None)


def find_mask_model(models_dir: Path, name: str) -> tuple[Path, Interface] | None:
    """The file of the model ``name`` (a known one, a subfolder of ``models_dir``, or the path of an ONNX file).

    ``None`` if it is not on this machine. Raises ``TaggerError`` if a file is there and its interface is not known.
    """
    known = known_mask_model(name)
    if known is not None:
        path = models_dir / known.name / known.file
        return (path, known.interface) if path.is_file() else None
    if "/" in name or "\\" in name or name.endswith(".onnx"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise TaggerError(f"There is no mask model at {path}. Give the path of an ONNX file, or a name from the "
                              "list.")
    else:
        files = sorted((models_dir / name).glob("*.onnx")) if (models_dir / name).is_dir() else []
        if not files:
            return None
        path = files[0]
    return path, _interface_of(path)


def mask_models_in(models_dir: Path) -> Iterator[str]:
    """The names of the models in ``models_dir``, known or not, in order."""
    return (folder.name for folder in model_folders(models_dir) if any(folder.glob("*.onnx")))


def where_a_mask_model_belongs(models_dir: Path, name: str) -> str:
    """A sentence that says which file is missing and where to put it."""
    known = known_mask_model(name)
    if known is None:
        names = ", ".join(model.name for model in KNOWN_MASK_MODELS)
        return (f"There is no mask model {name!r}. Choose one of {names}, a folder in {models_dir} with an ONNX file "
                "in it, or the path of an ONNX file.")
    by_hand = files_by_hand(known.repository_files, known.repository, known.revision, models_dir / known.name,
                            known.megabytes)
    return not_here("mask model", known.name, "mask.download", by_hand)


def _interface_of(path: Path) -> Interface:
    """The interface of a model file, from its description or its name. Raises ``TaggerError``."""
    description = path.with_suffix(".json")
    if description.is_file():
        try:
            return interface_from(read_object(description, _LONGEST_DESCRIPTION_BYTES))
        except (OSError, ValueError) as problem:
            raise TaggerError(f"{description} does not describe the mask model beside it: {problem}. "
                              f"{_how_to_describe(path)}") from problem
    name = _OTHER_FILE_NAMES.get(path.name)
    known = next((model for model in KNOWN_MASK_MODELS if path.name == model.file or model.name == name), None)
    if known is None:
        raise TaggerError(f"The interface of {path} is not known. {_how_to_describe(path)}")
    return known.interface


def interface_from(found: Mapping[str, Any]) -> Interface:
    """The interface that a description gives. Raises ``ValueError`` that names the field."""
    fields = {field.name for field in dataclasses.fields(Interface)}
    unknown = sorted(set(found) - fields)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(sorted(fields))}")
    values = dict(found)
    side = values.get("side")
    if not isinstance(side, int) or isinstance(side, bool) or not 32 <= side <= 4096:
        raise ValueError(f"side is {side!r}, not a number of pixels from 32 to 4096")
    for name in ("mean", "std"):
        if name in values:
            values[name] = _channels(name, values[name])
    for name in ("pad", "by_brightest", "full_range"):
        if not isinstance(values.get(name, False), bool):
            raise ValueError(f"{name} is {values[name]!r}, neither true nor false")
    if values.get("output", PROBABILITY) not in (PROBABILITY, LOGITS):
        raise ValueError(f"output is {values['output']!r}, neither {PROBABILITY} nor {LOGITS}")
    return Interface(**values)


def _channels(name: str, value: Any) -> Channels:
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 3 or not all(isinstance(number, (int, float)) and not isinstance(number, bool)
                                    and math.isfinite(number) and (number > 0 or name == "mean") for number in numbers):
        raise ValueError(f"{name} is {value!r}, not a list of three numbers{' above 0' if name == 'std' else ''}")
    return float(numbers[0]), float(numbers[1]), float(numbers[2])


def _how_to_describe(path: Path) -> str:
    return (f'Write its interface into {path.with_suffix(".json")}, such as {{"side": 1024, "mean": [0.5, 0.5, 0.5], '
            '"std": [1, 1, 1], "pad": false, "output": "probability"}.')
