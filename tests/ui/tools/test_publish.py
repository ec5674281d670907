"""Publishing a LoRA: what its card says, what stays private, what is never overwritten, and the folder for upload."""

from __future__ import annotations

import errno
import io
import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image, PngImagePlugin

from lib_lora_train.files.safetensors_header import read_safetensors_header
from lib_lora_train.runs.diagnosis.epochs import EpochMeasures, FileMeasures, StrengthMeasure, write_measures
from lib_lora_train.runs.folder import open_run
from lib_lora_train.runs.job import settings_of
from lib_lora_train.ui.pictures import data_url
from lib_lora_train.ui.runs.strip_settings import picture_settings
from lib_lora_train.ui.runs.strip_store import Strip, picture_path, write_strip
from lib_lora_train.ui.tools.publish.paths import without_paths
from lib_lora_train.ui.tools.publish.private import private_changes, without_user
from lib_lora_train.ui.tools.publish.text import code, plain
from tests.crashes import failing, operations_seen
from tests.standin.lora_file import write_lora

TRAINED = {"ss_sd_model_name": "nai.safetensors", "ss_optimizer": "AdamW8bit", "ss_unet_lr": "0.0001",
           "ss_text_encoder_lr": "5e-05", "ss_lr_scheduler": "cosine", "ss_lr_warmup_steps": "100", "ss_epoch": "6",
           "ss_num_epochs": "10", "ss_steps": "1200", "ss_total_batch_size": "2", "ss_resolution": "(512, 768)",
           "ss_dataset_dirs": json.dumps({"10_penny": {"n_repeats": 10, "img_count": 12}, "1_b": {"n_repeats": 1,
                                                                                              "img_count": 7}}),
           "ss_tag_frequency": json.dumps({"10_penny": {"penny": 12, "1girl": 12}}),
           "ss_base_model_version": "sd_v1", "modelspec.trigger_phrase": "penny"}
HOSTILE = "<script>alert(1)</script> [x](javascript:alert(2)) ![](http://e.vil/a.png) `a` | **b**\n# c\u202e"


@pytest.fixture
def lora(tab):
    return write_lora(tab.services.host.lora_dir / "below" / "a.v1.safetensors", TRAINED)


def ask(tab, what="card", name="below/a.v1", **choices):
    return tab.post(f"tools/publish/{what}", {"name": name, "trigger": "penny", **choices})


def front(markdown):
    return yaml.safe_load(markdown.split("---\n")[1])


def test_the_card_of_a_file_says_what_it_knows_and_what_not(tab, lora):
    plan = tab.get("tools/publish", name="below/a.v1").json()
    rows = {row["label"]: row["value"] for row in plan["story"]["settings"]}
    assert rows == {"Network": "LoRA-LierLa, dim 8 and alpha 4", "Optimizer": "AdamW8bit",
                    "Learning rates": "UNet 0.0001, text encoder 5e-05", "Scheduler": "cosine, 100 warmup steps",
                    "Length": "epoch 6 of 10, 1200 steps", "Batch size": "2", "Resolution": "512 × 768",
                    "Images": "12 × 10 repeats + 7 × 1 repeat"}
    assert plan["story"]["missing"] == [] and plan["remembered"]["license"] == ""
    foreign = write_lora(tab.services.host.lora_dir / "foreign.safetensors", {})
    bare = tab.get("tools/publish", name=foreign.stem).json()
    assert bare["story"]["missing"] == ["optimizer", "learning rates", "scheduler", "length", "batch size",
                                        "resolution", "images", "the base model", "a trigger word"]
    text = ask(tab, name="foreign", trigger="").json()["markdown"]
    assert "The file does not say: optimizer" in text and "No license is stated." in text
    assert "license" not in front(text)


@pytest.mark.parametrize("name", ["old.pt", "broken.safetensors"])
def test_files_without_metadata_have_a_card_that_says_so(tab, name):
    (tab.services.host.lora_dir / name).write_bytes(b"x" * 100)
    plan = tab.get("tools/publish", name=name).json()
    assert name in plan["notes"][0] and plan["story"]["settings"] == []
    assert ask(tab, name=name).status_code == 200


