"""Training from the tab with a scripted worker: start, watch, pause, go on, stop, come back, try."""

from __future__ import annotations

import re

from .conftest import (
    field,
    fill_in,
    go_to_tab,
    start,
    steps_drawn,
    wait_for_more_steps,
    wait_for_state,
)

PROMPTS = "penny smiling\npenny, from behind"


def prompt_of(page):
    return page.locator("#txt2img_prompt textarea")


def line_of(page):
    return page.locator("#tl-panel-train .tl-line-smooth").get_attribute("d")


def test_the_plot_grows_while_it_trains_and_pause_go_on_and_stop_work(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="50", sample_prompts=PROMPTS)
    start(page)
    wait_for_state(page, "Training")
    first = line_of(page)
    seen = wait_for_more_steps(page, steps_drawn(page))
    assert line_of(page) != first

    page.click("#tl_pause")
    wait_for_state(page, "Paused")
    [run] = webui.get("runs")
    assert run["state"] == "paused"
    held = run["step"]
    page.locator(".tl-action-sentence", has_text=f"Paused at step {held} of 500").wait_for()
    assert steps_drawn(page) == held >= seen
    assert page.locator("#tl_pause").is_hidden()

    page.click("#tl_resume")
    wait_for_state(page, "Training")
    wait_for_more_steps(page, held)

    page.click("#tl_stop")
    wait_for_state(page, "Stopped")
    page.locator(".tl-run-sentence", has_text="Stopped after").wait_for()
    assert page.locator("#tl_stop").is_hidden()
    assert page.locator("#tl_train").is_visible()
    assert page.locator("#tl_queue").is_hidden()
    assert (webui.loras / "penny.safetensors").is_file()
    assert "penny" in page.locator("#tl-panel-train .tl-file-name").all_inner_texts()


def test_a_reload_and_another_browser_find_the_run_going_on(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="100")
    start(page)
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator("#tl-panel-train .tl-line-smooth").wait_for()
    wait_for_more_steps(page, steps_drawn(page))
    other = open_tab(webui, theme="dark")
    other.locator("#tl-panel-train .tl-line-smooth").wait_for()
    assert other.locator("#tl-panel-train .tl-run-name").inner_text() == "penny"
    other.click("#tl_pause")
    wait_for_state(page, "Paused")


def test_the_run_goes_on_while_the_webui_is_gone_and_is_found_again(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="100")
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


def test_a_second_run_waits_and_can_be_taken_out_of_the_queue(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="100")
    start(page)
    page.locator("#tl_queue").click()
    wait_for_state(page, "Waiting")
    assert page.locator("#tl-panel-train .tl-run-name").inner_text() == "penny-v2"
    page.click("#tl_stop")
    page.locator(".tl-toast", has_text="penny-v2: Stopped before it began.").wait_for()
    page.locator("#tl-panel-train .tl-run-name", has_text=re.compile("^penny$")).wait_for()  # the one that goes on
    states = {run["name"]: run["state"] for run in webui.get("runs")}
    assert states == {"penny": "running", "penny-v2": "stopped"}


def test_a_run_that_fails_says_why(make_webui, open_tab, pictures):
    webui = make_webui(STANDIN_FAILS_AT_STEP="7")
    page = open_tab(webui)
    fill_in(page, pictures)
    start(page)
    wait_for_state(page, "Failed")
    page.locator(".tl-run-sentence", has_text="The disk was full at step 7. Free some space.").wait_for()
    assert page.locator(".tl-toast", has_text="The disk was full").is_visible()


def test_samples_stand_by_prompt_and_epoch_and_can_be_walked_through_large(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="3", sample_prompts=PROMPTS)
    start(page)
    wait_for_state(page, "Finished")
    panel = page.locator("#tl-panel-train")
    panel.locator(".tl-sample").nth(5).wait_for()
    assert panel.locator(".tl-samples thead th").all_inner_texts() == ["Epoch 1", "Epoch 2", "Epoch 3"]
    assert panel.locator(".tl-samples-prompt").all_inner_texts() == PROMPTS.split("\n")
    page.wait_for_function("""() => [...document.querySelectorAll("#tl-panel-train .tl-sample img")]
        .every((image) => image.complete && image.naturalWidth === 64)""")
    panel.get_by_role("button", name="Epoch 2: penny smiling").click()
    title, text = page.locator(".tl-lightbox-title"), page.locator(".tl-lightbox-text")
    assert (title.inner_text(), text.inner_text()) == ("Epoch 2", "penny smiling")
    walk = [("ArrowRight", ("Epoch 3", "penny smiling")), ("ArrowDown", ("Epoch 3", "penny, from behind")),
            ("ArrowRight", ("Epoch 3", "penny, from behind")), ("ArrowLeft", ("Epoch 2", "penny, from behind"))]
    for key, expected in walk:
        page.keyboard.press(key)
        assert (title.inner_text(), text.inner_text()) == expected
    page.keyboard.press("Escape")
    assert page.locator(".tl-lightbox").count() == 0
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Epoch 2: penny smiling"


