"""Groups of runs that differ in one setting: checked as a whole, queued all or none, named apart, on any base."""

from __future__ import annotations

import pytest
from PIL import Image

from lib_lora_train.runs.folder import RunFolder
from lib_lora_train.runs.job import settings_of
from tests.standin.checkpoint_file import SD1, SD2, SDXL, write_header

from ...conftest import painted, wait_until

DIM = "network.network_dim"


def planned(tab, key, values, **request):
    answer = tab.post("compare/plan", {"job": tab.job(), "key": key, "values": values, **request})
    assert answer.status_code == 200, answer.text
    return answer.json()


def queued(tab, key, values, **request):
    answer = tab.post("compare/queue", {"job": tab.job(max_train_epochs=1), "key": key, "values": values, **request})
    assert answer.status_code == 200, answer.text
    return answer.json()["runs"]


def job_of(tab, run):
    return settings_of(RunFolder(tab.services.runs_dir / run))


def grids_of(tab, runs):
    return tab.post("compare/grids", {"runs": runs}).json()


def test_the_plan_says_how_many_steps_and_which_names(tab):
    (tab.services.host.lora_dir).mkdir(parents=True, exist_ok=True)
    (tab.services.host.lora_dir / "penny-dim16.safetensors").write_bytes(b"of an earlier run")
    plan = planned(tab, DIM, [8, 16, 32])
    assert plan["title"] == "Network dim (rank): 8, 16, 32" and plan["problems"] == []
    assert [one["name"] for one in plan["variants"]] == ["penny-dim8", "penny-dim16-v2", "penny-dim32"]
    assert plan["steps"] == sum(one["steps"] for one in plan["variants"]) == 3 * plan["variants"][0]["steps"] > 0
    assert plan["variants"][0]["notes"] == [
        "Network alpha: 4 instead of 16, so that alpha / rank stays 0.5."]
    assert plan["variants"][2]["notes"] == []
    assert tab.get("runs").json() == []


@pytest.mark.parametrize(("key", "values", "about"), [
    (DIM, [8, 0, "many"], {"0": "network.network_dim is 0", "many": "network.network_dim is 'many'"}),
    ("optimizer.optimizer_type", ["AdamW", "Adam"], {"Adam": "optimizer.optimizer_type is 'Adam'"}),
    ("dataset.resolution", ["512", "5x"], {"5x": "dataset.resolution is"}),
    ("network.block_lr_weight", ["", "1,2,3"], {"1,2,3": "block_lr_weight"}),
    ("base.checkpoint", [None, "/etc/passwd"], {"passwd": "not in the webui's list of checkpoints"})])
def test_each_wrong_value_is_named_and_nothing_is_queued(tab, key, values, about):
    plan = planned(tab, key, values)
    found = {one["value"]: " ".join(one["problems"]) for one in plan["variants"] if one["problems"]}
    assert set(found) == set(about) and all(words in found[value] for value, words in about.items()), found
    answer = tab.post("compare/queue", {"job": tab.job(), "key": key, "values": values})
    assert answer.status_code == 400
    assert all(any(line.startswith(f"{value}: ") for line in answer.json()["problems"]) for value in about)
    assert tab.get("runs").json() == []


def test_what_is_wrong_with_all_of_them_is_said_once(tab):
    job = tab.job()
    job["dataset"]["train_data_dir"] = str(tab.dataset / "none")
    plan = planned(tab, DIM, [8, 16], job=job)
    assert len(plan["problems"]) == 1 and "none" in plan["problems"][0]
    assert [one["problems"] for one in plan["variants"]] == [[], []]


@pytest.mark.parametrize(("key", "values", "words"), [
    (DIM, [], "at least one value"), (DIM, [8, 16, 8], "8 is in the list twice"), (DIM, list(range(1, 9)), "8 values")])
def test_the_list_of_values_itself_can_be_wrong(tab, key, values, words):
    assert words in " ".join(planned(tab, key, values)["problems"])
    assert tab.post("compare/queue", {"job": tab.job(), "key": key, "values": values}).status_code == 400
    assert tab.get("runs").json() == []


def test_a_setting_without_effect_says_so(tab):
    job = {**tab.job(), "loss": {"loss_type": "l2"}}
    [first, _] = planned(tab, "loss.huber_c", [0.1, 0.3], job=job)["variants"]
    assert any("no effect" in note for note in first["notes"]), first
    assert not any("no effect" in note for one in planned(tab, DIM, [8, 16])["variants"] for note in one["notes"])


