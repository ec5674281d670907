"""Windows and marks of the caption editor in a real browser: history, captions from elsewhere, chunks of 75 tokens."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from ..conftest import eventually
from .conftest import PANEL, caption, choose, in_all_looks, toast, wait_for_caption

GRID = f"{PANEL} .tl-capgrid"
WINDOW = "#tl_history"


def edit(page, verb: str, tags: str, words: str) -> None:
    page.locator(f'{PANEL} [data-verb="{verb}"]').click()
    page.fill("#tl_action_tags", tags)
    page.locator("#tl_action_tags").press("Enter")
    toast(page, words)


def test_the_history_shows_tags_and_images_and_leads_back(editor, folder):
    page = editor()
    before = {path.name: path.read_text() for path in folder.rglob("*.txt")}
    edit(page, "add", "white", "Added white to 39 captions")
    edit(page, "remove", "hat, boots", "Removed hat, boots from 38 captions")
    edit(page, "add", "last", "Added last to 39 captions")
    page.click("#tl_history_open")
    rows = page.locator(f"{WINDOW} .tl-edit")
    expect(rows).to_have_count(3)
    expect(rows.nth(1).locator(".tl-edit-tag")).to_have_text(["−hat", "−boots"])
    expect(rows.nth(2).locator(".tl-edit-tag")).to_have_text(["+white"])
    assert rows.nth(2).locator("img").get_attribute("alt") == "00.png"
    expect(rows.nth(2)).to_contain_text("39 files · today")
    rows.nth(1).get_by_role("button").click()
    page.locator(".tl-dialog", has_text="Undo 2 edits: 39 captions").wait_for()
    page.click("#tl_history_go")
    toast(page, "Undid 2 edits")
    wait_for_caption(page, folder, "00", f"{before['00.txt']}, white")
    page.click("#tl_history_open")
    expect(rows.nth(0)).to_contain_text("undone")
    rows.nth(0).get_by_role("button", name="Redo up to here").click()
    page.locator("#tl_history_go", has_text="Redo 2 edits").click()
    toast(page, "Redid 2 edits")
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0, white, last")


def test_the_way_back_can_leave_what_others_have_changed(editor, folder):
    page = editor()
    edit(page, "add", "white", "Added white to 39 captions")
    edit(page, "add", "last", "Added last to 39 captions")
    (folder / "2_penny/00.txt").write_text("theirs")
    page.click("#tl_history_open")
    page.locator(f"{WINDOW} .tl-edit").nth(1).get_by_role("button").click()
    page.click("#tl_history_go")
    page.locator(".tl-dialog", has_text="1 file changed since").wait_for()
    page.get_by_role("button", name="Undo all others").click()
    toast(page, "Undid 2 edits")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, boots, red boots")
    assert caption(folder, "00") == "theirs"


def test_captions_come_from_file_names(editor, folder):
    for number, name in ((8, "red_scarf_08"), (9, "IMG_0009")):
        for ending in (".png", ".txt"):
            (folder / f"2_penny/{number:02}{ending}").rename(folder / f"2_penny/{name}{ending}")
    (folder / "2_penny/red_scarf_08.txt").unlink()
    page = editor()
    page.click("#tl_captions_import_open")
    page.locator("#tl_import_words", has_text="1 caption would be written").wait_for()
    page.select_option("#tl_import_mode", "append")
    page.locator("#tl_import_words", has_text="nothing found for 39 images").wait_for()
    page.fill("#tl_import_separators", "_")
    after = page.locator("#tl_import_captions .tl-after")
    expect(after).to_have_text("red, scarf")  # exactly: the button does nothing while a preview is made
    page.fill("#tl_import_separators", ",")
    expect(after).to_have_text("red scarf")
    page.locator("#tl_import_go", has_text="Write 1 caption").click()
    toast(page, "Took 1 caption from file names")
    wait_for_caption(page, folder, "red_scarf_08", "red scarf")
    page.locator(GRID).press("Control+z")
    eventually(page, lambda: (folder / "2_penny/red_scarf_08.txt").exists(), False)


@pytest.mark.parametrize("uploaded", [True, False])
def test_captions_come_from_metadata(editor, folder, tmp_path, uploaded: bool):
    place = tmp_path / "meta_lat.json" if uploaded else folder / "meta_lat.json"
    place.write_text(json.dumps({"C:\\old\\2_penny\\06.png": {"tags": "penny, six", "train_resolution": [512, 512]},
                                 "07": {"caption": "seven"}, "other": {"tags": "x"}}))
    page = editor()
    page.click("#tl_captions_import_open")
    page.locator('#tl_import_captions [data-choice="metadata"]').click()
    if uploaded:
        page.locator("#tl_import_words", has_text="Choose the JSON file").wait_for()
        page.set_input_files("#tl_import_upload", place)
    page.locator("#tl_import_words", has_text="1 caption would be written, 1 have a caption and stay").wait_for()
    page.locator("#tl_import_captions summary", has_text="1 entry not used").click()
    page.locator("#tl_import_captions .tl-paths", has_text="other: fits no image").wait_for()
    page.select_option("#tl_import_mode", "replace")
    page.locator("#tl_import_go", has_text="Write 2 captions").click()
    eventually(page, lambda: [path.read_text() for path in folder.rglob("06.txt")], ["penny, six"])
    wait_for_caption(page, folder, "07", "seven")


def test_chips_and_sentences_show_where_chunks_of_75_tokens_end(editor, folder):
    (folder / "2_penny/10.txt").write_text(", ".join(f"thing number {number}" for number in range(30)))
    (folder / "2_penny/11.txt").write_text("Penny walks over the field with her dog and sees a bird. " * 12)
    page = editor()
    choose(page, "12")
    expect(page.locator("#tl_chunk_words")).to_have_text("")
    choose(page, "10")
    marks = page.locator(f"{PANEL} .tl-chip .tl-chunk-mark")
    expect(marks.first).to_have_text("75")
    tokens = int(page.locator(f"{PANEL} .tl-caphead .tl-note").first.text_content().split(" · ")[-1].split(" of ")[0])
    assert marks.count() == (tokens - 1) // 75
    expect(page.locator("#tl_chunk_words")).to_contain_text("The tokens are estimated")
    choose(page, "11")
    expect(page.locator(f"{PANEL} .tl-marked .tl-chunk-mark").first).to_have_text("75")
    assert page.locator(f"{PANEL} .tl-marked span:not(.tl-chunk-mark)").all_text_contents()[0].startswith("Penny walks")


def test_windows_fit_and_everything_can_be_reached_by_keys(editor):
    page = editor()
    page.locator(GRID).press("Control+a")
    page.locator("#tl_common_tags").wait_for()
    for _, width in in_all_looks(page):
        for opener in ("#tl_captions_import_open", "#tl_history_open"):
            page.locator(f"{PANEL} {opener}").press("Enter")
            box = page.locator(".tl-dialog[open]").bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
            page.keyboard.press("Escape")
            expect(page.locator(".tl-dialog[open]")).to_have_count(0)
        for chosen in ("#tl_copy_tags", "#tl_paste_tags", "#tl_tag_selected", "#tl_common_add"):
            box = page.locator(chosen).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, chosen
            page.locator(chosen).focus()
            assert page.evaluate("document.activeElement.id") == chosen[1:]
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
