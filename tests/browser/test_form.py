"""The form: what is found in the folder, what the settings add up to, what is wrong with them."""

from __future__ import annotations

import re

from .conftest import field, fill_in, go_to_tab, ready


def text_of(page, selector):
    return " ".join(page.locator(selector).first.inner_text().split())


def test_an_empty_tab_says_what_to_do(webui, open_tab):
    page = open_tab(webui)
    assert "Where are your pictures?" in text_of(page, "#tl_dataset")
    assert "Nothing is training yet" in text_of(page, "#tl-panel-train .tl-runview")
    assert text_of(page, ".tl-action-sentence") == "Choose a folder with pictures to begin."
    assert "mini_sd15.safetensors (loaded now)" in text_of(page, "#tl_base select")


def test_a_folder_shows_what_was_found_in_it(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures)
    card = text_of(page, "#tl_dataset")
    assert "8 pictures 7 have captions 2 shapes" in card
    assert "1 picture without a caption" in card or "1 pictures without a caption" in card
    page.wait_for_function("""() => [...document.querySelectorAll(".tl-thumb img")].length === 8 &&
        [...document.querySelectorAll(".tl-thumb img")].every((image) => image.complete && image.naturalWidth > 0)""")
    counts = page.locator(".tl-shape-count").all_inner_texts()
    assert sorted(counts) == ["3", "5"]
    page.locator("#tl_dataset .tl-fold summary", has_text="left out").click()
    assert "moving.gif" in text_of(page, "#tl_dataset")


def test_a_folder_that_is_not_there_is_told_beside_the_box(webui, open_tab, tmp_path):
    page = open_tab(webui)
    page.fill("#tl_dataset_folder", str(tmp_path / "nowhere"))
    page.keyboard.press("Enter")
    problem = page.locator("#tl_dataset_problem", has_text="nowhere")
    problem.wait_for()
    assert page.locator(".tl-stat").count() == 0


def test_the_folder_brings_a_name_and_an_activation_tag(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures)
    ready(page)
    assert field(page, "output_name").input_value() == "penny"
    assert field(page, "activation_tag").input_value() == "penny"


def test_a_name_of_the_users_own_is_left_alone(webui, open_tab, pictures):
    page = open_tab(webui)
    field(page, "output_name").fill("queen")
    fill_in(page, pictures)
    ready(page)
    assert field(page, "output_name").input_value() == "queen"
    assert "saved as queen" in text_of(page, "#tl_plan")


def test_the_total_follows_as_one_types(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures)
    total = page.locator(".tl-total")
    total.filter(has_text="= 80 steps").wait_for()
    assert text_of(page, ".tl-total") == "8 pictures × 1 repeat ÷ batch 1 × 10 epochs = 80 steps"
    field(page, "max_train_epochs").fill("3")
    total.filter(has_text="= 24 steps").wait_for()
    field(page, "train_batch_size").fill("2")
    total.filter(has_text="= 15 steps").wait_for()  # 5 squares need 3 batches and 3 tall ones 2
    assert "5 steps an epoch: a batch holds pictures of one shape only" in text_of(page, "#tl_plan")
    assert page.locator(".tl-schedule .tl-line-unet").get_attribute("d")


def test_a_wrong_value_is_told_at_its_field_and_training_does_not_start(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures)
    ready(page)
    field(page, "network_alpha").fill("64")
    problem = page.locator('.tl-field[data-key="network.network_alpha"] .tl-field-problem')
    problem.filter(has_text="Network alpha is 64").wait_for()
    assert field(page, "network_alpha").get_attribute("aria-invalid") == "true"
    before = webui.get("runs")
    page.click("#tl_train")
    page.locator(".tl-toast", has_text="Something is still missing or wrong").wait_for()
    page.wait_for_function('document.activeElement.closest(".tl-field")?.dataset.key === "network.network_alpha"')
    assert webui.get("runs") == before
    field(page, "network_alpha").fill("many")
    problem.filter(has_text="It has to be a number").wait_for()
    field(page, "network_alpha").fill("16")
    ready(page)
    assert problem.inner_text() == ""


