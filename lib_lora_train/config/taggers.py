"""The known taggers, and where their files are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import TaggerError

WD14, DEEPDANBOORU = "wd14", "deepdanbooru"
DANBOORU_CATEGORIES, E621_CATEGORIES = "danbooru", "e621"
_TAG_FILES = {  # which tag list implies which interface and category numbering; the first one found counts
    "selected_tags.csv": (WD14, DANBOORU_CATEGORIES),
    "tags-selected.csv": (WD14, E621_CATEGORIES),
    "deepdanbooru_tags.csv": (DEEPDANBOORU, DANBOORU_CATEGORIES),
    "tags.txt": (DEEPDANBOORU, DANBOORU_CATEGORIES),
}


@dataclass(frozen=True)
class KnownTagger:
    """A tagger on huggingface.co.

    ``balanced_threshold`` is where precision equals recall, if its model card gives it. ``about`` is a clause.
    """

    name: str
    repository: str
    about: str
    balanced_threshold: float | None = None
    model_file: str = "model.onnx"
    tags_file: str = "selected_tags.csv"
    in_own_folder: bool = False  # the repository keeps its files in a folder named after the tagger
    kind: str = "tagger"

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """No hash is known in advance; the first download is noted and trusted."""
        return {}

    @property
    def repository_files(self) -> tuple[str, str]:
        """The file names of the model and the tag list in the repository."""
        before = f"{self.name}/" if self.in_own_folder else ""
        return f"{before}{self.model_file}", f"{before}{self.tags_file}"


@dataclass(frozen=True)
class TaggerFiles:
    """A tagger on this machine: its model, its tag list, and its interface."""

    name: str
    model: Path
    tags: Path
    interface: str
    categories: str


def _wd(name: str, about: str, balanced_threshold: float | None = None) -> KnownTagger:
    return KnownTagger(name, f"SmilingWolf/{name}", about, balanced_threshold)


KNOWN_TAGGERS = (
    _wd("wd-swinv2-tagger-v3", "a good choice for most sets", 0.2653),
    _wd("wd-eva02-large-tagger-v3", "the best and by far the slowest", 0.5296),
    _wd("wd-vit-large-tagger-v3", "large, nearly as good as eva02"),
    _wd("wd-vit-tagger-v3", "the fastest of v3", 0.2614),
    _wd("wd-convnext-tagger-v3", "between vit and swinv2", 0.2682),
    _wd("wd-v1-4-moat-tagger-v2", "the best of v2", 0.3771),
    _wd("wd-v1-4-swinv2-tagger-v2", "the one that many guides name", 0.3771),
    _wd("wd-v1-4-convnextv2-tagger-v2", "v2", 0.3710),
    _wd("wd-v1-4-convnext-tagger-v2", "v2", 0.3685),
    _wd("wd-v1-4-vit-tagger-v2", "the fastest of v2", 0.3537),
    KnownTagger("Z3D-E621-Convnext", "toynya/Z3D-E621-Convnext", "the tags of e621, species among them",
                tags_file="tags-selected.csv"),
    KnownTagger("deepdanbooru", "deepghs/imgutils-models", "the classic, with older tags",
                model_file="deepdanbooru.onnx", tags_file="deepdanbooru_tags.csv", in_own_folder=True),
)


def known_tagger(model: str) -> KnownTagger | None:
    """The tagger called ``model``, by its own name or its repository's."""
    return next((tagger for tagger in KNOWN_TAGGERS if model in (tagger.name, tagger.repository)), None)


def find_tagger(models_dir: Path, model: str) -> TaggerFiles | None:
    """The files of ``model``: the path of an ONNX file or its folder, or the name of a folder in ``models_dir``.

    ``None`` if any are missing. Raises ``TaggerError`` if ``model`` is a path without a tagger.
    """
    known = known_tagger(model)
    if known is None and ("/" in model or "\\" in model or model.endswith((".onnx", ".pt"))):
        return _at_path(Path(model).expanduser())
    name = known.name if known else model
    return _in_folder(models_dir / name, name, known.model_file if known else "model.onnx")


def taggers_in(models_dir: Path) -> Iterator[TaggerFiles]:
    """Every complete tagger in ``models_dir``, by name."""
    if not models_dir.is_dir():
        return
    for folder in sorted(models_dir.iterdir()):
        found = find_tagger(models_dir, folder.name) if folder.is_dir() and not folder.name.startswith(".") else None
        if found is not None:
            yield found


def where_it_belongs(models_dir: Path, model: str) -> str:
    """A sentence that says which files are missing and where to put them."""
    known = known_tagger(model)
    if known is None:
        names = ", ".join(tagger.name for tagger in KNOWN_TAGGERS)
        return (f"There is no tagger {model!r}. Choose one of {names}, a folder in {models_dir} with model.onnx and "
                "selected_tags.csv in it, or the path of an ONNX file with its list of tags beside it.")
    first, second = known.repository_files
    return (f"The tagger {known.name} is not on this machine. Let it be downloaded (tagger.download=true, or the "
            f"Download button in the tab), or fetch {first} and {second} from huggingface.co/{known.repository} "
            f"yourself and put both into {models_dir / known.name}")


def _at_path(path: Path) -> TaggerFiles:
    if path.suffix == ".pt":
        raise TaggerError(f"{path} is the webui's own DeepDanbooru for torch, which cannot be read here. Use the "
                          "tagger deepdanbooru, which is the same model as an ONNX file.")
    if not path.exists():
        raise TaggerError(f"There is no tagger at {path}. Give the path of an ONNX file, or a name from the list.")
    found = _in_folder(path, path.name, "model.onnx") if path.is_dir() else _beside(path, path.stem)
    if found is None:
        raise TaggerError(f"{path} is not a complete tagger: there has to be an ONNX file with its list of tags beside "
                          f"it ({', '.join(_TAG_FILES)}, or a .csv of the same name).")
    return found


def _in_folder(folder: Path, name: str, model_file: str) -> TaggerFiles | None:
    if not folder.is_dir():
        return None
    models = sorted(folder.glob("*.onnx"))
    model = folder / model_file
    if model not in models:
        if len(models) != 1:
            return None
        model = models[0]
    return _beside(model, name)


def _beside(model: Path, name: str) -> TaggerFiles | None:
    for file, (interface, categories) in _TAG_FILES.items():
        if (model.parent / file).is_file():
            return TaggerFiles(name, model, model.parent / file, interface, categories)
    own = model.with_suffix(".csv")
    return TaggerFiles(name, model, own, WD14, DANBOORU_CATEGORIES) if own.is_file() else None