def test_the_plot_reads_out_single_steps_by_pointer_and_by_key(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="3")
    start(page)
    wait_for_state(page, "Finished")
    plot = page.locator("#tl-panel-train .tl-plot").first
    readout = page.locator("#tl-panel-train .tl-readout")
    plot.press("Home")
    assert readout.inner_text().split()[:4] == ["Step", "1", "Epoch", "1"]
    plot.press("ArrowRight")
    assert readout.inner_text().split()[:2] == ["Step", "2"]
    plot.press("End")
    assert readout.inner_text().split()[:4] == ["Step", "30", "Epoch", "3"]
    plot.hover(position={"x": plot.bounding_box()["width"] / 2, "y": 100})
    assert 10 <= int(readout.inner_text().split()[1]) <= 20
    assert page.locator("#tl-panel-train .tl-epoch").count() == 3
    assert page.locator("#tl-panel-train .tl-saved").count() == 3


def test_a_finished_run_is_reopened_from_the_list_and_its_settings_are_used_again(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="3", network_dim="48", sample_prompts=PROMPTS)
    start(page)
    wait_for_state(page, "Finished")
    other = open_tab_again(page)
    other.click("#tl-tab-runs")
    row = other.locator(".tl-run-row", has_text="penny")
    row.locator("img").wait_for()  # the last sample
    row.click()
    wait_for_state(other, "Finished", "runs")
    assert steps_drawn(other, "runs") == 30
    runs = other.locator("#tl-panel-runs")
    assert runs.locator(".tl-sample").count() == 6
    assert runs.locator(".tl-file-name").all_inner_texts() == ["penny", "penny-000002", "penny-000001"]
    runs.locator("summary", has_text="Log").click()
    assert "step 30 of 30" in runs.locator(".tl-log").inner_text()
    runs.locator("summary", has_text="Settings of this run").click()
    assert "48" in runs.locator(".tl-used").inner_text()
    runs.get_by_role("button", name="Use these settings again").click()
    assert field(other, "network_dim").input_value() == "48"
    assert field(other, "sample_prompts").input_value() == PROMPTS
    assert other.locator("#tl_dataset_folder").input_value() == str(pictures)


def open_tab_again(page):
    """The same page with an empty memory, as in another browser."""
    page.evaluate("localStorage.clear()")
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    return page


def test_try_puts_the_lora_and_its_tag_into_txt2img(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="2")
    start(page)
    wait_for_state(page, "Finished")
    files = page.locator("#tl-panel-train .tl-file")
    files.filter(has_text="The last").get_by_role("button", name="Try in txt2img").click()
    prompt_of(page).wait_for()  # only the open tab is in sight
    assert prompt_of(page).input_value() == "<lora:penny:1> penny"
    prompt_of(page).fill("a castle, <lora:penny:0.7> penny, night")
    go_to_tab(page)
    files.filter(has_text="Epoch 1").get_by_role("button", name="Try in txt2img").click()
    prompt_of(page).wait_for()
    assert prompt_of(page).input_value() == "a castle, <lora:penny-000001:0.7> penny, night"


def test_nothing_moves_while_the_run_is_polled(make_webui, open_tab, pictures):
    page = open_tab(make_webui(step_seconds=0.15))
    fill_in(page, pictures, max_train_epochs="100")
    start(page)
    wait_for_more_steps(page, 10)  # the first file is there
    page.locator("#tl-panel-train .tl-file").first.wait_for()
    before = page.evaluate("places()")
    wait_for_more_steps(page, steps_drawn(page) + 3)
    assert page.evaluate("places()") == before
