"""A v-prediction checkpoint that the webui draws as noise: said in the Model card, beside images and beside plots."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.standin.checkpoint_file import SDXL, write_header

from .conftest import train
from .webui_process import WebuiProcess


@pytest.fixture
def velocity_webui(tmp_path):
    """A webui with a marked SDXL file loaded, and a finished run on it."""
    checkpoint = write_header(tmp_path / "noob.safetensors", {**SDXL, "v_pred": (0,)})
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (1024, 1024)).save(images / "a.png")
    (images / "a.txt").write_text("penny, smiling", encoding="utf-8")
    webui = WebuiProcess(tmp_path / "data", ["--checkpoint", str(checkpoint), "--worker", "scripted"],
                         {"STANDIN_STEP_SECONDS": "0.01"}).start()
    train(webui, {"dataset": {"train_data_dir": str(images), "activation_tag": "penny"},
                  "save": {"output_name": "penny"}, "training": {"max_train_epochs": 1}})
    yield webui, checkpoint
    webui.close()
    shutil.rmtree(tmp_path / "data", ignore_errors=True)


def test_the_notice_stands_beside_every_image_and_its_button_writes_the_yaml(velocity_webui, open_tab):
    webui, checkpoint = velocity_webui
    page = open_tab(webui)
    said = page.locator(".tl-prediction:visible")
    for tab in ("runs", "test", "train"):
        page.click(f"#tl-tab-{tab}")
        expect(said).to_contain_text("there is no noob.yaml beside it")
        expect(said.get_by_role("button", name="Write noob.yaml")).to_be_enabled()
    assert not checkpoint.with_suffix(".yaml").exists()
    said.get_by_role("button", name="Write noob.yaml").click()
    expect(page.locator(".tl-toast")).to_contain_text("noob.yaml is written beside noob.safetensors")
    for tab in ("train", "runs", "test"):
        page.click(f"#tl-tab-{tab}")
        expect(said).to_contain_text("the webui loaded it before")
        expect(said.get_by_role("button")).to_have_count(0)
    assert "VScaling" in checkpoint.with_suffix(".yaml").read_text(encoding="utf-8")
