"""A run that goes on from a LoRA file: it begins where the file left off, says so, and can be broken off itself."""

from __future__ import annotations

import pytest
from safetensors import safe_open

from lib_lora_train.config.check_network import network_problems
from lib_lora_train.config.groups.network import NetworkSettings
from lib_lora_train.config.groups.optimizer import OptimizerSettings
from lib_lora_train.training.reporting.report import Reporter
from tests.training.conftest import draw_pictures
from tests.training.test_resume import _Stopping, in_this_process, made, new_run


def with_weights(values, path, **more):
    values["network"] = {**values["network"], "network_weights": str(path), **more}
    return values


def test_it_begins_at_the_loss_that_the_file_ended_with_and_continues_from_there(train, values, tmp_path):
    values["dataset"]["validation_data_dir"] = str(draw_pictures(tmp_path / "held", 2, seed=1))
    values["optimizer"]["learning_rate"] = 3e-3
    first = train(save={"save_precision": "float"}, network={"network_type": "LyCORIS-LoCon", "network_dim": 6,
                                                             "network_alpha": 6, "conv_dim": 2})
    path = first.loras / "penny.safetensors"
    before = path.read_bytes()
    second = train(network={"network_weights": str(path)})
    assert path.read_bytes() == before
    assert second.completed and "penny-v2.safetensors" in second.files
    losses = [event["loss"] for event in first.of("validation")], [event["loss"] for event in second.of("validation")]
    assert losses[1][0] == pytest.approx(losses[0][-1], abs=1e-6)
    assert losses[1][0] != losses[0][0] and losses[1][-1] < losses[1][0] < losses[0][0]
    (reported,) = [event["text"] for event in second.of("warning") if "penny.safetensors" in event["text"]]
    assert "penny.safetensors is LyCORIS-LoCon, dim 6 and alpha 6, convolutions 2 and 2:" in reported
    assert "override the settings" in reported
    with safe_open(second.loras / "penny-v2.safetensors", "pt") as file:
        metadata = file.metadata()
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("6", "6.0")
    assert '"conv_dim": 2' in metadata["ss_network_args"]
    assert str(first.loras) not in str(metadata)  # the file is given away, the folders are not


def test_interrupted_it_ends_in_the_same_file(train, values, tmp_path):
    first = train(save={"output_name": "first"})
    values = with_weights(values, first.loras / "first.safetensors", network_train_unet_only=True)
    whole = new_run(values, tmp_path / "whole", "AdamW")
    in_this_process(whole, Reporter, values)
    run = new_run(values, tmp_path / "broken", "AdamW")
    in_this_process(run, type("Stopping", (_Stopping,), {"run": run}), values)
    run.control.withdraw("stop")
    in_this_process(run, Reporter, values)
    wanted, found = made(tmp_path / "whole"), made(tmp_path / "broken")
    assert found["penny.safetensors"] == wanted["penny.safetensors"] and len(wanted["penny.safetensors"]) > 10000


def test_a_file_that_is_missing_or_none_is_named(train, values, checkpoint, tmp_path):
    for path, words in ((tmp_path / "gone.safetensors", "gone.safetensors"), (checkpoint, "is not a LoRA")):
        (error,) = train(network={"network_weights": str(path)}).of("error")
        assert words in error["text"] and not error["detail"]


def test_the_settings_sizes_are_not_judged_since_the_file_brings_its_own():
    adamw = OptimizerSettings(optimizer_type="AdamW")
    assert network_problems(NetworkSettings(network_dim=4, network_alpha=8.0, network_weights="x"), adamw) == []
    (problem,) = network_problems(NetworkSettings(network_weights="x", block_dims=",".join(["4"] * 17)), adamw)
    assert "network.block_dims" in problem and "network.network_weights" in problem