def test_metadata_of_other_people_is_text(tab):
    metadata = {**TRAINED, "modelspec.title": HOSTILE, "ss_optimizer": HOSTILE, "ss_sd_model_name": HOSTILE,
                "train_lora_resized_from": HOSTILE}
    write_lora(tab.services.host.lora_dir / "h.safetensors", metadata)
    text = ask(tab, name="h", author=HOSTILE, description=HOSTILE, credits=HOSTILE, license="other", trigger=HOSTILE,
               license_text=HOSTILE).json()["markdown"]
    body = text.split("---\n", 2)[2]
    code_spans = [line for line in body.splitlines() if "`" in line.replace("\\`", "")]
    rest = "\n".join(line for line in body.splitlines() if line not in code_spans)
    assert len(code_spans) == 2 and all("``" in line for line in code_spans)
    assert "<script" not in rest and "\u202e" not in text
    assert not re.search(r"(?<!\\)(?:[\[\]`]|://)", rest)  # every bracket, backtick and address is escaped
    assert [line[:5] for line in rest.splitlines() if line.startswith("# ")] == ["# &lt"]
    assert front(text)["license_name"].startswith("<script>")
    huggingface_hub = pytest.importorskip("huggingface_hub")
    card = huggingface_hub.ModelCard(text)
    assert card.data.license == "other" and card.data.instance_prompt.endswith("# c") and "lora" in card.data.tags


def test_markdown_that_shows_the_characters_themselves():
    assert plain("1. a_b*c _d_") == r"1\. a_b\*c \_d\_" and plain("# x\n- y <b>") == r"\# x - y &lt;b&gt;"
    assert [plain(text) for text in ("5.0", "hearts-1", "- a", "+ a", "2) b", "http://a.b", "===", "a | b")] == [
        "5.0", "hearts-1", r"\- a", r"\+ a", r"2\) b", r"http\://a.b", r"\===", r"a \| b"]
    assert code("a `b` ``c``") == "``` a `b` ``c`` ```" and code("") == ""


@pytest.mark.parametrize("text, shown", [
    (r"C:\Users\Ann Lee\sets\10_x", "10_x"), ("from D:/a b/c.safetensors, too", "from c.safetensors, too"),
    (r"\\nas\share\x.ckpt", "x.ckpt"), ("/home/ann/sets/10_x", "10_x"), ("see file:///mnt/d/x.png", "see x.png"),
    ("~/loras/x", "x"), ("and/or 1/2 https://a.b/c/d", "and/or 1/2 https://a.b/c/d"), ("<lora:a:1> (red:1.2)",) * 2,
    ("/home/ann/sets/", "sets"),
    ("C:\\Users\\ann\\", "ann"), ("/home/ann lee/my sets/x y.safetensors", "x y.safetensors"),
    ("file:///C:/Users/ann/a.png", "a.png"),
    ("--in=/data/sets/a --out=/x/b", "--in=a --out=b"),
    ("set in /home/ann lee/my sets (2)/x y.png here", "set in x y.png here"),
    ("from /mnt/My Disk/a.png and /media/ann/USB 3.0/b.png", "from a.png and b.png"),
    ("a.png of /home/o'neil/my set/a.png or b/c", "a.png of a.png or b/c"),
    ('say "/home/lee, ann/my; sets/x y.png" twice', 'say "x y.png" twice'),
    ("say '/Users/ann lee/x y.png', '~/my sets/z'", "say 'x y.png', 'z'"),
    ("at file:///home/ann lee/my sets/x.png, then", "at x.png, then"),
    ("at file:///C:/Users/ann%20lee/x.png", "at x.png"), ("at file://nas/my share/x.png", "at x.png"),
    (r"on \\nas\my share\ann lee\x.ckpt", "on x.ckpt"), ("on //nas/my share/x.ckpt now", "on x.ckpt now"),
    (r"on \\?\C:\Users\ann lee\x.ckpt", "on x.ckpt"), (r"on \\?\UNC\nas\share\x.ckpt", "on x.ckpt"),
    (r'"C:\\Users\\Ann Lee\\x.ckpt"', '"x.ckpt"'), ("path:/home/ann lee/x", "path:x"), ("in ~ann/my sets/x", "in x"),
    ("1girl / 2girls, red/blue eyes",) * 2, ("see http://a.b:80/c d/e",) * 2])
def test_folders_are_taken_out_of_texts(text, shown):
    assert without_paths(text) == shown


def test_the_name_of_the_webuis_user_is_taken_out_of_parameters():
    said = 'penny /home/ann/x\nSteps: 4, User: ann, Seed: 7, Model: nai, User: "a, b", Version: 1'
    assert without_user(said) == "penny x\nSteps: 4, Seed: 7, Model: nai, Version: 1"


