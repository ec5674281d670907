from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.errors import RunError
from lib_lora_train.networks.create import LoraModule, Network, create_network
from lib_lora_train.networks.keys import TEXT_ENCODER_PREFIX, UNET_PREFIX
from lib_lora_train.tools.merge import merge_into, merge_into_module

SETTINGS = NetworkSettings(network_dim=4, network_alpha=3.0)


def network_on(base, settings: NetworkSettings = SETTINGS, seed: int = 1) -> Network:
    return create_network(settings, base.unet, base.text_encoder, seed)


def trained(network: Network) -> Network:
    """Give the zero matrices values, as training would."""
    generator = torch.Generator().manual_seed(3)
    for module in network.loras():
        module.lora_up.weight.data.normal_(std=0.05, generator=generator)
    return network


def answers(base) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(2, 4, 16, 8, generator=generator)
    ids = torch.randint(0, 49408, (2, 77), generator=generator)
    with torch.no_grad():
        states = base.text_encoder(ids).last_hidden_state
        return [states, base.unet(latents, torch.tensor([5, 700]), states).sample]


def close(ones: list[torch.Tensor], others: list[torch.Tensor], tolerance: float = 1e-5) -> bool:
    return all((one - other).abs().max() <= tolerance for one, other in zip(ones, others, strict=True))


def different(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all((one - other).abs().max() > 1e-2 for one, other in zip(ones, others, strict=True))


def test_at_the_start_nothing_changes(micro_base):
    before = answers(micro_base)
    network_on(micro_base)
    assert all(torch.equal(a, b) for a, b in zip(before, answers(micro_base), strict=True))


def test_the_layers_are_those_of_lierla(tiny_base):
    network = network_on(tiny_base)
    # 16 attention blocks of the UNet with 12 layers each; 3 text layers with 6 each
    assert (len(network.unet_modules), len(network.text_encoder_modules)) == (192, 18)
    kinds = {type(module.layer) for module in network.loras()}
    assert kinds == {nn.Linear, nn.Conv2d}
    assert all(module.layer.kernel_size == (1, 1) for module in network.loras() if isinstance(module.layer, nn.Conv2d))
    for key in ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj",
                "lora_unet_mid_block_attentions_0_proj_in",
                "lora_te_text_model_encoder_layers_0_self_attn_out_proj",
                "lora_te_text_model_encoder_layers_2_mlp_fc2"):
        assert key in {**network.unet_modules, **network.text_encoder_modules}


def test_matrices_begin_as_published(micro_base):
    """Kaiming uniform with a = sqrt(5): the bound is sqrt(6 / ((1 + 5) · fan in)); up is zero; scale is alpha / dim."""
    network = network_on(micro_base)
    for module in network.loras():
        down, up = module.factors
        fan_in = module.layer.weight[0].numel()
        assert down.shape[0] == 4 and down.dtype == up.dtype == torch.float32
        assert down.abs().max() <= fan_in**-0.5
        assert torch.count_nonzero(up) == 0
        assert (float(module.alpha), module.scale) == (3.0, 0.75)
    relative = torch.cat([module.factors[0].detach().flatten() * module.layer.weight[0].numel()**0.5
                          for module in network.loras()])
    assert abs(relative.mean()) < 0.01
    assert abs(relative.std() - 3**-0.5) < 0.01  # of a uniform distribution over ±1


@pytest.mark.parametrize("layer", [nn.Linear(24, 40), nn.Linear(24, 40, bias=False), nn.Conv2d(24, 40, 1),
                                   nn.Conv2d(24, 40, 3, stride=2, padding=1), nn.Conv2d(24, 40, 3, dilation=2)])
@pytest.mark.parametrize("multiplier", [1.0, 0.5, -1.0])
def test_forward_is_that_of_the_changed_weight(layer, multiplier):
    module = LoraModule(layer, 4, 3.0, torch.Generator().manual_seed(1))
    nn.init.normal_(module.lora_up.weight)
    module.multiplier = multiplier
    x = torch.randn(5, 24) if isinstance(layer, nn.Linear) else torch.randn(5, 24, 9, 7)
    plain = layer(x)
    down, up = module.factors
    change = multiplier * 3.0 / 4 * torch.einsum("or,ri->oi", up.flatten(1), down.flatten(1)).view(layer.weight.shape)
    if isinstance(layer, nn.Linear):
        expected = functional.linear(x, layer.weight + change, layer.bias)
    else:
        expected = functional.conv2d(x, layer.weight + change, layer.bias, layer.stride, layer.padding, layer.dilation)
    module.attach()
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
    module.detach()
    assert torch.equal(layer(x), plain)


