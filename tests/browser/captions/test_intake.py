"""Images that come in through the page: dropped files and folders, a pasted image, a new set."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from ..conftest import REFUSED, eventually, refuse, refused, try_again
from .conftest import PANEL, toast, wait_for_count


def drop(page: Page, *paths: Path, place: str = f"{PANEL} .tl-capgrid") -> None:
    """Drop files and folders from the disk, as a file manager would."""
    box = page.locator(place).bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 40, "y": box["y"] + 40, "data": data})


def paste_image(page: Page, content: bytes) -> None:
    page.evaluate("""content => {
        const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([bytes], "image.png", {type: "image/png"}));
        document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
    }""", base64.b64encode(content).decode())


def png(shade: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 90, 7)).save(data, "PNG")
    return data.getvalue()


def test_a_dropped_folder_is_added_with_captions_what_is_left_is_named_and_undo_takes_it_back(editor, folder, tmp_path):
    page = editor()
    inner = tmp_path / "foxes" / "inner"
    inner.mkdir(parents=True)
    for number in range(130):  # more than a browser lists at once
        (inner / f"fox {number}.PNG").write_bytes(png(number))
        (inner / f"fox {number}.txt").write_text(f"fox, number {number}")
    (inner / "copy.png").write_bytes((folder / "2_penny/00.png").read_bytes())
    (tmp_path / "foxes" / "film.mp4").write_bytes(b"x")
    drop(page, tmp_path / "foxes")
    words = page.locator("#tl_intake_words")
    expect(words).to_have_text("130 images with 130 captions to add.")
    expect(page.locator("#tl_intake")).to_contain_text("1 image already in the set")
    expect(page.locator("#tl_intake")).to_contain_text("1 file not added")
    expect(page.locator("#tl_intake_folder")).to_have_value("2_penny")
    page.locator("#tl_intake_go", has_text="Add 130 images with 130 captions").click()
    toast(page, "Added 130 images with 130 captions")
    wait_for_count(page, "170 images")
    assert (folder / "2_penny/fox 129.png").read_bytes() == png(129)
    assert (folder / "2_penny/fox 7.txt").read_text() == "fox, number 7"
    expect(page.locator(f"{PANEL} .tl-selected-count")).to_have_text("130 selected")
    page.click("#tl_captions_undo")
    wait_for_count(page, "40 images")
    assert not (folder / "2_penny/fox 129.png").exists()


def test_an_image_is_pasted_and_a_cancelled_import_adds_nothing(editor, folder):
    page = editor()
    refuse(page, "captions/intake/plan")
    paste_image(page, png(200))
    problem = page.locator("#tl_intake .tl-field-problem")
    expect(problem).to_contain_text(REFUSED)
    try_again(page, within="#tl_intake")
    page.locator("#tl_intake_go", has_text="Add 1 image").wait_for()
    expect(problem).to_have_text("")
    page.fill("#tl_intake_folder", "../out")
    expect(problem).to_contain_text("../out")
    expect(problem.get_by_role("button")).to_have_count(0)  # what was typed has to change
    page.fill("#tl_intake_folder", "7_new")
    page.locator("#tl_intake_go:enabled").click()
    wait_for_count(page, "41 images")
    assert [path.name.startswith("pasted-2") for path in (folder / "7_new").iterdir()] == [True]
    paste_image(page, png(201))
    page.locator("#tl_intake_go:enabled").wait_for()
    page.click("#tl_intake_cancel")
    eventually(page, lambda: list((folder / ".lora_train/incoming").iterdir()), [])
    wait_for_count(page, "41 images")


def test_images_dropped_without_a_set_make_a_new_one(webui, open_tab, tmp_path):
    page = open_tab(webui)
    page.locator("#tl-tab-captions").click()
    page.fill("#tl_captions_folder", "")
    (tmp_path / "1.png").write_bytes(png(1))
    (tmp_path / "1.txt").write_text("owl")
    drop(page, tmp_path / "1.png", tmp_path / "1.txt", place=f"{PANEL} .tl-capintro")
    page.fill("#tl_new_set_name", "a/b")
    page.fill("#tl_new_set_parent", str(tmp_path))
    page.click("#tl_new_set_go")
    expect(page.locator("dialog[open] .tl-field-problem")).to_contain_text("cannot be the name of a folder")
    page.fill("#tl_new_set_name", "owls")
    page.click("#tl_new_set_go")
    page.locator("#tl_intake_go", has_text="Add 1 image with 1 caption").click()
    wait_for_count(page, "1 image")
    assert (tmp_path / "owls/1.png").read_bytes() == png(1) and (tmp_path / "owls/1.txt").read_text() == "owl"
    expect(page.locator("#tl_captions_folder")).to_have_value(str(tmp_path / "owls"))


def test_small_images_are_upscaled_by_the_webui_and_undone(editor, folder):
    Image.new("RGB", (128, 128), (1, 2, 3)).save(folder / "2_penny/00.png")
    page = editor()
    page.locator(f"{PANEL} .tl-capgrid").focus()
    page.keyboard.press("Control+a")
    page.locator(f'{PANEL} [data-verb="pictures"]').click()
    page.get_by_label("What to do with the images").select_option("upscale")
    page.locator("#tl_caption_go", has_text="Upscale 40 images").click()
    expect(page.locator("#tl_upscale_words")).to_contain_text("1 image to upscale; 39 large enough")
    page.select_option("#tl_upscaler", "Lanczos")
    refuse(page, "captions/upscale/state", "captions/upscale/stop")
    page.locator("#tl_upscale_go", has_text="Upscale 1 image").click()
    refused(page, "The progress", within="#tl_upscale")
    page.click("#tl_upscale_stop")
    toast(page, REFUSED)
    try_again(page)
    toast(page, "Upscaled 1 image.")
    with Image.open(folder / "2_penny/00.png") as grown:
        assert grown.size == (512, 512)
    page.click("#tl_captions_undo")
    toast(page, "Undone: Upscaled 1 image.")
    with Image.open(folder / "2_penny/00.png") as original:
        assert original.size == (128, 128)
