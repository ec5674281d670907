"""An image goes to img2img with its caption and size, and its result comes back beside it."""

from __future__ import annotations

from PIL import Image, ImageOps
from playwright.sync_api import expect

from ..conftest import eventually
from .conftest import PANEL, caption, cell, choose, wait_for_count


def test_an_image_is_edited_in_img2img_and_added_beside_its_source(editor, folder):
    (folder / "2_penny/04.txt").write_text("penny, hat (fez), boots")
    page = editor(own=True)
    choose(page, "04")
    page.get_by_role("button", name="Send to").click()
    page.click("#tl_send_img2img")
    page.locator("#img2img_image img").wait_for()
    expect(page.locator("#img2img_prompt textarea")).to_have_value("penny, hat \\(fez\\), boots")
    size = [page.input_value(f"#img2img_{side} input[type=number]") for side in ("width", "height")]
    assert size == ["440", "600"]  # 512 x 704, with the pixels of 512 x 512
    page.click("#img2img_generate")
    page.locator("#img2img_gallery img").first.wait_for()
    page.click("#train_lora_add_img2img")
    page.locator("#tl_result .tl-chip", has_text="boots").click()
    expect(page.locator("#tl_result_caption")).to_have_value("penny, hat (fez)")
    page.fill("#tl_result_caption", "penny, hat (fez), barefoot")
    page.locator("#tl_result .tl-chip", has_text="hat").click()
    expect(page.locator("#tl_result_caption")).to_have_value("penny, barefoot")
    page.click("#tl_result_go")
    wait_for_count(page, "41 images")
    page.locator(f"{PANEL} .tl-capname", has_text="04-edit.png").wait_for()
    assert caption(folder, "04-edit") == "penny, barefoot"
    with Image.open(folder / "2_penny/04.png") as source, Image.open(folder / "2_penny/04-edit.png") as result:
        assert result.convert("RGB").tobytes() == ImageOps.invert(source.convert("RGB")).tobytes()
    expect(cell(page, "04-edit").locator(".tl-cell-mark")).to_have_text(["edit"])
    expect(cell(page, "04").locator(".tl-cell-mark")).to_have_text(["pair"])
    page.locator(f"{PANEL} .tl-pair button", has_text="2_penny/04.png").click()
    page.locator(f"{PANEL} .tl-pair", has_text="Pair of 2_penny/04-edit.png").wait_for()
    page.click("#tl_captions_undo")
    wait_for_count(page, "40 images")
    expect(cell(page, "04").locator(".tl-cell-mark")).to_have_count(0)


def test_a_result_becomes_a_regularization_image_and_the_way_back_leads_to_its_tab(editor, folder):
    page = editor(own=True)
    expect(page.locator("#tl_captions_tag")).to_have_value("penny")  # comes with the Train tab's look at the folder
    choose(page, "02")
    page.get_by_role("button", name="Send to").click()
    page.click("#tl_send_inpaint")
    page.locator("#img2maskimg img").wait_for()
    page.locator("#mode_img2img button.selected", has_text="Inpaint").wait_for()
    page.click("#train_lora_add_img2img")
    expect(page.locator("#train_lora_add_img2img")).to_have_text("no image yet")
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    page.get_by_role("button", name="Send to").click()
    page.click("#tl_send_img2img")
    page.locator("#img2img_image img").wait_for()
    page.click("#img2img_generate")
    page.locator("#img2img_gallery img").first.wait_for()
    page.click("#train_lora_add_img2img")
    page.locator('#tl_result [data-kind="regularization"]').click()
    expect(page.locator("#tl_result_where")).to_contain_text("folder reg")
    page.click("#tl_result_back")
    page.locator("#img2img_prompt").wait_for()
    eventually(page, lambda: (folder / "reg/2_penny/02.png").is_file(), True)
    assert (folder / "reg/2_penny/02.txt").read_text() == "blonde hair, number 2, hat"  # without the trigger word
