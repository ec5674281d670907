"""Block weights on every family: what a file has, baking, prompts, and training with what was tried, cell by cell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_lora_train.blocks.entries import listed
from lib_lora_train.blocks.fit import fit
from lib_lora_train.blocks.lists import training_list
from lib_lora_train.blocks.names import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL, block_of
from lib_lora_train.blocks.of_file import blocks_of_file, blocks_of_keys
from lib_lora_train.blocks.presets import DEFAULT_TEXT, parse_presets
from lib_lora_train.blocks.prompt_weights import read_arguments
from lib_lora_train.cli.bake import bake_file
from lib_lora_train.config.bake_job import BakeJob
from lib_lora_train.config.groups.network import LIERLA, LOCON, NetworkSettings
from lib_lora_train.models.load import load_base
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.save import load_network_file
from tests.figures import FULL, share
from tests.models.tiny_checkpoint import make_tiny
from tests.models.tiny_families import SSD_SHAPE, save_state, sd2_state, sdxl_state

FAMILIES = ("sd1", "sd2", "sdxl", "ssd")
EXPECTED = {("sd1", LIERLA): SHORT_SD1, ("sd1", LOCON): FULL_SD1, ("sd2", LIERLA): SHORT_SD1, ("sd2", LOCON): FULL_SD1,
            ("sdxl", LIERLA): SHORT_SDXL, ("sdxl", LOCON): FULL_SDXL, ("ssd", LOCON): FULL_SDXL,
            ("ssd", LIERLA): tuple(name for name in SHORT_SDXL if name != "M00")}  # no attention in its middle
KINDS = {"lora": ("lora_up.weight", "lora_down.weight", "alpha"), "loha": ("hada_w1_a", "hada_w1_b", "hada_w2_a",
         "hada_w2_b", "alpha"), "lokr": ("lokr_w1", "lokr_w2_a", "lokr_w2_b", "alpha"), "ia3": ("weight", "on_input"),
         "glora": ("a1.weight", "a2.weight", "b1.weight", "b2.weight", "alpha"), "full": ("diff", "diff_b"),
         "dora": ("lora_up.weight", "lora_down.weight", "alpha", "dora_scale"), "norm": ("w_norm", "b_norm"),
         "oft": ("oft_blocks", "alpha"), "peft": ("lora_A.weight", "lora_B.weight")}
FILES = [(family, network_type, kind) for family, network_type in EXPECTED
         for kind in share(list(KINDS), FAMILIES.index(family) + (network_type == LOCON), 2)]
"""Every kind of file on every family, in turn on its short list of layers and on all of them."""
PRESETS, _ = parse_presets(DEFAULT_TEXT)
DTYPES = (torch.float16, torch.bfloat16, torch.float32)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("families")
    return {"sd1": make_tiny().save(folder / "sd1.safetensors"),
            "sd2": save_state(sd2_state(), folder / "sd2.safetensors"),
            "sdxl": save_state(sdxl_state(), folder / "sdxl.safetensors"),
            "ssd": save_state(sdxl_state(shape=SSD_SHAPE), folder / "ssd.safetensors")}


@dataclass(frozen=True)
class Layers:
    """The layers of a network by key, and where each is in diffusers' UNet or in a text encoder."""

    keys: tuple[str, ...]
    paths: dict[str, str]


@pytest.fixture(scope="module")
def layers(checkpoints) -> dict[tuple[str, str], Layers]:
    found = {}
    for family in FAMILIES:
        base = load_base(checkpoints[family], None, dtype=torch.float32, device="cpu")
        paths = {id(layer): f"unet.{path}" for path, layer in base.unet.named_modules()}
        for number, encoder in enumerate(base.text_encoders):
            name = "text_encoder_2" if number else "text_encoder"
            paths |= {id(layer): f"{name}.{path}" for path, layer in encoder.named_modules()}
        for network_type in (LIERLA, LOCON):
            network = create_network(NetworkSettings(network_type, 1, 1.0), base.unet, base.text_encoders, 0)
            keys = (*network.text_encoder_keys, *network.unet_keys)
            found[family, network_type] = Layers(keys, {key: paths[id(network.lora(key).layer)] for key in keys})
            network.detach()
    return found