def test_gradients_are_those_of_the_formula():
    torch.manual_seed(0)
    layer = nn.Linear(6, 5).requires_grad_(False)
    module = LoraModule(layer, 2, 1.0, torch.Generator().manual_seed(1))
    nn.init.normal_(module.lora_up.weight)
    x = torch.randn(7, 6)
    module(x).square().sum().backward()
    down, up = (factor.detach() for factor in module.factors)
    error = 2 * functional.linear(x, layer.weight + 0.5 * up @ down, layer.bias)  # d loss / d y
    torch.testing.assert_close(module.lora_up.weight.grad, 0.5 * error.T @ (x @ down.T))
    torch.testing.assert_close(module.lora_down.weight.grad, 0.5 * (error @ up).T @ x)
    assert layer.weight.grad is None


@pytest.mark.parametrize("base_dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_a_base_in_half_precision_keeps_its_dtype_and_the_factors_stay_float32(base_dtype, autocast, kind):
    torch.manual_seed(0)
    layer = (nn.Linear(32, 32) if kind == "linear" else nn.Conv2d(32, 32, 1)).to(base_dtype).requires_grad_(False)
    module = LoraModule(layer, 4, 4.0, torch.Generator().manual_seed(1))
    nn.init.normal_(module.lora_up.weight)
    module.attach()
    x = torch.randn(3, 32) if kind == "linear" else torch.randn(3, 32, 4, 4)
    with torch.autocast("cpu", dtype=base_dtype, enabled=autocast):
        output = layer(x if autocast else x.to(base_dtype))
    assert output.dtype == base_dtype
    weight = layer.weight.float() + module.weight_change()
    expected = (functional.linear if kind == "linear" else functional.conv2d)(x, weight, layer.bias.float())
    exactness = torch.finfo(base_dtype).eps * 8 * expected.abs().max()
    assert (output.float() - expected).abs().max() < exactness
    output.float().sum().backward()
    for factor in module.factors:
        assert factor.dtype == factor.grad.dtype == torch.float32
        assert factor.grad.abs().max() > 0


def test_the_multiplier_scales_and_zero_is_the_base_alone(micro_base):
    before = answers(micro_base)
    network = trained(network_on(micro_base))
    full = answers(micro_base)
    assert different(before, full)
    network.multiplier = 0
    assert all(torch.equal(a, b) for a, b in zip(before, answers(micro_base), strict=True))
    network.multiplier = 1
    assert network.multiplier == 1
    assert all(torch.equal(a, b) for a, b in zip(full, answers(micro_base), strict=True))


def test_detached_the_base_is_as_it_was_and_attached_again_it_is_changed(micro_base):
    before = answers(micro_base)
    network = trained(network_on(micro_base))
    full = answers(micro_base)
    network.detach()
    assert all(torch.equal(a, b) for a, b in zip(before, answers(micro_base), strict=True))
    network.attach()
    assert all(torch.equal(a, b) for a, b in zip(full, answers(micro_base), strict=True))


@pytest.mark.parametrize("multiplier", [1.0, 0.4])
def test_merged_weights_compute_what_the_network_does_live(micro_base, multiplier):
    network = trained(network_on(micro_base))
    network.multiplier = multiplier
    live = answers(micro_base)
    network.detach()
    before = {key: tensor.clone() for key, tensor in micro_base.unet.state_dict().items()}
    mapped = dict(micro_base.unet.state_dict())
    merge_into_module(network, micro_base.unet, UNET_PREFIX, multiplier)
    merge_into_module(network, micro_base.text_encoder, TEXT_ENCODER_PREFIX, multiplier)
    assert close(live, answers(micro_base))
    assert all(torch.equal(mapped[key], before[key]) for key in before), "the file's own tensors were written to"


def test_merging_a_state_changes_only_what_the_network_trains(tiny_base):
    network = trained(network_on(tiny_base))
    state = dict(tiny_base.unet.state_dict())
    merged = merge_into(network, state, UNET_PREFIX)
    changed = {key for key in state if merged[key] is not state[key]}
    assert len(changed) == 192
    assert all(".attentions." in key and key.endswith(".weight") for key in changed)


def test_the_base_is_frozen_and_never_written_to(micro_base):
    before = {key: tensor.clone() for key, tensor in micro_base.unet.state_dict().items()}
    network = network_on(micro_base)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    states = micro_base.text_encoder(torch.zeros(1, 77, dtype=torch.long)).last_hidden_state
    for _ in range(2):
        loss = micro_base.unet(torch.ones(1, 4, 8, 8), torch.tensor([1]), states.detach()).sample.square().mean()
        loss.backward()
        optimizer.step()
    assert all(torch.equal(tensor, before[key]) for key, tensor in micro_base.unet.state_dict().items())
    assert all(parameter.grad is None for parameter in micro_base.unet.parameters())


def test_the_same_seed_gives_the_same_network_whatever_the_global_state(micro_base):
    torch.manual_seed(11)
    one = network_on(micro_base)
    one.detach()
    torch.manual_seed(12)
    torch.rand(5)
    state_before = torch.get_rng_state()
    other = network_on(micro_base)
    assert torch.equal(torch.get_rng_state(), state_before)
    other.detach()
    third = network_on(micro_base, seed=2)
    a, b, c = one.state_dict(), other.state_dict(), third.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)
    downs = [key for key in a if "lora_down" in key]
    assert not any(torch.equal(a[key], c[key]) for key in downs)
    assert not torch.equal(a[downs[0]], a[downs[1]])


