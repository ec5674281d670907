"""Training from the tab with a scripted worker: start, watch, pause, go on, stop, come back, try."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .conftest import (
    PROMPTS,
    REFUSED,
    evaluates,
    eventually,
    field,
    fill_in,
    go_to_tab,
    refuse,
    refused,
    start,
    steps_drawn,
    try_again,
    wait_for_more_steps,
    wait_for_state,
)

MANY_EPOCHS = "900"  # a run that lasts long enough for the slowest machine


def prompt_of(page):
    return page.locator("#txt2img_prompt textarea")


def line_of(page):
    return page.locator("#tl-panel-train .tl-line-smooth").get_attribute("d")


def test_the_plot_grows_while_it_trains_and_pause_resume_and_stop_work(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs=MANY_EPOCHS, sample_prompts=PROMPTS)
    start(page)
    wait_for_state(page, "Training")
    first = line_of(page)
    seen = wait_for_more_steps(page, steps_drawn(page))
    eventually(page, lambda: line_of(page) != first, True)

    page.click("#tl_pause")
    wait_for_state(page, "Paused")
    [run] = webui.get("runs")
    assert run["state"] == "paused"
    held = run["step"]
    page.locator(".tl-action-sentence", has_text=f"Paused at step {held} of 9,000").wait_for()
    eventually(page, lambda: steps_drawn(page), held)
    assert held >= seen
    expect(page.locator("#tl_pause")).to_be_hidden()

    page.click("#tl_resume")
    wait_for_state(page, "Training")
    wait_for_more_steps(page, held)

    page.click("#tl_stop")
    wait_for_state(page, "Stopped")
    page.locator(".tl-run-sentence", has_text="Stopped after").wait_for()
    expect(page.locator("#tl_stop")).to_be_hidden()
    expect(page.locator("#tl_train")).to_be_visible()
    expect(page.locator("#tl_queue")).to_be_hidden()
    assert (webui.loras / "penny.safetensors").is_file()
    page.locator("#tl-panel-train .tl-file-name", has_text=re.compile("^penny$")).wait_for()


def test_a_reload_and_another_browser_find_the_live_run(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs=MANY_EPOCHS)
    start(page)
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator("#tl-panel-train .tl-line-smooth").wait_for()
    wait_for_more_steps(page, steps_drawn(page))
    other = open_tab(webui, theme="dark")
    other.locator("#tl-panel-train .tl-line-smooth").wait_for()
    expect(other.locator("#tl-panel-train .tl-run-name")).to_have_text("penny")
    other.click("#tl_pause")
    wait_for_state(page, "Paused")


def test_the_run_continues_while_the_webui_is_gone_and_is_found_again(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs=MANY_EPOCHS)
    start(page)
    webui.kill()
    page.locator(".tl-toast", has_text="The webui does not answer").wait_for()
    before = steps_drawn(page)
    webui.start()
    wait_for_more_steps(page, before)  # the open page needs no reload
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    wait_for_state(page, "Training")
    wait_for_more_steps(page, before)


def test_bar_and_panel_stay_with_what_runs_while_others_are_queued_and_removed(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs=MANY_EPOCHS)
    start(page)
    for count in (1, 2):
        page.locator("#tl_queue").click()
        page.locator("#tl_queued", has_text=f"+{count} queued").wait_for()
    wait_for_state(page, "Training")
    expect(page.locator("#tl-panel-train .tl-run-name").first).to_have_text("penny")
    page.locator(".tl-action-second", has_text=re.compile("^penny:")).wait_for()
    expect(page.locator("#tl_remove")).to_be_hidden()

    page.click("#tl_queued")
    row = page.locator("#tl-panel-train .tl-queue-row", has_text="penny-v3")
    row.get_by_role("button", name="Remove").click()
    page.locator("#tl_queued", has_text="+1 queued").wait_for()
    expect(page.locator("#tl-panel-train .tl-queue-row")).to_have_count(1)
    page.click("#tl_pause")  # acts on what runs
    wait_for_state(page, "Paused")
    eventually(page, lambda: {run["name"]: run["state"] for run in webui.get("runs")},
               {"penny": "paused", "penny-v2": "waiting", "penny-v3": "stopped"})
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    wait_for_state(page, "Paused")
    page.locator("#tl_queued", has_text="+1 queued").wait_for()

    page.click("#tl-tab-runs")
    page.locator("#tl-panel-runs .tl-run-row", has_text="penny-v2").click()
    expect(page.locator("#tl_runs_stop")).to_be_hidden()
    page.click("#tl_runs_remove")
    wait_for_state(page, "Stopped", "runs")
    page.click("#tl-tab-train")
    expect(page.locator("#tl_queued")).to_be_hidden()
    page.click("#tl_stop")
    wait_for_state(page, "Stopped")
    eventually(page, lambda: {run["name"]: run["state"] for run in webui.get("runs")},
               {"penny": "stopped", "penny-v2": "stopped", "penny-v3": "stopped"})


def test_the_queued_run_takes_the_bar_when_its_turn_comes(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs=MANY_EPOCHS)
    start(page)
    page.locator("#tl_queue").click()
    page.locator("#tl_queued", has_text="+1 queued").wait_for()
    page.click("#tl_stop")
    page.locator("#tl-panel-train .tl-run-name", has_text="penny-v2").wait_for()
    wait_for_state(page, "Training")
    expect(page.locator("#tl_queued")).to_be_hidden()


def test_list_and_panel_show_the_same_loss(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="7")
    start(page)
    wait_for_state(page, "Finished")
    shown = page.locator("#tl-panel-train .tl-plot-now").inner_text()
    page.click("#tl-tab-runs")
    page.locator("#tl-panel-runs .tl-run-row-about", has_text=f"loss {shown}").wait_for()
    slider = page.locator("#tl-panel-runs .tl-smoothing input:not(#tl_compare *)")
    slider.fill("0.5")
    expect(page.locator("#tl-panel-runs .tl-plot-now")).to_have_text(shown)


def test_a_run_that_has_finished_stays_in_its_place_until_a_setting_changes(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="2")
    plan_first = """() => document.querySelector("#tl_plan").getBoundingClientRect().top <
        document.querySelector("#tl-panel-train .tl-runview").getBoundingClientRect().top"""
    assert page.evaluate(plan_first)
    start(page)
    wait_for_state(page, "Finished")
    expect(page.locator("#tl_stop")).to_be_hidden()
    page.locator("#tl-panel-train .tl-resume").get_by_role("button", name="A few more epochs").wait_for()
    assert not page.evaluate(plan_first)
    field(page, "max_train_epochs").fill("3")
    evaluates(page, f"({plan_first})()", True)


def test_a_run_that_fails_says_why(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1, STANDIN_FAILS_AT_STEP="7")  # the page has to see it train for the toast
    page = open_tab(webui)
    fill_in(page, pictures)
    start(page)
    page.locator(".tl-toast", has_text="The disk was full").wait_for()
    wait_for_state(page, "Failed")
    page.locator(".tl-run-sentence", has_text="The disk was full at step 7. Free some space.").wait_for()


def test_samples_stand_by_prompt_and_epoch_and_can_be_walked_through_large(finished):
    page = finished
    panel = page.locator("#tl-panel-train")
    panel.locator(".tl-sample").nth(5).wait_for()
    expect(panel.locator(".tl-samples thead th")).to_have_text(["Epoch 1", "Epoch 2", "Epoch 3"])
    expect(panel.locator(".tl-samples-prompt")).to_have_text(PROMPTS.split("\n"))
    page.wait_for_function("""() => [...document.querySelectorAll("#tl-panel-train .tl-sample img")]
        .every((image) => image.complete && image.naturalWidth === 64)""")
    panel.get_by_role("button", name="Epoch 2: penny smiling").click()
    title, text = page.locator(".tl-lightbox-title"), page.locator(".tl-lightbox-text")
    expect(title).to_have_text("Epoch 2")
    expect(text).to_have_text("penny smiling")
    walk = [("ArrowRight", ("Epoch 3", "penny smiling")), ("ArrowDown", ("Epoch 3", "penny, from behind")),
            ("ArrowRight", ("Epoch 3", "penny, from behind")), ("ArrowLeft", ("Epoch 2", "penny, from behind"))]
    for key, expected in walk:
        page.keyboard.press(key)
        expect(title).to_have_text(expected[0])
        expect(text).to_have_text(expected[1])
    page.keyboard.press("Escape")
    expect(page.locator(".tl-lightbox")).to_have_count(0)
    evaluates(page, "document.activeElement.getAttribute('aria-label')", "Epoch 2: penny smiling")


def test_the_plot_reads_out_single_steps_by_pointer_and_by_key(finished):
    page = finished
    plot = page.locator("#tl-panel-train .tl-plot").first
    readout = page.locator("#tl-panel-train .tl-readout")
    eventually(page, lambda: steps_drawn(page), 30)

    def words(count):
        return readout.inner_text().split()[:count]

    plot.press("Home")
    eventually(page, lambda: words(4), ["Step", "1", "Epoch", "1"])
    plot.press("ArrowRight")
    eventually(page, lambda: words(2), ["Step", "2"])
    plot.press("End")
    eventually(page, lambda: words(4), ["Step", "30", "Epoch", "3"])

    def step_in_the_middle():
        """The pointer goes there again, since the report that arrives above moves the plot."""
        plot.hover(position={"x": plot.bounding_box()["width"] / 2, "y": 100})
        return int(words(2)[1])

    eventually(page, lambda: 10 <= step_in_the_middle() <= 20, True)
    plot.press("Home")
    plot.evaluate("""plot => new Promise((left) => {
        plot.addEventListener("pointerleave", left, {once: true});
        plot.closest(".tl-lossplot").style.marginTop = "300px";  // the page moves, the pointer rests
    })""")
    assert words(2) == ["Step", "1"]
    plot.press("ArrowRight")
    assert words(2) == ["Step", "2"]
    plot.blur()
    expect(readout).to_be_hidden()
    plot.evaluate("plot => { plot.closest('.tl-lossplot').style.marginTop = ''; }")
    expect(page.locator("#tl-panel-train .tl-epoch")).to_have_count(3)
    expect(page.locator("#tl-panel-train .tl-saved")).to_have_count(3)


def test_what_cannot_be_read_says_so_in_its_place_and_is_read_again(finished_webui, open_tab):
    page = open_tab(finished_webui)
    refuse(page, "presets*", "own-presets", "blocks", "difficulties*", "family*", "tools", "tagging", "runs/*/strip",
           "runs/*/epochs", "runs/*/report", "runs/*/diagnosis*")
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator("#tl-tab-runs").click()
    page.locator("#tl-panel-runs .tl-run-row").first.click()
    refused(page, "The presets", "Your presets", "The list of blocks", "The family of the checkpoint",
            "The list of tools", "The list of taggers")
    page.locator(".tl-toast", has_text=REFUSED).wait_for()  # of the question how hard it is to learn
    refused(page, "The test strip", "The proposal", "The summary", "The diagnosis", within="#tl-panel-runs")
    expect(page.locator("#tl-panel-runs .tl-epoch-title")).to_be_hidden()
    evaluates(page, "overflowing()", [])
    try_again(page)
    expect(page.locator("#tl-panel-runs .tl-epoch-title")).to_be_visible()
    expect(page.locator("#tl-panel-runs .tl-report")).to_contain_text("Made")
    expect(page.locator("#tl-panel-tools .tl-tool-choice").first).to_be_attached()


def test_a_finished_run_is_reopened_from_the_list_and_its_settings_are_used_again(finished_webui, open_tab):
    other = open_tab(finished_webui)
    other.click("#tl-tab-runs")
    row = other.locator(".tl-run-row", has_text="penny")
    row.locator("img").wait_for()  # the last sample
    row.click()
    wait_for_state(other, "Finished", "runs")
    eventually(other, lambda: steps_drawn(other, "runs"), 30)
    runs = other.locator("#tl-panel-runs")
    expect(runs.locator(".tl-sample")).to_have_count(6)
    expect(runs.locator(".tl-file-name")).to_have_text(["penny", "penny-000002", "penny-000001"])
    runs.locator("summary", has_text="Log").click()
    expect(runs.locator(".tl-log")).to_contain_text("step 30 of 30")
    runs.locator("summary", has_text="Settings of this run").click()
    expect(runs.locator(".tl-used")).to_contain_text("48")
    runs.get_by_role("button", name="Use these settings").click()
    expect(field(other, "network_dim")).to_have_value("48")
    expect(field(other, "sample_prompts")).to_have_value(PROMPTS)
    expect(other.locator("#tl_dataset_folder")).to_have_value(str(finished_webui.data.with_name("penny")))


def test_try_puts_the_lora_and_its_tag_into_txt2img(finished):
    page = finished
    files = page.locator("#tl-panel-train .tl-file")
    files.filter(has_text="The last").get_by_role("button", name="Try in txt2img").click()
    prompt_of(page).wait_for()  # only the open tab is in sight
    expect(prompt_of(page)).to_have_value("<lora:penny:1> penny")
    prompt_of(page).fill("a castle, <lora:penny:0.7> penny, night")
    go_to_tab(page)
    files.filter(has_text="Epoch 1").get_by_role("button", name="Try in txt2img").click()
    prompt_of(page).wait_for()
    expect(prompt_of(page)).to_have_value("a castle, <lora:penny-000001:0.7> penny, night")


def test_nothing_moves_while_the_run_is_polled(make_webui, open_tab, pictures):
    page = open_tab(make_webui(step_seconds=0.15))
    fill_in(page, pictures, max_train_epochs=MANY_EPOCHS)
    start(page)
    wait_for_more_steps(page, 10)  # the first file is there
    page.locator("#tl-panel-train .tl-file").first.wait_for()
    page.locator("#tl-panel-train").get_by_role("heading", name="Which epoch").wait_for()  # comes with the first file
    counts = "[document.querySelectorAll('#tl-panel-train .tl-file').length, places()]"
    for _ in range(20):
        files, before = page.evaluate(counts)
        wait_for_more_steps(page, steps_drawn(page) + 3)
        files_then, then = page.evaluate(counts)
        if files_then == files:  # else an epoch ended meanwhile, and its file moves what stands below it
            assert then == before
            return
    pytest.fail("an epoch ended each time")
