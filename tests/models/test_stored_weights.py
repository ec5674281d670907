"""Stored weights: what is lost by packing, what a layer computes with them, and what backward keeps."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lib_lora_train.models.quantized import Fp8, Nf4, Plain
from lib_lora_train.models.stored_weights import keep_on_cpu, store_weights, stored_layers
from tests.models.tiny_checkpoint import make_tiny
from tests.models.weight_bytes import weight_bytes

CPU = torch.device("cpu")


def weights(shape: tuple[int, ...], spread: float = 0.03) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(shape, generator=generator) * spread


def error(packed: Fp8 | Nf4 | Plain, weight: Tensor) -> float:
    return float((packed.whole().float() - weight.float()).norm() / weight.float().norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(40, 30), (24, 8, 3, 3)])
def test_fp8_keeps_each_value_within_a_sixteenth(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """e4m3 has three bits behind the leading one, so rounding is at most 1/16 of a value that is not subnormal."""
    weight = weights(shape).to(dtype)
    whole = Fp8.pack(weight).whole()
    assert whole.dtype == dtype and whole.shape == weight.shape
    largest = weight.float().flatten(1).abs().amax(1).view(-1, *[1] * (len(shape) - 1))
    subnormal = largest / 224 * 2 ** -10  # half a step at the bottom of the range; the range begins at half of 448
    assert ((whole - weight).abs().float() <= weight.abs().float() / 16 + subnormal).all()


def test_the_factor_is_worth_it() -> None:
    weight = weights((64, 64), spread=0.01)
    cast = weight.to(torch.float8_e4m3fn).float()
    assert error(Fp8.pack(weight), weight) < 0.03
    assert float((cast - weight).norm() / weight.norm()) > 0.05


def test_channels_of_zeros_and_of_huge_values_come_back() -> None:
    weight = torch.stack([torch.zeros(8), torch.full((8,), 3e4), torch.full((8,), 1e-4)]).to(torch.float16)
    whole = Fp8.pack(weight).whole()
    assert torch.equal(whole[0], weight[0]) and torch.allclose(whole, weight, rtol=1 / 16, atol=1e-6)


def test_nf4_takes_the_nearest_of_its_sixteen_values() -> None:
    weight = weights((10, 13))  # 130 values, so the last block is not full
    packed = Nf4.pack(weight)
    values = packed.table[:16, 1]
    assert values[0] == -1 and values[-1] == 1 and 0 in values
    flat = torch.cat([weight.flatten(), torch.zeros(62)]).view(3, 64)
    largest = flat.abs().amax(1, keepdim=True)
    nearest = values[((flat / largest)[..., None] - values).abs().argmin(-1)] * largest
    assert torch.allclose(packed.whole(), nearest.flatten()[:130].view(10, 13), atol=1e-7)
    assert error(packed, weight) < 0.12


def test_nf4_equals_bitsandbytes() -> None:
    from bitsandbytes.functional import quantize_4bit

    weight = weights((64, 96))
    pairs, state = quantize_4bit(weight, blocksize=64, quant_type="nf4")
    packed = Nf4.pack(weight)
    assert torch.equal(packed.pairs, pairs.flatten()) and torch.allclose(packed.largest, state.absmax)
    assert torch.allclose(packed.table[:16, 1], state.code)


@pytest.mark.parametrize(("how", "bits"), [("full", 32), ("fp8", 8), ("nf4", 4)])
def test_bytes_are_counted_as_they_are(how: str, bits: int) -> None:
    layer = nn.ModuleList([nn.Linear(256, 256, bias=False)])
    store_weights(layer, how)
    expected = 256 * 256 * bits / 8
    assert expected <= weight_bytes(layer, on_device=True) <= expected * 1.15 + 2100  # factors, the largest of blocks


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.Linear(8, 6),
                                     nn.Linear(6, 6, bias=False)])
        self.first = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.movedim(1, -1)).movedim(-1, 1)
        x = self.blocks[0](x).movedim(1, -1)
        return torch.tanh(self.blocks[2](torch.relu(self.blocks[1](x))))


def answer(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    y = net(x)
    y.square().sum().backward()
    assert x.grad is not None
    return y.detach(), x.grad


@pytest.mark.parametrize("how", ["full", "fp8", "nf4"])
def test_a_layer_and_its_gradient_are_those_of_the_whole_weight(how: str) -> None:
    torch.manual_seed(0)
    net = Net().requires_grad_(False)
    plain = copy.deepcopy(net)
    store_weights(net, how)
    with torch.no_grad():
        for layer, twin in zip(net.blocks, plain.blocks, strict=True):
            twin.weight.copy_(layer.weight)
    x = torch.randn(2, 4, 10, 10)
    for got, expected in zip(answer(net, x), answer(plain, x), strict=True):
        assert torch.allclose(got, expected, atol=1e-6)


def test_layers_outside_of_blocks_stay_as_they_are() -> None:
    net = Net()
    store_weights(net, "fp8")
    assert type(net.first) is nn.Linear and len(list(stored_layers(net))) == 3


def test_full_can_be_packed_later_without_making_the_layers_anew() -> None:
    net = Net()
    store_weights(net, "full")
    layers = list(stored_layers(net))
    before = weight_bytes(net, on_device=True)
    store_weights(net, "fp8")
    assert list(stored_layers(net)) == layers and weight_bytes(net, on_device=True) < before


def test_nothing_of_a_weight_is_kept_for_backward() -> None:
    linear = nn.ModuleList([nn.Linear(512, 512, bias=False)]).requires_grad_(False)
    store_weights(linear, "fp8")
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        linear[0](torch.randn(2, 512, requires_grad=True))
    assert sum(kept) == 0


def test_checkpointed_blocks_give_the_same_gradient() -> None:
    torch.manual_seed(0)
    net = Net().requires_grad_(False)
    store_weights(net, "fp8")
    x = torch.randn(1, 4, 8, 8)
    expected = answer(net, x)
    again = x.clone().requires_grad_()
    y = checkpoint(net, again, use_reentrant=False)
    y.square().sum().backward()
    assert torch.equal(y, expected[0]) and torch.equal(again.grad, expected[1])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_about_the_share_asked_for_stays_in_main_memory(share: float) -> None:
    unet = make_tiny().unet
    store_weights(unet, "full")
    stored = sum(layer.stored.packed.bytes for layer in stored_layers(unet))
    keep_on_cpu(unet, share, CPU)
    away = weight_bytes(unet, on_device=False) - weight_bytes(unet, on_device=True)
    assert away / stored == pytest.approx(share, abs=0.03)




def test_weights_that_are_away_are_brought_for_each_use_and_expected_the_second_time() -> None:
    torch.manual_seed(0)
    net = Net().requires_grad_(False)
    expected = answer(net, torch.ones(1, 4, 8, 8))
    store_weights(net, "full")
    prefetcher = keep_on_cpu(net, 1.0, CPU)
    waited: list[int] = []
    sent: list[int] = []
    bring, send = prefetcher._bring, prefetcher._send_for
    prefetcher._bring = lambda tensor: waited.append(1) or bring(tensor)  # type: ignore[method-assign]
    prefetcher._send_for = lambda packed: sent.append(1) or send(packed)  # type: ignore[method-assign]
    for _ in range(4):
        waited.clear()
        sent.clear()
        got = answer(net, torch.ones(1, 4, 8, 8))
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(got, expected, strict=True))
    assert len(sent) == 6  # three layers forward, three back: each was sent for before it was asked for
    assert len(waited) == len(sent)


def test_moving_the_network_moves_what_is_stored_but_not_what_is_away() -> None:
    net = Net()
    store_weights(net, "fp8")
    near, away = list(stored_layers(net))[:2]
    keep_on_cpu(nn.ModuleList([away]), 1.0, CPU)
    net.to("meta")
    assert near.stored.packed.values.device.type == "meta" and away.stored.packed.values.device.type == "cpu"