@pytest.mark.parametrize(("settings", "unet", "text_encoder"), [
    (NetworkSettings(network_dim=2, network_train_unet_only=True), 192, 0),
    (NetworkSettings(network_dim=2, network_train_text_encoder_only=True), 0, 18)])
def test_one_part_alone_can_be_trained_and_begins_the_same(tiny_base, settings, unet, text_encoder):
    both = network_on(tiny_base, NetworkSettings(network_dim=2))
    both.detach()
    network = network_on(tiny_base, settings)
    assert (len(network.unet_modules), len(network.text_encoder_modules)) == (unet, text_encoder)
    assert [group.part for group in network.parameter_groups()] == (["unet"] if unet else ["text_encoder"])
    expected = both.state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in network.state_dict().items())


def test_nothing_to_train_is_an_error(micro_base):
    with pytest.raises(RunError, match="Nothing would be trained"):
        create_network(NetworkSettings(network_train_unet_only=True), None, micro_base.text_encoder, 1)


def test_parameter_groups_hold_every_parameter_once(tiny_base):
    network = network_on(tiny_base)
    groups = network.parameter_groups()
    assert [group.part for group in groups] == ["text_encoder", "unet"]
    grouped = [id(parameter) for group in groups for parameter in group.parameters]
    assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
    assert len(groups[1].parameters) == 2 * 192
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_alpha_zero_means_dim(micro_base):
    network = network_on(micro_base, NetworkSettings(network_dim=4, network_alpha=0))
    assert {module.scale for module in network.loras()} == {1.0}


def test_an_alpha_that_is_loaded_counts(micro_base):
    network = trained(network_on(micro_base))
    state = network.state_dict()
    three = answers(micro_base)
    network.load_state_dict({key: tensor * 2 if key.endswith(".alpha") else tensor for key, tensor in state.items()})
    assert {module.scale for module in network.loras()} == {1.5}
    assert different(three, answers(micro_base))


def test_gradient_checkpointing_gives_the_same_gradients(micro_base):
    network = trained(network_on(micro_base))

    def gradients() -> list[torch.Tensor]:
        network.zero_grad()
        states = micro_base.text_encoder(torch.arange(77)[None]).last_hidden_state
        micro_base.unet(torch.ones(1, 4, 16, 16), torch.tensor([9]), states).sample.square().mean().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    plain = gradients()
    micro_base.unet.enable_gradient_checkpointing()
    micro_base.unet.train()
    for one, other in zip(plain, gradients(), strict=True):
        torch.testing.assert_close(one, other)
    assert all(gradient.abs().max() > 0 for gradient in plain)
