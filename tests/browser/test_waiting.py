"""A picture that is asked for while a run goes on, with the GPU lent to it and without one: it is made at once."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from .conftest import fill_in, start, steps_drawn, wait_for_more_steps, wait_for_state


def open_txt2img(page):
    page.locator("#tabs > .tab-nav button", has_text="txt2img").click()


def test_a_run_on_the_webuis_gpu_steps_aside_for_a_picture_and_the_page_says_so(make_webui, open_tab, pictures):
    webui = make_webui("--device", "cuda:0", step_seconds=1.5)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="900")
    start(page)
    wait_for_state(page, "Training")
    before = steps_drawn(page)
    open_txt2img(page)
    page.locator("#txt2img_prompt textarea").fill("a heart")
    page.evaluate("""() => {
        window.notes = [];
        const found = () => document.querySelectorAll("#tl_waiting_txt2img");
        const keep = () => found().forEach((note) => notes.push(note.textContent));
        new MutationObserver(keep).observe(document.body, {childList: true, subtree: true, characterData: true});
    }""")  # it is there for one step at most, and a test may be slower than that
    page.click("#txt2img_generate")
    page.locator("#txt2img_results", has_text="A picture of a heart").wait_for()
    page.locator("#tl_waiting_txt2img").wait_for(state="detached")
    assert re.search("lent to the training of penny.*It pauses for your images", " ".join(page.evaluate("notes")))
    assert webui.get("runs")[0]["alive"]
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    held = re.compile("held .* for an image in txt2img")
    page.locator("#tl-panel-train .tl-action-second", has_text=held).wait_for()
    wait_for_more_steps(page, before + 1)


def test_without_a_gpu_a_picture_is_made_while_a_run_continues(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="900")
    start(page)
    open_txt2img(page)
    page.locator("#txt2img_prompt textarea").fill("a heart")
    page.click("#txt2img_generate")
    page.locator("#txt2img_results", has_text="A picture of a heart").wait_for()
    note = page.locator("#tl_waiting_txt2img")
    expect(note).to_have_count(0)
    answers = [(200, {"busy": {"text": "The GPU is lent."}}), (503, {"error": "Busy."}), (503, {"error": "Busy."}),
               (200, {"busy": {"text": "Still lent."}}), (200, {"busy": None})]
    page.route("**/train-lora/busy", lambda route: route.fulfill(status=answers[0][0], json=answers.pop(0)[1]))
    page.click("#txt2img_generate")
    note.filter(has_text="The GPU is lent.").wait_for()
    note.filter(has_text="Still lent.").wait_for()  # after two requests that failed
    expect(note).to_have_count(0)
    assert webui.get("runs")[0]["alive"]
