"""A GPU's copies of lent weights are made in one transfer, dropped without any, and come out the same each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lib_lora_train.models.lent import LentWeights
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.models.stored_weights import keep_on_cpu, store_weights, stored_layers
from tests.figures import count
from tests.standin.simulated_gpu import GPU, SimulatedGpu, plugged_in

from .tiny_checkpoint import UNET, Tiny, few_words, make_micro
from .tiny_families import NARROW_XL, SSD_SHAPE, save_state, sd2_state, sdxl_state

PREFIXES = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    whole = make_micro()
    return replace(whole, state=few_words(whole.state))


@pytest.fixture(scope="module")
def checkpoint(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("tiny") / "tiny.safetensors")


@pytest.fixture
def gpu() -> Iterator[SimulatedGpu]:
    with plugged_in() as gpu:
        yield gpu


@pytest.fixture
def lend(tiny: Tiny, checkpoint: Path) -> Callable[..., BaseModel]:
    """A base on weights that a webui keeps as ``stored``, for a run that computes in ``computed``."""
    def base(stored: torch.dtype = torch.float32, computed: torch.dtype = torch.float32) -> BaseModel:
        tensors = {key: tensor.to(stored, copy=True).share_memory_() for key, tensor in tiny.state.items()
                   if key.startswith(PREFIXES) and tensor.is_floating_point()}
        return load_base(checkpoint, None, dtype=computed, device="cpu", lent=LentWeights(tensors, GPU, uploaded=True))

    return base


def networks(base: BaseModel) -> tuple[nn.Module, ...]:
    return base.unet, base.vae, *base.text_encoders


def values_of(network: nn.Module) -> dict[str, Tensor]:
    found = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    stored = set(stored_layers(network))
    layers = {name: layer for name, layer in network.named_modules() if layer in stored}
    return found | {f"{name}.stored": layer.weight.cpu().clone() for name, layer in layers.items()}  # type: ignore


def lent_of(base: BaseModel) -> Mapping[str, Tensor]:
    assert base.lent is not None
    return base.lent.tensors


def lent_bytes(base: BaseModel) -> int:
    return sum(tensor.nbytes for tensor in lent_of(base).values())


def store(base: BaseModel, how: str) -> None:
    """As the run does before a network is made."""
    store_weights(base.unet, "full")
    base.homes.hand_over(base.unet)
    store_weights(base.unet, how)


def only_lent(base: BaseModel) -> bool:
    assert base.lent is not None
    return all(base.lent.stays(parameter) for network in networks(base) for parameter in network.parameters())


BUFFERS = 1024
"""Bytes: of the text encoder's positions, which are nobody's."""


@pytest.mark.parametrize(("stored", "computed"), [
    (torch.float32, torch.float32), (torch.float16, torch.bfloat16), (torch.float32, torch.float16)])
def test_each_turn_uploads_the_lent_bytes_once_and_downloads_none(lend, gpu, stored, computed):
    base = lend(stored, computed)
    assert only_lent(base)
    first = None
    for _ in range(2):
        gpu.forget()
        for network in networks(base):
            base.bring(network, GPU)
        assert lent_bytes(base) <= sum(gpu.uploaded) <= lent_bytes(base) + BUFFERS
        assert gpu.downloaded == []
        assert base.unet.dtype == base.vae.dtype == computed
        assert all(parameter.device == GPU for network in networks(base) for parameter in network.parameters())
        for network in networks(base):
            base.bring(network, GPU)  # a second time costs nothing
        assert sum(gpu.uploaded) <= lent_bytes(base) + BUFFERS
        found = [values_of(network) for network in networks(base)]
        first = first or found
        assert all(torch.equal(one[key], other[key]) for one, other in zip(first, found, strict=True) for key in one)
        gpu.forget()
        for network in networks(base):
            base.put_away(network)
        assert sum(gpu.downloaded) <= BUFFERS
        assert gpu.uploaded == []
        assert only_lent(base)


@pytest.mark.parametrize("family", ["SDXL", "SD 2.x", "SSD-1B"][:count(1, 3)])
def test_every_family_leaves_and_returns(gpu, tmp_path, family):
    """OpenCLIP's text encoders are cut out of larger tensors, of which each piece has its home."""
    states = {"SD 2.x": sd2_state, "SDXL": lambda: sdxl_state(shape=NARROW_XL),
              "SSD-1B": lambda: sdxl_state(shape=SSD_SHAPE)}
    state = few_words(states[family]())
    tensors = {key: tensor.clone().share_memory_() for key, tensor in state.items() if tensor.is_floating_point()}
    base = load_base(save_state(state, tmp_path / "base.safetensors"), None, dtype=torch.float32, device="cpu",
                     lent=LentWeights(tensors, GPU, uploaded=True))
    before = [values_of(network) for network in networks(base)]
    whole = sum(parameter.nbytes for network in networks(base) for parameter in network.parameters())
    for _ in range(2):
        gpu.forget()
        for network in networks(base):
            base.bring(network, GPU)
        assert whole <= sum(gpu.uploaded) <= whole + BUFFERS * len(base.text_encoders)
        after = [values_of(network) for network in networks(base)]
        assert all(torch.equal(one[key], other[key]) for one, other in zip(before, after, strict=True) for key in one)
        gpu.forget()
        for network in networks(base):
            base.put_away(network)
        assert sum(gpu.downloaded) <= BUFFERS * len(base.text_encoders)
        assert not any(gpu.has(parameter) for network in networks(base) for parameter in network.parameters())


