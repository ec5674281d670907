"""Loads a base model: checkpoint and VAE files become diffusers and transformers networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import torch
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from ..errors import CheckpointError
from .build import ShapeProblem, TextEncoder, build_text_encoder, build_unet, build_vae
from .checkpoint import Checkpoint, read_checkpoint
from .family import SD2, SD2_V, UNET, VAE, Family, TextEncoderKind, detect_family, is_diffusers_vae, is_lora, is_vae
from .homes import Homes
from .lent import LentWeights
from .open_clip import from_open_clip
from .prediction import EPSILON, VELOCITY, Prediction, declared_prediction
from .probe import probed_prediction
from .stored_weights import compute_in, names_in_blocks

# Buffers stored in some files although they follow from the architecture
_COMPUTED = ("text_model.embeddings.position_ids",)
_TEXT_MODEL = "text_model."
_VAE_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
_SIZE_TENSORS = {f"label_emb.0.{old}.{kind}": f"add_embedding.{new}.{kind}"
                 for old, new in ((0, "linear_1"), (2, "linear_2")) for kind in ("weight", "bias")}
_SHOWN = 5
_ALIGNED_BYTES = 64

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True)
class BaseModel:
    """The networks that a LoRA is trained on: frozen and in evaluation mode."""

    unet: UNet2DConditionModel
    text_encoders: tuple[TextEncoder, ...]
    """As many as the family has; none after they are no longer needed."""
    vae: AutoencoderKL
    family: Family
    prediction_type: str
    """What the UNet predicts: ``epsilon`` or ``v_prediction``."""
    prediction_source: str
    """How the prediction type is known, as the end of a sentence; empty for the family's default."""
    zero_terminal_snr: bool
    """Whether the file is marked as zero terminal SNR."""
    checkpoint: Path
    vae_file: Path | None
    """The VAE file that replaces the one in the checkpoint."""
    lent: LentWeights | None = None
    """The weights lent by the webui, if the networks use them."""
    homes: Homes = field(default_factory=Homes)
    """Weights that stay in the webui's memory; the compute device only has a copy."""

    def bring(self, network: nn.Module, device: torch.device) -> None:
        """Move one of the networks to ``device``, unless it computes in the webui's memory."""
        if not self._stays(network):
            self.homes.bring(network, device)
            network.to(device)

    def put_away(self, network: nn.Module) -> None:
        """Move one of the networks off the compute device; of lent weights, only the copy is dropped."""
        if not self._stays(network):
            self.homes.put_away(network)
            network.to("cpu")

    def drop_decoder(self) -> None:
        """Free the half of the VAE that only samples need."""
        del self.vae.decoder, self.vae.post_quant_conv

    def drop_encoder(self) -> None:
        """Free the other half; call it when all images are encoded."""
        del self.vae.encoder, self.vae.quant_conv

    def _stays(self, network: nn.Module) -> bool:
        lent = self.lent
        return lent is not None and not lent.uploaded and any(lent.stays(tensor) for tensor in network.parameters())

    @property
    def text_encoder(self) -> TextEncoder:
        """The first text encoder, the only one in most families."""
        return self.text_encoders[0]

    def predicting(self, prediction: Prediction) -> BaseModel:
        """The same model with a known prediction type; SD 2.x is replaced by the matching family."""
        family = self.family
        if family in (SD2, SD2_V):
            family = SD2_V if prediction.kind == VELOCITY else SD2
        return replace(self, family=family, prediction_type=prediction.kind, prediction_source=prediction.source)


