"""Runs that have ended go on from the tab, and the curves beside the loss, with a scripted worker."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import fill_in, go_to_tab, start, steps_drawn, wait_for_more_steps, wait_for_state

TRAIN = "#tl-panel-train"


def button(page, name):
    return page.locator(f"{TRAIN} .tl-resume").get_by_role("button", name=name, exact=True)


def forecast(page):
    """What the window says will happen, once the server has answered."""
    page.locator(".tl-dialog").wait_for()
    said = page.locator(".tl-forecast dd, .tl-dialog .tl-field-problem:not(:empty)").first
    said.wait_for()
    assert said.evaluate("one => one.tagName") == "DD", said.inner_text()
    names, values = (page.locator(f".tl-forecast {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def of_run(webui):
    [run] = webui.get("runs")
    return run


def test_a_stopped_run_resumes_where_it_was_at_one_click(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="50")
    start(page)
    wait_for_more_steps(page, 3)
    page.click("#tl_stop")
    wait_for_state(page, "Stopped")
    held = of_run(webui)["training_state_step"]
    page.locator(f"{TRAIN} .tl-resume .tl-note", has_text=f"From step {held}, exactly").wait_for()
    button(page, "Resume").click()
    wait_for_state(page, "Training")
    assert page.locator(f"{TRAIN} .tl-resume").is_hidden()
    wait_for_more_steps(page, held + 2)
    assert len(webui.get("runs")) == 1
    page.click("#tl_stop")
    wait_for_state(page, "Stopped")


def test_steps_after_the_last_state_leave_the_plot_when_a_run_resumes(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1, STANDIN_FAILS_AT_STEP="18")
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="3")
    start(page)
    wait_for_state(page, "Failed")
    assert steps_drawn(page) == 17  # the last state is that of step 10
    button(page, "Resume").click()
    wait_for_state(page, "Finished")
    assert steps_drawn(page) == 30
    plot = page.locator(f"{TRAIN} .tl-plot").first
    readout = page.locator(f"{TRAIN} .tl-readout")
    plot.press("Home")
    for step in range(1, 31):  # each step once
        assert readout.inner_text().split()[1] == str(step)
        plot.press("ArrowRight")


def test_what_came_after_the_last_state_is_forgotten_when_a_run_resumes(webui, open_tab):
    page = open_tab(webui)
    kept = page.evaluate("""() => {
        const run = new TrainLora.RunModel("20260101-000000-penny");
        const send = (event, fields) => run.takeEvent({event, ...fields});
        send("started", {from_step: 0, total_steps: 9, total_epochs: 3});
        for (let step = 1; step <= 7; step += 1) {
            send("step", {step, loss: 0.1, lr_unet: 1, lr_text_encoder: 1, gradient_norm: 1, total_steps: 9});
            if (step % 3 === 0) {
                send("norms", {step, unet: 1, text_encoder: 1, blocks: {}});
                send("validation", {step, loss: 1});
                send("epoch", {epoch: step / 3, loss: 0.1});
            }
        }
        send("error", {text: "", detail: ""});
        send("queued", {steps: 4, total_steps: 9, name: "penny"});
        send("started", {from_step: 4, total_steps: 9, total_epochs: 3});
        return [run.steps.step, run.steps.gradient.length, run.epochs.map((epoch) => epoch.step), run.norms.length,
            run.validation.length, run.lastStep.step, run.ending];
    }""")
    assert kept == [[1, 2, 3, 4], 4, [3], 1, 1, 4, None]


def test_the_gpu_memory_that_a_run_uses_stands_beside_its_pace(webui, open_tab):
    page = open_tab(webui)
    reported = page.evaluate("""() => {
        const run = new TrainLora.RunModel("20260101-120000-penny");
        const events = [{event: "started", total_steps: 100, total_epochs: 10},
            {event: "step", step: 3, total_steps: 100, epoch: 1, loss: 0.1, seconds_per_step: 0.5, seconds_left: 40},
            {event: "memory", peak_bytes: 5.25 * 2 ** 30, device_bytes: 8 * 2 ** 30}];
        run.take({events, offset: 1, id: "20260101-120000-penny", state: "running", alive: true});
        return run.paceText();
    }""")
    assert reported == "epoch 1 of 10, 2.0 steps a second, 5.3 of 8 GB of GPU memory"


def test_a_few_more_epochs_say_what_they_will_be_before_they_begin(make_webui, open_tab, pictures):
    webui = make_webui()
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="3", output_name="penny")
    start(page)
    wait_for_state(page, "Finished")
    button(page, "A few more epochs").click()
    dialog = page.locator(".tl-dialog")
    reported = forecast(page)
    assert reported["Saved as"] == "penny-v2"
    assert reported["Steps"] == "10 more, from 30 to 40"
    assert reported["Time"].startswith("about")
    assert reported["Learning rate"].startswith("1, a factor on the rate that Prodigy")
    epochs = dialog.locator("input").first
    epochs.fill("0.5")
    dialog.get_by_text("Write whole epochs").wait_for()
    assert dialog.get_by_role("button", name="Train more").is_disabled()
    epochs.fill("2")
    page.locator(".tl-forecast", has_text="20 more, from 30 to 50").wait_for()
    dialog.get_by_role("button", name="Train more").click()
    page.locator(f"{TRAIN} .tl-run-sentence", has_text="Done: 50 steps").wait_for()
    files = page.locator(f"{TRAIN} .tl-file-name").all_inner_texts()
    assert files[:2] == ["penny-v2", "penny-v2-000004"] and "penny" in files
    assert page.locator(f"{TRAIN} .tl-epoch").count() == 5


def test_polishing_is_proposed_with_few_epochs_at_a_tenth_of_the_rate(make_webui, open_tab, pictures):
    webui = make_webui()
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="8", output_name="penny")
    start(page)
    wait_for_state(page, "Finished")
    button(page, "Polish at a lower rate").click()
    reported = forecast(page)
    assert reported["Learning rate"].startswith("0.1,") and reported["Steps"] == "20 more, from 80 to 100"
    epochs, factor = page.locator(".tl-dialog input").all()
    epochs.fill("1")
    factor.fill("0,05")
    page.locator(".tl-forecast", has_text="10 more, from 80 to 90").wait_for()
    assert forecast(page)["Learning rate"].startswith("0.05,")
    page.keyboard.press("Escape")
    expect(page.locator(".tl-dialog")).to_have_count(0)
    assert of_run(webui)["state"] == "finished"


def test_a_run_whose_loss_exploded_offers_a_lower_rate(make_webui, open_tab, pictures):
    webui = make_webui(STANDIN_FAILS_AT_STEP="15", STANDIN_FAILS_HOW="diverged")
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="3")
    start(page)
    wait_for_state(page, "Failed")
    assert button(page, "Resume").is_hidden()
    button(page, "Resume at a lower rate").click()
    assert forecast(page)["Steps"] == "20 more, from 10 to 30"
    page.locator(".tl-dialog").get_by_role("button", name="Resume").click()
    wait_for_state(page, "Finished")
    assert steps_drawn(page) == 30


def test_curves_are_switched_on_and_off_and_stay_so(finished):
    page = finished
    shown = f"{TRAIN} .tl-curves .tl-plot:visible"
    expect(page.locator(shown)).to_have_count(1)
    assert [curve.get_attribute("data-curve") for curve in page.locator(shown).all()] == ["rate"]
    for name in ("Gradient norm", "Weight norm", "Learning rate"):
        page.locator(TRAIN).get_by_role("button", name=name).click()
    page.locator(f"{TRAIN} .tl-plot[data-curve=norm]").wait_for()
    page.locator(f"{TRAIN} .tl-plot[data-curve=rate]").wait_for(state="hidden")
    assert [curve.get_attribute("data-curve") for curve in page.locator(shown).all()] == ["gradient", "norm"]
    label = page.locator(f"{TRAIN} .tl-plot[data-curve=norm]").get_attribute("aria-label")
    assert label == "Weight norm: now 5.48, highest 5.48."  # the root of 30
    page.locator(f"{TRAIN} .tl-plot").first.press("End")
    read = page.locator(f"{TRAIN} .tl-readout").inner_text().split("\n")
    assert read[read.index("Weights") + 1] == "5.48" and read[read.index("Weights, text") + 1] == "1.64"
    assert "Gradient" in read and "Rate" not in read
    bands = page.locator(f"{TRAIN} .tl-band")
    assert [band.locator(".tl-band-name").inner_text() for band in bands.all()] == [
        "Low noise", "Middle noise", "High noise"]
    words = page.locator(f"{TRAIN} .tl-bands-part > .tl-note").inner_text()
    assert "mostly noise level" in words and "SD 1.x, epsilon prediction" in words
    page.locator(TRAIN).get_by_role("button", name="By noise level").click()
    bands.first.wait_for(state="hidden")
    page.locator(f"{TRAIN} .tl-key[data-line=raw]").click()
    page.locator(f"{TRAIN} .tl-plot").first.locator(".tl-line-raw").wait_for(state="detached")
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator(f"{TRAIN} .tl-plot[data-curve=norm]").wait_for()
    assert page.locator(f"{TRAIN} .tl-key[data-line=raw]").get_attribute("aria-pressed") == "false"


def test_the_norm_of_each_block_is_a_bar_as_high_as_its_share(finished):
    page = finished
    blocks = page.locator(f"{TRAIN} .tl-norm").all()
    assert [block.get_attribute("data-block") for block in blocks] == ["BASE", "IN04", "M00", "OUT05"]
    heights = [block.locator(".tl-norm-bar").bounding_box()["height"] for block in blocks]
    shares = [height / max(heights) for height in heights]
    assert shares == pytest.approx([0.3 / 0.9, 0.5 / 0.9, 0.2 / 0.9, 1], abs=0.02)
    assert "the highest in OUT05" in page.locator(f"{TRAIN} .tl-norms").get_attribute("aria-label")
