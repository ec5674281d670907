"""A watcher of a tool's work that remembers what was reported to it, and small LoRA files of every kind."""

from __future__ import annotations

from pathlib import Path

import torch

from lib_lora_train.networks.save import write_tensors
from lib_lora_train.tools.work import Work


class Reports:
    def __init__(self, stop_after: int | None = None) -> None:
        self.said: list[str] = []
        self.warnings: list[str] = []
        self.results: list[dict] = []
        self.steps = 0
        self._stop_after = stop_after

    def phase(self, name, text, total=None):
        self.said.append(text)

    def progress(self, done, total):
        self.steps += 1

    def warning(self, text):
        self.warnings.append(text)

    def say(self, text):
        self.said.append(text)

    @property
    def work(self) -> Work:
        stop = (lambda: self.steps >= self._stop_after) if self._stop_after is not None else (lambda: False)
        return Work(self, stop, self.results.append)


def randoms(seed: int, shapes: dict[str, tuple[int, ...]], size: float = 0.3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * size for name, shape in shapes.items()}


def layer_of(kind: str, out: int, into: int, kernel: int = 1, seed: int = 1) -> dict[str, torch.Tensor]:
    """The tensors of one layer of ``kind``, of rank 2; a ``kernel`` of 0 means Linear."""
    tail = (kernel, kernel) if kernel else ()
    ones = (1, 1) if kernel else ()
    columns = into * max(kernel, 1) ** 2
    shapes = {
        "lora": {"lora_up.weight": (out, 2, *ones), "lora_down.weight": (2, into, *tail)},
        "tucker": {"lora_up.weight": (out, 2, 1, 1), "lora_down.weight": (2, into, 1, 1),
                   "lora_mid.weight": (2, 2, *tail)},
        "loha": {"hada_w1_a": (out, 2), "hada_w1_b": (2, columns), "hada_w2_a": (out, 2), "hada_w2_b": (2, columns)},
        "loha tucker": {"hada_w1_a": (2, out), "hada_w1_b": (2, into), "hada_t1": (2, 2, *tail),
                        "hada_w2_a": (2, out), "hada_w2_b": (2, into), "hada_t2": (2, 2, *tail)},
        "lokr": {"lokr_w1": (2, 2), "lokr_w2_a": (out // 2, 2), "lokr_w2_b": (2, columns // 2)},
        "lokr whole": {"lokr_w1": (2, 2), "lokr_w2": (out // 2, into // 2, *tail)},
        "full": {"diff": (out, into, *tail), "diff_b": (out,)},
        "ia3": {"weight": (out,)}, "ia3 input": {"weight": (into,)},
        "glora": {"a1.weight": (2, into), "a2.weight": (into, 2), "b1.weight": (2, into), "b2.weight": (out, 2)},
        "oft": {"oft_blocks": (4, out // 4, out // 4)}, "old oft": {"oft_diag": (4, out // 4, out // 4)},
        "boft": {"oft_blocks": (2, out // 4, 4, 4)},
    }
    made = randoms(seed, shapes[kind.removesuffix(" dora")])
    if kind.startswith("ia3"):
        made["on_input"] = torch.tensor(kind == "ia3 input")
    elif kind not in ("full", "old oft"):
        made["alpha"] = torch.tensor(0.001 if "oft" in kind else 1.0)
    if kind.endswith(" dora"):
        made["dora_scale"] = randoms(seed + 1, {"d": (1, into, *ones)})["d"].abs() + 0.5
    return made


def save_layers(path: Path, layers: dict[str, dict[str, torch.Tensor]], metadata: dict[str, str] | None = None) -> Path:
    write_tensors(path, {f"{key}.{name}": tensor.clone() for key, tensors in layers.items()
                         for name, tensor in tensors.items()}, metadata or {})
    return path