@pytest.mark.parametrize("how", ["fp8", "nf4"])
def test_what_is_packed_is_made_from_the_lent_weights_each_time(lend, gpu, how):
    base = lend()
    store(base, how)
    assert only_lent(base)  # nothing is packed before there is a GPU to do it
    before: dict[str, Tensor] = {}
    for _ in range(2):
        gpu.forget()
        base.bring(base.unet, GPU)
        assert sum(gpu.uploaded) == sum(tensor.nbytes for key, tensor in lent_of(base).items() if key.startswith(UNET))
        assert all(layer.stored.packed.dtype == base.unet.dtype for layer in stored_layers(base.unet))
        assert sum(layer.stored.packed.bytes for layer in stored_layers(base.unet)) < sum(gpu.uploaded) / 2
        found = values_of(base.unet)
        before = before or found
        assert all(torch.equal(before[name], found[name]) for name in before)
        gpu.forget()
        base.put_away(base.unet)
        assert gpu.uploaded == gpu.downloaded == []
        assert all(layer.stored.home.holds(layer.weight) for layer in stored_layers(base.unet))


def test_weights_that_are_packed_when_they_are_on_the_gpu_stay_packed(lend, gpu):
    """As when the dry step finds that memory is too small."""
    base = lend(torch.float16, torch.float16)
    store(base, "full")
    base.bring(base.unet, GPU)
    store_weights(base.unet, "fp8")
    before = values_of(base.unet)
    base.put_away(base.unet)
    gpu.forget()
    base.bring(base.unet, GPU)
    after = values_of(base.unet)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(type(layer.stored.packed).__name__ == "Fp8" for layer in stored_layers(base.unet))


@pytest.mark.parametrize("how", ["full", "fp8"])
def test_weights_that_are_swapped_stay_in_main_memory_in_every_turn(lend, gpu, how):
    base = lend(torch.float16, torch.float32) if how == "full" else lend()
    store(base, how)
    keep_on_cpu(base.unet, 0.5, torch.device("cpu"))
    away = [layer for layer in stored_layers(base.unet) if layer.stored.away]
    assert 0 < len(away) < len(list(stored_layers(base.unet)))
    packed = [layer.stored.packed for layer in away]
    for _ in range(2):
        base.bring(base.unet, GPU)
        base.put_away(base.unet)
    assert all(layer.stored.packed is one for layer, one in zip(away, packed, strict=True))
    assert all(not gpu.has(layer.weight) and layer.weight.dtype == torch.float32 for layer in away)


def test_a_network_that_was_widened_since_is_no_copy_and_is_moved(lend, gpu):
    base = lend(torch.float16, torch.float16)
    base.bring(base.vae, GPU)
    base.vae.to(torch.float32)  # since it gave NaN
    before = values_of(base.vae)
    base.put_away(base.vae)
    assert base.vae.dtype == torch.float32
    base.bring(base.vae, GPU)
    after = values_of(base.vae)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_part_that_is_not_lent_is_dropped_too(tiny, checkpoint, gpu):
    """Its home is the memory that it was read into."""
    tensors = {key: tensor.clone().share_memory_() for key, tensor in tiny.state.items() if key.startswith(UNET)}
    base = load_base(checkpoint, None, dtype=torch.float16, device="cpu", lent=LentWeights(
        tensors, GPU, uploaded=True, refused={"vae": "another is loaded", "text_encoder": "another is loaded"}))
    before: dict[str, Tensor] = {}
    for _ in range(2):
        base.bring(base.vae, GPU)
        assert all(parameter.device == GPU for parameter in base.vae.parameters())
        found = values_of(base.vae)
        before = before or found
        assert all(torch.equal(before[name], found[name]) for name in before)
        gpu.forget()
        base.put_away(base.vae)
        assert gpu.downloaded == []
