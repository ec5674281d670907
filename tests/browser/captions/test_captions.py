"""The caption editor in a real browser: what is shown, what is typed and clicked, and what is in the files then."""

from __future__ import annotations

import re

from PIL import Image
from playwright.sync_api import Route, expect

from ..conftest import evaluates, eventually
from .conftest import (
    PANEL,
    caption,
    cell,
    choose,
    in_all_looks,
    toast,
    wait_for_caption,
    wait_for_chips,
    wait_for_count,
)


def test_tags_are_listed_with_counts_and_clicking_one_filters(editor):
    page = editor()
    rows = page.locator(f"{PANEL} .tl-tag-row:visible")
    expect(rows.first).to_contain_text(re.compile("^penny"))
    page.locator(f"{PANEL} .tl-tag-pick", has_text=re.compile(r"^red boots")).click()
    wait_for_count(page, "19 of 40 images")
    expect(page.locator("#tl_captions_filter")).to_have_value("red boots")
    page.locator(f"{PANEL} .tl-hint", has_text="On in 19, off in 20").wait_for()
    page.locator(f"{PANEL} .tl-tag-pick", has_text=re.compile(r"^brown hair")).click(modifiers=["Control"])
    wait_for_count(page, "2 of 40 images")
    expect(page.locator("#tl_captions_filter")).to_have_value("red boots AND brown hair")


def test_an_error_in_the_filter_is_marked_at_its_place(editor):
    page = editor()
    page.fill("#tl_captions_filter", "red boots AND (hat")
    expect(page.locator(f"{PANEL} .tl-filter-problem mark")).to_have_text("(")
    expect(page.locator(f"{PANEL} .tl-filter-problem")).to_contain_text("never closed")
    page.fill("#tl_captions_filter", "hat")
    wait_for_count(page, "19 of 40")
    expect(page.locator(f"{PANEL} .tl-filter-problem")).to_be_hidden()
    page.fill("#tl_captions_filter", "hat and red bots")
    expect(page.locator(f"{PANEL} .tl-filter-problem mark")).to_have_text("hat and red bots")
    expect(page.locator(f"{PANEL} .tl-filter-problem")).to_contain_text("AND, OR and NOT are written in capitals")
    page.fill("#tl_captions_filter", "tags:>4 AND name:1")
    wait_for_count(page, "8 of 40")
    expect(page.locator(f"{PANEL} .tl-filter-problem")).to_be_hidden()


def test_a_bulk_edit_of_what_is_shown_is_undone_and_redone_by_keys(editor, folder):
    page = editor()
    page.fill("#tl_captions_filter", "hat")
    wait_for_count(page, "19 of 40")
    page.fill("#tl_action_tags", "cap")
    button = page.locator("#tl_caption_go")
    expect(button).to_have_text("Add to 19 captions")
    button.click()
    toast(page, "Added cap to 19 captions.")
    assert caption(folder, "00") == "penny, blonde hair, number 0, hat, cap"
    page.locator(f"{PANEL} .tl-capgrid").focus()
    page.keyboard.press("Control+z")
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0, hat")
    page.keyboard.press("Control+Shift+z")
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0, hat, cap")
    assert "cap" not in caption(folder, "01")


def test_the_selection_is_acted_on_when_there_is_one(editor, folder):
    page = editor()
    choose(page, "00")
    cell(page, "02").click(modifiers=["Shift"])
    page.locator("#tl_caption_go", has_text="Add to 3 captions").wait_for()
    page.locator(f'{PANEL} [data-verb="remove"]').click()
    page.fill("#tl_action_tags", "blonde hair")
    page.locator("#tl_action_tags").press("Enter")
    wait_for_caption(page, folder, "02", "penny, number 2, hat")
    assert "blonde hair" in caption(folder, "04")


