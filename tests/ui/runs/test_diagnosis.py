"""The diagnosis of a run for the page: curves, findings, what was done since, and files that are missing or damaged."""

from __future__ import annotations

import json
import re
import time

import pytest

from lib_lora_train.config.groups.dataset import DatasetSettings
from lib_lora_train.files.confine import Confined
from lib_lora_train.ui.runs.diagnosis.now import state_now
from tests.standin.diagnosis import write_diagnosis

NAMES = [f"{number}.png" for number in range(5)]


@pytest.fixture
def run_id(tab, finished_run):
    run = finished_run(tab)
    job = tab.services.runs_dir / run / "job.yaml"
    text = job.read_text()
    old = next(line.split(": ", 1)[1] for line in text.splitlines() if "train_data_dir:" in line)
    job.write_text(text.replace(old, str(tab.dataset)))
    return run


@pytest.fixture
def diagnosed(tab, run_id):
    write_diagnosis(tab.services.runs_dir / run_id, tab.dataset, NAMES)
    return tab.services.runs_dir / run_id / "diagnosis"


def ask(tab, run_id, seen=""):
    answer = tab.get(f"runs/{run_id}/diagnosis", seen=seen)
    assert answer.status_code == 200, answer.text
    return answer.json()


def edit(tab, route, **body):
    opened = tab.post("captions/open", {"folder": str(tab.dataset)}).json()
    answer = tab.post(f"captions/{route}", {"folder": opened["folder"], "session": opened["session"], **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def number_of(tab, path):
    return edit(tab, "numbers", paths=[path])["numbers"][0]


def test_a_run_without_diagnosis_says_why(tab, run_id):
    assert ask(tab, run_id)["diagnosis"]["state"] == "none"
    job = tab.services.runs_dir / run_id / "job.yaml"
    job.write_text(re.sub("diagnose: true", "diagnose: false", job.read_text()))
    assert ask(tab, run_id)["diagnosis"]["state"] == "off"


def test_each_image_has_its_curve_and_the_findings_name_paths_of_the_dataset(tab, run_id, diagnosed):
    found = ask(tab, run_id)["diagnosis"]
    assert (found["state"], found["folder"], found["problems"]) == ("measured", str(tab.dataset), [])
    assert [image["path"] for image in found["images"]] == NAMES
    assert found["steps"] == [0, 10, 20, 30, 40] and found["seconds"] == 2.5
    mean = (1.6 * 1.0 * 0.4) ** (1 / 3)
    assert found["images"][3]["curve"] == pytest.approx([0.3 * mean] * 5, rel=1e-3)
    assert found["images"][0]["curve"][2] == pytest.approx(mean * 0.3 * 0.8 ** 2, rel=1e-3)
    assert found["typical"][4] == pytest.approx(mean * (0.3 * 0.8 ** 4 + 0.002), rel=1e-3)
    finding = found["findings"][0]
    assert finding["image"] == 3 and finding["now"] == {"gone": False, "weight": 1.0, "repeats": 1, "retagged": False}
    assert [tag["tag"] for tag in found["tags"]] == ["hat", "penny"]  # suspicious first
    assert found["tags"][0]["curve"] == pytest.approx([-0.1] * 5)
    detail = tab.get(f"runs/{run_id}/diagnosis/image", index=3).json()
    assert detail["losses"] == pytest.approx([0.48, 0.3, 0.12]) and len(detail["empty"]) == 5
    assert detail["tags"][1] == {"tag": "hat", "with_tag": 0.3, "without": 0.27}
    assert tab.get(f"runs/{run_id}/diagnosis/image", index=5).status_code == 400


def test_weight_retag_and_leaving_out_show_at_the_finding_and_are_undone(tab, run_id, diagnosed):
    def now():
        return ask(tab, run_id)["diagnosis"]["findings"][0]["now"]

    numbers = [number_of(tab, "3.png")]
    for body, changed in (({"weight": 0.5}, {"weight": 0.5}), ({"repeats": 0}, {"repeats": 0})):
        edit(tab, "weights", numbers=numbers, **body)
        assert changed.items() <= now().items()
        edit(tab, "undo")
        assert (now()["weight"], now()["repeats"]) == (1.0, 1)
    edit(tab, "apply", numbers=numbers, operation={"kind": "add", "tags": ["a stone"]})
    assert now()["retagged"]
    edit(tab, "undo")
    assert not now()["retagged"]
    edit(tab, "delete", numbers=numbers)
    assert now()["gone"]


def test_an_unchanged_diagnosis_is_not_sent_twice(tab, run_id, diagnosed):
    first = ask(tab, run_id)
    assert ask(tab, run_id, first["mark"]) == {"mark": first["mark"], "diagnosis": None}
    edit(tab, "weights", numbers=[number_of(tab, "3.png")], weight=0.5)
    assert ask(tab, run_id, first["mark"])["diagnosis"] is not None


@pytest.mark.parametrize("name", ["plan.json", "measurements.jsonl", "findings.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b'{"images": 3, "step": "x"}', b"\xff\xfe\x00"])
def test_a_missing_or_damaged_file_is_named_and_the_others_are_shown(tab, run_id, diagnosed, name, content):
    path = diagnosed / name
    path.unlink() if content is None else path.write_bytes(content)
    found = ask(tab, run_id)["diagnosis"]
    silent = content in (None, b"") and name != "plan.json"  # not measured yet
    assert silent or any(name in problem for problem in found["problems"]), found["problems"]
    assert tab.get(f"runs/{run_id}/diagnosis/image", index=0).status_code in (200, 400)
    if name != "measurements.jsonl":
        assert len(found["images"][3]["curve"]) == 5


def test_findings_about_images_that_the_plan_does_not_have_crash_nothing(tab, run_id, diagnosed):
    plan = json.loads((diagnosed / "plan.json").read_text())
    plan["images"] = plan["images"][:2]
    plan["images"][1]["path"] = "/etc/hostname"
    (diagnosed / "plan.json").write_text(json.dumps(plan))
    found = ask(tab, run_id)["diagnosis"]
    assert found["images"][1]["path"] == "" and found["images"][3]["name"] == "Image 4"
    assert found["findings"][0]["now"] is None


def test_a_dataset_that_is_gone_is_said_and_the_curves_stay(tab, run_id, diagnosed):
    tab.dataset.rename(tab.dataset.with_name("elsewhere"))
    found = ask(tab, run_id)["diagnosis"]
    assert found["folder"] == "" and "There is no folder" in found["problems"][-1]
    assert len(found["images"]) == 5 and found["findings"][0]["now"] is None


def test_two_thousand_images_are_answered_quickly(tab, run_id):
    write_diagnosis(tab.services.runs_dir / run_id, tab.dataset, [f"{number}.png" for number in range(2000)], saves=20)
    began = time.process_time()
    found = ask(tab, run_id)["diagnosis"]
    assert len(found["images"]) == 2000 and time.process_time() - began < 5


def test_the_caption_editor_and_its_doctor_name_the_suspicious_images_until_something_is_done(tab, run_id, diagnosed):
    found = edit(tab, "suspects")
    assert [image["number"] for image in found["images"]] == [number_of(tab, "3.png")] and found["run"] == run_id
    edit(tab, "doctor", begin=True, settings={})
    while (report := edit(tab, "doctor"))["state"] != "ready":
        time.sleep(0.02)
    [finding] = [item for item in report["report"]["findings"] if item["id"] == "suspicious"]
    assert finding["numbers"] == [number_of(tab, "3.png")] and "hardly falls" in finding["groups"][0]["text"]
    edit(tab, "weights", numbers=[number_of(tab, "3.png")], repeats=0)
    assert edit(tab, "suspects")["images"] == []
    assert "suspicious" not in [item["id"] for item in edit(tab, "doctor")["report"]["findings"]]


def test_a_group_of_copies_is_one_suspicious_image_until_the_others_are_left_out(tab, run_id, diagnosed):
    path = diagnosed / "findings.json"
    found = json.loads(path.read_text())
    found["images"] = [{"image": 1, "rank": 1, "suspicion": 0.8, "kind": "duplicate", "alarm": True,
                        "reason": "It is nearly the same as 2.png, 3.png.", "others": [2, 3], "ways": ["leave_out"]}]
    path.write_text(json.dumps(found))
    for left_out, numbers in (([], ["1.png"]), (["2.png"], ["1.png"]), (["2.png", "3.png"], [])):
        for name in left_out:
            edit(tab, "weights", numbers=[number_of(tab, name)], repeats=0)
        assert [one["number"] for one in edit(tab, "suspects")["images"]] == [number_of(tab, name) for name in numbers]
        [finding] = ask(tab, run_id)["diagnosis"]["findings"]
        assert ("left out since" in finding["reason"]) == (not numbers)


def test_a_newer_run_on_another_folder_does_not_hide_the_findings(tab, run_id, diagnosed):
    other = tab.services.runs_dir / "29990101-000000-other"
    other.mkdir()
    (other / "job.yaml").write_text("dataset:\n  train_data_dir: /nowhere\n")
    write_diagnosis(other, tab.dataset, NAMES, odd=1)
    assert edit(tab, "suspects")["run"] == run_id


@pytest.mark.parametrize(("settings", "line", "trained", "retagged"), [
    ({}, "hat, penny", "penny, hat", False), ({}, "penny, cap", "penny, hat", True), ({}, "", "penny", False),
    ({"caption_prefix": "best,", "caption_suffix": "x"}, "penny, hat", "best, penny, hat x", False),
    ({"keep_tokens_separator": "|||"}, "penny ||| hat", "penny, hat", False),
    ({"enable_wildcard": True}, "penny, {hat|cap}", "penny, hat", False),
    ({"use_folder_name": True}, "penny, hat", "fox", False)])
def test_a_caption_is_changed_if_it_would_be_trained_differently(tmp_path, settings, line, trained, retagged):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "a.txt").write_text(line)
    assert state_now(Confined(tmp_path.resolve()), "a.png", trained, DatasetSettings(**settings)).retagged is retagged
