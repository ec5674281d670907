"""The goal panel's routes: the facts are those of the form, and a test bake fits into ten minutes."""

from __future__ import annotations

import json
import time

import pytest

from lib_lora_train.captions.traits import fingerprint
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_to_yaml
from lib_lora_train.runs.diagnosis.knows import file_mark
from lib_lora_train.runs.events import EventWriter
from lib_lora_train.runs.folder import KNOWS, create_run
from lib_lora_train.ui.train.goal.test_bakes import test_bake_changes as bake_changes
from lib_lora_train.ui.train.job_request import complete_job
from tests.standin.checkpoint_file import SD1, SD2, SDXL, write_header


@pytest.mark.parametrize(("pace", "images", "steps"), [(None, 10, 300), (1.0, 40, 480), (0.1, 40, 800), (60.0, 40, 60)])
def test_a_test_bake_takes_ten_minutes_as_far_as_the_time_is_known(pace, images, steps):
    changes = bake_changes(changed(Job(), {"save.output_name": "penny-test-v2"}), images, pace)
    assert changes["training.max_train_steps"] == steps and changes["save.save_every_n_steps"] == steps // 4
    assert changes["save.output_name"] == "penny-test" and ("dataset.validation_split" in changes) == (images >= 20)


def test_a_plan_knows_what_it_would_change_and_what_was_typed(tab):
    job = {**tab.job(), "network": {"network_dim": 7}}
    answer = tab.post("goal/plan", {"job": job, "goal": {"category": "A"}}).json()
    by_key = {one["key"]: one for one in answer["reasons"]}
    dim = by_key["network.network_dim"]
    assert (dim["before"], dim["after"], dim["typed"], dim["rule"]) == (7, 4, True, "rank-category")
    assert answer["images"] == 4 and answer["letter"] == "A" and answer["tested"] is None
    assert all(one["reason"] and one["source"] for one in answer["reasons"])
    assert "save" in answer["values"] and "output_name" not in answer["values"]["save"]


@pytest.mark.parametrize("goal", [{"kind": "horse"}, {"matters": "all"}, {"minutes": -1}, {"nonsense": 1}])
def test_a_wrong_answer_is_refused_with_a_sentence(tab, goal):
    answer = tab.post("goal/plan", {"job": tab.job(), "goal": goal})
    assert answer.status_code == 400 and "The goal: " in answer.json()["error"]


def form(tab, trigger="penny", **training):
    job = tab.job(**training)
    return {**job, "dataset": {**job["dataset"], "activation_tag": trigger}}


@pytest.mark.parametrize(("shapes", "goal"), [
    (SD1, {"category": "B"}), (SDXL, {"kind": "concept"}), (SD2, {"kind": "style", "matters": ["small_file"]})])
def test_each_step_up_or_down_costs_what_the_form_then_says_and_brings_no_objection(tab, shapes, goal):
    write_header(tab.services.host.checkpoint().path, shapes)
    baked(tab, *STEPS, ("finished", {"steps": 300, "seconds": 9}), name="earlier", **{"dataset.resolution": "256"})
    answer = plan(tab, **{"category": "", "kind": "character", **goal})
    assert len({one["what"] for one in answer["around"]}) >= 2
    filled = {**form(tab), **{group: {**form(tab).get(group, {}), **content}
                              for group, content in answer["values"].items()}}
    before = judged(tab, filled, answer["letter"], answer["images_seen"])
    for step in [{"changes": {}, "cost": answer["cost"], "images_seen": answer["images_seen"]}, *answer["around"]]:
        stepped = {group: dict(content) for group, content in filled.items()}
        for key, value in step["changes"].items():
            group, name = key.split(".")
            stepped.setdefault(group, {})[name] = value
        after, cost = judged(tab, stepped, answer["letter"], step["images_seen"]), step["cost"]
        assert (cost["steps"], cost["file_bytes"]) == (after["total_steps"], after["file_size_bytes"])
        assert cost["seconds"] == pytest.approx(after["seconds"]) and cost["seconds"] is not None
        assert cost["memory_bytes"] == after["memory"]["total_bytes"]
        assert set(after["problems"] + after["advice"]) <= set(before["problems"] + before["advice"]), step


