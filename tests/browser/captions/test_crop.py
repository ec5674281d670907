"""Cropping an image by dragging and by keys, as a new image and in place, and many images at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, expect

from .conftest import PANEL, cell, choose, wait_for_chips, wait_for_count

DIALOG = "#tl_crop"
PICTURE = "**/train-lora/captions/picture"


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag on the stage; places are shares of the image."""
    box = page.locator(f"{DIALOG} .tl-stage-layer").bounding_box()
    for x, y, act in ((*start, page.mouse.down), (*end, page.mouse.up)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        act()


def size_of(page: Page) -> tuple[int, int]:
    width, height = page.locator(f"{DIALOG} .tl-cropframe-size").inner_text().split(" × ")
    return int(width), int(height)


def open_crop(page: Page, name: str) -> None:
    choose(page, name)
    page.locator(f"{PANEL} .tl-imagetools button", has_text="Crop").click()
    page.locator(f"{DIALOG} .tl-crop-buttons button", has_text="Detail").first.wait_for()


@contextmanager
def loading(page: Page, name: str) -> Iterator[None]:
    """Select an image, whose data, and that of images selected meanwhile, arrives only afterwards."""
    held: list[Route] = []
    holding = True
    page.route(PICTURE, lambda route: held.append(route) if holding else route.continue_())
    with page.expect_request(PICTURE):
        cell(page, name).click()
    page.locator(f"{PANEL} .tl-pending .tl-capname", has_text=f"{name}.png").wait_for()
    yield
    holding = False
    for route in held:
        route.continue_()
    page.locator(f"{PANEL} .tl-capbody:not(.tl-pending)").wait_for()
    page.unroute(PICTURE)


def test_a_tool_clicked_while_an_image_loads_opens_on_it_unless_another_is_selected(editor):
    page = editor()
    choose(page, "00")
    crop = page.locator(f"{PANEL} .tl-imagetools button", has_text="Crop")
    with loading(page, "01"):
        crop.click()
        expect(page.locator(DIALOG)).to_have_count(0)
    expect(page.locator(DIALOG)).to_contain_text("Crop 01.png")
    page.keyboard.press("Escape")
    expect(page.locator(DIALOG)).to_have_count(0)
    with loading(page, "02"):
        crop.click()
        cell(page, "03").click()
        page.locator(f"{PANEL} .tl-pending .tl-capname", has_text="03.png").wait_for()
    wait_for_chips(page, "penny", "brown hair", "number 3", "boots", "red boots")
    expect(page.locator(DIALOG)).to_have_count(0)
    with loading(page, "02"):
        crop.click()
        cell(page, "03").click()  # which was shown before, and is again
        page.locator(f"{PANEL} .tl-pending .tl-capname", has_text="03.png").wait_for()
    wait_for_chips(page, "penny", "brown hair", "number 3", "boots", "red boots")
    expect(page.locator(DIALOG)).to_have_count(0)


def test_the_mode_clicked_while_an_image_loads_does_not_show_the_caption_of_the_image_before(editor):
    page = editor()
    choose(page, "00")
    with loading(page, "01"):
        shown = page.locator(f"{PANEL} .tl-capbody").evaluate("""body => {
            body.querySelector(".tl-caphead button").click();
            return [body.classList.contains("tl-pending"), body.querySelector(".tl-capname").textContent];
        }""")  # at once: another reply of the server would show the right image again
        assert shown == [True, "2_penny/01.png"]
    expect(page.locator("#tl_caption_text")).to_have_value("penny, blonde hair, number 1, boots, red boots")


def test_an_image_that_is_loading_is_asked_for_once_though_the_grid_changes(editor):
    page, asked = editor(), []
    choose(page, "00")
    with page.expect_response(lambda answer: answer.url.endswith("/captions/view") and answer.json()["sizes_ready"]):
        page.fill("#tl_captions_filter", "penny")  # sizes that arrive later are a reason to ask again
    page.on("request", lambda request: asked.append(request.post_data_json["numbers"])
            if request.url.endswith("/captions/picture") else None)
    with loading(page, "01"):
        page.fill("#tl_captions_filter", "boots")
        wait_for_count(page, "19 of 40")
        page.evaluate("() => new Promise((ended) => setTimeout(ended, 50))")  # ends after the timer of a second request
    wait_for_chips(page, "penny", "blonde hair", "number 1", "boots", "red boots")
    assert asked.count([1]) == 1


def test_a_part_is_dragged_nudged_and_saved_as_an_image_of_its_own(editor, folder):
    """00 has 512 x 704 pixels and the caption "penny, blonde hair, number 0, hat"."""
    page = editor()
    open_crop(page, "00")
    expect(page.locator("#tl_crop_save")).to_be_disabled()
    drag(page, (0.25, 0.25), (0.75, 0.5))
    width, height = size_of(page)
    assert abs(width - 256) <= 3 and abs(height - 176) <= 3
    for key in ("Alt+ArrowRight", "Shift+Alt+ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert size_of(page) == (width + 1, height + 10)
    drag(page, (0.5, 0.3), (0.0, -0.5))  # from inside: moved, as far as the image reaches
    page.locator(f"{DIALOG} .tl-crop-warning", has_text="Smaller than the training size").wait_for()
    page.locator("#tl_crop_caption").fill("penny, close-up")
    page.locator("#tl_crop_save").click()
    page.locator(f"{DIALOG} .tl-crop-saved", has_text="Made an image of a part of 00.png").wait_for()
    with Image.open(folder / "2_penny/00.png") as source, Image.open(folder / "2_penny/00-crop.png") as crop:
        assert np.array_equal(np.asarray(crop), np.asarray(source)[:height + 10, :width + 1])
    assert (folder / "2_penny/00-crop.txt").read_text() == "penny, close-up"
    page.keyboard.press("Escape")
    wait_for_count(page, "41 images")
    page.locator("#tl_captions_undo").click()
    wait_for_count(page, "40 images")
    assert not (folder / "2_penny/00-crop.png").exists()


def test_an_image_is_turned_and_cropped_at_a_training_ratio_in_place_and_comes_back(editor, folder):
    before = (folder / "2_penny/00.png").read_bytes()
    page = editor()
    open_crop(page, "00")
    page.locator(f"{DIALOG} button", has_text="↻").click()
    page.locator(f"{DIALOG} .tl-crop-buttons button", has_text="Detail").first.wait_for()
    page.select_option("#tl_crop_ratio", label="512 × 512 (square)")
    assert abs(size_of(page)[0] - size_of(page)[1]) <= 1 and max(size_of(page)) <= 512
    page.locator("#tl_crop_in_place").check()
    expect(page.locator(f"{DIALOG} .tl-crop-part", has_text="Result")).to_contain_text("Saved as PNG without loss")
    page.locator("#tl_crop_save", has_text="Replace the image").click()
    page.locator(DIALOG).wait_for(state="detached")
    expect(page.locator(f"{PANEL} .tl-capwords .tl-note").first).to_contain_text("512 × 512")
    assert next((folder / ".lora_train_trash").rglob("00.png")).read_bytes() == before
    page.locator("#tl_captions_undo").click()
    expect(page.locator(f"{PANEL} .tl-capwords .tl-note").first).to_contain_text("512 × 704")
    assert (folder / "2_penny/00.png").read_bytes() == before


def test_borders_of_the_selected_images_are_found_shown_and_trimmed_with_one_undo(editor, folder):
    for name in ("01", "02"):
        with Image.open(folder / f"2_penny/{name}.png") as picture:
            bars = Image.new("RGB", (512, 640))
            bars.paste(picture.convert("RGB"), (0, 64))
        bars.save(folder / f"2_penny/{name}.png")
    page = editor()
    page.locator(f'{PANEL} [data-verb="crop"]').click()
    page.get_by_label("What to crop").select_option("borders")
    page.locator("#tl_caption_go", has_text="Search 40 images").click()
    expect(page.locator("#tl_crop_batch .tl-batch-crop")).to_have_count(2)
    page.locator("#tl_crop_batch .tl-batch-crop input").first.uncheck()
    page.locator("#tl_batch_save", has_text="Trim 1 image").click()
    page.locator("#tl_crop_batch").wait_for(state="detached")
    with Image.open(folder / "2_penny/01.png") as kept, Image.open(folder / "2_penny/02.png") as trimmed:
        assert (kept.size, trimmed.size) == ((512, 640), (512, 512))
    page.locator("#tl_captions_undo:not([disabled])").click()
    page.locator(".tl-toast", has_text="Undone: Trimmed 1 image").wait_for()
    with Image.open(folder / "2_penny/02.png") as back:
        assert back.size == (512, 640)


def test_a_failure_is_shown_above_the_window_and_a_changed_image_has_to_be_opened_again(editor, folder):
    page = editor()
    open_crop(page, "00")
    drag(page, (0.2, 0.2), (0.6, 0.6))
    page.locator("#tl_crop_caption").fill("x" * 70_000)
    page.locator("#tl_crop_save").click()
    expect(page.locator(f"{DIALOG} .tl-toast", has_text="a caption may have")).to_be_visible()
    page.locator("#tl_crop_caption").fill("penny")
    Image.new("RGB", (512, 704)).save(folder / "2_penny/00.png")
    page.locator("#tl_crop_save").click()
    page.locator(DIALOG).wait_for(state="detached")
    expect(page.locator(".tl-toast", has_text="00.png. Nothing was written")).to_be_visible()
    assert not (folder / "2_penny/00-crop.png").exists()
