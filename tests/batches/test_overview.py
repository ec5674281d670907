"""The first look at a folder says all that matters, in values that JSON can carry."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.batches.overview import overview
from lib_lora_train.batches.plan import plan_of
from lib_lora_train.batches.summary import summarize, summarize_phases
from lib_lora_train.batches.timeline import timeline_of
from lib_lora_train.config.change import changed
from lib_lora_train.config.groups.training import TrainingSettings
from lib_lora_train.config.job import Job
from lib_lora_train.errors import DatasetError
from lib_lora_train.pictures.scan import scan_dataset

from ..pictures.making import noise, save, settings


def texts(answer, level):
    return " ".join(problem["text"] for problem in answer["problems"] if problem["level"] == level)


def test_the_overview_of_a_set_with_two_concepts(tmp_path):
    for number in range(3):
        save(tmp_path / "4_penny" / f"{number}.png", noise(512, 512), caption="penny, red, tag")
    save(tmp_path / "1_car" / "wide.png", noise(900, 600), caption="car")
    (tmp_path / "1_car" / "clip.gif").touch()
    answer = overview(tmp_path, settings(tmp_path, min_bucket_reso=256))
    assert json.loads(json.dumps(answer)) == answer
    assert (answer["pictures"], answer["captions"], answer["images_per_epoch"]) == (4, 4, 13)
    assert answer["concepts"] == [{"name": "car", "folder": "1_car", "repeats": 1, "pictures": 1},
                                  {"name": "penny", "folder": "4_penny", "repeats": 4, "pictures": 3}]
    assert answer["buckets"] == [{"width": 512, "height": 512, "count": 3}, {"width": 640, "height": 384, "count": 1}]
    assert answer["left_out"] == [{"path": "1_car/clip.gif", "pictures": 1,
                                   "reason": "GIF files are not trained on; save it as PNG"}]
    first = answer["thumbnails"][0]
    assert (first["path"], first["caption"], first["bucket"]) == ("1_car/wide.png", "car", [640, 384])
    left, top, right, bottom = first["crop"]
    assert (left, right) == (0, 900) and top == pytest.approx(600 - bottom, abs=2)
    assert (right - left) / (bottom - top) == pytest.approx(640 / 384, abs=0.01)
    assert "1 image left out" in texts(answer, "warning")


def test_only_the_first_sixty_are_shown(tmp_path):
    for number in range(65):
        save(tmp_path / f"{number:03d}.png", noise(16, 16), caption="penny")
    answer = overview(tmp_path, settings(tmp_path))
    assert answer["pictures"] == 65
    assert [item["path"] for item in answer["thumbnails"]] == [f"{number:03d}.png" for number in range(60)]


def test_errors_come_first_and_do_not_hide_the_rest(tmp_path):
    save(tmp_path / "a.png", noise(16, 900), caption="penny")
    save(tmp_path / "b.png", caption="penny")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    answer = overview(tmp_path, settings(tmp_path))
    assert answer["problems"][0]["level"] == "error"
    assert "b.txt is not UTF-8" in texts(answer, "error")
    assert answer["problems"][0]["files"] == ["b.txt"]
    assert "more than a quarter is cut off, since no bucket has their shape: a.png" in texts(answer, "warning")
    assert "less than half the training size" in texts(answer, "warning")


def test_a_missing_caption_is_an_error_only_if_nothing_can_serve(tmp_path):
    save(tmp_path / "a.png")
    assert "No image has a caption" in texts(overview(tmp_path, settings(tmp_path)), "error")
    assert texts(overview(tmp_path, settings(tmp_path, activation_tag="penny")), "error") == ""


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DatasetError):
        overview(tmp_path, settings(tmp_path))


def test_the_activation_tag_has_to_stand_first(tmp_path):
    save(tmp_path / "a.png", caption="penny, red")
    save(tmp_path / "b.png", caption="red, penny")
    answer = overview(tmp_path, settings(tmp_path, activation_tag="penny"))
    assert "1 caption without the trigger word 'penny' in the first place: b.png" in texts(answer, "warning")


def test_pictures_that_share_a_caption_file_are_reported(tmp_path):
    save(tmp_path / "a.png", caption="penny")
    save(tmp_path / "a.jpg")
    assert "1 caption file used by more than one image" in texts(overview(tmp_path, settings(tmp_path)), "note")


def test_the_summary_counts_tags_by_folder_and_pictures_by_bucket(tmp_path):
    save(tmp_path / "3_penny" / "a.png", noise(512, 512), caption="penny, Red, red")
    save(tmp_path / "3_penny" / "b.png", noise(600, 400), caption="penny")
    save(tmp_path / "1_car" / "a.png", noise(512, 512))
    values = settings(tmp_path)
    dataset = scan_dataset(values)
    summary = summarize(dataset, plan_of(values, dataset, TrainingSettings()), values)
    assert summary.tag_frequency == {"1_car": {"car": 1}, "3_penny": {"penny": 2, "red": 1}}
    assert [(item.name, item.repeats, item.pictures) for item in summary.folders] == \
        [("1_car", 1, 1), ("3_penny", 3, 2)]
    assert [(item.width, item.height, item.count) for item in summary.buckets] == [(512, 512, 4), (640, 384, 3)]


PHASES = [{"epochs": 1, "dataset": {"only_folders": ["1_car"], "resolution": "768"}},
          {"epochs": 1, "dataset": {"only_folders": [], "caption_extension": ".caption"}}]


def test_the_summary_of_training_phases_counts_what_any_of_them_trains_on_once(tmp_path):
    for name in ("3_penny/a", "3_penny/b", "1_car/a"):
        save(tmp_path / f"{name}.png", noise(512, 512), caption="penny, red")
    (tmp_path / "3_penny" / "b.caption").write_text("penny, blue")
    job = changed(Job(), {
        "dataset.train_data_dir": str(tmp_path), "dataset.resolution": "512", "dataset.only_folders": ["3_penny"],
        "training.phases": PHASES})
    summary = summarize_phases(timeline_of(job, scan_dataset).phases)
    assert [(item.name, item.repeats, item.pictures) for item in summary.folders] == \
        [("1_car", 1, 1), ("3_penny", 3, 2)]
    assert summary.tag_frequency == {"3_penny": {"penny": 2, "red": 2, "blue": 1}, "1_car": {"car": 1, "penny": 1,
                                                                                             "red": 1}}
    assert [(item.width, item.count) for item in summary.buckets] == [(512, 6), (768, 1)]
    alone = changed(job, {"training.phases": []})
    assert summarize_phases(timeline_of(alone, scan_dataset).phases).tag_frequency["1_car"] == {}
