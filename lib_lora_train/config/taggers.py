"""The known taggers and captioners, and where their files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import TaggerError
from .groups.tagger import TaggerDescription
from .groups.tagging import FLORENCE
from .load import read_flat
from .setting import setting
from .tagger_description import FOLDER, MODELS, OWN_FILE, described, own_description, read_description, values_in

MODEL_FILE = "model.onnx"
VISION, EMBEDDING, ENCODER, TOKENIZER = (
    "vision_encoder.onnx", "embed_tokens.onnx", "encoder_model.onnx", "tokenizer.json")
DECODERS = ("decoder_model_merged.onnx", "decoder_model.onnx")
"""The decoder with a cache of earlier tokens, or the one without, which is slower. The first one found counts."""


@dataclass(frozen=True)
class KnownTagger:
    """A tagger on huggingface.co, as a description lists it under ``models``.

    ``balanced_threshold`` is where precision equals recall, if its model card gives it. ``about`` is a clause.
    ``folder`` is that of its files in the repository, ``revision`` the commit that is downloaded (``None``: the newest
    one), ``described_by`` the name of its description.
    """

    name: str = setting("", "The name of the tagger and of its folder.")
    repository: str = setting("", "The repository on huggingface.co.")
    about: str = setting("", "What it is for, as a clause.")
    balanced_threshold: Optional[float] = setting(  # noqa: UP045 - read as a setting
        None, "The threshold where precision equals recall.", minimum=0.0, maximum=1.0)
    folder: str = setting("", "The folder of its files in the repository.")
    revision: Optional[str] = setting(None, "The commit that is downloaded.")  # noqa: UP045 - read as a setting
    described_by: str = setting("wd", "The name of its description.")

    @property
    def kind(self) -> str:
        """What messages call it."""
        return "tagger"

    @property
    def known_hashes(self) -> Mapping[str, str]:
        """No hash is known in advance; the first download is noted and trusted."""
        return {}

    @property
    def in_own_folder(self) -> bool:
        """Whether the repository keeps its files in a folder of its name."""
        return self.folder == self.name

    @property
    def description(self) -> TaggerDescription:
        """Its interface."""
        return described()[self.described_by]

    @property
    def repository_files(self) -> tuple[str, ...]:
        """The files in the repository: the model, the tag list, and the thresholds if they have a file."""
        files = self.description.files
        before = f"{self.folder}/" if self.folder else ""
        return tuple(f"{before}{name}" for name in (files.model, files.tags[0], files.thresholds) if name)

    def root(self, models_dir: Path) -> Path:
        """The folder that the repository's paths are relative to on this machine."""
        return models_dir if self.in_own_folder else models_dir / self.name


@dataclass(frozen=True)
class TaggerFiles:
    """A tagger on this machine. ``description`` is ``None`` if only its inputs and outputs can tell."""

    name: str
    model: Path
    tags: Path
    description: TaggerDescription | None = None


def _read_known() -> tuple[KnownTagger, ...]:
    taggers = []
    for path in FOLDER.glob("*.yaml"):
        for values in values_in(path).get(MODELS, []):
            tagger, problems = read_flat(KnownTagger, {**values, "described_by": path.stem}, source=str(path))
            if problems:
                raise TaggerError("\n".join(problems))
            taggers.append(tagger)
    return tuple(sorted(taggers, key=lambda tagger: (tagger.description.source.order, tagger.described_by)))


KNOWN_TAGGERS = _read_known()


def known_tagger(model: str) -> KnownTagger | None:
    """The tagger called ``model``, by its own name or its repository's."""
    return next((tagger for tagger in KNOWN_TAGGERS if model in (tagger.name, tagger.repository)), None)


def find_tagger(models_dir: Path, model: str) -> TaggerFiles | None:
    """The files of ``model``: the path of an ONNX file or its folder, or the name of a folder in ``models_dir``.

    ``None`` if any are missing. Raises ``TaggerError`` if ``model`` is a path without a tagger, or if the description
    next to it has problems.
    """
    known = known_tagger(model)
    if known is None and ("/" in model or "\\" in model or model.endswith((".onnx", ".pt"))):
        return _at_path(Path(model).expanduser())
    if known is None:
        return _in_folder(models_dir / model, model, MODEL_FILE)
    folders = (models_dir / known.name, known.root(models_dir) / known.folder)
    found = (_in_folder(folder, known.name, known.description.files.model, known.description) for folder in folders)
    return next((files for files in found if files is not None), None)


