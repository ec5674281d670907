"""The tools' routes: jobs of the webui's own files, their runs, and what they found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib_lora_train.config.setting import fields_of
from lib_lora_train.config.text_yaml import read_yaml
from lib_lora_train.config.tool_jobs import TOOL_JOBS
from tests.figures import share
from tests.networks.foreign_files import FOREIGN, NO_LORA, OTHER_NAMES
from tests.standin.checkpoint_file import SD1, SD2, SDXL, write_header
from tests.standin.lora_file import write_lora
from tests.ui.conftest import wait_until
from tests.ui.test_nonsense import NONSENSE


@pytest.fixture
def loras(tab):
    folder = tab.services.host.lora_dir
    return [write_lora(folder / name, {"ss_epoch": "3"}) for name in ("a.safetensors", "below/b.safetensors")]


@pytest.fixture
def checkpoint(tab):
    return str(write_header(tab.services.host.checkpoints()[0].path, SD1, whole=True))


def start(tab, command, **job):
    answer = tab.post("tools", {"command": command, "job": job})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def refused(tab, command, **job):
    answer = tab.post("tools", {"command": command, "job": job})
    assert answer.status_code == 400, answer.text
    return answer.json()["problems"]


def job_of(tab, run_id):
    return read_yaml((tab.services.runs_dir / run_id / "job.yaml").read_text())


def test_every_tool_has_its_settings(tab):
    groups = tab.get("tools").json()["groups"]
    assert [group["name"] for group in groups] == list(TOOL_JOBS)
    for group in groups:
        assert {setting["name"] for setting in group["settings"]} == {
            field.name for field in fields_of("", TOOL_JOBS[group["name"]])}


def test_a_lora_in_a_folder_below_is_resized(tab, loras):
    run = start(tab, "resize", lora="below/b", network_dim=4, output_name="small")
    assert job_of(tab, run)["lora"] == str(loras[1])
    assert tab.wait_for(run, "finished")["command"] == "resize"
    assert (loras[1].parent / "small.safetensors").is_file()
    result = tab.get(f"tools/runs/{run}").json()
    assert [point["rank"] for point in result["curve"]] == [1, 2, 4, 8, 16]
    assert result["found"] is None and result["error"] == pytest.approx(0.03)
    with_tag = tab.post("tools/try", {"name": "below/b"}).json()
    assert (with_tag["prompt"], with_tag["width"]) == ("<lora:b:1>", 0)


def test_only_the_curve_needs_no_name_and_saves_nothing(tab, loras):
    run = start(tab, "resize", lora="a", only_curve=True)
    assert tab.wait_for(run, "finished")["saved"] == []
    assert tab.get(f"tools/runs/{run}").json()["curve"]


def test_an_extracted_lora_goes_into_the_folder_of_loras(tab, checkpoint):
    run = start(tab, "extract", org=checkpoint, tuned=checkpoint, network_dim=8, output_name="difference")
    tab.wait_for(run, "finished")
    assert (tab.services.host.lora_dir / "difference.safetensors").is_file()


def test_a_merged_checkpoint_is_in_the_webuis_list(tab, loras, checkpoint):
    presets = "MINE:0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"
    assert tab.post("block-presets", {"text": presets}).status_code == 200
    run = start(tab, "merge", checkpoint=checkpoint, loras=["a", "below/b"], strengths=["1", "te=0.5:unet=1:lbw=MINE"],
                output_name="merged")
    assert job_of(tab, run)["block_presets"].endswith(".txt")
    tab.wait_for(run, "finished")
    titles = wait_until(lambda: (found := [file["title"] for file in tab.get("host").json()["checkpoints"]])
                        and "merged.safetensors" in found and found)
    assert len(titles) == 2


def test_a_tool_is_stopped_and_saves_nothing(make_tab):
    tab = make_tab(variables={"STANDIN_STEP_SECONDS": "1"})
    write_lora(tab.services.host.lora_dir / "a.safetensors", {})
    run = start(tab, "mix", loras=["a", "a"], output_name="both")
    tab.wait_for(run, "running")
    assert tab.post(f"runs/{run}/control", {"action": "stop"}).status_code == 200
    assert tab.wait_for(run, "stopped")["saved"] == []


def test_the_facts_of_a_lora(tab, loras):
    run = start(tab, "inspect", lora="a.safetensors")
    tab.wait_for(run, "finished")
    found = tab.get(f"tools/runs/{run}").json()["found"]
    assert (found["ranks"], found["tags"][0], found["family"]) == ({"8": 3}, ["penny", 20], "SD 1.x")


@pytest.mark.parametrize("command, job, words", [
    ("resize", {"lora": "gone", "network_dim": 4, "output_name": "x"}, "lora is 'gone'"),
    ("resize", {"lora": "/etc/passwd", "network_dim": 4, "output_name": "x"}, "there is no such LoRA"),
    ("resize", {"lora": "../../x", "network_dim": 4, "output_name": "x"}, "there is no such LoRA"),
    ("resize", {"network_dim": 4, "output_name": "x"}, "lora is missing"),
    ("resize", {"lora": "a", "output_name": "x"}, "network_dim is missing"),
    ("resize", {"lora": "a", "network_dim": 0, "output_name": "x"}, "network_dim is 0"),
    ("resize", {"lora": "a", "network_dim": 4, "output_name": "A"}, "'A-v2' is free"),
    ("resize", {"lora": "a", "network_dim": 4, "output_name": "x/y"}, "output_name"),
    ("resize", {"lora": "a", "network_dim": 4, "output_name": "x", "output_dir": "/etc"}, "output_dir is '/etc'"),
    ("resize", {"lora": "a", "network_dim": 4, "output_name": "x", "model": "/etc/passwd"}, "'model' is not a setting"),
    ("resize", {"lora": "a", "sv_fro": 0.9, "sv_ratio": 3, "output_name": "x"}, "both decide"),
    ("extract", {"org": "/etc/passwd", "tuned": "x", "network_dim": 4, "output_name": "x"}, "org is '/etc/passwd'"),
    ("mix", {"loras": ["a", ""], "output_name": "x"}, "number 2 is not chosen"),
    ("mix", {"loras": ["a", "/etc/passwd"], "output_name": "x"}, "loras is '/etc/passwd'"),
    ("mix", {"loras": ["a"], "strengths": ["1", "1"], "output_name": "x"}, "strengths has 2"),
    ("merge", {"loras": [], "output_name": "x"}, "checkpoint is missing"),
    ("merge", {"loras": ["a"], "checkpoint": "MINI", "output_name": "mini"}, "'mini-v2' is free"),
    ("merge", {"loras": ["a"], "checkpoint": "MINI", "output_name": "x", "output_dir": "/etc"}, "output_dir is '/etc'"),
    ("inspect", {"lora": "\0"}, "there is no such LoRA")])
def test_what_cannot_be_used_is_a_sentence_about_its_field(tab, loras, checkpoint, command, job, words):
    if job.get("checkpoint") == "MINI":
        job = {**job, "checkpoint": checkpoint}
    problems = refused(tab, command, **job)
    assert any(words in problem for problem in problems), problems
    assert tab.get("runs").json() == []


@pytest.mark.parametrize("command", list(TOOL_JOBS))
def test_nonsense_is_no_server_error(tab, loras, command):
    """As a rule each field is given every third, the next one others; in full all of it."""
    given = [one for value in NONSENSE for one in (value, [value])]
    for number, field in enumerate(fields_of("", TOOL_JOBS[command])):
        for value in share(given, number, 3):
            answer = tab.post("tools", {"command": command, "job": {"output_name": "x", field.name: value}})
            assert answer.status_code < 500, (field.name, value, answer.text)


def test_no_such_tool_and_no_such_run(tab):
    assert "There is no tool" in tab.post("tools", {"command": "bake", "job": {}}).json()["error"]
    assert tab.get("tools/runs/nowhere").status_code == 400


@pytest.mark.parametrize("content", ["", "[]", "{\"curve\": 3}", "{\"sentences\": 7}", "\0", "{\"error\": NaN}"])
def test_a_damaged_result_is_a_sentence(tab, loras, content):
    run = start(tab, "resize", lora="a", only_curve=True)
    tab.wait_for(run, "finished")
    (tab.services.runs_dir / run / "result.json").write_text(content)
    assert "cannot be read" in tab.get(f"tools/runs/{run}").json()["error"]


def test_a_training_run_has_no_result_of_a_tool(tab):
    run = tab.start()
    assert "none of a tool" in tab.get(f"tools/runs/{run}").json()["error"]


def test_a_waiting_tool_keeps_its_name(make_tab):
    tab = make_tab(variables={"STANDIN_STEP_SECONDS": "1"})
    write_lora(tab.services.host.lora_dir / "a.safetensors", {})
    start(tab, "resize", lora="a", network_dim=4, output_name="small")
    assert "'small-v2' is free" in json.dumps(refused(tab, "resize", lora="a", network_dim=2, output_name="small"))


XL_LAYER = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"


@pytest.fixture
def files(tab, loras, checkpoint):
    """A LoRA of SDXL and checkpoints of SD 1.x, SD 2.x and SDXL, the first of which is the webui's own."""
    lora_dir, checkpoints = tab.services.host.lora_dir, Path(checkpoint).parent
    write_header(lora_dir / "xl.safetensors", {f"{XL_LAYER}.lora_down.weight": (4, 2048),
                                               f"{XL_LAYER}.lora_up.weight": (640, 4)}, whole=True)
    write_header(lora_dir / "cut.safetensors", {f"{XL_LAYER}.lora_down.weight": (4, 2048)})
    (lora_dir / "empty.safetensors").write_bytes(b"")
    write_header(checkpoints / "xl.safetensors", SDXL, whole=True)
    write_header(checkpoints / "two.safetensors", SD2, whole=True)
    write_header(checkpoints / "cut.safetensors", SD1)
    write_header(checkpoints / "vae.safetensors", {"decoder.norm_out.weight": (8,)}, whole=True)
    write_header(checkpoints / "lora.safetensors", {f"{XL_LAYER}.lora_down.weight": (4, 2048)}, whole=True)
    tab.services.host.refresh_checkpoints()
    return checkpoints