def test_what_stays_private_is_said(monkeypatch):
    monkeypatch.setattr("lib_lora_train.ui.tools.publish.private.home", lambda: [Path("/home/annlee")])
    job = {"dataset": {"train_data_dir": "set", "resolution": "512"}, "base": {"vae": "x"}}
    metadata = {**TRAINED, "ss_training_comment": "by AnnLee in /home/annlee/sets/x", "train_lora_job": json.dumps(job),
                "ss_datasets": json.dumps([{"image_dir": "D:\\annlee\\x"}]), "sshs_model_hash": "ab/cd/ef",
                "modelspec.thumbnail": data_url(Image.new("RGB", (8, 8)), "JPEG")}
    changes, said = private_changes(metadata, without_dataset=False, kept="penny")
    assert changes == {"ss_training_comment": "by user in x", "ss_datasets": '[{"image_dir": "x"}]'}
    assert len(said) == 2 and "annlee" in said[1]
    changes, said = private_changes(metadata, without_dataset=True, kept="annlee")
    assert {key for key, value in changes.items() if value is None} == {"ss_dataset_dirs", "ss_tag_frequency",
                                                                       "ss_datasets"}
    assert json.loads(changes["train_lora_job"])["dataset"] == {"train_data_dir": "", "resolution": "512"}
    assert any(line.startswith("Not left out: annlee") for line in said)
    assert private_changes({"ss_steps": "7"}, without_dataset=True) == ({}, [])


@pytest.mark.parametrize("name, written", [
    ("annlee", "by AnnLee, set 10_annlee"), ("Ann Lee", "by ann lee at file://x/Ann%20Lee or Ann_Lee"),
    ("José", "by José")])
@pytest.mark.parametrize("of", ["home", "login"])
def test_the_users_name_is_in_no_text_of_the_folder(tab, monkeypatch, name, written, of):
    private = "lib_lora_train.ui.tools.publish.private"
    monkeypatch.setattr(f"{private}.home", lambda: [Path("/home") / name] if of == "home" else [])
    monkeypatch.setattr(f"{private}.getpass.getuser", lambda: name if of == "login" else "root")
    metadata = {**TRAINED, "modelspec.title": f"Penny {written}", "ss_training_comment": f"made {written}",
                "ss_optimizer": written, "ss_sd_model_name": f"{name}.safetensors",
                "train_lora_resized_from": f"{name} 2.safetensors", "ss_network_args": json.dumps({"who": name})}
    lora = write_lora(tab.services.host.lora_dir / "x.safetensors", metadata)
    image = PngImagePlugin.PngInfo()
    image.add_text("parameters", f"penny {written}\nSteps: 4, Seed: 7")
    Image.new("RGB", (64, 64), "red").save(lora.with_suffix(".png"), pnginfo=image)
    description = tab.get("tools/publish", name="x").json()["description"]
    made = ask(tab, "folder", name="x", cover="preview", images=["preview"], description=description).json()
    folder = Path(made["folder"])
    readme = (folder / "README.md").read_text(encoding="utf-8")
    shown = ask(tab, name="x", cover="preview", images=["preview"], description=description).json()["markdown"]
    assert readme == shown and "Steps" not in readme
    texts = [readme, str(read_safetensors_header(folder / "x.safetensors").metadata),
             *(Image.open(folder / one).info["parameters"] for one in ("cover.png", "images/01.png"))]
    for text in texts:
        assert "user" in text
        for word in (name, name.replace(" ", "_"), name.replace(" ", "%20"), json.dumps(name)[1:-1]):
            assert word.lower() not in text.lower()
    assert any(f"{name}, your name" in line for line in made["left_out"])
    typed = ask(tab, "folder", name="x", author=name).json()
    assert f"Made by {name}" in (Path(typed["folder"]) / "README.md").read_text(encoding="utf-8")
    assert typed["left_out"][-1].startswith(f"Not left out: {name}, your name on this machine, is in the author.")


