"""Whatever is sent, the answer is a sentence: nothing that comes in by a route can crash it."""

from __future__ import annotations

import os

import pytest
from PIL import Image

BROKEN = "ä\ud83d"  # half a character
NONSENSE = [None, 3, -1, 1e308, True, "", " ", "\0", "x" * 5000, "../..", "~nobody/x", "//", "COM1", [], {}, [1],
            BROKEN, "C:\\x\\y", "😀", {"a": 1}, "1,2"]
KEYS = ["base.checkpoint", "base.vae", "base.clip_skip", "base.max_token_length", "dataset.train_data_dir",
        "dataset.validation_data_dir", "dataset.resolution", "dataset.train_batch_size", "dataset.caption_extension",
        "dataset.activation_tag", "dataset.bucket_reso_steps", "dataset.min_bucket_reso", "network.network_dim",
        "network.network_weights", "network.block_lr_weight", "network.block_dims", "network.block_alphas",
        "optimizer.learning_rate", "optimizer.optimizer_args", "scheduler.lr_warmup_steps", "training.max_train_epochs",
        "training.max_train_steps", "training.device", "save.output_name", "save.output_dir", "save.save_precision",
        "sample.sample_prompts"]


@pytest.mark.parametrize("key", KEYS)
def test_a_job_with_nonsense_in_it_is_judged_not_crashed_on(tab, key):
    group, name = key.split(".")
    for nonsense in NONSENSE:
        values = tab.job()
        values.setdefault(group, {})[name] = nonsense
        answer = tab.post("job/check", {"job": values})
        assert answer.status_code == 200 or (nonsense == BROKEN and answer.status_code == 400), (nonsense, answer.text)
        assert isinstance(answer.json()["problems"], list)


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith("dataset.")])
def test_a_look_with_nonsense_in_it_is_answered(tab, key):
    for nonsense in NONSENSE:
        answer = tab.post("dataset/look", {"folder": str(tab.dataset), "settings": {key.split(".")[1]: nonsense}})
        assert answer.status_code in (200, 400), (nonsense, answer.text)


def test_folders_and_files_of_nonsense_are_answered(tab):
    for nonsense in NONSENSE:
        for answer in (tab.post("dataset/look", {"folder": nonsense, "settings": {}}),
                       tab.post("dataset/look", {"folder": str(tab.dataset), "settings": nonsense}),
                       tab.post("runs", {"job": nonsense}), tab.post("runs", nonsense),
                       tab.post("runs/x/control", {"action": nonsense}), tab.post("runs/x/try", {"path": nonsense})):
            assert answer.status_code in (200, 400), (nonsense, answer.text)
            assert "error" in answer.json() or answer.status_code == 200
        if isinstance(nonsense, str) and nonsense != BROKEN:
            for query in ({"folder": nonsense, "path": "0.png"}, {"folder": str(tab.dataset), "path": nonsense},
                          {"folder": str(tab.dataset), "path": "0.png", "size": nonsense}):
                assert tab.get("thumbnail", **query).status_code == 400, nonsense
    assert tab.get("runs").json() == []


def test_a_picture_whose_name_is_not_utf8_is_shown_like_others(tab):
    Image.new("RGB", (64, 64)).save(tab.dataset / "new.png")
    (tab.dataset / "new.png").rename(tab.dataset / os.fsdecode(b"\xe4.png"))
    found = tab.post("dataset/look", {"folder": str(tab.dataset), "settings": {}})
    assert found.status_code == 200, found.text
    assert "\udce4.png" in [item["path"] for item in found.json()["thumbnails"]]
