"""A whole run: what it makes, that it can be repeated, paused and stopped, and what it says when it cannot go on."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

from lib_lora_train.errors import ConfigError
from lib_lora_train.runs.hold import WEBUI, Reason
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.reporting import outputs
from lib_lora_train.training.reporting.report import Reporter
from tests.training.conftest import draw_pictures

SAMPLES = {"sample_prompts": ["pennyfox, ball", "ball"], "sample_steps": 2}


def last(trained) -> dict:
    return trained.events[-1]


def test_a_run_makes_its_files_and_reports_each_part(train, pictures):
    run = train(sample=SAMPLES, dataset={"activation_tag": "pennyfox",
                                         "validation_data_dir": str(draw_pictures(pictures.parent / "held", 2, 9))})
    assert run.completed
    assert run.files == ["penny-000001.safetensors", "penny.safetensors"]
    assert last(run)["event"] == "finished"
    assert [event["name"] for event in run.of("phase")][:4] == ["dataset", "model", "latents", "latents"]
    started = run.of("started")[0]
    # 5 pictures in 3 shapes with batches of 2: 1 + 1 + 1 batches, or 2 pictures, 2 pictures, 1 picture
    assert (started["steps_per_epoch"], started["total_steps"]) == (3, 6)
    assert [event["step"] for event in run.of("step")] == [1, 2, 3, 4, 5, 6]
    assert [event["epoch"] for event in run.of("epoch")] == [1, 2]
    assert [event["epoch"] for event in run.of("validation")] == [0, 1, 2]
    assert [(event["epoch"], event["final"]) for event in run.of("saved")] == [(1, False), (2, True)]
    assert len(run.of("sample")) == 6  # without, epoch 1 and epoch 2, two prompts each
    for sample in run.of("sample"):
        assert Image.open(run.run.path / sample["path"]).size == (64, 64)


def test_a_file_says_what_it_is_and_brings_a_card(train):
    run = train(dataset={"activation_tag": "pennyfox"}, sample=SAMPLES)
    with safe_open(run.loras / "penny.safetensors", "pt") as file:
        metadata, keys = file.metadata(), set(file.keys())
    assert metadata["ss_output_name"] == "penny"
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert json.loads(metadata["ss_tag_frequency"])["pictures"]["pennyfox"] == 5
    assert "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight" in keys
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj.alpha" in keys
    assert json.loads((run.loras / "penny.json").read_text())["activation text"] == "pennyfox"
    assert Image.open(run.loras / "penny.png").size == (64, 64)


def test_the_same_seed_gives_the_same_file_bit_for_bit(train, tmp_path):
    first = train(save={"output_dir": str(tmp_path / "a" / "loras")}, sample=SAMPLES)
    second = train(save={"output_dir": str(tmp_path / "b" / "loras")})  # samples in between change nothing
    other = train(save={"output_dir": str(tmp_path / "c" / "loras")}, training={"seed": 43})
    bytes_of = [(run.loras / "penny.safetensors").read_bytes() for run in (first, second, other)]
    weights = [content[int.from_bytes(content[:8], "little") + 8:] for content in bytes_of]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]
    again = train(save={"output_dir": str(tmp_path / "d" / "loras")})
    assert (again.loras / "penny.safetensors").read_bytes() == bytes_of[1]


def test_a_lora_is_never_overwritten(train):
    train()
    second = train()
    assert "penny-v2" in second.of("warning")[0]["text"]
    assert second.files == ["penny-000001.safetensors", "penny-v2-000001.safetensors", "penny-v2.safetensors",
                            "penny.safetensors"]


def test_files_are_saved_between_epochs_when_asked(train):
    run = train(save={"save_every_n_steps": 2, "save_every_n_epochs": None})
    assert run.files == ["penny-step00000002.safetensors", "penny-step00000004.safetensors", "penny.safetensors"]


def test_accumulated_batches_make_fewer_steps(train):
    run = train(training={"gradient_accumulation_steps": 2})
    assert run.of("started")[0]["total_steps"] == 4


def test_a_number_of_steps_wins_over_epochs(train):
    run = train(training={"max_train_steps": 4})
    assert [event["step"] for event in run.of("step")] == [1, 2, 3, 4]
    assert run.files == ["penny-000001.safetensors", "penny.safetensors"]


@pytest.mark.parametrize("only, prefix", [("network_train_unet_only", "lora_unet_"),
                                          ("network_train_text_encoder_only", "lora_te_")])
def test_one_part_alone_can_be_trained(train, only, prefix):
    run = train(network={only: True}, training={"max_train_epochs": 1})
    with safe_open(run.loras / "penny.safetensors", "pt") as file:
        assert all(key.startswith(prefix) for key in file.keys())  # noqa: SIM118 - not a dictionary
    rates = run.of("step")[0]
    assert (rates["lr_unet"] is None) == (only == "network_train_text_encoder_only")


def test_checkpointing_computes_the_same(train, undisturbed):
    careful = train(training={"gradient_checkpointing": True})
    losses = [[event["loss"] for event in run.of("step")] for run in (undisturbed, careful)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_bf16_is_close_to_full_precision(train, undisturbed):
    half = train(training={"mixed_precision": "bf16"})
    assert half.completed
    losses = [[event["loss"] for event in run.of("step")] for run in (undisturbed, half)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_prodigy_shows_the_rate_it_found(train):
    run = train(optimizer={"optimizer_type": "Prodigy", "learning_rate": 1.0}, training={"max_train_epochs": 4})
    rates = [event["lr_unet"] for event in run.of("step")]
    assert 0 < rates[0] < rates[-1] < 1


class _Controlling(Reporter):
    """Asks for a pause after step 1, and for more in a thread of its own once the run stands still."""

    run = None
    then = "resume"

    def step(self, fields):
        super().step(fields)
        if fields["step"] == 1:
            self.run.control.request("pause")

    def event(self, event, fields=None):
        super().event(event, fields)
        if event == "held":
            threading.Timer(0.5, self._resume).start()

    def _resume(self):
        if self.then == "resume":
            self.run.control.withdraw("pause")
        else:
            self.run.control.request("stop")


@pytest.fixture
def controlling() -> Iterator[type[_Controlling]]:
    yield type("Controlling", (_Controlling,), {})


def test_a_pause_holds_at_the_next_step_and_changes_nothing(train, controlling, undisturbed):
    paused = train(before=lambda run: setattr(controlling, "run", run), reporter_type=controlling,
                   save={"save_precision": "float"})
    kinds = [event["event"] for event in paused.events if event["event"] in ("step", "held", "resumed")]
    assert kinds[:4] == ["step", "held", "resumed", "step"]
    assert {event["who"] for event in paused.of("held") + paused.of("resumed")} == {"user"}
    first, second = ((run.loras / "penny.safetensors").read_bytes() for run in (undisturbed, paused))
    assert first == second


class _MakingRoom(Reporter):
    """Asks for the GPU after step 1, and gives it back once the run has left it."""

    run = None
    moves = ()
    moved_before = 0

    def step(self, fields):
        super().step(fields)
        if fields["step"] == 1:
            type(self).moved_before = len(self.moves)
            type(self).hold = self.run.control.holds.ask(Reason(WEBUI, "an image"), gives_gpu=True)

    def event(self, event, fields=None):
        super().event(event, fields)
        if event == "held":
            assert fields["gave_gpu"] and len(self.moves) == self.moved_before + 1
            assert fields["token"] == self.hold.token
            threading.Timer(0.5, self.run.control.holds.withdraw, [self.hold]).start()


def test_a_run_leaves_the_gpu_for_the_webuis_pictures_and_learns_the_same(train, undisturbed, monkeypatch):
    monkeypatch.setattr(_MakingRoom, "moves", [])
    for name in ("put_away", "bring"):
        original = getattr(TrainedModel, name)
        monkeypatch.setattr(TrainedModel, name, lambda model, name=name, original=original:
                            _MakingRoom.moves.append(name) or original(model))
    disturbed = train(before=lambda run: setattr(_MakingRoom, "run", run), reporter_type=_MakingRoom,
                      save={"save_precision": "float"})
    assert disturbed.completed, last(disturbed)
    kinds = [event["event"] for event in disturbed.events if event["event"] in ("step", "held", "resumed")]
    assert kinds[:4] == ["step", "held", "resumed", "step"]
    assert _MakingRoom.moves[_MakingRoom.moved_before:] == ["put_away", "bring"]
    first, second = ((run.loras / "penny.safetensors").read_bytes() for run in (undisturbed, disturbed))
    assert first == second


def test_a_stop_while_paused_saves_what_there_is(train, controlling):
    controlling.then = "stop"
    run = train(before=lambda run: setattr(controlling, "run", run), reporter_type=controlling)
    assert last(run)["event"] == "stopped"
    assert run.files == ["penny-step00000001.safetensors"]
    assert run.completed


class _StoppingWhileEncoding(Reporter):
    run = None

    def phase(self, name, text, total=None):
        super().phase(name, text, total)
        if name == "latents":
            self.run.control.request("stop")


def test_a_stop_while_pictures_are_encoded_ends_the_run_in_good_order(train):
    run = train(before=lambda run: setattr(_StoppingWhileEncoding, "run", run), reporter_type=_StoppingWhileEncoding)
    assert run.completed
    assert last(run)["event"] == "stopped" and last(run)["steps"] == 0
    assert run.files == [] and run.of("step") == []


def test_what_is_left_out_is_detected_by_reason(train, pictures):
    for name in ("empty.png", "void.jpg"):
        broken(pictures, name, b"")
    run = train(training={"max_train_steps": 1})
    assert run.completed
    assert [event["text"] for event in run.of("warning") if "Left out" in event["text"]] == \
        ["Left out, since the file is empty (0 bytes): empty.png, void.jpg."]


def broken(pictures: Path, name: str, content: bytes) -> None:
    (pictures / name).write_bytes(content)


def test_a_truncated_picture_is_named_before_any_step(train, pictures):
    broken(pictures, "cut.png", (pictures / "00.png").read_bytes()[:-40])
    run = train()
    assert "cut.png" in last(run)["text"]
    assert run.of("step") == []
    assert run.files == []


def test_an_animated_gif_is_left_out_and_said(train, pictures):
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(pictures / "dance.gif", save_all=True, append_images=frames[1:])
    run = train(training={"max_train_epochs": 1})
    assert run.completed
    assert any("dance.gif" in event["text"] for event in run.of("warning"))
    assert run.of("started")[0]["pictures"] == 5


def test_a_caption_that_is_not_utf8_is_named(train, pictures):
    broken(pictures, "00.txt", "ball, größe".encode("latin-1"))
    run = train()
    assert "00.txt" in last(run)["text"] and "UTF-8" in last(run)["text"]


def test_no_captions_at_all_is_an_error(train, pictures):
    for caption in pictures.glob("*.txt"):
        caption.unlink()
    run = train()
    assert last(run)["event"] == "error" and "caption" in last(run)["text"]
    assert run.of("step") == []


def test_a_missing_or_empty_folder_is_named(train, tmp_path):
    run = train(dataset={"train_data_dir": str(tmp_path / "gone")})
    assert str(tmp_path / "gone") in last(run)["text"]
    (tmp_path / "empty").mkdir()
    run = train(dataset={"train_data_dir": str(tmp_path / "empty")})
    assert str(tmp_path / "empty") in last(run)["text"]


@pytest.mark.parametrize("content", [b"not a checkpoint", b""])
def test_a_checkpoint_that_is_none_is_named(train, tmp_path, content):
    (tmp_path / "wrong.safetensors").write_bytes(content)
    run = train(base={"checkpoint": str(tmp_path / "wrong.safetensors")})
    assert "wrong.safetensors" in last(run)["text"]
    assert run.of("step") == []


def test_a_name_that_a_prompt_cannot_hold_is_refused_before_a_run_is_made(train):
    with pytest.raises(ConfigError, match="save.output_name"):
        train(save={"output_name": "a:b"})


def test_a_folder_that_cannot_be_written_is_named_before_training(train, tmp_path):
    (tmp_path / "file").write_text("in the way")
    run = train(save={"output_dir": str(tmp_path / "file")})
    assert str(tmp_path / "file") in last(run)["text"]
    assert run.of("step") == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; needs root, as CI has."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_too_small_a_disk_is_said_before_training(train, small_disk):
    (small_disk / "old.safetensors").write_bytes(b"precious")
    run = train(save={"output_dir": str(small_disk)}, network={"network_dim": 64})
    assert "MB free" in last(run)["text"]
    assert run.of("step") == []
    assert (small_disk / "old.safetensors").read_bytes() == b"precious"


def test_a_disk_that_fills_up_loses_nothing_that_was_saved(train, small_disk, monkeypatch):
    monkeypatch.setattr(outputs, "check_output_folder", lambda *_: None)
    def fill(run):
        (small_disk / "filler").write_bytes(b"x" * 1_000_000)
    (small_disk / "old.safetensors").write_bytes(b"precious")
    run = train(before=fill, save={"output_dir": str(small_disk)})
    assert last(run)["event"] == "error"
    assert "full" in last(run)["text"] or "MB free" in last(run)["text"]
    assert (small_disk / "old.safetensors").read_bytes() == b"precious"
    assert not list(small_disk.glob("*.tmp"))


def test_a_loss_that_is_no_number_ends_the_run_and_says_what_to_try(train):
    run = train(network={"loraplus_lr_ratio": 100.0}, training={"max_train_epochs": 60},
                optimizer={"optimizer_type": "SGDNesterov", "learning_rate": 100.0, "max_grad_norm": 0.0})
    assert last(run)["event"] == "error"
    assert last(run)["kind"] == "diverged" and "at a lower rate: half of 100 is 50" in last(run)["text"]


def test_time_left_shrinks(undisturbed):
    left = [event["seconds_left"] for event in undisturbed.of("step")]
    assert left[-1] == 0
    assert all(value >= 0 for value in left)


def test_a_step_that_fails_in_the_program_is_reported_with_its_traceback(train, monkeypatch):
    from lib_lora_train.training import run as module

    def explode(*_: object) -> float:
        raise KeyError("oops")

    monkeypatch.setattr(module, "train_step", explode)
    run = train()
    assert not run.completed
    assert "oops" in last(run)["text"] and "Traceback" in last(run)["detail"]
    assert time.time() - last(run)["time"] < 60


@pytest.mark.parametrize("line, size", [("pennyfox --w 64 --h 128 --s 1", (64, 128)),
                                        ("pennyfox --h 64 --s 1", (64, 64)),
                                        ("pennyfox --w 192 --n blurry --d 5 --l 3 --s 1", (192, 64))])
def test_a_sample_prompt_says_its_own_size(line, size, train):
    trained = train(sample={"sample_prompts": [line], "sample_at_first": False}, training={"max_train_epochs": 1,
                                                                                           "device": "cpu"})
    sample = trained.of("sample")[-1]
    assert sample["prompt"] == "pennyfox"
    assert Image.open(trained.run.path / sample["path"]).size == size


def test_seed_negative_prompt_and_scale_of_a_sample_prompt_change_its_picture(train):
    lines = ["pennyfox --d 5", "pennyfox --d 5", "pennyfox --d 6", "pennyfox --d 5 --n ball", "pennyfox --d 5 --l 2"]
    trained = train(sample={"sample_prompts": lines, "sample_at_first": False, "sample_steps": 2},
                    training={"max_train_epochs": 1, "device": "cpu"})
    pictures = [(trained.run.path / event["path"]).read_bytes() for event in trained.of("sample")[-5:]]
    assert pictures[0] == pictures[1] and len(set(pictures)) == 4
