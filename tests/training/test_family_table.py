"""Every family x every feature on its narrow checkpoint, no cell left out with ``TRAIN_LORA_FULL=1``.

Defaults, presets, categories, dampening, size, memory, doctor, training of every network type, block lists, metadata,
what the webui is told, and continuing from the file. Bake, sliders, plots and prompts: ``test_family_blocks.py`` here
and in ``tests/ui/testing``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from lib_lora_train.advice.choice_notes import bytes_of_a_rank
from lib_lora_train.advice.difficulty import DIFFICULTIES
from lib_lora_train.advice.families import FAMILIES
from lib_lora_train.advice.memory import estimate_memory
from lib_lora_train.advice.of_job import advice_on, dampening_of
from lib_lora_train.advice.presets import PRESETS, for_family
from lib_lora_train.advice.size import lora_file_bytes, read_header, read_shapes
from lib_lora_train.advice.steps import propose_length
from lib_lora_train.blocks.lists import read_blocks
from lib_lora_train.blocks.names import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL
from lib_lora_train.blocks.of_file import blocks_of_file
from lib_lora_train.captions.doctor.doctor import examine
from lib_lora_train.cli.complete import complete
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.network import DYLORA, IA3, LIERLA, NETWORK_TYPES
from lib_lora_train.config.load import load_job, merged, read_job
from lib_lora_train.models.prediction import detect_base
from lib_lora_train.networks.lora_facts import read_facts
from tests.captions.sets import open_editor, save_picture
from tests.figures import FULL, share
from tests.models.tiny_checkpoint import make_tiny
from tests.models.tiny_families import SSD_SHAPE, save_state, sd2_state, sdxl_state

YAML_V = "model:\n  params:\n    parameterization: v\n"
NAMES = {"sd1": "SD 1.x", "sd2": "SD 2.x", "sd2_v": "SD 2.x 768-v", "xl_base": "SDXL", "ponyMix": "Pony",
         "Illustrious-XL": "Illustrious", "NoobAI-XL-v1.1": "NoobAI", "NoobAI-XL-Vpred": "NoobAI v-pred",
         "ssd": "SSD-1B"}
VERSIONS = {"sd1": "sd_v1", "sd2": "sd_v2", "sd2_v": "sd_v2_v", "ssd": "sdxl_ssd-1b"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A narrow checkpoint of each family, by its file's name."""
    folder = tmp_path_factory.mktemp("families")
    xl, two = sdxl_state(), sd2_state()
    states = {"sd1": make_tiny().state, "sd2": two, "sd2_v": two, "ssd": sdxl_state(shape=SSD_SHAPE),
              "NoobAI-XL-Vpred": {**xl, "v_pred": torch.zeros(0)}}
    paths = {name: folder / f"{name}.safetensors" for name in NAMES}
    for name, path in paths.items():
        same = next(other for other in paths if states.get(other, xl) is states.get(name, xl))
        if same == name:
            save_state(states.get(name, xl), path)
        else:
            path.hardlink_to(paths[same])
    paths["sd2_v"].with_suffix(".yaml").write_text(YAML_V)
    return paths


def values_of(checkpoint, *parts):
    """A job's values in the way of the form: what was applied, then the family's defaults for the rest."""
    values = {"base": {"checkpoint": str(checkpoint)}, "dataset": {"train_data_dir": "pictures"},
              "save": {"output_name": "penny", "output_dir": "Lora"}}
    for part in parts:
        values = merged(values, part)
    complete(values)
    return values


def job_of(checkpoint, *parts):
    job, problems = read_job(values_of(checkpoint, *parts))
    assert problems == [] and problems_of(job) == []
    return job


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_base_version_are_those_of_the_file(name, checkpoints, tmp_path):
    row, path = FAMILIES[NAMES[name]], checkpoints[name]
    file = tmp_path / "job.yaml"
    file.write_text(f"base:\n  checkpoint: {path}\ndataset:\n  train_data_dir: x\nsave:\n  output_name: a\n"
                    "  output_dir: b\n")
    job = load_job(file, complete=complete)
    assert job.dataset.size == (row.resolution, row.resolution) and job.sample.cfg_scale == row.cfg_scale
    assert job.base.v_parameterization == job.loss.zero_terminal_snr == row.velocity
    assert detect_base(path, *read_header(path))[0].model_version == VERSIONS.get(name, "sdxl_base_v1-0")
    usual = row.rank(64)
    assert dampening_of(job_of(path, {"network": {"network_dim": usual, "network_alpha": usual}}), row).arrows == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets(name, preset, checkpoints):
    row, path = FAMILIES[NAMES[name]], checkpoints[name]
    job = job_of(path, for_family(preset, row).values)
    assert min(job.dataset.size) >= row.resolution
    assert job.dataset.bucket_sides[0] <= row.resolution <= job.dataset.bucket_sides[1]
    shapes = read_shapes(path)
    assert lora_file_bytes(shapes, job.network, job.save.save_precision) > 0
    estimate = estimate_memory(shapes, job)
    assert estimate.total > estimate.unet > 0 and estimate.activations > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("category", DIFFICULTIES, ids=lambda category: category.letter)