def test_a_problem_in_a_folded_setting_unfolds_it(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures)
    ready(page)
    field(page, "caption_extension").fill("txt")
    page.locator("#tl_more_settings > summary").click()
    problem = page.locator('.tl-field[data-key="dataset.caption_extension"] .tl-field-problem')
    problem.filter(has_text="with its dot").wait_for()
    assert page.locator("#tl_more_settings").get_attribute("open") is not None


def test_what_was_filled_in_is_there_after_a_reload_and_can_be_reset(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures, network_dim="64", sample_prompts="penny smiling\npenny, back")
    ready(page)
    page.wait_for_function("""() => (localStorage.getItem("train_lora.form") || "").includes("penny, back")""")
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator(".tl-stat").first.wait_for()
    assert field(page, "network_dim").input_value() == "64"
    assert field(page, "sample_prompts").input_value() == "penny smiling\npenny, back"
    page.get_by_role("button", name=re.compile("^Set Network dim .* back to 32$")).click()
    assert field(page, "network_dim").input_value() == "32"
    assert page.get_by_role("button", name=re.compile("^Set Network dim .* back")).count() == 0


def test_a_setting_explains_itself_where_it_has_the_focus(webui, open_tab):
    page = open_tab(webui)
    field(page, "network_dim").focus()
    note = page.locator(".tl-explain")
    note.wait_for()
    assert "how much the LoRA can hold" in note.inner_text()
    assert "In sd-scripts: network_dim." in note.inner_text()
    page.keyboard.press("Escape")
    assert note.is_hidden()


def test_more_settings_can_be_searched_by_every_name(webui, open_tab):
    page = open_tab(webui)
    page.locator("#tl_more_settings > summary").click()
    page.get_by_label("Search in more settings").fill("save_precision")
    shown = page.locator("#tl_more_settings .tl-field:visible")
    assert shown.count() == 1
    assert shown.get_attribute("data-key") == "save.save_precision"
    page.get_by_label("Search in more settings").fill("no such thing")
    assert page.get_by_text("No setting has these words").is_visible()


def test_arrow_keys_count_whole_numbers_up_and_down(webui, open_tab):
    page = open_tab(webui)
    epochs = field(page, "max_train_epochs")
    epochs.press("ArrowUp")
    assert epochs.input_value() == "11"
    epochs.press("Shift+ArrowDown")
    assert epochs.input_value() == "1"
    epochs.press("ArrowDown")
    assert epochs.input_value() == "1"


def test_a_preset_fills_the_form_says_why_and_can_be_taken_back(webui, open_tab, pictures):
    page = open_tab(webui)
    fill_in(page, pictures)
    ready(page)
    page.locator(".tl-chips button", has_text="Style").click()
    assert field(page, "network_dim").input_value() == "96"
    assert field(page, "optimizer_type").input_value() == "AdamW"
    page.locator(".tl-why summary").click()
    assert "suits a style" in text_of(page, ".tl-why")
    page.get_by_role("button", name="Take it back").click()
    assert field(page, "network_dim").input_value() == "32"
    assert field(page, "optimizer_type").input_value() == "Prodigy"


def test_another_checkpoint_can_be_chosen_and_left_again(make_webui, open_tab, tmp_path):
    other = tmp_path / "another.safetensors"
    other.touch()
    page = open_tab(make_webui("--checkpoint", str(other)))
    select = page.locator("#tl_base select").first
    assert select.locator("option").all_inner_texts() == [
        "mini_sd15.safetensors (loaded now)", "mini_sd15.safetensors", "another.safetensors"]
    select.select_option(label="another.safetensors")
    assert "This one is used, whatever the webui has loaded." in text_of(page, "#tl_base")
    select.select_option(index=0)
    assert "trained on what the webui has loaded" in text_of(page, "#tl_base")
