"""Many captions at once in a real browser: a tag renamed, tags copied and pasted, what images share, some tagged."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from lib_lora_train.config.tag_job import load_tag_job

from ..conftest import eventually
from .conftest import PANEL, caption, cell, choose, toast, wait_for_caption, wait_for_count

GRID = f"{PANEL} .tl-capgrid"
DIALOG = ".tl-dialog"


def pick(page, tag: str):
    return page.locator(f"{PANEL} .tl-tag-pick", has_text=re.compile(rf"^{re.escape(tag)}\d"))


def select(page, *names: str) -> None:
    """The images of these names are selected, and no others."""
    choose(page, names[0])
    for name in names[1:]:
        cell(page, name).click(modifiers=["Control"])
    page.locator(f"{PANEL} .tl-selected-count", has_text=f"{len(names)} selected").wait_for()


def chips(page, which: str) -> list[str]:
    page.locator(f"{PANEL} #tl_common_tags").wait_for()
    return page.locator(f'{PANEL} [aria-label="Tags of {which} selected images"] .tl-common-tag').all_text_contents()


def test_a_double_click_renames_a_tag_in_all_captions_whatever_is_shown(editor, folder):
    page = editor()
    page.fill("#tl_captions_filter", "brown hair")
    wait_for_count(page, "2 of 40")
    pick(page, "red boots").dblclick()
    expect(page.locator("#tl_captions_filter")).to_have_value("brown hair")
    expect(page.locator("#tl_rename_name")).to_have_value("red boots")
    page.fill("#tl_rename_name", "red shoes")
    page.locator("#tl_rename_words", has_text="19 images with it.").wait_for()
    expect(page.locator(f"{DIALOG} ins").first).to_have_text("red shoes")
    page.click("#tl_rename_go")
    toast(page, "Renamed red boots to red shoes in 19 captions")
    assert caption(folder, "01") == "penny, blonde hair, number 1, boots, red shoes"
    page.locator(GRID).press("Control+z")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, boots, red boots")


def test_by_keys_a_tag_is_merged_into_one_that_exists_which_is_said_before(editor, folder):
    page = editor()
    pick(page, "boots").click()
    wait_for_count(page, "19 of 40")
    pick(page, "boots").press("F2")
    page.fill("#tl_rename_name", "hat, cap")
    page.locator("#tl_rename_words", has_text="separates tags").wait_for()
    expect(page.locator("#tl_rename_go")).to_be_disabled()
    page.fill("#tl_rename_name", "red boots")
    merging = "exists already, in 19 images: the two tags become one. 19 images with both"
    page.locator("#tl_rename_words", has_text=merging).wait_for()
    expect(page.locator("#tl_rename_go")).to_have_text("Merge")
    expect(page.locator("#tl_rename_go")).to_be_enabled()
    page.locator("#tl_rename_name").press("Enter")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots")
    expect(page.locator("#tl_captions_filter")).to_have_value("red boots")


def test_the_trigger_word_is_renamed_in_its_field_too(editor, folder):
    page = editor()
    page.fill("#tl_captions_tag", "penny")
    page.locator("#tl_captions_tag").press("Enter")
    pick(page, "penny").press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("F2")
    page.fill("#tl_rename_name", "p3nny")
    page.locator("#tl_rename_words", has_text="38 images").wait_for()
    page.locator("label", has_text="also in sentences, 1 caption").click()
    page.locator(f"{DIALOG} .tl-note", has_text="and 33 more").wait_for()
    page.click("#tl_rename_go")
    toast(page, "Renamed penny to p3nny in 39 captions")
    expect(page.locator("#tl_captions_tag")).to_have_value("p3nny")
    assert caption(folder, "05") == "A photo of p3nny in a field of flowers."


def test_tags_are_copied_and_pasted_by_keys_and_buttons(editor, folder):
    page = editor()
    choose(page, "02")
    page.locator(GRID).press("Control+c")
    toast(page, "Copied 4 tags of 1 image.")
    select(page, "01", "06")
    page.locator(GRID).press("Control+v")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, boots, red boots, number 2, hat")
    wait_for_caption(page, folder, "06", "penny, blonde hair, number 2, hat")
    page.locator(GRID).press("Control+z")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, boots, red boots")
    assert not list(folder.rglob("06.txt"))
    select(page, "00", "01")
    page.click("#tl_copy_tags")
    toast(page, "Copied 7 tags of 2 images.")
    cell(page, "06").click()
    expect(page.locator("#tl_paste_tags")).to_have_text("Paste 7 tags")
    page.click("#tl_paste_tags")
    eventually(page, lambda: [path.read_text() for path in folder.rglob("06.txt")],
               ["penny, blonde hair, number 0, hat, number 1, boots, red boots"])


def test_what_another_program_copied_is_shown_before_it_is_pasted(editor, folder):
    page = editor(own=True)
    choose(page, "02")
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.setData("text/plain", "cap, scarf\\ncap");
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
    }""")
    page.locator(DIALOG, has_text="1 caption would change").wait_for()
    assert caption(folder, "02") == "penny, blonde hair, number 2, hat"
    page.get_by_role("button", name="Paste 2 tags").last.click()
    wait_for_caption(page, folder, "02", "penny, blonde hair, number 2, hat, cap, scarf")


