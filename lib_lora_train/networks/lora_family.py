"""The base model family of a LoRA file, detected from its header alone. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..blocks.names import block_of
from ..blocks.of_file import blocks_of_keys
from ..errors import CheckpointError
from ..models.family import SD1, SD2, SD2_V, SDXL, SSD, Family
from .lora_facts import Shapes

_BY_VERSION = {family.model_version: family for family in (SD1, SD2, SD2_V, SDXL, SSD)}
_BY_ARCHITECTURE = {family.architecture: family for family in (SD1, SD2, SD2_V, SDXL, SSD)}
_BY_WIDTH: dict[int | None, Family] = {768: SD1, 1024: SD2}
_READS_TEXT = ("attn2_to_k", "self_attn_q_proj")
_FOREIGN = {"joint_blocks": "SD 3.x", "joint_transformer_blocks": "SD 3.x", "single_blocks": "Flux",
            "double_blocks": "Flux", "single_transformer_blocks": "Flux", "lora_prior_unet": "Stable Cascade"}
"""Name parts unique to these models; others are recognized by having no block of Stable Diffusion's UNet."""
_IN_NO_BLOCK = ("time_emb", "label_emb", "conv_out", "add_embedding", "out_2", "out_0", "bundle_emb")
_NAMES = ("lora_", "oft_", "bundle_emb")
_SHOWN = 3


def family_of_lora(shapes: Shapes, metadata: Mapping[str, str]) -> Family | None:
    """The family of the base model, from the metadata or else the tensors; ``None`` if neither shows it."""
    version = metadata.get("ss_base_model_version", "")
    architecture = metadata.get("modelspec.architecture", "").removesuffix("/lora")
    said = _BY_VERSION.get(version) or _BY_ARCHITECTURE.get(architecture)
    if said is not None:
        return said
    if version.startswith("sdxl"):
        return SDXL
    if blocks_of_keys(_layers(shapes), metadata).sdxl:
        return SDXL
    width = next((shape[1] for name, shape in sorted(shapes.items()) if len(shape) > 1
                  and name.partition(".")[0].endswith(_READS_TEXT)
                  and name.endswith(("lora_down.weight", "diff"))), None)
    return _BY_WIDTH.get(width)


def other_family(shapes: Shapes, metadata: Mapping[str, str], family: Family) -> str | None:
    """What the LoRA is for, in words, if it is certainly not ``family``; else ``None``."""
    made_for = family_of_lora(shapes, metadata)
    if made_for is not None:
        return None if same_kind_of_base(made_for, family) else made_for.name
    one_text_encoder = any(key.startswith("lora_te_") for key in shapes)
    return f"{SD1.name} or {SD2.name}" if one_text_encoder and len(family.text_encoders) > 1 else None


def check_fits(name: str, shapes: Shapes, metadata: Mapping[str, str], checkpoint: str, family: Family) -> None:
    """Raises ``CheckpointError`` if the LoRA ``name`` is certainly for another family than that of ``checkpoint``."""
    other = other_family(shapes, metadata, family)
    if other:
        raise CheckpointError(f"{name} is for {other}, and {checkpoint} is {family.name}. Choose a LoRA and a "
                              "checkpoint of one family.")


def same_kind_of_base(one: Family, other: Family) -> bool:
    """Whether LoRAs of both fit the same layers, as with SD 2.x and its 768-v."""
    return one.architecture.replace("768-v", "512") == other.architecture.replace("768-v", "512")


def one_family(files: Sequence[tuple[str, Shapes, Mapping[str, str]]]) -> Family | None:
    """The family of all ``files`` (name, shapes, metadata). Raises ``CheckpointError`` that names both if there are
    two."""
    known = [(name, family) for name, shapes, metadata in files
             if (family := family_of_lora(shapes, metadata)) is not None]
    for name, family in known[1:]:
        if not same_kind_of_base(family, known[0][1]):
            raise CheckpointError(f"{known[0][0]} is for {known[0][1].name}, {name} for {family.name}. Choose LoRAs of "
                                  "one family.")
    return known[0][1] if known else None


def refuse_names(path: object, shapes: Shapes) -> None:
    """Raises ``CheckpointError`` if the LoRA ``path`` is for an unsupported model, or uses another program's names."""
    foreign = foreign_model(shapes)
    if foreign:
        raise CheckpointError(f"{path} is a LoRA for {foreign}. Only LoRAs for SD 1.x, SD 2.x and SDXL can be used "
                              "here: choose one of those.")
    dotted = [name for name in shapes if not name.startswith(_NAMES)]
    if dotted:
        raise CheckpointError(f"{path} has the names of another program (diffusers or PEFT), such as {_some(dotted)}, "
                              "which the webui does not read either. Convert it to kohya's names first.")


def foreign_model(names: Iterable[str]) -> str:
    """The model of a LoRA with tensors of these ``names`` if it is not a Stable Diffusion model; else empty."""
    layers = _layers(names)
    for layer in layers:
        flat = layer.replace(".", "_")
        found = next((model for mark, model in _FOREIGN.items() if mark in flat), None)
        if found:
            return found
    unknown = [layer for layer in layers if block_of(layer) is None and not any(
        part in layer.replace(".", "_") for part in _IN_NO_BLOCK)]
    inside = any(block_of(layer) not in (None, "BASE") for layer in layers)
    return f"another kind of model (it has layers such as {_some(unknown)})" if unknown and not inside else ""


def _layers(names: Iterable[str]) -> list[str]:
    """The layer part of kohya's names, the whole name of others."""
    return sorted({name.partition(".")[0] if name.startswith(_NAMES) else name for name in names})


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (" …" if len(texts) > _SHOWN else "")
