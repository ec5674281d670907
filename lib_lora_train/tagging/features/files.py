"""Models of image features on this machine: an ONNX file in a folder of its own, described by a YAML file if need be.

The description has the name of the ONNX file and the fields of ``FeatureSettings``; without it, the normalization is
decided by the name. See docs/diagnosis.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...config.groups.features import CLIP, CROP, IMAGENET, SIGLIP, STRETCH, FeatureSettings
from ...config.load import read_file, read_flat
from ...config.taggers import model_folders
from ...errors import ConfigError, TaggerError

Channels = list[float]
NORMALIZATIONS: dict[str, tuple[Channels, Channels, str]] = {
    CLIP: ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711], CROP),
    SIGLIP: ([0.5] * 3, [0.5] * 3, STRETCH),
    IMAGENET: ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], CROP)}
"""Mean, standard deviation and how images are made square, as in the preprocessor_config.json of these models."""
_IN_WORDS = {CLIP: "CLIP's", SIGLIP: "SigLIP's", IMAGENET: "ImageNet's", "": "its own"}


@dataclass(frozen=True)
class FeatureFiles:
    """A model and how its images are prepared. ``words`` say which normalization that is, and why."""

    name: str
    model: Path
    mean: Channels
    std: Channels
    resize: str
    size: int | None
    output: str
    words: str


def find_features(folder: Path, wanted: str = "") -> FeatureFiles | None:
    """The model ``wanted``: a subfolder of ``folder``, or the path of an ONNX file; empty for the first in ``folder``.

    ``None`` if nothing is wanted and there is none. Raises ``TaggerError`` if ``wanted`` is missing, or its description
    has problems.
    """
    if "/" in wanted or "\\" in wanted or wanted.endswith(".onnx"):
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise TaggerError(f"There is no model of image features at {path}. Give the path of an ONNX file, or the "
                              f"name of a folder in {folder}.")
        return _described(path, path.stem)
    found = {one.name: sorted(one.glob("*.onnx"), key=_vision_first) for one in model_folders(folder)}
    models = {name: files[0] for name, files in found.items() if files}
    if not wanted:
        return next((_described(path, name) for name, path in models.items()), None)
    if wanted not in models:
        raise TaggerError(f"{folder} has no folder {wanted!r} with an ONNX file in it. It has: "
                          f"{', '.join(models) or 'none'}.")
    return _described(models[wanted], wanted)


def _vision_first(path: Path) -> tuple[bool, str]:
    """Sorts the part of a model for images before that for texts."""
    return "vision" not in path.stem.lower(), path.name


def _described(model: Path, name: str) -> FeatureFiles:
    path = model.with_suffix(".yaml")
    settings = _read(path) if path.is_file() else FeatureSettings()
    chosen = settings.normalization or _by_name(f"{name} {model.stem}".lower())
    mean, std, resize = NORMALIZATIONS[chosen]
    own = bool(settings.mean or settings.std)
    why = "" if settings.normalization or own else f", by its name, unless {path.name} beside it says otherwise"
    return FeatureFiles(name, model, settings.mean or mean, settings.std or std, settings.resize or resize,
                        settings.size, settings.output, f"{_IN_WORDS['' if own else chosen]} normalization{why}")


def _by_name(name: str) -> str:
    return next((known for known in (SIGLIP, CLIP) if known in name), IMAGENET)


def _read(path: Path) -> FeatureSettings:
    try:
        values = read_file(path)
    except ConfigError as problem:
        raise TaggerError(str(problem).replace("job file", "description")) from problem
    if not isinstance(values, dict):
        raise TaggerError(f"{path} has to hold lines such as normalization: clip, not {str(values)[:100]!r}.")
    settings, problems = read_flat(FeatureSettings, values, source=str(path))
    problems += [f"{path}: {name} is {numbers!r}. Write three numbers, one for each color channel"
                 f"{', none of them 0' if name == 'std' else ''}."
                 for name, numbers in (("mean", settings.mean), ("std", settings.std))
                 if numbers and (len(numbers) != 3 or (name == "std" and 0 in numbers))]
    if problems:
        raise TaggerError("\n".join(problems))
    return settings
