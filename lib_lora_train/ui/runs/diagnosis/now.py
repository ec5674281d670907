"""What has been done about an image since the run: its weight, its caption, and whether it is still there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from ....config.groups.dataset import DatasetSettings
from ....errors import DatasetError
from ....files.confine import Confined
from ....pictures.caption_files import MOST_CAPTION_BYTES, NotTextError, split_tags, text_of, used_line
from ....pictures.weights import weight_file, weight_inside
from .records import ImageNow


def state_now(confined: Confined, path: str, trained: str, settings: DatasetSettings) -> ImageNow:
    """The state of the image ``path`` of the dataset, trained with the caption ``trained``.

    The order of tags does not matter. Raises ``DatasetError`` if ``path`` is not inside the dataset.
    """
    if confined.state(path) is None:
        return ImageNow(True, 1.0, 1, False)
    weight, _ = weight_inside(confined, weight_file(path))
    return ImageNow(False, weight.weight, weight.repeats, _is_retagged(confined, path, trained, settings))


def states_now(confined: Confined, images: Mapping[int, tuple[str, str]],
               settings: DatasetSettings) -> dict[int, ImageNow]:
    """``state_now`` of each image, by index, from its path and caption; an image elsewhere is left out."""
    found = {}
    for index, (path, trained) in images.items():
        try:
            if path:
                found[index] = state_now(confined, path, trained, settings)
        except (DatasetError, OSError):  # not in this dataset: nothing can be said or done about it here
            continue
    return found


def is_settled(now: ImageNow | None) -> bool:
    """Whether something has been done about the image: left out, weighted down, retagged or moved away."""
    return now is not None and (now.gone or now.repeats == 0 or now.weight < 1 or now.retagged)


def is_alone(copies: Sequence[int], now: Mapping[int, ImageNow]) -> bool:
    """Whether all ``copies`` of an image, if there are any, have been left out or moved away."""
    states = [now[image] for image in copies if image in now]
    return bool(copies) and len(states) == len(copies) and all(one.gone or one.repeats == 0 for one in states)


def _is_retagged(confined: Confined, path: str, trained: str, settings: DatasetSettings) -> bool:
    """Whether the tags in the caption file of ``path`` are others than in ``trained``; ``False`` if it cannot be said.

    Training adds prefix and suffix, removes the keep-tokens separator, and chooses among wildcards (batches/captions).
    """
    if settings.use_folder_name:
        return False
    name = str(PurePosixPath(path).with_suffix(settings.caption_extension))
    try:
        line = used_line(text_of(confined.read(name)[:MOST_CAPTION_BYTES], name)).line
    except (OSError, NotTextError):  # the caption editor and the doctor report such files
        return False
    if settings.enable_wildcard and "{" in line:
        return False
    framed = " ".join(part for part in (settings.caption_prefix.strip(), line, settings.caption_suffix.strip()) if part)
    return bool(line) and _tags(framed, settings) != _tags(trained, settings)


def _tags(caption: str, settings: DatasetSettings) -> set[str]:
    mark = settings.keep_tokens_separator
    return set(split_tags(caption.replace(mark, settings.caption_separator) if mark else caption,
                          settings.caption_separator))
