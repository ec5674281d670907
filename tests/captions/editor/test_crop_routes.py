"""Cropping by the routes: what the page is shown, saved and refused; and batches with progress, stop and one undo."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.errors import ConfigError
from lib_lora_train.pictures.faces import Face
from lib_lora_train.ui.captions import crop_desk, image_batch
from tests.ui.conftest import wait_until

from ..conftest import Dataset
from ..sets import save_picture


class FakeDetector:
    """Finds one face in images of at least 300 pixels, another one in wide ones."""

    def search(self, picture: Image.Image) -> tuple[Face, ...]:
        if min(picture.size) < 300:
            return ()
        faces = (Face(150, 120, 60), Face(picture.width - 120, 130, 50))
        return faces if picture.width > 500 else faces[:1]


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no OpenCV in the tests' environment of the webui."""
    monkeypatch.setattr(crop_desk, "FaceDetector", FakeDetector)


@pytest.fixture
def large(dataset: Dataset) -> Dataset:
    """A standing figure beside the small images, and a wide image with bars."""
    save_picture(dataset.folder / "tall.png", 300, 600)
    (dataset.folder / "tall.txt").write_text("penny, full body, black boots, hat")
    wide = Image.new("RGB", (640, 420))
    wide.paste(Image.effect_noise((640, 340), 90).convert("RGB"), (0, 40))
    wide.save(dataset.folder / "wide.jpg", quality=95)
    dataset.open()
    return dataset


def of(dataset: Dataset, name: str, **more: object) -> dict[str, object]:
    number = dataset.numbers(name)[0]
    cell = dataset.get("cells", numbers=[number])["cells"][0]
    return {"number": number, "version": cell["version"], **more}


def batch(dataset: Dataset, state: str = "found", **begin: object) -> dict[str, object]:
    if begin:
        dataset.get("crop/batch", begin=True, **begin)
    wait_until(lambda: dataset.get("crop/batch")["state"] == state)
    return dataset.get("crop/batch")


def test_what_is_proposed_are_faces_details_and_the_inside_of_bars(large: Dataset, faces: None):
    options = large.get("crop/options", **of(large, "wide.jpg", settings={"resolution": "256"}))
    assert (options["width"], options["height"]) == (640, 420)
    assert options["bars"] == pytest.approx([0, 40, 640, 380], abs=2)
    labels = [item["label"] for item in options["proposals"]]
    assert labels[:4] == ["Face 1", "Head and shoulders 1", "Face 2", "Head and shoulders 2"] and "Detail" in labels[4]
    assert options["proposals"][0]["frame"] == [99, 63, 201, 165]  # 1.7 faces wide, its centre a tenth higher
    assert [256, 256] in options["sizes"] and [320, 192] in options["sizes"]
    assert options["saved_as"] == "JPEG at quality 98"
    turned = large.get("crop/options", **of(large, "wide.jpg", quarters=1, mirrored=True))
    assert (turned["width"], turned["height"]) == (420, 640)
    straight = large.get("crop/options", **of(large, "wide.jpg", degrees=3.5))
    assert straight["width"] < 640 and straight["height"] < 420


@pytest.mark.parametrize(("resolution", "frame", "bucket", "warning"), [
    ("1024", [0, 0, 300, 300], [1024, 1024], "enlarged 3.4 times, to 1024 × 1024"),
    ("256", [0, 0, 300, 300], [256, 256], ""), ("512", None, [320, 704], "enlarged 1.2 times")])
def test_a_frame_names_the_training_size_and_warns_if_it_is_too_small(large: Dataset, faces: None, resolution: str,
                                                                      frame: object, bucket: list[int], warning: str):
    facts = large.get("crop/frame", **of(large, "tall.png", frame=frame, settings={"resolution": resolution}))
    assert facts["bucket"] == bucket and warning in facts["warning"] and bool(warning) == bool(facts["warning"])