@pytest.mark.parametrize("strength, words", [
    ("1:lbw=NOWHERE", "There is no"), ("1:lbw=1,2,3", "1:lbw=1,2,3"), ("strong", "cannot be read"),
    ("9e9", "out of range"),
    ("te=x", "cannot be read"), ("1:step=2-5", "need sampling steps"), ("1:1:dyn=x", "cannot be read"),
    ("1:lbw=1,1,1,1,1,1,1,1,1,1,1,y", "lbw")])
@pytest.mark.parametrize("command", ["merge", "mix"])
def test_a_strength_that_no_prompt_could_have_is_said_under_its_field(tab, loras, checkpoint, command, strength, words):
    job = {"loras": ["a", "below/b"], "strengths": ["0.8", strength], "output_name": "x"}
    problems = refused(tab, command, **job, **({"checkpoint": checkpoint} if command == "merge" else {}))
    assert problems[0].startswith("strengths: ") and words in problems[0], problems
    assert repr(strength) in problems[0] and " b " in problems[0]


@pytest.mark.parametrize("command, job, words", [
    ("merge", {"loras": ["a", "xl"], "checkpoint": "mini"}, ["loras: xl.safetensors is for SDXL", "SD 1.x"]),
    ("merge", {"loras": ["a"], "checkpoint": "xl"}, ["loras: a.safetensors is for SD 1.x", "SDXL"]),
    ("merge", {"loras": ["a"], "checkpoint": "vae"}, ["checkpoint: ", "is a VAE alone"]),
    ("merge", {"loras": ["a"], "checkpoint": "lora"}, ["checkpoint: ", "is a LoRA, not a checkpoint"]),
    ("merge", {"loras": ["a", "cut"], "checkpoint": "cut"}, ["loras: ", "cut.safetensors is damaged", "checkpoint: "]),
    ("mix", {"loras": ["a", "xl"]}, ["loras: a.safetensors is for SD 1.x, xl.safetensors for SDXL"]),
    ("mix", {"loras": ["a", "empty"]}, ["loras: ", "empty.safetensors is damaged"]),
    ("mix", {"loras": ["a", "below/b"], "checkpoint": "two"}, ["a.safetensors is for SD 1.x", "SD 2.x"]),
    ("resize", {"lora": "cut", "network_dim": 2}, ["lora: ", "cut.safetensors is damaged"]),
    ("resize", {"lora": "xl", "network_dim": 2, "checkpoint": "mini"}, ["lora: xl.safetensors is for SDXL"]),
    ("extract", {"org": "mini", "tuned": "xl", "network_dim": 4}, ["tuned: mini.safetensors is SD 1.x and xl"]),
    ("extract", {"org": "two", "tuned": "cut", "network_dim": 4}, ["tuned: ", "damaged or truncated"]),
    ("extract", {"org": "lora", "tuned": "vae", "network_dim": 4}, ["org: ", "is a LoRA", "tuned: ", "is a VAE"]),
    ("inspect", {"lora": "empty"}, ["lora: ", "damaged"])])