def write(path: Path, layers: Layers, kind: str) -> Path:
    """A file of any kind on ``layers``, with diffusers' names for ``peft``; dtypes take turns."""
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for number, key in enumerate(layers.keys):
        for name in KINDS[kind]:
            tensor = torch.randn((2, 2) if name not in ("alpha", "on_input") else (), generator=generator)
            tensors[f"{layers.paths[key] if kind == 'peft' else key}.{name}"] = tensor.to(DTYPES[number % 3])
    save_file(tensors, path)
    return path


def stored(path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """Type, shape and bits of each tensor in a file, as they are there."""
    content = path.read_bytes()
    data = 8 + int.from_bytes(content[:8], "little")
    header = {name: facts for name, facts in json.loads(content[8:data]).items() if name != "__metadata__"}
    return {name: (facts["dtype"], facts["shape"], content[data + facts["data_offsets"][0]:data + facts[
        "data_offsets"][1]]) for name, facts in header.items()}


@pytest.mark.parametrize(("family", "network_type", "kind"), FILES)
def test_the_blocks_are_those_of_the_file_and_all_1_bakes_the_same_bits(layers, tmp_path, family, network_type, kind):
    path = write(tmp_path / "penny.safetensors", layers[family, network_type], kind)
    blocks = blocks_of_file(path)
    assert (blocks.names, blocks.sdxl) == (EXPECTED[family, network_type], family in ("sdxl", "ssd"))
    before = stored(path)
    counts = sorted({12, 17, 20, 25, 26, len(blocks.names)})
    for count in share(counts, list(KINDS).index(kind), 3):
        said: list[str] = []
        after = stored(bake_file(BakeJob(str(path), ",".join(["1"] * count), f"all-{count}"), said.append))
        assert set(after) == set(before)
        assert [name for name in before if after[name] != before[name]] == []
        assert (said == []) == (count in blocks.lists and set(blocks.names) <= {"BASE", *blocks.lists[count]}), said


@pytest.mark.parametrize(("family", "network_type", "kind"), [file for file in FILES if file[2] not in ("oft", "dora")])
def test_a_block_at_half_is_baked_in_that_block_alone(layers, tmp_path, family, network_type, kind):
    path = write(tmp_path / "penny.safetensors", layers[family, network_type], kind)
    blocks = blocks_of_file(path)
    chosen = blocks.names[-1]
    numbers = {name: 0.5 if name == chosen else 1.0 for name in blocks.listed}
    after = load_file(bake_file(BakeJob(str(path), listed(numbers, blocks.listed), "half"), pytest.fail))
    changed = {block_of(name) for name, tensor in load_file(path).items() if not torch.equal(tensor, after[name])}
    assert changed == {chosen}


@pytest.mark.parametrize(("family", "network_type"), EXPECTED)
def test_every_list_gives_every_block_a_weight_and_a_misfit_is_said(layers, family, network_type):
    blocks = blocks_of_keys(layers[family, network_type].keys)
    for count in (12, 17, 20, 26):
        ones = fit([1.0] * count, blocks)
        assert {ones.weights[name] for name in blocks.names} == {1.0}
        only_text = fit([0.5, *[0.0] * (count - 1)], blocks)
        assert {name for name in blocks.names if only_text.weights[name]} == {"BASE"}
        assert bool(ones.sentence) == (count not in blocks.lists or not set(blocks.names) <= set(blocks.lists[count]))
    for name in PRESETS:
        read = read_arguments(["penny", "1", f"lbw={name}", "x=1"], PRESETS, blocks)
        values = dict(zip(FULL_SD1, read.spec.weights, strict=True))
        sides = {side: [values[block] for block in blocks.names if block.startswith(side)] for side in ("IN", "OUT")}
        if name in ("INX", "OUTX", "LINX", "LOUTX", "ALL"):
            assert {*sides["IN"], *sides["OUT"]} == {1.0}, name
        if name in ("INALL", "INS", "IND"):
            assert set(sides["OUT"]) == {0.0} and 1.0 in sides["IN"], name
        if name in ("OUTALL", "OUTS", "OUTD"):
            assert set(sides["IN"]) == {0.0} and 1.0 in sides["OUT"], name


@pytest.mark.parametrize(("family", "optimizer_type"), [
    (family, optimizer_type) for number, family in enumerate(FAMILIES)
    for optimizer_type in share(("AdamW", "Prodigy"), number, 1 if family == "sdxl" else 2)])
def test_what_was_tried_is_trained(train, layers, checkpoints, family, optimizer_type):
    """From the sliders to a step: IN a fifth, one block below 0, one above 1, the last one not at all."""
    blocks = blocks_of_keys(layers[family, LIERLA].keys)
    inner = [name for name in blocks.names if name.startswith("IN")]
    outer = [name for name in blocks.names if name.startswith("OUT")]
    tried = dict.fromkeys(inner, 0.2) | {inner[0]: -0.3, outer[0]: 1.5, outer[-1]: 0.0}
    rates, sentences = training_list(tried, blocks)
    assert f"{inner[0]}: a block cannot be trained backwards" in sentences[0]
    assert f"{outer[0]} at 1.5 times the rate" in sentences[1]
    done = train(base={"checkpoint": str(checkpoints[family])}, training={"max_train_steps": 1},
                 network={"network_dim": 2, "network_alpha": 1.0, "block_lr_weight": rates},
                 optimizer={"optimizer_type": optimizer_type, "learning_rate": 1.0 if optimizer_type == "Prodigy" else
                            1e-3, "optimizer_args": [], "unet_lr": None, "text_encoder_lr": None})
    assert done.completed
    alphas = {block_of(key): float(tensor) for key, tensor in load_file(done.loras / "penny.safetensors").items()
              if key.endswith(".alpha")}
    scaled = optimizer_type == "Prodigy"
    expected = {name: tried.get(name, 1.0) if scaled else 1.0 for name in blocks.names
                if name not in (inner[0], outer[-1])}
    assert alphas == pytest.approx(expected)
    said = " ".join(event["text"] for event in done.of("warning"))
    assert ("Prodigy supports only one rate, so the alpha of each block is scaled instead" in said) == scaled
    assert f"{outer[0]} at 1.5 times the rate" in said


@pytest.mark.parametrize("family", FAMILIES if FULL else ("sd1", "sdxl"))  # one of each list
def test_presets_train_the_blocks_of_the_family(train, checkpoints, family):
    done = train(base={"checkpoint": str(checkpoints[family])}, training={"max_train_steps": 1},
                 network={"network_dim": 2, "network_alpha": 1.0, "block_lr_weight": "OUTS"},
                 optimizer={"optimizer_type": "Prodigy", "learning_rate": 1.0})
    found = blocks_of_file(done.loras / "penny.safetensors").names
    assert found == ("BASE", *(("OUT03", "OUT04", "OUT05") if family in ("sdxl", "ssd") else
                               (f"OUT{number:02d}" for number in range(7, 12))))


@pytest.mark.parametrize(("family", "count", "right"), [
    ("sdxl", 17, 12), ("sdxl", 26, 20), ("ssd", 17, 12), ("sd1", 12, 17), ("sd2", 20, 26)])
def test_a_list_of_another_family_is_refused_with_the_right_one(train, checkpoints, family, count, right):
    done = train(base={"checkpoint": str(checkpoints[family])},
                 network={"block_lr_weight": ",".join(["0.5"] * count)})
    assert f"the list is {','.join(['0.5'] * right)}." in done.of("error")[0]["text"]
    assert done.files == []


def test_a_file_of_scaled_alphas_is_continued_without_scaling_them_again(train, checkpoints, tmp_path):
    rates = listed(dict.fromkeys(SHORT_SDXL, 0.5) | {"BASE": 1.0}, SHORT_SDXL)
    settings = {"base": {"checkpoint": str(checkpoints["sdxl"])}, "training": {"max_train_steps": 1},
                "optimizer": {"optimizer_type": "Prodigy", "learning_rate": 1.0}}
    network = {"network_dim": 2, "network_alpha": 1.0, "block_lr_weight": rates}
    first = train(network=network, **settings).loras / "penny.safetensors"
    job = json.loads(load_network_file(first).metadata["train_lora_job"])
    assert job["network"]["block_lr_weight"] == rates
    for again, alpha in ((rates, 0.5), (listed(dict.fromkeys(SHORT_SDXL, 0.25) | {"BASE": 1.0}, SHORT_SDXL), 0.125)):
        done = train(network={**network, "block_lr_weight": again, "network_weights": str(first)}, **settings)
        newest = max(done.loras.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        alphas = {float(tensor) for key, tensor in load_file(newest).items()
                  if key.endswith(".alpha") and block_of(key) != "BASE"}
        assert list(alphas) == pytest.approx([alpha])  # half the step of before: alpha by 1/4, both factors by 2
