"""Masks in the caption editor: painted, removed, found, shown, and nothing of them ever lost."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.captions.editor.history import changes_of_edit
from lib_lora_train.captions.editor.masks import NewMask, put_masks, save_mask
from lib_lora_train.captions.journal.apply import ConflictError
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.masks.shape import method_of, png_of
from tests.captions.conftest import Dataset
from tests.captions.sets import names, numbers, open_editor, save_picture
from tests.opened_files import opened_files
from tests.pictures.hostile import png as png_of_size

SIZE = (64, 48)


def painted(size: tuple[int, int] = SIZE, mode: str = "RGBA", level: int = 200) -> bytes:
    """What a canvas sends: a grey rectangle on black, opaque."""
    mask = Image.new("L", size, 0)
    mask.paste(level, (8, 8, 40, 30))
    content = BytesIO()
    mask.convert(mode).save(content, "PNG")
    return content.getvalue()


def text_of(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    for seed, name in enumerate(("a.png", "b.jpg", "2_cat/c.png")):
        save_picture(folder / name, *SIZE, seed=seed)
    (folder / "a.txt").write_text("penny, mask")
    return folder.resolve()


@pytest.fixture
def masked(dataset: Dataset) -> Dataset:
    """The open set of the routes, in which a.png has a mask made by a run."""
    size = Image.open(dataset.folder / "a.png").size
    (dataset.folder / "a-mask.png").write_bytes(png_of(Image.open(BytesIO(painted(size))), "border"))
    dataset.open()
    return dataset


def test_a_painted_mask_is_grey_at_the_size_of_its_image_and_every_step_can_be_undone(pictures: Path):
    editor = open_editor(pictures)
    (number,) = numbers(editor, "b.jpg")
    assert save_mask(editor, number, painted(), "").label == "Painted the mask of b.jpg"
    mask = Image.open(pictures / "b-mask.png")
    assert (mask.mode, mask.size) == ("L", SIZE) and mask.getpixel((10, 10)) == 200 and mask.getpixel((1, 1)) == 0
    first = editor.entry(number).file.mask_version
    outcome = save_mask(editor, number, painted(level=90), first)
    assert outcome.changed == (number,) and editor.entry(number).file.mask_version != first
    trashed = list((pictures / ".lora_train_trash").rglob("b-mask.png"))
    assert len(trashed) == 1 and Image.open(trashed[0]).getpixel((10, 10)) == 200
    assert editor.undo().changed == (number,)
    assert Image.open(pictures / "b-mask.png").getpixel((10, 10)) == 200
    editor.undo()
    assert not (pictures / "b-mask.png").exists() and editor.entry(number).file.mask == ""
    editor.redo()
    editor.redo()
    assert Image.open(pictures / "b-mask.png").getpixel((10, 10)) == 90
    edits = editor.history().batches
    assert [changes_of_edit(editor, edit.number).picture for edit in edits] == ["b.jpg", "b.jpg"]
    assert names(editor, editor.order()) == ["a.png", "b.jpg", "2_cat/c.png"]  # a mask is no image


@pytest.mark.parametrize("old", ["masks/a.png", "a.mask.png", "a-masklabel.png", "mask/a.jpg"])
def test_a_mask_of_another_convention_gives_way_to_the_painted_one_and_comes_back_by_undo(old: str, pictures: Path):
    (pictures / old).parent.mkdir(exist_ok=True)
    Image.new("L", SIZE, 55).save(pictures / old)
    editor = open_editor(pictures)
    (number,) = numbers(editor, "a.png")
    assert editor.entry(number).file.mask == old
    save_mask(editor, number, painted(), editor.entry(number).file.mask_version)
    assert editor.entry(number).file.mask == "a-mask.png" and not (pictures / old).exists()
    editor.undo()
    assert editor.entry(number).file.mask == old and not (pictures / "a-mask.png").exists()


def test_a_mask_that_another_program_changed_meanwhile_is_not_replaced(pictures: Path):
    editor = open_editor(pictures)
    (number,) = numbers(editor, "a.png")
    (pictures / "a-mask.png").write_bytes(painted(level=10))
    with pytest.raises(ConflictError, match="a-mask.png"):
        save_mask(editor, number, painted(), "")
    assert (pictures / "a-mask.png").read_bytes() == painted(level=10)


@pytest.mark.parametrize(("png", "words"), [
    (painted((48, 64)), "has 48x64 pixels and a.png has 64x48"), (painted((640, 480)), "has 640x480 pixels"),
    (painted(level=0), "black everywhere"), (b"", "not a PNG"), (b"GIF89a" + bytes(100), "not a PNG"),
    (painted()[:70], "cannot be saved"), (painted()[:20] + b"\xff" * 60, "cannot be saved"),
    (png_of_size(60_000, 60_000), "more pixels than can be opened")],
    ids=["turned", "larger", "black", "empty", "gif", "cut off", "damaged", "bomb"])
def test_what_is_no_mask_of_the_image_is_refused_and_nothing_is_written(png: bytes, words: str, pictures: Path):
    editor = open_editor(pictures)
    before = sorted(pictures.rglob("*"))
    with pytest.raises(DatasetError, match=words):
        save_mask(editor, numbers(editor, "a.png")[0], png, "")
    assert sorted(pictures.rglob("*")) == before


def test_images_that_share_a_mask_get_one_file(pictures: Path):
    save_picture(pictures / "a.webp", *SIZE)
    masks = [NewMask("a.png", "", painted()), NewMask("a.webp", "", painted(level=9))]
    assert put_masks(pictures, masks, lambda moves: [move.target for move in moves]) == ["a-mask.png"]


def test_the_filter_finds_images_with_and_without_a_mask_and_the_tag_in_quotes(masked: Dataset):
    assert masked.shown(filter="mask") == ["a.png"]
    assert masked.shown(filter="nomask") == masked.shown(filter="NOT mask") == masked.shown(filter="NOMASK")
    assert "a.png" not in masked.shown(filter="nomask") and len(masked.shown(filter="mask OR nomask")) == 5
    assert masked.shown(filter="mask AND red boots") == ["a.png"] and masked.shown(filter='"mask"') == []
    view = masked.get("view", filter="mask")
    assert view["masks"] == 1 and view["hint"] is None
    masked.apply("add", masked.numbers("b.png"), tags=["mask"], place="last")
    hint = masked.get("view", filter="penny, mask")["hint"]
    assert (hint["start"], hint["end"]) == (7, 11) and 'in 1 image: for the tag, write "mask" in quotes' in hint["text"]
    assert masked.shown(filter='"mask"') == masked.shown(filter="tag:mask") == ["b.png"]


def test_the_routes_show_save_and_remove_a_mask(masked: Dataset):
    (number,) = masked.numbers("a.png")
    cell = masked.get("cells", numbers=[number])["cells"][0]
    assert cell["mask"] and masked.get("mask/facts")["masks"] == masked.get("mask/facts")["automatic"] == 1
    query = {"folder": str(masked.folder), "session": masked.session, "path": "a.png"}
    whole = masked.tab.get("captions/mask-image", **query)
    assert np.array_equal(Image.open(BytesIO(whole.content)), Image.open(masked.folder / "a-mask.png"))
    overlay = Image.open(BytesIO(masked.tab.get("captions/mask-overlay", **query).content)).convert("RGBA")
    assert overlay.getpixel((1, 1))[3] > 250 and abs(overlay.getpixel((20, 20))[3] - 55) < 12
    size = Image.open(masked.folder / "a.png").size
    saved = masked.get("mask/save", number=number, png=text_of(painted(size, level=255)), seen=cell["mask"])
    assert saved["changed"] == [number] and saved["undo"] == "Painted the mask of a.png"
    assert masked.get("mask/facts", numbers=[number]) == {"images": 1, "masks": 1, "automatic": 0}
    assert method_of((masked.folder / "a-mask.png").read_bytes()) == ""
    assert masked.ask("mask/save", number=number, png=text_of(painted(size)), seen=cell["mask"]).status_code == 409
    removed = masked.get("mask/remove", numbers=masked.numbers("a.png", "b.png"))
    assert removed["label"] == "Removed 1 mask" and not (masked.folder / "a-mask.png").exists()
    assert masked.tab.get("captions/mask-overlay", **query).status_code == 400
    assert masked.get("undo")["changed"] == [number] and (masked.folder / "a-mask.png").exists()


def test_a_preview_shows_the_mask_of_one_image_and_writes_nothing(dataset: Dataset):
    pixels = np.full((60, 80, 3), 250, np.uint8)
    pixels[15:45, 20:60] = (200, 20, 20)
    Image.fromarray(pixels).save(dataset.folder / "plain.png")
    dataset.open()
    before = sorted(dataset.folder.rglob("*"))
    found = dataset.get("mask/preview", number=dataset.numbers("plain.png")[0], mask={"feather": 0})
    assert found["share"] == pytest.approx(0.25)
    mask = np.asarray(Image.open(BytesIO(base64.b64decode(found["mask"].partition(",")[2]))))
    assert mask.shape == (60, 80) and mask[30, 40] == 255 and mask[5, 5] == 0
    noisy = dataset.ask("mask/preview", number=dataset.numbers("a.png")[0], mask={"tolerance": 1})
    assert noisy.status_code == 400 and "not uniform enough" in noisy.json()["error"]
    for values, words in (({"method": "subject"}, "runs in the worker"), ({"tolerance": 500}, "mask.tolerance is 500"),
                          ({"method": "magic"}, "Choose one of: border, face, subject"), ({"colour": 1}, "no setting")):
        answer = dataset.ask("mask/preview", number=0, mask=values)
        assert answer.status_code == 400 and words in answer.json()["error"], answer.text
    assert sorted(dataset.folder.rglob("*")) == before


@pytest.mark.parametrize("nonsense", [None, -1, 1 << 70, True, "", "\0", "../../x", "x" * 5000, [], {}, "ä\ud83d"])
def test_the_routes_of_masks_answer_nonsense_in_words(nonsense: object, masked: Dataset):
    (number,) = masked.numbers("a.png")
    bodies = [("mask/save", {"number": nonsense, "png": text_of(painted())}),
              ("mask/save", {"number": number, "png": nonsense}), ("mask/facts", {"numbers": nonsense}),
              ("mask/save", {"number": number, "png": text_of(painted()), "seen": nonsense}),
              ("mask/remove", {"numbers": nonsense}), ("mask/remove", {"numbers": [nonsense]}),
              ("mask/preview", {"number": nonsense}), ("mask/preview", {"number": number, "mask": nonsense}),
              ("mask/preview", {"number": number, "mask": {"tolerance": nonsense}})]
    for route, body in bodies:
        answer = masked.ask(route, **body)
        assert answer.status_code in (200, 400, 409), (route, body, answer.text)
        assert answer.status_code == 200 or answer.json()["error"]
    if isinstance(nonsense, str) and nonsense.isprintable():
        for route in ("mask-overlay", "mask-image"):
            query = {"folder": str(masked.folder), "session": masked.session, "path": nonsense}
            assert masked.tab.get(f"captions/{route}", **query).status_code == 400
    assert Image.open(masked.folder / "a-mask.png").getpixel((10, 10)) == 200


def test_a_mask_of_another_shape_is_named_when_it_is_shown(masked: Dataset):
    Image.new("L", (300, 20)).save(masked.folder / "a-mask.png")
    masked.get("refresh")
    for route in ("mask-overlay", "mask-image"):
        answer = masked.tab.get(f"captions/{route}", folder=str(masked.folder), session=masked.session, path="a.png")
        assert answer.status_code == 400 and "another shape" in answer.json()["error"]


def test_masks_are_not_opened_to_filter_and_refresh_a_set(tmp_path: Path):
    folder = tmp_path / "set"
    save_picture(folder / "0.png", 64, 48)
    for number in range(1, 40):
        (folder / f"{number}.png").symlink_to(folder / "0.png")
    for number in range(0, 40, 2):
        (folder / f"{number}-mask.png").write_bytes(painted())
    editor = open_editor(folder)
    with opened_files() as opened:
        assert editor.filtered("mask").bit_count() == 20
    assert opened == []
    with opened_files() as opened:
        editor.refresh()
    assert not [path for path in opened if "mask" in path.name]