def test_a_frame_without_enlarging_says_what_it_is_trained_at(large: Dataset, faces: None):
    settings = {"resolution": "512", "bucket_no_upscale": True}
    facts = large.get("crop/frame", **of(large, "tall.png", frame=[0, 0, 130, 130], settings=settings))
    assert facts["bucket"] == [128, 128] and "128 × 128 instead of about 512 × 512" in facts["warning"]


def test_tags_are_proposed_and_the_crop_is_saved_with_them_and_undone(large: Dataset, faces: None):
    before = sorted(path.name for path in large.folder.iterdir())
    about = of(large, "tall.png", frame=[50, 0, 250, 200])
    facts = large.get("crop/frame", **about)
    assert [item["tag"] for item in facts["remove"]] == ["black boots", "full body"]
    assert [item["tag"] for item in facts["add"]] == ["portrait"] and facts["note"] == "Estimated from the face."
    done = large.get("crop/save", **about, word="face", caption="penny, hat, portrait")
    assert done["label"] == "Made an image of a part of tall.png" and done["undo"] == done["label"]
    assert (large.folder / "tall-face.txt").read_text() == "penny, hat, portrait"
    large.get("undo")
    assert sorted(path.name for path in large.folder.iterdir() if path.name != ".lora_train_trash") == before


def test_in_place_the_page_gets_the_new_version_and_an_old_one_is_refused(large: Dataset, faces: None):
    about = of(large, "tall.png", frame=[0, 0, 128, 256], in_place=True, before="penny, full body, black boots, hat")
    done = large.get("crop/save", **about, caption="penny, hat")
    assert about["number"] in done["changed"] and done["label"] == "Cropped tall.png"
    now = of(large, "tall.png")
    assert now["version"] != about["version"] and (large.folder / "tall.txt").read_text() == "penny, hat"
    for route in ("crop/options", "crop/frame", "crop/save"):
        answer = large.ask(route, **about)
        assert answer.status_code == 409 and "tall.png" in answer.json()["error"], route
    (large.folder / "tall.txt").write_text("someone else's")
    large.get("refresh")
    stale = large.ask("crop/save", **{**about, **now, "frame": [0, 0, 64, 64], "before": "penny, hat"})
    assert stale.status_code == 409 and "tall.txt" in stale.json()["error"]


@pytest.mark.parametrize("wrong", [
    {"frame": [0, 0, 301, 10]}, {"frame": [5, 5, 5, 5]}, {"frame": [-1, 0, 50, 50]}, {"frame": [1, 2, 3]},
    {"frame": [0, 0, 1 << 70, 1 << 70]}, {"quarters": 9}, {"degrees": 80.0}, {"degrees": 1e308}, {"word": "../../x"},
    {"number": 10_000}, {"settings": {"resolution": "zero"}}])
def test_what_cannot_be_is_refused_in_words(large: Dataset, faces: None, wrong: dict[str, object]):
    before = sorted(large.folder.rglob("*"))
    routes = {"word": ["crop/save"], "settings": ["crop/options"]}.get(next(iter(wrong)), ["crop/frame", "crop/save"])
    for route in routes:
        answer = large.ask(route, **{**of(large, "tall.png"), **wrong})
        assert answer.status_code == 400 and len(answer.json()["error"]) > 20, (route, answer.text)
    assert [path for path in sorted(large.folder.rglob("*")) if path not in before and path.is_file()] == []


def test_without_opencv_there_is_a_sentence_and_details_are_proposed_all_the_same(large: Dataset, monkeypatch):
    def none() -> None:
        raise ConfigError("no OpenCV")

    monkeypatch.setattr(crop_desk, "FaceDetector", none)
    options = large.get("crop/options", **of(large, "tall.png"))
    assert "no OpenCV with face cascades" in options["about_faces"]
    assert {item["kind"] for item in options["proposals"]} == {"detail"}
    refused = large.ask("crop/batch", begin=True, kind="face", filter="")
    assert refused.status_code == 400 and "no OpenCV" in refused.json()["error"]


