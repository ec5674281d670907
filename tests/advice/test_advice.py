"""What the guide knows, checked against its own numbers."""

from __future__ import annotations

import itertools
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_lora_train.advice.dampening import dampening
from lib_lora_train.advice.difficulty import DIFFICULTIES, difficulty, rank_advice
from lib_lora_train.advice.presets import PRESETS
from lib_lora_train.advice.size import lora_file_bytes, read_shapes
from lib_lora_train.advice.steps import (
    length_problem,
    propose_length,
    propose_save_every,
    steps_hint,
)
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.job import setting_named
from lib_lora_train.config.load import job_from, job_to_dict, merged, read_job


@pytest.mark.parametrize(("images_seen", "steps", "wanted", "epochs", "total"), [
    (100, 100, 1000, 10, 1000),
    (30, 30, 1000, 34, 1020),
    (100, 50, 1000, 10, 500),      # batch size 2: as many images, half the steps
    (100, 200, 1000, 10, 2000),    # regularization doubles the steps and not the epochs
    (5000, 5000, 1000, 1, 5000),
    (50, 50, 1500, 30, 1500),
])
def test_epochs_are_proposed_from_pictures_and_repeats(images_seen, steps, wanted, epochs, total):
    length = propose_length(images_seen, steps, wanted)
    assert (length.epochs, length.images_seen, length.steps) == (epochs, epochs * images_seen, total)


@given(st.integers(1, 20000), st.integers(1, 5000))
def test_the_proposal_is_the_shortest_that_reaches_the_goal(images_seen, wanted):
    length = propose_length(images_seen, images_seen, wanted)
    assert length.images_seen >= wanted and (length.epochs == 1 or length.images_seen - images_seen < wanted)


def test_no_pictures_have_no_length():
    with pytest.raises(ValueError):
        propose_length(0, 0)


def test_hints_are_sentences():
    assert steps_hint(100, 50) == ("The usual length, about 1000 images seen, is 10 epochs of 50 steps; "
                                   "15 epochs if the model has never seen anything like it.")
    assert steps_hint(2000, 2000) == "The usual length, about 2000 images seen, is 1 epoch of 2000 steps."
    assert length_problem(100, 800) is None
    assert length_problem(100, 300) == ("The run sees 300 images in total, repeats included. Fewer than 800 are "
                                        "rarely enough: 10 epochs would show 1000.")


@given(st.integers(1, 2000))
def test_files_are_saved_often_but_never_by_the_dozens(epochs):
    assert 1 <= math.ceil(epochs / propose_save_every(epochs)) <= 12


@pytest.mark.parametrize(("epochs", "every"), [(1, 1), (12, 1), (13, 4), (40, 4), (100, 9)])
def test_how_often_files_are_saved(epochs, every):
    assert propose_save_every(epochs) == every


def test_categories_rise_in_rank_from_a_to_i():
    assert "".join(item.letter for item in DIFFICULTIES) == "ABCDEFGHI"
    for easier, harder in itertools.pairwise(DIFFICULTIES):
        assert easier.lowest_rank <= harder.lowest_rank and easier.highest_rank <= harder.highest_rank
        assert easier.images_seen <= harder.images_seen
    for item in DIFFICULTIES:
        assert item.lowest_rank <= item.suggested_rank <= item.highest_rank
        assert item.networks[0] == "LoRA-LierLa"


def test_a_category_is_found_by_its_letter():
    assert difficulty("d") is difficulty("D") is DIFFICULTIES[3]
    assert (difficulty("D").lowest_rank, difficulty("D").highest_rank) == (32, 64)
    with pytest.raises(KeyError):
        difficulty("J")


def test_what_speaks_against_a_rank():
    assert rank_advice(difficulty("F"), 96, "LoRA-LierLa") == []
    assert "is low for category F: use 64 to 128" in rank_advice(difficulty("F"), 16, "LoRA-LierLa")[0]
    assert "far more than category A needs: 4 to 8" in rank_advice(difficulty("A"), 64, "LoRA-LierLa")[0]
    assert rank_advice(difficulty("D"), 32, "LyCORIS-LoKR") == \
        ["LyCORIS-LoKR is not the best choice for category D. Choose LoRA-LierLa or LyCORIS-LoHa."]


BASE = {"width": 512, "height": 512, "network_dim": 64, "alpha": 64.0, "adaptive": True, "min_snr_gamma": 5.0}


@pytest.mark.parametrize(("change", "arrows"), [
    ({}, 0), ({"width": 576, "height": 576}, 3), ({"width": 640, "height": 640}, 6), ({"noise_offset": 0.2}, 6),
    ({"network_dim": 48, "alpha": 48.0}, 1), ({"alpha": 48.0}, 2), ({"alpha": 0.0}, 8), ({"min_snr_gamma": 7.0}, 2),
    ({"min_snr_gamma": 7.0, "adaptive": False}, 0), ({"min_snr_gamma": None}, 0), ({"min_snr_gamma": 1.0}, 0),
    ({"width": 384, "height": 384}, -6), ({"network_dim": 128, "alpha": 128.0}, -4),
    ({"width": 256, "height": 1024}, 0),  # as much area as 512x512
])
def test_arrows_are_those_of_the_guides_table(change, arrows):
    found = dampening(**{**BASE, **change})
    assert found.arrows == pytest.approx(arrows)
    assert len(found.brakes) == (1 if arrows else 0)


