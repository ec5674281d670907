"""Mask models through the real ONNX runtime, on small files with the published interfaces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.config.mask_models import (
    KNOWN_MASK_MODELS,
    find_mask_model,
    known_mask_model,
    where_a_mask_model_belongs,
)
from lib_lora_train.errors import TaggerError
from lib_lora_train.pictures.masks.shape import NoMaskError
from lib_lora_train.tagging.masks.model import MaskNetwork
from tests.tagging.onnx_files import pixel_model, sigmoid

WEIGHTS = (5.0, -3.0, -1.0)
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def picture(width: int, height: int) -> Image.Image:
    """A red disc before a graded background, smooth enough that resizing filters hardly differ."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    red = sigmoid((0.3 - np.hypot(x - 0.5, y - 0.4)) * 9)
    return Image.fromarray(np.stack([40 + 190 * red, 60 + 80 * x, 50 + 90 * y], axis=2).astype(np.uint8))


def expected(image: Image.Image, name: str) -> np.ndarray:
    """The published preprocessing of each family, written out: rembg's for U²-Net and ISNet, SkyTNT's for anime."""
    pixels = np.asarray(image, np.float64)
    if name == "isnet-anime":
        return sigmoid((pixels / 255) @ WEIGHTS)
    scaled = pixels / pixels.max()
    mean, std = (np.full(3, 0.5), np.ones(3)) if name == "isnet-general-use" else IMAGENET
    answer = sigmoid(((scaled - mean) / std) @ WEIGHTS)
    return (answer - answer.min()) / (answer.max() - answer.min())


