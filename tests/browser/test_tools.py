"""The Tools tab with a scripted worker: forms, the curve, progress, results, looking inside, the card."""

from __future__ import annotations

import io
import itertools
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from lib_lora_train.files.safetensors_header import read_safetensors_header
from tests.standin.lora_file import write_lora

from .conftest import MINI, REFUSED, evaluates, look_as, refuse, refused, try_again


@pytest.fixture
def loras(webui):
    metadata = {"ss_network_dim": "8", "ss_network_alpha": "4", "ss_num_epochs": "3", "ss_learning_rate": "0.0003"}
    return [write_lora(webui.loras / name, metadata) for name in ("old.safetensors", "below/other.safetensors")]


@pytest.fixture
def tools(webui, open_tab, loras):
    def open_tools(command):
        page = open_tab(webui)
        page.locator("#tl-tab-tools").click()
        page.locator(f'[data-tool="{command}"]').click()
        return page

    return open_tools


def setting(page, key):
    return page.locator(f'#tl-panel-tools [data-key="{key}"]').locator("input, select").first


def press(page, name):
    """Press a button that starts a run, and wait until that run is shown."""
    before = page.locator("#tl_tool_run").get_attribute("data-run")
    page.locator(name).click()
    page.wait_for_function("before => document.querySelector('#tl_tool_run').dataset.run !== before", arg=before)


def ended(page, words="Finished"):
    expect(page.locator("#tl_tool_run .tl-badge")).to_have_text(words)


def test_a_lora_is_resized_after_its_curve_was_seen(tools, webui):
    page = tools("resize")
    setting(page, "resize.lora").fill("below/other")
    press(page, "#tl_tool_curve")
    page.locator('#tl_tool_outcome [data-rank="4"]').click()
    expect(setting(page, "resize.network_dim")).to_have_value("4")
    ended(page)
    assert not (webui.loras / "below" / "small.safetensors").exists()
    setting(page, "resize.output_name").fill("small")
    refuse(page, "tools/runs/*/pictures", "prompt-sets")
    press(page, "#tl_tool_start")
    expect(page.locator(".tl-tool-made")).to_contain_text("small")
    ended(page)
    assert (webui.loras / "below" / "small.safetensors").is_file()
    refused(page, "The state of the images", within="#tl_tool_pictures")
    page.locator("#tl_tool_pictures select").focus()
    page.locator(".tl-toast", has_text=REFUSED).wait_for()
    page.locator("#tl_tool_prompt").focus()
    try_again(page)
    page.locator("#tl_tool_draw").click()
    expect(page.locator("#tl_tool_pictures .tl-field-problem")).to_have_text("Write a prompt to draw.")
    page.locator("#tl_tool_pictures select").focus()
    page.locator("#tl_tool_pictures select").select_option("{trigger}, upper body, looking at viewer, plain background")
    expect(page.locator("#tl_tool_prompt")).to_have_value(re.compile("^{trigger}, upper body"))
    page.locator("#tl_tool_draw").click()
    expect(page.locator("#tl_tool_pictures figcaption")).to_have_text(["Before", "After"])
    expect(page.locator("#tl_tool_pictures [role=status]")).to_contain_text("differ by")
    page.locator("#tl_tool_start").click()
    expect(page.locator('#tl-panel-tools [data-key="resize.output_name"] .tl-field-problem')).to_contain_text(
        "small-v2")


def test_the_curve_is_used_with_the_keyboard(tools):
    page = tools("resize")
    setting(page, "resize.lora").fill("old")
    press(page, "#tl_tool_curve")
    rank = page.locator('#tl_tool_outcome [data-rank="8"]')
    rank.wait_for()
    rank.focus()
    expect(page.locator(".tl-curve-words")).to_have_text("Rank 8: about 1.2 MB, error 5%.")
    rank.press("Enter")
    expect(setting(page, "resize.network_dim")).to_have_value("8")


