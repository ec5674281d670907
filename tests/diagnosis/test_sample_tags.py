"""What a tagger says of a run's samples: likeness to the set, and the other tags of the prompts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.cli.demo import DEMO_FOLDER
from lib_lora_train.cli.sample_copies import with_copies, with_features
from lib_lora_train.cli.sample_tags import with_samples
from lib_lora_train.config.groups.diagnose import DiagnoseJob
from lib_lora_train.config.load import read_job
from lib_lora_train.runs.diagnosis.epochs import HELD_OUT, EpochMeasures, FileMeasures
from lib_lora_train.runs.diagnosis.generated import (
    STRIP_IMAGES_FILE,
    GeneratedImage,
    generated_images,
    write_strip_images,
)
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import create_run
from lib_lora_train.tagging.likeness import asked_tags, flexibility_of, likeness_of, traits_of
from lib_lora_train.training.reporting.report import Reporter
from tests.tagging.onnx_files import pooled_model

TAGS = ("heart", "red_hat", "smile", "penny")
TRAINED = np.array([[0.9, 0.1, 0.6, 0.0], [0.7, 0.0, 0.2, 0.0]], np.float32)


def test_likeness_and_flexibility_follow_from_the_confidences():
    traits = traits_of(TRAINED)
    assert traits == [0]
    assert likeness_of(np.array([0.4, 1, 1, 1], np.float32), TRAINED, traits) == pytest.approx(0.5)
    assert likeness_of(np.array([1.0, 0, 0, 0], np.float32), TRAINED, traits) == 1
    assert likeness_of(TRAINED[0], TRAINED, []) is None
    asked = asked_tags("penny, (red hat:1.2), [smile], heart, unknown", TAGS, traits, "penny")
    assert asked == [1, 2]
    assert flexibility_of(np.array([0, 0.9, 0.1, 0], np.float32), asked) == 0.5
    assert flexibility_of(TRAINED[0], []) is None


@pytest.fixture
def seen(tmp_path):
    """A run with a sample of the set at step 10 and a blank one at step 20, and what is measured of it."""
    images = sorted((DEMO_FOLDER / "pictures").glob("*.webp"))[:4]
    run = create_run(tmp_path, "hearts", "{}")
    run.samples.mkdir()
    with Image.open(images[0]) as picture:
        picture.convert("RGBA").save(run.samples / "set.png")
    Image.new("RGB", (64, 64), (120, 120, 120)).save(run.samples / "blank.png")
    (run.samples / "damaged.png").write_bytes(b"no image")
    samples = [GeneratedImage(f"samples/{name}.png", step, "emoheart, apple")
               for name, step in (("set", 10), ("blank", 20), ("damaged", 20), ("gone", 20))]
    measures = EpochMeasures(HELD_OUT, files=tuple(FileMeasures(f"p{step}", "", step, step // 10)
                                                   for step in (10, 20, 30)))

    def look(tagger: Path | str = DEMO_FOLDER / "tagger" / "model.onnx", paths=tuple(images),
             copies: bool = False, features: Path | None = None, trigger: str = "emoheart") -> EpochMeasures:
        with EventWriter(run.events_file) as events:
            if copies:
                return with_copies(measures, paths, run, samples, Reporter(events, terminal=False),
                                   lambda done, total: None)
            if features is not None:
                return with_features(measures, DiagnoseJob(features_dir=str(features)), trigger, paths, run, samples,
                                     Reporter(events, terminal=False), lambda done, total: None)
            return with_samples(measures, DiagnoseJob(tagger=str(tagger), taggers_dir=str(tmp_path / "none")),
                                read_job({"dataset": {"activation_tag": "emoheart"}})[0], paths, run, samples,
                                Reporter(events, terminal=False), lambda done, total: None)

    return look


def test_a_sample_of_the_set_is_likelier_than_a_blank_one(seen):
    measures = seen()
    alike, blank, none = measures.files
    assert alike.likeness > 0.8 > blank.likeness
    assert none.likeness is None and none.flexibility is None and measures.base.likeness is None


def test_without_a_tagger_or_images_nothing_is_looked_at(seen):
    for measures in (seen(""), seen("not-installed"), seen(paths=())):
        assert all(file.likeness is None for file in measures.files)


def test_a_sample_that_looks_like_one_training_image_is_counted_and_named(seen):
    alike, blank, none = seen(copies=True).files
    assert alike.copies == 1 and len(alike.copied) == 1 and alike.copied[0].endswith(".webp")
    assert (blank.copies, blank.copied, none.copies) == (0, (), None)
    assert all(file.copies is None for file in seen(paths=(), copies=True).files)


def test_a_sample_of_the_set_is_nearer_to_it_by_image_features_than_a_blank_one(seen, tmp_path):
    pooled_model(tmp_path / "features" / "dino" / "model.onnx", np.zeros((12, 2)), np.zeros(2), side=64,
                 channels_first=True, outputs=(("pooler_output", "embedding"),))
    measures = seen(features=tmp_path / "features")
    alike, blank, none = measures.files
    assert alike.to_nearest == pytest.approx(1, abs=1e-3) and alike.to_nearest > blank.to_nearest
    assert blank.to_nearest >= blank.to_set and (none.to_nearest, measures.base.to_set) == (None, None)
    assert measures.features.startswith("Image features: measured with dino (64 pixels, ImageNet's normalization")
    for other in (seen(features=tmp_path / "features", trigger="zorstar"), seen(features=tmp_path / "nothing"),
                  seen(features=tmp_path / "features", paths=())):
        assert not other.features and all(file.to_nearest is None for file in other.files)


def test_a_model_of_image_features_that_does_not_work_is_reported_and_loses_no_measurement(seen, tmp_path):
    (tmp_path / "features" / "clip").mkdir(parents=True)
    (tmp_path / "features" / "clip" / "model.onnx").write_bytes(b"cut short")
    measures = seen(features=tmp_path / "features")
    assert "Not compared by image features" in measures.features and "model.onnx cannot be read" in measures.features
    assert len(measures.files) == 3


@pytest.fixture
def run(tmp_path):
    """A run with files at 10 and 20, and images ``s`` (samples) and ``t`` (strip) of these steps and the base."""
    run = create_run(tmp_path, "hearts", "{}")
    for name in ("s0", "s10", "s15", "s20", "t0", "t10", "t20", "half10"):
        (run.path / f"{name}.png").write_bytes(b"image")
    return run


def event(kind, step, prompt="", path=""):
    return {"event": kind, "step": step, "prompt": prompt, "path": path}


SAVED = [event("saved", step, path=f"/loras/{step}") for step in (10, 20)]
SAMPLES = [event("sample", step, "penny --n bad", f"s{step}.png") for step in (0, 10, 15, 20, 30)]
STRIP = [GeneratedImage(f"t{step}.png", step, "penny, hat") for step in (0, 10, 20)]


def test_samples_and_strip_of_saved_files_are_compared_by_prompts_that_all_of_them_have(run):
    write_strip_images(run.path, [*STRIP, GeneratedImage("half10.png", 10, "penny, smile"),
                                  GeneratedImage("../../etc/passwd", 10, "penny, hat")])
    found = generated_images(run.path, [*SAVED, *SAMPLES]).images
    assert [(one.path, one.prompt) for one in found] == [
        ("s0.png", "penny"), ("s10.png", "penny"), ("s20.png", "penny"),
        ("t0.png", "penny, hat"), ("t10.png", "penny, hat"), ("t20.png", "penny, hat")]
    without_last = [one for one in SAMPLES if one["step"] != 20]
    assert {one.path[0] for one in generated_images(run.path, [*SAVED, *without_last]).images} == {"t"}
    write_strip_images(run.path, [])
    assert [one.path for one in generated_images(run.path, [*SAVED, *without_last]).images] == ["s0.png", "s10.png"]


@pytest.mark.parametrize("damage", ["{", '{"images": 3}', '{"images": [3]}', '{"images": [{"path": 1}]}'])
def test_a_damaged_list_of_strip_images_is_reported_and_the_samples_are_compared_all_the_same(run, damage):
    (run.path / STRIP_IMAGES_FILE).parent.mkdir(exist_ok=True)
    (run.path / STRIP_IMAGES_FILE).write_text(damage)
    found = generated_images(run.path, [*SAVED, *SAMPLES])
    assert len(found.images) == 3 and len(found.missing) == 1
    assert "The test strip is not compared" in found.missing[0] and "Measure again" in found.missing[0]


def test_images_that_are_gone_or_damaged_are_named_with_the_prompts_that_are_not_compared_for_that(run):
    write_strip_images(run.path, STRIP)
    (run.path / "s10.png").unlink()
    found = generated_images(run.path, [*SAVED, *SAMPLES[:4]])
    gone, alone = found.missing
    assert "no longer there" in gone and "“s10.png”" in gone and alone.endswith("image of it: “penny”.")
    assert {one.prompt for one in found.images} == {"penny, hat"}
    found = generated_images(run.path, [*SAVED, *SAMPLES[:4]], lambda path: path.name == "t20.png")
    gone, damaged, different = found.missing
    assert "damaged" in damaged and "“t20.png”" in damaged and "Delete them" in damaged
    assert "compared by different prompts" in different and len(found.images) == 4
