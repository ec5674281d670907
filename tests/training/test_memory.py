"""Training in little memory: what is learned stays the same, or close; what does not fit is made to fit."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from lib_lora_train.batches.plan import plan_of
from lib_lora_train.config.groups.network import NETWORK_TYPES, NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from
from lib_lora_train.config.optimizer_facts import OPTIMIZERS
from lib_lora_train.errors import ConfigError, OutOfMemoryError, RunError
from lib_lora_train.models.load import load_base
from lib_lora_train.models.noise import noise_schedule
from lib_lora_train.models.stored_weights import stored_layers
from lib_lora_train.models.tokenizer import Tokenizer, find_vocabulary
from lib_lora_train.networks.create import create_network
from lib_lora_train.runs.events import EventWriter, read_events
from lib_lora_train.runs.folder import STATE_FILE
from lib_lora_train.training import run as run_module
from lib_lora_train.training import setup
from lib_lora_train.training.memory import checkpoint_gradients, is_out_of_memory, prove, store_base
from lib_lora_train.training.model import TrainedModel
from lib_lora_train.training.optimizers.create import RatedParameters, make_optimizer
from lib_lora_train.training.optimizers.fused import FusedSteps
from lib_lora_train.training.reporting.report import Reporter
from lib_lora_train.training.setup import prepare
from lib_lora_train.training.state import Progress, load_state, save_state
from tests.models.weight_bytes import weight_bytes
from tests.training.conftest import Trained, bare_learner

CPU = torch.device("cpu")
GPU_IS_FULL = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def trained_weights(train, **changes) -> dict[str, torch.Tensor]:
    trained = train(**changes)
    assert trained.completed, trained.of("error")
    return weights_of(trained)


def weights_of(trained: Trained) -> dict[str, torch.Tensor]:
    return load_file(trained.of("saved")[-1]["path"])


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """How far apart two files are, as a share of how long the first is."""
    apart = sum(float((one[key].float() - other[key].float()).square().sum()) for key in one)
    return (apart / sum(float(tensor.float().square().sum()) for tensor in one.values())) ** 0.5


FLOAT = {"save": {"save_precision": "float"}}


def test_weights_that_are_stored_as_they_are_change_nothing(train, undisturbed) -> None:
    plain = weights_of(undisturbed)
    stored = trained_weights(train, training={"fit_in_gb": 500.0}, **FLOAT)
    assert distance(plain, stored) < 1e-3


def test_fp8_and_nf4_learn_nearly_the_same(train, undisturbed) -> None:
    plain = weights_of(undisturbed)
    fp8 = distance(plain, trained_weights(train, training={"base_weights": "fp8"}, **FLOAT))
    nf4 = distance(plain, trained_weights(train, training={"base_weights": "nf4"}, **FLOAT))
    assert 0 < fp8 < nf4 < 0.1


def test_checkpointing_and_stored_weights_go_together(train) -> None:
    switches = {"base_weights": "fp8"}
    without = trained_weights(train, training=switches, **FLOAT)
    with_it = trained_weights(train, training={**switches, "gradient_checkpointing": True}, **FLOAT)
    assert distance(without, with_it) < 1e-3


def test_outer_blocks_alone_can_be_computed_twice(train, checkpoint: Path, undisturbed) -> None:
    switches = {"gradient_checkpointing": True, "checkpointing_blocks": "outer"}
    assert distance(weights_of(undisturbed), trained_weights(train, training=switches, **FLOAT)) < 1e-3
    model = model_for(checkpoint, TrainingSettings())
    checkpoint_gradients(model, "outer")
    unet = model.base.unet
    levels = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    assert [any(getattr(module, "gradient_checkpointing", False) for module in level.modules())
            for level in levels] == [True, *[False] * (len(levels) - 2), True]


@pytest.mark.parametrize("network_type", NETWORK_TYPES)
def test_every_kind_of_network_trains_on_stored_weights(train, network_type: str) -> None:
    trained = train(network={"network_type": network_type, "network_dim": 4}, training={"base_weights": "fp8"})
    assert trained.completed, trained.of("error")


@pytest.mark.parametrize("optimizer", [name for name, facts in OPTIMIZERS.items() if facts.per_parameter])
def test_a_fused_step_is_the_same_step(optimizer: str) -> None:
    results, norms = [], []
    for fused in (False, True):
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(64, 80)) for _ in range(3)]
        rate = 1.0 if OPTIMIZERS[optimizer].adaptive else 1e-2
        made = make_optimizer([RatedParameters("unet", parameters[:2], rate),
                               RatedParameters("text_encoder", parameters[2:], rate / 2)],
                              OptimizerSettings(optimizer_type=optimizer), pytest.fail)
        if fused:
            steps = FusedSteps(made, scaled=False)
        for _ in range(4):
            torch.stack([((parameter - 1) ** 2).sum() for parameter in parameters]).sum().backward()
            if fused:
                assert all(parameter.grad is None for parameter in parameters)
                norms.append(float(steps.take_norm()))
            else:
                norms.append(float(torch.nn.utils.get_total_norm([parameter.grad for parameter in parameters])))
                made.step()
                made.zero_grad()
        results.append(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    assert torch.allclose(*results, atol=1e-6)
    assert norms[:4] == pytest.approx(norms[4:])


def test_a_fused_run_gives_the_same_file(train) -> None:
    unlimited = {"optimizer": {"max_grad_norm": 0.0}, **FLOAT}
    plain = trained_weights(train, **unlimited)
    assert distance(plain, trained_weights(train, training={"fused_backward_pass": True}, **unlimited)) < 1e-5


def test_fused_and_scaled_gradients_are_refused() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))])
    with pytest.raises(ConfigError, match="fp16"):
        FusedSteps(optimizer, scaled=True)


@pytest.fixture
def reporter(tmp_path: Path):
    with EventWriter(tmp_path / "events.jsonl") as events:
        yield Reporter(events, terminal=False)


def model_for(checkpoint: Path, settings: TrainingSettings) -> TrainedModel:
    base = load_base(checkpoint, None, dtype=torch.float32, device="cpu")
    # to fit is only tried on a GPU, which the test stands for; nothing is brought to it without weights_on_cpu
    store_base(base, settings, CPU if settings.fit_in_gb is None else torch.device("cuda"))
    network = create_network(NetworkSettings(network_dim=4), base.unet, base.text_encoder, seed=1)
    return TrainedModel(base, network, Tokenizer(find_vocabulary()), Accelerator(cpu=True), noise_schedule("epsilon"),
                        clip_skip=1, max_token_length=75, trains_text_encoder=True)


def full_for(times: int):
    """A step for which memory is full so many times."""
    tries: list[int] = []

    def step() -> None:
        tries.append(1)
        if len(tries) <= times:
            raise GPU_IS_FULL

    return step


def test_a_step_that_does_not_fit_is_made_to_fit(checkpoint: Path, reporter: Reporter, tmp_path: Path) -> None:
    settings = TrainingSettings(fit_in_gb=4.0)
    model, job = model_for(checkpoint, settings), dataclasses.replace(Job(), training=settings)
    before = weight_bytes(model.base.unet, on_device=True)
    fitted = prove(model, job, full_for(4), reporter, "").training
    assert (fitted.gradient_checkpointing, fitted.base_weights, fitted.weights_on_cpu) == (True, "fp8", 100)
    assert weight_bytes(model.base.unet, on_device=True) < before / 4
    warnings = [event["text"] for event in read_events(tmp_path / "events.jsonl")[0] if event["event"] == "warning"]
    assert ["checkpointing" in warnings[0], "fp8" in warnings[1], "50 %" in warnings[2]] == [True] * 3


def test_when_nothing_is_left_to_switch_the_way_out_is_reported(checkpoint: Path, reporter: Reporter) -> None:
    model = model_for(checkpoint, TrainingSettings())
    assert next(stored_layers(model.base.unet), None) is None
    with pytest.raises(RunError, match="Lower this"):
        prove(model, Job(), full_for(99), reporter, "Lower this.")


def test_other_errors_are_not_taken_for_full_memory(checkpoint: Path, reporter: Reporter) -> None:
    def broken() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        prove(model_for(checkpoint, TrainingSettings()), Job(), broken, reporter, "")
    assert is_out_of_memory(GPU_IS_FULL)
    for text in ("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
                 "[enforce fail at alloc_cpu.cpp:126] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
                 "MPS backend out of memory (MPS allocated: 17.00 GB)"):
        assert is_out_of_memory(RuntimeError(text))
    assert is_out_of_memory(MemoryError())


@pytest.mark.parametrize("switches", [{}, {"fused_backward_pass": True}])
def test_a_dry_step_leaves_no_trace(train, monkeypatch: pytest.MonkeyPatch, switches: dict[str, bool]) -> None:
    changes = {"training": switches, "optimizer": {"max_grad_norm": 0.0}}
    plain = trained_weights(train, **changes)
    tried: list[torch.Tensor] = []

    def try_it(learner, job, *rest):
        setup.dry_step(learner, rest[0], job)
        tried.append(next(learner.model.network.parameters()).detach().clone())

    original = setup.load_state
    monkeypatch.setattr(setup, "load_state", lambda folder, learner, job, *begins: (
        try_it(learner, job, plan_of(job.dataset, setup.scan_dataset(job.dataset), job.training)),
        original(folder, learner, job, *begins))[1])
    assert distance(plain, trained_weights(train, **changes)) == 0 and len(tried) == 1


@pytest.mark.parametrize(("problem", "where"), [
    (GPU_IS_FULL, "The GPU ran out of memory."),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."), "main memory ran out"),
    (OutOfMemoryError("The GPU's memory is too small for one step of this job."), "too small for one step")])
def test_memory_that_runs_out_in_a_step_says_what_to_change(
        train, monkeypatch: pytest.MonkeyPatch, problem, where) -> None:
    def full(*_):
        raise problem

    monkeypatch.setattr("lib_lora_train.training.run.train_step", full)
    trained = train()
    assert not trained.completed
    [error] = trained.of("error")
    assert where in error["text"] and error["kind"] == "memory"
    assert "be resumed from its last state" in error["text"] or isinstance(problem, OutOfMemoryError)


@pytest.mark.parametrize(("changes", "named"), [
    ({"optimizer": {"max_grad_norm": 1.0}}, "max_grad_norm"),
    ({"training": {"gradient_accumulation_steps": 2}}, "gradient_accumulation_steps"),
    ({"optimizer": {"optimizer_type": "Prodigy", "max_grad_norm": 0.0, "learning_rate": 1.0}}, "Prodigy"),
    ({"training": {"mixed_precision": "fp16"}}, "fp16")])
def test_what_needs_all_gradients_does_not_go_with_freeing_them(values, changes, named: str) -> None:
    merged = {group: {**values.get(group, {}), **changes.get(group, {})} for group in {*values, *changes}}
    merged["training"]["fused_backward_pass"] = True
    with pytest.raises(ConfigError, match=f"fused_backward_pass does not work with.*{named}"):
        job_from(merged)


@pytest.mark.parametrize(("changes", "kept"), [
    ({}, set()),
    ({"sample": {"sample_prompts": ["pennyfox"], "sample_steps": 1}}, {"decoder"}),
    ({"dataset": {"color_aug": True}}, {"encoder"}),
    ({"dataset": {"cache_latents_to_disk": True, "validation_split": 0.2}}, set()),
    ({"dataset": {"alpha_mask": True}, "sample": {"sample_prompts": ["pennyfox"], "sample_steps": 1}}, {"decoder"})])
def test_the_halves_of_the_vae_are_freed_when_nothing_needs_them(train, monkeypatch, changes, kept) -> None:
    bases = []
    monkeypatch.setattr(run_module, "prepare", lambda *given: bases.append(prepare(*given)) or bases[-1])
    trained = train(**{**changes, "training": {"max_train_epochs": 1}})
    assert trained.completed and not trained.of("error"), trained.events
    [prepared] = bases
    vae = prepared.learner.model.base.vae
    assert {half for half in ("encoder", "decoder") if hasattr(vae, half)} == kept
    values = {"encoder": "quant_conv", "decoder": "post_quant_conv"}
    assert {half for half, convolution in values.items() if hasattr(vae, convolution)} == kept


def test_a_training_state_is_written_without_a_copy_of_it_in_memory(tmp_path: Path) -> None:
    learner = bare_learner(0.5)
    learner.model.network = torch.nn.Linear(1000, 4000)
    tracemalloc.start()
    try:
        save_state(tmp_path / "state", learner, Progress(step=3), Job(), "pictures")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "state" / STATE_FILE).stat().st_size > 16_000_000
    assert peak < 2_000_000
    learner.model.network.weight.data.zero_()
    assert load_state(tmp_path / "state", learner, Job(), 0, "pictures", pytest.fail) == Progress(step=3)
    assert learner.model.network.weight.abs().sum() > 0
