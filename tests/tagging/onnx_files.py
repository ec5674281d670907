"""Small ONNX files written byte by byte after onnx.proto, so that the tests need no package for it.

The colour tagger's answer is known by formula: sigmoid(mean colour of the input · weights).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

FLOAT, INT64, BOOL = 1, 7, 9
POOL = 32
"""The side of the squares whose mean colors the models of ``pooled_model`` see."""


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def value(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size) if isinstance(size, int) else _bytes(2, size)) for size in shape)
    tensor = _number(1, kind) + _bytes(2, dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


def node(kind: str, inputs: Iterable[str], outputs: Iterable[str], **attributes: int | Sequence[int]) -> bytes:
    """A node with attributes that are numbers or lists of numbers."""
    made = b"".join(_bytes(1, name) for name in inputs) + b"".join(_bytes(2, name) for name in outputs) + \
        _bytes(4, kind)
    for name, value in attributes.items():
        numbers = [value] if isinstance(value, int) else value
        one = isinstance(value, int)
        made += _bytes(5, _bytes(1, name) + b"".join(_number(3 if one else 8, number) for number in numbers) +
                       _number(20, 2 if one else 7))
    return made


def constant(name: str, values: np.ndarray) -> bytes:
    """A constant of float32 or int64."""
    kind, data = (7, values.astype("<i8")) if values.dtype.kind == "i" else (FLOAT, values.astype("<f4"))
    return b"".join(_number(1, size) for size in values.shape) + _number(2, kind) + _bytes(8, name) + \
        _bytes(9, data.tobytes())


def write_model(path: Path, nodes: Sequence[bytes], constants: Sequence[bytes], inputs: Sequence[bytes],
                outputs: Sequence[bytes], opset: int = 11) -> Path:
    graph = b"".join(_bytes(1, one) for one in nodes) + _bytes(2, "graph") + b"".join(
        _bytes(5, one) for one in constants) + b"".join(_bytes(11, one) for one in inputs) + b"".join(
        _bytes(12, one) for one in outputs)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, opset)))
    return path


def pooled_model(path: Path, weights: np.ndarray, bias: np.ndarray, *, side: int, channels_first: bool,
                 image: str = "input", mask: str = "", outputs: Sequence[tuple[str, str]] = (("output", "sigmoid"),),
                 batch: int | str = "batch") -> Path:
    """A tagger whose logits are (mean colors of squares, channels first) · ``weights`` + ``bias``.

    With a ``mask`` its squares follow after the colors. ``outputs`` are names with ``logits``, ``sigmoid``, ``other``
    (logits of the negative weights) or ``embedding``.
    """
    tags = weights.shape[1]
    nodes = [] if channels_first else [node("Transpose", [image], ["nchw"], perm=[0, 3, 1, 2])]
    nodes += [node("AveragePool", [image if channels_first else "nchw"], ["pooled"], kernel_shape=[POOL, POOL],
                   strides=[POOL, POOL]), node("Flatten", ["pooled"], ["colors"], axis=1)]
    seen = "colors"
    if mask:
        nodes += [node("Cast", [mask], ["mask_float"], to=FLOAT),
                  node("Unsqueeze", ["mask_float"], ["mask4"], axes=[1]),
                  node("AveragePool", ["mask4"], ["mask_pooled"], kernel_shape=[POOL, POOL], strides=[POOL, POOL]),
                  node("Flatten", ["mask_pooled"], ["mask_flat"], axis=1),
                  node("Concat", ["colors", "mask_flat"], ["seen"], axis=1)]
        seen = "seen"
    nodes += [node("MatMul", [seen, "weights"], ["product"]), node("Add", ["product", "bias"], ["the_logits"]),
              node("Neg", ["the_logits"], ["negative"])]
    made = {"logits": ("Identity", "the_logits"), "sigmoid": ("Sigmoid", "the_logits"),
            "other": ("Identity", "negative"), "embedding": ("Identity", seen)}
    nodes += [node(made[kind][0], [made[kind][1]], [name]) for name, kind in outputs]
    inputs = [value(image, [batch, 3, side, side] if channels_first else [batch, side, side, 3])]
    inputs += [value(mask, [batch, side, side], BOOL)] if mask else []
    return write_model(path, nodes, [constant("weights", weights), constant("bias", bias)], inputs,
                       [value(name, [batch, weights.shape[0] if kind == "embedding" else tags])
                        for name, kind in outputs])


def _node(kind: str, inputs: Iterable[str], output: str, axes: Sequence[int] = ()) -> bytes:
    node = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(4, kind)
    if axes:
        ints = b"".join(_number(8, axis) for axis in axes)
        node += _bytes(5, _bytes(1, "axes") + ints + _number(20, 7))
        node += _bytes(5, _bytes(1, "keepdims") + _number(3, 0) + _number(20, 2))
    return node


def colour_model(path: Path, weights: np.ndarray, *, side: int = 32, batch: int | str = "batch",
                 channels_first: bool = False) -> Path:
    """Write a model whose output is sigmoid(mean over the pixels · ``weights``); ``weights`` is (3, tags)."""
    shape: list[int | str] = [batch, 3, side, side] if channels_first else [batch, side, side, 3]
    constant = b"".join(_number(1, size) for size in weights.shape) + _number(2, FLOAT) + _bytes(8, "weights") + \
        _bytes(9, weights.astype("<f4").tobytes())
    graph = b"".join(_bytes(1, node) for node in (
        _node("ReduceMean", ["input"], "mean", [2, 3] if channels_first else [1, 2]),
        _node("MatMul", ["mean", "weights"], "logits"), _node("Sigmoid", ["logits"], "output")))
    graph += _bytes(2, "colours") + _bytes(5, constant) + _bytes(11, value("input", shape)) + \
        _bytes(12, value("output", [batch, weights.shape[1]]))
    opset = _bytes(1, "") + _number(2, 13)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, opset))
    return path


def pixel_model(path: Path, weights: Sequence[float], *, side: int | str = 64, squash: bool = True,
                name: str = "input") -> Path:
    """Write a mask model: for each pixel of (1, 3, side, side), sigmoid(channels · ``weights``), or no sigmoid.

    ``weights`` are those of red, green and blue.
    """
    constant = b"".join(_number(1, size) for size in (1, 3, 1, 1)) + _number(2, FLOAT) + _bytes(8, "weights") + \
        _bytes(9, np.asarray(weights, "<f4").tobytes())
    sums = _node("ReduceSum", ["weighted", "axes"], "sums" if squash else "output")
    axes = _number(1, 1) + _number(2, 7) + _bytes(8, "axes") + _bytes(9, np.array([1], "<i8").tobytes())
    nodes = [_node("Mul", [name, "weights"], "weighted"), sums]
    nodes += [_node("Sigmoid", ["sums"], "output")] if squash else []
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, "pixels")
    graph += _bytes(5, constant) + _bytes(5, axes)
    graph += _bytes(11, value(name, [1, 3, side, side])) + _bytes(12, value("output", [1, 1, side, side]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 13)))
    return path


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))
