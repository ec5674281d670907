"""The time left by measured phases, and the report at the end of a run, from events alone."""

from __future__ import annotations

import json

import pytest

from lib_lora_train.config.change import changed
from lib_lora_train.config.job import Job
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.progress.clock import PhaseClock
from lib_lora_train.runs.progress.report import lines_of, report_of
from lib_lora_train.runs.progress.time_left import TimeLeft, planned_phases
from lib_lora_train.runs.summary import RunIndex

PACE, SAVE, SAMPLE, MEASURE = 2.0, 5.0, 30.0, 8.0


class Simulated:
    """The events of a run of 10 steps an epoch, and what it really takes."""

    def __init__(self, job, epochs=4, first_step=0, time=1000.0):
        self.job, self.epochs, self.time, self.events = job, epochs, time, []
        self.write("phase", name="latents", text="")
        self.time += 60
        self.write("started", name="penny", total_steps=10 * epochs, steps_per_epoch=10, total_epochs=epochs,
                   from_step=first_step)
        if not first_step:
            self.phase("sample", SAMPLE)
            self.phase("diagnosis", MEASURE)
        for step in range(first_step + 1, 10 * epochs + 1):
            if step % 10 == 1 or step == first_step + 1:
                self.write("phase", name="train", text="")
            self.time += PACE
            self.write("step", step=step, total_steps=10 * epochs, epoch=(step - 1) // 10 + 1, loss=0.1,
                       seconds_per_step=PACE, seconds_left=PACE * (10 * epochs - step))
            every = job.save.save_every_n_steps
            if every and step % every == 0 and step % 10:
                self.save(step)
            if step % 10 == 0:
                self.end_epoch(step)
        self.write("finished", steps=10 * epochs, seconds=1.0, still_seconds=0.0)

    def end_epoch(self, step):
        epoch, save, draw = step // 10, self.job.save.save_every_n_epochs, self.job.sample.sample_every_n_epochs
        self.write("epoch", epoch=epoch, total_epochs=self.epochs, loss=0.1)
        due = epoch == self.epochs or (save and epoch % save == 0)
        if due:
            self.save(step)
        elif draw and epoch % draw == 0:
            self.phase("sample", SAMPLE)

    def save(self, step):
        draw = self.job.sample.sample_every_n_epochs
        self.phase("save", SAVE)
        self.write("saved", path=f"/nowhere/{step}.safetensors", name=f"penny-{step}", step=step, epoch=step // 10)
        if step == 10 * self.epochs or not draw or (step % 10 == 0 and step // 10 % draw == 0):
            self.phase("sample", SAMPLE)
        self.phase("diagnosis", MEASURE)

    def phase(self, name, seconds):
        self.write("phase", name=name, text="")
        self.time += seconds

    def write(self, event, **fields):
        self.events.append({"time": self.time, "event": event, **fields})


def a_job(**settings):
    return changed(Job(), {"sample.sample_prompts": ["penny"], **settings})


JOBS = {"each epoch": a_job(), "every second": a_job(**{"save.save_every_n_epochs": 2}),
        "only at the end": a_job(**{"save.save_every_n_epochs": None}),
        "within epochs": a_job(**{"save.save_every_n_steps": 5}),
        "samples of their own": a_job(**{"save.save_every_n_epochs": 3, "sample.sample_every_n_epochs": 2})}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("resumed", [0, 20, 17])
def test_the_time_left_is_exact_once_each_phase_has_been_measured(name, resumed):
    run = Simulated(JOBS[name], epochs=6, first_step=resumed)
    left, known = TimeLeft(lambda: JOBS[name]), 0
    for event in run.events[:-1]:
        left.take(event)
        measured = {"saving", "samples", "diagnosis"} <= set(left.clock.counts)
        if event["event"] in ("step", "phase") and measured:
            if event["event"] == "phase" and event["name"] == "train":
                continue  # the steps' own time is that of the last step
            known += 1
            assert left.seconds(event["time"]) == pytest.approx(run.time - event["time"], abs=0.01), event
    assert known > 5 or name == "only at the end"  # the samples and files of which are first measured there


def test_the_middle_of_a_phase_counts_down_and_a_hold_does_not():
    run = Simulated(JOBS["each epoch"])
    index = next(number for number, event in enumerate(run.events) if event.get("name") == "sample" and number > 40)
    left = TimeLeft(lambda: JOBS["each epoch"])
    for event in run.events[:index + 1]:
        left.take(event)
    began = run.events[index]["time"]
    assert left.seconds(began) - left.seconds(began + 10) == pytest.approx(10)
    left.take({"event": "held", "time": began + 10, "token": "a"})
    assert left.seconds(began + 500) == left.seconds(began + 10)
    left.take({"event": "progress", "time": began + 500, "done": 1, "total": 3, "seconds_left": 4.0})
    assert left.seconds(began + 500) == pytest.approx(left.seconds(began + 10))
    left.take({"event": "resumed", "time": began + 600, "token": "a"})
    shown = [left.seconds(began + 600 + seconds) for seconds in (0, 1, 3, 4, 9)]
    assert [shown[0] - later for later in shown] == pytest.approx([0, 1, 3, 4, 4])  # though nothing new was said


@pytest.mark.parametrize(("settings", "steps"), [
    ({}, 20 * 2 / 6), ({"sample.cfg_scale": 1.0}, 20 / 6),
    ({"sample.sample_steps": 60, "sample.sample_width": 1024}, 60 * 4 / 6),
    ({"dataset.train_batch_size": 4}, 10 / 6),
    ({"sample.sample_prompts": ["a --s 30 --w 1024 --h 1024 --l 1", "b"]}, (30 * 4 + 20 * 2) / 6),
    ({"sample.sample_prompts": []}, 0), ({"sample.sample_by": "webui"}, 0),
    ({"sample.sample_prompts": ["a --s many"]}, 0)])
def test_samples_are_counted_before_the_first_were_generated(settings, steps):
    left = TimeLeft(lambda: a_job(**{"dataset.resolution": "512", "sample.sample_at_first": False,
                                     "save.save_every_n_epochs": None, **settings}))
    for event in [{"event": "started", "time": 0, "name": "penny", "total_steps": 40, "steps_per_epoch": 10,
                   "total_epochs": 4},
                  {"event": "phase", "time": 0, "name": "train"},
                  {"event": "step", "time": 10, "step": 5, "seconds_per_step": PACE, "seconds_left": 35 * PACE}]:
        left.take(event)
    assert left.seconds(10) == pytest.approx(PACE * (35 + steps))
    if steps:
        left.take({"event": "phase", "time": 90, "name": "sample"})  # the first: counted down
        assert left.seconds(90 + PACE) == pytest.approx(PACE * (35 + steps - 1))


def test_a_resumed_run_counts_its_encoding_and_knows_its_pace():
    left = TimeLeft(a_job)
    for event in Simulated(a_job(), epochs=2).events[:30]:
        left.take(event)
    left.take({"event": "started", "time": 5000.0, "name": "penny", "total_steps": 20, "steps_per_epoch": 10,
               "total_epochs": 2, "from_step": 10})
    assert left.seconds(5000.0) == pytest.approx(10 * PACE + SAVE + SAMPLE + MEASURE)
    left.take({"event": "phase", "time": 5000.0, "name": "latents", "text": ""})
    left.take({"event": "progress", "time": 5001.0, "done": 1, "total": 10, "seconds_left": 9.0})
    assert left.seconds(5001.0) == pytest.approx(9 + 10 * PACE + SAVE + SAMPLE + MEASURE)


def test_training_phases_of_different_lengths_are_counted_by_their_epochs():
    phases = [{"number": 1, "name": "", "first_step": 0, "steps": 40, "first_epoch": 1, "epochs": 4},
              {"number": 2, "name": "", "first_step": 40, "steps": 20, "first_epoch": 5, "epochs": 4}]
    started = {"total_steps": 60, "steps_per_epoch": 5, "total_epochs": 8, "training_phases": phases}
    for from_step, saves in ((0, 8), (30, 5), (40, 4), (55, 1)):
        assert planned_phases(a_job(), {**started, "from_step": from_step})["saving"] == saves


@pytest.mark.parametrize("by", ["webui", "worker", "both"])
def test_samples_of_the_webui_take_none_of_the_runs_time(by):
    started = {"total_steps": 20, "steps_per_epoch": 10, "total_epochs": 2}
    samples = planned_phases(a_job(**{"sample.sample_by": by}), started)["samples"]
    assert samples == (0 if by == "webui" else 3)


def test_the_clock_measures_each_kind_without_holds():
    clock = PhaseClock()
    for event in [{"event": "phase", "time": 0, "name": "latents"}, {"event": "held", "time": 10, "token": "a"},
                  {"event": "held", "time": 12, "token": "b"}, {"event": "resumed", "time": 20, "token": "a"},
                  {"event": "resumed", "time": 30, "token": "b"}, {"event": "phase", "time": 40, "name": "train"},
                  {"event": "phase", "time": 100, "name": "save"},
                  {"event": "step", "time": 107, "step": 5, "seconds_per_step": 2.0},
                  {"event": "finished", "time": 120}]:
        clock.take(event)
    assert clock.seconds == {"encoding": 20, "training": 75, "saving": 5}


def test_the_report_names_files_times_and_warnings(tmp_path):
    run = create_run(tmp_path / "runs", "penny", "{}")
    simulated = Simulated(a_job())
    made = tmp_path / "penny.safetensors"
    made.write_bytes(b"x" * 2_500_000)
    simulated.events[-1:-1] = [
        {"event": "saved", "time": 0, "path": str(made), "name": "penny", "step": 40, "epoch": 4},
        *[{"event": "warning", "time": 0, "text": "Two images are tiny."}] * 2]
    (run.path / "big.bin").write_bytes(b"y" * 1_000_000)
    report = report_of(run, simulated.events, a_job())
    assert [(file.name, file.bytes) for file in report.files][-1] == ("penny", 2_500_000)
    assert report.files[0].bytes is None and report.warnings == ("Two images are tiny.",)
    assert [(phase.label, phase.seconds) for phase in report.phases] == [
        ("samples", 5 * SAMPLE), ("training", 80.0), ("encoding images and captions", 60.0), ("diagnosis", 40.0),
        ("saving", 20.0)]
    assert (report.files_bytes, report.best) == (2_500_000, "") and report.folder_bytes >= 1_000_000
    text = "\n".join(lines_of(report))
    assert "penny (epoch 4, 2.5 MB)" in text and "samples 2 min 30 s" in text and "Warnings: 1" in text


def test_the_list_of_runs_has_the_whole_time_left(tmp_path):
    run = create_run(tmp_path, "penny", "sample: {sample_prompts: [penny]}")
    events = Simulated(a_job()).events
    cut = next(number for number, event in enumerate(events) if event.get("step") == 15)
    run.events_file.write_text("".join(json.dumps(event) + "\n" for event in events[:cut + 1]))
    from lib_lora_train.runs.process import only_worker

    with only_worker(run):
        summary = RunIndex(tmp_path).of(run)
    assert summary.alive
    assert summary.seconds_left == pytest.approx(25 * PACE + 3 * (SAVE + SAMPLE + MEASURE))


def test_phases_that_save_at_other_steps_or_epochs_count_as_they_do():
    phases = [{"number": 1, "name": "", "first_step": 0, "steps": 40, "first_epoch": 1, "epochs": 4,
               "steps_per_epoch": 10},
              {"number": 2, "name": "", "first_step": 40, "steps": 25, "first_epoch": 5, "epochs": 3,
               "steps_per_epoch": 10}]
    started = {"total_steps": 65, "steps_per_epoch": 10, "total_epochs": 7, "training_phases": phases}
    job = a_job(**{"save.save_every_n_epochs": 2, "training.phases": [
        {"epochs": 3, "save": {"save_every_n_epochs": None, "save_every_n_steps": 4},
         "sample": {"sample_every_n_epochs": 1}}]})
    # epochs 2 and 4; steps 44, 48, 52, 56 and 64, not 60 as an epoch ends there; and the last
    for from_step, saves, samples in ((0, 8, 5), (20, 7, 4), (45, 5, 3), (60, 2, 1)):
        found = planned_phases(job, {**started, "from_step": from_step})
        assert (found["saving"], found["samples"]) == (saves, samples + (from_step == 0)), from_step