def test_brakes_add_up_and_are_reported_strongest_first():
    found = dampening(**{**BASE, "alpha": 1.0, "width": 576, "height": 576})
    assert found.arrows == pytest.approx(3 + 2 * 63 / 16)
    assert [brake.setting for brake in found.brakes] == ["network.network_alpha", "dataset.resolution"]
    assert "one to three epochs" in found.advice
    assert "raise alpha" in dampening(**{**BASE, "alpha": 1.0, "width": 576, "height": 576, "adaptive": False}).advice
    assert "usual number of steps" in dampening(**BASE).advice


PATHS = {"base": {"checkpoint": "model.safetensors"}, "dataset": {"train_data_dir": "pictures"},
         "save": {"output_name": "penny", "output_dir": "Lora"}}


BY_NAME = {item.name: item for item in PRESETS}


@pytest.mark.parametrize("name", BY_NAME)
def test_every_preset_is_a_job_that_can_be_run_and_says_why(name):
    chosen = BY_NAME[name]
    partial, problems = read_job(chosen.values)
    assert problems == []
    job = job_from(merged(PATHS, chosen.values))
    assert problems_of(job) == []
    values = job_to_dict(partial)
    for group, content in chosen.values.items():
        assert {key: values[group][key] for key in content} == content
    for key in chosen.reasons:
        setting_named(key)
        group, setting = key.split(".")
        assert setting in chosen.values[group], key
    assert chosen.text.endswith(".") and all(reason.endswith(".") for reason in chosen.reasons.values())


def test_the_small_gpu_preset_is_laid_over_another():
    job = job_from(merged(merged(PATHS, BY_NAME["style"].values), BY_NAME["small-gpu"].values))
    assert (job.network.network_dim, job.training.gradient_checkpointing) == (96, True)
    assert job.optimizer.optimizer_type == "AdamW8bit"
    assert PATHS["dataset"] == {"train_data_dir": "pictures"}


def sd1_shapes():
    """Every layer of SD 1.x that a LoRA-LierLa is put on, from its block structure."""
    shapes = {}
    widths = {"input_blocks": {1: 320, 2: 320, 4: 640, 5: 640, 7: 1280, 8: 1280}, "middle_block": {None: 1280},
              "output_blocks": {3: 1280, 4: 1280, 5: 1280, 6: 640, 7: 640, 8: 640, 9: 320, 10: 320, 11: 320}}
    for part, blocks in widths.items():
        for number, width in blocks.items():
            stem = f"model.diffusion_model.{part}.{'' if number is None else f'{number}.'}1"
            inner = f"{stem}.transformer_blocks.0"
            shapes |= {f"{stem}.proj_in.weight": [width, width, 1, 1], f"{stem}.proj_out.weight": [width, width, 1, 1],
                       f"{inner}.ff.net.0.proj.weight": [8 * width, width],
                       f"{inner}.ff.net.2.weight": [width, 4 * width],
                       f"{inner}.norm1.weight": [width], f"{stem}.norm.weight": [width]}
            for attention, context in (("attn1", width), ("attn2", 768)):
                sides = {"q": width, "k": context, "v": context, "out.0": width}
                shapes |= {f"{inner}.{attention}.to_{name}.weight": [width, side] for name, side in sides.items()}
                shapes[f"{inner}.{attention}.to_out.0.bias"] = [width]
    for number in range(12):
        stem = f"cond_stage_model.transformer.text_model.encoder.layers.{number}"
        shapes |= {f"{stem}.self_attn.{name}_proj.weight": [768, 768] for name in ("q", "k", "v", "out")}
        shapes |= {f"{stem}.mlp.fc1.weight": [3072, 768], f"{stem}.mlp.fc2.weight": [768, 3072],
                   f"{stem}.layer_norm1.weight": [768]}
    return {**shapes, "first_stage_model.decoder.mid.attn_1.q.weight": [512, 512, 1, 1]}


def test_a_file_of_dim_128_has_the_well_known_151_megabytes():
    half = lora_file_bytes(sd1_shapes(), NetworkSettings(network_dim=128), "fp16")
    assert half == pytest.approx(151.1e6, rel=0.002)
    single = lora_file_bytes(sd1_shapes(), NetworkSettings(network_dim=128), "float")
    assert single == pytest.approx(2 * half, rel=0.002)
    assert half / 128 == pytest.approx(1.3e6, rel=0.1)  # the guide's estimate for each dim


def test_the_parts_of_a_file_add_up():
    whole, unet, text_encoder = (lora_file_bytes(sd1_shapes(), NetworkSettings(network_dim=16, **only), "fp16")
                                 for only in ({}, {"network_train_unet_only": True},
                                              {"network_train_text_encoder_only": True}))
    assert whole == pytest.approx(unet + text_encoder, rel=0.001)
    assert unet > 2 * text_encoder


def test_shapes_are_read_from_a_checkpoints_header_alone(tmp_path):
    entries = {name: {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]} for name, shape in sd1_shapes().items()}
    header = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)  # no tensors follow
    assert read_shapes(path) == sd1_shapes()
    for content in (b"", b"abc", b"\xff" * 64, struct.pack("<Q", 5) + b"hello", struct.pack("<Q", 2) + b"{}"):
        path.write_bytes(content)
        assert read_shapes(path) is None
    assert read_shapes(tmp_path / "gone.safetensors") is None
    assert lora_file_bytes({"something.weight": [1, 2]}, NetworkSettings(), "fp16") is None
