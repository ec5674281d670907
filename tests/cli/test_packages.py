"""What a job alone needs is installed before it is trained."""

from __future__ import annotations

import pytest

from lib_lora_train import environment
from lib_lora_train.cli.train import add_packages, packages_of
from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.environment.folders import OPTIONAL_GROUPS
from lib_lora_train.environment.pins import requirements_of
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.folder import create_run

FACES = {"dataset.face_crop_aug_range": "2.0,4.0"}
EIGHT_BIT = {"optimizer.optimizer_type": "AdamW8bit"}
PLUS = {"optimizer.optimizer_type": "ProdigyPlusScheduleFree"}


@pytest.mark.parametrize("changes, groups", [({}, []), (FACES, ["opencv"]), (EIGHT_BIT, ["bitsandbytes"]),
                                             (PLUS, ["prodigy-plus"]), (FACES | PLUS, ["prodigy-plus", "opencv"]),
                                             (FACES | EIGHT_BIT, ["bitsandbytes", "opencv"])])
def test_a_job_says_which_packages_it_needs(changes, groups):
    assert list(packages_of(changed(Job(), changes))) == groups
    assert set(groups) <= set(OPTIONAL_GROUPS)


def test_opencv_is_pinned_to_a_release_with_cascades():
    (pin,) = requirements_of("opencv")
    assert pin.startswith("opencv-python-headless==4.")


def test_missing_packages_are_added_with_the_reason(tmp_path, monkeypatch):
    added = []
    monkeypatch.setattr(environment, "add_optional", lambda group, progress: added.append(group))
    monkeypatch.setattr(environment, "check", lambda group: type("State", (), {"ready": group in added}))
    run, job = create_run(tmp_path, "penny", "{}"), changed(Job(), FACES)
    assert add_packages(job, run) and not add_packages(job, run)
    assert added == ["opencv"]
    texts = [event.get("text", "") for event in read_events(run.events_file)[0]]
    assert any("Installing opencv, which dataset.face_crop_aug_range needs" in text for text in texts)
