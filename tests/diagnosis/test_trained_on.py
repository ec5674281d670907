"""Which images count as held out when saved files are measured: never those that the run says it was trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageOps

from lib_lora_train.batches.held_out import held_out_pictures
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.cli.check import check
from lib_lora_train.config.job import Job
from lib_lora_train.config.load import job_from
from lib_lora_train.diagnosis.material import Chosen, choose_pictures
from lib_lora_train.diagnosis.trained_on import trained_on
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.scan import scan_dataset
from lib_lora_train.training.setup import held_out_plan
from tests.training.conftest import draw_pictures, small_job


@pytest.fixture
def job(tmp_path) -> Job:
    return of(draw_pictures(tmp_path / "pictures", 12), validation_split=0.25)


def of(folder: Path, phases: Sequence[dict] = (), **dataset: object) -> Job:
    values = small_job(folder, folder, folder)
    return job_from({**values, "training": {**values["training"], "phases": list(phases)},
                     "dataset": {**values["dataset"], **dataset}})


def trained(job: Job, run: Path, name: str = "plan.json") -> set[str]:
    """Write the list that a run of ``job`` keeps; returns the names of its images."""
    pictures = plan_of(job.dataset, scan_dataset(job.dataset), job.training).pictures
    (run / "diagnosis").mkdir(parents=True, exist_ok=True)
    (run / "diagnosis" / name).write_text(json.dumps({
        "version": 1, "fingerprint": "", "timesteps": [10], "measured": [], "duplicates": [], "left_out": [],
        "images": [{"index": number, "path": str(one.path), "caption": one.caption, "tags": [], "concept": "",
                    "bucket": [64, 64], "repeats": 1} for number, one in enumerate(pictures)]}))
    return {one.path.name for one in pictures}


def chosen(job: Job, run: Path, folder: str = "", events: list | None = None, **dataset: object) -> Chosen:
    warnings: list[str] = []
    known = trained_on(run, folder or job.dataset.train_data_dir, events or [], warnings.append)
    found = choose_pictures(of(Path(job.dataset.train_data_dir), validation_split=0.25, **dataset), 50,
                            warnings.append, known)
    assert bool(warnings) == any((run / "diagnosis").glob("*damaged*"))
    return found


def names(pictures) -> set[str]:
    return {picture.path.name for picture in pictures}


def test_images_that_the_run_was_trained_on_are_not_held_out_though_the_rule_would_choose_them_now(job, tmp_path):
    run, folder = tmp_path / "run", Path(job.dataset.train_data_dir)
    seen = trained(job, run)
    found = chosen(job, run)
    assert names(found.trained) == seen and len(found.held_out) == 3 and not found.doubt
    other_rule = {"validation_seed": 7}  # as an earlier version, or another set of images, chooses others
    by_rule = names(held_out_pictures(of(folder, validation_split=0.25, **other_rule).dataset,
                                      scan_dataset(job.dataset)))
    assert by_rule & seen
    again = chosen(job, run, **other_rule)
    assert names(again.trained) == seen and names(again.held_out) == names(found.held_out)
    draw_pictures(tmp_path / "more", 14, 3)
    for path in (tmp_path / "more").iterdir():
        shutil.copy(path, folder / f"new{path.name}")
    added = chosen(job, run)
    assert names(added.trained) == seen and not names(added.held_out) & seen
    assert names(found.held_out) < names(added.held_out) and len(added.held_out) == 17 and not added.doubt


def test_a_resumed_run_was_trained_on_the_images_of_all_its_lists(job, tmp_path):
    run = tmp_path / "run"
    seen = trained(job, run) | trained(of(Path(job.dataset.train_data_dir), validation_split=0.25, validation_seed=7),
                                       run, "step00000010-plan.json")
    found = chosen(job, run)
    assert names(found.trained) == seen and names(found.held_out) == {f"{one:02d}.png" for one in range(12)} - seen


def test_a_validation_image_that_is_a_training_image_in_another_form_is_not_held_out_in_the_run_either(
        job, tmp_path, capsys):
    folder, held = Path(job.dataset.train_data_dir), draw_pictures(tmp_path / "held", 2, seed=9)
    with Image.open(folder / "03.png") as image:
        picture = image.convert("RGB")
    ImageOps.mirror(picture).resize((100, 100)).save(held / "mirrored.jpg", quality=80)
    picture.crop((2, 2, picture.width, picture.height)).save(held / "cropped.png")
    ImageEnhance.Brightness(picture).enhance(0.8).save(held / "darker.png")
    for name in ("mirrored", "cropped", "darker"):
        (held / f"{name}.txt").write_text("penny")
    warnings: list[str] = []
    plan = held_out_plan(of(folder, validation_data_dir=str(held)), scan_dataset(job.dataset), warnings.append)
    assert plan is not None and names(plan.pictures) == {"00.png", "01.png"}
    assert len(warnings) == 1 and all(name in warnings[0] for name in ("mirrored.jpg", "cropped.png", "darker.png"))
    check(of(folder, validation_data_dir=str(held)))
    assert f"Warning: {warnings[0]}" in capsys.readouterr().out


def test_images_that_a_later_phase_may_have_trained_on_are_not_held_out(tmp_path):
    root, run = tmp_path / "pictures", tmp_path / "run"
    draw_pictures(root / "1_first", 8)
    draw_pictures(root / "1_later", 8, 4)
    phases = ({"epochs": 1, "dataset": {"only_folders": ["1_later"]}},)
    first = of(root, phases, validation_split=0.25, only_folders=["1_first"])
    trained(first, run)
    held = held_out_pictures(first.dataset, scan_dataset(first.dataset))
    found = chosen(first, run, phases=phases, only_folders=["1_first"])
    assert {one.path for one in found.held_out} == {one.path for one in held}
    assert all(one.path.parent.name == "1_first" for one in found.trained)
    assert "in a later phase" in found.doubt


def test_a_folder_that_has_moved_is_recognized_and_another_one_is_not_taken_for_held_out_images(job, tmp_path):
    run, before = tmp_path / "run", job.dataset.train_data_dir
    seen = trained(job, run)
    moved = of(Path(shutil.move(before, tmp_path / "moved")), validation_split=0.25)
    assert names(chosen(moved, run, folder=before).trained) == seen
    other = of(draw_pictures(tmp_path / "other" / "1_other", 4, 5), validation_split=0.25)
    for path in Path(other.dataset.train_data_dir).glob("*"):
        path.rename(path.with_name(f"other{path.name}"))
    with pytest.raises(DatasetError, match="none of the 9 images that the run was trained on"):
        chosen(other, run, folder=before)


def test_without_a_list_it_says_how_sure_that_is(job, tmp_path):
    assert "If images were added, removed or renamed since" in chosen(job, tmp_path).doubt
    held = [{"event": "validation", "step": 0, "loss": 1.0, "each": [1.0, 1.0]}]
    assert "It held out 2 and these are 3" in chosen(job, tmp_path, events=held).doubt
    assert not choose_pictures(of(Path(job.dataset.train_data_dir)), 50, print,
                               trained_on(tmp_path, "", [], print)).doubt
    run = tmp_path / "run"
    trained(job, run, "damaged-plan.json")
    (run / "diagnosis" / "damaged-plan.json").write_text('{"version": 1, "ima')
    assert "has no list of its training images" in chosen(job, run).doubt


def test_training_images_that_are_gone_are_a_doubt_since_they_may_have_been_renamed(job, tmp_path):
    run = tmp_path / "run"
    gone = Path(job.dataset.train_data_dir) / min(trained(job, run))
    gone.rename(gone.with_name("zz.png"))
    gone.with_suffix(".txt").rename(gone.with_name("zz.txt"))
    assert "1 image that the run was trained on is no longer in" in chosen(job, run).doubt
