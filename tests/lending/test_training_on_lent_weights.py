"""A LoRA trained on the webui's own weights is the one trained from the file, whatever the webui does meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.lend_ticket import FILE, LendTicket, write_ticket
from lib_lora_train.runs.process_mark import this_process
from tests.models.tiny_checkpoint import make_micro

from .conftest import Lender, Train, Trained, Watcher, same, weights_of

ENDLESS = {"max_train_epochs": None, "max_train_steps": 100000}
SLOW = {"save_every_n_epochs": None}


def steps_of(trained: Trained) -> int:
    return trained.events[-1]["steps"]


def way_of(trained: Trained) -> dict[str, Any]:
    (event,) = trained.of("weights")
    return event


def keeps(run: RunFolder) -> None:
    """A webui that does not lend."""
    write_ticket(run.path, LendTicket(FILE, this_process(), reason="it is another's"))


@pytest.fixture
def train_apart(train: Train, tmp_path: Path) -> Callable[..., Trained]:
    """Train again under the same name in a folder of its own."""
    numbers = iter(range(100))

    def trained(**arguments: Any) -> Trained:
        folder = tmp_path / f"loras{next(numbers)}"
        arguments.setdefault("before", keeps)
        return train(**{**arguments, "save": {**arguments.get("save", {}), "output_dir": str(folder)}})

    return trained


def test_a_lora_from_lent_weights_is_the_one_from_the_file(start_webui, checkpoint, train_apart):
    from_file = train_apart()
    webui = start_webui(checkpoint)
    plain = webui("digest")
    assert webui("picture", "hat:1") != plain  # a LoRA that is active when the model is lent is taken out first
    lent = train_apart(before=webui.lends())
    assert webui("digest") == plain
    assert way_of(lent)["way"] == "lent", way_of(lent)["text"]
    assert "The webui's loaded model" in way_of(lent)["text"]
    state = load_file(checkpoint)
    networks = ("model.", "first_stage_model.", "cond_stage_model.")
    assert way_of(lent)["bytes"] == sum(tensor.nbytes for key, tensor in state.items()
                                        if key.startswith(networks) and tensor.is_floating_point())
    assert way_of(from_file)["text"] == "The model is read from the file, because it is another's."
    assert same(weights_of(lent), weights_of(from_file))


def test_half_precision_is_lent_too_and_computes_as_the_file_does(start_webui, checkpoint, tmp_path, train_apart):
    half = tmp_path / "half.safetensors"
    save_file({key: tensor.half() if tensor.is_floating_point() else tensor
               for key, tensor in load_file(checkpoint).items()}, half)
    base = {"base": {"checkpoint": str(half)}}
    from_file = train_apart(**base)
    as_stored = train_apart(before=start_webui(half, "float16").lends(), **base)
    widened = train_apart(before=start_webui(half).lends(), **base)
    assert way_of(as_stored)["way"] == "lent", way_of(as_stored)["text"]  # and widened in each layer
    assert way_of(widened)["way"] == "lent", way_of(widened)["text"]
    assert same(weights_of(as_stored), weights_of(from_file))
    assert same(weights_of(widened), weights_of(from_file))


def test_float32_is_lent_to_a_run_in_bf16_which_rounds_it_in_each_layer(start_webui, checkpoint, train_apart):
    in_bf16 = {"training": {"mixed_precision": "bf16", "max_train_epochs": 1}}
    from_file = train_apart(**in_bf16)
    webui = start_webui(checkpoint)
    plain = webui("digest")
    lent = train_apart(before=webui.lends(), **in_bf16)
    assert way_of(lent)["way"] == "lent", way_of(lent)["text"]
    assert webui("digest") == plain
    assert same(weights_of(lent), weights_of(from_file))


def disturb(webui: Lender, other: Path) -> Callable[[Watcher], None]:
    """Ten pictures with LoRAs, block weights and hires fix, one without the lock, another checkpoint, one with that."""
    def act(run: Watcher) -> None:
        run.more_steps(1)
        plain = webui("digest")
        seen = {plain}
        for number in range(9):
            blocks = ("", ":lbw=OUTALL", ":lbw=INALL")[number % 3]
            with_lora = webui("picture", f"style{number // 3}:1{blocks}", "hat:0.5")
            assert with_lora not in seen  # the same LoRA with other block weights is another
            seen.add(with_lora)
            run.more_steps(1)
        assert len({*seen, *webui("hires picture", ["hat:1"], ["hat:1:lbw=OUTALL", "style1:1"])}) == 12
        run.more_steps(1)
        assert webui("digest") == plain
        assert webui("unlocked picture", "hat:2") != plain
        run.more_steps(2)
        webui("load", str(other))
        run.more_steps(2)
        webui("picture", "style1:1")
        run.more_steps(2)

    return act


def test_ten_pictures_with_loras_and_another_checkpoint_change_nothing(start_webui, checkpoint, tmp_path,
                                                                      train_apart):
    other = make_micro(seed=9).save(tmp_path / "other.safetensors")
    webui = start_webui(checkpoint)
    run = Watcher(tmp_path / "runs", disturb(webui, other))
    disturbed = train_apart(before=webui.lends(), training=ENDLESS, save=SLOW)
    run.finish()
    assert disturbed.events[-1]["event"] == "stopped"
    assert len(disturbed.of("held")) == len(disturbed.of("resumed")) == 11
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(disturbed)}, save=SLOW)
    assert same(weights_of(disturbed), weights_of(undisturbed))


def test_when_the_webui_dies_in_the_middle_of_a_picture_the_run_continues_with_the_right_weights(
        start_webui, checkpoint, tmp_path, train_apart):
    webui = start_webui(checkpoint)

    def kill(run: Watcher) -> None:
        run.more_steps(1)
        assert webui("die in a picture", "hat:2") is None
        run.more_steps(3)

    run = Watcher(tmp_path / "runs", kill)
    orphaned = train_apart(before=webui.lends(), training=ENDLESS, save=SLOW)
    run.finish()
    assert orphaned.events[-1]["event"] == "stopped"
    assert len(orphaned.of("held")) == 1
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(orphaned)}, save=SLOW)
    assert same(weights_of(orphaned), weights_of(undisturbed))


def test_without_the_guard_a_picture_would_change_the_lora(start_webui, checkpoint, tmp_path, train_apart):
    webui = start_webui(checkpoint, "unguarded")

    def picture(run: Watcher) -> None:
        run.more_steps(1)
        webui("picture", "hat:0.02")  # little enough that training does not go off the rails over it
        run.more_steps(5)

    run = Watcher(tmp_path / "runs", picture)
    unguarded = train_apart(before=webui.lends(), training=ENDLESS, save=SLOW)
    run.finish()
    assert unguarded.of("held") == []
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(unguarded)}, save=SLOW)
    lora, right = weights_of(unguarded), weights_of(undisturbed)
    assert lora.keys() == right.keys()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in lora.values())
    assert not same(lora, right)
