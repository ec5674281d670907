"""Which inputs and outputs of an ONNX file a description means, and which description a file without one has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..config.groups.tagger import NCHW, NHWC, TaggerDescription
from ..config.tagger_description import LIKE, OWN_FILE, described
from ..config.taggers import TaggerFiles
from ..errors import TaggerError

_IMAGE = "tensor(float)"


@dataclass(frozen=True)
class Interface:
    """The nodes to use. ``side`` is in pixels, ``batch`` the number of images if the file fixes it.

    ``mask`` is the node of the padding mask, ``None`` if there is none.
    """

    description: TaggerDescription
    image: Any
    mask: Any | None
    output: Any
    side: int
    batch: int | None


def interface_of(files: TaggerFiles, inputs: Sequence[Any], outputs: Sequence[Any]) -> Interface:
    """The interface of the tagger in ``files``, whose ONNX file has the nodes ``inputs`` and ``outputs``.

    Raises ``TaggerError`` if they do not fit the description, or if there is none and not exactly one known is fitted.
    """
    if files.description is not None:
        found = _fitted(files.description, inputs, outputs)
        if isinstance(found, str):
            raise TaggerError(f"{files.model} {found} {_has(inputs, outputs)} {_way_out(files, inputs)}")
        return found
    own_list = files.tags.stem == files.model.stem
    wanted = "selected_tags.csv" if own_list else files.tags.name
    tried = {name: _fitted(description, inputs, outputs) for name, description in described().items()
             if description.source.detect and wanted in description.files.tags}
    fitting = {name: found for name, found in tried.items() if isinstance(found, Interface)}
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    why = f"could be a tagger like {' or '.join(fitting)}." if fitting else "is not one of the known taggers."
    raise TaggerError(f"{files.model} {why} {_has(inputs, outputs)} {_way_out(files, inputs)}")


def _fitted(description: TaggerDescription, inputs: Sequence[Any], outputs: Sequence[Any]) -> Interface | str:
    """The interface, or a clause that says what does not fit."""
    model = description.model
    images = [node for node in inputs if node.name != model.padding_mask]
    masks = [node for node in inputs if node.name == model.padding_mask and model.padding_mask]
    named = [node for node in images if not model.input or node.name == model.input]
    if model.padding_mask and not masks:
        return f"has no input {model.padding_mask!r}, which its description names as model.padding_mask."
    if len(images) != 1 or not named:
        wanted = f"one image input{f' called {model.input!r}' if model.input else ''}"
        return f"does not have {wanted}, which its description names as model.input."
    image = named[0]
    sides = _sides(image, description.image.layout)
    if sides is None or image.type != _IMAGE:
        return f"does not take images as image.layout: {description.image.layout} says."
    fixed = [side for side in sides if isinstance(side, int)]
    size = description.image.size or next(iter(fixed), None)
    if size is None:
        return "does not fix the size of its input. Write it as image.size."
    if any(side != size for side in fixed):
        return f"takes images of {fixed[0]} pixels, but its description says image.size: {size}."
    names = [node.name for node in outputs]
    output = next((outputs[names.index(name)] for name in model.outputs if name in names), None)
    if not model.outputs and len(outputs) == 1:
        output = outputs[0]
    if output is None:
        return f"has no output {' or '.join(model.outputs) or 'that is the only one'}, as model.outputs says."
    if not set(model.beside) <= set(names):
        return f"has no output {', '.join(model.beside)}, as model.beside says."
    batch = image.shape[0] if isinstance(image.shape[0], int) else None
    return Interface(description, image, masks[0] if masks else None, output, size, batch)


def _sides(node: Any, layout: str) -> tuple[Any, Any] | None:
    """Height and width of an input, numbers or names; ``None`` if it does not have this layout."""
    shape = list(node.shape)
    if len(shape) != 4 or (shape[1] if layout == NCHW else shape[3]) != 3:
        return None
    return (shape[2], shape[3]) if layout == NCHW else (shape[1], shape[2])


def _has(inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    def words(nodes: Sequence[Any]) -> str:
        return ", ".join(f"{node.name} {node.type} {list(node.shape)}" for node in nodes)

    return f"It takes {words(inputs)} and gives {words(outputs)}."


def _way_out(files: TaggerFiles, inputs: Sequence[Any]) -> str:
    """What to write into the description, with what the file itself tells."""
    layout = next((layout for node in inputs for layout in (NHWC, NCHW) if _sides(node, layout)), "")
    told = {NHWC: "Its input has the color channels last (image.layout: nhwc). ",
            NCHW: "Its input has the color channels first (image.layout: nchw). "}.get(layout, "")
    return (f"{told}How its images are prepared is not known. Write it into {files.model.with_name(OWN_FILE)}: "
            "image.layout, image.resize, image.filter, image.channels, image.divide_by, image.mean, image.std, "
            "model.outputs, model.values (probabilities or logits), files.tags and tags.categories. Or write "
            f"{LIKE}: with the name of a known tagger ({', '.join(described())}) and only what is different. "
            "docs/taggers.md explains each field. Or choose another tagger.")
