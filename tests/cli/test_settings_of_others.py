"""``import`` and ``export`` on the command line: the job on standard output, the report on standard error."""

from __future__ import annotations

import io
import json
import sys

import pytest

from lib_lora_train.cli import run_command
from lib_lora_train.config.text_yaml import read_yaml
from lib_lora_train.errors import CheckpointError, ConfigError

SCRIPT = """rate=0.0001
accelerate launch train_network.py --network_module=networks.lora --network_dim=8 --network_alpha=4 \\
  --resolution=512 --learning_rate=$rate --xformers --sparkle --output_dir=$HOME/lora
"""


def test_a_script_becomes_a_job_and_a_report(tmp_path, capsys):
    script = tmp_path / "train.sh"
    script.write_text(SCRIPT)
    assert run_command(["import", str(script)]) == 0
    said = capsys.readouterr()
    job = read_yaml(said.out)
    assert job["network"]["network_dim"] == "8"
    assert job["optimizer"]["learning_rate"] == "0.0001"
    for words in ("--xformers", "Not known (1)", "--sparkle", "$HOME", "base.checkpoint is empty"):
        assert words in said.err


def test_standard_input(monkeypatch, capsys):
    class Input:
        buffer = io.BytesIO(json.dumps({"LoRA_type": "Standard", "network_dim": 12}).encode())

    monkeypatch.setattr(sys, "stdin", Input)
    assert run_command(["import", "-"]) == 0
    assert read_yaml(capsys.readouterr().out)["network"]["network_dim"] == "12"


def test_what_cannot_be_read_is_a_sentence(tmp_path):
    path = tmp_path / "penny.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"penny\.safetensors is damaged"):
        run_command(["import", str(path)])
    with pytest.raises(ConfigError, match="cannot be read"):
        run_command(["import", str(tmp_path / "missing.toml")])


@pytest.mark.parametrize("wanted, words", [
    ("sd-scripts", "accelerate launch"), ("powershell", "--network_dim='8' `"), ("toml", "network_dim = 8"),
    ("yaml", "network_dim: 8")])
def test_a_job_for_other_programs(tmp_path, capsys, wanted, words):
    job = tmp_path / "job.yaml"
    job.write_text("base: {checkpoint: base.safetensors}\nnetwork: {network_dim: 8, network_alpha: 4}\n"
                   "dataset: {train_data_dir: pictures}\nsave: {output_name: penny, output_dir: Lora}\n"
                   "training: {fit_in_gb: 8}\n")
    assert run_command(["export", str(job), "--as", wanted, "training.seed=5"]) == 0
    said = capsys.readouterr()
    assert words in said.out
    assert "5" in said.out
    assert ("training.fit_in_gb" in said.err) == (wanted != "yaml")


def test_the_dataset_configuration_is_printed_or_written_and_never_overwritten(tmp_path, capsys):
    job = tmp_path / "job.yaml"
    job.write_text("base: {checkpoint: base.safetensors}\ndataset: {train_data_dir: /elsewhere/all, "
                   "concept_settings: ['10_red: keep_tokens=2']}\nsave: {output_name: penny, output_dir: Lora}\n")
    assert run_command(["export", str(job)]) == 0
    said = capsys.readouterr()
    assert "[[datasets.subsets]]" in said.err
    assert "[[datasets" not in said.out
    assert run_command(["export", str(job), "--files", str(tmp_path / "out")]) == 0
    written = tmp_path / "out" / "penny_dataset.toml"
    assert 'image_dir = "/elsewhere/all/10_red"' in written.read_text()
    assert str(written) in capsys.readouterr().err
    with pytest.raises(ConfigError, match="exists already"):
        run_command(["export", str(job), "--files", str(tmp_path / "out")])
    script = tmp_path / "out" / "train.sh"
    assert run_command(["export", str(job)]) == 0
    script.write_text(capsys.readouterr().out)
    (tmp_path / "out" / "unwritable").write_text("a file")
    with pytest.raises(ConfigError, match="unwritable"):
        run_command(["export", str(job), "--files", str(tmp_path / "out" / "unwritable")])
    assert run_command(["import", str(script)]) == 0
    assert "/elsewhere/all" in capsys.readouterr().err
