"""A run that has the webui's GPU trains on weights in main memory that both share, and each picture costs one upload.

The webui's GPU is a simulated one in a process of its own; the worker computes on the CPU, on copies as of a GPU.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lib_lora_train.models.lent import Home
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import all_runs
from lib_lora_train.runs.hold import WEBUI, Reason
from lib_lora_train.training import base_weights, encoding, holding
from lib_lora_train.training.holding import Boundary

from .conftest import SECONDS, Lender, Trained, Watcher, same, weights_of
from .test_training_on_lent_weights import ENDLESS, SLOW, steps_of, train_apart, way_of  # noqa: F401  # a fixture

TRAINING = {**ENDLESS, "device": "auto"}


@pytest.fixture(autouse=True)
def beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """This process computes on its own copies and leaves for who asks for the GPU; the bytes of each copy."""
    copied: list[int] = []
    init, copy_on = Boundary.__init__, Home.copy_on

    def on_a_gpu(boundary: Boundary, *words: Any) -> None:
        init(boundary, *words)
        boundary._on_cpu = False

    def counted(home: Home, device: torch.device) -> Tensor:
        copied.append(home.tensor.nbytes)
        return copy_on(home, device)

    monkeypatch.setattr(Boundary, "__init__", on_a_gpu)
    monkeypatch.setattr(encoding, "encodes_at_first_use", lambda *_: False)
    def as_on_a_gpu(*words: Any, **named: Any) -> BaseModel:
        return load_base(*words, **{**named, "as_kept": False})

    monkeypatch.setattr(Home, "copy_on", counted)
    monkeypatch.setattr(base_weights, "load_base", as_on_a_gpu)
    return copied


def base_bytes(checkpoint: Path, *beginnings: str) -> int:
    return sum(tensor.nbytes for key, tensor in load_file(checkpoint).items()
               if key.startswith(beginnings) and tensor.is_floating_point())


NETWORKS = ("model.", "cond_stage_model.")
VAE = "first_stage_model."
VAE_ENCODER = (f"{VAE}encoder.", f"{VAE}quant_conv.")
"""All of the VAE that a run without samples keeps."""


class Turn:
    """The run stands aside while ``act`` has the GPU, as the supervisor asks it to."""

    def __init__(self, runs: Path) -> None:
        self._run = next(iter(all_runs(runs)))

    def __call__(self, act: Callable[[], Any]) -> Any:
        hold = self._run.control.holds.ask(Reason(WEBUI, "an image"), gives_gpu=True)
        deadline = time.monotonic() + SECONDS
        while not any(event["event"] == "held" and event["token"] == hold.token and event["gave_gpu"]
                      for event in read_events(self._run.events_file)[0]):
            assert time.monotonic() < deadline, "the run does not stand aside"
            time.sleep(0.01)
        try:
            return act()
        finally:
            self._run.control.holds.withdraw(hold)


def test_pictures_with_loras_change_nothing_and_the_base_is_uploaded_once_each_way(
        start_webui, checkpoint, tmp_path, train_apart, beside_a_gpu):  # noqa: F811
    webui: Lender = start_webui(checkpoint, "gpu")
    plain = webui("digest")
    turns: list[tuple[dict[str, Any], int]] = []

    def pictures(run: Watcher) -> None:
        run.more_steps(2)
        turn = Turn(tmp_path / "runs")
        for loras in ((), ("hat:1",), ("hat:1", "style1:0.5"), ("hat:1",), ()):
            beside_a_gpu.clear()
            picture = turn(lambda loras=loras: webui("picture on the gpu", *loras))
            run.more_steps(2)
            turns.append((picture, sum(beside_a_gpu)))

    run = Watcher(tmp_path / "runs", pictures)
    disturbed: Trained = train_apart(before=webui.lends("lent_memory"), training=TRAINING, save=SLOW)
    run.finish()
    assert way_of(disturbed)["way"] == "lent_memory", way_of(disturbed)["text"]
    assert "main memory" in way_of(disturbed)["text"]
    whole = base_bytes(checkpoint, *NETWORKS, VAE)
    for picture, copied in turns:
        assert picture["uploaded"] == whole
        assert picture["downloaded"] == 0
        assert picture["left"] == 0
        assert copied == base_bytes(checkpoint, *NETWORKS)  # the VAE is brought when it is used
    digests = [picture["digest"] for picture, _ in turns]
    assert digests[0] == digests[4] == plain
    assert digests[1] == digests[3] != plain
    assert digests[2] not in (plain, digests[1])
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(disturbed)}, save=SLOW)
    assert same(weights_of(disturbed), weights_of(undisturbed))


def test_half_precision_is_uploaded_as_the_webui_has_it_and_widened_after_that(
        start_webui, checkpoint, tmp_path, train_apart, beside_a_gpu):  # noqa: F811
    half = tmp_path / "half.safetensors"
    save_file({key: tensor.half() if tensor.is_floating_point() else tensor
               for key, tensor in load_file(checkpoint).items()}, half)
    base = {"base": {"checkpoint": str(half)}}
    lent = train_apart(before=start_webui(half, "float16", "gpu").lends("lent_memory"), training={"device": "auto"},
                       **base)
    assert way_of(lent)["way"] == "lent_memory", way_of(lent)["text"]
    assert sum(beside_a_gpu) == base_bytes(half, *NETWORKS, *VAE_ENCODER)
    assert same(weights_of(lent), weights_of(train_apart(**base)))


@pytest.mark.parametrize("base_weights", ["fp8", "nf4"])
def test_quantized_weights_are_made_from_the_lent_ones_again_after_each_picture(
        start_webui, checkpoint, tmp_path, train_apart, beside_a_gpu, base_weights):  # noqa: F811
    webui = start_webui(checkpoint, "gpu")

    def picture(run: Watcher) -> None:
        run.more_steps(1)
        Turn(tmp_path / "runs")(lambda: webui("picture on the gpu", "hat:1"))
        run.more_steps(1)

    run = Watcher(tmp_path / "runs", picture)
    stored = {"base_weights": base_weights}
    disturbed = train_apart(before=webui.lends("lent_memory"), training={**TRAINING, **stored}, save=SLOW)
    run.finish()
    assert way_of(disturbed)["way"] == "lent_memory", way_of(disturbed)["text"]
    assert sum(beside_a_gpu) == 2 * base_bytes(checkpoint, *NETWORKS) + base_bytes(checkpoint, *VAE_ENCODER)
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(disturbed), **stored},
                              save=SLOW)
    assert same(weights_of(disturbed), weights_of(undisturbed))


def test_what_is_learned_leaves_too_where_it_is_large(start_webui, checkpoint, tmp_path, train_apart,  # noqa: F811
                                                      monkeypatch):
    webui = start_webui(checkpoint, "gpu")
    monkeypatch.setattr(holding, "_stays", lambda learner: False)
    remembered: list[int] = []
    put_away = holding._put_away_learned

    def counted(learner: Any) -> Callable[[], None]:
        remembered.append(sum(1 for _ in holding._remembered(learner)))
        return put_away(learner)

    monkeypatch.setattr(holding, "_put_away_learned", counted)

    def picture(run: Watcher) -> None:
        run.more_steps(1)
        Turn(tmp_path / "runs")(lambda: webui("picture on the gpu"))
        run.more_steps(1)

    run = Watcher(tmp_path / "runs", picture)
    disturbed = train_apart(before=webui.lends("lent_memory"), training=TRAINING, save=SLOW)
    run.finish()
    assert len(remembered) == 1
    assert remembered[0] > 0
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(disturbed)}, save=SLOW)
    assert same(weights_of(disturbed), weights_of(undisturbed))


@pytest.mark.parametrize("when", ["die on the gpu", "between"])
def test_when_the_webui_dies_the_run_continues_in_the_memory_that_it_shared(
        start_webui, checkpoint, tmp_path, train_apart, when):  # noqa: F811
    webui = start_webui(checkpoint, "gpu")

    def kill(run: Watcher) -> None:
        run.more_steps(1)
        turn = Turn(tmp_path / "runs")
        if when == "between":
            webui.process.kill()
            webui.process.join()
            turn(lambda: None)
        else:
            assert turn(lambda: webui(when, "hat:2")) is None
        run.more_steps(2)

    run = Watcher(tmp_path / "runs", kill)
    orphaned = train_apart(before=webui.lends("lent_memory"), training=TRAINING, save=SLOW)
    run.finish()
    assert orphaned.events[-1]["event"] == "stopped"
    shutil.rmtree(tmp_path / "runs")
    undisturbed = train_apart(training={"max_train_epochs": None, "max_train_steps": steps_of(orphaned)}, save=SLOW)
    assert same(weights_of(orphaned), weights_of(undisturbed))