def judged(tab, job, letter, images_wanted):
    return tab.post("job/check", {"job": job, "difficulty": letter, "images_wanted": images_wanted}).json()


def test_a_plan_says_that_it_is_for_sd_1_if_the_base_cannot_be_read(tab):
    unread = {one["rule"]: one["text"] for one in plan(tab)["todo"]}
    assert "so this is a plan for SD 1.x" in unread["unknown-family"]
    write_header(tab.services.host.checkpoint().path, SD2)
    assert "unknown-family" not in [one["rule"] for one in plan(tab)["todo"]]


def word(kind, name, level, others=(), reason="72% of what your images show comes out with the word alone."):
    return {"kind": kind, "word": name, "level": level, "score": 0.5, "gain": None, "others": list(others),
            "means_something_else": bool(others), "reason": reason, "tags": [], "pictures": []}


def checked(tab, *words, **changes):
    """A check of the form's base and images that found ``words``."""
    job, _ = complete_job(tab.services, form(tab))
    dataset = tab.services.datasets.survey(job.dataset)
    run = create_run(tab.services.runs_dir, f"knows-{len(list(tab.services.runs_dir.glob('*')))}", json.dumps({
        "base": {"checkpoint": job.base.checkpoint}, "dataset": {"train_data_dir": job.dataset.train_data_dir}}), KNOWS)
    run.result_file.write_text(json.dumps({
        "version": 1, "created": time.time(), "checkpoint": job.base.checkpoint, "folder": str(dataset.folder),
        "checkpoint_mark": file_mark(tab.services.host.checkpoint().path), "tagger": "wd-v3", "images": [{}] * 4,
        "captions": fingerprint(dataset.folder, dataset.pictures), "words": list(words), "alone": [], "prompt": "",
        **changes}), encoding="utf-8")
    return run


def plan(tab, job=None, **goal):
    answer = tab.post("goal/plan", {"job": job or form(tab), "goal": {"category": "B", **goal}})
    assert answer.status_code == 200, answer.text
    return answer.json()


def why_so_long(answer):
    return next(one["reason"] for one in answer["reasons"] if one["key"] == "training.max_train_epochs")


@pytest.mark.parametrize(("level", "traits", "seen"), [
    ("known", (), 300), ("half", (), 800), ("unknown", ("known", "unknown"), 1600), ("unknown", ("unknown",), 1600),
    ("unsure", ("unknown",), 1600)])
def test_a_plan_uses_what_a_check_of_the_base_has_measured(tab, level, traits, seen):
    tags = [word("trait", f"t{place}", one) for place, one in enumerate(traits)]
    checked(tab, word("trigger", "penny", level), *tags)
    answer = plan(tab, quality="good")  # 4 images are few, which takes 1600 where the subject is not known
    assert answer["images_seen"] == (1600 if level == "half" else seen) and answer["checked"]["used"]
    assert "wd-v3" in answer["checked"]["text"] and "4 of your images" in answer["checked"]["text"]
    outfit = plan(tab, kind="outfit", category="")
    assert outfit["images_seen"] == {"known": 300, "half": 800, "unknown": 1500 if traits == ("unknown",) else 1000,
                                     "unsure": 1000}[level]
    said = {"known": "knows penny", "half": "half knows penny", "unknown": "penny is unknown", "unsure": ""}[level]
    assert said in why_so_long(outfit) and ("What does the base know?" in why_so_long(outfit)) == bool(said)
    judged = tab.post("job/check", {"job": {**form(tab), **outfit["values"]}, "images_wanted": outfit["images_seen"]})
    assert not [text for text in judged.json()["advice"] if "rarely enough" in text]


def test_the_users_answer_counts_more_than_a_check(tab):
    checked(tab, word("trigger", "penny", "unknown"))
    yes = plan(tab, kind="outfit", category="", known=True)
    assert yes["images_seen"] == 800 and "Your answer counts instead: it is known" in yes["checked"]["text"]
    checked(tab, word("trigger", "penny", "known"))
    no = plan(tab, kind="outfit", category="", known=False)
    assert no["images_seen"] == 1000 and "it is not known" in no["checked"]["text"]


