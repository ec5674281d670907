"""Every family x every preset and every category of difficulty: nothing of ours speaks against our own advice."""

from __future__ import annotations

import pytest

from lib_lora_train.advice.difficulty import DIFFICULTIES
from lib_lora_train.advice.families import FAMILIES, advice_for, detected_base, named_velocity
from lib_lora_train.advice.of_job import advice_on, dampening_of
from lib_lora_train.advice.presets import PRESETS, for_family
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.load import read_job
from lib_lora_train.models import family as models
from lib_lora_train.ui.train.advice_routes import difficulty_for, preset_for

IMAGES = 40
PATHS = {"base": {"checkpoint": "model.safetensors"}, "dataset": {"train_data_dir": "pictures"},
         "save": {"output_name": "penny", "output_dir": "Lora"}}
ON_TOP = ("8-gb", "small-gpu")


def form_of(family, *presets):
    """The job of a form of ``family`` to which ``presets`` are applied."""
    values = {group: dict(content) for group, content in PATHS.items()}
    values["dataset"]["resolution"] = str(family.resolution)
    for preset in presets:
        for group, content in preset_for(preset, IMAGES, family)["values"].items():
            values.setdefault(group, {}).update(content)
    job, problems = read_job(values)
    assert problems == []
    return job


def test_the_sizes_are_those_of_the_families() -> None:
    for family in (models.SD1, models.SD2, models.SD2_V, models.SDXL, models.SSD):
        assert FAMILIES[family.name].resolution == family.resolution


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_passes_the_check_and_has_no_warning_against_it(name, preset):
    family = FAMILIES[name]
    presets = [PRESETS[0], preset] if preset.name in ON_TOP else [preset]
    job = form_of(family, *presets)
    assert problems_of(job) == []
    assert min(job.dataset.size) >= family.resolution
    epochs = job.training.max_train_epochs
    assert advice_on(job, IMAGES, IMAGES, IMAGES * epochs, "", family) == []


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("category", DIFFICULTIES, ids=lambda category: category.letter)
def test_a_category_has_ranks_of_the_family_and_no_advice_against_them(name, category):
    family = FAMILIES[name]
    answer = difficulty_for(category.on(family), IMAGES)
    assert answer["lowest_rank"] <= answer["suggested_rank"] <= answer["highest_rank"] <= 768
    job, _ = read_job({**PATHS, "dataset": {"resolution": str(family.resolution)}, "network": {
        "network_dim": answer["suggested_rank"], "network_alpha": answer["suggested_rank"]}})
    epochs = answer["values"]["training"]["max_train_epochs"]
    assert advice_on(job, IMAGES, IMAGES, IMAGES * epochs, category.letter, family) == []


@pytest.mark.parametrize("name", ["SDXL", "SSD-1B", "Pony", "Illustrious", "NoobAI"])
def test_rank_64_of_sd1_is_16_24_or_32_on_sdxl(name):
    family = FAMILIES[name]
    assert family.ranks(64, 64) == (16, 32) and family.rank(64) == 24
    [category] = [one.on(family) for one in DIFFICULTIES if one.letter == "G"]
    assert (category.lowest_rank, category.suggested_rank, category.highest_rank) == (32, 48, 64)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_usual_size_and_rank_of_a_family_slow_nothing_down(name):
    family = FAMILIES[name]
    dim = family.rank(64)
    job, _ = read_job({"dataset": {"resolution": str(family.resolution)},
                       "network": {"network_dim": dim, "network_alpha": dim}})
    assert dampening_of(job, family).arrows == 0


@pytest.mark.parametrize(("name", "unet", "text"), [
    ("SD 1.x", 1e-4, 5e-5), ("SD 2.x 768-v", 1e-4, 5e-5), ("SDXL", 1e-4, 1e-5), ("Illustrious", 3e-4, 6e-5)])
def test_rates_are_those_of_the_family(name, unet, text):
    [good] = [preset for preset in PRESETS if preset.name == "character-good"]
    optimizer = for_family(good, FAMILIES[name]).values["optimizer"]
    assert (optimizer["unet_lr"], optimizer["text_encoder_lr"]) == (unet, text)


@pytest.mark.parametrize(("file", "metadata", "base"), [
    ("ponyDiffusionV6XL_v6StartWithThisOne", {}, "Pony"), ("Illustrious-XL-v0.1", {}, "Illustrious"),
    ("NoobAI-XL-Vpred-v1.0", {}, "NoobAI"), ("illustrious_noob_mix", {}, "NoobAI"), ("pony_illustrious_mix", {}, ""),
    ("sd_xl_base_1.0", {}, ""), ("model", {"modelspec.title": "WAI Illustrious 14"}, "Illustrious")])
def test_a_base_is_detected_where_that_is_sure(file, metadata, base):
    assert detected_base("SDXL", file, metadata) == base
    assert detected_base("SD 1.x", file, metadata) == detected_base("SSD-1B", file, metadata) == ""


def test_velocity_by_name_and_unknown_families() -> None:
    assert named_velocity("NoobAI", "NoobAI-XL-Vpred-v1.0") and named_velocity("NoobAI", "noob_v-pred")
    assert not named_velocity("NoobAI", "NoobAI-XL-v1.1") and not named_velocity("", "x-vpred")
    assert advice_for("", "Pony") is FAMILIES["SD 1.x"] and advice_for("SDXL", "Pony") is FAMILIES["Pony"]
