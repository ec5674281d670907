"""What the curves show is what happened: each against a computation of its own."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tensorboardX.proto.event_pb2 import Event
from torch import nn

from lib_lora_train.config.groups.network import NETWORK_TYPES, NetworkSettings
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.norms import change_norms

PLAIN = {"optimizer_type": "SGDNesterov", "learning_rate": 0.5}
NESTEROV_FIRST_STEP = 1.9  # gradient + momentum 0.9 x gradient


def norms_in_file(path: Path) -> dict[str, float]:
    """‖alpha / dim · up·down‖ of each layer of a LoRA file, with NumPy."""
    tensors = {key: value.astype(np.float64) for key, value in load_file(path).items()}
    norms = {}
    for key in {key.split(".")[0] for key in tensors}:
        down, up = (tensors[f"{key}.lora_{name}.weight"] for name in ("down", "up"))
        change = float(tensors[f"{key}.alpha"]) / len(down) * up.reshape(len(up), -1) @ down.reshape(len(down), -1)
        norms[key] = float(np.linalg.norm(change))
    return norms


def together(norms, pattern: str) -> float:
    return sum(norm ** 2 for key, norm in norms.items() if re.match(pattern, key)) ** 0.5


def test_weight_norms_are_those_of_the_changes_in_the_file(train):
    run = train(save={"save_precision": "float"}, training={"max_train_steps": 27},
                optimizer={"optimizer_type": "AdamW", "learning_rate": 1e-2})
    reported = run.of("norms")
    assert [event["step"] for event in reported] == [*range(3, 25, 3), 25, 27]
    in_file, last = norms_in_file(run.loras / "penny.safetensors"), reported[-1]
    assert last["unet"] == pytest.approx(together(in_file, "lora_unet"), rel=1e-4)
    assert last["text_encoder"] == pytest.approx(together(in_file, "lora_te"), rel=1e-4)
    assert last["blocks"]["BASE"] == last["text_encoder"]
    assert last["blocks"]["M00"] == pytest.approx(together(in_file, "lora_unet_mid_block"), rel=1e-4)
    assert last["blocks"]["IN01"] == pytest.approx(together(in_file, "lora_unet_down_blocks_0_attentions_0"), rel=1e-4)
    assert last["blocks"]["OUT04"] == pytest.approx(together(in_file, "lora_unet_up_blocks_1_attentions_1"), rel=1e-4)
    assert [event["unet"] for event in reported] == sorted(event["unet"] for event in reported)


class CLIPAttention(nn.Module):
    """A text encoder's attention, by whose name its layers are found."""

    def __init__(self) -> None:
        super().__init__()
        self.k_proj = nn.Linear(24, 16)


WITHOUT_DORA = ("LyCORIS-(IA)^3", "LyCORIS-DyLoRA")


@pytest.mark.parametrize(("kind", "dora"), [(kind, False) for kind in NETWORK_TYPES] +
                         [(kind, True) for kind in NETWORK_TYPES if kind not in WITHOUT_DORA])
def test_norms_of_every_kind_of_network_are_those_of_the_change_it_makes(kind, dora):
    encoder = nn.Sequential(CLIPAttention())
    layer = encoder[0].k_proj
    settings = NetworkSettings(network_type=kind, network_dim=4, network_alpha=3.0, dora_wd=dora)
    network = create_network(settings, None, encoder, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        change = (layer(torch.eye(24)) - layer.bias).T - layer.weight
    assert change_norms(network).text_encoder == pytest.approx(float(change.norm()), rel=1e-4)


@pytest.mark.parametrize("limit", [0.0, 1e-3])
def test_the_gradient_norm_is_that_before_it_is_limited(train, limit):
    run = train(optimizer={**PLAIN, "max_grad_norm": limit}, training={"max_train_steps": 1},
                save={"save_precision": "float"})
    [step] = run.of("step")
    ups = [value for key, value in load_file(run.loras / "penny.safetensors").items() if "lora_up" in key]
    moved = sum(float((up.astype(np.float64) ** 2).sum()) for up in ups) ** 0.5  # up began at 0, down has no gradient
    used = limit or step["gradient_norm"]
    assert step["gradient_norm"] > 2e-3
    assert moved == pytest.approx(NESTEROV_FIRST_STEP * PLAIN["learning_rate"] * used, rel=1e-3)


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard reads in ``folder``: the format of TFRecord, with the messages that tensorboardX brings."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for file in sorted(folder.iterdir()):
        data, place = file.read_bytes(), 0
        while place < len(data):
            length = struct.unpack_from("<Q", data, place)[0]
            event = Event.FromString(data[place + 12:place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                found[value.tag][event.step] = value.simple_value
    return found


def test_tensorboard_reads_the_same_curves(train, pictures):
    from tests.training.conftest import draw_pictures
    held = draw_pictures(pictures.parent / "held", 2, 9)
    run = train(optimizer={"optimizer_type": "Prodigy", "learning_rate": 1.0},
                dataset={"validation_data_dir": str(held)})
    read = scalars(run.run.path / "tensorboard")
    steps = run.of("step")
    for tag, name in (("loss/step", "loss"), ("learning_rate/unet", "lr_unet"), ("gradient_norm", "gradient_norm"),
                      ("learning_rate/text_encoder", "lr_text_encoder")):
        assert read[tag] == pytest.approx({event["step"]: event[name] for event in steps}, rel=1e-6)
    assert read["loss/epoch"] == pytest.approx({3: run.of("epoch")[0]["loss"], 6: run.of("epoch")[1]["loss"]})
    # the loss before the first step is measured before TensorBoard's first
    assert read["loss/held_out"] == pytest.approx({event["step"]: event["loss"] for event in run.of("validation")})
    norms = {event["step"]: event for event in run.of("norms")}
    assert read["weight_norm/unet"] == pytest.approx({step: event["unet"] for step, event in norms.items()})
    assert read["weight_norm_of_block/M00"] == pytest.approx(
        {step: event["blocks"]["M00"] for step, event in norms.items()})
