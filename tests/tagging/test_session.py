"""A tagger on the real ONNX runtime: its answers by formula, its batches, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from lib_lora_train.config.groups.tagging import TaggerSettings
from lib_lora_train.config.taggers import find_tagger
from lib_lora_train.errors import TaggerError
from lib_lora_train.tagging.providers import choose_providers
from lib_lora_train.tagging.session import Tagger

from .conftest import COLOUR_WEIGHTS, COLOURS, make_colour_tagger
from .onnx_files import colour_model, sigmoid

CUDA, ROCM, MIGRAPHX, DML, CPU = ("CUDAExecutionProvider", "ROCMExecutionProvider", "MIGraphXExecutionProvider",
                                  "DmlExecutionProvider", "CPUExecutionProvider")


WEIGHTS = np.random.default_rng(0).normal(0, 0.006, COLOUR_WEIGHTS.shape)


def load(path: Path, **settings) -> Tagger:
    return Tagger(find_tagger(Path("/nowhere"), str(path)), TaggerSettings(**settings), pytest.fail)


def pictures(*names: str) -> list[Image.Image]:
    return [Image.new("RGB", (20, 50), COLOURS[name]) for name in names]


def expected(name: str) -> np.ndarray:
    """By hand: 20 of 50 columns are the colour, the others white; BGR, 0 to 255."""
    mean = 0.4 * np.array(COLOURS[name][::-1]) + 0.6 * 255
    return sigmoid(mean @ WEIGHTS)


@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_the_answer_is_that_of_the_formula_whatever_the_batch(tmp_path: Path, batch):
    tagger = load(make_colour_tagger(tmp_path, WEIGHTS, batch=batch, side=50))
    names = ["red", "blue", "green"][:tagger.batch_size]
    found = tagger.confidences([tagger.prepare(picture) for picture in pictures(*names)])
    assert found.dtype == np.float32
    wanted = np.array([expected(name) for name in names])
    assert np.allclose(found, wanted, atol=1e-4)
    assert ((wanted > 0.05) & (wanted < 0.95)).mean() > 0.5  # so that a wrong order of the colours would be seen


def test_deepdanbooru_is_given_red_first_and_from_0_to_1_with_no_white_around(tmp_path: Path):
    weights = WEIGHTS * 255
    path = colour_model(tmp_path / "model.onnx", weights, side=64)
    (tmp_path / "tags.txt").write_text("\n".join([*(f"tag{n}" for n in range(6)), "rating:safe"]))
    tagger = load(path)
    found = tagger.confidences([tagger.prepare(picture) for picture in pictures("red", "blue")])
    wanted = sigmoid(np.array([COLOURS["red"], COLOURS["blue"]]) / 255 @ weights)
    assert np.allclose(found, wanted, atol=1e-4)
    assert [tagger.tag_list.tags[place] for place in tagger.tag_list.ratings] == ["safe"]


def test_the_batch_is_the_files_own_where_it_is_fixed_and_the_settings_where_it_is_open(tmp_path: Path):
    assert load(make_colour_tagger(tmp_path / "open"), batch_size=6).batch_size == 6
    assert load(make_colour_tagger(tmp_path / "one", batch=1), batch_size=6).batch_size == 1
    assert load(make_colour_tagger(tmp_path / "four", batch=4), batch_size=6).batch_size == 4


def test_it_says_what_it_runs_on(colour_tagger: Path):
    tagger = load(colour_tagger, provider="cpu")
    assert tagger.provider == CPU
    assert tagger.runs_on == "the CPU"


def test_a_provider_that_is_not_there_is_reported_and_the_cpu_taken(colour_tagger: Path):
    reported: list[str] = []
    settings = TaggerSettings(provider="rocm")
    tagger = Tagger(find_tagger(Path("/nowhere"), str(colour_tagger)), settings, reported.append)
    assert tagger.provider == CPU
    assert len(reported) == 1
    assert "tagger.provider is rocm" in reported[0]
    assert "continues with the CPU" in reported[0]


def test_a_provider_that_is_there_but_does_not_start_is_reported_too(colour_tagger: Path, monkeypatch):
    """As with a CUDA build of onnxruntime on a machine without CUDA: the session falls back by itself, silently."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    reported: list[str] = []
    tagger = Tagger(find_tagger(Path("/nowhere"), str(colour_tagger)), TaggerSettings(), reported.append)
    assert tagger.provider == CPU
    assert any("CUDA" in sentence and "CPU" in sentence for sentence in reported)


@pytest.mark.parametrize(("wanted", "available", "providers", "falls_back"), [
    ("auto", [CUDA, CPU], (CUDA, CPU), False), ("auto", [CPU], (CPU,), False), ("auto", [DML, CPU], (DML, CPU), False),
    ("auto", [MIGRAPHX, ROCM, CPU], (ROCM, MIGRAPHX, CPU), False), ("auto", ["Azure", CPU], (CPU,), False),
    ("cpu", [CUDA, CPU], (CPU,), False), ("cuda", [CUDA, CPU], (CUDA, CPU), False), ("cuda", [CPU], (CPU,), True),
    ("directml", [DML, CPU], (DML, CPU), False), ("directml", [CUDA, CPU], (CPU,), True),
    ("rocm", [MIGRAPHX, CPU], (MIGRAPHX, CPU), False),
])
def test_which_providers_are_tried(wanted, available, providers, falls_back):
    choice = choose_providers(wanted, available)
    assert choice.providers == providers
    assert (choice.fallback is not None) == falls_back


def test_a_file_that_was_cut_short_is_named(colour_tagger: Path):
    colour_tagger.write_bytes(colour_tagger.read_bytes()[:100])
    with pytest.raises(TaggerError, match=r"model\.onnx cannot be read as an ONNX model.*download it again"):
        load(colour_tagger)


def test_a_model_with_other_tags_than_its_list_is_refused(colour_tagger: Path):
    colour_model(colour_tagger, COLOUR_WEIGHTS[:, :5])
    with pytest.raises(TaggerError, match="5 outputs, but the list .* has 7 tags"):
        load(colour_tagger)


def test_another_familys_interface_is_refused_in_words(colour_tagger: Path):
    colour_model(colour_tagger, COLOUR_WEIGHTS, channels_first=True)
    with pytest.raises(TaggerError, match="has the color channels first"):
        load(colour_tagger)