def test_a_preview_shows_what_would_change_and_changes_nothing(editor, folder):
    (folder / "2_penny/08.txt").write_text("penny, number 8\n")
    page = editor()
    page.locator(f'{PANEL} [data-verb="pattern"]').click()
    page.get_by_label("Regular expression").fill(r"number (\d+)")
    page.get_by_label("Replacement").fill(r"no. \1")
    page.get_by_role("button", name="Preview").click()
    page.locator(".tl-dialog", has_text="38 captions would change").wait_for()
    expect(page.locator(".tl-dialog ins").first).to_have_text("no. 0")
    expect(page.locator(".tl-preview", has_text="08.png").locator("del")).to_have_text(["number 8"])
    assert caption(folder, "00") == "penny, blonde hair, number 0, hat"
    held = []
    page.route("**/captions/cells", lambda route: held.append(route))  # facts about images come late
    page.locator(".tl-dialog-foot .tl-primary").click()
    wait_for_caption(page, folder, "00", "penny, blonde hair, no. 0, hat")
    eventually(page, lambda: bool(held), True)
    page.get_by_label("Regular expression").fill(r"no\. (\d+)")
    page.get_by_label("Replacement").fill(r"nr. \1")
    page.get_by_role("button", name="Preview").click()
    page.locator(".tl-dialog", has_text="38 captions would change").wait_for()
    page.unroute_all()  # lets them go
    row = page.locator(".tl-preview", has_text="08.png")
    expect(row.locator("del")).to_have_text(["no. 8"])
    expect(row.locator("img")).to_have_count(1)


def test_chips_are_removed_added_and_changed(editor, folder):
    page = editor()
    choose(page, "01")
    wait_for_chips(page, "penny", "blonde hair", "number 1", "boots", "red boots")
    page.get_by_label("Remove boots", exact=True).click()
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots")
    wait_for_chips(page, "penny", "blonde hair", "number 1", "red boots")
    page.fill("#tl_caption_add", "standing, outdoors")
    page.locator("#tl_caption_add").press("Enter")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots, standing, outdoors")
    wait_for_chips(page, "penny", "blonde hair", "number 1", "red boots", "standing", "outdoors")
    page.locator(f"{PANEL} .tl-capchips .tl-chip", has_text="standing").dblclick()
    box = page.get_by_label("Change standing")
    box.fill("sitting")
    box.press("Enter")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots, sitting, outdoors")


def test_quick_clicks_follow_each_other(editor, folder):
    page = editor()
    choose(page, "01")
    wait_for_chips(page, "penny", "blonde hair", "number 1", "boots", "red boots")
    page.evaluate("""() => {
        for (const tag of ["boots", "penny"]) document.querySelector(`[aria-label="Remove ${tag}"]`).click();
        const chips = document.querySelector(".tl-capchips");
        for (const key of ["ArrowRight", "ArrowRight"]) {
            if (!chips.contains(document.activeElement)) chips.children[0].focus();
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, altKey: true, bubbles: true}));
        }
    }""")
    wait_for_caption(page, folder, "01", "number 1, red boots, blonde hair")
    for _ in range(4):
        page.locator(f"{PANEL} .tl-capgrid").press("Control+z")
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, boots, red boots")
    wait_for_chips(page, "penny", "blonde hair", "number 1", "boots", "red boots")


def test_chips_are_dragged_into_order(editor, folder):
    page = editor()
    choose(page, "01")
    wait_for_chips(page, "penny", "blonde hair", "number 1", "boots", "red boots")
    chip = page.locator(f"{PANEL} .tl-capchips .tl-chip", has_text="number 1")
    chip.drag_to(page.locator(f"{PANEL} .tl-capchips .tl-chip", has_text="penny"), target_position={"x": 4, "y": 8})
    wait_for_caption(page, folder, "01", "number 1, penny, blonde hair, boots, red boots")
    wait_for_chips(page, "number 1", "penny", "blonde hair", "boots", "red boots")
    page.locator(f"{PANEL} .tl-capchips .tl-chip", has_text="number 1").focus()
    page.keyboard.press("Alt+ArrowRight")
    wait_for_caption(page, folder, "01", "penny, number 1, blonde hair, boots, red boots")


def test_prose_is_edited_as_text(editor, folder):
    page = editor()
    choose(page, "05")
    text = page.locator("#tl_caption_text")
    expect(text).to_have_value("A photo of penny in a field of flowers.")
    text.fill("A photo of penny on a beach.")
    text.press("Control+Enter")
    wait_for_caption(page, folder, "05", "A photo of penny on a beach.")


