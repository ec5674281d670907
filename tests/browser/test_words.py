"""Times, sizes and prompts in words, from the scripts alone."""

from __future__ import annotations

import pytest

from .webui_process import ROOT

SCRIPTS = ("train_lora_00_core.js", "train_lora_01_format.js", "train_lora_40_runmodel.js",
           "train_lora_47_txt2img.js")


@pytest.fixture(scope="module")
def page(browser):
    """A blank page with the scripts that need nothing else."""
    page = browser.new_page()
    for script in SCRIPTS:
        page.add_script_tag(path=str(ROOT / "javascript" / script))
    yield page
    page.close()


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (60, "1 min"), (200, "3 min 20 s"), (599, "9 min 59 s"),
    (754, "13 min"), (3599, "60 min"), (3600, "1 h"), (5400, "1 h 30 min"), (7200, "2 h"), (200000, "2 days 7 h")])
def test_a_duration(page, seconds, words):
    assert page.evaluate("value => TrainLora.format.duration(value)", seconds) == words


@pytest.mark.parametrize(("seconds", "words"), [
    (None, ""), (0.2, "almost done"), (200, "3 min 20 s left")])
def test_what_is_left(page, seconds, words):
    assert page.evaluate("value => TrainLora.format.left(value)", seconds) == words


@pytest.mark.parametrize(("rate", "words"), [
    (1, "1"), (1e-4, "0.0001"), (5e-5, "0.00005"), (0.00012345, "0.000123"), (5e-7, "5e-7"), (1.25e-6, "1.3e-6"),
    (0, "0"), (None, "–")])
def test_a_learning_rate(page, rate, words):
    assert page.evaluate("value => TrainLora.format.rate(value)", rate) == words


@pytest.mark.parametrize(("size", "words"), [
    (0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (37_900_000, "37.9 MB"), (151_000_000, "151 MB")])
def test_a_file_size(page, size, words):
    assert page.evaluate("value => TrainLora.format.bytes(value)", size) == words


@pytest.mark.parametrize(("before", "after"), [
    ("", "<lora:penny-000002:1> penny"),
    ("a castle", "a castle, <lora:penny-000002:1> penny"),
    ("a castle, ", "a castle, <lora:penny-000002:1> penny"),
    ("penny, a castle", "penny, a castle, <lora:penny-000002:1>"),
    ("a castle, <lora:penny:0.8> penny", "a castle, <lora:penny-000002:0.8> penny"),
    ("<lora:penny-000001:1:0.5> penny, night", "<lora:penny-000002:1:0.5> penny, night"),
    ("<lora:penny-step00000100:1>", "<lora:penny-000002:1>"),
    ("<lora:penny-v2:1> penny", "<lora:penny-v2:1> penny, <lora:penny-000002:1> penny"),
    ("<lora:other:1>", "<lora:other:1>, <lora:penny-000002:1> penny")])
def test_a_lora_joins_the_prompt_that_is_there(page, before, after):
    answer = {"prompt": "<lora:penny-000002:1> penny", "name": "penny-000002", "tag": "penny"}
    assert page.evaluate("([before, answer]) => TrainLora.promptWith(before, answer)", [before, answer]) == after


def test_the_gpu_memory_that_a_run_uses_is_told_beside_its_pace(page):
    told = page.evaluate("""() => {
        const run = new TrainLora.RunModel("20260101-120000-penny");
        const events = [{event: "started", total_steps: 100, total_epochs: 10},
            {event: "step", step: 3, total_steps: 100, epoch: 1, loss: 0.1, seconds_per_step: 0.5, seconds_left: 40},
            {event: "memory", peak_bytes: 5.25 * 2 ** 30, device_bytes: 8 * 2 ** 30}];
        run.take({events, offset: 1, id: "20260101-120000-penny", state: "running", alive: true});
        return run.paceText();
    }""")
    assert told == "epoch 1 of 10, 2.0 steps a second, 5.3 of 8 GB of GPU memory"