def load_base(checkpoint: Path, vae: Path | None, *, dtype: torch.dtype, device: torch.device | str,
              lent: LentWeights | None = None, aligned: bool = False, as_kept: bool = False) -> BaseModel:
    """Load ``checkpoint`` as ``dtype`` on ``device``; ``vae`` replaces its own VAE.

    Tensors that already have that dtype are memory-mapped; of others only the converted copy stays in memory.
    ``aligned`` also copies unaligned tensors of the file: on a CPU their results differ in the last bits from those of
    tensors lent by a webui. ``lent`` tensors replace the file's and stay where they are. With ``as_kept`` (for the
    CPU) the weights in the blocks of UNet and text encoders keep the dtype of the file or the webui and are converted
    at each use, where that saves memory. Raises ``CheckpointError`` naming the file and the fix, ``NotLent`` if the
    lent tensors are not those of the files.
    """
    file = read_checkpoint(checkpoint)
    family = detect_family(checkpoint, file.shapes)
    declared = declared_prediction(file.path, file.tensors.keys(), file.metadata)
    vae_file = read_vae(vae) if vae else file
    loading = _Loading(dtype, torch.device(device), aligned, as_kept=as_kept)
    if lent is not None:
        vae_file = lent.over(vae_file, ("vae",), dtype)
        file = lent.over(file, ("unet", "text_encoder"), dtype)
        loading = _Loading(dtype, torch.device(device), aligned, lent, as_kept and not lent.uploaded)
    text_encoders = tuple(_load_text_encoder(file, kind, loading) for kind in family.text_encoders)
    base = BaseModel(
        unet=_load_unet(file, family, loading, int(text_encoders[-1].config.projection_dim)),
        text_encoders=text_encoders,
        vae=_load_vae(vae_file, family, loading),
        family=family,
        prediction_type=EPSILON,
        prediction_source="",
        zero_terminal_snr="ztsnr" in file.tensors,
        checkpoint=checkpoint,
        vae_file=vae,
        lent=lent,
    )
    if lent is not None and lent.uploaded:
        base.homes.note((base.unet, *text_encoders, base.vae), dtype)
    if declared is None and family is SD2:
        declared = probed_prediction(base.unet)
    return base if declared is None else base.predicting(declared)


def read_vae(path: Path) -> Checkpoint:
    """Open a VAE file in the original layout. Raises ``CheckpointError`` if it is another kind of file."""
    file = read_checkpoint(path)
    shapes = file.shapes
    if is_vae(shapes) or any(key.startswith(VAE) for key in shapes):
        return file
    if is_diffusers_vae(shapes):
        what = "is a VAE in the diffusers layout"
    elif is_lora(shapes):
        what = "is a LoRA"
    else:
        what = "holds no VAE"
    raise CheckpointError(f"{path} {what}. Choose a VAE file in the original layout, as the webui loads it, or none "
                          "to use the one in the checkpoint.")