def test_tags_are_completed_but_never_forced(editor, folder):
    page = editor()
    choose(page, "00")
    page.locator("#tl_caption_add").press_sequentially("red b", delay=20)
    page.locator(f"{PANEL} .tl-cappicture .tl-complete li", has_text="red boots").wait_for()
    page.locator("#tl_caption_add").press("Enter")
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0, hat, red b")
    page.locator("#tl_caption_add").press_sequentially("red bo", delay=20)
    page.locator(f"{PANEL} .tl-cappicture .tl-complete li", has_text="red boots").wait_for()
    page.evaluate("document.dispatchEvent(new Event('scroll'))")  # of something that has scrolled before
    held: list[Route] = []
    page.route("**/captions/complete", lambda route: held.append(route))
    page.locator("#tl_caption_add").press_sequentially("o")
    page.locator("#tl_caption_add").press("ArrowDown")  # marks in the list for what was typed before
    eventually(page, lambda: len(held), 1)
    with page.expect_response("**/captions/complete"):
        held[0].continue_()
    first = page.locator(f"{PANEL} .tl-cappicture .tl-complete li").first
    expect(first).to_have_attribute("aria-selected", "true")
    page.locator("#tl_caption_add").press("Enter")
    expect(page.locator("#tl_caption_add")).to_have_value("red boots")
    page.locator("#tl_caption_add").press("Enter")
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0, hat, red b, red boots")


def test_everything_goes_by_keys(editor, folder):
    page = editor()
    page.locator(f"{PANEL} .tl-capgrid").focus()
    page.keyboard.press("/")
    page.keyboard.type("red boots")
    wait_for_count(page, "19 of 40")
    page.keyboard.press("Enter")
    page.locator(f"{PANEL} .tl-capname", has_text="01.png").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator(f"{PANEL} .tl-capname", has_text="03.png").wait_for()
    wait_for_chips(page, "penny", "brown hair", "number 3", "boots", "red boots")
    page.keyboard.press("Enter")
    page.keyboard.type("new")
    page.keyboard.press("Enter")
    wait_for_caption(page, folder, "03", "penny, brown hair, number 3, boots, red boots, new")
    page.keyboard.press("Escape")
    page.keyboard.press("Delete")
    wait_for_count(page, "18 of 39")
    assert not (folder / "2_penny/03.png").exists() and list((folder / ".lora_train_trash").rglob("03.txt"))
    page.keyboard.press("Control+z")
    wait_for_count(page, "19 of 40")
    assert (folder / "2_penny/03.png").exists()
    page.keyboard.press("Control+a")
    page.locator(f"{PANEL} .tl-whom button", has_text="19 selected").wait_for()
    page.keyboard.press("Escape")
    page.locator(f"{PANEL} .tl-whom button", has_text="0 selected").wait_for()


def test_a_caption_changed_by_another_program_is_shown_and_not_overwritten(editor, folder):
    page = editor()
    choose(page, "01")
    (folder / "2_penny/01.txt").write_text("their words, by hand")
    page.get_by_label("Remove boots", exact=True).click()
    toast(page, "was changed by another program meanwhile")
    wait_for_chips(page, "their words", "by hand")
    assert caption(folder, "01") == "their words, by hand"


def test_undo_can_continue_without_files_that_others_changed(editor, folder):
    page = editor()
    page.fill("#tl_action_tags", "extra")
    page.click("#tl_caption_go")
    toast(page, "Added extra to 39 captions")
    (folder / "2_penny/01.txt").write_text("their words")
    page.click("#tl_captions_undo")
    page.locator(".tl-dialog", has_text="2_penny/01.txt").wait_for()
    assert caption(folder, "00").endswith("extra")
    page.get_by_role("button", name="Undo all others").click()
    wait_for_caption(page, folder, "00", "penny, blonde hair, number 0, hat")
    assert caption(folder, "01") == "their words"


def test_changes_by_others_are_seen_when_one_comes_back(editor, folder):
    page = editor()
    (folder / "2_penny/00.txt").write_text("somebody, was, here")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.locator(f"{PANEL} .tl-tag-row:visible", has_text="somebody").wait_for()


