"""What the Train tab is told about a folder and about the settings."""

from __future__ import annotations

import io
import json
import os
import struct

import pytest
from PIL import Image

from lib_lora_train.config.job import all_settings
from tests.opened_files import opened_files
from tests.standin import checkpoint_file

from ..conftest import make_dataset, wait_until


def overview_of(tab, **settings):
    return tab.post("dataset/overview", {"folder": str(tab.dataset), "settings": settings})


def check(tab, **groups):
    values = tab.job()
    for group, content in groups.items():
        values.setdefault(group, {}).update(content)
    answer = tab.post("job/check", {"job": values})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_form_has_every_setting_with_its_help(tab):
    groups = tab.get("schema").json()["groups"]
    shown = {setting["key"]: setting for group in groups for setting in group["settings"]}
    assert list(shown) == [setting.key for setting in all_settings()]
    assert all(setting["help"] and setting["label"] for setting in shown.values())
    dim = shown["network.network_dim"]
    assert (dim["type"], dim["optional"], dim["default"], dim["minimum"], dim["view"]) == ("int", False, 32, 1, "main")
    assert (shown["optimizer.unet_lr"]["type"], shown["optimizer.unet_lr"]["optional"]) == ("float", True)
    assert shown["sample.sample_prompts"]["type"] == "texts"
    assert shown["optimizer.optimizer_type"]["choices"]


def test_the_overview_shows_what_is_in_the_folder(tab):
    (tab.dataset / "broken.png").write_bytes(b"no image")
    found = overview_of(tab).json()
    assert (found["pictures"], found["captions"], found["trigger_word"]["word"]) == (4, 4, "penny")
    assert sum(bucket["count"] for bucket in found["buckets"]) == 4
    assert [item["path"] for item in found["left_out"]] == ["broken.png"]