def test_what_is_missing_is_said_under_its_field(tools):
    page = tools("extract")
    page.locator("#tl_tool_start").click()
    for key, words in (("org", "Base checkpoint is missing"), ("tuned", "Tuned checkpoint is missing"),
                       ("network_dim", "Rank (dim) is missing"), ("output_name", "LoRA name is empty")):
        expect(page.locator(f'#tl-panel-tools [data-key="extract.{key}"] .tl-field-problem')).to_contain_text(words)


def test_loras_with_strengths_are_merged_into_a_checkpoint_that_can_be_selected(tools, webui, tmp_path):
    page = tools("merge")
    setting(page, "merge.checkpoint").select_option(str(MINI))
    lines = page.locator("#tl_tool_merge .tl-tool-loras > li")
    lines.first.get_by_label("LoRA 1", exact=True).fill("old")
    lines.first.get_by_label("UNet of LoRA 1").fill("0,8")
    page.locator("#tl_tool_merge").get_by_role("button", name="Add a LoRA").click()
    page.locator("#tl_tool_start").click()
    expect(page.locator("#tl_tool_merge .tl-field-problem", has_text="number 2 is not chosen")).to_be_visible()
    lines.nth(1).get_by_label("LoRA 2", exact=True).fill("gone")
    page.locator("#tl_tool_start").click()
    expect(page.locator("#tl_tool_merge .tl-field-problem", has_text="'gone'")).to_be_visible()
    lines.nth(1).get_by_label("LoRA 2", exact=True).fill("below/other")
    setting(page, "merge.output_name").fill(tmp_path.name)
    lines.nth(1).get_by_label("Block weights of LoRA 2").fill("1,2,3")
    page.locator("#tl_tool_start").click()
    said = page.locator("#tl_tool_merge .tl-field-problem", has_text="'1:lbw=1,2,3' of other cannot be used")
    expect(said).to_be_visible()
    lines.nth(1).get_by_label("Text encoder of LoRA 2").fill("0.5")
    lines.nth(1).get_by_label("Block weights of LoRA 2").fill("OUTALL")
    setting(page, "merge.output_name").fill(tmp_path.name)
    try:
        press(page, "#tl_tool_start")
        page.evaluate("window.selectCheckpoint = (title) => { window.selected = title; }")
        page.locator("#tl_tool_select").click()
        evaluates(page, "window.selected", f"{tmp_path.name}.safetensors")
    finally:
        MINI.with_name(f"{tmp_path.name}.safetensors").unlink(missing_ok=True)
    run = next(run["id"] for run in webui.get("runs") if run["command"] == "merge")
    job = (webui.data / "lora_train" / "runs" / run / "job.yaml").read_text()
    assert "0.8" in job and "te=0.5:unet=1:lbw=OUTALL" in job


def test_a_tool_is_stopped(make_webui, open_tab):
    webui = make_webui(step_seconds=1)
    write_lora(webui.loras / "old.safetensors", {})
    page = open_tab(webui)
    page.locator("#tl-tab-tools").click()
    page.locator('[data-tool="resize"]').click()
    setting(page, "resize.lora").fill("old")
    press(page, "#tl_tool_curve")
    expect(page.locator("#tl_tool_run .tl-run-sentence")).to_contain_text("of 20")
    page.locator("#tl_tool_stop").click()
    ended(page, "Stopped")
    expect(page.locator("#tl_tool_run .tl-run-sentence")).to_have_text("Stopped. Nothing was saved.")


def test_inspecting_and_training_like_it(tools):
    page = tools("inspect")
    setting(page, "inspect.lora").fill("old")
    press(page, "#tl_tool_start")
    inside = page.locator("#tl_tool_inside")
    expect(inside.locator(".tl-facts").first).to_contain_text("nai.safetensors")
    expect(inside.locator(".tl-norms [data-block]")).to_have_count(5)
    expect(inside.locator(".tl-tool-tags")).to_contain_text("smiling 11")
    page.evaluate('TrainLora.form.set("optimizer.learning_rate", 0.5)')
    page.locator("#tl_inside_train").click()
    page.locator("#tl_import_use").click()
    evaluates(page, 'TrainLora.form.get("optimizer.learning_rate")', 0.0003)
    page.locator("#tl-panel-train .tl-why").get_by_role("button", name="Undo").click()
    evaluates(page, 'TrainLora.form.get("optimizer.learning_rate")', 0.5)
    page.locator("#tl-tab-tools").click()
    page.locator("#tl_inside_resume").click()
    evaluates(page, 'TrainLora.form.get("network.network_weights")', "old")
    page.locator("#tl-panel-train .tl-why").get_by_role("button", name="Undo").click()
    evaluates(page, 'TrainLora.form.get("network.network_weights")', None)


