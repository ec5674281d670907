"""A run is started at once and gets ready while the webui lends its model; it waits for that if it has to."""

from __future__ import annotations

import threading

from lib_lora_train.runs.lend_ticket import FILE, LENT, PENDING, LendTicket, read_ticket, write_ticket
from lib_lora_train.runs.process_mark import ProcessMark, this_process
from lib_lora_train.training import base_weights


def pending(run):
    write_ticket(run.path, LendTicket(PENDING, this_process()))


def settles_later(run):
    """A webui whose picture takes a moment; then it cannot lend its model after all."""
    pending(run)
    threading.Timer(0.4, write_ticket, (run.path, LendTicket(FILE, this_process(), reason="it is another's"))).start()


def test_the_run_may_start_while_a_picture_is_made_and_the_model_is_lent_after_it(start_webui, checkpoint, train):
    def lend(run):
        assert webui("begin to lend in a picture", str(run.path)) == PENDING

    webui = start_webui(checkpoint)
    assert train(before=lend).of("weights")[0]["way"] == LENT


def test_a_run_that_has_to_wait_says_so_and_reads_the_file_if_it_is_refused(train, monkeypatch):
    monkeypatch.setattr(base_weights, "_REPORT_AFTER_SECONDS", 0.1)
    run = train(before=settles_later)
    assert run.completed
    assert [event["text"] for event in run.of("phase") if "Waiting" in event["text"]] == \
        ["Waiting for the webui's image, to train on the model that it holds"]
    assert run.of("weights")[0]["text"] == "The model is read from the file, because it is another's."


def test_no_wait_is_reported_to_who_is_answered_at_once(train):
    run = train(before=settles_later)
    assert run.completed
    assert not any("Waiting" in event["text"] for event in run.of("phase"))


def test_a_stop_ends_the_waiting(train):
    def stopped(run):
        pending(run)
        threading.Timer(0.4, run.control.request, ("stop",)).start()

    run = train(before=stopped)
    assert (run.events[-1]["event"], run.events[-1]["steps"], run.completed) == ("stopped", 0, True)


def test_a_webui_that_ends_before_it_has_lent_is_not_waited_for(train):
    def dead(run):
        write_ticket(run.path, LendTicket(PENDING, ProcessMark(this_process().pid, 0.0)))

    run = train(before=dead)
    assert run.completed
    assert "because the webui ended before it could lend it" in run.of("weights")[0]["text"]


def test_a_run_that_is_to_read_the_file_waits_for_nobody(train):
    run = train(before=pending, training={"webui_model": FILE, "max_train_steps": 1})
    assert run.completed and run.of("weights") == []
    assert read_ticket(run.run.path).way == PENDING