def test_the_sidecar_is_changed_only_where_the_user_agreed(tab, lora):
    sidecar = lora.with_suffix(".json")
    sidecar.write_text(json.dumps({"activation text": "mine", "notes": "", "civitai": 7}))
    changes = {change["name"]: change for change in ask(tab).json()["changes"]}
    assert changes["activation_text"]["before"] == "mine" and changes["activation_text"]["after"] == "penny"
    assert set(changes) == {"activation_text", "notes", "sd_version"}
    assert ask(tab, "sidecar", before={"notes": "", "sd_version": ""}).status_code == 200
    written = json.loads(sidecar.read_text())
    assert written["activation text"] == "mine" and written["civitai"] == 7 and written["sd version"] == "SD1"
    assert "Optimizer: AdamW8bit" in written["notes"]
    for before, words in (({"activation_text": "other"}, "changed meanwhile"),
                          ({"notes": ""}, "already as on the card"), ({"x": ""}, "not part of it")):
        refused = ask(tab, "sidecar", before=before)
        assert refused.status_code == 400 and words in refused.json()["error"]
    assert json.loads(sidecar.read_text()) == written
    assert ask(tab, "sidecar", before={"activation_text": "mine"}).status_code == 200
    assert json.loads(sidecar.read_text())["activation text"] == "penny"


def test_a_folder_ready_for_upload(tab, lora):
    before = lora.read_bytes()
    user = PngImagePlugin.PngInfo()
    user.add_text("parameters", "penny\nSteps: 4, User: ann")
    user.add_text("where", "/home/ann")
    Image.new("RGB", (64, 64), "red").save(lora.with_suffix(".png"), pnginfo=user)
    made = ask(tab, "folder", cover="preview", images=["preview"], license="cc0-1.0", base_model="a/b").json()
    assert made["files"] == ["README.md", "a.v1.safetensors", "cover.png", "images/01.png"] and not made["linked"]
    folder = Path(made["folder"])
    values = front((folder / "README.md").read_text(encoding="utf-8"))
    assert values["license"] == "cc0-1.0" and values["base_model"] == "a/b" and values["instance_prompt"] == "penny"
    assert values["widget"] == [{"text": "-", "output": {"url": "images/01.png"}}]
    copy = read_safetensors_header(folder / "a.v1.safetensors")
    assert "ss_tag_frequency" not in copy.metadata and copy.metadata["ss_steps"] == "1200"
    assert lora.read_bytes() == before and "ss_tag_frequency" in made["left_out"][0]
    assert Image.open(folder / "cover.png").info == {"parameters": "penny\nSteps: 4"}
    assert tab.get("tools/publish", name="below/a.v1").json()["remembered"]["license"] == "cc0-1.0"
    (folder / "README.md").write_text("mine")
    again = ask(tab, "folder", without_dataset=False).json()
    assert (again["name"], again["linked"], again["left_out"]) == ("a.v1-2", True, [])
    assert (folder / "README.md").read_text() == "mine" and lora.stat().st_nlink == 2


def test_a_full_disk_leaves_no_half_folder(tab, lora):
    for at in range(1, 30):
        with failing(at, 1, errno.ENOSPC):
            answer = ask(tab, "folder", without_dataset=False)
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 400:
            assert "disk is full" in answer.json()["error"]
        if operations_seen() < at:
            break
    place = tab.services.runs_dir.parent / "published"
    assert at > 3 and all((folder / name).is_file() for folder in place.iterdir() for name in ("README.md", lora.name))


@pytest.mark.parametrize("choices, words", [
    ({"license": "gpl-9"}, "license is 'gpl-9'"), ({"license": "other"}, "license_text is empty"),
    ({"license_link": "javascript:x"}, "license_link"), ({"base_model": "https://x/y/z"}, "owner/name"),
    ({"cover": "../../secret.png"}, "not one of this LoRA's"), ({"images": ["x"] * 21}, "Take fewer"),
    ({"title": "x" * 400}, "title has 400"), ({"author": "\ud83d"}, "half a character")])
def test_choices_that_cannot_be_used(tab, lora, choices, words):
    body = json.dumps({"name": "below/a.v1", **choices})
    for what in ("card", "folder", "sidecar"):
        answer = tab.client.post(f"/train-lora/tools/publish/{what}", content=body,
                                 headers={"X-Train-Lora": "1", "Content-Type": "application/json"})
        assert answer.status_code == 400 and (words in answer.json()["error"] or "\ud83d" in choices.values())
    assert not (tab.services.runs_dir.parent / "published").exists()


