"""From a bad image back to its cause: marked, named by the real tagger, and its images found and corrected."""

from __future__ import annotations

from playwright.sync_api import expect

from ..conftest import REFUSED, evaluates, eventually, refuse, refused, try_again
from ..test_tagging import hearts, tagging_webui  # noqa: F401  # the fixtures
from .conftest import open_set, toast

CAUSE = "#tl_cause"


def ask_about(page, url: str, prompt: str) -> None:
    page.evaluate("([src, prompt]) => TrainLora.emit('what-is-wrong', {src, prompt, run: ''})", [url, prompt])
    page.locator(f"{CAUSE} .tl-stage-image").wait_for()


def draw(page, start: float, end: float) -> None:
    """Drag a frame over the sample, from and to shares of its sides."""
    box = page.locator(f"{CAUSE} .tl-stage-layer").bounding_box()
    page.mouse.move(box["x"] + start * box["width"], box["y"] + start * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + end * box["width"], box["y"] + end * box["height"], steps=3)
    page.mouse.up()


def test_what_is_marked_is_named_and_the_images_that_show_it_untagged_get_the_tag(tagging_webui, open_tab,  # noqa: F811
                                                                                  hearts):  # noqa: F811
    letter = hearts / "love_letter.txt"
    letter.write_text("emoheart, white")
    page = open_tab(tagging_webui)
    page.locator("#tl-tab-captions").click()
    open_set(page, hearts, "21 images")
    page.locator('#tl-panel-captions .tl-cell[aria-label^="love_letter.webp"]').click()
    page.get_by_role("button", name="Send to").click()
    page.click("#tl_send_img2img")
    page.locator("#img2img_image img").wait_for()
    page.fill("#img2img_prompt textarea", "emoheart, white")
    page.click("#img2img_generate")
    page.locator("#img2img_gallery img").first.wait_for()
    page.click("#train_lora_wrong_img2img")
    page.locator(f"{CAUSE} .tl-cause-near").first.wait_for()
    expect(page.locator("#tl_cause_folder")).to_have_value(str(hearts))
    page.locator(f"{CAUSE} header button").click()

    cell = page.locator('#tl-panel-captions .tl-cell[aria-label^="love_letter.webp"]')
    url = cell.locator("img[src]").first.evaluate("image => image.src")
    ask_about(page, url, "emoheart, white")
    expect(page.locator(f"{CAUSE} .tl-level-warning", has_text="Nearly a copy of love_letter.webp")).to_be_visible()
    page.fill("#tl_cause_tag", "mail")
    page.click("#tl_cause_find")
    expect(page.locator("#tl_cause_text")).to_contain_text("No image of the set shows mail")
    page.click("#tl_cause_tag_set")
    page.locator(f"{CAUSE} #tl_cause_run .tl-level-good", has_text="21 images tagged, no caption touched").wait_for()
    assert letter.read_text() == "emoheart, white"
    expect(page.locator("#tl_cause_text")).to_contain_text("1 of 21 images shows mail without the tag")

    stage = page.locator(f"{CAUSE} .tl-stage-layer")
    stage.click()
    expect(page.locator(f"{CAUSE} .tl-cropframe-size")).to_have_text("77 × 77")  # 0.3 of 256
    page.get_by_role("button", name="Clear the mark").click()
    draw(page, 0.05, 0.95)
    expect(page.locator("#tl_cause_name")).to_have_text("Name what is marked")
    page.click("#tl_cause_name")
    chip = page.locator(f'{CAUSE} .tl-cause-chip[data-tag="mail"]')
    chip.wait_for()
    expect(chip).to_contain_text("untagged in 1")
    chip.click()
    untagged = page.locator(f'{CAUSE} [data-list="untagged"]')
    expect(untagged.locator(".tl-cause-thumb")).to_have_count(1)
    untagged.get_by_role("button", name="Add the tag").click()
    eventually(page, letter.read_text, "emoheart, white, mail")
    expect(untagged).to_have_count(0)
    page.click("#tl_cause_undo")
    eventually(page, letter.read_text, "emoheart, white")
    untagged.get_by_role("button", name="Leave out").click()
    eventually(page, lambda: (hearts / "love_letter.weight.json").exists(), True)
    page.click("#tl_cause_undo")
    untagged.get_by_role("button", name="Show in the editor").click()
    expect(page.locator("#tl-panel-captions .tl-capname", has_text="love_letter.webp")).to_be_visible()


def test_without_a_tagger_and_with_a_set_that_was_moved_it_says_what_helps(editor, folder):
    page = editor()
    url = page.locator("#tl-panel-captions .tl-cell img[src]").first.evaluate("image => image.src")
    refuse(page, "tagging", "captions/causes/nearest", "runs/gone*")
    page.evaluate("src => TrainLora.emit('what-is-wrong', {src, prompt: 'penny', run: 'gone'})", url)
    refused(page, "The list of taggers", "The list", within=CAUSE)
    toast(page, REFUSED)  # of the run: the set of the form is opened instead
    expect(page.locator("#tl_cause_no_tagger")).to_be_hidden()
    try_again(page)
    expect(page.locator("#tl_cause_no_tagger")).to_contain_text("Captions > Tagger")
    page.locator(f"{CAUSE} .tl-level-warning", has_text="Nearly a copy").wait_for()
    page.fill("#tl_cause_tag", "hat")
    page.keyboard.press("Enter")
    expect(page.locator(f'{CAUSE} [data-list="tagged"] .tl-cause-thumb')).to_have_count(19)
    page.fill("#tl_cause_folder", str(folder.parent / "moved away"))
    page.click("#tl_cause_open")
    expect(page.locator("#tl_cause_problem")).to_contain_text("There is no folder")
    evaluates(page, "document.querySelector('#tl_cause .tl-cause-near') === null || "
                    "document.querySelector('#tl_cause .tl-cause-near').offsetParent === null", True)