@dataclass(frozen=True)
class _Loading:
    """How the tensors of a file become a network's weights."""

    dtype: torch.dtype
    device: torch.device
    aligned: bool = False
    lent: LentWeights | None = None
    as_kept: bool = False

    def keeps(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` is converted at each use, because a converted copy would take more memory."""
        if not self.as_kept or not tensor.is_floating_point() or tensor.dtype == self.dtype:
            return False
        shared = self.lent is not None and self.lent.stays(tensor)
        return shared or tensor.element_size() < self.dtype.itemsize

    def read(self, file: Checkpoint, prefix: str, state: dict[str, Tensor], *, keeps: bool) -> dict[str, Tensor]:
        """``state``, which is ``file``'s under ``prefix``, with copies of the tensors that ``put`` would copy.

        They are made from the file, and not from its mapping, of which each page would stay in memory beside its copy.
        ``keeps``: some may be kept as they are.
        """
        copied = [name for name, tensor in state.items() if prefix + name in file.mapped and self._copies(tensor)
                  and not (keeps and self.keeps(tensor))]
        return state | file.copied(prefix, copied, self.put)

    def _copies(self, tensor: Tensor) -> bool:
        converts = (tensor.dtype, tensor.device) != (self.dtype, self.device)
        return converts or (self.aligned and tensor.data_ptr() % _ALIGNED_BYTES != 0)

    def put(self, tensor: Tensor) -> Tensor:
        if self.lent is not None and self.lent.keeps_dtype(tensor):
            return tensor
        put = tensor.to(device=self.device, dtype=self.dtype)
        return put.clone() if self.aligned and put.data_ptr() % _ALIGNED_BYTES else put


def _load_unet(file: Checkpoint, family: Family, loading: _Loading, pooled_width: int) -> UNet2DConditionModel:
    state = file.under(UNET)
    try:
        unet = build_unet(state, family, pooled_width)
    except (ShapeProblem, ValueError) as problem:
        raise _unusable(file, problem) from problem
    state = loading.read(file, UNET, state, keeps=True)
    config = {"layers_per_block": unet.config["layers_per_block"]}
    converted = convert_ldm_unet_checkpoint({UNET + key: tensor for key, tensor in state.items()}, config)
    if unet.config["addition_embed_type"]:
        # checked here, since diffusers' conversion raises KeyError if one of them is missing
        converted |= {new: state[old] for old, new in _SIZE_TENSORS.items() if old in state}
    return _fill(unet, converted, loading, file, "UNet")


def _load_vae(file: Checkpoint, family: Family, loading: _Loading) -> AutoencoderKL:
    prefix = VAE if file.under(VAE) else ""
    # VAE files from training also contain a discriminator and EMA weights
    state = {key: tensor for key, tensor in file.under(prefix).items() if key.startswith(_VAE_PARTS)}
    if not state:
        raise CheckpointError(f"The checkpoint {file.path} holds no VAE. Choose a VAE file beside it.")
    try:
        vae = build_vae(state, family)
    except (ShapeProblem, ValueError) as problem:
        raise _unusable(file, problem) from problem
    state = loading.read(file, prefix, state, keeps=False)
    converted = convert_ldm_vae_checkpoint(state, {"down_block_types": vae.config["down_block_types"],
                                                   "up_block_types": vae.config["up_block_types"]})
    return _fill(vae, converted, loading, file, "VAE")


def _load_text_encoder(file: Checkpoint, kind: TextEncoderKind, loading: _Loading) -> TextEncoder:
    try:
        state = file.under(kind.prefix)
        encoder = build_text_encoder(text_state(state, kind), kind)
    except (ShapeProblem, ValueError) as problem:
        raise _unusable(file, problem) from problem
    state = text_state(loading.read(file, kind.prefix, state, keeps=True), kind)
    encoder = _fill(encoder, state, loading, file, "text encoder")
    positions = encoder.config.max_position_embeddings
    encoder.text_model.embeddings.register_buffer(
        "position_ids", torch.arange(positions, device=loading.device).expand(1, -1), persistent=False)
    return encoder


def text_state(state: dict[str, Tensor], kind: TextEncoderKind) -> dict[str, Tensor]:
    """The file's ``state`` under transformers' names, without unused entries."""
    if kind.open_clip:
        return from_open_clip(state, drops_last_layer=kind.drops_last_layer, projected=kind.pooled)
    if not any(key.startswith(_TEXT_MODEL) for key in state):  # names in older files
        state = {_TEXT_MODEL + key: tensor for key, tensor in state.items()}
    # some merges also contain the projection to CLIP's image space, which is not used here
    return {key: tensor for key, tensor in state.items() if key.startswith(_TEXT_MODEL)}


def _fill(network: _Network, state: Mapping[str, Tensor], loading: _Loading, file: Checkpoint, name: str) -> _Network:
    """Assign the tensors of ``state`` to ``network`` (on the meta device) without copying them, and freeze it."""
    wanted = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} has the shape {tuple(state[key].shape)} instead of {shape}"
                 for key, shape in wanted.items() if key in state and tuple(state[key].shape) != shape]
    problems += [f"{key} is not known" for key in state if key not in wanted and key not in _COMPUTED]
    if problems:
        shown = "; ".join(problems[:_SHOWN]) + ("; …" if len(problems) > _SHOWN else "")
        raise CheckpointError(f"The {name} in {file.path} does not fit {len(problems)} of its tensors: {shown}. "
                              "The file may be damaged or of another kind. Download it again or choose another.")
    in_blocks = names_in_blocks(network) if loading.as_kept and name != "VAE" else set()
    network.load_state_dict({key: state[key] if key in in_blocks and loading.keeps(state[key])
                             else loading.put(state[key]) for key in wanted}, assign=True)
    network.requires_grad_(False).eval()
    if in_blocks:
        compute_in(network, loading.dtype)
    return network


def _unusable(file: Checkpoint, problem: ValueError) -> CheckpointError:
    return CheckpointError(f"{file.path} cannot be used: {problem}. The file may be damaged or of another kind. "
                           "Download it again or choose another.")