def test_a_check_says_which_word_to_take_and_which_to_avoid(tab):
    checked(tab, word("trigger", "penny", "unknown", ["car", "vehicle"]), word("candidate", "miku", "known"),
            word("candidate", "bus", "half", ["vehicle"]), word("trait", "red boots", "unknown"))
    todo = {one["rule"]: one["text"] for one in plan(tab)["todo"]}
    assert "Use miku as the trigger word in place of penny" in todo["take-word"] and "300" in todo["take-word"]
    assert "penny means car, vehicle" in todo["avoid-meaning"] and "bus (vehicle)" in todo["avoid-words"]
    assert "does not draw red boots" in todo["new-tags"]
    taken = plan(tab, form(tab, "Miku"), kind="outfit", category="")
    assert taken["images_seen"] == 300 and "take-word" not in [one["rule"] for one in taken["todo"]]


@pytest.mark.parametrize(("changes", "trigger", "said"), [
    ({"checkpoint": "/models/other.safetensors"}, "penny", "made with other.safetensors"),
    ({}, "zxq", "did not try the trigger word zxq"), ({"captions": "older"}, "penny", "have changed since"),
    ({"checkpoint_mark": [1, 2]}, "penny", "has changed since")])
def test_a_check_of_something_else_is_not_used_and_the_plan_says_why(tab, changes, trigger, said):
    checked(tab, word("trigger", "penny", "known"), **changes)
    answer = plan(tab, form(tab, trigger), kind="outfit", category="")
    assert answer["images_seen"] == 1000 and not answer["checked"]["used"]
    assert said in answer["checked"]["text"] and "is not used" in answer["checked"]["text"]
    checked(tab, word("trigger", trigger, "known"))
    assert plan(tab, form(tab, trigger), kind="outfit", category="")["images_seen"] == 300


@pytest.mark.parametrize("words", [[{"kind": "trigger", "word": "penny", "level": 7, "others": 3}], "none", [7]])
def test_a_result_of_strange_content_does_not_break_a_plan(tab, words):
    checked(tab, words=words, images=5, created="never")
    assert plan(tab, kind="outfit", category="")["images_seen"] == 1000


def baked(tab, *events, name="penny-test", **changes):
    """A test bake with ``events``, each a kind and its fields."""
    job, _ = complete_job(tab.services, form(tab, max_train_steps=300))
    job = changed(job, {"save.output_name": name, **changes})
    run = create_run(tab.services.runs_dir, f"{name}-{len(list(tab.services.runs_dir.glob('*')))}", job_to_yaml(job))
    with EventWriter(run.events_file) as log:
        log.write("started", {"name": name, "total_steps": 300, "steps_per_epoch": 4, "total_epochs": 75})
        for kind, fields in events:
            log.write(kind, fields)
    return run


STEPS = [("step", {"step": step, "total_steps": 300, "epoch": 1, "loss": 0.1, "seconds_per_step": 2.0})
         for step in (1, 2, 3)]
DIVERGED = ("error", {"text": "The loss has exploded.", "kind": "diverged"})
FULL = ("error", {"text": "The GPU ran out of memory.", "kind": "memory"})


def text_of(answer, key):
    return next((one["reason"] for one in answer["reasons"] if one["key"] == key), "")


def test_a_stopped_test_bake_gives_its_time_and_no_verdict(tab):
    baked(tab, *STEPS, ("stopped", {"steps": 3, "seconds": 6}))
    answer = plan(tab)
    assert "stopped after 3 of 300 steps: 3 images seen, 2 s a step at 512 px" in answer["tested"]["text"]
    assert answer["cost"]["seconds"] is not None and answer["values"]["optimizer"]["d_coef"] == 4.0