def test_thumbnails_are_small_upright_and_change_with_their_picture(tab):
    exif = Image.Exif()
    exif[0x0112] = 6  # on its side
    Image.new("RGB", (1200, 600), "red").save(tab.dataset / "0 ä&?.jpg", exif=exif)
    first = next(item for item in overview_of(tab).json()["thumbnails"] if item["path"] == "0 ä&?.jpg")
    answer = tab.client.get("/" + first["url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    small = Image.open(io.BytesIO(answer.content))
    assert small.size == (128, 256)
    before = (tab.dataset / "0 ä&?.jpg").stat()
    Image.new("RGB", (300, 300), "blue").save(tab.dataset / "0 ä&?.jpg")
    os.utime(tab.dataset / "0 ä&?.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))  # some times are whole seconds
    again = next(item for item in overview_of(tab).json()["thumbnails"] if item["path"] == "0 ä&?.jpg")
    assert again["url"] != first["url"]
    assert Image.open(io.BytesIO(tab.client.get("/" + again["url"]).content)).getpixel((9, 9))[2] > 200


def test_a_thumbnail_is_made_once(tab):
    url = "/" + overview_of(tab).json()["thumbnails"][0]["url"]
    tab.client.get(url)
    [made] = (tab.services.cache_dir / "thumbnails").iterdir()
    before = made.stat()
    tab.client.get(url)
    assert made.stat().st_mtime_ns == before.st_mtime_ns


def test_thumbnails_that_were_made_long_ago_are_cleared_away_at_the_start(make_tab, tmp_path):
    cache = tmp_path / "data" / "lora_train" / "cache" / "thumbnails"
    cache.mkdir(parents=True)
    old, new = cache / "old.webp", cache / "new.webp"
    old.touch()
    new.touch()
    os.utime(old, (1e9, 1e9))
    make_tab()
    wait_until(lambda: not old.exists())
    assert new.exists()


@pytest.mark.parametrize("path", ["../outside.png", "/etc/hostname", "link.png", "", "sub/../../outside.png",
                                  "nothing.png"])
def test_a_thumbnail_of_a_file_outside_the_folder_is_refused(tab, path):
    outside = tab.dataset.parent / "outside.png"
    Image.new("RGB", (64, 64)).save(outside)
    (tab.dataset / "link.png").symlink_to(outside)
    assert tab.get("thumbnail", folder=str(tab.dataset), path=path).status_code == 400


def test_a_thumbnail_of_a_relative_folder_is_refused(tab):
    assert "full path" in tab.get("thumbnail", folder="pictures", path="0.png").json()["error"]


def test_a_file_that_is_no_picture_has_no_thumbnail(tab):
    answer = tab.get("thumbnail", folder=str(tab.dataset), path="0.txt")
    assert answer.status_code == 400
    assert "not an image" in answer.json()["error"]


def test_a_folder_with_nothing_in_it_says_so(tab, tmp_path):
    for folder, words in (("", "No folder is given"), (str(tmp_path / "gone"), "There is no folder"),
                          ("pictures", "not a full path"), (str(tmp_path), "")):
        answer = tab.post("dataset/overview", {"folder": folder, "settings": {}})
        assert answer.status_code == 400
        assert words in answer.json()["error"]


def test_a_resolution_that_is_none_is_a_sentence_not_a_crash(tab):
    assert "dataset.resolution is 'big'" in overview_of(tab, resolution="big").json()["error"]
    assert any("dataset.resolution is 'big'" in text for text in check(tab, dataset={"resolution": "big"})["problems"])


def test_the_totals_follow_batch_size_epochs_and_repeats(tab):
    sums = check(tab, dataset={"train_batch_size": 1, "resolution": "64", "min_bucket_reso": 64})
    assert (sums["steps_per_epoch"], sums["epochs"], sums["total_steps"]) == (4, 3, 12)
    assert sums["problems"] == []
    twice = check(tab, dataset={"dataset_repeats": 5, "resolution": "64", "min_bucket_reso": 64,
                                "enable_bucket": False, "train_batch_size": 2})
    assert (twice["steps_per_epoch"], twice["total_steps"]) == (10, 30)
    fixed = check(tab, training={"max_train_steps": 7})
    assert (fixed["total_steps"], fixed["epochs"]) == (7, 2)
    assert "epoch" in fixed["steps_hint"]


def test_the_schedule_shows_both_rates_over_the_run(tab):
    sums = check(tab, scheduler={"lr_scheduler": "cosine", "lr_warmup_steps": 4},
                 optimizer={"optimizer_type": "AdamW", "learning_rate": 1e-4, "text_encoder_lr": 5e-5},
                 training={"max_train_steps": 100})
    steps, unet, text = zip(*sums["schedule"], strict=True)
    assert (steps[0], steps[-1]) == (0, 99)
    assert unet[0] == 0 and max(unet) == pytest.approx(1e-4) and unet[-1] < 1e-6
    assert max(text) == pytest.approx(5e-5)


def test_the_schedule_shows_what_the_optimizer_gets_and_no_other_rate(tab):
    rates = {"optimizer_type": "Prodigy", "learning_rate": 1.0, "text_encoder_lr": 0.5}
    one = check(tab, optimizer=rates)
    assert {tuple(point[1:]) for point in one["schedule"]} == {(1.0, 1.0)}
    assert "Prodigy multiplies this" in one["schedule_text"]
    alone = check(tab, optimizer=rates, network={"network_train_unet_only": True})
    assert {tuple(point[1:]) for point in alone["schedule"]} == {(1.0, None)}
    own = check(tab, optimizer={"optimizer_type": "AdaFactor"})
    assert own["schedule"] == [] and "by itself" in own["schedule_text"]


@pytest.mark.parametrize("groups, key, words", [
    ({"optimizer": {"text_encoder_lr": 0.5}}, "optimizer.text_encoder_lr", "supports only one rate"),
    ({"loss": {"adaptive_noise_scale": 0.1}}, "loss.adaptive_noise_scale", "noise_offset, which is 0"),
    ({"scheduler": {"lr_warmup_steps": 5000}}, "scheduler.lr_warmup_steps", "has 12 steps"),
    ({"training": {"fit_in_gb": 4}}, "training.fit_in_gb", "on the CPU"),
    ({"optimizer": {"learning_rate": 1e-4}}, "optimizer.learning_rate", "Set it to 1"),
])
def test_what_does_nothing_or_little_has_a_note_by_its_setting(tab, groups, key, words):
    notes = check(tab, **groups)["notes"]
    assert any(note["key"] == key and words in note["text"] for note in notes), notes
    assert check(tab)["notes"] == [] or key not in [note["key"] for note in check(tab)["notes"]]


def test_the_name_that_will_be_used_is_reported(tab):
    lora_dir = tab.data / "models" / "Lora"
    (lora_dir / "penny.safetensors").touch()
    assert check(tab)["output_name_final"] == "penny-v2"
    assert check(tab, save={"output_name": "alice"})["output_name_final"] == "alice"


def with_header(tab, shapes):
    """Give the loaded checkpoint a header with ``shapes``; nothing reads the tensors."""
    entries = {key: {"dtype": "F16", "shape": shape, "data_offsets": [0, 0]} for key, shape in shapes.items()}
    header = json.dumps(entries).encode()
    tab.services.host.checkpoint().path.write_bytes(struct.pack("<Q", len(header)) + header)


def test_the_size_of_the_file_is_calculated_from_the_checkpoints_header(tab):
    assert check(tab)["file_size_bytes"] is None  # the stand-in's checkpoint is empty
    with_header(tab, {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight": [320, 320]})
    weights = 32 * (320 + 320) * 2
    assert weights < check(tab)["file_size_bytes"] < weights + 7000


def test_a_changed_folder_changes_the_totals_at_once(tab):
    assert check(tab)["steps_per_epoch"] == 4
    Image.new("RGB", (96, 96)).save(tab.dataset / "new.png")
    assert check(tab)["steps_per_epoch"] == 5
    for caption in tab.dataset.glob("*.txt"):
        caption.unlink()
    assert check(tab, dataset={"activation_tag": ""})["total_steps"] is None


def test_problems_with_the_folder_stand_beside_those_with_the_settings(tab):
    sums = check(tab, dataset={"train_data_dir": "/nowhere"}, network={"network_alpha": 99})
    assert any("There is no folder /nowhere" in text for text in sums["problems"])
    assert any("network.network_alpha" in text for text in sums["problems"])
    assert sums["total_steps"] is None


def test_for_the_totals_a_set_is_read_once(tab, tmp_path):
    folder = tmp_path / "set"
    make_dataset(folder, 1)
    for number in range(1, 100):
        (folder / f"{number}.png").write_bytes((folder / "0.png").read_bytes())
        (folder / f"{number}.txt").write_text("penny")
    tab.dataset = folder
    with opened_files() as opened:
        check(tab)
    assert len({path.name for path in opened if path.suffix == ".png"}) == 100
    with opened_files() as opened:
        answers = [check(tab, dataset={"train_batch_size": size})["steps_per_epoch"] for size in (1, 2, 4)]
    assert answers == [100, 50, 25] and not [path for path in opened if path.suffix in (".png", ".txt")]


def test_the_memory_a_run_needs_is_reported_and_made_to_fit(tab, tmp_path):
    with_header(tab, {"model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3],
                      "model.diffusion_model.input_blocks.1.0.in_layers.2.weight": [1280, 2560, 3, 3]})
    enough = check(tab, training={"fit_in_gb": 64})["memory"]
    assert enough["total_bytes"] == sum(part["bytes"] for part in enough["parts"]) and not enough["switched"]
    tight = check(tab, training={"fit_in_gb": 1})["memory"]
    assert tight["limit_bytes"] == 2 ** 30 and tight["total_bytes"] <= enough["total_bytes"]
    assert check(tab, dataset={"resolution": "a lot"})["memory"] is None


def test_how_long_a_run_takes_goes_by_the_last_one_on_the_checkpoint(tab):
    assert check(tab)["seconds"] is None
    run_id = tab.start()
    tab.wait_for(run_id, "finished")
    pace = [event["seconds_per_step"] for event in tab.get(f"runs/{run_id}").json()["events"]
            if event["event"] == "step"][-1]
    reported = check(tab)
    assert reported["seconds"] == pytest.approx(reported["total_steps"] * pace)
    wider = check(tab, dataset={"resolution": "1024"})
    assert wider["seconds"] == pytest.approx(wider["total_steps"] * pace * 4)


LISTS = {"sd1": "1," * 16 + "1", "full sd1": "0.5," * 25 + "1", "sdxl": "1," * 11 + "0.2", "full sdxl": "1," * 19 + "0"}


@pytest.mark.parametrize("name", ["block_lr_weight", "block_dims", "block_alphas"])
@pytest.mark.parametrize(("shapes", "fitting"), [
    (checkpoint_file.SD1, "sd1"), (checkpoint_file.SD2, "sd1"), (checkpoint_file.SDXL, "sdxl")])
def test_a_run_is_refused_with_a_list_of_another_family_in_the_words_of_the_form(tab, shapes, fitting, name):
    checkpoint_file.write_header(tab.services.host.checkpoint().path, shapes)
    for family, text in LISTS.items():
        text = text.replace("0.", "") if name == "block_dims" else text
        said = [problem for problem in check(tab, network={name: text})["problems"] if name in problem]
        answer = tab.post("runs", {"job": {**tab.job(), "network": {name: text}}})
        assert bool(said) == (not family.endswith(fitting))
        if said:
            assert answer.status_code == 400 and said == [
                problem for problem in answer.json()["problems"] if name in problem]
        else:
            assert name not in answer.text


@pytest.mark.parametrize(("text", "values"), [
    ("1," * 16 + "0.5", {"OUT11": 0.5, "OUT00": 0, "IN01": 1}),
    ("mine: 0" + ",1" * 16, {"BASE": 0, "OUT00": 1, "IN00": 1}),
    (" style: OUT ", {"IN01": 0.2, "OUT11": 1}), ("1,2", None), ("1," * 12 + "x", None), ("", None),
    ("1," * 11 + "0.5", None), ("-1" + ",1" * 16, {"BASE": 0})])
def test_the_form_shows_a_list_as_the_run_reads_it(tab, text, values):
    checkpoint_file.write_header(tab.services.host.checkpoint().path, checkpoint_file.SD1)
    read = check(tab, network={"block_lr_weight": text})["block_lists"]["network.block_lr_weight"]
    assert read["text"] == text
    assert (read["values"] is None) == (values is None)
    for block, value in (values or {}).items():
        assert read["values"][block] == pytest.approx(value)


def test_what_is_held_out_is_named_and_proposed_for_large_sets(tab):
    small = check(tab)
    assert small["held_out"] == 0 and not any("held out" in text for text in small["advice"])
    held = check(tab, dataset={"validation_split": 0.25})
    assert held["held_out"] == 2 and held["phases"][0]["images"] == 2
    assert "2 of 4 images are held out and not learned" in held["advice"][-1] and ".png" in held["advice"][-1]
    for number in range(40):
        Image.new("RGB", (64, 64), (6 * number, 90, 255 - 6 * number)).save(tab.dataset / f"more{number}.png")
    large = check(tab)
    assert "With 44 images you can spare some: validation_split 0.1" in large["advice"][-1]
    beside = check(tab, dataset={"validation_data_dir": str(tab.dataset)})
    assert not any("spare some" in text for text in beside["advice"])