def test_tags_that_images_share_are_edited_for_all_of_them(editor, folder):
    page = editor()
    select(page, "01", "03", "02")
    eventually(page, lambda: chips(page, "all"), ["penny"])
    assert sorted(chips(page, "some")) == ["blonde hair", "boots", "brown hair", "hat", "number 1", "number 2",
                                           "number 3", "red boots"]
    expect(page.locator(f'{PANEL} .tl-common-some[data-tag="boots"]')).to_have_attribute(
        "aria-label", "boots, in 2 of 3")
    page.locator(f'{PANEL} .tl-common[data-tag="hat"]').focus()
    page.locator(f'{PANEL} [aria-label="Remove boots from all"]').dispatch_event("click")  # the focus stays where it is
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots")
    wait_for_caption(page, folder, "03", "penny, brown hair, number 3, red boots")
    expect(page.locator(f'{PANEL} .tl-common[data-tag="boots"]')).to_have_count(0)
    expect(page.locator(f'{PANEL} .tl-common[data-tag="hat"]')).to_be_focused()  # not what took its place
    page.keyboard.press("Enter")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots, hat")
    eventually(page, lambda: chips(page, "all"), ["penny", "hat"])
    page.fill("#tl_common_add", "cap, scarf")
    page.locator("#tl_common_add").press("Enter")
    wait_for_caption(page, folder, "02", "penny, blonde hair, number 2, hat, cap, scarf")
    page.locator(f'{PANEL} .tl-common[data-tag="penny"]').press("Delete")
    wait_for_caption(page, folder, "02", "blonde hair, number 2, hat, cap, scarf")
    assert caption(folder, "04").startswith("penny")
    cell(page, "05").click(modifiers=["Control"])
    page.locator(f"{PANEL} #tl_common_tags", has_text="Left alone: 1 caption in sentences.").wait_for()
    page.locator(GRID).press("Escape")
    expect(page.locator(f"{PANEL} .tl-selected")).to_be_hidden()


@pytest.fixture
def tagger(webui) -> Iterator[None]:
    """The files of the usual tagger are there; what is in them is not looked at."""
    folder = webui.data / "models" / "TrainLora" / "taggers" / "wd-swinv2-tagger-v3"
    folder.mkdir(parents=True)
    for name in ("model.onnx", "selected_tags.csv"):
        (folder / name).touch()
    yield
    shutil.rmtree(folder)


@pytest.mark.usefixtures("tagger")
def test_only_the_selected_images_are_given_to_the_tagger(webui, editor):
    page = editor(own=True)
    select(page, "01", "03")
    page.click("#tl_tag_selected")
    expect(page.locator("#tl_tag")).to_have_text("Tag 2 images")
    page.locator('#tl_tagging [data-whom="all"]').click()
    expect(page.locator("#tl_tag")).to_have_text("Tag the images")
    page.locator('#tl_tagging [data-whom="selected"]').click()
    with page.expect_response("**/tagging/runs") as answer:
        page.click("#tl_tag")
    run = webui.data / "lora_train" / "runs" / answer.value.json()["id"]
    assert load_tag_job(run / "job.yaml").dataset.images == ["2_penny/01.png", "2_penny/03.png"]
