"""The Test tab with a scripted run: plots arrive, the best is marked and read, block weights go where they are sent."""

from __future__ import annotations

import re
import shutil

import pytest
from PIL import Image
from playwright.sync_api import expect

from .conftest import MINI, REFUSED, evaluates, fill_in, look_as, refuse, refused, train, try_again, unfold
from .webui_process import WebuiProcess


@pytest.fixture(scope="module")
def tested_webui(tmp_path_factory):
    """A webui with a finished run of three epochs; a step of a picture takes a moment, so that it can be stopped."""
    folder = tmp_path_factory.mktemp("tested")
    for number in range(2):
        Image.new("RGB", (96, 96), (90 * number, 90, 120)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("penny, smiling", encoding="utf-8")
    webui = WebuiProcess(folder / "data", ["--checkpoint", str(MINI), "--worker", "scripted"],
                         {"STANDIN_STEP_SECONDS": "0.01", "STANDIN_PICTURE_STEP_SECONDS": "0.04"}).start()
    job = {"dataset": {"train_data_dir": str(folder), "activation_tag": "penny", "resolution": "384"},
           "save": {"output_name": "penny"}, "training": {"max_train_epochs": 3},
           "sample": {"sample_prompts": ["penny smiling", "penny, sad"], "sample_steps": 2}}
    train(webui, job)
    yield webui
    webui.close()


@pytest.fixture
def open_test(tested_webui, open_tab):
    """Opens the Test tab on that run."""
    def open_it():
        page = open_tab(tested_webui)
        page.click("#tl-tab-test")
        page.locator("#tl-panel-test .tl-choice", has_text="Last").wait_for()
        return page

    return open_it


def choose(page, kind):
    page.locator("#tl-panel-test .tl-choice", has_text=kind).first.click()


EARLIER = "document.querySelectorAll('#tl-panel-test .tl-earlier option').length"


def draw(page, pictures):
    """Draw, and wait until so many pictures are there."""
    before = page.evaluate("""async () => (await TrainLora.api(
        `runs/${document.getElementById("tl_test_run").value}/plots`)).plots.length""")
    page.click("#tl_test_draw")
    evaluates(page, EARLIER, before + 1)
    page.locator(".tl-plot-progress").wait_for(state="hidden")
    evaluates(page, "document.querySelectorAll('#tl-panel-test .tl-plot-cell img').length", pictures)
    evaluates(page, "document.querySelector('#tl-panel-test .tl-plot-cell img').naturalWidth > 0", True)


def test_an_epoch_plot_is_drawn_marked_and_tried(open_test):
    page = open_test()
    panel = page.locator("#tl-panel-test")
    estimate = panel.locator("#tl_test_draw + .tl-note")
    expect(estimate).to_have_text("8 images, time unknown before the first plot with this checkpoint")
    expect(panel.get_by_label("Seed (-1: random)")).not_to_have_value("-1")
    draw(page, 8)
    expect(estimate).to_have_text(re.compile(r"^8 images, about \d+ (s|min)"))
    panel.locator("summary", has_text="Size, steps, sampler").click()
    before = estimate.inner_text()
    panel.get_by_label("Steps", exact=True).fill("150")  # 2 before
    expect(estimate).not_to_have_text(before)
    assert panel.locator(".tl-samples thead th").all_inner_texts() == ["No LoRA", "Epoch 1", "Epoch 2", "Last"]
    panel.get_by_role("button", name="Mark as the best: Epoch 2, penny, sad").click()
    panel.get_by_text("Best after 2 epochs: the next run can stop there.").wait_for()
    panel.get_by_role("button", name="Try penny-000002 in txt2img").click()
    page.wait_for_function("""() => document.querySelector("#txt2img_prompt textarea").value
        === "<lora:penny-000002:1> penny" """)
    evaluates(page, "document.querySelector('#txt2img_width input[type=number]').value", "384")
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    panel.get_by_role("button", name="Next run with this many epochs").click()
    evaluates(page, "TrainLora.currentTab()", "train")
    evaluates(page, "TrainLora.form.get('training.max_train_epochs')", 2)


OUTSIDE = """selector => {
    const card = document.querySelector("#tl-panel-test .tl-plotview");
    const {left, right} = card.getBoundingClientRect();
    const hidden = [...card.querySelectorAll(selector)].filter((cell) => {
        const box = cell.getBoundingClientRect();
        return box.left - 4 < left - 4 || box.right + 4 > right + 4 || box.width < 75;
    });
    const scroller = card.querySelector(".tl-samples-scroll");
    return hidden.length + (scroller.scrollWidth > scroller.clientWidth ? 1000 : 0);
}"""


def test_a_plot_of_eighteen_blocks_wraps_and_nothing_of_it_is_clipped(open_test):
    page = open_test()
    choose(page, "Blocks")
    page.fill("#tl_test_prompts", "penny")
    draw(page, 18)
    page.get_by_role("button", name="Mark as the best: All blocks, penny").click()
    page.locator(".tl-best").wait_for()
    for width in (1400, 800):
        look_as(page, "light", width)
        evaluates(page, f"({OUTSIDE})('.tl-plot-cell')", 0)
        evaluates(page, f"({OUTSIDE})('.tl-effect svg')", 0)
        generate, plot, weights = (page.locator(f"#tl-panel-test {one}").first.bounding_box() for one in (
            ".tl-button:has-text('Generate')", ".tl-plot-cell", ".tl-lbw-slider"))
        if width == 800:  # the plot is right under the button that makes it
            assert generate["y"] < plot["y"] < weights["y"]
        page.locator("#tl-panel-test").get_by_role("button", name="Full view").click()
        cells = page.locator("dialog .tl-plot-cell")
        expect(cells).to_have_count(18)
        assert cells.first.bounding_box()["width"] > 180
        page.keyboard.press("Escape")
        expect(cells).to_have_count(0)


def test_the_best_strengths_change_the_next_run(open_test):
    page = open_test()
    choose(page, "Strengths")
    page.fill("#tl_test_columns", "0.5, 1")
    page.fill("#tl_test_rows", "1")
    draw(page, 2)
    page.get_by_role("button", name="Mark as the best: UNet 0.5, Text encoder 1").click()
    page.get_by_text("The UNet has to be lowered to 0.5, so it is overfit").wait_for()
    page.click("#tl_test_use")
    evaluates(page, "TrainLora.currentTab()", "train")
    evaluates(page, "TrainLora.form.get('training.max_train_epochs')", 2)  # Prodigy: 3 epochs × 0.5


def test_a_plot_can_be_stopped(open_test):
    page = open_test()
    page.locator("#tl-panel-test summary", has_text="Size, steps, sampler").click()
    page.locator("#tl-panel-test").get_by_label("Steps", exact=True).fill("150")
    page.click("#tl_test_draw")
    page.locator("#tl-panel-test .tl-plot-cell").first.wait_for()
    page.click("#tl_test_stop")
    page.locator(".tl-plot-progress").wait_for(state="hidden")
    page.locator("#tl-panel-test .tl-plotview .tl-note", has_text="Stopped").wait_for()
    assert page.locator("#tl-panel-test .tl-plot-cell").count() < 8


def test_block_weights_go_to_the_prompt_and_to_the_next_run(open_test):
    page = open_test()
    preset = page.locator("#tl-panel-test select", has=page.locator('option[value="OUTX"]'))
    preset.select_option("OUTX")
    values = page.locator("#tl-panel-test .tl-lbw-value")
    expect(values).to_have_count(17)
    expect(page.locator('#tl-panel-test [data-block="IN01"] output')).to_have_text("0.5")
    page.locator('#tl-panel-test [data-block="OUT11"] input').fill("0.25")
    weights = "1,0.5,0.5,0.5,0.5,0.5,0.5,0.5,1,1,1,1,1,1,1,1,0.25"
    page.click("#tl_blocks_train")
    evaluates(page, "TrainLora.form.get('network.block_lr_weight')", weights)
    page.click("#tl-tab-test")
    page.click("#tl_blocks_prompt")
    page.wait_for_function("(text) => document.querySelector('#txt2img_prompt textarea').value === text",
                           arg=f"<lora:penny:1:lbw={weights}> penny")


def test_a_chosen_preset_is_written_by_its_name(open_test):
    page = open_test()
    preset = page.locator("#tl-panel-test select", has=page.locator('option[value="OUTX"]'))
    prompt = page.locator("#txt2img_prompt textarea")
    for name, x, call in (("OUTX", "0.25", "OUTX:x=0.25"), ("LINX", "0", "LINX:x=0"), ("MIDD", "0.5", "MIDD"),
                          ("ALL0.5", "0.5", "ALL0.5")):
        page.locator("#tl-panel-test").get_by_label("X", exact=True).fill(x)
        preset.select_option(name)
        page.locator("#tl-panel-test .tl-lbw-value").first.wait_for()
        page.click("#tl_blocks_prompt")
        expect(prompt).to_have_value(f"<lora:penny:1:lbw={call}> penny")
        prompt.fill("")
        page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()


def test_presets_that_are_being_typed_are_kept_when_the_tab_is_shown_again(open_test):
    page = open_test()
    page.locator("#tl-panel-test summary", has_text="Edit presets").click()
    page.fill("#tl_presets_text", "MINE:1,2,3")
    page.click("#tl-tab-runs")
    with page.expect_response(lambda answer: answer.url.endswith("block-presets"), timeout=120_000):
        page.click("#tl-tab-test")
    evaluates(page, "Boolean(TrainLora.blockPresets)", True)
    evaluates(page, "document.querySelector('#tl_presets_text').value", "MINE:1,2,3")


def test_presets_are_edited_and_a_wrong_line_is_reported(open_test):
    page = open_test()
    page.locator("#tl-panel-test summary", has_text="Edit presets").click()
    page.fill("#tl_presets_text", "MINE:1,2,3")
    page.click("#tl_presets_save")
    page.locator(".tl-toast", has_text="Line 1 (MINE:1,2,3) is not a preset").wait_for()
    page.fill("#tl_presets_text", "MINE:" + ",".join(["0.5"] * 17))
    page.click("#tl_presets_save")
    page.locator(".tl-toast", has_text="The presets are saved").wait_for()
    evaluates(page, "Object.keys(TrainLora.blockPresets.presets).join()", "MINE")
    page.get_by_role("button", name="Built-in presets").click()
    page.click("#tl_presets_save")
    evaluates(page, "'OUTX' in TrainLora.blockPresets.presets", True)


def test_every_text_has_room_and_can_be_read(open_test):
    page = open_test()
    page.fill("#tl_test_prompts", "penny smiling\na house")  # tests before this one may have left others
    for kind, pictures_of_it in (("Epochs", 8), ("Blocks", 36)):
        look_as(page, "light", 1400)
        choose(page, kind)
        draw(page, pictures_of_it)
        for theme, width in (("light", 1400), ("dark", 800)):
            look_as(page, theme, width)
            evaluates(page, "overflowing()", [])
            evaluates(page, "faintTexts()", [])


def test_the_webui_draws_regularization_pictures(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures)
    unfold(page)
    page.locator('.tl-field[data-key="dataset.reg_data_dir"] summary').click()
    page.click("#tl_reg_draw")
    page.locator(".tl-toast", has_text="The regularization images are in").wait_for()
    evaluates(page, "TrainLora.form.get('dataset.reg_data_dir')", str(pictures / "reg"))
    assert len(list((pictures / "reg").glob("*.png"))) == 8


def test_what_the_base_knows_is_drawn_measured_and_filled_in(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures)
    refuse(page, "knows")
    page.click("#tl_knows")
    page.locator("#tl_knows_dialog .tl-again", has_text=REFUSED).wait_for()
    page.unroute_all()
    refuse(page, "knows/newest")
    page.locator("#tl_knows_dialog .tl-again button").click()
    refused(page, "The last check", within="#tl_knows_dialog")
    try_again(page)
    refuse(page, "knows/runs/*/result")
    page.locator("#tl_knows_start:not([disabled])").wait_for()
    page.fill("#tl_knows_candidates", "miku, bus")
    page.fill("#tl_knows_images", "2")
    expect(page.locator("#tl_knows_words")).to_contain_text("2 for each of 4 words")
    page.click("#tl_knows_start")
    refused(page, "The result", within="#tl_knows_dialog")
    try_again(page)
    page.locator("#tl_knows_result").wait_for()
    rows = page.locator(".tl-knows-row")
    expect(rows).to_have_count(5)  # no word, penny, miku, bus, smiling
    expect(rows.nth(1)).to_contain_text("Known")
    expect(rows.nth(2)).to_contain_text("Means something else")
    assert page.locator(".tl-knows-strip img").count() == 10
    evaluates(page, "[...document.querySelectorAll('.tl-knows-strip img')].every(image => image.naturalWidth)", True)
    evaluates(page, "overflowing()", [])
    evaluates(page, "faintTexts()", [])
    page.click("#tl_knows_use")
    evaluates(page, "TrainLora.form.get('training.max_train_epochs')", 7)
    page.locator("#tl_knows_dialog").get_by_role("button", name="Close").first.click()
    hint = page.locator("#tl_goal .tl-hint")
    page.click("#tl_goal_plan")
    hint.filter(has_text="The base model knows penny.").wait_for()
    page.locator("#tl_goal .tl-why").get_by_text("Why these settings").click()
    expect(page.locator("#tl_goal .tl-why dl")).to_contain_text("knows penny, so 300 images seen are enough")
    page.get_by_label("Does the base model know it?").select_option("no")
    page.click("#tl_goal_plan")
    hint.filter(has_text="Your answer counts instead: it is not known.").wait_for()
    (pictures / "1.txt").write_text("penny, red boots", encoding="utf-8")
    page.click("#tl_goal_knows")  # kept, and outdated
    expect(page.locator("#tl_knows_result")).to_contain_text("Outdated: Images or captions have changed since.")


def test_what_is_queued_is_listed_and_cancelled_by_its_own_button(open_test):
    page = open_test()
    page.locator("#tl-panel-test summary", has_text="Size, steps, sampler").click()
    page.locator("#tl-panel-test").get_by_label("Steps", exact=True).fill("150")
    page.fill("#tl_test_prompts", "penny smiling\na house")
    rows = page.locator("#tl-panel-test .tl-drawings li")
    before = page.evaluate("""async () => (await TrainLora.api(
        `runs/${document.getElementById("tl_test_run").value}/plots`)).plots.length""")
    page.click("#tl_test_draw")
    rows.first.wait_for()
    page.click("#tl_test_draw")
    rows.nth(1).wait_for()
    rows.nth(1).get_by_text("Queued: 8 images").wait_for()
    rows.nth(1).get_by_role("button", name="Cancel").click()
    rows.nth(1).wait_for(state="detached")
    rows.first.get_by_role("button", name="Cancel").click()
    page.locator("#tl-panel-test .tl-drawing-card").wait_for(state="hidden")
    evaluates(page, EARLIER, before + 2)


def test_a_lora_that_no_run_made_is_opened_and_drawn(tested_webui, open_test):
    shutil.copy(tested_webui.loras / "penny.safetensors", tested_webui.loras / "bought.safetensors")
    page = open_test()
    page.locator('#tl_test_run option[value="lora:bought"]').wait_for(state="attached")
    page.select_option("#tl_test_run", "lora:bought")
    page.locator("#tl-panel-test .tl-choice", has_text="Last").wait_for()
    evaluates(page, "document.querySelectorAll('#tl-panel-test .tl-chips [data-name=bought]').length", 1)
    page.fill("#tl_test_prompts", "elf")
    page.click("#tl_test_draw")
    evaluates(page, "document.querySelectorAll('#tl-panel-test .tl-plot-cell img').length", 2)
    page.click("#tl-tab-runs")
    expect(page.locator("#tl-panel-runs .tl-run-row")).to_have_count(1)


def test_a_set_of_prompts_from_the_library_is_used_undone_and_kept(tested_webui, open_test):
    page = open_test()
    box, chosen = page.locator("#tl_test_prompts"), page.locator("#tl_prompt_set")
    before = box.input_value()
    expect(page.locator("#tl-panel-test .tl-note", has_text="{trigger} in a prompt becomes “penny”")).to_be_visible()
    chosen.focus()
    expect(chosen.locator("option")).to_have_count(2)
    chosen.select_option("Recommended")
    page.click("#tl_prompts_add")
    assert box.input_value().startswith(before) and "{trigger}, upper body" in box.input_value()
    page.click("#tl_prompts_undo")
    expect(box).to_have_value(before)
    box.fill("{trigger}, swimming\nsad {trigger}")
    page.click("#tl_prompts_save")
    page.locator("#tl_prompt_set_name").fill("Poses")
    page.click("#tl_prompt_set_save")
    expect(chosen).to_have_value("Poses")
    box.fill(before)
    page.click("#tl_prompts_use")
    expect(box).to_have_value("{trigger}, swimming\nsad {trigger}")
    page.click("#tl_prompts_undo")
    refuse(page, "prompt-sets", "runs/*/plots")
    page.click("#tl_prompts_manage")
    page.locator(".tl-toast", has_text=REFUSED).locator("button").click()
    expect(page.locator("#tl_prompt_sets")).to_have_count(0)
    page.locator("#tl_test_run").dispatch_event("change")  # chosen again: its plots are not known
    page.locator(".tl-toast", has_text=REFUSED).wait_for()
    expect(page.locator("#tl-panel-test .tl-empty", has_text="No plots of this run yet")).to_be_hidden()
    page.unroute_all()
    page.click("#tl_prompts_manage")
    window = page.locator("#tl_prompt_sets")
    with page.expect_download() as download:
        window.get_by_role("button", name="Export all").click()
    assert download.value.path().read_text() == "# Poses\n{trigger}, swimming\nsad {trigger}\n"
    window.locator("#tl_prompt_sets_text").fill("# Poses\nanother")
    window.locator("#tl_prompt_sets_import").click()
    expect(window.get_by_role("status")).to_have_text("Imported: Poses 2.")
    window.locator("li", has_text="another").get_by_role("button", name="Delete").click()
    expect(window.get_by_role("status")).to_contain_text("its text is kept")
    window.locator("#tl_prompt_sets_text").fill("# a/b\nx")
    window.locator("#tl_prompt_sets_import").click()
    expect(window.get_by_role("alert")).to_contain_text("'a/b' cannot be the name")
    kept = tested_webui.data / "lora_train" / "test_prompts"
    assert [path.name for path in kept.glob("*.txt")] == ["Poses.txt"] and len([*(kept / "removed").iterdir()]) == 1