def test_all_faces_become_new_images_with_tags_of_their_own_and_one_undo_takes_all_back(large: Dataset, faces: None):
    (large.folder / "b.png").write_bytes(b"\x89PNG broken")
    large.get("refresh")
    found = batch(large, kind="face", filter="", settings={"resolution": "96", "enable_bucket": False})
    assert [bool(crop["warning"]) for crop in found["crops"]] == [False, False, True]  # 102, 102 and 85 pixels
    assert (found["found"], found["images"]) == (3, 2) and len(found["left"]) == 1 and "b.png" in found["left"][0]
    assert dict(found["remove"]) == {"black boots": 1, "full body": 1} and dict(found["add"]) == {"close-up": 3}
    last = [place for place, crop in enumerate(found["crops"]) if crop["path"] == "wide.jpg"][-1]
    large.get("crop/batch/save", without=[last], remove=["full body"], add=["close-up"])
    done = batch(large, "saved")
    assert done["label"] == "Made images of 2 faces" and done["undo"] == done["label"]
    assert (large.folder / "tall-face.txt").read_text() == "penny, black boots, hat, close-up"
    assert (large.folder / "wide-face.png").is_file() and not (large.folder / "wide-face-2.png").exists()
    large.get("undo")
    assert not list(large.folder.glob("*-face*"))


def test_borders_are_trimmed_in_place_of_the_selected_images_only(large: Dataset):
    for name in ("other.png", "third.png"):
        Image.open(large.folder / "wide.jpg").save(large.folder / name)
    large.get("refresh")
    found = batch(large, kind="borders", numbers=large.numbers("wide.jpg", "other.png", "tall.png"))
    assert sorted(crop["path"] for crop in found["crops"]) == ["other.png", "wide.jpg"]
    large.get("crop/batch/save", without=[])
    assert batch(large, "saved")["label"] == "Trimmed 2 images"
    sizes = {name: Image.open(large.folder / name).size for name in ("wide.jpg", "other.png", "third.png")}
    assert sizes.pop("third.png") == (640, 420) and all(abs(height - 340) <= 4 for _, height in sizes.values())
    large.get("undo")
    assert Image.open(large.folder / "wide.jpg").size == (640, 420)


def test_a_search_is_stopped_another_waits_and_nothing_found_cannot_be_saved(large: Dataset, monkeypatch):
    going, seen = threading.Event(), threading.Event()

    def slow(picture: Image.Image, plain: bool) -> None:
        seen.set()
        going.wait(20)

    monkeypatch.setattr(image_batch, "without_borders", slow)
    large.get("crop/batch", begin=True, kind="borders", filter="")
    assert seen.wait(20)
    for refused in (large.ask("crop/batch", begin=True, kind="borders"), large.ask("crop/batch/save")):
        assert refused.status_code == 400 and refused.json()["error"]
    large.get("crop/batch", stop=True)
    going.set()
    assert batch(large, "stopped")["found"] == 0
    assert large.ask("crop/batch/save").status_code == 400
    assert large.ask("crop/batch", begin=True, kind="hands").status_code == 400


def test_a_failed_batch_says_why_and_changes_nothing(large: Dataset, faces: None):
    batch(large, kind="face", filter="")
    save_picture(large.folder / "tall.png", 320, 600, seed=4)
    large.get("crop/batch/save")
    done = batch(large, "failed")
    assert "tall.png" in done["problem"] and not list(large.folder.glob("*-face*"))


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_a_link_out_of_the_folder_is_not_cropped(large: Dataset, faces: None, tmp_path: Path):
    save_picture(tmp_path / "outside.png", 400, 400)
    about = of(large, "tall.png")
    (large.folder / "tall.png").unlink()
    (large.folder / "tall.png").symlink_to(tmp_path / "outside.png")
    for route in ("crop/options", "crop/save"):
        answer = large.ask(route, **about)
        assert answer.status_code in (400, 409), answer.text
    assert np.asarray(Image.open(tmp_path / "outside.png")).shape == (400, 400, 3)
