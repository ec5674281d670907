"""The form's own controls for networks: a number for each block, and a LoRA file to go on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.standin.lora_file import LAYER, write_lora

from .conftest import evaluates, eventually, field, refuse, refused, try_again

RATES = '.tl-field[data-key="network.block_lr_weight"]'


@pytest.fixture
def page(page):
    field(page, "block_lr_weight")
    return page


def value(page, name):
    return page.evaluate("key => window.TrainLora.form.get(key)", f"network.{name}")


def heights(page):
    return page.eval_on_selector_all(f"{RATES} .tl-block-fill", "bars => bars.map((bar) => bar.style.height)")


def test_a_common_list_is_shown_as_bars_for_the_blocks_that_the_kind_of_network_has(page):
    rates = field(page, "block_lr_weight")
    expect(page.locator(f"{RATES} .tl-block")).to_have_count(0)
    rates.select_option("skin only")
    expect(page.locator(f"{RATES} .tl-block")).to_have_count(17)
    assert value(page, "block_lr_weight") == "skin only"
    expect(page.locator(f"{RATES} .tl-block-off")).to_have_count(7)
    expect(page.locator(f"{RATES} .tl-note")).to_contain_text("A block at 0 is neither trained nor saved")
    assert heights(page) == ["100%"] + ["0%"] * 7 + ["100%"] * 9
    field(page, "network_type").select_option("LyCORIS-LoCon")
    expect(page.locator(f"{RATES} .tl-block")).to_have_count(26)
    rates.select_option(label="Same for all blocks")
    expect(page.locator(f"{RATES} .tl-block-editor")).to_be_hidden()
    assert value(page, "block_lr_weight") == ""


def test_bars_are_drawn_with_the_pointer_and_moved_by_key(page):
    field(page, "block_lr_weight").select_option(label="Custom numbers")
    bar = page.locator(f'{RATES} .tl-block[data-block="IN01"]')
    bar.scroll_into_view_if_needed()
    box, end = (page.locator(f'{RATES} .tl-block[data-block="{name}"] .tl-block-track').bounding_box()
                for name in ("IN01", "IN04"))
    page.mouse.move(box["x"] + 3, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + 3, end["y"] + end["height"] / 2)  # a jump: the bars between are set as well
    page.mouse.up()
    eventually(page, lambda: value(page, "block_lr_weight"), "1,0.5,0.5,0.5" + ",1" * 13)
    bar.press("ArrowUp")
    bar.press("ArrowRight")
    page.keyboard.press("Home")
    assert value(page, "block_lr_weight") == "1,0.55,0,0.5" + ",1" * 13
    second = page.locator(f'{RATES} .tl-block[data-block="IN02"]')
    expect(second).to_have_attribute("aria-valuetext", "0, not trained")
    expect(second).to_be_focused()


def test_a_list_can_be_pasted_and_a_wrong_one_is_reported(page):
    field(page, "block_lr_weight").select_option(label="Custom numbers")
    text = page.locator(f"{RATES} input")
    text.fill("OUTS:1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1")
    expect(page.locator(f"{RATES} .tl-block-off")).to_have_count(11)
    text.fill("1,2")
    page.locator(f"{RATES} .tl-field-problem", has_text="It has 2 numbers").wait_for()
    expect(page.locator(f"{RATES} .tl-blocks")).to_be_hidden()


def test_dims_follow_a_list_as_shares_of_the_network_dim(page):
    field(page, "network_dim").fill("40")
    field(page, "block_dims").select_option("style: OUT")
    eventually(page, lambda: value(page, "block_dims"), "40" + ",8" * 7 + ",40" * 9)


def test_a_lora_to_continue_from_says_what_it_is_and_sets_kind_and_sizes(page, webui):
    folder = Path(page.evaluate("window.TrainLora.host.lora_dir"))
    write_lora(folder / "fox.safetensors", {"ss_sd_model_name": "nai.safetensors", "ss_epoch": "8",
               "ss_tag_frequency": json.dumps({"fox": {"foxy": 9}}), "modelspec.trigger_phrase": "foxword"})
    write_lora(folder / "odd.safetensors", {}, {f"{LAYER}.lora_mid.weight": (8, 8, 3, 3)})
    name, info = field(page, "network_weights"), page.locator(".tl-lora-info")
    name.focus()
    name.press_sequentially("fo")
    page.locator(".tl-path-list [role=option]", has_text="fox.safetensors").wait_for()
    name.press("Tab")
    expect(name).to_have_value("fox")
    for words in ("LoRA-LierLa, dim 8 and alpha 4", "nai.safetensors", "foxword", "foxy", "8 epochs"):
        expect(info).to_contain_text(words)
    expect(field(page, "network_dim")).to_have_value("8")
    expect(field(page, "network_alpha")).to_have_value("4")
    info.locator("summary").click()
    expect(info).to_contain_text("ss_sd_model_name")
    evaluates(page, "faintTexts()", [])
    evaluates(page, "overflowing()", [])
    name.fill("odd")
    name.press("Enter")
    expect(info).to_contain_text("Tucker")
    name.fill("nothing")
    name.press("Enter")
    page.locator('.tl-field[data-key="network.network_weights"] .tl-field-problem', has_text="no such LoRA").wait_for()
    refuse(page, "lora/info?*")
    page.evaluate("TrainLora.form.set('network.network_weights', 'fox')")  # as a job that is filled in does
    refused(page, "What is in this LoRA")
    try_again(page)
    expect(info).to_contain_text("foxword")
    name.fill("")
    name.press("Enter")
    expect(info).to_be_empty()
