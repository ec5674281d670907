"""Image features from ONNX models: what is found, how images are prepared, and the embedding, by formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_lora_train.errors import TaggerError
from lib_lora_train.tagging.features.files import NORMALIZATIONS, find_features
from lib_lora_train.tagging.features.model import FeatureModel, likenesses
from tests.tagging.onnx_files import constant, node, pooled_model, value, write_model

RED, SIZE = (200, 40, 40), (32, 32)


def two_d(path: Path, **how) -> Path:
    """(images, 3): the mean colors after normalization."""
    return pooled_model(path, np.zeros((3, 2)), np.zeros(2), **{
        "side": 32, "channels_first": True, "outputs": (("image_embeds", "embedding"),), **how})


def tokens(path: Path, shape=("batch", "channels", "height", "width")) -> Path:
    """(images, pixels, 3): each pixel is a token."""
    return write_model(path, [node("Reshape", ["pixel_values", "flat"], ["channels"]),
                              node("Transpose", ["channels"], ["last_hidden_state"], perm=[0, 2, 1])],
                       [constant("flat", np.array([0, 3, -1]))], [value("pixel_values", shape)],
                       [value("last_hidden_state", ["batch", "tokens", 3])])


def expected(color, kind: str) -> np.ndarray:
    mean, std, _ = NORMALIZATIONS[kind]
    found = (np.array(color) / 255 - mean) / std
    return found / np.linalg.norm(found)


def of(folder: Path, wanted: str = "") -> FeatureModel:
    return FeatureModel(find_features(folder, wanted), "cpu", print)


@pytest.mark.parametrize(("name", "kind", "words"), [
    ("clip-vit-b32", "clip", "CLIP's normalization, by its name"), ("SigLIP2", "siglip", "SigLIP's normalization"),
    ("dinov2-small", "imagenet", "ImageNet's normalization, by its name")])
def test_the_embedding_is_the_pooled_output_with_the_normalization_of_the_name(tmp_path, name, kind, words):
    two_d(tmp_path / name / "model.onnx")
    model = of(tmp_path)
    assert model.embedding(Image.new("RGB", SIZE, RED)) == pytest.approx(expected(RED, kind), abs=1e-5)
    assert model.words.startswith(f"{name} (32 pixels, {words}")


def test_tokens_are_averaged_and_sizes_that_nothing_fixes_are_224_or_as_described(tmp_path):
    tokens(tmp_path / "dino" / "vision.onnx")
    model = of(tmp_path)
    assert "224 pixels" in model.words
    assert model.embedding(Image.new("RGB", SIZE, RED)) == pytest.approx(expected(RED, "imagenet"), abs=1e-5)
    (tmp_path / "dino" / "vision.yaml").write_text("normalization: clip\nsize: 64\n")
    described = of(tmp_path, "dino")
    assert described.words == "dino (64 pixels, CLIP's normalization)"
    assert described.embedding(Image.new("RGB", SIZE, RED)) == pytest.approx(expected(RED, "clip"), abs=1e-5)


@pytest.mark.parametrize("how", [{"channels_first": False}, {"batch": 4}])
def test_other_layouts_and_fixed_batches_give_the_same(tmp_path, how):
    path = two_d(tmp_path / "clip.onnx", **how)
    assert of(tmp_path, str(path)).embedding(Image.new("RGB", SIZE, RED)) == pytest.approx(expected(RED, "clip"),
                                                                                           abs=1e-5)


def test_the_middle_of_a_wide_image_counts_unless_it_is_to_be_stretched(tmp_path):
    path = two_d(tmp_path / "own.onnx")
    picture = Image.new("RGB", (96, 32), (0, 0, 255))
    picture.paste(RED, (32, 0, 64, 32))
    assert of(tmp_path, str(path)).embedding(picture) == pytest.approx(expected(RED, "imagenet"), abs=0.02)
    path.with_suffix(".yaml").write_text("mean: [0, 0, 0]\nstd: [1, 1, 1]\nresize: stretch\n")
    stretched = of(tmp_path, str(path)).embedding(picture)
    mixed = np.array([200 / 3, 40 / 3, (40 + 2 * 255) / 3])
    assert stretched == pytest.approx(mixed / np.linalg.norm(mixed), abs=0.02)


def test_likeness_is_the_cosine_to_the_nearest_and_to_all():
    one, other = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
    assert likenesses([one], [one, other]) == (1.0, 0.5)
    assert likenesses([one, -other], [one, other]) == (0.5, 0.0)


@pytest.mark.parametrize(("text", "named"), [
    ("normalization: clipp", "normalization"), ("size: big", "size"), ("mean: [1, 2]", "three numbers"),
    ("std: [1, 0, 1]", "none of them 0"), ("sizes: 3", "sizes"), ("- 3", "lines such as"), ("a: [", "YAML")])
def test_a_wrong_description_names_the_field(tmp_path, text, named):
    two_d(tmp_path / "clip" / "model.onnx").with_suffix(".yaml").write_text(text)
    with pytest.raises(TaggerError, match=named) as problem:
        find_features(tmp_path)
    assert "model.yaml" in str(problem.value)


def test_what_is_missing_or_does_not_fit_is_refused_with_a_way_out(tmp_path):
    assert find_features(tmp_path / "nowhere") is None and find_features(tmp_path) is None
    for wanted, words in (("clip", "no folder 'clip'"), (str(tmp_path / "x.onnx"), "no model of image features at")):
        with pytest.raises(TaggerError, match=words):
            find_features(tmp_path, wanted)
    for part in ("text_model", "vision_model"):
        two_d(tmp_path / "both" / f"{part}.onnx")
    assert find_features(tmp_path).model.stem == "vision_model"
    both = pooled_model(tmp_path / "both.onnx", np.zeros((4, 2)), np.zeros(2), side=32, channels_first=True,
                        mask="input_ids")
    with pytest.raises(TaggerError, match=r"input_ids.*vision_model.onnx"):
        of(tmp_path, str(both))
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    with pytest.raises(TaggerError, match="cannot be read as an ONNX model"):
        of(tmp_path, str(tmp_path / "damaged.onnx"))
    flat = write_model(tmp_path / "flat.onnx", [node("Identity", ["x"], ["same"])], [], [value("x", ["b", 3, 8, 8])],
                       [value("same", ["b", 3, 8, 8])])
    with pytest.raises(TaggerError, match="neither"):
        of(tmp_path, str(flat)).embedding(Image.new("RGB", SIZE))
    flat.with_suffix(".yaml").write_text("output: pooled")
    with pytest.raises(TaggerError, match="no output 'pooled'"):
        of(tmp_path, str(flat)).embedding(Image.new("RGB", SIZE))
    flat.with_suffix(".yaml").write_text("size: 64")
    with pytest.raises(TaggerError, match="8 x 8 pixels, not a square of 64"):
        of(tmp_path, str(flat))
    zero = two_d(tmp_path / "zero.onnx")
    zero.with_suffix(".yaml").write_text("mean: [0, 0, 0]")
    with pytest.raises(TaggerError, match="0 or not numbers"):
        of(tmp_path, str(zero)).embedding(Image.new("RGB", SIZE))