def test_credits_of_the_loras_it_came_from(tab):
    folder = tab.services.host.lora_dir
    write_lora(folder / "deep" / "parent.safetensors", {"modelspec.author": "Ann", "modelspec.license": "cc-by-4.0"})
    write_lora(folder / "silent.safetensors", {})
    write_lora(folder / "child.safetensors", {"train_lora_job": json.dumps(
        {"network": {"network_weights": "parent.safetensors"}})})
    mixed = [{"name": "silent.safetensors"}, {"name": "gone.safetensors"}, {"name": 3}, "x"]
    write_lora(folder / "mix.safetensors",
               {"train_lora_mixed_from": json.dumps(mixed), "modelspec.merged_from": "a, b"})
    child = tab.get("tools/publish", name="child").json()
    assert child["credits"] == ["Continued from parent.safetensors by Ann, license cc-by-4.0"]
    mix = tab.get("tools/publish", name="mix").json()
    assert mix["credits"][0] == "Mixed from silent.safetensors, which states no license" and len(mix["credits"]) == 4
    assert sum("is not among your LoRAs" in note for note in mix["notes"]) == 3
    assert r"Continued from parent.safetensors by Ann" in ask(tab, name="child").json()["markdown"]


def test_a_runs_file_has_strip_samples_plots_and_the_measured_epoch(tab, finished_run):
    run = open_run(tab.services.runs_dir, finished_run(tab))
    saved = tab.services.index.of(run).saved
    path = Path(saved[1]["path"])
    job = settings_of(run)
    strip = Strip(True, ("penny, beach",), picture_settings(None, job), "/models/best.ckpt")
    write_strip(run, strip)
    for file in (None, path):
        picture_path(run, strip, file, 0).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), "red").save(picture_path(run, strip, file, 0))
    plot = run.path / "plots" / "p1"
    plot.mkdir(parents=True)
    Image.new("RGB", (64, 48), "blue").save(plot / "cell-01-00.png")
    facts = {"kind": "strengths", "state": "finished", "created": 1.0, "changes": {}, "grid": "", "file": path.stem,
             "cells": {"1,0": "plots/p1/cell-01-00.png", "0,0": "../../../x.png"}, "prompts": [], "error": "",
             "columns": {"title": "UNet", "values": ["0.5", "1"], "headings": ["UNet 0.5", "UNet 1"]}, "best": [1, 0],
             "rows": {"title": "Text encoder", "values": ["1"], "headings": ["Text encoder 1"]},
             "checkpoint": "other.safetensors [abc]"}
    (plot / "plot.json").write_text(json.dumps(facts))
    losses = {event["name"]: tuple((mean + 0.01 * image + 1e-5 * (image % 3),) for image in range(6))
              for event, mean in zip(saved, (0.11, 0.10, 0.13), strict=True)}
    best = losses[saved[1]["name"]]
    write_measures(run.path, EpochMeasures(
        "held_out", images=tuple("abcdef"),
        base=FileMeasures("", "", 0, 0, held_out=tuple((0.2 + 0.01 * image,) for image in range(6))),
        files=tuple(FileMeasures(event["name"], event["path"], event["step"], event["epoch"],
                                 held_out=losses[event["name"]]) for event in saved),
        strengths=tuple(StrengthMeasure(value, tuple((cell[0] + more,) for cell in best))
                        for value, more in ((0.6, 0.01), (0.8, -0.02), (1.0, 0.0))), strengths_of=saved[1]["name"]))
    plan = tab.get("tools/publish", name=str(path)).json()
    tests = plan["tested"]
    assert tests["run"] == run.id and tests["strength"] == pytest.approx(0.8, abs=0.1)
    assert "best of this run" in tests["best"][0] and "UNet 1, Text encoder 1" in tests["best"][-1]
    assert tests["bases"] == ["best.ckpt", "other.safetensors"]
    ids = [image["id"] for image in tests["images"]]
    assert ids[0] == "strip" and "plots/p1/cell-01-00.png" in ids and not any(".." in one for one in ids)
    sheet = tab.get("tools/publish/image", name=str(path), image="strip")
    assert Image.open(io.BytesIO(sheet.content)).size == (64, 104)
    text = ask(tab, name=str(path), cover="strip", images=[ids[1]]).json()
    assert "Tested on best.ckpt, other.safetensors" in text["markdown"] and "`penny, beach`" in text["markdown"]
    assert {change["name"] for change in text["changes"]} >= {"preferred_weight", "notes"}
    other = tab.get("tools/publish", name=saved[0]["path"]).json()["tested"]
    assert other["strength"] is None and "Measured as best is another file" in other["notes"][0]
