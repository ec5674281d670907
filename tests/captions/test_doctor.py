"""The doctor finds what is wrong, and its fixes put it right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from lib_lora_train.captions.doctor.doctor import Report, examine
from lib_lora_train.captions.doctor.report import Finding
from lib_lora_train.captions.editor.editor import CaptionEditor
from lib_lora_train.captions.editor.operations import Operation
from lib_lora_train.captions.editor.pictures import delete_pictures, lower_case_endings, rename_folder
from lib_lora_train.config.change import changed
from lib_lora_train.config.check import problems_of
from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.config.job import Job
from lib_lora_train.pictures.facts import difference_hash, sharpness_of

from .sets import make_set, names, open_editor, save_picture


def report(editor: CaptionEditor, max_tokens: int = 225, **settings: object) -> Report:
    return examine(editor, DatasetSettings(**settings), max_tokens, lambda done, total: True)


def finding(found: Report, name: str) -> Finding | None:
    return next((item for item in found.findings if item.id == name), None)


def fix(editor: CaptionEditor, found: Finding, place: int = 0) -> None:
    """Press the button."""
    wanted = found.fixes[place]
    if wanted.action == "apply":
        values = {**wanted.values, "tags": tuple(wanted.values.get("tags", ()))}
        editor.apply(Operation(**values), wanted.numbers, "")
    elif wanted.action == "rename-folder":
        rename_folder(editor, wanted.values["folder"], wanted.values["name"])
    else:
        {"delete": delete_pictures, "lower-case": lower_case_endings,
         "utf-8": CaptionEditor.save_as_utf8}[wanted.action](editor, wanted.numbers)


@pytest.mark.parametrize(("name", "captions", "settings"), [
    ("no-caption", {"a.png": "penny, x", "b.png": None, "c.png": ""}, {"activation_tag": "penny"}),
    ("encoding", {"a.png": "penny", "b.png": "café".encode("cp1252")}, {}),
    ("lines", {"a.png": "penny, x\ny", "b.png": "penny"}, {}),
    ("repeated", {"a.png": "penny, x, X", "b.png": "penny"}, {}),
    ("activation", {"a.png": "penny, x", "b.png": "x, penny", "c.png": "x", "d.png": "A girl walks on a field."},
     {"activation_tag": "penny"}),
    ("capitals", {"a.png": "penny", "b.PNG": "penny"}, {}),
])
def test_findings_on_captions_and_names_are_fixed(tmp_path: Path, name: str, captions: dict, settings: dict):
    editor = open_editor(make_set(tmp_path / "p", captions))
    found = finding(report(editor, **settings), name)
    assert found is not None and "a.png" not in names(editor, found.numbers)[:0]
    fix(editor, found, len(found.fixes) - 1)
    again = finding(report(editor, **settings), name)
    assert again is None


def test_captions_over_the_limit_of_tokens_are_cut(tmp_path: Path):
    editor = open_editor(make_set(tmp_path / "p", {"a.png": ", ".join(f"tag{n}" for n in range(60)), "b.png": "x"}))
    found = finding(report(editor, max_tokens=75), "tokens")
    assert names(editor, found.numbers) == ["a.png"] and "estimate" in found.text
    assert found.fixes[1].values == {"base.max_token_length": 225}
    fix(editor, found)
    assert finding(report(editor, max_tokens=75), "tokens") is None
    assert editor.entry(0).caption.tags[:2] == ("tag0", "tag1")


def test_left_out_pictures_are_listed_with_the_reason_and_folders_get_their_repeats(tmp_path: Path):
    folder = make_set(tmp_path / "p", {"3_cat/a.png": "x", "dog/b.png": "x"})
    (folder / "3_cat" / "anim.gif").write_bytes(b"GIF89a")
    editor = open_editor(folder)
    found = finding(report(editor), "left-out")
    assert {name for name, _ in found.files} == {"dog", "3_cat/anim.gif"}
    assert "GIF files are not trained on" in dict(found.files)["3_cat/anim.gif"]
    fix(editor, found)
    assert (folder / "1_dog" / "b.png").exists()
    assert [name for name, _ in finding(report(editor), "left-out").files] == ["3_cat/anim.gif"]


def test_damaged_pictures_are_found_by_decoding(tmp_path: Path):
    folder = make_set(tmp_path / "p", {"a.png": "x", "b.png": "x", "c.png": "x"})
    data = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(data[:len(data) // 2])
    (folder / "c.png").write_bytes(b"no image")
    editor = open_editor(folder)
    found = finding(report(editor), "damaged")
    assert found.level == "error" and sorted(names(editor, found.numbers)) == ["b.png", "c.png"]
    fix(editor, found)
    assert finding(report(editor), "damaged") is None


def test_near_duplicates_are_grouped_and_the_largest_stays(tmp_path: Path):
    folder = make_set(tmp_path / "p", {f"{n}.png": "x" for n in range(4)})
    with Image.open(folder / "1.png") as picture:
        large = picture.convert("RGB").resize((200, 200), Image.Resampling.BICUBIC)
    large.save(folder / "copy.jpg", quality=60)
    (folder / "copy.txt").write_text("x")
    Image.new("RGB", (64, 64), "red").save(folder / "plain1.png")
    Image.new("RGB", (64, 64), "blue").save(folder / "plain2.png")
    editor = open_editor(folder)
    found = finding(report(editor), "duplicates")
    assert [sorted(names(editor, group.numbers)) for group in found.groups] == [["1.png", "copy.jpg"]]
    fix(editor, found)
    assert not (folder / "1.png").exists() and (folder / "copy.jpg").exists()
    assert finding(report(editor), "duplicates") is None


def test_small_and_blurred_pictures(tmp_path: Path):
    folder = make_set(tmp_path / "p", {})
    sharp = save_picture(folder / "sharp.png", 512, 512)
    save_picture(folder / "small.png", 256, 256, seed=1)
    with Image.open(sharp) as picture:
        picture.filter(ImageFilter.GaussianBlur(12)).save(folder / "blurred.png")
    with Image.open(sharp) as picture:
        framed = Image.new("RGB", (640, 512))
        framed.paste(picture, (64, 0))
        framed.save(folder / "bars.png")
    editor = open_editor(folder)
    found = report(editor)
    assert names(editor, finding(found, "borders").numbers) == ["bars.png"]
    assert names(editor, finding(found, "small").numbers) == ["small.png"]
    assert names(editor, finding(found, "blurred").numbers) == ["blurred.png"]
    assert finding(report(editor, resolution="256"), "small") is None


def test_where_most_pictures_are_small_the_fix_is_a_smaller_training(tmp_path: Path):
    folder = make_set(tmp_path / "p", {})
    for number in range(3):
        save_picture(folder / f"{number}.png", 300, 300 + 10 * number, seed=number)
    editor = open_editor(folder)
    fix_of_small, = finding(report(editor), "small").fixes
    assert fix_of_small.values == {"dataset.resolution": "256"}
    assert finding(report(editor, **{"resolution": fix_of_small.values["dataset.resolution"]}), "small") is None


@pytest.mark.parametrize(("side", "resolution", "label"), [
    (600, "1024", "Train at 576"), (300, "1024", "Delete them"), (450, "768", "Train at 448"),
    (300, "768", "Delete them"), (200, "512", "Delete them")])
def test_a_model_is_not_trained_at_less_than_half_of_its_size(tmp_path: Path, side: int, resolution: str, label: str):
    folder = make_set(tmp_path / "p", {})
    for number in range(3):
        save_picture(folder / f"{number}.png", side, side, seed=number)
    fixes = finding(report(open_editor(folder), resolution=resolution), "small").fixes
    assert [fix.label for fix in fixes] == [label]


def test_sharpness_does_not_depend_on_contrast_or_plain_areas():
    cells = np.random.default_rng(0).integers(0, 255, (16, 16), dtype=np.uint8)
    sharp = Image.fromarray(cells).resize((512, 512), Image.Resampling.NEAREST)
    faint = sharp.point(lambda value: value // 8 + 100)
    framed = Image.new("L", (512, 512), 128)
    framed.paste(sharp.resize((200, 200), Image.Resampling.NEAREST), (150, 150))
    blurred = sharp.filter(ImageFilter.GaussianBlur(10))
    assert min(sharpness_of(sharp), sharpness_of(faint), sharpness_of(framed)) > 0.25
    assert sharpness_of(blurred) < 0.08 and sharpness_of(Image.new("RGB", (64, 64))) == 0


def test_the_hash_survives_scaling_and_compression_but_not_another_picture(tmp_path: Path):
    one = Image.open(save_picture(tmp_path / "a.png", 300, 200, seed=1))
    other = Image.open(save_picture(tmp_path / "b.png", 300, 200, seed=2))
    one.resize((97, 60), Image.Resampling.LANCZOS).convert("RGB").save(tmp_path / "c.jpg", quality=40)
    copy = Image.open(tmp_path / "c.jpg")

    def distance(a: Image.Image, b: Image.Image) -> int:
        return (difference_hash(a) ^ difference_hash(b)).bit_count()

    assert distance(one, copy) <= 4 and distance(one, other) > 12


def shaped(folder: Path, sizes: list[tuple[int, int]]) -> CaptionEditor:
    for number, size in enumerate(sizes):
        save_picture(folder / f"{number}.png", *size, seed=number).with_suffix(".txt").write_text("x")
    return open_editor(folder)


@pytest.mark.parametrize(("sizes", "level", "words"), [
    ([(512, 512)] * 8 + [(512, 768)] * 2, "good", "8 of 10 images share the bucket 512x512"),
    ([(512, 512)] * 3 + [(512, 768)] * 4 + [(768, 512)] * 3, "good", "3 to 4 images each"),
    ([(512, 512)] * 6 + [(512, 768)] * 4 + [(900, 512)], "note", "The fullest has 6 images, the emptiest 1"),
])
def test_the_guides_advice_on_buckets(tmp_path: Path, sizes: list[tuple[int, int]], level: str, words: str):
    editor = shaped(tmp_path / "p", sizes)
    found = report(editor)
    advice = finding(found, "buckets")
    assert advice.level == level and words in advice.text
    assert sum(len(shape.numbers) for shape in found.shapes) == len(sizes)


def test_uneven_buckets_offer_narrower_sizes_and_show_the_odd_ones(tmp_path: Path):
    editor = shaped(tmp_path / "p", [(512, 512)] * 6 + [(512, 768)] * 4 + [(900, 512)])
    advice = finding(report(editor), "buckets")
    assert names(editor, advice.fixes[0].numbers) == ["10.png"]
    assert len(advice.fixes) == 1  # the sides follow from the resolution already


@pytest.mark.parametrize(("resolution", "longest", "label"), [
    ("512", 2048, "Use buckets of 320 to 1024 pixels"), ("1024", 3072, "Use buckets of 640 to 2048 pixels"),
    ("256", 1024, "Use buckets of 160 to 512 pixels")])
def test_narrower_buckets_are_offered_by_the_resolution_and_pass_the_check(tmp_path: Path, resolution: str,
                                                                          longest: int, label: str):
    side = int(resolution)
    editor = shaped(tmp_path / "p", [(side, side)] * 6 + [(side, side * 3 // 2)] * 4 + [(side * 5 // 2, side)])
    wide = {"resolution": resolution, "min_bucket_reso": 64, "max_bucket_reso": longest}
    offered = finding(report(editor, **wide), "buckets").fixes[1]
    assert offered.label == label
    job = changed(Job(), {f"dataset.{name}": value for name, value in wide.items()} | dict(offered.values))
    assert not [problem for problem in problems_of(job) if "bucket" in problem]


def test_what_a_crop_cuts_off(tmp_path: Path):
    editor = shaped(tmp_path / "p", [(1600, 300), (512, 512)])
    found = report(editor)
    crop = found.crops[0]
    left, top, right, bottom = crop.kept
    assert (top, bottom) == (0, 1) and abs(left + right - 1) < 0.002
    assert abs((right - left) * (bottom - top) - (1 - crop.cut_off)) < 0.01
    assert crop.bucket == (1024, 256) or right - left < 1
    assert found.crops[1].kept == (0, 0, 1, 1) and found.crops[1].cut_off == 0
    assert names(editor, finding(found, "cropped").numbers) == ["0.png"]


def test_unbalanced_concepts_get_repeats_that_balance_them(tmp_path: Path):
    folder = make_set(tmp_path / "p", {**{f"10_cat/{n}.png": "x" for n in range(12)},
                                       **{f"1_dog/{n}.png": "x" for n in range(4)}})
    editor = open_editor(folder)
    found = finding(report(editor), "balance")
    assert "cat is seen 120 times an epoch, dog only 4 times" in found.text
    for group in found.groups:
        for button in group.fixes:
            rename_folder(editor, button.values["folder"], button.values["name"])
    assert {path.name for path in folder.glob("[!.]*")} == {"1_cat", "3_dog"}
    assert finding(report(editor), "balance").level == "good"


def test_a_second_examination_decodes_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_set(tmp_path / "p", {"a.png": "penny", "b.png": "penny"})
    report(open_editor(folder))
    monkeypatch.setattr("lib_lora_train.pictures.facts.decoded", lambda *_, **__: pytest.fail("again"))
    report(open_editor(folder))


def test_the_doctor_can_be_stopped(tmp_path: Path):
    editor = open_editor(make_set(tmp_path / "p", {f"{n}.png": "x" for n in range(40)}))
    seen = []
    examine(editor, DatasetSettings(), 225, lambda done, total: seen.append((done, total)) or False)
    assert sum(editor.facts.marks(entry.file) is not None for entry in editor.index.entries.values()) < 40
    assert seen[0] == (0, 40)


@pytest.mark.parametrize("text", [",", " , ,\n", ",,\n,"])
def test_a_caption_of_separators_alone_is_reported_as_none(text, tmp_path):
    editor = open_editor(make_set(tmp_path / "set", {"a.png": text, "b.png": "penny, hat"}))
    found = finding(report(editor), "no-caption")
    assert found is not None and "1 image without a caption" in found.title
