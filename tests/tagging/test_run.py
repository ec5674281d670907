"""Whole runs on a tagger that knows three colours."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
import yaml

from lib_lora_train.captions.confidences import read_confidences
from lib_lora_train.captions.journal.journal import Journal
from lib_lora_train.config.load import job_to_yaml
from lib_lora_train.runs.control import RunControl
from lib_lora_train.runs.events import read_events
from lib_lora_train.runs.hold import Hold

from .conftest import Reports, captions_of, make_dataset, tag, tag_job
from .tag_worker import start


def test_only_pictures_without_a_caption_are_tagged_by_default(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None, "red_2": "mine", "blue_1": " \n", "green_1": None})
    reported = tag(tag_job(folder, colour_tagger), tmp_path / "r" / "tags.jsonl")
    assert captions_of(folder) == {"red_1": "penny (series), red thing, ^_^", "red_2": "mine",
                                   "blue_1": "blue thing, ^_^", "green_1": "green thing, ^_^"}
    last = {key: reported.last[key] for key in ("event", "pictures", "had_captions", "written", "failed", "provider")}
    assert last == {"event": "finished", "pictures": 3, "had_captions": 1, "written": 3, "failed": 0,
                    "provider": "CPUExecutionProvider"}
    assert reported.warnings == []
    assert "Tagging with model on the CPU" in " ".join(reported.phases)


@pytest.mark.parametrize(("mode", "expected"), [
    ("append", "penny, hat, blue thing, ^_^"), ("prepend", "penny, blue thing, ^_^, hat"),
    ("overwrite", "penny, blue thing, ^_^"), ("confidences-only", "hat, penny"), ("if-empty", "hat, penny"),
])
def test_the_modes(tmp_path: Path, colour_tagger: Path, mode: str, expected: str):
    folder = make_dataset(tmp_path / "set", {"blue_1": "hat, penny"})
    tag(tag_job(folder, colour_tagger, write__mode=mode, tags__always_first_tags=["penny"]), tmp_path / "tags.jsonl")
    assert captions_of(folder)["blue_1"] == expected


@pytest.mark.parametrize("chosen", [["2_b/red_1.png"], ["2_b\\red_1.png"], ["2_b/red_1.png", "gone/x.png"]])
def test_only_the_chosen_images_are_tagged(tmp_path: Path, colour_tagger: Path, chosen: list[str]):
    folder = make_dataset(tmp_path / "set", {"1_a/red_1": None, "2_b/red_1": "mine", "2_b/blue_1": None})
    job = tag_job(folder, colour_tagger, dataset__images=chosen, write__mode="append")
    reported = tag(job, tmp_path / "tags.jsonl")
    captions = captions_of(folder)
    assert captions == {"1_a/red_1": None, "2_b/blue_1": None, "2_b/red_1": "mine, penny (series), red thing, ^_^"}
    assert reported.last["pictures"] == 1
    assert ["gone/x.png" in warning for warning in reported.warnings] == [True] * (len(chosen) - 1)


def test_chosen_images_that_are_all_gone_end_the_run_with_words(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"1_a/red_1": None})
    reported = tag(tag_job(folder, colour_tagger, dataset__images=["red_1.png"]), tmp_path / "tags.jsonl")
    assert reported.last["event"] == "error" and "Choose them again" in reported.last["text"]
    assert captions_of(folder) == {"1_a/red_1": None}


def test_confidences_are_kept_beside_the_pictures_and_older_ones_stay(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"1_a/red_1": "mine", "2_b/blue_1": None})
    tag(tag_job(folder, colour_tagger), tmp_path / "first.jsonl")
    assert "2_b/blue_1.png" in read_confidences(folder)
    assert "1_a/red_1.png" not in read_confidences(folder)
    tag(tag_job(folder, colour_tagger, write__mode="confidences-only"), tmp_path / "second.jsonl")
    kept = read_confidences(folder)
    assert kept.of("1_a/red_1.png")["red thing"] == pytest.approx(0.994, abs=0.001)
    assert kept.of("2_b/blue_1.png")["blue thing"] == pytest.approx(0.994, abs=0.001)
    assert len(kept) == 2
    assert captions_of(folder)["1_a/red_1"] == "mine"


def test_one_undo_takes_a_whole_run_back_and_redo_brings_it_again(tmp_path: Path, colour_tagger: Path):
    before = {f"red_{n}": f"mine {n}" for n in range(30)} | {"blue_1": None}
    folder = make_dataset(tmp_path / "set", before)
    tag(tag_job(folder, colour_tagger, write__mode="overwrite"), tmp_path / "tags.jsonl")
    after = captions_of(folder)
    assert set(after.values()) == {"penny (series), red thing, ^_^", "blue thing, ^_^"}
    journal = Journal(folder.resolve())
    assert [batch.label for batch in journal.history().batches] == ["Tagged 31 images with model (overwrite)"]
    journal.undo()
    assert captions_of(folder) == before
    journal.redo()
    assert captions_of(folder) == after


def test_a_caption_that_is_edited_while_the_tagger_is_at_work_is_left_alone(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {f"red_{n}": "old" for n in range(9)} | {"blue_1": None})

    def edit(done: int) -> None:
        (folder / "red_0.txt").write_text("edited by hand")
        (folder / "blue_1.txt").write_text("new by hand")

    job = tag_job(folder, colour_tagger, write__mode="overwrite", tagger__batch_size=3)
    reported = tag(job, tmp_path / "tags.jsonl", reported=Reports(on_progress=edit))
    found = captions_of(folder)
    assert (found["red_0"], found["blue_1"]) == ("edited by hand", "new by hand")
    assert found["red_8"] == "penny (series), red thing, ^_^"
    assert reported.last["changed_meanwhile"] + reported.last["written"] + reported.last["unchanged"] == 10
    assert "changed by another program" in reported.warnings[-1]


def test_pictures_that_cannot_be_read_are_named_and_the_others_tagged(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None, "red_2": None})
    whole = (folder / "red_1.png").read_bytes()
    (folder / "red_1.png").write_bytes(whole[:45])
    (folder / "blue.gif").write_bytes(b"GIF89a")
    reported = tag(tag_job(folder, colour_tagger), tmp_path / "tags.jsonl")
    assert reported.last["failed"] == 1
    assert any("red_1.png is skipped" in warning for warning in reported.warnings)
    assert any("blue.gif" in warning for warning in reported.warnings)
    assert captions_of(folder) == {"red_1": None, "red_2": "penny (series), red thing, ^_^"}


def test_a_caption_that_is_not_utf8_counts_as_a_caption_and_is_never_added_to(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": "caf\xe9".encode("latin-1")})
    for mode in ("if-empty", "append", "prepend"):
        reported = tag(tag_job(folder, colour_tagger, write__mode=mode), tmp_path / f"{mode}.jsonl")
        assert (folder / "red_1.txt").read_bytes() == b"caf\xe9"
        assert reported.last["event"] == "finished"
    assert "not UTF-8" in reported.warnings[-1]


def test_two_pictures_that_share_a_caption_are_reported(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None})
    (folder / "red_1.webp").write_bytes((folder / "red_1.png").read_bytes())
    reported = tag(tag_job(folder, colour_tagger), tmp_path / "tags.jsonl")
    assert captions_of(folder)["red_1"] == "penny (series), red thing, ^_^"
    assert any("red_1.webp is skipped: red_1.png has the same caption file" in warning for warning in reported.warnings)


def test_a_caption_behind_a_link_out_of_the_folder_is_not_written(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None, "red_2": None})
    outside = tmp_path / "outside.txt"
    outside.write_text("")
    (folder / "red_1.txt").symlink_to(outside)
    reported = tag(tag_job(folder, colour_tagger), tmp_path / "tags.jsonl")
    assert outside.read_text() == ""
    assert any("leads out of" in warning for warning in reported.warnings)
    assert captions_of(folder)["red_2"] == "penny (series), red thing, ^_^"


def test_without_the_tagger_the_run_says_where_it_belongs(tmp_path: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None})
    job = tag_job(folder, "wd-vit-tagger-v3", tagger__models_dir=str(tmp_path / "taggers"))
    reported = tag(job, tmp_path / "t.jsonl")
    assert reported.last["event"] == "error"
    assert "model.onnx and selected_tags.csv from huggingface.co/SmilingWolf/wd-vit-tagger-v3" in reported.last["text"]
    assert str(tmp_path / "taggers" / "wd-vit-tagger-v3") in reported.last["text"]


def test_a_stop_writes_what_is_done_and_the_rest_can_follow(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {f"red_{n}": None for n in range(20)})
    control = RunControl(tmp_path / "control")
    reported = Reports(on_progress=lambda done: control.request("stop") if done >= 6 else None)
    reported = tag(tag_job(folder, colour_tagger, tagger__batch_size=3), tmp_path / "tags.jsonl", control, reported)
    assert reported.last["event"] == "stopped"
    assert reported.last["written"] == 6
    assert sum(caption is not None for caption in captions_of(folder).values()) == 6
    reported = tag(tag_job(folder, colour_tagger), tmp_path / "again.jsonl")
    assert (reported.last["written"], reported.last["had_captions"]) == (14, 6)


def test_a_pause_holds_the_run_until_it_is_withdrawn(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {f"red_{n}": None for n in range(8)})
    control = RunControl(tmp_path / "control")
    control.request("pause")
    reported, questions, look = Reports(), [], control.holds.asked

    def asked() -> list[Hold]:
        questions.append(1)
        return look()

    control.holds.asked = asked
    run = threading.Thread(target=tag, args=(tag_job(folder, colour_tagger, tagger__batch_size=2),
                                             tmp_path / "tags.jsonl", control, reported))
    run.start()
    deadline = time.monotonic() + 240
    while not any(event["event"] == "held" for event in reported.events) and time.monotonic() < deadline:
        time.sleep(0.02)
    before = len(questions)
    while len(questions) < before + 8 and time.monotonic() < deadline:  # it asks again and again, and stands still
        time.sleep(0.02)
    assert len(questions) >= before + 8
    assert (reported.last["event"], reported.last["who"]) == ("held", "user")
    assert reported.events[-2] == {"event": "progress", "done": 2, "total": 8}
    control.withdraw("pause")
    run.join(240)
    assert reported.last["event"] == "finished"
    assert [event["event"] for event in reported.events].count("resumed") == 1
    assert reported.last["still_seconds"] > 0


def status(run_job: Path) -> int | None:
    """How a worker that carries the job out ends."""
    worker = start(run_job)
    worker.join(300)
    return worker.exitcode


def run_folder(tmp_path: Path, job) -> Path:
    run = tmp_path / "runs" / "20260101-000000-tags"
    (run / "control").mkdir(parents=True)
    (run / "job.yaml").write_text(job_to_yaml(job))
    return run


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_every_caption_whole_and_the_run_continues(tmp_path: Path, colour_tagger: Path):
    before = {f"red_{n}": f"mine {n}" for n in range(60)}
    folder = make_dataset(tmp_path / "set", before)
    job = tag_job(folder, colour_tagger, write__mode="append", tagger__batch_size=2)
    run = run_folder(tmp_path, job)
    whole = [{f"mine {n}", f"mine {n}, penny (series), red thing, ^_^"} for n in range(60)]
    moments, tagged = random.Random(5), []
    for _ in range(4):
        worker = start(run / "job.yaml", seconds_a_batch=0.12)
        results = run / "state" / "tags.jsonl"
        wanted = len(tagged) + moments.randint(2, 12)
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and worker.is_alive():
            if results.exists() and len(results.read_bytes().splitlines()) >= wanted:
                break
            time.sleep(0.005)
        worker.kill()
        worker.join()
        tagged = results.read_bytes().splitlines()
        assert all(captions_of(folder)[f"red_{n}"] in whole[n] for n in range(60))
    assert status(run / "job.yaml") == 0
    assert captions_of(folder) == {f"red_{n}": f"mine {n}, penny (series), red thing, ^_^" for n in range(60)}
    last = read_events(run / "events.jsonl")[0][-1]
    assert (last["event"], last["pictures"], last["written"]) == ("finished", 60, 60)
    phases = [event for event in read_events(run / "events.jsonl")[0] if event["event"] == "progress"]
    assert any(event["done"] > len(tagged) - 4 for event in phases)
    Journal(folder.resolve()).undo()
    assert captions_of(folder) == before


@pytest.mark.slow
def test_kill_9_while_captions_are_written_leaves_each_old_or_new_and_is_fixed(tmp_path: Path, colour_tagger: Path):
    count, new = 80, "penny (series), red thing, ^_^"
    before = {f"red_{n}": f"mine {n}" for n in range(count)}
    folder = make_dataset(tmp_path / "set", before)
    run = run_folder(tmp_path, tag_job(folder, colour_tagger, write__mode="overwrite"))
    worker = start(run / "job.yaml", seconds_a_file=0.1)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and list(captions_of(folder).values()).count(new) < 10:
        time.sleep(0.01)
    worker.kill()
    worker.join()
    found = captions_of(folder)
    assert 10 <= list(found.values()).count(new) < count
    assert all(found[f"red_{n}"] in (new, f"mine {n}") for n in range(count))
    (folder / "red_0.txt").write_text("edited after the crash")
    assert status(run / "job.yaml") == 0
    last = read_events(run / "events.jsonl")[0][-1]
    assert (last["event"], last["written"], last["changed_meanwhile"]) == ("finished", count - 1, 1)
    assert captions_of(folder) == {**dict.fromkeys(before, new), "red_0": "edited after the crash"}


def test_a_run_that_is_over_cannot_be_fired_again(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": "mine"})
    run = run_folder(tmp_path, tag_job(folder, colour_tagger, write__mode="overwrite"))
    assert status(run / "job.yaml") == 0
    (folder / "red_1.txt").write_text("edited since")
    assert status(run / "job.yaml") == 1
    assert (folder / "red_1.txt").read_text() == "edited since"
    assert read_events(run / "events.jsonl")[0][-1]["event"] == "finished"


def test_overwriting_is_said_for_one_run_and_never_stands_in_a_job_file(tmp_path: Path, colour_tagger: Path, capsys):
    from lib_lora_train.cli import run_command
    from lib_lora_train.errors import ConfigError

    folder = make_dataset(tmp_path / "set", {"red_1": "mine"})
    values = yaml.safe_load(job_to_yaml(tag_job(folder, colour_tagger)))
    values["write"]["mode"] = "overwrite"
    (tmp_path / "tags.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"write\.mode=overwrite"):
        run_command(["tag", str(tmp_path / "tags.yaml"), "--runs", str(tmp_path / "runs")])
    assert captions_of(folder) == {"red_1": "mine"}
    assert not (tmp_path / "runs").exists()
    assert run_command(["tag", str(tmp_path / "tags.yaml"), "write.mode=overwrite", "--runs",
                        str(tmp_path / "runs")]) == 0
    assert captions_of(folder) == {"red_1": "penny (series), red thing, ^_^"}


def test_the_printed_tag_job_is_one_that_can_be_read_and_has_the_defaults(tmp_path: Path, capsys):
    from lib_lora_train.cli import run_command
    from lib_lora_train.config.tag_job import TagJob, load_tag_job

    assert run_command(["settings", "tag"]) == 0
    (tmp_path / "tags.yaml").write_text(capsys.readouterr().out)
    job = load_tag_job(tmp_path / "tags.yaml", ["dataset.train_data_dir=/pictures"])
    assert job.dataset.train_data_dir == "/pictures"
    assert (job.tagger, job.tags, job.write) == (TagJob().tagger, TagJob().tags, TagJob().write)


def test_one_image_without_writing_shows_what_would_be_written(tmp_path: Path, colour_tagger: Path):
    folder = make_dataset(tmp_path / "set", {"red_1": None, "blue_1": None})
    job = tag_job(folder, colour_tagger, dataset__images=["red_1.png"], write__mode="confidences-only",
                  tags__exclude_tags=["^_^"], tags__escape_brackets=True)
    reported = tag(job, tmp_path / "tags.jsonl")
    [sample] = [event for event in reported.events if event["event"] == "tags"]
    assert sample["image"] == "red_1.png"
    assert [tag for tag, _ in sample["tags"]] == [r"penny \(series\)", "red thing"]
    assert sample["tags"][1][1] == pytest.approx(0.994, abs=0.001)
    assert [tag for tag, _ in sample["near"]] == ["^_^"]
    assert captions_of(folder) == {"red_1": None, "blue_1": None}
    nothing = tag_job(folder, colour_tagger, write__mode="confidences-only", tags__exclude_tags=["*"])
    reported = tag(nothing, tmp_path / "both.jsonl")
    assert not [event for event in reported.events if event["event"] == "tags"]
    assert reported.warnings == []  # captions that nobody asked for cannot be empty


@pytest.mark.parametrize(("former", "rated"), [(True, True), (False, False)])
def test_a_job_of_an_earlier_version_keeps_its_choice_of_ratings(tmp_path: Path, former: bool, rated: bool):
    from lib_lora_train.config.tag_job import load_tag_job

    path = tmp_path / "tags.yaml"
    rules = f"{{rating_tag: {str(former).lower()}, max_tags: 5}}"
    path.write_text(f"dataset: {{train_data_dir: /pictures}}\ntags: {rules}\n")
    tags = load_tag_job(path).tags
    assert ("rating" in tags.categories, tags.max_tags) == (rated, 5)
    assert "character" in tags.categories
