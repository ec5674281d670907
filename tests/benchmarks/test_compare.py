"""What a comparison with another program counts: steps, seconds, memory and loss."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks import compare
from benchmarks.comparing import held_out as held_out_module
from benchmarks.comparing.programs import Started, check_out, sd_scripts, steps_in_output, this_project
from benchmarks.comparing.report import Measured, table
from benchmarks.comparing.report import compare as compared
from benchmarks.comparing.watching import TreeMemory, Watched, watch
from lib_lora_train.advice.size import read_shapes
from tests.benchmarks import standin_peer

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "demo" / "mini_sd15.safetensors"
MEBI = 2 ** 20


def test_the_first_bar_that_shows_a_step_is_when_it_was_done():
    lines = [(1.0, "caching latents: 100%|██████████| 2/2 [00:01<00:00,  1.2it/s]"),
             (2.0, "steps:   0%|          | 0/3 [00:00<?, ?it/s]"),
             (3.5, "steps:  33%|███▎      | 1/3 [00:01<00:03,  1.50s/it]"),
             (3.6, "steps:  33%|███▎      | 1/3 [00:01<00:03,  1.50s/it, avr_loss=0.123]"),
             (4.0, "epoch 2/3"),
             (5.0, "validation steps:  50%|█████     | 2/4 [00:01<00:01,  1.2it/s]"),
             (6.0, "steps: 100%|██████████| 3/3 [00:04<00:00,  1.33s/it, avr_loss=0.11, Keys Scaled=2]")]
    assert steps_in_output(lines) == [(1, 3.5), (3, 6.0)]


def test_seconds_of_a_step_leave_out_the_first_and_share_what_one_bar_skipped():
    watched = Watched(100.0, [(1, 110.0), (2, 112.0), (4, 118.0)], processor=[(105.0, 4.0), (110.0, 9.0),
                                                                              (118.0, 21.0)])
    assert watched.first_step_seconds == 10.0
    assert watched.step_seconds == [2.0, 3.0]
    assert watched.first_step_processor_seconds == 9.0
    assert watched.step_processor_seconds == 4.0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts shared pages once")
def test_memory_that_processes_share_counts_once_and_their_own_for_each(tmp_path: Path):
    (tmp_path / "program.py").write_text(
        "import mmap, os, time\n"
        "shared = mmap.mmap(-1, 96 << 20)\nshared.write(b'x' * (96 << 20))\n"
        "for _ in range(2):\n    if os.fork() == 0:\n        break\n"
        "own = b'y' * (32 << 20)\nshared[::4096]\nopen('ready%d' % os.getpid(), 'w').close()\ntime.sleep(60)\n")
    program = psutil.Popen([sys.executable, "-S", "program.py"], cwd=tmp_path)
    try:
        memory = TreeMemory(program.pid)
        while len(list(tmp_path.glob("ready*"))) < 3:
            memory.sample()
            time.sleep(0.01)
        memory.sample()
    finally:
        for process in (*program.children(recursive=True), program):
            process.kill()
        program.wait()
    wanted = (96 + 3 * 32) * MEBI
    assert wanted <= memory.peak.total < wanted + 60 * MEBI
    assert wanted <= memory.peak.own <= memory.peak.total


def started(folder: Path, *options: str) -> Started:
    (folder / "job.toml").write_text("max_train_steps = 3\n")
    (folder / "openai_clip-vit-large-patch14").mkdir()
    (folder / "openai_clip-vit-large-patch14" / "vocab.json").write_text("{}")
    command = (sys.executable, standin_peer.__file__, f"--config_file={folder / 'job.toml'}", f"--output_dir={folder}",
               "--output_name=compared", f"--tokenizer_cache_dir={folder}", "--max_data_loader_n_workers=0", *options)
    return Started(command, folder, dict(os.environ), folder / "compared.safetensors", steps_in_output)


def test_a_program_is_timed_by_its_bar_which_ends_its_lines_with_carriage_returns(tmp_path: Path):
    watched = watch(started(tmp_path, "--seconds=0.3"), "the stand-in")
    assert [number for number, _ in watched.steps] == [1, 2, 3]
    assert watched.first_step_seconds >= 0.3
    assert watched.steps[-1][1] - watched.began >= 0.9
    assert sum(watched.step_seconds) == pytest.approx(watched.steps[-1][1] - watched.steps[0][1])
    assert watched.peak.total >= watched.peak.own > 0


def test_a_program_that_fails_is_reported_with_its_last_lines(tmp_path: Path):
    with pytest.raises(SystemExit, match=r"(?s)the stand-in failed \(exit status 1, 2 steps, no LoRA file\).*"
                                         "RuntimeError: the stand-in fails"):
        watch(started(tmp_path, "--seconds=0.1", "--fails=2"), "the stand-in")


def test_ratios_are_of_programs_in_the_same_round():
    one = [Measured(2.0, 1.0, 1.0, 1.0, 100, 50, held_out_loss=0.1), Measured(4.0, 3.0, 1.0, 1.0, 100, 50,
                                                                                held_out_loss=0.1)]
    other = [Measured(4.0, 2.0, 2.0, 4.0, 200, 200, held_out_loss=0.1), Measured(4.0, 3.0, 2.0, 4.0, 200, 200)]
    found = compared(one, other)
    assert (found["step_seconds"].ratio, found["step_seconds"].lowest, found["step_seconds"].highest) == (0.75, 0.5, 1)
    assert found["first_step_seconds"].ratio == 0.75
    assert found["own_memory_bytes"].ratio == 0.25
    assert found["step_processor_seconds"].ratio == 0.25
    assert "gpu_bytes" not in found and "held_out_loss" not in found  # not measured in all rounds
    assert "| one step, median | 2.00 s | 2.50 s | 0.75 | 0.50 to 1.00 |" in table(found, "sd-scripts", 2)


PEER = ("--peer", "sd-scripts", "/nowhere/sd-scripts")


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("--peer", "onetrainer", "x"), "--peer is 'onetrainer'. Write --peer sd-scripts FOLDER"),
    ((*PEER, "--steps", "1"), "--steps is 1. At least 2"),
    ((*PEER, "--rounds", "0"), "--rounds is 0"),
    ((*PEER, "--checkpoint", "no.safetensors"), "--checkpoint is 'no.safetensors', which is no file"),
    ((*PEER, "--dataset", "/nowhere"), "--dataset is /nowhere, where there are no images"),
    ((*PEER, "--held-out", str(ROOT / "tests" / "benchmarks")), "--held-out is .*, where there are no images"),
    ((*PEER, "--json", "/nowhere/found.json"), "there is no folder /nowhere"),
    ((*PEER, "--set", "network_dim"), "'network_dim' cannot be read. Write it as name=value"),
    (("--peer", "commit", "main", "--peer-set", "a=b"), "--peer-set gives options to sd-scripts"),
    ((*PEER, "--checkpoint", str(MINI), "--set", "network.network_dimm=3"), "Did you mean 'network_dim'"),
    ((*PEER, "--checkpoint", str(MINI), "--set", "network.network_dim=many"), "network.network_dim is 'many'"),
    ((*PEER, "--checkpoint", str(MINI), "--device", "xpu:7"), "training.device is 'xpu:7'"),
    ((*PEER, "--checkpoint", str(MINI)), "there is no train_network.py"),
    (("--peer", "sd-scripts", str(ROOT / "tests" / "benchmarks" / "peer"), "--checkpoint", str(MINI)),
     "there is no train_network.py"),
    (("--peer", "commit", "no-such-revision", "--checkpoint", str(MINI)), "there is no such commit"),
])
def test_what_cannot_be_used_is_said_in_a_sentence(arguments, sentence):
    with pytest.raises(SystemExit, match=sentence):
        compare.main(arguments)


def test_a_peer_without_a_python_or_with_one_that_lacks_packages_is_reported(tmp_path: Path):
    with pytest.raises(SystemExit, match="There is no Python .*venv.* Name the one that has the packages"):
        compare.peer_python(None, tmp_path)
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -S \"$@\"\n")
    bare.chmod(0o755)
    with pytest.raises(SystemExit, match="cannot run sd-scripts: ModuleNotFoundError"):
        compare.peer_python(bare, tmp_path)


def test_both_programs_get_one_job_and_what_is_not_the_same_is_said(tmp_path: Path):
    options = compare.read_options([*PEER, "--checkpoint", str(MINI), "--size", "128", "--steps", "7",
                                    "--set", "network.network_dim=5", "--set", "training.weights_on_cpu=50"])
    job = compare.job_of(options, tmp_path)
    peer = sd_scripts(Path("/peer"), Path("/python"), job, read_shapes(MINI) or {}, tmp_path, {"mixed_precision": "no"})
    ours = this_project(ROOT, job, "this project")
    for program in (ours, peer):
        (tmp_path / program.name).mkdir()
    ours.start(tmp_path / ours.name)
    command = peer.start(tmp_path / peer.name).command
    theirs = (tmp_path / peer.name / "job.toml").read_text()
    mine = (tmp_path / ours.name / "job.yaml").read_text()
    assert "network_dim = 5\n" in theirs and "network_dim: 5\n" in mine
    assert 'resolution = "128"\n' in theirs and "max_train_steps = 7\n" in theirs
    assert command[:2] == ("/python", "/peer/train_network.py") and "--mixed_precision=no" in command
    assert any("training.weights_on_cpu is 50" in note for note in peer.notes)


def test_a_version_that_lacks_a_setting_is_not_given_it(tmp_path: Path):
    options = compare.read_options([*PEER, "--checkpoint", str(MINI), "--set", "network.rs_lora=true"])
    known = ["base.checkpoint", "save.output_dir", "save.output_name"]
    program = this_project(ROOT, compare.job_of(options, tmp_path), "commit 1234567", known)
    program.start(tmp_path)
    assert "rs_lora" not in (tmp_path / "job.yaml").read_text()
    assert "commit 1234567 has no setting network.rs_lora, which is True here." in program.notes


def test_a_commit_is_checked_out_apart(tmp_path: Path):
    tree = tmp_path / "tree"
    name = check_out(ROOT, "HEAD", tree)
    try:
        assert (tree / "lib_lora_train" / "__main__.py").is_file() and len(name) >= 7
    finally:
        compare.remove_checkout(ROOT, tree)
    assert not tree.exists()


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    folder = tmp_path / "held_out"
    folder.mkdir()
    for path in (ROOT / "demo" / "held_out").glob("two_hearts.*"):
        shutil.copy(path, folder)
    return folder


def test_the_loss_of_a_file_is_that_of_a_checkpoint_into_which_it_was_merged(tmp_path: Path, held_out: Path):
    from benchmarks.comparing.held_out import held_out_losses

    up, down = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(0))
    up, down = up[:, :2].contiguous(), down[:2].contiguous()
    layer = standin_peer.LAYER
    save_file({f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down, f"{layer}.alpha": torch.tensor(0.5)},
              tmp_path / "lora.safetensors")
    state = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in load_file(MINI).items()}
    weight = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    state[weight] = state[weight] + 0.5 / 2 * up @ down
    save_file(state, tmp_path / "merged.safetensors")
    options = compare.read_options([*PEER, "--checkpoint", str(MINI), "--size", "64"])
    job = compare.job_of(options, tmp_path)
    merged = compare.changed(job, {"base.checkpoint": str(tmp_path / "merged.safetensors")})
    base, with_lora = held_out_losses(job, held_out, [None, tmp_path / "lora.safetensors"])
    [baked] = held_out_losses(merged, held_out, [None])
    assert with_lora == pytest.approx(baked, rel=1e-4)
    assert abs(with_lora / base - 1) > 20 * abs(with_lora / baked - 1)


@pytest.mark.skipif(os.name == "nt", reason="its Python is a shell script")
def test_a_whole_comparison_with_a_stand_in_peer(tmp_path: Path, held_out: Path, capsys, monkeypatch):
    peer = tmp_path / "peer"
    peer.mkdir()
    shutil.copy(standin_peer.__file__, peer / "train_network.py")
    python = tmp_path / "python"
    packages = tmp_path / "packages"
    for name in ("torch", "accelerate", "diffusers", "transformers"):  # the real ones take seconds to import
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").touch()
    python.write_text(f"#!/bin/sh\nPYTHONPATH={shlex.quote(str(packages))} exec {shlex.quote(sys.executable)} \"$@\"\n")
    python.chmod(0o755)
    compare.main(["--peer", "sd-scripts", str(peer), "--peer-python", str(python), "--checkpoint", str(MINI), "--size",
                  "64", "--steps", "2", "--rounds", "1", "--dataset", str(held_out), "--held-out", str(held_out),
                  "--device", "cpu", "--set", "network.network_dim=4", "--json", str(tmp_path / "found.json")])
    printed = capsys.readouterr()
    found = json.loads((tmp_path / "found.json").read_text())
    ours, theirs = found["rounds"][0]["ours"], found["rounds"][0]["peer"]
    assert 0.05 < theirs["step_seconds"] < 5  # each waits for 0.2 s, and may wait longer on a busy machine
    assert ours["step_seconds"] > 0 and ours["memory_bytes"] > theirs["memory_bytes"]
    assert f"Held-out loss without a LoRA: {theirs['held_out_loss']:.5f}." in printed.err  # the stand-in learns nothing
    assert ours["held_out_loss"] != theirs["held_out_loss"]
    assert "| one step, median |" in printed.out and "Not the same: training.mixed_precision" in printed.err
    assert set(found["compared"]) >= {"first_step_seconds", "step_seconds", "memory_bytes", "held_out_loss"}
    assert printed.out.count("| one step, median |") == 2  # before the held-out loss, and with it


def test_what_was_measured_is_written_before_the_held_out_loss(tmp_path: Path, held_out: Path, capsys, monkeypatch):
    sides = [Measured(2.0, 1.0, 1.0, 1.0, 100, 50)], [Measured(4.0, 2.0, 2.0, 2.0, 200, 100)]
    monkeypatch.setattr(compare, "peer_of", lambda *given: SimpleNamespace(name="the peer", notes=()))
    monkeypatch.setattr(compare, "in_turns", lambda *given: (sides, [tmp_path / "one", tmp_path / "other"]))

    def interrupted(*given):
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["compared"]["memory_bytes"]["ratio"] == 0.5
        assert "| one step, median | 1.00 s | 2.00 s | 0.50 |" in capsys.readouterr().out
        raise KeyboardInterrupt

    monkeypatch.setattr(held_out_module, "held_out_losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare.main([*PEER, "--checkpoint", str(MINI), "--dataset", str(held_out), "--held-out", str(held_out),
                      "--rounds", "1", "--device", "cpu", "--json", str(tmp_path / "found.json")])