def test_families_and_damage_are_said_before_the_run(tab, files, command, job, words):
    named = {key: str(files / f"{value}.safetensors") for key, value in job.items()
             if key in ("checkpoint", "org", "tuned")}
    if command != "inspect":
        named["output_name"] = "new"
    said = " | ".join(refused(tab, command, **{**job, **named}))
    assert all(word in said for word in words), said
    assert tab.get("runs").json() == []


@pytest.mark.parametrize("name", [*FOREIGN, *OTHER_NAMES, *NO_LORA])
def test_what_is_no_lora_for_stable_diffusion_is_said_before_the_run(tab, name):
    shapes, words = FOREIGN.get(name) or NO_LORA.get(name) or (OTHER_NAMES.get(name), "names of another program")
    write_header(tab.services.host.lora_dir / "x.safetensors", shapes, whole=True)
    said = refused(tab, "resize", lora="x", network_dim=2, output_name="new")
    assert said[0].startswith("lora: ") and words in said[0], said


def test_files_of_old_kinds_are_left_to_the_worker(tab):
    (tab.services.host.lora_dir / "old.pt").write_bytes(b"PK")
    assert start(tab, "resize", lora="old.pt", network_dim=2, output_name="new")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and ".trash" not in path.parts}


RUNS = {"resize": ({"lora": "a", "network_dim": 4}, ".safetensors"),
        "mix": ({"loras": ["a", "a"]}, ".safetensors"),
        "extract": ({"org": "CHECKPOINT", "tuned": "CHECKPOINT", "network_dim": 4}, ".safetensors"),
        "merge": ({"checkpoint": "CHECKPOINT", "loras": ["a"]}, ".safetensors"),
        "inspect": ({"lora": "a"}, "")}


