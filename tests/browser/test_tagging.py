"""The tagging panel with the real worker and the mini tagger."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect
from safetensors import safe_open

from lib_lora_train.environment.interpreter import own_environment, python_of

from .conftest import eventually, fill_in, go_to_tab, ready, wait_for_state
from .webui_process import ROOT

DEMO = ROOT / "demo"
PANEL = "#tagging_under_test"
MOUNT = """folder => {
    const place = document.createElement("div");
    place.id = "tagging_under_test";
    place.append(TrainLora.taggingPanel(() => folder));
    document.querySelector("#tl-panel-train").prepend(place);
}"""


def worker_python() -> str:
    """The Python that has torch, or can have it: the worker's own, unless the tests are told of another."""
    own = python_of(own_environment())
    return str(own) if own.exists() else os.environ.get("LORA_TRAIN_TEST_WORKER", sys.executable)


@pytest.fixture
def tagging_webui(make_webui, tmp_path: Path):
    """A webui whose taggers' folder holds the mini tagger."""
    taggers = tmp_path / "data" / "models" / "TrainLora" / "taggers"
    shutil.copytree(DEMO / "tagger", taggers / "mini")
    return make_webui("--worker", "real", "--worker-python", worker_python())


@pytest.fixture
def hearts(tmp_path: Path) -> Path:
    """Pictures of which the first three have captions."""
    folder = tmp_path / "hearts"
    shutil.copytree(DEMO / "pictures", folder)
    for caption in sorted(folder.glob("*.txt"))[3:]:
        caption.unlink()
    return folder


def mount(page, folder: Path) -> None:
    page.evaluate(MOUNT, str(folder))
    page.locator(f"{PANEL} .tl-primary").wait_for()


def control(page, key: str):
    return page.locator(f'{PANEL} [data-key="{key}"]').locator("input, select").first


def tag(page, outcome: str) -> None:
    """Press the button and wait until the panel says that the run is done, with these words among others."""
    page.locator(f"{PANEL} .tl-primary").click()
    page.locator(f"{PANEL} #tl_tagging_run .tl-level-good", has_text=outcome).wait_for()


def captions(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.glob("*.txt"))}


def test_pictures_without_a_caption_are_tagged_and_the_safety_comes_back(tagging_webui, open_tab, hearts):
    before = captions(hearts)
    page = open_tab(tagging_webui)
    mount(page, hearts)
    control(page, "tagger.model").select_option("mini")
    control(page, "tags.always_first_tags").fill("emoheart")
    tag(page, "18 images tagged, 18 captions written, 3 left alone because they had captions. With mini on the CPU")
    after = captions(hearts)
    assert {name: after[name] for name in before} == before
    assert len(after) == 21
    assert all(after[name].startswith("emoheart") for name in after if name not in before)

    control(page, "write.mode").select_option("overwrite")
    expect(page.locator(f"{PANEL} .tl-hint", has_text="including your own edits")).to_be_visible()
    tag(page, "21 images tagged")
    expect(control(page, "write.mode")).to_have_value("if-empty")
    assert captions(hearts) != after

    control(page, "write.mode").select_option("overwrite")
    page.reload()
    go_to_tab(page)
    mount(page, hearts)
    expect(control(page, "write.mode")).to_have_value("if-empty")
    expect(control(page, "tagger.model")).to_have_value("mini")
    expect(control(page, "tags.always_first_tags")).to_have_value("emoheart")


def test_what_is_wrong_stands_at_its_field_and_a_download_is_said_on_the_button(tagging_webui, open_tab, hearts):
    page = open_tab(tagging_webui, theme="dark")
    mount(page, hearts)
    button = page.locator(f"{PANEL} .tl-primary")
    control(page, "tagger.model").select_option("wd-vit-tagger-v3")
    expect(button).to_have_text("Download and tag")
    page.locator(f"{PANEL} .tl-quiet", has_text="0.2614").click()
    expect(control(page, "tags.general_threshold")).to_have_value("0.2614")
    control(page, "tagger.model").select_option("mini")
    expect(button).to_have_text("Tag the images")
    control(page, "tags.general_threshold").fill("7")
    button.click()
    problem = page.locator(f'{PANEL} [data-key="tags.general_threshold"] .tl-field-problem')
    problem.filter(has_text="between 0 and 1").wait_for()
    assert len(captions(hearts)) == 3
    assert tagging_webui.get("runs") == []


