"""Network modules, their arguments and block lists of sd-scripts and LyCORIS."""

from __future__ import annotations

import pytest

from lib_lora_train.blocks.lists import read_blocks
from lib_lora_train.config.importing.report import CHANGED, NOT_KNOWN

from .reading import answer_to, read, values_of


def network(arguments, script="train_network.py"):
    return read(f"accelerate launch {script} --resolution=512 --network_dim=16 --network_alpha=8 {arguments}")


@pytest.mark.parametrize("arguments, kind", [
    ("--network_module=networks.lora", "LoRA-LierLa"),
    ("--network_module=networks.lora --network_args conv_dim=8 conv_alpha=4", "LoRA-C3Lier"),
    ("--network_module=networks.lora --network_args conv_dim=0", "LoRA-LierLa"),
    ("--network_module=networks.dylora --network_args unit=4", "LyCORIS-DyLoRA"),
    ("--network_module=lycoris.kohya", "LyCORIS-LoCon"),
    ("--network_module=lycoris.kohya --network_args algo=lora", "LyCORIS-LoCon"),
    ("--network_module=lycoris.kohya --network_args algo=loha", "LyCORIS-LoHa"),
    ("--network_module=lycoris.kohya --network_args algo=lokr factor=8", "LyCORIS-LoKR"),
    ("--network_module=lycoris.kohya --network_args algo=ia3", "LyCORIS-(IA)^3"),
    ("--network_module=lycoris.kohya --network_args algo=locon preset=attn-mlp", "LoRA-LierLa"),
    ("--network_module=locon.locon_kohya --network_args conv_dim=4", "LyCORIS-LoCon"),
    ("--network_module=lycoris.kohya --network_args algo=boft", "LyCORIS-LoCon")])
def test_network_types(arguments, kind):
    assert values_of(network(arguments))["network.network_type"] == kind


def test_an_alpha_of_convolutions_that_is_left_out_is_that_of_the_program():
    sd_scripts = values_of(network("--network_module=networks.lora --network_args conv_dim=8"))
    lycoris = values_of(network("--network_module=lycoris.kohya --network_args algo=locon conv_dim=8"))
    assert (sd_scripts["network.conv_alpha"], lycoris["network.conv_alpha"]) == (1.0, 8.0)


@pytest.mark.parametrize("script, count", [("train_network.py", 12), ("sdxl_train_network.py", 9)])
def test_block_rates_as_numbers_and_as_curves(script, count):
    numbers = ",".join(["0.5"] * count)
    imported = network(f"--network_module=networks.lora --network_args down_lr_weight={numbers} mid_lr_weight=1 "
                       "up_lr_weight=zeros+.25", script)
    text = values_of(imported)["network.block_lr_weight"]
    assert len(text.split(",")) == 2 * count + 2
    rates = read_blocks(text)
    assert (rates["BASE"], rates["IN03"], rates["M00"], rates["OUT03"]) == (1.0, 0.5, 1.0, 0.25)


def test_block_rates_below_the_threshold_are_off():
    ones = ",".join(["0.1", *["1"] * 11])
    imported = network("--network_module=networks.lora --network_args block_lr_zero_threshold=.1 "
                       f"down_lr_weight={ones}")
    assert read_blocks(values_of(imported)["network.block_lr_weight"])["IN00"] == 0


def test_block_dims_of_sdxl_lose_the_embedding_and_the_output():
    dims = ",".join(map(str, [0, *range(1, 10), 20, 20, 20, *range(31, 40), 0]))
    imported = network(f"--network_module=networks.lora --network_args block_dims={dims}", "sdxl_train_network.py")
    found = values_of(imported)["network.block_dims"].split(",")
    assert found == ["16", *map(str, range(1, 10)), "20", *map(str, range(31, 40))]


def test_what_a_network_here_cannot_do_is_said():
    imported = network("--network_module=lycoris.kohya --network_args algo=locon use_tucker=True train_norm=False "
                       "sparkle=1 loraplus_unet_lr_ratio=8 loraplus_text_encoder_lr_ratio=4")
    assert "Tucker" in answer_to(imported, "network_args use_tucker").reason
    assert answer_to(imported, "network_args sparkle").answer == NOT_KNOWN
    assert answer_to(imported, "network_args loraplus_text_encoder_lr_ratio").answer == CHANGED
    assert values_of(imported)["network.loraplus_lr_ratio"] == 8


def test_contradictions_here_are_settled_and_said():
    imported = read("python train_network.py --resolution=512 --network_dim=8 --network_alpha=32 --noise_offset=0.1 "
                    "--multires_noise_iterations=6 --enable_bucket --max_bucket_reso=448 --debiased_estimation_loss "
                    "--min_snr_gamma=5")
    values = values_of(imported)
    assert values["network.network_alpha"] == 8
    assert values["loss.multires_noise_iterations"] == 0
    assert values["dataset.max_bucket_reso"] is None
    assert values["loss.min_snr_gamma"] is None
    for option in ("network_alpha", "multires_noise_iterations", "max_bucket_reso", "min_snr_gamma"):
        assert answer_to(imported, option).answer == CHANGED and answer_to(imported, option).reason


def test_a_number_out_of_range_becomes_the_nearest_and_is_said():
    answer = answer_to(read("python train_network.py --resolution=512 --network_dim=1024 --network_alpha=1"),
                       "network_dim")
    assert (answer.answer, answer.settings) == (CHANGED, {"network.network_dim": 768})
