"""The caption editor in a real browser while the webui refuses requests: it says why, and how to go on."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from ..conftest import REFUSED, refuse, refused, try_again
from .conftest import PANEL, cell, choose, open_set, toast, wait_for_chips, wait_for_count

PICTURE = f"{PANEL} .tl-cappicture"
CHIPS = ("penny", "brown hair", "number 3", "boots", "red boots")


def test_a_caption_that_cannot_be_read_says_why_and_what_was_asked_for_waits(editor):
    page = editor()
    choose(page, "00")
    refuse(page, "captions/picture")
    cell(page, "03").click()
    refused(page, "The caption", within=PICTURE)
    expect(page.locator(f"{PICTURE} .tl-capname")).to_contain_text("03.png")
    expect(page.locator(f"{PICTURE} .tl-capimage")).to_have_attribute("src", re.compile("03.png"))
    expect(page.locator(f"{PICTURE} .tl-crop")).to_be_hidden()  # of the image before, as are its tags
    expect(page.locator(f"{PICTURE} .tl-chip").first).to_be_hidden()
    with page.expect_response("**/captions/picture"):
        page.keyboard.press("Enter")
    refused(page, "The caption", within=PICTURE)
    try_again(page)
    wait_for_chips(page, *CHIPS)
    expect(page.locator("#tl_caption_add")).to_be_focused()
    refuse(page, "captions/picture")
    cell(page, "01").click()
    refused(page, "The caption", within=PICTURE)
    page.locator(f"{PICTURE} .tl-imagetools button", has_text="Weight").click()
    cell(page, "03").click()  # what was clicked was for the other
    refused(page, "The caption", within=PICTURE)
    page.locator(f"{PICTURE} .tl-imagetools button", has_text="Mask").click()
    try_again(page)
    expect(page.locator(".tl-dialog[open] .tl-card-title")).to_contain_text("03.png")


def test_a_trigger_word_that_cannot_be_read_is_not_left_out_without_a_word(webui, open_tab, folder):
    page = open_tab(webui)
    page.locator("#tl-tab-captions").click()
    refuse(page, "dataset/overview")
    open_set(page, folder)
    refused(page, "The trigger word of this folder", within=PANEL)
    expect(page.locator("#tl_captions_tag")).to_have_value("")
    try_again(page)
    expect(page.locator("#tl_captions_tag")).to_have_value("penny")


def test_enter_and_a_double_click_act_on_an_image_once_it_has_loaded(editor):
    page = editor()
    choose(page, "00")
    held = []
    for act in (lambda: (cell(page, "03").click(), page.keyboard.press("Enter")), cell(page, "01").dblclick):
        page.route("**/captions/picture", lambda route: held.append(route))
        with page.expect_request("**/captions/picture"):
            act()
        page.unroute_all()  # lets them go
        expect(page.locator("#tl_caption_add")).to_be_focused()
        page.locator(f"{PICTURE} .tl-capbody:not(.tl-pending)").wait_for()


def test_no_sentence_is_made_up_where_an_answer_is_missing(editor):
    page = editor()
    page.fill("#tl_captions_filter", "red boots")
    hint = page.locator(f"{PANEL} .tl-capmiddle > * > .tl-hint")
    expect(hint).to_contain_text("On in 19")
    refuse(page, "captions/on-off")
    page.fill("#tl_captions_filter", "hat")
    toast(page, REFUSED)
    expect(hint).to_be_hidden()
    page.unroute_all()
    dismiss(page)
    refuse(page, "captions/view")
    page.locator(f"{PANEL} .tl-capgrid").press("Control+j")
    toast(page, REFUSED)
    expect(page.locator(".tl-toast", has_text="Every image shown has a caption")).to_have_count(0)
    page.unroute_all()
    refuse(page, "captions/activation")
    with page.expect_response("**/captions/activation"):
        page.evaluate("TrainLora.form.set('dataset.activation_tag', 'boots')")
    page.unroute_all()
    page.fill("#tl_captions_filter", "")
    expect(page.locator(f"{PANEL} .tl-activation")).to_contain_text("boots is not first in")


def test_a_set_that_was_closed_and_is_gone_says_so(editor):
    page = editor()
    page.route("**/captions/copied", lambda route: route.fulfill(status=410, body=json.dumps({"error": "Closed."})))
    refuse(page, "captions/open")
    choose(page, "00")
    page.locator(f"{PANEL} .tl-capgrid").press("Control+c")
    toast(page, REFUSED)


def test_every_view_says_what_it_could_not_read_and_reads_it_again(editor, folder):
    page = editor()
    refuse(page, "captions/common", "captions/doctor", "captions/grow")
    choose(page, "00")
    cell(page, "03").click(modifiers=["Control"])
    refused(page, "The common tags", within=".tl-selected")
    page.locator(f'{PANEL} [data-view="doctor"]').click()
    refused(page, "The examination", within=".tl-doctor")
    page.locator(f'{PANEL} [data-view="grow"]').click()
    refused(page, "The state of the set", within=".tl-grow")
    expect(page.locator(f"{PANEL} .tl-grow .tl-empty")).to_be_hidden()
    try_again(page)
    expect(page.locator("#tl_common_tags")).to_contain_text("In both")
    expect(page.locator("#tl_grow_words")).to_contain_text("enough for a character")
    page.locator(f'{PANEL} [data-view="pictures"]').click()
    choose(page, "03")
    refuse(page, "captions/crop/options", "captions/crop/frame")
    page.locator(f"{PANEL} .tl-imagetools button", has_text="Crop").click()
    refused(page, "The list of frames", "The training size", within="#tl_crop")
    try_again(page)
    expect(page.locator("#tl_crop")).to_contain_text("trained at 512 × 512")


def test_windows_say_what_they_could_not_read(editor):
    page = editor()
    page.fill("#tl_action_tags", "cap")
    page.click("#tl_caption_go")
    toast(page, "Added cap")
    refuse(page, "captions/mask/facts", "captions/history/changes", "captions/incoming/files", "captions/suspects")
    page.click("#tl_history_open")
    toast(page, REFUSED)
    dismiss(page)
    page.click("#tl_captions_import_open")
    toast(page, REFUSED)
    dismiss(page)
    page.get_by_role("button", name="Make masks").first.click()
    refused(page, "The number of masks", within="#tl_masks")
    expect(page.locator("#tl_masks .tl-note", has_text="0 images get a mask")).to_be_hidden()
    expect(page.locator("#tl_masks_start")).to_have_text("Make masks")
    page.unroute("**/train-lora/captions/mask/facts")
    page.locator("#tl_masks .tl-again button").click()
    expect(page.locator("#tl_masks_start")).to_have_text("Make 40 masks")
    dismiss(page)
    page.click("#tl_captions_open")
    toast(page, REFUSED)
    wait_for_count(page, "40 images")


def dismiss(page) -> None:
    """Close what is open, and every message."""
    page.evaluate("""() => {
        for (const one of document.querySelectorAll("dialog[open]")) one.close();
        for (const one of document.querySelectorAll(".tl-toast")) one.remove();
    }""")
