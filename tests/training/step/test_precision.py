"""bf16 on a CPU: which processors have it, the step that has to agree, and what a run does if it does not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file

from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.models import stored_weights
from lib_lora_train.models.agreement import TOLERANCE, Remembered, difference_to_float32
from lib_lora_train.models.load import BaseModel, load_base
from lib_lora_train.training import base_weights, precision, setup
from lib_lora_train.training.precision import flags_in, has_bf16, resolve_computing
from tests.figures import FULL
from tests.models.tiny_families import save_state, sd2_state, sdxl_state

MINI = Path(__file__).parents[3] / "demo" / "mini_sd15.safetensors"
AT_64 = {"min_bucket_reso": 64, "bucket_reso_steps": 64}


@pytest.fixture
def with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that says that it has bf16, whatever this machine's is."""
    monkeypatch.setattr(precision, "computes_bf16", lambda: True)


@pytest.fixture
def wrong_in_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear layers that compute something else in bf16, as a library with a fault would."""
    right = torch.nn.functional.linear

    def linear(x, weight, bias=None):
        out = right(x, weight, bias)
        return out * 1.5 if weight.dtype == torch.bfloat16 else out

    monkeypatch.setattr(stored_weights.functional, "linear", linear)


@pytest.mark.parametrize(("flags", "machine", "has"), [
    ("fpu avx2 avx512f avx512_bf16", "x86_64", True), ("fpu avx512f amx_tile amx_bf16", "AMD64", True),
    ("fpu avx2 avx512f", "x86_64", False), ("fpu bf16", "x86_64", False), ("", "x86_64", False),
    ("fp asimd bf16 i8mm", "aarch64", True), ("fp asimd bf16", "arm64", True), ("fp asimd", "aarch64", False)])
def test_a_processor_has_bf16_if_it_says_so(flags, machine, has):
    assert has_bf16(frozenset(flags.split()), machine) is has


def test_flags_are_read_from_what_linux_says_of_the_processor():
    assert flags_in("processor\t: 0\nflags\t\t: fpu avx512_bf16\n\nprocessor\t: 1\nflags\t: sse\n") == \
        {"fpu", "avx512_bf16"}
    assert flags_in("processor\t: 0\nFeatures\t: fp asimd bf16\n") == {"fp", "asimd", "bf16"}
    assert flags_in("model name: something\n") == frozenset()


@pytest.mark.parametrize(("wanted", "has", "side", "precise", "unproven"), [
    ("auto", True, 64, "bf16", True), ("auto", True, 512, "bf16", True), ("auto", False, 512, "no", False),
    ("auto", True, 32, "no", False), ("no", True, 512, "no", False), ("bf16", False, 512, "bf16", False)])
def test_auto_is_bf16_where_the_processor_has_it(monkeypatch, wanted, has, side, precise, unproven):
    monkeypatch.setattr(precision, "computes_bf16", lambda: has)
    computing = resolve_computing(TrainingSettings(mixed_precision=wanted, device="cpu"), side)
    assert (computing.precision, computing.unproven) == (precise, unproven)


def in_bf16(path: Path) -> BaseModel:
    return load_base(path, None, dtype=torch.bfloat16, device="cpu", as_kept=True)


@pytest.mark.parametrize("family", ["sd1", "mini", "sdxl", *(["sd2"] if FULL else [])])
def test_rounding_alone_agrees_and_leaves_the_model_as_it_was(checkpoint, tmp_path, family):
    path = {"sd1": checkpoint, "mini": MINI}.get(family) or save_state(
        sd2_state() if family == "sd2" else sdxl_state(), tmp_path / "base.safetensors")
    base = in_bf16(path)
    before = {key: tensor.clone() for key, tensor in base.unet.state_dict().items()}
    assert 0 < difference_to_float32(base) < TOLERANCE
    after = base.unet.state_dict()
    assert all(torch.equal(before[key], after[key]) and after[key].dtype == torch.bfloat16 for key in before)


def test_another_result_does_not_agree(checkpoint, wrong_in_bf16):
    assert difference_to_float32(in_bf16(checkpoint)) > TOLERANCE


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_does_not_agree(checkpoint, monkeypatch, bad):
    right = torch.nn.functional.conv2d

    def conv2d(x, weight, *rest):
        out = right(x, weight, *rest)
        return out.masked_fill(out == out.max(), bad) if weight.dtype == torch.bfloat16 else out

    monkeypatch.setattr(stored_weights.functional, "conv2d", conv2d)
    assert not difference_to_float32(in_bf16(checkpoint)) <= TOLERANCE


def test_a_run_says_that_it_trains_in_bf16_and_why(train, with_bf16):
    run = train(dataset=AT_64)
    assert run.of("started")[0]["precision"] == "bf16"
    (event,) = run.of("precision")
    assert event["precision"] == "bf16" and 0 < event["difference"] < TOLERANCE
    assert "agrees with full precision" in event["text"]
    assert not [warning for warning in run.of("warning") if "bf16" in warning["text"]]


def test_a_run_whose_first_step_disagrees_trains_in_full_precision_and_says_so(train, with_bf16, wrong_in_bf16,
                                                                              tmp_path):
    fallen_back = train(dataset=AT_64)
    AcceleratorState._reset_state(reset_partial_state=True)
    plain = train(dataset=AT_64, training={"mixed_precision": "no"}, save={"output_dir": str(tmp_path / "plain")})
    assert fallen_back.of("started")[0]["precision"] == "no"
    (warning,) = [event["text"] for event in fallen_back.of("warning") if "precision" in event["text"]]
    assert "% off" in warning and "training.mixed_precision" in warning
    assert fallen_back.of("precision")[0]["precision"] == "no"
    one, other = (load_file(run.loras / "penny.safetensors") for run in (fallen_back, plain))
    assert all(torch.equal(one[key], other[key]) for key in other)


def test_what_has_agreed_is_remembered_for_this_file_and_version_of_torch(checkpoint, tmp_path, monkeypatch):
    file = tmp_path / "proofs.json"
    assert Remembered(file).of(checkpoint) is None
    Remembered(file).remember(checkpoint, 0.01)
    assert Remembered(file).of(checkpoint) == 0.01
    assert Remembered(file).of(MINI) is None
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert Remembered(file).of(checkpoint) is None


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"x": "y"}'])
def test_a_damaged_memory_only_costs_the_step_again(checkpoint, tmp_path, content):
    file = tmp_path / "proofs.json"
    file.write_text(content)
    assert Remembered(file).of(checkpoint) is None
    Remembered(file).remember(checkpoint, 0.02)
    assert Remembered(file).of(checkpoint) == 0.02


def test_a_run_does_not_try_again_what_has_agreed(train, with_bf16, tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(base_weights, "difference_to_float32", lambda base: tried.append(base) or 0.01)
    monkeypatch.setattr(setup, "Remembered", lambda file: Remembered(tmp_path / "proofs.json"))
    texts = [train(dataset=AT_64, training={"max_train_epochs": 1}).of("precision")[0]["text"] for _ in range(2)]
    assert len(tried) == 1
    assert "agrees with" in texts[0] and "agreed before with" in texts[1]


@pytest.mark.parametrize("kept", [torch.float16, torch.bfloat16])
def test_half_precision_of_the_file_is_kept_and_computes_the_same_bit_for_bit(checkpoint, tmp_path, kept):
    half = tmp_path / "half.safetensors"
    save_file({key: tensor.to(kept) if tensor.is_floating_point() else tensor
               for key, tensor in load_file(checkpoint).items()}, half)
    as_kept, converted = (load_base(half, None, dtype=torch.float32, device="cpu", aligned=True, as_kept=keeps)
                          for keeps in (True, False))
    small = [tensor for key, tensor in as_kept.unet.state_dict().items()
             if key.endswith("weight") and tensor.ndim > 1 and "blocks" in key]
    assert small and {tensor.dtype for tensor in small} == {kept}
    gradients = []
    for base in (as_kept, converted):
        latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
        hidden = base.text_encoder(torch.arange(77)[None], return_dict=False)[0]
        base.unet(latents, torch.tensor([500]), hidden, return_dict=False)[0].square().mean().backward()
        assert latents.grad is not None and latents.grad.dtype == torch.float32
        gradients.append(latents.grad)
    assert torch.equal(*gradients)
