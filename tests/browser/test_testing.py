"""The Test tab with a scripted run: plots arrive, the best is marked and read, block weights go where they are sent."""

from __future__ import annotations

import pytest

from .conftest import evaluates, fill_in, start, wait_for_state


def finished_run(make_webui, open_tab, pictures, theme="light", width=1400, **options):
    """The Test tab of a finished run of three epochs."""
    page = open_tab(make_webui(**options), theme=theme, width=width)
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny smiling\npenny, sad", resolution="384")
    start(page)
    wait_for_state(page, "Finished")
    page.click("#tl-tab-test")
    page.locator("#tl-panel-test .tl-choice", has_text="Last").wait_for()
    return page


def choose(page, kind):
    page.locator("#tl-panel-test .tl-choice", has_text=kind).first.click()


def draw(page, pictures):
    """Draw, and wait until so many pictures are there."""
    page.click("#tl_test_draw")
    page.wait_for_function("""(count) => {
        const images = [...document.querySelectorAll("#tl-panel-test .tl-plot-cell img")];
        return images.length === count && images.every((image) => image.complete && image.naturalWidth > 0);
    }""", arg=pictures)
    page.locator(".tl-plot-progress").wait_for(state="hidden")


def test_an_epoch_plot_is_drawn_marked_and_tried(make_webui, open_tab, pictures):
    page = finished_run(make_webui, open_tab, pictures)
    panel = page.locator("#tl-panel-test")
    panel.get_by_text("8 pictures", exact=True).wait_for()
    draw(page, 8)
    assert panel.locator(".tl-samples thead th").all_inner_texts() == ["Without", "Epoch 1", "Epoch 2", "Last"]
    panel.get_by_role("button", name="Mark as the best: Epoch 2, penny, sad").click()
    panel.get_by_text("Marked as the best: Epoch 2, penny, sad.").wait_for()
    panel.get_by_role("button", name="Try penny-000002 in txt2img").click()
    page.wait_for_function("""() => document.querySelector("#txt2img_prompt textarea").value
        === "<lora:penny-000002:1> penny" """)
    evaluates(page, "document.querySelector('#txt2img_width input[type=number]').value", "384")


def test_the_best_strengths_change_the_next_run(make_webui, open_tab, pictures):
    page = finished_run(make_webui, open_tab, pictures)
    choose(page, "Strengths")
    page.fill("#tl_test_columns", "0.5, 1")
    page.fill("#tl_test_rows", "1")
    draw(page, 2)
    page.get_by_role("button", name="Mark as the best: UNet 0.5, Text encoder 1").click()
    page.get_by_text("The UNet has to be lowered to 0.5, so it is overfit").wait_for()
    page.click("#tl_test_use")
    evaluates(page, "TrainLora.currentTab()", "train")
    evaluates(page, "TrainLora.form.get('training.max_train_epochs')", 2)  # Prodigy: 3 epochs × 0.5


def test_a_plot_can_be_stopped(make_webui, open_tab, pictures):
    page = finished_run(make_webui, open_tab, pictures, STANDIN_PICTURE_STEP_SECONDS="0.1")
    page.click("#tl_test_draw")
    page.locator("#tl-panel-test .tl-plot-cell").first.wait_for()
    page.click("#tl_test_stop")
    page.locator(".tl-plot-progress").wait_for(state="hidden")
    page.locator("#tl-panel-test .tl-plotview .tl-note", has_text="Stopped").wait_for()
    assert page.locator("#tl-panel-test .tl-plot-cell").count() < 8


def test_block_weights_go_to_the_prompt_and_to_the_next_run(make_webui, open_tab, pictures):
    page = finished_run(make_webui, open_tab, pictures)
    preset = page.locator("#tl-panel-test select", has=page.locator('option[value="OUTX"]'))
    preset.select_option("OUTX")
    values = page.locator("#tl-panel-test .tl-lbw-value")
    assert values.count() == 17
    assert page.locator('#tl-panel-test [data-block="IN01"] output').inner_text() == "0.5"
    page.locator('#tl-panel-test [data-block="OUT11"] input').fill("0.25")
    weights = "1,0.5,0.5,0.5,0.5,0.5,0.5,0.5,1,1,1,1,1,1,1,1,0.25"
    page.click("#tl_blocks_train")
    evaluates(page, "TrainLora.form.get('network.block_lr_weight')", weights)
    page.click("#tl-tab-test")
    page.click("#tl_blocks_prompt")
    page.wait_for_function("(text) => document.querySelector('#txt2img_prompt textarea').value === text",
                           arg=f"<lora:penny:1:lbw={weights}> penny")


def test_presets_are_edited_and_a_wrong_line_is_told(make_webui, open_tab, pictures):
    page = finished_run(make_webui, open_tab, pictures)
    page.locator("#tl-panel-test summary", has_text="Edit presets").click()
    page.fill("#tl_presets_text", "MINE:1,2,3")
    page.click("#tl_presets_save")
    page.locator(".tl-toast", has_text="Line 1 (MINE:1,2,3) is no preset").wait_for()
    page.fill("#tl_presets_text", "MINE:" + ",".join(["0.5"] * 17))
    page.click("#tl_presets_save")
    page.locator(".tl-toast", has_text="The presets are saved").wait_for()
    assert page.locator('#tl-panel-test option[value="MINE"]').count() >= 1


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 800)])
def test_every_text_has_room_and_can_be_read(make_webui, open_tab, pictures, theme, width):
    page = finished_run(make_webui, open_tab, pictures, theme, width)
    for kind, pictures_of_it in (("Epochs", 8), ("Blocks", 36)):
        choose(page, kind)
        draw(page, pictures_of_it)
        evaluates(page, "overflowing()", [])
        evaluates(page, "faintTexts()", [])


def test_the_webui_draws_regularization_pictures(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures)
    page.locator("#tl_more_settings > summary").click()
    page.locator('.tl-field[data-key="dataset.reg_data_dir"] summary').click()
    page.click("#tl_reg_draw")
    page.locator(".tl-toast", has_text="The regularization pictures are in").wait_for()
    evaluates(page, "TrainLora.form.get('dataset.reg_data_dir')", str(pictures / "reg"))
    assert len(list((pictures / "reg").glob("*.png"))) == 8
