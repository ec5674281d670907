"""Every family x what is made from its checkpoint alone: defaults, presets, categories, dampening, size, memory."""

from __future__ import annotations

import pytest
import torch

from lib_lora_train.advice.choice_notes import bytes_of_a_rank
from lib_lora_train.advice.difficulty import DIFFICULTIES
from lib_lora_train.advice.families import FAMILIES
from lib_lora_train.advice.memory import estimate_memory
from lib_lora_train.advice.of_job import advice_on, dampening_of
from lib_lora_train.advice.presets import PRESETS, for_family
from lib_lora_train.advice.size import lora_file_bytes, read_header, read_shapes
from lib_lora_train.advice.steps import propose_length
from lib_lora_train.cli.complete import complete
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.load import load_job, merged, read_job
from lib_lora_train.models.prediction import told_base
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
    paths = {name: save_state(states.get(name, xl), folder / f"{name}.safetensors") for name in NAMES}
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
    assert told_base(path, *read_header(path))[0].model_version == VERSIONS.get(name, "sdxl_base_v1-0")
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
    epochs = propose_length(40, 1, category.looks).epochs
    assert advice_on(job, 40, 40, 40 * epochs, category.letter, row) == []
    shapes = read_shapes(path)
    whole = lora_file_bytes(shapes, job.network, job.save.save_precision)
    assert bytes_of_a_rank(job, shapes) * rank == pytest.approx(whole, rel=0.25)  # names count in narrow files
