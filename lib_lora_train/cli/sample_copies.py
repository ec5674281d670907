"""How alike the generated images of a run are to its training images, by pixels and by the features of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from ..captions.causes.nearest import Features, Known, nearest
from ..config.groups.diagnose import DiagnoseJob
from ..errors import TaggerError
from ..pictures.images import PictureError, decoded
from ..runs.diagnosis.epochs import EpochMeasures, FileMeasures
from ..runs.diagnosis.generated import GeneratedImage
from ..runs.folder import RunFolder
from ..tagging.features.files import find_features
from ..tagging.features.model import Embedding, FeatureModel, likenesses
from ..training.reporting.report import Reporter

_SIDE = 64
_MOST_COMPARED = 200
"""Training images whose features are compared, evenly from all, so that a large set does not take long on a CPU."""


def ticking(progress: Callable[[int, int], None], total: int) -> Callable[[], None]:
    """A function to call before each of ``total`` items: it reports how many there were before."""
    places = iter(range(total))
    return lambda: progress(next(places, total), total)


def with_copies(measures: EpochMeasures, images: Sequence[Path], run: RunFolder, generated: Sequence[GeneratedImage],
                reporter: Reporter, progress: Callable[[int, int], None]) -> EpochMeasures:
    """``measures`` with the share of each file's ``generated`` images that look like one of the training ``images``.

    Decided as in *What is wrong here?*, see ``captions.causes.nearest``: nearly the same, or much nearer to one image
    than to any other. Needs no model.
    """
    if not images or not generated:
        return measures
    reporter.phase("copies", "Comparing the generated images with the training images",
                   total=len(images) + len(generated))
    between = ticking(progress, len(images) + len(generated))
    known, lost = list[Known](), list[str]()
    for number, path in enumerate(images):
        between()
        try:
            with decoded(path, at_least=_SIDE) as picture:
                known.append((number, Features.of_picture(picture), {}))
        except PictureError:
            lost.append(path.name)
    lost = [name for name in lost if not any(name in text for text in measures.missing)]
    if lost:
        measures = dataclasses.replace(measures, missing=(*measures.missing, "Training images that cannot be read are "
                                       f"not compared: {', '.join(lost[:3])}{' …' if len(lost) > 3 else ''}."))

    def seen(file: FileMeasures) -> FileMeasures:
        found = [name for one in generated if one.step == file.step
                 and (name := _copied(run.path / one.path, known, images, between)) is not None]
        if not found or not known:
            return file
        copied = tuple(dict.fromkeys(name for name in found if name))
        return dataclasses.replace(file, copies=sum(map(bool, found)) / len(found), copied=copied)

    return dataclasses.replace(measures, base=seen(measures.base), files=tuple(map(seen, measures.files)))


def _copied(path: Path, known: Sequence[Known], images: Sequence[Path], between: Callable[[], object]) -> str | None:
    """The name of the training image that the image ``path`` looks like, or empty; ``None`` if it cannot be read."""
    between()
    try:
        with decoded(path) as picture:
            near = nearest(picture, {}, known)
    except PictureError:
        return None
    return images[near[0].number].name if near and near[0].kind else ""


def with_features(measures: EpochMeasures, job: DiagnoseJob, trigger: str, images: Sequence[Path], run: RunFolder,
                  generated: Sequence[GeneratedImage], reporter: Reporter,
                  progress: Callable[[int, int], None]) -> EpochMeasures:
    """``measures`` with the likeness of ``generated`` to the training ``images`` by a model of image features, if any.

    Only prompts with the ``trigger`` word count. If the model does not work, ``features`` says why.
    """
    samples = [one for one in generated if trigger.lower() in one.prompt.lower()]
    try:
        files = find_features(Path(job.features_dir), job.features)
        if files is None or not samples or not images:
            return measures
        model = FeatureModel(files, "cpu", reporter.warning)
        reporter.say(f"Image features: {model.words}")
        return _compared(measures, model, images, run, samples, reporter, progress)
    except TaggerError as problem:
        reporter.warning(f"The samples are not compared by image features: {problem}")
        return dataclasses.replace(measures, features=f"Not compared by image features: {problem}")


def _compared(measures: EpochMeasures, model: FeatureModel, images: Sequence[Path], run: RunFolder,
              samples: Sequence[GeneratedImage], reporter: Reporter,
              progress: Callable[[int, int], None]) -> EpochMeasures:
    count = min(len(images), _MOST_COMPARED)
    between = ticking(progress, count + len(samples))
    reporter.phase("features", f"Comparing the generated images with the training images by {model.name}",
                   total=count + len(samples))

    def embeddings(paths: Sequence[Path]) -> list[Embedding]:
        return [found for path in paths if (found := _embedding(path, model, between)) is not None]

    trained = embeddings([images[number * len(images) // count] for number in range(count)])

    def seen(file: FileMeasures) -> FileMeasures:
        found = embeddings([run.path / one.path for one in samples if one.step == file.step])
        if not found or not trained:
            return file
        nearest_one, all_of_them = likenesses(found, trained)
        return dataclasses.replace(file, to_nearest=nearest_one, to_set=all_of_them)

    return dataclasses.replace(measures, base=seen(measures.base), files=tuple(map(seen, measures.files)),
                               features=f"Image features: measured with {model.words}.")


def _embedding(path: Path, model: FeatureModel, between: Callable[[], object]) -> Embedding | None:
    between()
    try:
        with decoded(path) as picture:
            return model.embedding(picture)
    except PictureError:
        return None  # damaged or deleted meanwhile
