"""The form: what is found in the folder, what the settings add up to, what is wrong with them."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.standin.checkpoint_file import SDXL, write_header

from .conftest import evaluates, eventually, field, fill_in, go_to_tab, ready


def shows(page, selector, words):
    """Wait until the first element that ``selector`` finds has ``words`` in it."""
    expect(page.locator(selector).first).to_contain_text(words, use_inner_text=True)


def test_an_empty_tab_says_what_to_do(webui, open_tab):
    page = open_tab(webui)
    shows(page, "#tl_dataset", "Where are your images?")
    shows(page, "#tl-panel-train .tl-runview", "Nothing is training yet")
    expect(page.locator(".tl-action-sentence")).to_have_text("Choose a folder with images to begin.")
    shows(page, "#tl_base select", "mini_sd15.safetensors (loaded now)")


def test_a_folder_shows_what_was_found_in_it(page, pictures):
    fill_in(page, pictures)
    shows(page, "#tl_dataset", "8 images 7 have captions 2 shapes")
    shows(page, "#tl_dataset", re.compile("1 images? without a caption"))
    page.wait_for_function("""() => [...document.querySelectorAll(".tl-thumb img")].length === 8 &&
        [...document.querySelectorAll(".tl-thumb img")].every((image) => image.complete && image.naturalWidth > 0)""")
    eventually(page, lambda: sorted(page.locator(".tl-shape-count").all_inner_texts()), ["3", "5"])
    page.locator("#tl_dataset .tl-fold summary", has_text="left out").click()
    shows(page, "#tl_dataset", "moving.gif")


def test_a_folder_that_is_not_there_is_reported_beside_the_box(page, tmp_path):
    page.fill("#tl_dataset_folder", str(tmp_path / "nowhere"))
    page.keyboard.press("Enter")
    problem = page.locator("#tl_dataset_problem", has_text="nowhere")
    problem.wait_for()
    expect(page.locator(".tl-stat")).to_have_count(0)


def test_the_folder_brings_a_name_and_an_activation_tag(page, pictures):
    fill_in(page, pictures)
    ready(page)
    expect(field(page, "output_name")).to_have_value("penny")
    expect(field(page, "activation_tag")).to_have_value("penny")


def test_a_name_of_the_users_own_is_left_alone(page, pictures):
    field(page, "output_name").fill("queen")
    fill_in(page, pictures)
    ready(page)
    expect(field(page, "output_name")).to_have_value("queen")
    shows(page, "#tl_plan", "saved as queen")


def test_the_total_follows_as_one_types(page, pictures):
    fill_in(page, pictures)
    total = page.locator(".tl-total")
    total.filter(has_text="= 80 steps").wait_for()
    expect(total).to_have_text("8 images × 1 repeat ÷ batch 1 × 10 epochs = 80 steps", use_inner_text=True)
    field(page, "max_train_epochs").fill("3")
    total.filter(has_text="= 24 steps").wait_for()
    field(page, "train_batch_size").fill("2")
    total.filter(has_text="= 15 steps").wait_for()  # 5 squares need 3 batches and 3 tall ones 2
    shows(page, "#tl_plan", "5 steps an epoch: a batch holds images of one shape only")
    expect(page.locator(".tl-schedule .tl-line-unet")).to_have_attribute("d", re.compile("."))


def test_a_wrong_value_is_reported_at_its_field_and_training_does_not_start(webui, page, pictures):
    fill_in(page, pictures)
    ready(page)
    field(page, "network_alpha").fill("64")
    problem = page.locator('.tl-field[data-key="network.network_alpha"] .tl-field-problem')
    problem.filter(has_text="Network alpha is 64").wait_for()
    expect(field(page, "network_alpha")).to_have_attribute("aria-invalid", "true")
    before = webui.get("runs")
    page.click("#tl_train")
    page.locator(".tl-toast", has_text="Something is still missing or wrong").wait_for()
    evaluates(page, 'document.activeElement.closest(".tl-field")?.dataset.key', "network.network_alpha")
    assert webui.get("runs") == before
    field(page, "network_alpha").fill("many")
    problem.filter(has_text="It has to be a number").wait_for()
    field(page, "network_alpha").fill("16")
    ready(page)
    expect(problem).to_have_text("")


def test_a_problem_in_a_folded_setting_unfolds_it(page, pictures):
    fill_in(page, pictures)
    ready(page)
    extension, asked = field(page, "caption_extension"), []
    page.route("**/train-lora/job/check", lambda request: asked.append(request))  # not answered before it is folded
    extension.fill("txt")
    fold = page.locator('.tl-section-body[data-section="Captions"] > details')
    fold.locator("summary").click()
    expect(fold).not_to_have_attribute("open", "")
    eventually(page, lambda: bool(asked), True)
    for request in asked:
        request.continue_()
    page.unroute_all()
    problem = page.locator('.tl-field[data-key="dataset.caption_extension"] .tl-field-problem')
    problem.filter(has_text="with its dot").wait_for()
    expect(fold).to_have_attribute("open", "")


def test_what_was_filled_in_is_there_after_a_reload_and_can_be_reset(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures, network_dim="64", sample_prompts="penny smiling\npenny, back")
    ready(page)
    page.wait_for_function("""() => (localStorage.getItem("train_lora.form") || "").includes("penny, back")""")
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator(".tl-stat").first.wait_for()
    expect(field(page, "network_dim")).to_have_value("64")
    expect(field(page, "sample_prompts")).to_have_value("penny smiling\npenny, back")
    page.get_by_role("button", name=re.compile("^Set Network dim .* back to 32$")).click()
    expect(field(page, "network_dim")).to_have_value("32")
    expect(page.get_by_role("button", name=re.compile("^Set Network dim .* back"))).to_have_count(0)


def test_a_setting_explains_itself_where_it_has_the_focus(page):
    field(page, "network_dim").focus()
    note = page.locator(".tl-explain")
    expect(note).to_contain_text("how much the LoRA can hold")
    expect(note).to_contain_text("In sd-scripts: network_dim.")
    page.keyboard.press("Escape")
    expect(note).to_be_hidden()


FOUND = {"save_precision": "save.save_precision", "train_batch_size": "dataset.train_batch_size",
         "clip_skip": "base.clip_skip", "trigger word": "dataset.activation_tag", "rank": "network.network_dim",
         "--network_alpha": "network.network_alpha", "huber threshold": "loss.huber_c"}
FOUND_BESIDES = {"resume": "Resume a run", "save_state": "Resume a run", "output_dir": "output_dir",
                 "xformers": "xformers", "--wandb_api_key": "wandb_api_key", "xyz": "X/Y/Z plot of epochs"}


def test_every_setting_is_found_by_its_label_its_sd_scripts_name_and_its_help(page):
    for words, key in FOUND.items():
        page.get_by_label("Search settings").fill(words)
        page.locator(".tl-hit").first.click()
        page.locator(f'.tl-field[data-key="{key}"]').locator("input, select, textarea").first.wait_for()
        evaluates(page, f"""[{words!r}, document.activeElement.closest('[data-key="{key}"]') !== null]""",
                  [words, True])


def test_what_is_not_a_setting_is_found_too(page):
    for words, title in FOUND_BESIDES.items():
        page.get_by_label("Search settings").fill(words)
        page.locator(".tl-hit", has_text=title).first.wait_for()
        page.get_by_label("Search settings").fill("no such thing")
        page.get_by_text("No setting has these words").wait_for()


def test_what_has_no_effect_is_left_out_and_can_be_shown_with_its_reason(page, pictures):
    fill_in(page, pictures)
    ready(page)
    page.locator('.tl-section-body[data-section="Network"] > details > summary').click()
    factor = page.locator('.tl-field[data-key="network.lokr_factor"]')
    expect(factor).to_be_hidden()
    expect(page.locator('.tl-field[data-key="network.rs_lora"]')).to_be_visible()
    page.locator('.tl-section-body[data-section="Network"]').get_by_role("button", name="no effect here").click()
    expect(factor).to_contain_text("LoRA-LierLa does not use it")
    field(page, "network_type").select_option("LyCORIS-LoKR")
    expect(factor).not_to_contain_text("no use for it")


def test_the_rate_follows_the_optimizer_and_can_be_taken_back(page, pictures):
    fill_in(page, pictures)
    field(page, "optimizer_type").select_option("AdamW")
    rate = field(page, "learning_rate")
    expect(rate).to_have_value("0.0001")
    field(page, "text_encoder_lr").fill("5e-5")
    field(page, "optimizer_type").select_option("Prodigy")
    expect(rate).to_have_value("1")
    expect(field(page, "text_encoder_lr")).to_have_value("")
    page.locator(".tl-why", has_text="as Prodigy needs it").get_by_role("button", name="Undo").click()
    expect(rate).to_have_value("0.0001")
    expect(field(page, "text_encoder_lr")).to_have_value("0.00005")


def test_a_rate_of_ones_own_stays_with_an_optimizer_of_the_same_kind(page):
    field(page, "optimizer_type").select_option("AdamW")
    field(page, "learning_rate").fill("0.0003")
    field(page, "optimizer_type").select_option("AdamW8bit")
    expect(field(page, "learning_rate")).to_have_value("0.0003")


def test_the_names_of_sd_scripts_stand_beside_the_labels_and_can_be_hidden(page):
    name = page.locator('.tl-field[data-key="network.network_dim"] .tl-field-name')
    expect(name).to_have_text("network_dim")
    page.get_by_label("sd-scripts names").uncheck()
    expect(name).to_be_hidden()


def test_a_narrow_page_shows_the_form_first_and_switches_to_the_run(webui, open_tab, pictures):
    page = open_tab(webui, width=800)
    fill_in(page, pictures, max_train_epochs="3")
    expect(page.locator("#tl_settings")).to_be_visible()
    page.get_by_role("tab", name="Run", exact=True).click()
    expect(page.locator("#tl_settings")).to_be_hidden()
    expect(page.locator("#tl-panel-train .tl-runview")).to_be_visible()
    page.get_by_role("tab", name="Settings", exact=True).click()
    expect(page.locator("#tl_settings")).to_be_visible()


def test_arrow_keys_count_whole_numbers_up_and_down(page):
    epochs = field(page, "max_train_epochs")
    epochs.press("ArrowUp")
    expect(epochs).to_have_value("11")
    epochs.press("Shift+ArrowDown")
    expect(epochs).to_have_value("1")
    epochs.press("ArrowDown")
    expect(epochs).to_have_value("1")


def test_a_preset_fills_the_form_says_why_and_can_be_taken_back(page, pictures):
    fill_in(page, pictures)
    ready(page)
    page.locator(".tl-chips button", has_text="Style").click()
    expect(field(page, "network_dim")).to_have_value("96")
    expect(field(page, "optimizer_type")).to_have_value("AdamW")
    page.locator(".tl-why:visible summary").click()
    shows(page, ".tl-why:visible", "suits a style")
    page.get_by_role("button", name="Undo").click()
    expect(field(page, "network_dim")).to_have_value("32")
    expect(field(page, "optimizer_type")).to_have_value("Prodigy")


def test_another_checkpoint_can_be_chosen_and_left_again(make_webui, open_tab, tmp_path):
    other = tmp_path / "another.safetensors"
    other.touch()
    page = open_tab(make_webui("--checkpoint", str(other)))
    select = page.locator("#tl_base select").first
    expect(select.locator("option")).to_have_text([
        "mini_sd15.safetensors (loaded now)", "mini_sd15.safetensors", "another.safetensors"])
    select.select_option(label="another.safetensors")
    shows(page, "#tl_base", "Used instead of the checkpoint loaded in the webui.")
    select.select_option(index=0)
    shows(page, "#tl_base", "trained on what the webui has loaded")


def test_another_checkpoint_brings_the_defaults_of_its_family(make_webui, open_tab, pictures, tmp_path):
    sdxl = write_header(tmp_path / "big.safetensors", SDXL)
    page = open_tab(make_webui("--checkpoint", str(sdxl)))
    shows(page, "#tl_base", "SD 1.x")
    expect(field(page, "resolution")).to_have_value("512")
    page.locator("#tl_base select").first.select_option(label="big.safetensors")
    expect(field(page, "resolution")).to_have_value("1024")
    shows(page, "#tl_base", "SDXL")
    page.locator("#tl_base details > summary").first.click()
    expect(page.locator("#tl_base [data-key='base.clip_skip']")).to_contain_text(
        "Has no effect: SDXL always uses the second-to-last layer", use_inner_text=True)
    fill_in(page, pictures, resolution="768")
    page.locator("#tl_base select").first.select_option(index=0)
    shows(page, "#tl_base", "SD 1.x")
    expect(field(page, "resolution")).to_have_value("768")


def test_the_base_within_sdxl_is_shown_where_it_is_detected_and_can_be_chosen(make_webui, open_tab, tmp_path):
    unnamed = write_header(tmp_path / "my_mix.safetensors", SDXL)
    pony = write_header(tmp_path / "ponyMix.safetensors", SDXL)
    page = open_tab(make_webui("--checkpoint", str(unnamed), "--checkpoint", str(pony)))
    base = page.locator('#tl_base .tl-field[data-key="base.sdxl_base"]')
    expect(base).to_be_hidden()  # SD 1.x has none
    checkpoint = page.locator("#tl_base select").first
    checkpoint.select_option(label="ponyMix.safetensors")
    expect(base.locator("option").first).to_have_text("Pony (detected)")
    shows(page, "#tl_base", "score_9")
    checkpoint.select_option(label="my_mix.safetensors")
    expect(base.locator("option").first).to_have_text("Not detected: treated as plain SDXL")
    base.locator("select").select_option("NoobAI v-pred")
    shows(page, "#tl_base", "SDXL, NoobAI v-pred")
    expect(field(page, "cfg_scale")).to_have_value("5")
    checkpoint.select_option(label="ponyMix.safetensors")
    expect(base.locator("select")).to_have_value(" ")  # the choice was for the other checkpoint
    shows(page, "#tl_base", "SDXL, Pony")
    expect(field(page, "cfg_scale")).to_have_value("7")


def test_a_setting_that_does_nothing_says_so_beside_its_field_until_it_does(page, pictures):
    fill_in(page, pictures)
    field(page, "adaptive_noise_scale").fill("0.1")
    note = page.locator('.tl-field[data-key="loss.adaptive_noise_scale"] .tl-field-note')
    expect(note).to_contain_text("has no effect")
    expect(page.locator('.tl-field[data-key="loss.adaptive_noise_scale"]')).to_have_class(re.compile("tl-unused"))
    field(page, "noise_offset").fill("0.05")
    expect(note).to_be_hidden()


def test_the_rates_of_an_optimizer_with_a_schedule_of_its_own_are_not_drawn(page, pictures):
    fill_in(page, pictures)
    expect(page.locator(".tl-schedule")).to_be_visible()
    shows(page, "#tl_plan", "Prodigy multiplies this by the rate it finds.")
    field(page, "optimizer_type").select_option("AdaFactor")
    shows(page, "#tl_plan", "AdaFactor sets the rate by itself")
    expect(page.locator(".tl-schedule")).to_be_hidden()


def test_the_message_on_a_wrong_form_is_gone_when_the_form_is_right(page, pictures):
    fill_in(page, pictures, network_alpha="900")
    page.click("#tl_train")
    page.locator(".tl-toast", has_text="missing or wrong").wait_for()
    field(page, "network_alpha").fill("8")
    ready(page)  # the message goes by itself after 6 seconds, so this does not wait for it
    assert page.locator(".tl-toast", has_text="missing or wrong").count() == 0
