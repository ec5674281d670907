"""Masking runs: which images get a mask, and what becomes of masks that are there."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.config.load import job_to_yaml, read_settings
from lib_lora_train.config.mask_job import MaskJob, mask_problems_of
from lib_lora_train.pictures.faces import Face
from lib_lora_train.pictures.masks.shape import method_of
from lib_lora_train.runs.control import RunControl
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.standing import Standing
from lib_lora_train.tagging.masks import run as masking
from lib_lora_train.tagging.masks.run import run_masking
from tests.tagging.conftest import Reports
from tests.tagging.fake_hub import FakeHub
from tests.tagging.onnx_files import pixel_model

ROOT = Path(__file__).resolve().parents[3]
BY_HAND = 77
"""The level of the masks that were painted by hand."""


def make_set(folder: Path, count: int = 5) -> Path:
    """Red squares of growing size before white; image 3 has no uniform border."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        pixels = np.full((64, 80, 3), 255, np.uint8)
        pixels[20:40, 20:20 + 4 * number] = (220, 30, 30)
        if number == 3:
            pixels = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def job_of(folder: Path, **settings: object) -> MaskJob:
    values: dict[str, dict] = {"dataset": {"train_data_dir": str(folder)}, "mask": {"feather": 0}}
    for key, value in settings.items():
        group, name = key.split("__")
        values.setdefault(group, {})[name] = value
    job, problems = read_settings(MaskJob, values, source="The job")
    assert not problems and not mask_problems_of(job)
    return job


def carry_out(job: MaskJob, results: Path, reported: Reports | None = None,
              control: RunControl | None = None) -> Reports:
    reported, control = reported or Reports(), control or RunControl(results.parent / "nobody")
    standing = Standing(control, reported)
    run_masking(job, results, control.asked, lambda: standing.wait(nullcontext), reported)
    return reported


def masks_of(folder: Path) -> dict[str, float]:
    """The mean level of each mask, by name."""
    return {path.name: round(float(np.asarray(Image.open(path)).mean()), 1) for path in folder.glob("*-mask.png")}


def area(number: int) -> float:
    return round(255 * 20 * 4 * number / (64 * 80), 1)


def test_every_image_gets_its_mask_and_one_undo_takes_them_all_back(tmp_path: Path):
    folder = make_set(tmp_path / "set")
    reported = carry_out(job_of(folder), tmp_path / "run/masks")
    assert masks_of(folder) == {f"{number}-mask.png": area(number) for number in (1, 2, 4, 5)}
    assert {key: reported.last[key] for key in ("event", "pictures", "written", "had_masks", "failed", "method")} == {
        "event": "finished", "pictures": 4, "written": 4, "had_masks": 0, "failed": 1, "method": "border"}
    assert [text for text in reported.warnings if text.startswith("No mask for 3.png: its border is not uniform")]
    mask = Image.open(folder / "1-mask.png")
    assert (mask.size, mask.mode) == ((80, 64), "L") and method_of((folder / "1-mask.png").read_bytes()) == "border"
    journal = Journal(folder)
    assert journal.undo().label == "Made 4 masks (border)" and masks_of(folder) == {}
    journal.redo()
    assert len(masks_of(folder)) == 4


@pytest.mark.parametrize(("mode", "by_hand", "automatic"), [
    ("if-missing", "kept", "kept"), ("replace-automatic", "kept", "new"), ("replace-all", "new", "new")])
def test_a_mask_painted_by_hand_is_replaced_only_if_asked(mode: str, by_hand: str, automatic: str, tmp_path: Path):
    folder = make_set(tmp_path / "set", 2)
    carry_out(job_of(folder, dataset__images=["2.png"], mask__grow=10), tmp_path / "first/masks")
    old = masks_of(folder)["2-mask.png"]
    assert old > area(2)
    (folder / "masks").mkdir()
    Image.new("L", (80, 64), BY_HAND).save(folder / "masks/1.png")  # another convention is a mask as well
    reported = carry_out(job_of(folder, write__mode=mode), tmp_path / "run/masks")
    now = masks_of(folder)
    assert now["2-mask.png"] == (old if automatic == "kept" else area(2))
    assert ("1-mask.png" in now) is (by_hand == "new") is not (folder / "masks/1.png").exists()
    assert reported.last["had_masks"] == (by_hand, automatic).count("kept")
    if by_hand == "new":
        trashed = list((folder / ".lora_train_trash").rglob("1.png"))
        assert len(trashed) == 1 and np.asarray(Image.open(trashed[0])).mean() == BY_HAND
        Journal(folder).undo()
        assert (folder / "masks/1.png").exists() and masks_of(folder) == {"2-mask.png": old}


def test_a_preview_changes_nothing_in_the_set(tmp_path: Path):
    folder = make_set(tmp_path / "set", 2)
    before = sorted(path for path in folder.rglob("*"))
    reported = carry_out(job_of(folder, write__mode="preview", dataset__images=["1.png"]), tmp_path / "run/masks")
    assert reported.last["pictures"] == 1 and reported.last["written"] == 0
    assert sorted(path for path in folder.rglob("*")) == before
    assert np.asarray(Image.open(tmp_path / "run/masks/1.png")).mean() > 0