def test_what_training_phases_keep_of_the_varied_setting_is_said(tab):
    job = tab.job()
    job["training"] = {**job["training"], "max_train_epochs": 1, "phases": [
        {"name": "polish", "epochs": 1, "optimizer": {"learning_rate": 1e-5}}]}
    for key, values, words in (("optimizer.learning_rate", [1e-4, 2e-4], ["Phase 2 (polish) keeps its own value."]),
                               ("training.max_train_epochs", [1, 2], ["It is the length of the first phase; the others "
                                                                      "keep theirs."]), (DIM, [16, 8], [])):
        assert [note for note in planned(tab, key, values, job=job)["variants"][0]["notes"] if "keep" in note] == words
    for nonsense in (3, [3], [{"optimizer": 3}], {"a": 1}):
        planned(tab, DIM, [8], job={**job, "training": {"phases": nonsense}})


def test_the_rates_follow_the_optimizer_as_in_the_form(tab):
    job = {**tab.job(), "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4, "unet_lr": 2e-4}}
    plan = planned(tab, "optimizer.optimizer_type", ["AdamW", "AdamW8bit", "Lion", "Prodigy"], job=job)
    assert [one["problems"] for one in plan["variants"]] == [[]] * 4
    assert [" ".join(one["notes"]) for one in plan["variants"]] == [
        "", "", "Learning rate: 3e-05 instead of 0.0001, as Lion needs it, and UNet learning rate follows it.",
        "Learning rate: 1 instead of 0.0001, as Prodigy needs it, and UNet learning rate follows it."]


def test_all_or_none_are_queued_when_the_disk_is_full(tab, monkeypatch):
    from lib_lora_train.errors import WriteError
    from lib_lora_train.ui.runs.compare import variants

    def full(run, group):
        if group.position == 1:
            raise WriteError("The disk is full.", 28, None, "group.json")

    monkeypatch.setattr(variants, "write_group", full)
    answer = tab.post("compare/queue", {"job": tab.job(), "key": DIM, "values": [8, 16, 32]})
    assert answer.status_code == 400 and "disk is full" in answer.json()["error"]
    assert tab.get("runs").json() == []


def test_a_group_of_a_run_is_trained_compared_and_drawn_as_one_grid(tab, webui_scripts, finished_run):
    source = finished_run(tab)
    runs = queued(tab, DIM, [4, 8], run=source, job={})
    for run in runs:
        tab.wait_for(run, "finished")
    assert [job_of(tab, run).network.network_dim for run in runs] == [4, 8]
    assert [job_of(tab, run).save.output_name for run in runs] == ["penny-dim4", "penny-dim8"]
    summaries = {run["id"]: run["group"] for run in tab.get("runs").json()}
    assert summaries[source] is None
    assert [(summaries[run]["value"], summaries[run]["position"]) for run in runs] == [("4", 0), ("8", 1)]
    assert len({summaries[run]["id"] for run in runs}) == 1
    found = tab.post("compare", {"runs": runs}).json()
    assert [(one["key"], one["values"]) for one in found["differences"]] == [
        (DIM, [4, 8]), ("network.network_alpha", [2.0, 4.0])]
    assert found["problems"] == ["", ""] and found["prompts"] == ["penny smiling"]
    grid = wait_until(lambda: [one for one in grids_of(tab, runs)["grids"] if one["state"] == "finished"])[0]
    assert grid["columns"]["headings"] == ["No LoRA", "4", "8"] and grid["runs"] == runs
    for column, file in enumerate(("", " <lora:penny-dim4:1>", " <lora:penny-dim8:1>")):
        image = Image.open(tab.services.runs_dir / grid["run"] / grid["cells"][f"{column},0"])
        assert image.getpixel((1, 1)) == painted(f"penny smiling{file}", grid["seed"], "mini.safetensors")


@pytest.fixture
def two_bases(make_tab, tmp_path):
    """A tab with an SD 1.x checkpoint loaded, and others of other families in the webui's list."""
    paths = [write_header(tmp_path / f"{name}.safetensors", shapes) for name, shapes in (
        ("old", SD1), ("xl", SDXL), ("second", SD2), ("ponyDiffusion", SDXL))]
    return make_tab(checkpoints=tuple(paths)), {path.stem: str(path) for path in paths}


def test_another_family_takes_its_own_defaults_and_says_what_stays(two_bases):
    tab, paths = two_bases
    job = {**tab.job(), "base": {"checkpoint": paths["old"], "clip_skip": 2},
           "optimizer": {"optimizer_type": "AdamW", "learning_rate": 1e-4}}
    plan = planned(tab, "base.checkpoint", [paths[name] for name in ("old", "xl", "second", "ponyDiffusion")], job=job)
    old, large, second, pony = (" ".join(one["notes"]) for one in plan["variants"])
    assert [one["problems"] for one in plan["variants"]] == [[], [], [], []]
    assert old == ""
    assert "xl.safetensors is SDXL, the job was made for SD 1.x" in large
    assert "Resolution: 1024 instead of 512, the default of SDXL." in large
    assert "CLIP skip 2: has no effect: SDXL always uses" in large
    assert "second.safetensors is SD 2.x" in second and "Resolution" not in second
    assert "rank holds more" in large
    assert "UNet learning rate stays 0.0001; 0.0003 is usual on Pony." in pony
    assert [one["name"] for one in plan["variants"]] == [
        "penny-on-old", "penny-on-xl", "penny-on-second", "penny-on-ponyDiffusion"]


def test_block_lists_and_loras_of_another_family_are_problems_before_queueing(two_bases):
    tab, paths = two_bases
    full = ",".join(["1"] * 26)
    job = {**tab.job(), "base": {"checkpoint": paths["old"]}, "network": {"block_dims": full}}
    plan = planned(tab, "base.checkpoint", [paths["old"], paths["xl"]], job=job)
    old, large = (one["problems"] for one in plan["variants"])
    assert old == [] and any("block_dims" in problem for problem in large)
    job["dataset"]["resolution"] = "640"
    [large] = planned(tab, "base.checkpoint", [paths["xl"]], job=job)["variants"]
    assert any("Resolution stays 640" in note for note in large["notes"])


def test_samples_on_a_base_that_the_webui_has_not_loaded_are_the_trainers(two_bases):
    tab, paths = two_bases
    job = {**tab.job(max_train_epochs=1), "sample": {"sample_prompts": ["penny"], "sample_by": "webui"}}
    [here, there] = planned(tab, "base.checkpoint", [paths["old"], paths["xl"]], job=job)["variants"]
    assert not any("generated by the trainer" in note for note in here["notes"])
    assert any("generated by the trainer" in note for note in there["notes"])


def test_the_grid_is_drawn_on_each_runs_own_base_and_the_webuis_is_loaded_again(two_bases, webui_scripts):
    from modules import sd_models

    tab, paths = two_bases
    runs = queued(tab, "base.checkpoint", [paths["old"], paths["xl"]])
    for run in runs:
        tab.wait_for(run, "finished")
    sd_models.reloaded.clear()
    grid = wait_until(lambda: [one for one in grids_of(tab, runs)["grids"] if one["state"] == "finished"])[0]
    assert grid["columns"]["headings"] == ["No LoRA, old.safetensors", "old.safetensors", "No LoRA, xl.safetensors",
                                           "xl.safetensors"]
    seen = [Image.open(tab.services.runs_dir / grid["run"] / grid["cells"][f"{column},0"]) for column in range(4)]
    assert [image.getpixel((1, 1)) for image in seen] == [
        painted(f"penny smiling{file}", grid["seed"], base) for base, file in (
            ("old.safetensors", ""), ("old.safetensors", " <lora:penny-on-old:1>"),
            ("xl.safetensors", ""), ("xl.safetensors", " <lora:penny-on-xl:1>"))]
    assert [image.size for image in seen] == [(512, 512), (512, 512), (1024, 1024), (1024, 1024)]
    assert sd_models.reloaded == ["old.safetensors"]


@pytest.mark.parametrize("key", [DIM, "optimizer.unet_lr", "optimizer.optimizer_type", "dataset.flip_aug",
                                 "base.checkpoint", "training.seed", "dataset.resolution", "loss.min_snr_gamma",
                                 "network.network_alpha", "training.max_train_steps", "save.training_comment"])
def test_suggested_values_are_valid_and_have_reasons(tab, key):
    found = tab.post("compare/suggestions", {"job": tab.job(), "key": key}).json()["suggestions"]
    assert len({one["text"] for one in found}) == len(found) <= 40
    values = [one["value"] for one in found][:6]
    if key not in ("training.max_train_steps", "save.training_comment"):
        assert len(values) >= (1 if key == "base.checkpoint" else 2)
    for value in values:
        [variant] = planned(tab, key, [value])["variants"]
        assert not [problem for problem in variant["problems"] if key in problem], variant
