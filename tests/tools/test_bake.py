"""A baked copy changes layers, at strength 1, as the original does with the block weights."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from lib_lora_train.__main__ import main
from lib_lora_train.blocks.names import FULL_SD1, SHORT_SD1, block_of
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.errors import CheckpointError
from lib_lora_train.models.load import load_base
from lib_lora_train.networks.create import create_network
from lib_lora_train.networks.save import load_network_file, save_network, write_tensors
from lib_lora_train.tools.bake import bake, baked_metadata

TYPES = ["LoRA-LierLa", "LoRA-C3Lier", "LyCORIS-LoCon", "LyCORIS-LoHa", "LyCORIS-LoKR", "LyCORIS-(IA)^3"]
WEIGHTS = {block: round(0.1 * number - 0.3, 1) for number, block in enumerate(FULL_SD1)}  # IN02 is 0


def random_network(tiny_base, network_type, **settings):
    network = create_network(NetworkSettings(network_type=network_type, network_dim=2, network_alpha=1, **settings),
                             tiny_base.unet, tiny_base.text_encoder, 0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return network


def changes_of(network):
    return {key: module.weight_change().detach().clone()
            for part in (network.unet_modules, network.text_encoder_modules) for key, module in part.items()}


@pytest.mark.parametrize("network_type", TYPES)
def test_every_layer_changes_by_the_weight_of_its_block(tiny_base, tmp_path, network_type):
    network = random_network(tiny_base, network_type)
    before = changes_of(network)
    save_network(tmp_path / "penny.safetensors", network, "float", {})
    baked = bake(load_network_file(tmp_path / "penny.safetensors"), WEIGHTS)
    state = network.state_dict()
    assert set(state) - set(baked) == {key for key in state if block_of(key) == "IN02"}  # 0 is skipped
    empty = {key: value if key.endswith(("alpha", "on_input")) else torch.zeros_like(value)
             for key, value in state.items()}
    network.load_state_dict({**empty, **baked})
    for key, change in changes_of(network).items():
        block = block_of(key)
        expected = before[key] * (1.0 if block is None else WEIGHTS[block])
        assert (change - expected).abs().max() < 1e-5, key


GENERIC = {"diff": {"diff": (4, 4), "diff_b": (4,)}, "norm": {"w_norm": (4,), "b_norm": (4,)},
           "glora": {"a1.weight": (2, 4), "a2.weight": (4, 2), "b1.weight": (2, 4), "b2.weight": (4, 2)},
           "lokr whole": {"lokr_w1": (2, 2), "lokr_w2": (2, 2)}}
LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def change_of(kind, tensors, weight):
    if kind == "glora":
        left, right = tensors["b2.weight"] @ tensors["b1.weight"], tensors["a2.weight"] @ tensors["a1.weight"]
        return left + weight @ right
    if kind == "lokr whole":
        return torch.kron(tensors["lokr_w1"], tensors["lokr_w2"])
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


@pytest.mark.parametrize("kind", GENERIC)
def test_kinds_that_are_not_trained_here_are_baked_too(tmp_path, kind):
    generator = torch.Generator().manual_seed(3)
    tensors = {name: torch.randn(size, generator=generator) for name, size in GENERIC[kind].items()}
    carrier = {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": torch.ones(4, 1),
               "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": torch.ones(1, 4)}
    path = tmp_path / "other.safetensors"
    write_tensors(path, carrier | {f"{LAYER}.{name}": tensor for name, tensor in tensors.items()}, {})
    baked = bake(load_network_file(path), dict.fromkeys(FULL_SD1, 0.25))
    after = {name: baked[f"{LAYER}.{name}"] for name in tensors}
    weight = torch.randn(4, 4, generator=generator)
    assert torch.allclose(change_of(kind, after, weight), 0.25 * change_of(kind, tensors, weight), atol=1e-6)


def test_dora_is_baked_with_whole_weights_only(tiny_base, tmp_path):
    save_network(tmp_path / "penny.safetensors", random_network(tiny_base, "LyCORIS-LoCon", dora_wd=True), "float", {})
    file = load_network_file(tmp_path / "penny.safetensors")
    only_in = {block: float(block.startswith("IN")) for block in FULL_SD1}
    assert {block_of(key) for key in bake(file, only_in)} - {None} <= {b for b in FULL_SD1 if b.startswith("IN")}
    with pytest.raises(CheckpointError, match="is a DoRA"):
        bake(file, dict.fromkeys(FULL_SD1, 0.5))


def test_with_nothing_left_there_is_no_file(tiny_base, tmp_path):
    save_network(tmp_path / "penny.safetensors", random_network(tiny_base, "LoRA-LierLa"), "float", {})
    with pytest.raises(CheckpointError, match="Nothing of penny.safetensors is left"):
        bake(load_network_file(tmp_path / "penny.safetensors"), dict.fromkeys(FULL_SD1, 0.0))


@pytest.fixture(scope="module")
def lora(tiny_file, tmp_path_factory):
    """The bytes of a LoRA with metadata."""
    path = tmp_path_factory.mktemp("penny") / "penny.safetensors"
    base = load_base(tiny_file, None, dtype=torch.float32, device="cpu")
    save_network(path, random_network(base, "LoRA-LierLa"), "fp16",
                 {"ss_output_name": "penny", "ss_training_comment": "Mine."})
    return path.read_bytes()


@pytest.fixture
def job(lora, tmp_path):
    """A bake job file for a LoRA with metadata and a ``.json`` beside it."""
    (tmp_path / "penny.safetensors").write_bytes(lora)
    (tmp_path / "penny.json").write_text('{"activation text": "penny"}')

    def write(**values):
        lines = {"lora": str(tmp_path / "penny.safetensors"), "blocks": ",".join(["0.5"] * len(SHORT_SD1)),
                 "output_name": "penny-blocks", **values}
        (tmp_path / "bake.yaml").write_text("".join(f"{key}: '{value}'\n" for key, value in lines.items()))
        return tmp_path / "bake.yaml"

    return write


def test_the_command_writes_a_copy_that_says_what_it_is(job, tmp_path, monkeypatch):
    monkeypatch.setattr("lib_lora_train.environment.ensure_worker_interpreter", lambda: None)
    original = (tmp_path / "penny.safetensors").read_bytes()
    assert main(["bake", str(job())]) == 0
    assert (tmp_path / "penny.safetensors").read_bytes() == original
    copy = load_network_file(tmp_path / "penny-blocks.safetensors")
    assert copy.metadata["ss_output_name"] == "penny-blocks"
    assert copy.metadata["train_lora_baked_from"] == "penny.safetensors"
    assert copy.metadata["train_lora_baked_blocks"].startswith("0.5,0,0.5,0.5,0,")
    assert copy.metadata["ss_training_comment"].startswith("Mine. Block weights 0.5,0,0.5")
    assert copy.metadata["sshs_model_hash"] != load_network_file(tmp_path / "penny.safetensors").metadata[
        "sshs_model_hash"]
    assert json.loads((tmp_path / "penny-blocks.json").read_text()) == {"activation text": "penny"}
    assert main(["bake", str(job())]) == 1  # nothing is ever overwritten


@pytest.mark.parametrize(("values", "sentence"), [
    ({"blocks": "1,2"}, "It has 2 numbers"), ({"blocks": ",".join(["X"] * 17)}, "Write a number in place of X"),
    ({"output_name": "../away"}, "without folders"), ({"lora": "gone.safetensors"}, "gone.safetensors"),
    ({"blocks": ""}, "blocks is missing")])
def test_a_job_that_cannot_be_done_is_refused_with_a_sentence(job, values, sentence, monkeypatch, capsys):
    monkeypatch.setattr("lib_lora_train.environment.ensure_worker_interpreter", lambda: None)
    assert main(["bake", str(job(**values))]) == 1
    assert sentence in capsys.readouterr().err


def test_in_a_run_folder_its_events_show_what_happened(job, tmp_path, monkeypatch):
    from lib_lora_train.runs.events import read_events
    from lib_lora_train.runs.folder import BAKE, create_run

    monkeypatch.setattr("lib_lora_train.environment.ensure_worker_interpreter", lambda: None)
    for expected in ("finished", "error"):
        run = create_run(tmp_path / "runs", "bake", job().read_text(), BAKE)
        main([run.command, str(run.job_file)])
        events = read_events(run.events_file)[0]
        assert events[-1]["event"] == expected
    assert "exists already" in events[-1]["text"]


def test_metadata_of_a_plain_file_is_made(tmp_path):
    safetensors.torch.save_file({f"{LAYER}.lora_up.weight": torch.ones(4, 1),
                                 f"{LAYER}.lora_down.weight": torch.ones(1, 4)}, tmp_path / "plain.safetensors")
    metadata = baked_metadata(load_network_file(tmp_path / "plain.safetensors"), WEIGHTS, "plain-blocks")
    assert metadata["ss_output_name"] == "plain-blocks"
