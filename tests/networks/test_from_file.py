"""Going on from a LoRA file: the network begins exactly as the file is, whatever kind it is and whoever wrote it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from lycoris.kohya import create_network as create_lycoris_network
from safetensors.torch import load_file, save_file

from lib_lora_train.config.groups.network import C3LIER, DYLORA, IA3, LIERLA, LOCON, LOHA, LOKR, NetworkSettings
from lib_lora_train.errors import CheckpointError, RunError
from lib_lora_train.networks.from_file import network_from_file, settings_like
from lib_lora_train.networks.lora_facts import in_words, read_facts
from lib_lora_train.networks.metadata import network_metadata
from lib_lora_train.networks.save import load_network_file, save_network
from tests.networks.test_types import KINDS, VARIANTS, answers, made, trained

PLAIN = NetworkSettings()


def saved(base, settings, path, precision="float"):
    network = trained(made(base, settings))
    save_network(path, network, precision, network_metadata(settings))
    network.detach()
    return network


def begun(base, path, settings=PLAIN):
    return network_from_file(load_network_file(path), settings, base.unet, base.text_encoder, base.checkpoint)


@pytest.mark.parametrize("name", KINDS)
def test_it_begins_as_the_file_left_off_and_saves_the_same_again(name, micro_base, tmp_path):
    before = saved(micro_base, VARIANTS[name], tmp_path / "one.safetensors")
    network = begun(micro_base, tmp_path / "one.safetensors")
    assert set(network.state_dict()) == set(before.state_dict())
    for module, other in zip(network.loras(), before.loras(), strict=True):
        assert type(module) is type(other)
        assert (module.weight_change() - other.weight_change()).abs().max() <= 1e-6
    before.attach()
    wanted = answers(micro_base)
    before.detach()
    network.attach()
    assert all((one - other).abs().max() <= 1e-5 for one, other in zip(wanted, answers(micro_base), strict=True))
    again = tmp_path / "two.safetensors"
    save_network(again, network, "float", {})
    one, two = load_file(tmp_path / "one.safetensors"), load_file(again)
    assert set(one) == set(two) and all(torch.equal(one[key], two[key]) for key in one)


    kind_and_sizes_are_detected_from_the_header_alone(name, tmp_path / "one.safetensors")


def kind_and_sizes_are_detected_from_the_header_alone(name, path):
    wanted, facts = VARIANTS[name], read_facts(path)
    assert facts == load_network_file(path).facts
    assert facts.problem is None
    assert (facts.network_type, facts.dora) == (wanted.network_type, wanted.dora_wd)
    assert facts.text_encoder_layers == (9 if wanted.network_type == IA3 else 18)
    if wanted.network_type == IA3:
        assert facts.dim is None and in_words(facts) == IA3
        return
    scale = wanted.network_dim ** 0.5 if wanted.rs_lora else 1
    if name != "LoKR whole":  # whose alpha says nothing
        assert facts.alpha == pytest.approx(wanted.alpha * scale)
    assert facts.dim == wanted.network_dim
    assert facts.conv_dim in (None, wanted.conv_dim or wanted.network_dim)
    like = settings_like(facts, PLAIN)
    assert (like.network_type, like.network_dim, like.lokr_factor, like.decompose_both) == (
        wanted.network_type, wanted.network_dim, wanted.lokr_factor, wanted.decompose_both)
    assert like.dylora_unit == wanted.dylora_unit


def test_every_layer_has_a_rank_of_its_own(tiny_base, tmp_path):
    dims = ",".join(str(1 + n) for n in range(17))
    saved(tiny_base, NetworkSettings(network_dim=4, block_dims=dims), tmp_path / "one.safetensors")
    network = begun(tiny_base, tmp_path / "one.safetensors")
    assert {module.dim for module in network.loras()} == set(range(1, 18))
    assert "dims from 1 to 17" in in_words(read_facts(tmp_path / "one.safetensors"))


def test_a_file_of_half_precision_is_taken_as_it_is(micro_base, tmp_path):
    before = saved(micro_base, NetworkSettings(network_dim=4), tmp_path / "half.safetensors", "fp16")
    network = begun(micro_base, tmp_path / "half.safetensors")
    for module, other in zip(network.loras(), before.loras(), strict=True):
        assert torch.equal(module.factors[0], other.factors[0].half().float())


def test_pickled_files_are_read_too(micro_base, tmp_path):
    before = saved(micro_base, NetworkSettings(network_dim=2), tmp_path / "one.safetensors")
    torch.save(load_file(tmp_path / "one.safetensors"), tmp_path / "one.pt")
    assert len(begun(micro_base, tmp_path / "one.pt").unet_keys) == len(before.unet_keys)


@pytest.mark.parametrize(("algorithm", "arguments", "kind"), [
    ("lora", {}, LOCON), ("loha", {}, LOHA), ("lokr", {"factor": 4}, LOKR), ("lokr", {"decompose_both": True}, LOKR),
    ("lokr", {"full_matrix": True}, LOKR), ("lora", {"dora_wd": True, "wd_on_output": False}, LOCON)])
def test_files_that_lycoris_wrote_do_the_same_here(algorithm, arguments, kind, micro_base, tmp_path):
    theirs = create_lycoris_network(1.0, 2, 1.0, None, micro_base.text_encoder, micro_base.unet, algo=algorithm,
                                    conv_dim=2, conv_alpha=1.0, preset="full", **arguments)
    theirs.apply_to(micro_base.text_encoder, micro_base.unet, True, True)
    trained(theirs)
    wanted = answers(micro_base)
    state = {key: tensor.detach().clone().contiguous() for key, tensor in theirs.state_dict().items()}
    theirs.restore()
    extra = [key for key in state if not key.startswith(("lora_unet", "lora_te"))]
    assert extra == []
    save_file(state, tmp_path / "theirs.safetensors", {"ss_network_module": "lycoris.kohya"})
    network = begun(micro_base, tmp_path / "theirs.safetensors")
    assert read_facts(tmp_path / "theirs.safetensors").network_type == kind
    assert len(network.unet_keys) + len(network.text_encoder_keys) == len(theirs.loras)
    for one, other in zip(wanted, answers(micro_base), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)


def test_what_is_not_trained_is_kept_as_it_is(tiny_base, tmp_path):
    saved(tiny_base, VARIANTS["DyLoRA"], tmp_path / "one.safetensors")
    file = load_file(tmp_path / "one.safetensors")
    network = begun(tiny_base, tmp_path / "one.safetensors", NetworkSettings(
        DYLORA, 4, dylora_unit=2, network_train_unet_only=True, block_lr_weight="OUTALL"))
    network.train()
    assert not network.trains_text_encoder
    assert {group.block for group in network.parameter_groups()} == {f"OUT{n:02d}" for n in range(12)}
    kept = [module for module in network.loras() if not module.is_trained]
    assert kept and not any(module.training for module in kept)
    assert all(module.training for module in network.loras() if module.is_trained)
    network.apply_max_norm(1e-6)
    state = network.state_dict()
    assert all(torch.equal(state[key], file[key]) for key in file if key.startswith("lora_te"))
    assert not any(torch.equal(state[key], file[key]) for key in file if "up_blocks" in key and "lora_up" in key)


def test_dropout_and_rates_are_those_of_the_settings(micro_base, tmp_path):
    saved(micro_base, NetworkSettings(network_dim=4), tmp_path / "one.safetensors")
    network = begun(micro_base, tmp_path / "one.safetensors", NetworkSettings(
        LOHA, 64, network_dropout=0.5, loraplus_lr_ratio=4.0))
    assert {module.options.dropout for module in network.loras()} == {0.5}
    assert {group.rate_factor for group in network.parameter_groups()} == {1.0, 4.0}


def broken(micro_base, tmp_path, change):
    saved(micro_base, NetworkSettings(network_dim=2), tmp_path / "one.safetensors")
    tensors = load_file(tmp_path / "one.safetensors")
    path = tmp_path / "broken.safetensors"
    save_file(change(tensors), path, {"ss_base_model_version": "sdxl_base_v1-0"})
    return path


KEY = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.mark.parametrize(("change", "words"), [
    (lambda t: {key.replace("lora_te_", "lora_te2_").replace("lora_unet_down_blocks", "lora_unet_input_blocks"): value
                for key, value in t.items()}, ["layers are not in the model", "lora_te2_text_model", "SDXL"]),
    (lambda t: t | {f"{KEY}.lora_down.weight": torch.zeros(2, 2048)},
     [f"{KEY}.lora_down.weight (2x2048; the layer needs 2x128)", "another shape", "micro.safetensors"]),
    (lambda t: t | {f"{KEY}.lora_mid.weight": torch.zeros(2, 2, 3, 3)}, ["Tucker", KEY, "not trained here"]),
    (lambda t: t | {"lora_unet_mid_block_resnets_0_norm1.w_norm": torch.zeros(96)}, ["norm layers"]),
    (lambda t: t | {"lora_unet_x.hada_w1_a": torch.zeros(2, 2), "lora_unet_x.hada_w1_b": torch.zeros(2, 2),
                    "lora_unet_x.hada_w2_a": torch.zeros(2, 2), "lora_unet_x.hada_w2_b": torch.zeros(2, 2)},
     ["several kinds", LOHA, LIERLA]),
    (lambda t: t | {f"{KEY}.dora_scale": torch.ones(96, 1)}, ["dora_scale (96x1; the layer needs 1x128)"]),
    (lambda t: {key.replace(".lora_down", ".other"): value for key, value in t.items()}, ["kind that is not known"]),
])
def test_a_file_that_does_not_fit_is_refused_by_its_keys(change, words, micro_base, tmp_path):
    path = broken(micro_base, tmp_path, change)
    with pytest.raises(CheckpointError) as refused:
        begun(micro_base, path)
    assert all(word in str(refused.value) for word in [*words, "broken.safetensors"]), str(refused.value)


def test_nothing_left_to_train_is_said(micro_base, tmp_path):
    saved(micro_base, NetworkSettings(network_dim=2, network_train_unet_only=True), tmp_path / "one.safetensors")
    with pytest.raises(RunError, match="Nothing of one.safetensors would be trained"):
        begun(micro_base, tmp_path / "one.safetensors", NetworkSettings(network_train_text_encoder_only=True))


def test_other_files_are_no_loras(micro_base, tiny_file, tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(tiny_file.read_bytes()[:1000])
    for path, words in ((tiny_file, "not a LoRA"), (tmp_path / "cut.safetensors", "damaged"),
                        (tmp_path / "none.safetensors", "There is no LoRA file")):
        with pytest.raises(CheckpointError, match=words):
            read_facts(path)


def test_convolutions_of_another_size_are_told_apart(micro_base, tmp_path):
    for name in ("C3Lier", "LoHa"):
        path = tmp_path / f"{name}.safetensors"
        saved(micro_base, VARIANTS[name], path)
        facts = read_facts(path)
        assert (facts.dim, facts.conv_dim) == (4, 2)
        like = settings_like(facts, dataclasses.replace(PLAIN, conv_dim=7))
        assert like.conv_dim == 2 and like.network_dim == 4
    assert settings_like(read_facts(tmp_path / "C3Lier.safetensors"), PLAIN).conv_alpha == 1.5
    saved(micro_base, NetworkSettings(C3LIER, 4, 2.0), tmp_path / "same.safetensors")
    assert settings_like(read_facts(tmp_path / "same.safetensors"), PLAIN).conv_dim is None


@pytest.mark.parametrize(("value", "ending"), [
    (float("nan"), ".lora_up.weight"), (float("inf"), ".lora_down.weight"), (-float("inf"), ".lora_up.weight")])
def test_a_file_with_values_that_are_no_numbers_is_refused_with_the_tensors_name(value, ending, micro_base, tmp_path):
    path = tmp_path / "one.safetensors"
    saved(micro_base, PLAIN, path)
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith(ending))
    tensors[name].view(-1)[0] = value
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=f"one.safetensors.*NaN or infinity.*{name}"):
        begun(micro_base, path)