def test_categories(name, category, checkpoints):
    row, path = FAMILIES[NAMES[name]], checkpoints[name]
    rank = category.on(row).suggested_rank
    job = job_of(path, {"network": {"network_dim": rank, "network_alpha": rank}})
    epochs = propose_length(40, 1, category.images_seen).epochs
    assert advice_on(job, 40, 40, 40 * epochs, category.letter, row) == []
    shapes = read_shapes(path)
    whole = lora_file_bytes(shapes, job.network, job.save.save_precision)
    assert bytes_of_a_rank(job, shapes) * rank == pytest.approx(whole, rel=0.25)  # names count in narrow files


@pytest.fixture(scope="module")
def editor_of(tmp_path_factory):
    """The caption editor of square, wide and tall images about ``side`` pixels large; one for each ``side``."""
    @cache
    def made(side):
        folder = tmp_path_factory.mktemp(f"of_{side}") / "p"
        for number, (width, height) in enumerate([(side, side)] * 4 + [(side * 3 // 2, side), (side, side * 4 // 3)]):
            save_picture(folder / f"{number}.png", width, height, number).with_suffix(".txt").write_text("penny")
        return open_editor(folder)

    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [1.0, 0.7, 0.5, 0.4])
def test_what_the_doctor_proposes_passes_its_next_examination(name, share, checkpoints, editor_of):
    """Images of several shapes, most smaller than the family's size: each proposal is taken in turn."""
    row, job = FAMILIES[NAMES[name]], job_of(checkpoints[name])
    editor = editor_of(int(row.resolution * share) // 8 * 8)
    job = changed(job, {"dataset.min_bucket_reso": 64, "dataset.max_bucket_reso": 4 * row.resolution})
    taken = []
    for _ in range(5):
        found = examine(editor, job.dataset, 225, lambda done, total: True).findings
        fixes = [fix for item in found for fix in item.fixes if fix.action == "settings"]
        if not fixes:
            break
        job = changed(job, dict(fixes[0].values))
        taken.append(fixes[0].label)
        assert problems_of(job) == [], taken
    assert 0 < len(taken) == len(set(taken)) < 5
    assert job.dataset.size[0] >= row.resolution / 2
    low, high = job.dataset.bucket_sides
    assert low <= job.dataset.size[0] <= high


def network_of(network_type):
    return {"network_type": network_type, "network_dim": 2, "network_alpha": 1.0,
            **({"dylora_unit": 1} if network_type == DYLORA else {})}


ALIKE = (("sd1",), ("sd2", "sd2_v"),
         ("xl_base", "ssd", "ponyMix", "Illustrious-XL", "NoobAI-XL-v1.1", "NoobAI-XL-Vpred"))
"""Families whose layers are of the same kinds, so that types of networks take turns on them."""
TRAINED = [(name, network_type) for group in ALIKE for turn, name in enumerate(group)
           for network_type in share(NETWORK_TYPES, turn, len(group))]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "network_type"), TRAINED)
def test_every_network_type_trains_and_its_file_says_what_it_is_for(train, checkpoints, tmp_path, name, network_type):
    row, path = FAMILIES[NAMES[name]], checkpoints[name]
    done = train(base={"checkpoint": str(path)}, network=network_of(network_type), training={"max_train_steps": 1},
                 optimizer={"unet_lr": 1e-2, "text_encoder_lr": 1e-2})
    assert done.completed, done.of("error")
    file = done.loras / "penny.safetensors"
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
        assert all(torch.isfinite(opened.get_tensor(key)).all() for key in opened.keys())  # noqa: SIM118
    assert metadata["ss_base_model_version"] == VERSIONS.get(name, "sdxl_base_v1-0")
    velocity = name == "sd2_v" or row.velocity
    assert metadata["modelspec.prediction_type"] == ("v" if velocity else "epsilon")
    of_webui = {"sd1": "SD1", "sd2": "SD2", "sd2_v": "SD2"}.get(name, "SDXL")
    assert json.loads(file.with_suffix(".json").read_text())["sd version"] == of_webui
    facts, blocks = read_facts(file), blocks_of_file(file)
    assert (facts.network_type, facts.problem) == (network_type, None)
    assert blocks.sdxl == row.wider and blocks.names[0] == "BASE"
    if network_type in (LIERLA, IA3):
        assert set(blocks.names) <= set(SHORT_SDXL if row.wider else SHORT_SD1)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES if FULL else ["sd1", "sd2_v", "xl_base", "ssd"])  # each list of blocks
def test_a_block_list_is_trained_and_the_file_can_be_continued_from(train, checkpoints, tmp_path, name):
    row, path = FAMILIES[NAMES[name]], checkpoints[name]
    names = SHORT_SDXL if row.wider else SHORT_SD1
    text = ",".join("0" if block.startswith("IN") else "1" for block in names)
    first = train(base={"checkpoint": str(path)}, network={**network_of(LIERLA), "block_lr_weight": text},
                  training={"max_train_steps": 1})
    file = first.loras / "penny.safetensors"
    assert first.completed and not [block for block in blocks_of_file(file).names if block.startswith("IN")]
    again = train(base={"checkpoint": str(path)}, network={"network_weights": str(file)},
                  training={"max_train_steps": 1}, save={"output_name": "more"})
    assert again.completed and blocks_of_file(again.loras / "more.safetensors") == blocks_of_file(file)
    other = FULL_SD1 if row.wider else FULL_SDXL
    refused = train(base={"checkpoint": str(path)}, network={"block_lr_weight": ",".join(["0.5"] * len(other))},
                    save={"output_name": "refused"})
    assert "For it the list is" in refused.of("error")[0]["text"] and read_blocks(text) is not None
    assert not Path(refused.loras / "refused.safetensors").exists()
