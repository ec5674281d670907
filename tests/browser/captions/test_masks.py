"""Masks in the caption editor, in a real browser: the brush, masks shown in the grid, and a run that makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from ..conftest import eventually
from ..test_tagging import worker_python
from .conftest import PANEL, cell, choose, toast, wait_for_count


def mask_of(folder: Path, name: str) -> np.ndarray | None:
    """The levels of an image's mask; ``None`` if it has none."""
    file = folder / f"2_penny/{name}-mask.png"
    try:
        return np.asarray(Image.open(file))
    except FileNotFoundError:  # also one that is removed at this moment
        return None


def open_brush(page, name: str):
    choose(page, name)
    page.locator(".tl-imagetools button", has_text="Mask").click()
    stage = page.locator(".tl-stage-dialog .tl-stage")
    page.wait_for_function("() => document.querySelector('.tl-stage-image')?.complete")
    return stage


def drag(page, stage, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag over the stage; points are shares of the image."""
    box = stage.locator(".tl-stage-layer").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*points[0])
    page.mouse.down()
    page.mouse.move(*points[1], steps=8)
    page.mouse.up()


def test_a_mask_is_painted_erased_undone_and_saved_and_the_editor_undoes_it(editor, folder):
    page = editor()
    stage = open_brush(page, "01")
    dialog = page.locator(".tl-stage-dialog")
    share = dialog.locator("p", has_text="of the image is trained")
    expect(share).to_have_text("100 % of the image is trained.")
    expect(dialog.locator('[data-mode="erase"]')).to_have_attribute("aria-checked", "true")
    drag(page, stage, (0.1, 0.25), (0.9, 0.25))  # a stripe that is not trained
    expect(share).not_to_have_text("100 % of the image is trained.")
    erased = share.text_content()
    dialog.get_by_text("Invert", exact=True).click()
    page.keyboard.press("Control+z")
    expect(share).to_have_text(erased)
    page.keyboard.press("Control+z")
    expect(share).to_have_text("100 % of the image is trained.")
    page.keyboard.press("Control+Shift+z")
    expect(share).to_have_text(erased)
    stage.focus()
    size = dialog.locator(".tl-mask-slider .tl-note").first
    before = size.text_content()
    page.keyboard.press("]")
    expect(size).not_to_have_text(before)
    page.keyboard.press("x")
    drag(page, stage, (0.5, 0.25), (0.55, 0.25))  # painted back in the middle of the stripe
    page.click("#tl_mask_save")
    toast(page, "Painted the mask of 01.png.")
    expect(dialog).to_have_count(0)
    mask = mask_of(folder, "01")
    assert mask.shape == (512, 512)
    assert mask[128, 80] == 0 and mask[128, 420] == 0 and mask[128, 268] == 255 and mask[400, 256] == 255
    expect(cell(page, "01").locator(".tl-cell-mark", has_text="mask")).to_be_visible()
    page.click("#tl_captions_undo")
    eventually(page, lambda: mask_of(folder, "01") is None, True)
    expect(cell(page, "01").locator(".tl-cell-mark", has_text="mask")).to_have_count(0)


def test_strokes_that_were_not_saved_come_back_and_touch_and_pen_paint(editor, folder):
    page = editor()
    stage = open_brush(page, "02")
    dialog = page.locator(".tl-stage-dialog")
    dialog.get_by_text("Clear", exact=True).click()
    expect(page.locator("#tl_mask_save")).to_be_disabled()  # nothing would be trained
    page.keyboard.press("x")  # the keys work wherever the focus is
    expect(dialog.locator('[data-mode="paint"]')).to_have_attribute("aria-checked", "true")
    for kind, pressure, height in (("touch", 0.5, 0.3), ("pen", 0.1, 0.7)):
        stage.evaluate("""(stage, [kind, pressure, height]) => {
            const box = stage.querySelector(".tl-stage-layer").getBoundingClientRect();
            const send = (name, x) => stage.dispatchEvent(new PointerEvent(name, {pointerId: 1, pointerType: kind,
                pressure, isPrimary: true, bubbles: true, button: 0, buttons: 1, clientX: box.left + x * box.width,
                clientY: box.top + height * box.height}));
            stage.setPointerCapture = () => {};
            send("pointerdown", 0.3);
            send("pointermove", 0.6);
            send("pointerup", 0.6);
        }""", [kind, pressure, height])
    share = dialog.locator("p", has_text="of the image is trained").text_content()
    assert share != "0 % of the image is trained."
    page.keyboard.press("Escape")
    toast(page, "The mask was not saved. Its strokes are kept until the page is reloaded")
    open_brush(page, "02")
    expect(dialog.locator("p", has_text="of the image is trained")).to_have_text(share)
    expect(dialog).to_contain_text("Your unsaved strokes are back.")
    page.click("#tl_mask_save")
    eventually(page, lambda: mask_of(folder, "02") is not None, True)
    mask = mask_of(folder, "02") > 127
    touched, by_pen = mask[:256].sum(axis=0).max(), mask[256:].sum(axis=0).max()
    assert touched > 2 * by_pen > 0 and not mask[:, :40].any()


def test_masks_are_shown_over_the_images_and_found_by_the_filter(editor, folder):
    halves = np.repeat(np.array([[0], [255]], np.uint8), 256, axis=0).repeat(512, axis=1)
    Image.fromarray(halves).save(folder / "2_penny/01-mask.png")
    page = editor()
    expect(page.locator(f"{PANEL} .tl-cell-mask[src]")).to_have_count(0)
    page.check("#tl_show_masks")
    overlay = cell(page, "01").locator(".tl-cell-mask[src]")
    overlay.wait_for()
    expect(page.locator(f"{PANEL} .tl-cell-mask[src]")).to_have_count(1)
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=overlay.element_handle())
    tint = overlay.evaluate("""image => {
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 2;
        canvas.getContext("2d").drawImage(image, 0, 0, 2, 2);
        return [...canvas.getContext("2d").getImageData(0, 0, 2, 2).data].filter((_, place) => place % 4 === 3);
    }""")
    assert min(tint[:2]) > 240 and max(tint[2:]) < 15  # the upper half is not trained
    choose(page, "01")
    page.locator(f"{PANEL} .tl-capmask[src]").wait_for()
    page.fill("#tl_captions_filter", "mask")
    wait_for_count(page, "1 of 40 images, 1 with a mask")
    page.fill("#tl_captions_filter", "nomask")
    wait_for_count(page, "39 of 40")
    words = page.locator("#tl_filter_words option").evaluate_all("all => all.map((each) => each.value)")
    assert words[:2] == ["mask", "nomask"]
    page.uncheck("#tl_show_masks")
    page.fill("#tl_captions_filter", "")
    wait_for_count(page, "40 images")
    expect(page.locator(f"{PANEL} .tl-cell-mask[src]")).to_have_count(0)


def test_masks_are_made_for_the_selection_with_a_preview_and_one_undo(make_webui, open_tab, folder):
    for name in ("01", "02", "03"):
        pixels = np.full((512, 512, 3), 240, np.uint8)
        pixels[128:384, 128:384] = (200, 30, 30)
        Image.fromarray(pixels).save(folder / f"2_penny/{name}.png")
    Image.new("L", (512, 512), 99).save(folder / "2_penny/03-mask.png")
    page = open_tab(make_webui("--worker", "real", "--worker-python", worker_python()))
    page.locator("#tl-tab-captions").click()
    page.fill("#tl_captions_folder", str(folder))
    page.click("#tl_captions_open")
    choose(page, "01")
    cell(page, "03").click(modifiers=["Shift"])
    page.click("#tl_masks_open")
    dialog = page.locator("#tl_masks")
    expect(dialog).to_contain_text("2 images get a mask, 1 keeps the one it has.")
    expect(dialog).to_contain_text("25 % of the image would be trained.")
    expect(dialog.locator(".tl-maskpreview-mask")).to_be_visible()
    dialog.locator('[data-key="write.mode"] select').select_option("replace-all")
    expect(dialog).to_contain_text("1 mask is replaced and kept in the set's trash")
    dialog.locator('[data-key="mask.method"] select').select_option("subject")
    expect(dialog.locator('[data-key="mask.tolerance"]')).to_be_hidden()
    expect(dialog).to_contain_text("huggingface.co/skytnt/anime-seg")
    dialog.locator('[data-key="mask.method"] select').select_option("border")
    page.click("#tl_masks_start")
    expect(dialog.locator("#tl_masks_run")).to_contain_text("Done: 3 masks made")
    masks = [mask_of(folder, name) for name in ("01", "02", "03")]
    assert all(mask[256, 256] == 255 and mask[20, 20] == 0 for mask in masks)
    dialog.get_by_text("Remove 3 masks").click()
    eventually(page, lambda: [mask_of(folder, name) is None for name in ("01", "02", "03")], [True] * 3)
    page.keyboard.press("Escape")
    page.click("#tl_captions_undo")
    expect(page.locator(f"{PANEL} .tl-cell-mark", has_text="mask")).to_have_count(3)
    page.click("#tl_captions_undo")
    eventually(page, lambda: [None if (mask := mask_of(folder, name)) is None else int(mask[20, 20])
                              for name in ("01", "02", "03")], [None, None, 99])