def test_the_card_is_changed_and_what_others_wrote_stays(tools, loras):
    file = loras[1].with_suffix(".json")
    file.write_text(json.dumps({"activation text": "penny", "civitai": {"id": 7}}))
    page = tools("inspect")
    setting(page, "inspect.lora").fill("below/other")
    press(page, "#tl_tool_start")
    card = page.locator("#tl_card")
    expect(card.get_by_label("Activation text")).to_have_value("penny")
    expect(card).to_contain_text("Other programs have written civitai there")
    card.get_by_label("Preferred weight").fill("much")
    page.locator("#tl_card_save").click()
    expect(card.locator('[data-card="preferred_weight"] .tl-field-problem')).to_contain_text("'much'")
    card.get_by_label("Preferred weight").fill("0,7")
    page.locator("#tl_card_save").click()
    expect(card.get_by_label("Preferred weight")).to_have_value("0.7")
    assert json.loads(file.read_text()) == {"activation text": "penny", "civitai": {"id": 7}, "preferred weight": 0.7}
    picture = io.BytesIO()
    Image.new("RGB", (64, 96), "red").save(picture, "PNG")
    page.locator("#tl_card_file").set_input_files({"name": "red.png", "mimeType": "image/png",
                                                   "buffer": picture.getvalue()})
    expect(card.locator("img")).to_be_visible()
    assert loras[1].with_suffix(".png").is_file()


def test_the_file_says_something_else_and_its_weights_stay(tools, loras):
    page = tools("inspect")
    setting(page, "inspect.lora").fill("below/other")
    press(page, "#tl_tool_start")
    card, before = page.locator("#tl_metadata"), loras[1].read_bytes()
    card.get_by_label("Title", exact=True).fill("Penny")
    card.get_by_label("Training comment").fill("one\ntwo")
    card.locator("summary").click()
    expect(card.get_by_label("ss_network_dim", exact=True)).to_have_value("8")
    card.get_by_role("button", name="Remove ss_num_epochs").click()
    page.locator("#tl_metadata_name").fill("modelspec.license")
    page.locator("#tl_metadata_add").click()
    card.get_by_label("modelspec.license", exact=True).fill("CC0")
    page.locator("#tl_metadata_save").click()
    expect(page.locator("#tl_metadata_undo")).to_be_visible()
    found = read_safetensors_header(loras[1]).metadata
    assert {"modelspec.title": "Penny", "ss_training_comment": "one\ntwo", "modelspec.license": "CC0"}.items() \
        <= found.items() and "ss_num_epochs" not in found
    after = loras[1].read_bytes()
    assert after[8 + int.from_bytes(after[:8], "little"):] == before[8 + int.from_bytes(before[:8], "little"):]
    page.locator("#tl_metadata_undo").click()
    expect(page.locator("#tl_metadata_undo")).to_be_hidden()
    assert read_safetensors_header(loras[1]).metadata == {
        "ss_network_dim": "8", "ss_network_alpha": "4", "ss_num_epochs": "3", "ss_learning_rate": "0.0003"}


