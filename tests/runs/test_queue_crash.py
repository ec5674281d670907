"""The webui is killed or cannot write while a queued run gets another GPU: queue and job agree at the start."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import pytest

from lib_lora_train.config.change import changed
from lib_lora_train.config.load import job_to_yaml, load_job
from lib_lora_train.files.atomic import write_atomically
from lib_lora_train.runs import queue
from lib_lora_train.runs.folder import create_run
from lib_lora_train.runs.job import give_device
from lib_lora_train.runs.summary import RunIndex
from lib_lora_train.runs.supervisor import Supervisor
from tests.crashes import failing, killed_at

JOB = """
base: {{checkpoint: base.safetensors}}
dataset: {{train_data_dir: images}}
network: {{network_dim: 4, network_alpha: 4}}
save: {{output_name: penny, output_dir: loras}}
training: {{device: "{device}"}}
"""


def choose_any_gpu(run):
    give_device(run, "cuda:1", any_gpu=True)


def choose_gpu(run):
    give_device(run, "cuda:1")


def edit(run):
    """What saving the form does."""
    def change(request):
        job = load_job(run.job_file)
        write_atomically(run.job_file, job_to_yaml(changed(job, {"training.device": "auto", "network.network_dim": 8})))
        return replace(request, device="cuda:0", any_gpu=False)

    queue.change_queued(run, change)


def killed(number, act):
    return killed_at(number, act)


def refused(number, act):
    try:
        with failing(number):
            act()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("interrupt", [killed, refused])
@pytest.mark.parametrize(("act", "before"), [(choose_any_gpu, "cuda:0"), (choose_gpu, "cuda:0"), (edit, "cuda:2")])
def test_a_run_starts_on_the_gpu_that_the_queue_claimed_wherever_a_change_ended(tmp_path, interrupt, act, before):
    disagreed = 0
    for number in itertools.count(1):
        runs = tmp_path / str(number)
        runs.mkdir()
        run = create_run(runs, "penny", JOB.format(device=before))
        queue.enqueue(run, before)
        interrupted = interrupt(number, lambda run=run: act(run))
        if (run.path / queue.CHANGING_FILE).exists():
            os.utime(run.path / queue.CHANGING_FILE, (1, 1))  # a while ago
        queued_for = [request.device for _, request in queue.queue_requests(runs)]
        disagreed += load_job(run.job_file).training.device.replace("auto", "cuda:0") != queued_for[0]
        started = []
        supervisor = Supervisor(RunIndex(runs), started.append, lambda device: None, lambda saved: None)
        supervisor.check()
        supervisor.check()  # the job was changed after the model had been offered
        assert [one.id for one in started] == [run.id], number
        assert [queue.claimed_device(run)] == queued_for
        assert load_job(run.job_file).training.device.replace("auto", "cuda:0") == queued_for[0], number
        assert load_job(run.job_file).network.network_dim in ((8, 4) if act is edit else (4,))
        if not interrupted:
            assert queued_for == ["cuda:0" if act is edit else "cuda:1"]
            break
    assert disagreed, "no interruption came between the two files"


def test_a_run_claimed_by_a_killed_webui_keeps_its_place_and_any_gpu(tmp_path):
    first, second = (create_run(tmp_path, name, "") for name in ("first", "second"))
    for run in (first, second):
        queue.enqueue(run, "cuda:0")
    queue.change_queued(first, lambda request: replace(request, any_gpu=True))
    assert queue.claim(first)
    os.utime(first.path / queue.CLAIMED_FILE, (1, 1))
    queue.requeue_abandoned(tmp_path)
    assert [(run.id, request.any_gpu) for run, request in queue.queue_requests(tmp_path)] == [
        (first.id, True), (second.id, False)]