def taggers_in(models_dir: Path) -> Iterator[TaggerFiles]:
    """Every complete tagger in ``models_dir``, by name; without those whose description has problems."""
    for folder in model_folders(models_dir):
        try:
            found = find_tagger(models_dir, folder.name)
        except TaggerError:
            continue  # reported when it is chosen
        if found is not None:
            yield found


def where_it_belongs(models_dir: Path, model: str) -> str:
    """A sentence that says which files are missing and where to put them."""
    known = known_tagger(model)
    if known is None:
        names = ", ".join(tagger.name for tagger in KNOWN_TAGGERS)
        return (f"There is no tagger {model!r}. Choose one of {names}, a folder in {models_dir} with model.onnx and "
                "its list of tags in it, or the path of an ONNX file with its list of tags beside it.")
    return not_here("tagger", known.name, "tagger.download", fetch_by_hand(known, models_dir / known.name))


def not_here(kind: str, name: str, option: str, by_hand: str) -> str:
    """A sentence that says how to get a known model; ``by_hand`` is the clause of ``files_by_hand``."""
    return (f"The {kind} {name} is not on this machine. Download it ({option}=true, or the Download button in the "
            f"tab), or {by_hand}")


def model_folders(models_dir: Path) -> list[Path]:
    """The subfolders of ``models_dir``, in order, without hidden ones; none if there is no such folder."""
    folders = sorted(models_dir.iterdir()) if models_dir.is_dir() else []
    return [folder for folder in folders if folder.is_dir() and not folder.name.startswith(".")]


def fetch_by_hand(known: KnownTagger, folder: Path) -> str:
    """A clause that says which files to put into ``folder`` by hand."""
    return files_by_hand(known.repository_files, known.repository, known.revision, folder)


def files_by_hand(files: Sequence[str], repository: str, revision: str | None, folder: Path,
                  megabytes: int = 0) -> str:
    """A clause that says to fetch ``files`` of ``repository`` and to put them into ``folder``."""
    *first, last = files
    listed = (f"{', '.join(first)} and {last}" if first else last) + (f" ({megabytes} MB)" if megabytes else "")
    return (f"fetch {listed} from huggingface.co/{repository}{f' at revision {revision}' if revision else ''} yourself "
            f"and put {('it', 'both')[len(first)] if len(first) < 2 else 'all of them'} into {folder}")


def _at_path(path: Path) -> TaggerFiles:
    if path.suffix == ".pt":
        raise TaggerError(f"{path} is the webui's own DeepDanbooru for torch, which cannot be read here. Use the "
                          "tagger deepdanbooru, which is the same model as an ONNX file.")
    if not path.exists():
        raise TaggerError(f"There is no tagger at {path}. Give the path of an ONNX file, or a name from the list.")
    found = _in_folder(path, path.name, MODEL_FILE) if path.is_dir() else _beside(path, path.stem)
    if found is None:
        raise TaggerError(f"{path} is not a complete tagger: there has to be an ONNX file with its list of tags beside "
                          f"it ({', '.join(_tag_files())}, or a .csv of the same name). A list of another name has to "
                          f"be named in a {OWN_FILE} beside it: files: {{tags: [my_list.csv]}}.")
    return found


def _in_folder(folder: Path, name: str, model_file: str, known: TaggerDescription | None = None) -> TaggerFiles | None:
    if not folder.is_dir():
        return None
    models = sorted(folder.glob("*.onnx"))
    own = folder / OWN_FILE
    if own.is_file():
        model_file = read_description(own).files.model
    model = folder / model_file
    if model not in models:
        if len(models) != 1:
            return None
        model = models[0]
    return _beside(model, name, known)


def _beside(model: Path, name: str, known: TaggerDescription | None = None) -> TaggerFiles | None:
    """The tagger of ``model`` and the list beside it, described by its own description, by ``known``, or not yet."""
    own = own_description(model)
    description = read_description(own) if own is not None else known
    listed = description.files.tags if description is not None else _tag_files()
    for file in listed:
        if (model.parent / file).is_file():
            return TaggerFiles(name, model, model.parent / file, description)
    if own is not None:
        raise TaggerError(f"{own} names {' or '.join(listed)} as files.tags, but there is no such file beside {model}.")
    same_name = model.with_suffix(".csv")
    return TaggerFiles(name, model, same_name, description) if same_name.is_file() else None


def _tag_files() -> tuple[str, ...]:
    """The names of tag lists, those of the known taggers."""
    known = sorted(described().values(), key=lambda description: description.source.order)
    return tuple(dict.fromkeys(name for description in known for name in description.files.tags))


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
    return (f"Florence-2 is not on this machine. Download it ({FLORENCE_2.megabytes} MB; prose.download=true, or "
            f"the button in the tab), or {by_hand}")