def test_everything_can_be_read(tools):
    page = tools("inspect")
    setting(page, "inspect.lora").fill("old")
    press(page, "#tl_tool_start")
    page.locator("#tl_inside_train").wait_for()
    for command in ("extract", "merge", "mix", "resize", "inspect"):
        page.locator(f'[data-tool="{command}"]').click()
        for fold in page.locator(f"#tl_tool_{command} .tl-fold:not([open]) > summary").all():
            fold.click()
        for theme, width in itertools.product(("light", "dark"), (1400, 800)):
            look_as(page, theme, width)
            for check in ("faintTexts()", "overflowing()", "clippedLabels()", "nameless()"):
                assert page.evaluate(check) == [], (command, theme, width, check)


def test_a_run_and_its_file_are_deleted_and_restored(tools, webui):
    page = tools("resize")
    setting(page, "resize.lora").fill("old")
    setting(page, "resize.network_dim").fill("4")
    setting(page, "resize.output_name").fill("gone")
    press(page, "#tl_tool_start")
    ended(page)
    run = page.locator("#tl_tool_run").get_attribute("data-run")
    page.locator("#tl_tool_delete").click()
    dialog = page.locator("dialog")
    expect(dialog).to_contain_text("settings, results, images, log")
    dialog.get_by_label("Delete its 1 LoRA file too").check()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(f'#tl_tool_earlier option[value="{run}"]')).to_have_count(0)
    expect(page.locator(f'#tl_tool_run[data-run="{run}"]')).to_have_count(0)
    assert not (webui.loras / "gone.safetensors").exists()
    page.locator("#tl-panel-tools").get_by_role("button", name="Trash").locator("visible=true").first.click()
    dialog.locator("li", has_text="gone").get_by_role("button", name="Restore").click()
    expect(page.locator(f'#tl_tool_earlier option[value="{run}"]')).to_have_count(1)
    assert (webui.loras / "gone.safetensors").is_file()


def test_a_lora_is_published(tools, webui, loras):
    """Hostile texts of the file are shown as texts; what the user wrote beside it stays unless it is ticked."""
    write_lora(loras[0], {"ss_optimizer": "<img src=x onerror=window.hit=1>", "modelspec.trigger_phrase": "penny",
                          "ss_tag_frequency": '{"10_secret": {"penny": 3}}'})
    sidecar = loras[0].with_suffix(".json")
    sidecar.write_text(json.dumps({"activation text": "mine"}))
    page = tools("inspect")
    setting(page, "inspect.lora").fill("old")
    press(page, "#tl_tool_start")
    page.locator("#tl_card_publish").click()
    window = page.locator("#tl_publish")
    expect(window.locator('[data-publish="trigger"]')).to_have_value("mine")  # the webui's card comes first
    window.locator('[data-publish="trigger"]').fill("penny")
    row = window.locator("tr", has_text="Activation text")
    expect(row.locator("td").nth(1)).to_have_text("mine")
    expect(row.locator("td").nth(2)).to_have_text("penny")
    expect(row.locator("input")).not_to_be_checked()
    expect(window.locator("tr", has_text="Notes")).to_contain_text("<img src=x onerror=window.hit=1>")
    window.locator("#tl_publish_sidecar").click()
    expect(window.locator("#tl_publish_said")).to_contain_text("The webui's card is written.")
    assert json.loads(sidecar.read_text())["activation text"] == "mine"
    window.get_by_label("License", exact=True).select_option("other")
    expect(window.locator("#tl_publish_said")).to_contain_text("Name of the license is empty")
    expect(window.locator("#tl_publish_folder")).to_be_disabled()
    window.get_by_label("Name of the license").fill("Ask me")
    expect(window.locator("#tl_publish_folder")).to_be_enabled()
    expect(window.locator("#tl_publish_left_out")).to_contain_text("Left out: The names of dataset folders")
    window.locator("#tl_publish_folder").click()
    expect(window.locator("#tl_publish_said")).to_contain_text("It holds README.md, old.safetensors")
    expect(window.locator("#tl_publish_said")).to_contain_text("Left out: The names of dataset folders")
    window.locator("summary", has_text="Card as text").click()
    expect(window.locator("#tl_publish_text")).to_have_value(re.compile(r"&lt;img src=x onerror=window\.hit=1&gt;"))
    assert page.evaluate("window.hit") is None
