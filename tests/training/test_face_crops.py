"""Runs with face crops on the OpenCV that is installed for them, on drawn faces that its cascade finds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from lib_lora_train.environment.folders import check
from lib_lora_train.environment.installing import add_optional
from lib_lora_train.environment.isolation import WorkerPathFinder
from lib_lora_train.pictures.faces import FaceDetector
from tests.pictures.drawn_face import with_face

from .test_augmented import warnings_of, weights_of

pytestmark = pytest.mark.slow
FACES = {"face_crop_aug_range": "1.0,1.2"}
PLACES = {"left.png": ((240, 160), 10, 20, 90), "right.png": ((240, 160), 130, 50, 100),
          "high.png": ((160, 240), 30, 10, 80)}


@pytest.fixture(scope="module", autouse=True)
def opencv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The optional group, installed as the first run with face crops does it, and imported from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORA_TRAIN_ENV", str(tmp_path_factory.mktemp("environment")))
        add_optional("opencv", lambda _: None)
        folder = str(check("opencv").folder)
        (finder,) = (finder for finder in sys.meta_path if isinstance(finder, WorkerPathFinder))
        patch.setattr(finder, "own_folders", [folder, *finder.own_folders])  # as a worker that starts now has it
        patch.syspath_prepend(folder)
        yield
        for name in [name for name in sys.modules if name.partition(".")[0] == "cv2"]:
            del sys.modules[name]


@pytest.fixture
def faces(pictures: Path) -> Path:
    """The folder of the run with three faces in it and nothing else."""
    for path in pictures.iterdir():
        path.unlink()
    for name, place in PLACES.items():
        with_face(*place).save(pictures / name)
        (pictures / name).with_suffix(".txt").write_text("pennyfox, portrait")
    return pictures


@pytest.mark.parametrize("name", PLACES)
def test_the_cascade_finds_the_drawn_face_where_it_is(name):
    size, left, top, side = PLACES[name]
    (face,) = FaceDetector().find(Path(name), with_face(size, left, top, side))
    assert abs(face.x - left - side / 2) < side / 4 and abs(face.y - top - side / 2) < side / 4


def test_a_run_is_cut_around_the_faces_and_repeats_bit_for_bit(train, faces, tmp_path):
    runs = [train(save={"output_dir": str(tmp_path / name)}, dataset=values, training={"max_train_steps": 2})
            for name, values in (("a", FACES), ("b", FACES), ("c", {"face_crop_aug_range": "3.5,4.0"}))]
    assert all(run.completed and len(run.of("step")) == 2 for run in runs), runs[0].of("error")
    first, again, wide = map(weights_of, runs)
    assert first == again
    assert first != wide
    assert any(event["text"] == "Detecting faces" for event in runs[0].of("phase"))
    assert "face was detected" not in warnings_of(runs[0])


def test_a_picture_without_a_face_is_named_and_trained_whole(train, faces):
    Image.new("RGB", (96, 96), "green").save(faces / "meadow.png")
    run = train(dataset=FACES, training={"max_train_steps": 2})
    assert run.completed and run.files == ["penny.safetensors"]
    assert "A face was detected in 3 of 4 images" in warnings_of(run)
    assert "trained uncropped: meadow.png." in warnings_of(run)


def test_a_folder_without_faces_is_trained_and_says_that_the_setting_did_nothing(train, tmp_path):
    runs = [train(save={"output_dir": str(tmp_path / name)}, dataset={"face_crop_aug_range": values},
                  training={"max_train_steps": 2}) for name, values in (("a", "1.5,2.0"), ("b", "3.0,4.0"))]
    assert all(run.completed for run in runs)
    assert "face_crop_aug_range has no effect: no face was detected in any of the 5 images" in warnings_of(runs[0])
    assert weights_of(runs[0]) == weights_of(runs[1])