def test_after_a_stopped_test_bake_an_earlier_complete_one_decides_the_rate(tab):
    settings = {"optimizer.optimizer_type": "Prodigy", "optimizer.learning_rate": 1.0, "optimizer.d_coef": 1.5,
                "network.network_dim": 8, "network.network_alpha": 1.0}
    baked(tab, *STEPS, ("finished", {"steps": 300, "seconds": 9}), **settings)
    baked(tab, *STEPS, ("stopped", {"steps": 3, "seconds": 6}), name="penny-test-v2")
    answer = plan(tab)
    said = answer["tested"]["text"]
    assert "penny-test-v2, stopped after 3 of 300 steps: 2 s a step at 512 px. Rate and length follow from " in said
    assert "penny-test, which" in said
    assert answer["values"]["optimizer"]["d_coef"] == 1.5


def test_a_failed_test_bake_says_what_to_fix_first(tab):
    baked(tab, ("error", {"text": "1.png is damaged.", "kind": ""}))
    answer = plan(tab)
    assert "failed before its first step" in answer["tested"]["text"]
    assert any("failed: 1.png is damaged. Fix that" in one["text"] for one in answer["todo"])


def test_a_test_bake_that_diverged_lowers_the_rate_that_it_had_again_and_again(tab):
    found = []
    for rate in (None, 2.0, 1.0, 0.5):
        settings = {"optimizer.optimizer_type": "Prodigy", "optimizer.learning_rate": 1.0, "optimizer.d_coef": rate,
                    "network.network_dim": 8, "network.network_alpha": 1.0}
        baked(tab, *STEPS[:1], DIVERGED, **settings)
        optimizer = plan(tab)["values"]["optimizer"]
        found.append((optimizer["d_coef"], optimizer["learning_rate"]))
    assert found == [(2.0, 1.0), (1.0, 1.0), (0.5, 1.0), (0.5, 0.5)]
    baked(tab, *STEPS, ("finished", {"steps": 300, "seconds": 9}), **{**settings, "optimizer.d_coef": 1.25})
    answer = plan(tab)
    assert answer["values"]["optimizer"]["d_coef"] == 1.25
    assert "went well with this rate" in text_of(answer, "optimizer.d_coef")


def test_out_of_memory_lowers_the_limit_once_for_each_test_bake(tab, monkeypatch):
    monkeypatch.setattr(type(tab.services.host), "device", lambda self: "cuda")
    monkeypatch.setattr(type(tab.services.host), "gpu_bytes", lambda self: 8 << 30)
    job = form(tab)
    job["training"] = {**job["training"], "device": "cuda"}
    limits = [plan(tab, job)["values"]["training"]["fit_in_gb"]]
    for _ in range(2):
        baked(tab, FULL, **{"training.device": "cuda", "training.fit_in_gb": limits[-1]})
        job["training"]["fit_in_gb"] = limits[-1]
        made = [plan(tab, job) for _ in range(2)]
        assert made[0]["values"] == made[1]["values"]  # planned twice, lowered once
        limits.append(made[0]["values"]["training"]["fit_in_gb"])
        assert "ran out of memory" in text_of(made[0], "training.fit_in_gb")
        assert "ran out of memory before its first step" in made[0]["tested"]["text"]
    assert limits == [7.0, 6.0, 5.0]


def test_on_the_cpu_out_of_memory_switches_checkpointing_on_and_then_lowers_the_size(tab):
    job = form(tab)
    job["training"] = {**job["training"], "device": "cpu"}
    baked(tab, FULL, **{"training.gradient_checkpointing": False})
    first = plan(tab, job)
    assert first["values"]["training"]["gradient_checkpointing"] is True
    assert first["values"]["dataset"]["resolution"] == "512"
    baked(tab, FULL, **{"training.gradient_checkpointing": True, "dataset.resolution": "512"})
    baked(tab, *STEPS, ("finished", {"steps": 300, "seconds": 9}), **{"dataset.resolution": "448"})
    second = plan(tab, job)
    assert second["values"]["dataset"]["resolution"] == "448"
    assert "At 512 px a test bake ran out of memory" in text_of(second, "dataset.resolution")
