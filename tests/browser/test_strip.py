"""The test strip in the page: drawn as txt2img is set, growing with each epoch, switched and changed at any time."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import evaluates, field, fill_in, ready, start, wait_for_state

STEP = "STANDIN_PICTURE_STEP_SECONDS"


def strip_of(page, panel="train"):
    return page.locator(f"#tl-panel-{panel}").get_by_role("region", name="Test strip", exact=True)


def titles(page):
    return strip_of(page).locator("thead th").all_inner_texts()


def set_txt2img(page):
    """Type into txt2img's form, which gradio alone knows."""
    page.locator("#tabs > .tab-nav button", has_text="txt2img").click()
    page.fill("#txt2img_steps input[type=number]", "4")
    page.locator("#txt2img_steps input[type=number]").blur()
    page.fill("#txt2img_neg_prompt textarea", "blurry")
    page.fill("#txt2img_seed input", "77")
    page.locator("#txt2img_seed input").blur()
    page.locator("#txt2img_hr-checkbox input").check()
    evaluates(page, """async () => { const form = await TrainLora.readTxt2img();
        return [form.steps, form.negative_prompt, form.seed, form.enable_hr]; }""", [4, "blurry", 77, True])
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()


def test_the_webui_draws_each_epoch_as_txt2img_is_set_when_train_is_pressed(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.1)
    page = open_tab(webui)
    set_txt2img(page)
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny smiling\na house")
    field(page, "sample_by").select_option("webui")
    start(page)
    strip = strip_of(page)
    expect(strip.get_by_role("switch")).to_be_checked()
    strip.get_by_role("button", name="Epoch 1: penny smiling").wait_for()  # while the run goes on
    run = page.locator("#tl-panel-train .tl-runview")
    expect(run.get_by_role("region", name="Samples", exact=True)).to_have_count(0)
    wait_for_state(page, "Finished")
    strip.locator(".tl-sample img").nth(7).wait_for()
    assert titles(page) == ["No LoRA", "Epoch 1", "Epoch 2", "Epoch 3"]
    strip.locator(".tl-bar").wait_for(state="hidden")
    strip.locator("summary").click()
    expect(strip).to_contain_text("Generated with DPM++ 2M, 4 steps, CFG 7, 512 × 512, hires fix × 2 with Latent, "
                                  "CLIP skip 1, seed 77, a negative prompt.")
    strip.get_by_role("button", name="Epoch 2: a house").click()
    expect(page.locator(".tl-lightbox-title")).to_have_text("Epoch 2")
    evaluates(page, "document.querySelector('.tl-lightbox-image').naturalWidth", 1024)
    page.get_by_role("button", name="What is wrong here?").click()
    page.locator("#tl_cause .tl-cause-near").first.wait_for()
    expect(page.locator("#tl_cause_folder")).to_have_value(str(pictures))
    expect(page.locator("#tl_cause")).to_contain_text("a house")
    page.locator("#tl_cause").get_by_role("button", name="Close").last.click()
    strip.get_by_role("button", name="Epoch 2: a house").click()
    page.get_by_role("button", name="Add to dataset").click()
    expect(page.locator("#tl_result_caption")).to_have_value("a house")
    page.click("#tl_result_go")
    page.locator(".tl-toast", has_text="-made.png").wait_for()
    added, = pictures.glob("*-made.png")
    assert added.with_suffix(".txt").read_text() == "a house"


def test_a_strip_is_switched_on_later_changed_and_switched_off(make_webui, open_tab, pictures):
    webui = make_webui(step_seconds=0.02, **{STEP: "0.05"})  # slow enough for the page to show that it is at work
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="2", sample_prompts="penny smiling")
    start(page)
    wait_for_state(page, "Finished")
    strip = strip_of(page)
    expect(strip).to_contain_text("Each epoch in the webui")
    strip.get_by_role("switch").check()
    strip.locator(".tl-bar").wait_for()
    expect(strip.get_by_role("status")).to_contain_text("to go")
    strip.locator(".tl-sample img").nth(2).wait_for()
    before = strip.locator(".tl-sample img").first.get_attribute("src")
    strip.locator("summary").click()
    expect(strip.get_by_role("button", name="Generate these prompts")).to_be_hidden()
    strip.locator("textarea").fill("penny, sad")
    strip.get_by_role("button", name="Generate these prompts").click()
    strip.get_by_role("button", name="Epoch 2: penny, sad").wait_for()
    strip.get_by_role("button", name="No LoRA: penny, sad").wait_for()
    set_txt2img(page)
    strip.get_by_role("button", name="Use txt2img's settings").click()
    expect(strip).to_contain_text("seed 77")
    strip.locator(".tl-sample img").nth(2).wait_for()
    assert strip.locator(".tl-sample img").first.get_attribute("src") != before
    strip.get_by_role("switch").uncheck()
    evaluates(page, "TrainLora.api(`runs/${TrainLora.runs.all()[0].id}/strip`).then((strip) => strip.on)", False)
    page.reload(wait_until="domcontentloaded")
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    expect(strip_of(page).get_by_role("switch")).not_to_be_checked()


def test_what_goes_wrong_stands_in_the_card_and_can_be_tried_again(make_webui, open_tab, pictures):
    page = open_tab(make_webui(step_seconds=0.02))
    fill_in(page, pictures, max_train_epochs="1", sample_prompts="broken")
    ready(page)
    start(page)
    wait_for_state(page, "Finished")
    strip = strip_of(page)
    strip.get_by_role("switch").check()
    expect(strip).to_contain_text("A tensor with all NaNs was produced in Unet")
    strip.locator("summary").click()
    strip.locator("textarea").fill("penny")
    strip.get_by_role("button", name="Generate these prompts").click()
    strip.get_by_role("button", name="Epoch 1: penny").wait_for()
    expect(strip.get_by_role("button", name="Try again")).to_have_count(0)