@pytest.mark.parametrize("model", KNOWN_MASK_MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("size", [(150, 90), (64, 200)])
def test_each_known_interface_gives_what_its_published_preprocessing_gives(model, size, tmp_path: Path):
    pixel_model(tmp_path / model.name / model.file, WEIGHTS, side=model.interface.side)
    found = find_mask_model(tmp_path, model.name)
    assert found is not None
    image = picture(*size)
    probability = MaskNetwork(model.name, *found, "cpu", pytest.fail).probability(image)
    assert probability.shape[::-1] == tuple(round(side * model.interface.side / max(size)) for side in size)
    small = np.asarray(Image.fromarray(probability).resize(size, Image.Resampling.BOX))
    assert np.abs(small - expected(image, model.name)).max() < 0.04  # two filters in between
    others = {known.name for known in KNOWN_MASK_MODELS if known.interface != model.interface}
    assert all(np.abs(small - expected(image, other)).max() > 0.06 for other in others)


def test_a_padded_image_is_centered_on_black_and_only_its_part_of_the_answer_is_used(tmp_path: Path):
    """White stays white to its edges, although it is surrounded by black for the model."""
    pixel_model(tmp_path / "isnet-anime/isnetis.onnx", (50.0, 50.0, 50.0), side=1024)
    network = MaskNetwork("isnet-anime", *find_mask_model(tmp_path, "isnet-anime"), "cpu", pytest.fail)
    for size in ((300, 100), (100, 300), (7, 450)):
        assert network.probability(Image.new("RGB", size, "white")).min() > 0.99


def test_the_threshold_makes_it_hard_and_zero_keeps_it_soft(tmp_path: Path):
    pixel_model(tmp_path / "u2netp/u2netp.onnx", WEIGHTS, side=320)
    network = MaskNetwork("u2netp", *find_mask_model(tmp_path, "u2netp"), "cpu", pytest.fail)
    hard, soft = network.mask(picture(90, 90), 0.5), network.mask(picture(90, 90), 0.0)
    assert set(np.unique(hard)) == {0, 255} and len(np.unique(soft)) > 50
    assert ((soft > 128) == (hard > 0)).mean() > 0.99


@pytest.mark.parametrize(("description", "wanted"), [
    ({"side": 64, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}, lambda x: sigmoid(((x - .5) / .5) @ WEIGHTS)),
    ({"side": 64, "output": "logits"}, lambda x: sigmoid(x @ WEIGHTS)),
    ({"side": 64, "pad": True, "output": "logits", "mean": [0.1, 0.2, 0.3]},
     lambda x: sigmoid((x - [.1, .2, .3]) @ WEIGHTS))])
def test_a_file_from_elsewhere_is_read_as_its_description_says(description, wanted, tmp_path: Path):
    file = pixel_model(tmp_path / "own.onnx", WEIGHTS, squash=description.get("output") != "logits")
    file.with_suffix(".json").write_text(json.dumps(description))
    network = MaskNetwork("own", *find_mask_model(tmp_path, str(file)), "cpu", pytest.fail)
    image = picture(64, 64)
    assert np.abs(network.probability(image) - wanted(np.asarray(image) / 255)).max() < 1e-4


@pytest.mark.parametrize(("description", "words"), [
    (None, "The interface of .* is not known. Write its interface into"), ("[]", "holds a list"), ("{", "not valid"),
    ('{"side": "64"}', "side is '64'"), ('{"side": 64, "mean": [1, 2]}', r"mean is \[1, 2\]"),
    ('{"side": 64, "std": [1, 1, 0]}', "std is .* above 0"), ('{"side": 64, "pad": 1}', "pad is 1"),
    ('{"side": 64, "output": "alpha"}', "output is 'alpha'"), ('{"size": 64}', "'size' is not one of"),
    ('{"side": 100}', r"shape \[1, 3, 64, 64\], and|shape \[1, 3, 64, 64\], but its description says")])
def test_a_description_that_is_missing_or_wrong_is_refused_in_words(description, words, tmp_path: Path):
    file = pixel_model(tmp_path / "own.onnx", WEIGHTS)
    if description is not None:
        file.with_suffix(".json").write_text(description)
    with pytest.raises(TaggerError, match=words):
        MaskNetwork("own", *find_mask_model(tmp_path, str(file)), "cpu", pytest.fail)


def test_values_that_are_no_probabilities_an_empty_answer_and_a_damaged_file_are_refused(tmp_path: Path):
    file = pixel_model(tmp_path / "own.onnx", WEIGHTS, squash=False)
    file.with_suffix(".json").write_text('{"side": 64}')
    with pytest.raises(TaggerError, match='not probabilities. If they are logits, write "output": "logits"'):
        MaskNetwork("own", *find_mask_model(tmp_path, str(file)), "cpu", pytest.fail).probability(picture(64, 64))
    pixel_model(file, (-50.0, -50.0, -50.0))
    network = MaskNetwork("own", *find_mask_model(tmp_path, str(file)), "cpu", pytest.fail)
    with pytest.raises(NoMaskError, match="found no subject"):
        network.mask(picture(64, 64), 0.5)
    file.write_bytes(b"not a model")
    with pytest.raises(TaggerError, match="cannot be read as an ONNX model"):
        MaskNetwork("own", *find_mask_model(tmp_path, str(file)), "cpu", pytest.fail)


def test_a_missing_model_is_named_with_where_it_belongs(tmp_path: Path):
    assert find_mask_model(tmp_path, "u2net") is None and find_mask_model(tmp_path, "nobody") is None
    words = where_a_mask_model_belongs(tmp_path, "u2net")
    assert "u2net.onnx (176 MB) from huggingface.co/tomjackson2023/rembg" in words and str(tmp_path / "u2net") in words
    assert "isnet-anime, isnet-general-use" in where_a_mask_model_belongs(tmp_path, "nobody")
    with pytest.raises(TaggerError, match="There is no mask model at"):
        find_mask_model(tmp_path, str(tmp_path / "nowhere.onnx"))
    pixel_model(tmp_path / "isnet-anime.onnx", WEIGHTS, side=1024)  # rembg's name of that file
    assert find_mask_model(tmp_path, str(tmp_path / "isnet-anime.onnx"))[1] == known_mask_model("isnet-anime").interface