def test_the_activation_tag_is_watched_and_fixed(editor, folder):
    page = editor()
    (folder / "2_penny/08.txt").write_text("hat, penny")
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.fill("#tl_captions_tag", "penny")
    page.locator("#tl_captions_tag").press("Enter")
    page.locator(f"{PANEL} .tl-activation", has_text="penny is not first in 2 captions").wait_for()
    page.get_by_role("button", name="Put it first").click()
    wait_for_caption(page, folder, "08", "penny, hat")
    wait_for_caption(page, folder, "06", "penny")
    page.locator(f"{PANEL} .tl-activation").wait_for(state="hidden")


def test_consolidating_by_one_click(editor, folder):
    page = editor()
    page.locator(f'{PANEL} [data-view="consolidate"]').click()
    page.get_by_role("button", name="Accept in 19 images").click()
    wait_for_caption(page, folder, "01", "penny, blonde hair, number 1, red boots")
    page.locator(f"{PANEL} .tl-advice", has_text="No redundant tags were found").wait_for()


def test_doubtful_tags_by_one_key(editor, folder):
    page = editor()
    page.locator(f'{PANEL} [data-view="doubtful"]').click()
    page.locator(f"{PANEL} .tl-doubt", has_text="brown hair").first.wait_for()
    expect(page.locator(f"{PANEL} .tl-doubt")).to_have_count(2)
    page.locator(f"{PANEL} .tl-doubts").focus()
    page.keyboard.press("m")
    wait_for_caption(page, folder, "03", "penny, blonde hair, number 3, boots, red boots")
    expect(page.locator(f"{PANEL} .tl-doubt")).to_have_count(1)
    page.keyboard.press("k")
    page.locator(f"{PANEL} .tl-advice", has_text="Nothing looks wrong").wait_for()
    assert "brown hair" in caption(folder, "07")


def test_the_doctor_reports_and_fixes(editor, folder):
    (folder / "5_house").rename(folder / "12_house")
    page = editor()
    page.locator(f'{PANEL} [data-view="doctor"]').click()
    page.click("#tl_doctor")
    expect(page.locator(f'{PANEL} [data-finding="no-caption"]')).to_contain_text("1 image without a caption")
    expect(page.locator(f"{PANEL} .tl-bucket")).to_have_count(2)
    page.locator(f'{PANEL} [data-finding="balance"] button', has_text="Use 3 repeats").click()
    toast(page, "Renamed 12_house to 3_house")
    assert (folder / "3_house/30.txt").is_file()


def test_ten_thousand_pictures_need_only_a_screenful_of_elements(editor, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    Image.new("RGB", (64, 64), "teal").save(folder / "00000.png")
    for number in range(1, 10_000):
        (folder / f"{number:05}.png").hardlink_to(folder / "00000.png")
    page = editor(place=folder, count="10,000 images")
    eventually(page, lambda: 0 < page.locator(f"{PANEL} .tl-cell").count() < 120, True)
    page.locator(f"{PANEL} .tl-capgrid").focus()
    page.keyboard.press("End")
    page.locator(f"{PANEL} .tl-capname", has_text="09999.png").wait_for()
    cell(page, "09999").wait_for()
    eventually(page, lambda: page.locator(f"{PANEL} .tl-cell").count() < 240, True)


def test_it_can_be_read_reached_and_fits(editor):
    page = editor()
    choose(page, "01")
    for view in ("pictures", "doctor", "consolidate", "doubtful"):
        page.locator(f'{PANEL} [data-view="{view}"]').click()
        if view == "doctor":
            page.click("#tl_doctor")
            page.locator(f"{PANEL} .tl-buckets").wait_for()
        elif view != "pictures":
            page.locator(f"{PANEL} .tl-advice-item:visible, {PANEL} .tl-doubt:visible").first.wait_for()
        for theme, width in in_all_looks(page):
            for check in ("faintTexts()", "overflowing()", "clippedLabels()", "nameless()"):
                evaluates(page, f"[{check}, '{view} {theme} {width}']", [[], f"{view} {theme} {width}"])