@pytest.mark.parametrize("with_files", [True, False])
@pytest.mark.parametrize("command", RUNS)
def test_a_deleted_run_of_a_tool_comes_back_with_its_file(tab, loras, checkpoint, command, with_files):
    job, ending = RUNS[command]
    job = {key: checkpoint if value == "CHECKPOINT" else value for key, value in job.items()}
    run = start(tab, command, **job, **({"output_name": "made"} if ending else {}))
    tab.wait_for(run, "finished")
    folder = tab.services.runs_dir / run
    (folder / "factors.bin").write_bytes(b"vectors")
    place = Path(checkpoint).parent if command == "merge" else tab.services.host.lora_dir
    if ending:
        (place / "made.png").write_bytes(b"preview")
    if command == "merge":
        (place / "made.yaml").write_text("model: {}")
    before = contents(tab.data)
    reported = tab.get(f"runs/{run}/deletion").json()
    assert [file["name"] for file in reported["files"]] == (["made.safetensors"] if ending else [])
    assert reported["elsewhere"] == []
    entry = tab.post(f"runs/{run}/delete", {"files": with_files}).json()
    assert run not in [one["id"] for one in tab.get("runs").json()]
    assert not folder.exists()
    left = [path.name for path in place.glob("made.*")]
    assert left == [] if with_files else (not ending or "made.safetensors" in left)
    if command == "merge":
        titles = [file["title"] for file in tab.get("host").json()["checkpoints"]]
        assert ("made.safetensors" in titles) is not with_files
    assert tab.post("trash/restore", {"id": entry["id"]}).status_code == 200
    assert contents(tab.data) == before
    assert tab.get(f"tools/runs/{run}").status_code == 200


def test_the_checkpoint_in_use_stays(tab, loras, checkpoint, monkeypatch):
    run = start(tab, "merge", checkpoint=checkpoint, loras=["a"], output_name="made")
    tab.wait_for(run, "finished")
    host = tab.services.host
    made = wait_until(lambda: next((file for file in host.checkpoints() if file.path.stem == "made"), None))
    monkeypatch.setattr(host, "checkpoint", lambda: made)
    answer = tab.post(f"runs/{run}/delete", {"files": True})
    assert (answer.status_code, "made.safetensors" in answer.json()["error"]) == (400, True)
    assert made.path.is_file()
    assert tab.post(f"runs/{run}/delete", {"files": False}).status_code == 200
    assert made.path.is_file()


def test_a_tool_at_work_is_not_deleted(make_tab):
    tab = make_tab(variables={"STANDIN_STEP_SECONDS": "1"})
    write_lora(tab.services.host.lora_dir / "a.safetensors", {})
    run = start(tab, "mix", loras=["a", "a"], output_name="both")
    tab.wait_for(run, "running")
    assert "Stop it first" in tab.post(f"runs/{run}/delete", {"files": False}).json()["error"]
    tab.post(f"runs/{run}/control", {"action": "stop"})
    tab.wait_for(run, "stopped")
    assert tab.post(f"runs/{run}/delete", {"files": True}).status_code == 200


def test_only_a_merge_deletes_checkpoints(tab, loras, checkpoint):
    run = start(tab, "resize", lora="a", network_dim=4, output_name="small")
    tab.wait_for(run, "finished")
    with (tab.services.runs_dir / run / "events.jsonl").open("a") as events:
        events.write(json.dumps({"time": 1, "event": "saved", "path": checkpoint, "name": "x", "step": 0, "epoch": 0,
                                 "final": True}) + "\n")
    reported = tab.get(f"runs/{run}/deletion").json()
    assert [file["name"] for file in reported["files"]] == ["small.safetensors"]
    assert reported["elsewhere"] == [checkpoint]
    tab.post(f"runs/{run}/delete", {"files": True})
    assert Path(checkpoint).is_file()
