"""The selection of the caption editor in a real browser: what it holds, and what acts on it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from ..conftest import eventually
from .conftest import PANEL, caption, cell, choose, toast, wait_for_caption, wait_for_count


def test_one_selected_picture_is_acted_on_alone_until_all_are_asked_for(editor, folder):
    page = editor()
    choose(page, "00")
    button, whom = page.locator("#tl_caption_go"), page.locator(f"{PANEL} .tl-whom")
    expect(button).to_have_text("Add to 1 caption")
    expect(whom.locator('[aria-checked="true"]')).to_have_text("1 selected")
    page.fill("#tl_action_tags", "cap")
    button.click()
    toast(page, "Added cap to 1 caption.")
    assert caption(folder, "00").endswith("cap") and "cap" not in caption(folder, "02")
    whom.locator('[data-who="shown"]').click()
    expect(button).to_have_text("Add to 40 captions")
    choose(page, "02")
    expect(button).to_have_text("Add to 1 caption")
    page.locator(f"{PANEL} .tl-capgrid").press("Escape")
    expect(button).to_have_text("Add to 40 captions")


def test_the_selection_stays_while_tags_are_clicked(editor, folder):
    page = editor()
    choose(page, "00")
    cell(page, "03").click(modifiers=["Control"])
    page.locator(f"{PANEL} .tl-tag-pick", has_text=re.compile(r"^red boots")).click()
    wait_for_count(page, "19 of 40")
    expect(page.locator(f'{PANEL} [data-who="selected"]')).to_have_text("2 selected, 1 not shown")
    expect(page.locator(f"{PANEL} .tl-capname")).to_contain_text("03.png")
    page.locator(f'{PANEL} [data-verb="remove"]').click()
    page.fill("#tl_action_tags", "red boots, hat")
    page.locator("#tl_action_tags").press("Enter")
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0")
    wait_for_caption(page, folder, "03", "penny, brown hair, number 3, boots")
    wait_for_count(page, "18 of 40")
    expect(page.locator("#tl_caption_go")).to_have_text("Remove from 2 captions")
    page.locator(f"{PANEL} .tl-capgrid").press("Delete")
    page.fill("#tl_captions_filter", "")
    wait_for_count(page, "40 images")
    expect(page.locator(f'{PANEL} [data-who="selected"]')).to_have_text("2 selected")
    page.locator(f"{PANEL} .tl-capgrid").press("Delete")
    wait_for_count(page, "38 images")
    expect(page.locator(f"{PANEL} [data-who=\"selected\"]")).to_have_text("1 selected")


def test_selected_images_get_a_weight_that_the_grid_shows(editor, folder):
    page = editor()
    choose(page, "00")
    cell(page, "02").click(modifiers=["Shift"])
    cell(page, "02").click(modifiers=["Control"])
    cell(page, "02").click(modifiers=["Control"])
    page.locator(f"{PANEL} .tl-capname", has_text="02.png").wait_for()
    page.get_by_role("button", name="Weight", exact=True).click()
    page.fill("#tl_image_weight", "0.5")
    page.get_by_role("button", name="leave out").click()
    page.click("#tl_weight_save")
    expect(cell(page, "01").locator(".tl-cell-mark")).to_have_text(["×0.5", "left out"])
    assert len(list(folder.rglob("*.weight.json"))) == 3
    page.fill("#tl_captions_filter", "repeats=0")
    wait_for_count(page, "3 of 40")
    page.click("#tl_captions_undo")
    eventually(page, lambda: len(list(folder.rglob("*.weight.json"))), 0)


def test_the_selection_is_inverted_among_what_is_shown(editor):
    page = editor()
    page.fill("#tl_captions_filter", "brown hair")
    wait_for_count(page, "2 of 40")
    choose(page, "03")
    page.locator(f"{PANEL} .tl-capgrid").press("Control+i")
    expect(page.locator("#tl_caption_go")).to_have_text("Add to 1 caption")
    expect(cell(page, "07")).to_have_attribute("aria-selected", "true")
    expect(cell(page, "03")).to_have_attribute("aria-selected", "false")
    page.get_by_role("button", name="Invert selection").click()
    expect(cell(page, "03")).to_have_attribute("aria-selected", "true")


def test_the_next_picture_without_a_caption_is_one_key_away(editor, folder):
    (folder / "2_penny/21.txt").write_text("")
    page = editor()
    grid, name = page.locator(f"{PANEL} .tl-capgrid"), page.locator(f"{PANEL} .tl-capname")
    for expected in ("06.png", "21.png", "06.png"):
        grid.press("Control+j")
        expect(name).to_contain_text(expected)
    page.fill("#tl_captions_filter", "hat")
    wait_for_count(page, "19 of 40")
    page.get_by_role("button", name="Next without a caption").click()
    toast(page, "Every image shown has a caption")
