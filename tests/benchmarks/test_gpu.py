"""All that is measured on a GPU runs on the CPU with miniature weights."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import Figures, Part, ceiling_shares, measure, prices
from benchmarks.measuring.cases import Bench
from benchmarks.measuring.correctness import against_float32
from benchmarks.measuring.turns import Transfers
from benchmarks.weights import SD15, SDXL, shapes_of

ROOT = Path(__file__).resolve().parents[2]
NOT_ON_A_CPU = ("fp16", "attention efficient", "attention cudnn")


@pytest.fixture(scope="module")
def figures() -> dict:
    from contextlib import redirect_stdout
    from io import StringIO

    printed = StringIO()
    with redirect_stdout(printed):
        gpu.main(["--device", "cpu", "--mini", "--seconds", "100000"])
    return json.loads(printed.getvalue())


def test_every_part_runs_but_what_a_cpu_cannot_do(figures):
    failed = {name: why for name, why in figures["left_out"].items() if not name.endswith(NOT_ON_A_CPU)}
    assert failed == {}
    assert {"matmul ceiling", "sd15 b1", "sd15 b8", "sdxl b1", "sdxl b1, base_weights nf4", "correctness, sd15",
            "turns of the lent model, sd15", "optimizers, sd15"} <= set(figures["parts"])
    assert "fp16" in figures["left_out"]["sd15 b1, mixed_precision fp16"]


def test_steps_are_counted_with_their_operations(figures):
    one, eight = figures["parts"]["sd15 b1"], figures["parts"]["sd15 b8"]
    assert one["seconds_per_step"] > 0 and math.isfinite(one["loss"]) and one["resident_bytes"] > 1e8
    assert eight["images_per_second"] == pytest.approx(8 / eight["seconds_per_step"])
    assert 4 < eight["operations"] / one["operations"] < 9  # the captions' share does not always grow eightfold
    more = figures["parts"]["sd15 b1, gradient_checkpointing"]["operations"]
    assert more > 1.15 * one["operations"]  # the UNet is computed once more on the way back


def test_half_precision_and_stored_weights_are_near_float32(figures):
    found = figures["parts"]["correctness, sd15"]
    assert 0 < found["bf16"]["prediction_error"] < found["nf4 weights"]["prediction_error"] < 1
    assert "fp16" in found["fp16"]["not_measured"]


def test_a_gradient_in_half_precision_points_where_that_in_float32_does():
    bench = Bench({SD15: ROOT / "demo" / "mini_sd15.safetensors"}, {SD15: 64}, torch.device("cpu"), 0, 1, 1, 1)
    found = against_float32(bench, SD15, ["bf16"])["bf16"]
    assert 0 < found["gradient_error"] < 0.1 and found["gradient_cosine"] > 0.99
    assert 0 < found["prediction_error"] < 0.03 and 0 < found["loss_error"] < 0.01


def test_each_turn_moves_the_base_up_once_and_nothing_down(figures):
    found = figures["parts"]["turns of the lent model, sd15"]
    steps, size = found["steps"], found["worker_model_bytes"]
    assert found["simulated"]
    assert steps["the worker frees the GPU"]["bytes_down"] < 1000  # the text encoder's numbers of places
    assert size <= steps["the worker uploads"]["bytes_up"] < size + 1000
    assert steps["the webui leaves the GPU"]["bytes_down"] < size / 10
    assert size <= steps["the webui uploads"]["bytes_up"] <= 1.1 * found["webui_model_bytes"]


def test_every_optimizer_says_its_share_or_why_not(figures):
    found = figures["parts"]["optimizers, sd15"]
    assert 0 < found["AdamW"]["share"] < 1
    assert all("share" in one or one["not_measured"] for name, one in found.items() if name != "took_seconds")


def test_the_full_size_has_as_many_weights_as_the_real_models():
    shapes = {kind: shapes_of(kind) for kind in (SD15, SDXL)}

    def count(kind: str, prefix: str) -> int:
        return sum(math.prod(shape) for name, shape in shapes[kind].items() if name.startswith(prefix))

    assert count(SD15, "model.diffusion_model.") == 859_520_964  # as published with Stable Diffusion 1.5
    assert count(SDXL, "model.diffusion_model.") == 2_567_463_684  # as published with SDXL
    assert count(SD15, "first_stage_model.") == count(SDXL, "first_stage_model.") == 83_653_863
    assert count(SD15, "cond_stage_model.") == 123_060_480


def test_what_does_not_fit_into_the_time_is_named_and_shorter_parts_still_run():
    done = []
    parts = [Part("long", 50.0, lambda: done.append("long")), Part("short", 0.0, lambda: {"figure": 1})]
    found = measure(parts, 10.0, lambda figures: None)
    assert done == [] and found.parts["short"]["figure"] == 1
    assert found.left_out["long"].startswith("It takes about 50 s, and ")


def test_a_part_that_fails_is_named_and_the_next_ones_run():
    def fail() -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    seen = []
    found = measure([Part("first", 0, fail), Part("second", 0, lambda: {"figure": 2})], 10.0,
                    lambda figures: seen.append(len(figures.parts)))
    assert found.left_out == {"first": "OutOfMemoryError: CUDA out of memory"}
    assert found.parts["second"]["figure"] == 2 and seen == [0, 1]


def test_the_price_of_a_switch_is_against_the_case_without_it_and_the_share_against_its_format():
    parts = {"matmul ceiling": {"bfloat16": 100.0, "float32": 10.0},
             "sd15 b1": {"seconds_per_step": 2.0, "reserved_bytes": 100, "precision": "bf16",
                         "operations_per_second": 40.0},
             "sd15 b1, fp8": {"seconds_per_step": 3.0, "reserved_bytes": 50, "precision": "no",
                              "operations_per_second": 5.0}}
    assert prices(parts) == {"sd15 b1, fp8": {"time": 1.5, "memory": 0.5}}
    assert ceiling_shares(parts) == {"sd15 b1": 0.4, "sd15 b1, fp8": 0.5}
    assert ceiling_shares({"sd15 b1": parts["sd15 b1"]}) == {}


def test_transfers_are_detected_by_where_tensors_come_from():
    with Transfers() as transfers:
        away = torch.ones(8, 4).to("meta")  # another device than the CPU, and there on every machine
        torch.ones(3) + 1
    assert (away.device.type, transfers.up, transfers.down) == ("meta", 8 * 4 * 4, 0)


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("--device", "cuda:99"), "--device is 'cuda:99'.* To try the code without a GPU: --device cpu --mini"),
    (("--device", "gpu"), "--device is 'gpu'"),
    (("--device", "cpu", "--mini", "--only", "nothing like it"), "--only is 'nothing like it'.*sd15 b1"),
    (("--device", "cpu", "--json", "/nowhere/a.json"), "there is no folder /nowhere")])
def test_what_cannot_be_used_is_said_in_a_sentence(arguments, sentence):
    with pytest.raises(SystemExit, match=sentence):
        gpu.main(arguments)


def test_figures_are_kept_after_each_part(tmp_path):
    parts = [Part("one", 0, lambda: {"figure": 1})]
    measure(parts, 1.0, lambda figures: gpu.write(tmp_path / "figures.json", {"parts": figures.parts}))
    assert json.loads((tmp_path / "figures.json").read_text())["parts"]["one"]["figure"] == 1
    assert isinstance(measure([], 1.0, lambda figures: None), Figures) and time.time() > 0
