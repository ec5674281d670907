"""What the routes answer is what the page's types say: no field more or less, and each of its kind."""

from __future__ import annotations

import base64

import pytest
from PIL import Image

from tests.standin.diagnosis import write_diagnosis
from tests.standin.lora_file import write_lora
from tests.standin.webui import use_standin_modules

from .captions.test_tagging import put_tagger
from .conftest import HEADERS, Tab, wait_until
from .page_types import type_errors

use_standin_modules()


class Asked:
    """Asks a tab, and keeps every answer."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.answers: list = []

    def get(self, route: str):
        return self._keep(route, False, self.tab.client.get(f"/train-lora/{route}"))

    def post(self, route: str, body=None):
        return self._keep(route, True, self.tab.post(route, body))

    def _keep(self, route, posted, answer):
        assert answer.status_code == 200, f"{route}: {answer.text}"
        self.answers.append((route, posted, answer.json()))
        return answer.json()


def test_train_tab(tab, tmp_path):
    asked = Asked(tab)
    asked.get("finished")
    asked.post("finished", {"choice": "notify"})
    asked.post("finished/cancel")
    write_lora(tab.services.host.lora_dir / "old.safetensors", {"ss_epoch": "8", "ss_sd_model_name": "nai"})
    for route in ("host", "busy", "schema", "blocks", "regularization", "lora/files", "lora/info?name=old",
                  "presets?images_per_epoch=40", "presets?images_per_epoch=0&family=SDXL&base=Pony",
                  "difficulties?images_per_epoch=40", "difficulties?images_per_epoch=0&family=SDXL&base=",
                  f"family?path={tab.services.host.checkpoints()[0].path}"):
        asked.get(route)
    asked.post("lora/test", {"name": "old"})
    settings = {"train_data_dir": str(tab.dataset)}
    asked.post("dataset/overview", {"folder": str(tab.dataset), "settings": settings})
    asked.post("dataset/trigger-word", {"folder": str(tab.dataset), "word": "fox"})
    asked.post("dataset/overview", {"folder": str(tab.dataset), "settings": settings})
    for kind, path in (("images", ""), ("images", str(tab.dataset.parent)), ("lora", "")):
        asked.post("places", {"kind": kind, "path": path})
        asked.post("places/complete", {"kind": kind, "text": path})
    asked.post("augment/preview", {"folder": str(tab.dataset), "path": "0.png", "settings": settings})
    for job in (tab.job(), {}, {**tab.job(), "network": {"network_dim": 1000}},
                {**tab.job(), "training": {"max_train_steps": 3, "max_train_epochs": None}}):
        asked.post("job/check", {"job": job, "difficulty": "C"})
        asked.post("goal/plan", {"job": job, "goal": {"category": "C", "matters": ["clothes"], "minutes": 1}})
        asked.post("goal/test", {"job": job})
    asked.post("import", {"text": "train_network.py --network_dim=8 --resolution=512 --xformers --seed=$x --odd=1"})
    asked.post("export", {"job": tab.job(), "wanted": "toml"})
    asked.get("own-presets")
    asked.post("own-presets", {"name": "mine", "values": {"network": {"network_dim": 8}}})
    asked.post("own-presets/file", {"name": "mine"})
    asked.post("own-presets/rename", {"name": "mine", "new_name": "ours"})
    asked.post("own-presets/remove", {"name": "ours"})
    assert type_errors(tmp_path, asked.answers) == []


def test_runs_and_tests_of_them(tab, webui_scripts, tmp_path):
    asked = Asked(tab)
    asked.get("runs")
    run = asked.post("runs", {"job": tab.job()})["id"]
    tab.wait_for(run, "finished")
    asked.get("runs")
    events = asked.get(f"runs/{run}?since=0")["events"]
    asked.get(f"runs/{run}?since=40")
    path = next(event["path"] for event in events if event["event"] == "saved")
    asked.post(f"runs/{run}/try", {"path": path})
    asked.get(f"runs/{run}/epochs")
    asked.get(f"runs/{run}/report")
    asked.get(f"runs/{run}/strip")
    asked.post(f"runs/{run}/strip", {"on": False})
    asked.get(f"runs/{run}/test")
    asked.get("block-presets")
    asked.post("block-presets", {"text": "ALL:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"})
    asked.get(f"runs/{run}/plots")
    plot = asked.post(f"runs/{run}/plots", {"kind": "strengths", "prompts": ["penny"], "files": ["penny"], "seed": 7,
                                            "columns": ["0.5", "1"], "row_values": ["1"], "width": 64, "height": 64})
    asked.get(f"runs/{run}/plots")
    asked.get("drawings")
    asked.post("drawings/none/cancel")
    wait_until(lambda: tab.get(f"runs/{run}/plots").json()["drawing"] is None)
    asked.post(f"runs/{run}/plots/mark", {"plot": plot["id"], "column": 0, "row": 0})
    asked.get(f"runs/{run}/plots")
    asked.post(f"runs/{run}/test-prompts", {"text": "penny"})
    asked.post(f"runs/{run}/note", {"starred": True})
    asked.get(f"runs/{run}/diagnosis?seen=")
    write_diagnosis(tab.services.runs_dir / run, tab.dataset, [f"{number}.png" for number in range(5)])
    mark = asked.get(f"runs/{run}/diagnosis?seen=")["mark"]
    asked.get(f"runs/{run}/diagnosis?seen={mark}")
    asked.get(f"runs/{run}/diagnosis/image?index=3")
    asked.get(f"runs/{run}/deletion")
    entry = asked.post(f"runs/{run}/keep-only", {"path": path})["id"]
    asked.get("trash")
    asked.post("trash/restore", {"id": entry})
    asked.post("trash/delete", {"id": asked.post(f"runs/{run}/delete", {"files": True})["id"]})
    second = asked.post("runs", {"job": tab.job("other", max_train_steps=50_000)})["id"]
    tab.wait_for(second, "running")
    asked.post(f"runs/{second}/control", {"action": "stop"})
    tab.wait_for(second, "stopped")
    asked.get(f"runs/{second}?since=0")
    asked.post("plots/stop")
    assert type_errors(tmp_path, asked.answers) == []


def put_diagnosed_run(tab):
    """A run on the dataset in which an image was suspicious."""
    run = tab.services.runs_dir / "20260101-000000-penny"
    run.mkdir(parents=True)
    (run / "job.yaml").write_text(f"dataset:\n  train_data_dir: {tab.dataset}\n")
    write_diagnosis(run, tab.dataset, ["0.png", "1.png", "2.png"], odd=1)


def test_runs_side_by_side(tab, webui_scripts, tmp_path):
    asked = Asked(tab)
    request = {"job": tab.job(max_train_epochs=1), "key": "network.network_dim", "values": [8, 16]}
    asked.post("compare/suggestions", {"job": tab.job(), "key": "network.network_dim"})
    asked.post("compare/suggestions", {"job": tab.job(), "key": "optimizer.optimizer_args"})
    asked.post("compare/plan", request)
    asked.post("compare/plan", {**request, "values": [0, "x", None]})
    runs = asked.post("compare/queue", request)["runs"]
    for run in runs:
        tab.wait_for(run, "finished")
    asked.get("runs")
    asked.post("compare", {"runs": runs})
    asked.post("compare/draw", {"runs": runs, "prompts": ["penny"]})
    wait_until(lambda: asked.post("compare/grids", {"runs": runs})["drawing"] is None)
    [first, *_] = (tab.services.runs_dir).glob("*/grids/*/plot.json")
    first.write_text("[")
    asked.post("compare/grids", {"runs": runs})
    asked.post("compare/stop")
    assert type_errors(tmp_path, asked.answers[-60:]) == []


def test_caption_editor_and_tagger(tab, tmp_path):
    asked = Asked(tab)
    (tab.dataset / "3.txt").unlink()
    opened = asked.post("captions/open", {"folder": str(tab.dataset), "settings": {}})
    who = {"folder": opened["folder"], "session": opened["session"]}

    def ask(route, **body):
        return asked.post(f"captions/{route}", {**who, **body})

    numbers = ask("view", filter="", sort="name")["numbers"]
    ask("view", filter="penny AND (")
    ask("cells", numbers=numbers)
    ask("picture", numbers=[numbers[0]])
    ask("complete", tag="pe")
    ask("preview", operation={"kind": "add", "tags": ["cat"]}, numbers=numbers)
    ask("apply", operation={"kind": "add", "tags": ["long hair", "very long hair", "hair"]}, numbers=numbers)
    ask("undo")
    ask("redo")
    edits = ask("history")["edits"]
    ask("history/changes", numbers=[edits[0]["number"], 10**6])
    way = ask("history/preview", edit=edits[0]["number"])
    ask("history/go", edit=edits[0]["number"], seen=way["seen"])
    for route in ("common", "copied", "paths"):
        ask(route, numbers=numbers[:2])
    ask("numbers", paths=["0.png", "none.png"])
    ask("rename-tag", tag="penny", name="cat")
    (tab.dataset / "meta.json").write_text('{"0": {"caption": "a cat"}, "none": {"tags": "x"}}')
    ask("incoming/files")
    ask("incoming/plan", source="metadata", file="meta.json", mode="append")
    ask("incoming", source="metadata", file="meta.json", mode="append")
    ask("refresh")
    put_diagnosed_run(tab)
    for route, tag in (("activation", "cat"), ("on-off", "penny"), ("consolidate", "penny")):
        ask(route, tag=tag)
    for route in ("suspects", "doubtful"):
        ask(route)
    ask("doubtful/decide", keys=["x"], keep=True)
    ask("doctor", begin=True, settings={})
    wait_until(lambda: tab.post("captions/doctor", who).json()["state"] == "ready")
    ask("doctor")
    plain = Image.new("RGB", Image.open(tab.dataset / "1.png").size, "white")
    plain.paste("red", (10, 10, 30, 30))
    plain.save(tab.dataset / "1.png")
    Image.new("L", plain.size, 255).save(tab.dataset / "1-mask.png")
    ask("refresh")
    cell = ask("cells", numbers=numbers)["cells"][1]
    png = base64.b64encode((tab.dataset / "1-mask.png").read_bytes()).decode()
    ask("mask/facts")
    ask("mask/preview", number=numbers[1], mask={})
    ask("mask/save", number=numbers[1], png=png, seen=cell["mask"])
    ask("mask/remove", numbers=[numbers[1]])
    ask("delete", numbers=[numbers[0]])
    asked.get("tagging")
    asked.get("masks")
    assert type_errors(tmp_path, asked.answers) == []


def test_images_that_come_in_and_go_out(tab, tmp_path):
    asked = Asked(tab)
    opened = asked.post("captions/open", {"folder": str(tab.dataset), "settings": {}})
    who = {"folder": opened["folder"], "session": opened["session"]}

    def ask(route, **body):
        return asked.post(f"captions/{route}", {**who, **body})

    numbers = ask("view")["numbers"]
    intake = ask("intake/begin", files=2, size_bytes=3)["intake"]
    content = (tab.dataset / "1.png").read_bytes()
    for number, (path, data) in enumerate({"a.png": content + b"x", "b.png": content, "c.gif": b"x"}.items()):
        query = f"intake={intake}&number={number}&path={path}&start=0&total={len(data)}"
        answer = tab.client.post(f"/train-lora/captions/intake/piece?{query}", content=data, headers=HEADERS)
        asked.answers.append((f"captions/intake/piece?{query}", True, answer.json()))
    ask("intake/plan", intake=intake)
    ask("intake/add", intake=intake)
    ask("intake/cancel", intake="x")
    ask("send", numbers=[numbers[1]])
    intake = ask("intake/begin", files=1)["intake"]
    tab.client.post(f"/train-lora/captions/intake/piece?intake={intake}&number=0&path=r.png&start=0&total={len(content)}",
                    content=content, headers=HEADERS)
    ask("result", intake=intake, source="1.png", caption="a")
    ask("picture", numbers=[numbers[1]])
    ask("cells", numbers=[numbers[1]])
    asked.post("captions/intake/new-set", {"parent": str(tmp_path), "name": "new"})
    wait_until(lambda: tab.post("captions/view", who).json()["sizes_ready"])
    ask("upscale/plan", numbers=numbers)
    ask("upscale", numbers=numbers, upscaler="Nearest")
    wait_until(lambda: tab.post("captions/upscale/state", who).json()["state"] == "finished")
    ask("upscale/state")
    ask("upscale/stop")
    assert type_errors(tmp_path, asked.answers) == []


def test_crops_of_images(tab, tmp_path):
    asked = Asked(tab)
    opened = asked.post("captions/open", {"folder": str(tab.dataset), "settings": {}})
    who = {"folder": opened["folder"], "session": opened["session"]}
    numbers = asked.post("captions/view", who)["numbers"]
    cell = asked.post("captions/cells", {**who, "numbers": numbers[:1]})["cells"][0]
    with Image.open(tab.dataset / cell["path"]) as picture:
        part = [0, 0, picture.width // 2, picture.height // 2]
    crop = {**who, "number": cell["number"], "version": cell["version"], "frame": part}
    for route in ("options", "frame", "save"):
        asked.post(f"captions/crop/{route}", crop)
    asked.post("captions/crop/batch", {**who, "begin": True, "kind": "borders", "numbers": numbers})
    wait_until(lambda: tab.post("captions/crop/batch", who).json()["state"] == "found")
    asked.post("captions/crop/batch", who)
    assert type_errors(tmp_path, asked.answers) == []


def test_the_causes_of_a_bad_sample(tab, tmp_path):
    asked = Asked(tab)
    put_tagger(tab, "mini")
    opened = asked.post("captions/open", {"folder": str(tab.dataset), "settings": {}})
    who = {"folder": opened["folder"], "session": opened["session"]}
    image = base64.b64encode((tab.dataset / "1.png").read_bytes()).decode()
    about = {**who, "sample": asked.post("captions/causes/sample", {**who, "image": image})["sample"]}
    asked.post("captions/causes/nearest", about)
    wait_until(lambda: tab.post("captions/causes/nearest", about).json()["state"] == "ready")
    asked.post("captions/causes/nearest", about)
    (tab.dataset / ".lora_train").mkdir(exist_ok=True)
    (tab.dataset / ".lora_train" / "confidences.json").write_text('{"1.png": {"hat": 0.9}, "2.png": {"penny": 0.9}}')
    for tag in ("hat", "penny"):
        asked.post("captions/causes/tag", {**who, "tag": tag, "prompt": "penny"})
    tab.services.supervisor.close()
    tab.services.supervisor.join(60)
    asked.post("captions/causes/name", {**about, "model": "mini"})
    asked.post("captions/causes/confidences", {**who, "model": "mini", "numbers": [0]})
    folder = tab.services.runs_dir.parent / "causes" / about["sample"] / ".lora_train"
    folder.mkdir()
    (folder / "confidences.json").write_text('{"whole.png": {"hat": 0.9}}')
    asked.post("captions/causes/named", about)
    assert type_errors(tmp_path, asked.answers) == []


def test_tools(tab, tmp_path):
    asked = Asked(tab)
    write_lora(tab.services.host.lora_dir / "old.safetensors", {"ss_epoch": "8"}).with_suffix(".png").write_bytes(b"x")
    asked.get("tools")
    for command, job in (("inspect", {"lora": "old"}), ("resize", {"lora": "old", "only_curve": True})):
        run = asked.post("tools", {"command": command, "job": job})["id"]
        tab.wait_for(run, "finished")
        asked.get(f"tools/runs/{run}")
        asked.get(f"tools/runs/{run}/pictures")
    asked.get("tools/card?name=old")
    asked.post("tools/card", {"name": "old", "changes": {"preferred_weight": 0.7}})
    asked.get("tools/metadata?name=old")
    asked.post("tools/metadata", {"name": "old", "changes": {"title": "Old"}})
    asked.post("tools/try", {"name": "old"})
    asked.get("tools/publish?name=old")
    changes = asked.post("tools/publish/card", {"name": "old", "trigger": "fox"})["changes"]
    asked.post("tools/publish/sidecar", {"name": "old", "trigger": "fox", "before": {changes[0]["name"]: ""}})
    asked.post("tools/publish/folder", {"name": "old"})
    assert type_errors(tmp_path, asked.answers) == []


def test_the_library_of_prompts(tab, tmp_path):
    asked = Asked(tab)
    asked.get("prompt-sets")
    asked.post("prompt-sets", {"name": "a", "text": "x"})
    asked.post("prompt-sets/import", {"text": "# b\nx"})
    asked.post("prompt-sets/rename", {"name": "a", "new_name": "c"})
    asked.get("prompt-sets/file?name=c")
    asked.post("prompt-sets/remove", {"name": "c"})
    assert type_errors(tmp_path, asked.answers) == []


@pytest.mark.parametrize("wrong", [{}, {"busy": None, "more": 1}, {"busy": {"id": None}}, {"busy": "text"}])
def test_an_answer_that_differs_from_its_type_is_found(tmp_path, wrong):
    assert type_errors(tmp_path, [("busy", False, {"busy": None}), ("busy", False, wrong)])[0].startswith("busy: ")


def test_a_route_without_a_type_is_found(tmp_path):
    assert type_errors(tmp_path, [("unheard-of", False, {"x": 1})])
