"""A picture that is asked for while the GPU is lent to a run: it waits, and the page says why."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import fill_in, start, wait_for_state


def open_txt2img(page):
    page.locator("#tabs > .tab-nav button", has_text="txt2img").click()


def test_the_page_says_why_a_picture_waits_and_it_is_made_when_the_run_ends(make_webui, open_tab, pictures):
    webui = make_webui("--device", "cuda:0", step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="900")
    start(page)
    wait_for_state(page, "Training")
    open_txt2img(page)
    page.locator("#txt2img_prompt textarea").fill("a heart")
    page.click("#txt2img_generate")
    note = page.locator("#tl_waiting_txt2img")
    expect(note).to_contain_text("The GPU is lent to the training of penny")
    expect(page.locator("#txt2img_results")).not_to_contain_text("A picture of")

    [run] = webui.get("runs")
    webui.post(f"runs/{run['id']}/control", {"action": "stop"})
    page.locator("#txt2img_results", has_text="A picture of a heart").wait_for()
    note.wait_for(state="detached")


def test_without_a_gpu_a_picture_is_made_while_a_run_goes_on(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="900")
    start(page)
    open_txt2img(page)
    page.locator("#txt2img_prompt textarea").fill("a heart")
    page.click("#txt2img_generate")
    page.locator("#txt2img_results", has_text="A picture of a heart").wait_for()
    expect(page.locator("#tl_waiting_txt2img")).to_have_count(0)
    assert webui.get("runs")[0]["alive"]