def test_one_image_shows_what_the_rules_do_before_anything_is_written(tagging_webui, open_tab, hearts):
    before = captions(hearts)
    page = open_tab(tagging_webui)
    mount(page, hearts)
    control(page, "tagger.model").select_option("camie-tagger-v2")
    kinds = page.locator(f'{PANEL} [data-key="tags.categories"] .tl-check:visible')
    assert [kind.lstrip("+✓ ") for kind in kinds.all_inner_texts()] == ["general", "characters", "series", "artists",
                                                                       "meta", "rating", "year"]
    expect(control(page, "tags.general_threshold")).to_have_attribute("placeholder", "0.61 (its own)")
    expect(page.locator(f"{PANEL} #tl_tag_try")).to_be_hidden()  # it would download the tagger
    control(page, "tagger.model").select_option("mini")
    sample = page.locator(f"{PANEL} #tl_tag_sample")
    page.locator(f"{PANEL} #tl_tag_try").click()
    sample.locator(".tl-sample-tag:not(.tl-sample-near)").first.wait_for()
    shown = sample.locator(".tl-sample-tag:not(.tl-sample-near)").count()
    page.locator(f'{PANEL} [data-key="tags.categories"] .tl-check', has_text="general").click()
    page.locator(f"{PANEL} #tl_tag_try").click()
    sample.locator("p", has_text="No tag is above its threshold").wait_for()
    assert shown > 0
    assert captions(hearts) == before


def test_sentences_have_a_place_and_a_download_that_is_asked_for(tagging_webui, open_tab, hearts):
    page = open_tab(tagging_webui)
    mount(page, hearts)
    button = page.locator(f"{PANEL} .tl-primary")
    control(page, "tagger.model").select_option("mini")
    expect(page.locator(f'{PANEL} [data-key="prose.place"]')).to_be_hidden()
    control(page, "prose.captioner").select_option("florence-2-base")
    expect(button).to_have_text("Download and tag")
    control(page, "prose.captioner").select_option("interrogator")
    expect(page.locator(f'{PANEL} [data-key="prose.detail"]')).to_be_hidden()
    control(page, "prose.place").select_option("instead")
    expect(button).to_have_text("Download and describe")  # the stand-in has no model in its folder
    control(page, "write.mode").select_option("overwrite")
    button.click()
    done = page.locator(f"{PANEL} #tl_tagging_run .tl-level-good", has_text="21 images described, 21 captions written")
    done.wait_for()
    assert all(" picture of " in text for text in captions(hearts).values())


def test_captions_are_written_where_the_training_will_read_them(tagging_webui, open_tab, hearts):
    page = open_tab(tagging_webui)
    page.evaluate("TrainLora.form.set('dataset.caption_extension', '.caption')")
    mount(page, hearts)
    control(page, "tagger.model").select_option("mini")
    control(page, "tags.always_first_tags").fill("emoheart")
    tag(page, "21 images tagged, 21 captions written")
    assert len(list(hearts.glob("*.caption"))) == 21
    assert len(captions(hearts)) == 3


def test_runs_of_tagging_are_not_among_the_trainings(tagging_webui, open_tab, hearts):
    page = open_tab(tagging_webui)
    mount(page, hearts)
    control(page, "tagger.model").select_option("mini")
    tag(page, "18 images tagged")
    assert [run["command"] for run in tagging_webui.get("runs")] == ["tag"]
    page.click("#tl-tab-runs")
    page.locator(".tl-empty-title", has_text="No runs yet").wait_for()


@pytest.mark.slow
def test_tag_edit_undo_and_train(tagging_webui, open_tab, hearts):
    page = open_tab(tagging_webui)
    editor = page.locator("#tl-panel-captions")
    page.click("#tl-tab-captions")
    page.fill("#tl_captions_folder", str(hearts))
    page.click("#tl_captions_open")
    count = editor.locator(".tl-capcount")
    expect(count).to_have_text("21 images, 18 without a caption")
    page.fill("#tl_captions_tag", "emoheart")
    page.locator("#tl_captions_tag").press("Enter")

    editor.locator('[data-view="tagger"]').click()
    editor.locator('[data-key="tagger.model"] select').select_option("mini")
    page.click("#tl_tag")
    editor.locator("#tl_tagging_run .tl-level-good", has_text="18 captions written, 3 left alone").wait_for()
    editor.locator('[data-view="pictures"]').click()
    expect(count).to_have_text("21 images")  # the editor has noticed by itself

    for tag, outcome in (("painted", "Added painted to 21 captions."), ("glossy", "Added glossy to 21 captions.")):
        page.fill("#tl_action_tags", tag)
        page.click("#tl_caption_go")
        page.locator(".tl-toast", has_text=outcome).wait_for()
        if tag == "painted":
            page.click("#tl_captions_undo")
            expect(editor.locator(".tl-tag-pick", has_text=re.compile("^painted"))).to_have_count(0)
    eventually(page, lambda: all(text.startswith("emoheart") and text.strip().endswith(", glossy")
                                 for text in captions(hearts).values()), True)

    page.click("#tl-tab-train")
    fill_in(page, hearts, output_name="hearts", resolution="64", min_bucket_reso="64", max_bucket_reso="128",
            max_token_length="75", train_batch_size="4", network_dim="4", network_alpha="2", max_train_epochs="1")
    ready(page)
    page.click("#tl_train")
    wait_for_state(page, "Finished")
    with safe_open(tagging_webui.loras / "hearts.safetensors", "np") as file:
        [seen] = json.loads(file.metadata()["ss_tag_frequency"]).values()
    assert seen["emoheart"] == seen["glossy"] == 21
    assert "painted" not in seen
