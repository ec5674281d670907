"""The tools on the command line: settings in, the file's path as the last line, everything else in the run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import yaml

from lib_lora_train.__main__ import main
from lib_lora_train.cli.usage import TOOL_WORDS, options_of
from lib_lora_train.config.tool_jobs import TOOL_JOBS, load_tool_job, tool_job_yaml
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import RunFolder, create_run
from lib_lora_train.runs.job import values_of
from lib_lora_train.runs.summary import RunIndex
from tests.tools.stand_ins import layer_of, save_layers

KEY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


@pytest.fixture
def penny(tmp_path):
    return save_layers(tmp_path / "penny.safetensors", {KEY: layer_of("lora", 32, 32, 0)})


def events_of(run: RunFolder) -> list[dict]:
    return read_events(run.events_file)[0]


def only_run(folder: Path) -> RunFolder:
    (path,) = folder.iterdir()
    return RunFolder(path)


def test_merge_prints_the_file_last_and_its_run_can_be_read(tiny_file, penny, tmp_path, capsys):
    words = [f"checkpoint={tiny_file}", f"loras=[{penny}]", 'strengths=["1:lbw=OUTALL"]', "output_name=both",
             f"output_dir={tmp_path}", "--runs", str(tmp_path / "runs")]
    assert main(["merge", *words]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == str(tmp_path / "both.safetensors") and Path(printed.out.strip()).is_file()
    assert "Merging penny" in printed.err
    run = only_run(tmp_path / "runs")
    assert run.command == "merge" and values_of(run)["strengths"] == ["1:lbw=OUTALL"]
    names = [event["event"] for event in events_of(run)]
    assert "progress" in names and names[-2:] == ["saved", "finished"]
    summary = RunIndex(tmp_path / "runs").of(run)
    assert (summary.state, summary.damage, summary.saved[0]["name"]) == ("finished", "", "both")


def test_a_worker_starts_from_the_run_folder(tiny_file, tmp_path, capsys):
    state = safetensors.torch.load_file(tiny_file)
    name = "model.diffusion_model.input_blocks.1.1.proj_in.weight"
    safetensors.torch.save_file(state | {name: state[name] * 1.5}, tmp_path / "tuned.safetensors")
    job = load_tool_job("extract", None, [f"org={tiny_file}", f"tuned={tmp_path / 'tuned.safetensors'}",
                                          "network_dim=4", "output_name=penny", f"output_dir={tmp_path / 'out'}"])
    run = create_run(tmp_path / "runs", "extract-penny", tool_job_yaml(job), "extract")
    assert main(["extract", str(run.job_file)]) == 0
    assert [event["event"] for event in events_of(run)][-3:] == ["result", "saved", "finished"]
    result = json.loads(run.result_file.read_text())
    assert {"curve", "error", "bytes", "table", "layers", "sentences"} <= {*result}
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/penny.safetensors"]
    assert capsys.readouterr().out.strip().endswith("penny.safetensors")


def test_a_stop_is_obeyed_and_said(tiny_file, penny, tmp_path):
    job = load_tool_job("merge", None, [f"checkpoint={tiny_file}", f"loras=[{penny}]", "output_name=both",
                                        f"output_dir={tmp_path / 'out'}"])
    run = create_run(tmp_path / "runs", "merge-both", tool_job_yaml(job), "merge")
    run.control.request("stop")
    assert main(["merge", str(run.job_file)]) == 130
    assert events_of(run)[-1]["event"] == "stopped" and not list((tmp_path / "out").iterdir())
    assert RunIndex(tmp_path / "runs").of(run).state == "stopped"


def test_a_failure_is_in_the_log_and_in_the_terminal(penny, tmp_path, capsys):
    words = [f"checkpoint={tmp_path / 'none.safetensors'}", f"loras=[{penny}]", "output_name=both"]
    assert main(["merge", *words, "--runs", str(tmp_path / "runs")]) == 1
    assert "There is no checkpoint" in capsys.readouterr().err
    assert "There is no checkpoint" in events_of(only_run(tmp_path / "runs"))[-1]["text"]


@pytest.mark.parametrize("problem, words", [(MemoryError(), "not enough memory"),
                                            (RuntimeError("CUDA out of memory. Tried"), "not enough memory"),
                                            (KeyError("penny"), "failed with KeyError")])
def test_what_nobody_expected_is_a_sentence_too(tiny_file, penny, tmp_path, capsys, monkeypatch, problem, words):
    def fail(job, work):
        raise problem

    monkeypatch.setattr("lib_lora_train.cli.tools.carry_out_tool", fail)
    pairs = [f"checkpoint={tiny_file}", f"loras=[{penny}]", "output_name=both", "--runs", str(tmp_path / "runs")]
    assert main(["merge", *pairs]) == 1
    assert words in capsys.readouterr().err and words in events_of(only_run(tmp_path / "runs"))[-1]["text"]


@pytest.mark.parametrize("command, words, sentence", [
    ("merge", ["loras=[a]"], "checkpoint is missing"),
    ("extract", ["org=a", "tuned=b", "output_name=c"], "network_dim is missing"),
    ("resize", ["network_dim=3", "output_name=c"], "lora is missing"),
    ("mix", ["loras=[a,b]"], "output_name is empty"),
    ("mix", ["loras=[a,b]", "strengths=[1]", "output_name=c"], "strengths has 1 entries for 2"),
    ("extract", ["network_dim"], "There is no job file network_dim"),
    ("resize", ["lora=a", "output_name=c", "network_dim=x"], "network_dim is 'x'")])
def test_what_is_missing_is_said_before_anything_is_made(tmp_path, monkeypatch, capsys, command, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert main([command, *words]) == 1
    assert sentence in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_settings_win_over_the_file(tmp_path):
    file = tmp_path / "resize.yaml"
    file.write_text(yaml.safe_dump({"lora": "a.safetensors", "network_dim": 4, "output_name": "b"}))
    job = load_tool_job("resize", file, ["network_dim=8"])
    assert (job.network_dim, job.output_name) == (8, "b") and Path(job.lora).is_absolute()


@pytest.mark.parametrize("command", TOOL_JOBS)
def test_every_setting_is_explained_and_the_job_can_be_read_again(command, capsys, tmp_path):
    assert main(["settings", command]) == 0
    text = capsys.readouterr().out
    assert set(yaml.safe_load(text)) == {*TOOL_JOBS[command].__dataclass_fields__} and command in TOOL_WORDS


def test_the_tools_take_a_file_or_pairs():
    assert options_of("merge", ["job.yaml", "output_name=b"]).job == Path("job.yaml")
    assert options_of("merge", ["output_name=b"]).job is None
    assert options_of("inspect", ["penny.safetensors"]).settings == ["lora=penny.safetensors"]