def test_a_stopped_run_puts_its_masks_in_place_and_a_resumed_one_makes_only_the_others(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, results = make_set(tmp_path / "set", 30), tmp_path / "run/masks"
    control = RunControl(tmp_path / "run/control")
    reported = Reports(on_progress=lambda done: done == 2 and control.request("stop"))
    carry_out(job_of(folder), results, reported, control)
    made = len(masks_of(folder))
    assert reported.last["event"] == "stopped", reported.last
    assert 1 <= made < 29 and reported.last["written"] == made

    Journal(folder).undo()
    monkeypatch.setattr(masking, "made_mask", (counted := Counted(masking.made_mask)))
    carry_out(job_of(folder), results)  # as after a crash: the masks made so far are in the run's folder
    assert len(masks_of(folder)) == 29 and counted.calls == 30 - made


class Counted:
    def __init__(self, act):
        self.act, self.calls = act, 0

    def __call__(self, *arguments):
        self.calls += 1
        return self.act(*arguments)


def test_a_mask_painted_while_the_run_works_stays(tmp_path: Path):
    folder = make_set(tmp_path / "set", 2)

    def paint(done: int) -> None:
        if done == 1:
            Image.new("L", (80, 64), BY_HAND).save(folder / "1-mask.png")

    reported = carry_out(job_of(folder), tmp_path / "run/masks", Reports(on_progress=paint))
    assert masks_of(folder) == {"1-mask.png": BY_HAND, "2-mask.png": area(2)}
    assert reported.last["changed_meanwhile"] == 1 and reported.last["written"] == 1


def test_a_model_makes_the_masks(tmp_path: Path):
    folder, models = make_set(tmp_path / "set", 2), tmp_path / "models"
    settings = {"mask__method": "subject", "mask__model": "u2netp", "mask__models_dir": str(models)}
    reported = carry_out(job_of(folder, **settings), tmp_path / "a/masks")
    assert "u2netp is not on this machine" in reported.last["text"]
    pixel_model(models / "u2netp/u2netp.onnx", (40.0, -30.0, -30.0), side=320)
    reported = carry_out(job_of(folder, **settings), tmp_path / "b/masks")
    assert reported.last["model"] == "u2netp" and reported.last["written"] == 2
    assert all(abs(masks_of(folder)[f"{number}-mask.png"] - area(number)) < 2 for number in (1, 2))
    assert method_of((folder / "1-mask.png").read_bytes()) == "subject"


@pytest.mark.parametrize("download", [True, False])
def test_a_model_is_downloaded_only_if_asked_and_a_file_with_another_hash_is_refused(
        download: bool, tmp_path: Path, request: pytest.FixtureRequest):
    folder, models = make_set(tmp_path / "set", 1), tmp_path / "models"
    hub = FakeHub({"tomjackson2023/rembg/u2netp.onnx": b"not what it should be"})
    request.addfinalizer(hub.close)
    job = job_of(folder, mask__method="subject", mask__model="u2netp", mask__models_dir=str(models),
                 mask__download=download)
    (tmp_path / "job.yaml").write_text(job_to_yaml(job))
    code = "import sys; from lib_lora_train.cli import run_command; sys.exit(run_command(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, "mask", str(tmp_path / "job.yaml"), "--runs", str(tmp_path / "runs")],
                   cwd=ROOT, env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "1", "PYTHONPATH":
                                  os.pathsep.join(sys.path), "HF_HOME": str(tmp_path / "home")}, check=False)
    last = read_events(next((tmp_path / "runs").iterdir()) / "events.jsonl")[0][-1]
    assert last["event"] == "error" and bool(hub.requests) is download
    assert ("so it was deleted" if download else "is not on this machine") in last["text"]
    assert not (models / "u2netp/u2netp.onnx").exists() and masks_of(folder) == {}


def test_heads_are_masked_where_faces_are_and_images_without_one_are_named(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """OpenCV is not among the tests' packages; tests/training/test_face_crops has the real detector."""
    folder = make_set(tmp_path / "set", 2)

    class Faces:
        def __init__(self, *words: str) -> None:
            pass

        def find(self, path: Path, picture: Image.Image) -> tuple[Face, ...]:
            return (Face(40, 30, 10),) if path.name == "1.png" else ()

    monkeypatch.setattr(masking, "FaceDetector", Faces)
    told = carry_out(job_of(folder, mask__method="face", mask__head_factor=2), tmp_path / "run/masks")
    mask = np.asarray(Image.open(folder / "1-mask.png")) > 127
    assert list(masks_of(folder)) == ["1-mask.png"] and mask[30, 40] and not mask[30, 55] and not mask[10, 40]
    assert told.last["failed"] == 1 and "No mask for 2.png: no face was detected" in told.warnings[0]


def test_faces_without_opencv_and_a_folder_without_the_images_are_refused_in_words(tmp_path: Path):
    folder = make_set(tmp_path / "set", 1)
    reported = carry_out(job_of(folder, dataset__images=["other.png"]), tmp_path / "a/masks")
    assert "There is no image to mask" in reported.last["text"]
    reported = carry_out(job_of(folder, mask__method="face"), tmp_path / "b/masks")
    assert reported.last["event"] == "error" and "Masks of faces need OpenCV" in reported.last["text"]
    assert "dataset.face_crop_aug_range" not in reported.last["text"]
