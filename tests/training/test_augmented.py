"""Whole runs whose pictures are mirrored, recoloured, cut out elsewhere or masked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def weights_of(run) -> bytes:
    content = (run.loras / "penny.safetensors").read_bytes()
    return content[int.from_bytes(content[:8], "little") + 8:]


def warnings_of(run) -> str:
    return " ".join(event["text"] for event in run.of("warning"))


@pytest.mark.parametrize("dataset", [
    {"flip_aug": True, "caption_dropout_rate": 0.3},
    {"flip_aug": True, "color_aug": True, "random_crop": True},
])
def test_augmented_runs_repeat_bit_for_bit_and_differ_from_plain_ones(train, tmp_path, dataset):
    runs = [train(save={"output_dir": str(tmp_path / name)}, dataset=values, training={"max_train_steps": 4})
            for name, values in (("a", dataset), ("b", dataset), ("c", {}))]
    assert all(run.completed for run in runs)
    assert weights_of(runs[0]) == weights_of(runs[1]) != weights_of(runs[2])


def test_what_cannot_be_encoded_once_is_said(train):
    run = train(dataset={"color_aug": True, "random_crop": True, "cache_latents_to_disk": True},
                training={"max_train_steps": 1})
    assert run.completed
    assert "With color_aug and random_crop" in warnings_of(run)
    assert "cache_latents_to_disk has no effect" in warnings_of(run)
    assert "cannot be encoded" not in warnings_of(train(dataset={"flip_aug": True}, training={"max_train_steps": 1}))


def test_faces_without_opencv_end_the_run_before_its_first_step(train, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    run = train(dataset={"face_crop_aug_range": "2.0,4.0"})
    assert run.events[-1]["event"] == "error" and "OpenCV" in run.events[-1]["text"]
    assert run.of("step") == [] and run.files == []


def test_what_is_clear_is_not_learned_from(train, pictures: Path, tmp_path):
    plain = train(dataset={"alpha_mask": True}, save={"output_dir": str(tmp_path / "a")},
                  training={"max_train_steps": 2})
    assert "no image has an alpha channel" in warnings_of(plain)
    for path in sorted(pictures.glob("*.png")):
        picture = Image.open(path).convert("RGBA")
        alpha = np.zeros((picture.height, picture.width), np.uint8)
        picture.putalpha(Image.fromarray(alpha))
        picture.save(path)
    none = train(dataset={"alpha_mask": True}, save={"output_dir": str(tmp_path / "b")})
    assert not none.completed and "the images entirely transparent: 00.png" in none.events[-1]["text"]
    last = sorted(pictures.glob("*.png"))[-1]
    Image.open(last).convert("RGB").save(last)
    masked = train(dataset={"alpha_mask": True, "train_batch_size": 1}, save={"output_dir": str(tmp_path / "b")},
                   training={"max_train_epochs": 1})
    assert sorted(event["loss"] > 0 for event in masked.of("step")) == [False] * 4 + [True]
    assert "entirely transparent: 00.png" in warnings_of(masked)
    seen = train(save={"output_dir": str(tmp_path / "c")}, training={"max_train_steps": 2})
    assert all(event["loss"] > 0 for event in seen.of("step"))
