"""Masks and preservation in the settings of other trainers, and back to sd-scripts."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from lib_lora_train.config.change import changed
from lib_lora_train.config.exporting.formats import COMMAND, TOML, export_text
from lib_lora_train.config.importing.read import read_together
from lib_lora_train.config.importing.report import CHANGED, NOT_NEEDED, TAKEN
from lib_lora_train.config.importing.toml_text import read_toml
from lib_lora_train.config.job import Job
from lib_lora_train.pictures.folders import folders_to_export
from lib_lora_train.pictures.scan import scan_dataset

from .reading import Machine, answer_to, read, values_of

ONE = {"training_method": "LORA", "model_type": "STABLE_DIFFUSION_15"}


@pytest.mark.parametrize("text", [
    json.dumps({"LoRA_type": "Standard", "max_resolution": "512", "masked_loss": True,
                "additional_parameters": "--conditioning_data_dir /masks"}),
    "accelerate launch train_network.py --network_module networks.lora --masked_loss --conditioning_data_dir /masks",
    'network_module = "networks.lora"\nmasked_loss = true\nconditioning_data_dir = "/masks"'])
def test_masked_loss_and_its_folder_are_taken(text):
    imported = read(text, there=["/masks"])
    values = values_of(imported)
    assert (values["dataset.masked_loss"], values["dataset.conditioning_data_dir"]) == (True, "/masks")
    assert "dataset.alpha_mask" not in values
    assert "divided by the area of its mask" in answer_to(imported, "masked_loss").reason
    missing = read(text)
    assert "dataset.conditioning_data_dir" not in values_of(missing)
    assert answer_to(missing, "conditioning_data_dir").answer == CHANGED


SUBSETS = """[[datasets]]
{}
"""
SUBSET = '[[datasets.subsets]]\nimage_dir = "/sets/{0}"\nconditioning_data_dir = "{1}"\n'


@pytest.mark.parametrize(("masks", "wanted"), [
    (["/masks/10_penny"], "/masks/10_penny"), (["/all", "/all"], "/all"),
    (["/masks/10_penny", "/masks/5_hat"], "/masks"),
    (["/masks/x", "/masks/y"], "/masks/x")])
def test_the_mask_folders_of_subsets_become_one(masks, wanted):
    text = SUBSETS.format("".join(SUBSET.format(name, mask) for name, mask in
                                  zip(("10_penny", "5_hat"), masks, strict=False)))
    imported = read(text, there=[*masks, wanted, "/sets", "/sets/10_penny"])
    assert values_of(imported)["dataset.conditioning_data_dir"] == wanted
    lost = [answer for answer in imported.answers if answer.answer == CHANGED and "conditioning" in answer.option]
    assert len(lost) == (masks == ["/masks/x", "/masks/y"])


def test_masks_of_one_trainer():
    masked = {**ONE, "masked_training": True, "unmasked_weight": 0.3, "masked_prior_preservation_weight": 0.5,
              "normalize_masked_area_loss": False, "unmasked_probability": 0.1}
    imported = read(json.dumps(masked))
    values = values_of(imported)
    assert (values["dataset.masked_loss"], values["loss.unmasked_weight"]) == (True, 0.3)
    assert values["loss.masked_prior_preservation_weight"] == 0.5
    assert answer_to(imported, "normalize_masked_area_loss").answer == CHANGED
    assert answer_to(imported, "unmasked_probability").answer == CHANGED
    normalized = read(json.dumps({**masked, "normalize_masked_area_loss": True}))
    assert answer_to(normalized, "normalize_masked_area_loss").answer == TAKEN
    assert values_of(read(json.dumps({**ONE, "masked_training": True})))["loss.unmasked_weight"] == 0.1
    off = read(json.dumps({**masked, "masked_training": False}))
    assert values_of(off)["dataset.masked_loss"] is False and "loss.unmasked_weight" not in values_of(off)
    assert answer_to(off, "unmasked_weight").answer == NOT_NEEDED


@pytest.fixture
def images(tmp_path):
    for name in ("set/10_penny/a", "set/5_hat/b", "masks/a", "masks/5_hat/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), 255).save(tmp_path / f"{name}.png")
        (tmp_path / name).with_suffix(".txt").write_text("penny")
    return tmp_path


def exported(folder, wanted=COMMAND, **more):
    job = changed(Job(), {"dataset.train_data_dir": str(folder / "set"), "dataset.masked_loss": True,
                          "base.checkpoint": "/models/base.safetensors", "save.output_name": "penny",
                          "dataset.activation_tag": "penny", **more})
    return export_text(job, wanted, folders=folders_to_export(job.dataset)), job


@pytest.mark.parametrize("wanted", [COMMAND, TOML])
def test_masks_go_to_sd_scripts_and_come_back(images, wanted):
    text, job = exported(images, wanted, **{"dataset.conditioning_data_dir": str(images / "masks")})
    config = read_toml(text.files["penny_dataset.toml"])
    assert {subset["image_dir"]: subset["conditioning_data_dir"] for subset in config["datasets"][0]["subsets"]} == {
        str(images / "set/10_penny"): str(images / "masks"), str(images / "set/5_hat"): str(images / "masks/5_hat")}
    assert "masked_loss" in text.text and any("area of the image" in note for note in text.notes)
    places = Machine([str(images / "set"), str(images / "masks"), str(images / "masks/5_hat")])
    back = read_together({"train.txt": text.text, **text.files}, places)
    assert back.values["dataset"]["masked_loss"] is True
    assert back.values["dataset"]["conditioning_data_dir"] in (str(images / "masks"), str(images / "masks/5_hat"))
    assert [picture.mask is not None for picture in scan_dataset(job.dataset).pictures] == [True, True]


def test_what_sd_scripts_cannot_do_with_masks_is_said(images):
    for name in ("set/10_penny/a-mask.png", "set/5_hat/mask/b.png"):
        (images / name).parent.mkdir(exist_ok=True)
        Image.new("L", (64, 64), 255).save(images / name)
    text, _ = exported(images, **{"loss.unmasked_weight": 0.2, "loss.masked_prior_preservation_weight": 0.5,
                                  "loss.preservation_weight": 1.0, "loss.preservation_class": "girl"})
    subsets = read_toml(text.files["penny_dataset.toml"])["datasets"][0]["subsets"]
    assert [subset.get("conditioning_data_dir") for subset in subsets] == [None, str(images / "set/5_hat/mask")]
    said = " ".join(text.notes)
    assert "lie among the images of 10_penny" in said
    for name in ("unmasked_weight is 0.2", "masked_prior_preservation_weight is 0.5", "preservation_weight is 1.0",
                 "preservation_class is girl"):
        assert f"loss.{name}" in said
    (images / "set/10_penny/a-mask.png").unlink()
    (images / "set/5_hat/mask/b.png").unlink()
    assert any("no mask folder is known" in note for note in exported(images)[0].notes)
