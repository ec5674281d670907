"""Whole runs with regularization pictures, captions that are drawn, and held-out shares."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from lib_lora_train.config.load import load_job
from lib_lora_train.pictures.scan import Picture
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.run import run_training
from lib_lora_train.training.step import loss_weights
from tests.training.conftest import draw_pictures

DRAWN = {"caption_dropout_rate": 0.3, "caption_tag_dropout_rate": 0.3, "token_warmup_step": 4.0,
         "validation_split": 0.2}


@pytest.fixture
def regularization(tmp_path: Path) -> Path:
    draw_pictures(tmp_path / "class" / "1_round", 7, seed=5)
    return tmp_path / "class"


def weights_of(run) -> bytes:
    content = (run.loras / "penny.safetensors").read_bytes()
    return content[int.from_bytes(content[:8], "little") + 8:]


def test_regularization_doubles_the_steps_and_the_file_records_it(train, regularization):
    run = train(dataset={"reg_data_dir": str(regularization), "train_batch_size": 1},
                training={"max_train_epochs": 1})
    assert run.completed
    assert run.of("started")[0]["steps_per_epoch"] == 10  # (5 x 1) + (5 x 1), of 7 found
    with safe_open(run.loras / "penny.safetensors", "pt") as file:
        metadata = file.metadata()
    assert (metadata["ss_num_train_images"], metadata["ss_num_reg_images"]) == ("5", "5")
    assert json.loads(metadata["ss_reg_dataset_dirs"]) == {"1_round": {"n_repeats": 1, "img_count": 5}}
    assert metadata["ss_prior_loss_weight"] == "1.0"


class _StopAfterTwo(Reporter):
    run = None

    def step(self, fields):
        super().step(fields)
        if fields["step"] == 2:
            self.run.control.request("stop")


def test_runs_with_everything_that_is_drawn_repeat_bit_for_bit_and_resume_so(train, regularization, tmp_path):
    dataset = {**DRAWN, "reg_data_dir": str(regularization), "flip_aug": True}
    first = train(save={"output_dir": str(tmp_path / "a")}, dataset=dataset)
    second = train(save={"output_dir": str(tmp_path / "b")}, dataset=dataset, reporter_type=_StopAfterTwo,
                   before=lambda run: setattr(_StopAfterTwo, "run", run))
    assert second.events[-1]["event"] == "stopped" and second.of("step")[-1]["step"] == 2
    assert "penny.safetensors" not in second.files
    second.run.control.withdraw("stop")
    with EventWriter(second.run.events_file) as events:
        assert run_training(load_job(second.run.job_file), second.run, Reporter(events, terminal=False))
    assert first.completed and "penny.safetensors" in second.files
    assert len(first.of("validation")) == 3 and first.of("started")[0]["pictures"] == 6  # 3 and 3 of class
    assert weights_of(first) == weights_of(second)
    undropped = train(save={"output_dir": str(tmp_path / "c")}, dataset={**dataset, "caption_dropout_rate": 0.0})
    assert weights_of(undropped) != weights_of(first)


def test_a_prior_loss_weight_of_nothing_takes_regularization_out_of_the_loss(train, regularization, tmp_path):
    runs = [train(save={"output_dir": str(tmp_path / str(weight))}, loss={"prior_loss_weight": weight},
                  dataset={"reg_data_dir": str(regularization), "train_batch_size": 1, "caption_dropout_rate": 0.0},
                  training={"max_train_epochs": 1}) for weight in (0.0, 1.0)]
    losses = [[event["loss"] for event in run.of("step")] for run in runs]
    assert sum(loss == 0 for loss in losses[0]) == 5
    assert all(loss > 0 for loss in losses[1])


def test_each_picture_is_weighted_by_what_it_is():
    own = Picture(Path("a.png"), 64, 64, False, "", 1, "", "none", Path("a.txt"))
    of_class = dataclasses.replace(own, regularization=True)
    assert loss_weights([own, of_class, own], 0.25, torch.device("cpu")).tolist() == [1.0, 0.25, 1.0]
    assert loss_weights([own, of_class], 1.0, torch.device("cpu")) is None
    assert loss_weights([own, own], 0.25, torch.device("cpu")) is None
    half, half_of_class = (dataclasses.replace(image, weight=0.5) for image in (own, of_class))
    assert loss_weights([own, half, half_of_class], 0.25, torch.device("cpu")).tolist() == [1.0, 0.5, 0.125]


def test_a_stray_picture_in_the_regularization_folder_is_reported(train, regularization):
    Image.new("RGB", (4, 4)).save(regularization / "1_round" / "dot.png")
    run = train(dataset={"reg_data_dir": str(regularization)}, training={"max_train_steps": 1})
    assert any("dot.png" in event["text"] for event in run.of("warning"))


def test_each_concept_is_seen_as_often_as_configured_and_the_file_says_so(train, tmp_path):
    for name in ("1_fox", "2_hat"):
        draw_pictures(tmp_path / "set" / name, 2)
    run = train(dataset={"train_data_dir": str(tmp_path / "set"), "train_batch_size": 1,
                         "concept_settings": ["1_fox: dataset_repeats=4 flip_aug=on keep_tokens=2"]},
                training={"max_train_epochs": 1})
    assert run.completed
    assert run.of("started")[0]["steps_per_epoch"] == 12  # (2 x 4) + (2 x 2)
    with safe_open(run.loras / "penny.safetensors", "pt") as file:
        folders = json.loads(file.metadata()["ss_dataset_dirs"])
    assert {name: folder["n_repeats"] for name, folder in folders.items()} == {"1_fox": 4, "2_hat": 2}
