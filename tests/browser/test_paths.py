"""Choosing folders and files of the server: the browser, the completion, and the trigger word that a folder brings."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from .conftest import evaluates, eventually, field, fill_in, go_to_tab, look_as, ready, wait_for_state


@pytest.fixture
def sets(tmp_path):
    """A folder of sets beside one with only captions."""
    folder = tmp_path / "my sets"
    for name in ("penny/0.png", "penny/1.png", "pony/10_pony/0.png", "reg/0.png", "other/deep/0.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (96, 96), (200, 40, 90)).save(folder / name)
    for number in range(2):
        (folder / "penny" / f"{number}.txt").write_text("pennyfox, smiling", encoding="utf-8")
    return folder


def test_a_folder_is_found_by_clicking_and_its_set_is_loaded(page, sets):
    page.fill("#tl_dataset_folder", str(sets))
    page.locator("#tl_dataset").get_by_role("button", name="Browse").click()
    window = page.locator(".tl-places-dialog")
    row = window.locator(".tl-place", has_text="penny")
    expect(row).to_contain_text("2 images, all captioned")
    page.wait_for_function("""() => {
        const images = [...document.querySelectorAll(".tl-places-images img")];
        return images.length === 4 && images.every((image) => image.complete && image.naturalWidth);
    }""")
    for theme, width in (("light", 1400), ("dark", 800)):
        look_as(page, theme, width)
        evaluates(page, "faintTexts()", [])
        evaluates(page, "overflowing()", [])
    row.get_by_role("button", name="Choose").click()
    expect(window).to_have_count(0)
    expect(page.locator("#tl_dataset_folder")).to_have_value(str(sets / "penny"))
    page.locator(".tl-stat", has_text="2").first.wait_for()  # it is loaded without another click
    ready(page)
    expect(field(page, "activation_tag")).to_have_value("pennyfox")


def test_a_chosen_set_is_shown_among_its_neighbours(page, sets):
    page.fill("#tl_dataset_folder", str(sets / "penny"))
    page.locator("#tl_dataset").get_by_role("button", name="Browse").click()
    expect(page.locator(".tl-place[aria-current]")).to_contain_text("penny")
    expect(page.locator(".tl-place")).to_have_count(4)


def test_the_browser_works_by_keyboard(page, sets):
    page.fill("#tl_dataset_folder", str(sets / "nowhere"))
    page.locator("#tl_dataset").get_by_role("button", name="Browse").click()
    window = page.locator(".tl-places-dialog")
    expect(window).to_contain_text("This is the nearest folder above it")
    expect(window.locator(".tl-place").first).to_be_focused()  # other
    page.keyboard.press("Enter")
    expect(window.locator(".tl-place")).to_have_text([re.compile("deep")])
    page.keyboard.press("Backspace")
    expect(window.locator(".tl-place")).to_have_count(4)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(window).to_contain_text("2 images here, all with a caption.")
    window.get_by_role("button", name="Choose this folder (2 images)").press("Enter")
    expect(page.locator("#tl_dataset_folder")).to_have_value(str(sets / "penny"))
    page.locator("#tl_dataset").get_by_role("button", name="Browse").click()
    window.get_by_label("Find in this folder").wait_for()
    page.keyboard.press("Escape")
    expect(window).to_have_count(0)


def test_many_folders_are_paged_and_searched(page, tmp_path):
    for number in range(130):
        (tmp_path / "many" / f"set_{number}").mkdir(parents=True)
    page.fill("#tl_dataset_folder", str(tmp_path / "many"))
    page.locator("#tl_dataset").get_by_role("button", name="Browse").click()
    window = page.locator(".tl-places-dialog")
    expect(window).to_contain_text("1 to 60 of 130")
    window.get_by_role("button", name="Next").click()
    expect(window).to_contain_text("61 to 120 of 130")
    window.get_by_label("Find in this folder").fill("129")
    expect(window.locator(".tl-place")).to_have_text(["set_129"])
    window.get_by_label("Find in this folder").press("Enter")
    expect(window).to_contain_text("There are no folders here.")


def test_a_path_is_completed_by_tab_and_arrows(page, sets):
    box = page.locator("#tl_dataset_folder")
    options = page.locator("#tl_dataset .tl-path-list [role=option]")
    box.press_sequentially(f"{sets}/p")
    expect(options).to_have_text(["penny2 images", "pony1 image"])
    page.evaluate("window.scrollBy(0, 40)")
    evaluates(page, """(() => {
        const [box, list] = ["#tl_dataset_folder", "#tl_dataset .tl-path-list"].map((one) =>
            document.querySelector(one).getBoundingClientRect());
        return [window.scrollY, Math.round(list.top - box.bottom), Math.round(list.left - box.left), list.height > 0];
    })()""", [40, 4, 0, True])  # it follows
    box.press("ArrowDown")
    box.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    box.press("Tab")
    expect(box).to_have_value(f"{sets}/pony/")
    expect(options).to_have_text(["10_pony1 image"])
    box.press("Tab")
    expect(box).to_have_value(f"{sets}/pony/10_pony/")
    box.fill(f"{sets}/o")
    expect(options).to_have_text(["other"])
    box.press("Escape")
    expect(page.locator(".tl-path-list:visible")).to_have_count(0)
    expect(box).to_have_value(f"{sets}/o")
    late = []
    page.route("**/places/complete", lambda route: route.continue_() if late else late.append(route))
    box.fill(f"{sets}/nothing like it")
    eventually(page, lambda: len(late), 1)
    box.fill(f"{sets}/r")
    late[0].fulfill(json={"entries": [], "more": False})  # to what was typed before
    expect(options).to_have_text(["reg1 image"])
    page.unroute("**/places/complete")
    box.fill(f"{sets}/p")
    expect(options).to_have_text(["penny2 images", "pony1 image"])
    page.route("**/places/complete", lambda route: late.append(route))
    box.press("e")
    box.press("ArrowDown")  # marks in the list for what was typed before
    eventually(page, lambda: len(late), 2)
    late[1].continue_()
    expect(options).to_have_text(["penny2 images"])
    expect(options).to_have_attribute("aria-selected", "true")
    page.unroute("**/places/complete")
    box.press("Escape")
    box.fill(f"{sets}/penny")
    box.press("Enter")
    page.locator(".tl-stat").first.wait_for()
    expect(page.locator(".tl-path-list:visible")).to_have_count(0)


def test_an_empty_box_offers_the_sets_that_were_used_last_in_any_browser(webui, open_tab, sets):
    fill_in(open_tab(webui), sets / "penny")
    page = open_tab(webui)  # another browser
    page.locator("#tl_dataset_folder").press("ArrowDown")
    first = page.locator("#tl_dataset .tl-path-list [role=option]").first
    expect(first).to_have_text("penny2 images")
    first.click()
    expect(page.locator("#tl_dataset_folder")).to_have_value(f"{sets / 'penny'}/")


def test_every_path_of_the_form_has_a_browser(page, sets):
    for key, kind in (("dataset.reg_data_dir", "images"), ("dataset.validation_data_dir", "images"),
                      ("network.network_weights", "lora")):
        control = field(page, key.split(".")[1])
        page.locator(f'.tl-field[data-key="{key}"]').get_by_role("button", name="Browse").click()
        window = page.locator(".tl-places-dialog")
        window.locator(".tl-place, .tl-hit-none").first.wait_for()
        page.keyboard.press("Escape")
        expect(window).to_have_count(0)
        if kind == "images":
            control.fill(f"{sets}/re")
            page.locator(f'.tl-field[data-key="{key}"] .tl-path-list [role=option]', has_text="reg").wait_for()
            control.press("Tab")
            expect(control).to_have_value(f"{sets}/reg/")


def test_captions_tagger_and_tools_have_the_browser_too(webui, open_tab, sets):
    page = open_tab(webui)
    page.locator("#tl-tab-captions").click()
    page.locator("#tl-panel-captions").get_by_role("button", name="Browse").first.click()
    page.locator(".tl-places-dialog .tl-place").first.wait_for()
    page.keyboard.press("Escape")
    page.fill("#tl_captions_folder", str(sets / "penny"))
    page.click("#tl_captions_open")
    page.locator(".tl-capcount", has_text="2 images").wait_for()
    expect(page.locator("#tl_captions_tag")).to_have_value("pennyfox")
    page.get_by_role("tab", name="Tagger").click()
    page.locator("#tl_tagging select").first.select_option(label="Another ONNX file …")
    expect(page.locator("#tl_tagging").get_by_role("button", name="Browse")).to_be_visible()
    page.locator("#tl-tab-tools").click()
    expect(page.locator("#tl-panel-tools .tl-browse").first).to_be_attached()


def trigger_of(page, panel="train"):
    return page.locator(f"#tl-panel-{panel} .tl-trigger-note")


def test_another_browser_gets_the_trigger_word_of_the_folder(webui, open_tab, sets):
    page = open_tab(webui)
    fill_in(page, sets / "penny")
    expect(field(page, "activation_tag")).to_have_value("pennyfox")
    expect(trigger_of(page)).to_contain_text("First tag of all 2 captions.")
    with page.expect_response("**/dataset/trigger-word"):
        field(page, "activation_tag").fill("vixen")
    expect(trigger_of(page)).to_contain_text("Set by you for this folder.")
    assert "vixen" not in page.evaluate("localStorage.getItem('train_lora.form')")
    other = open_tab(webui)
    fill_in(other, sets / "penny")
    expect(field(other, "activation_tag")).to_have_value("vixen")
    with other.expect_response("**/dataset/trigger-word"):
        trigger_of(other).get_by_role("button", name="Use pennyfox").click()
    expect(field(other, "activation_tag")).to_have_value("pennyfox")
    page.reload(wait_until="domcontentloaded")
    go_to_tab(page)
    page.locator(".tl-stat").first.wait_for()
    expect(field(page, "activation_tag")).to_have_value("pennyfox")


def test_another_folder_brings_its_own_trigger_word(webui, open_tab, sets):
    page = open_tab(webui)
    fill_in(page, sets / "penny")
    expect(field(page, "activation_tag")).to_have_value("pennyfox")
    fill_in(page, sets / "pony")
    expect(field(page, "activation_tag")).to_have_value("pony")
    expect(trigger_of(page)).to_contain_text("From the folder 10_pony.")
    page.locator("#tl-tab-captions").click()
    page.fill("#tl_captions_folder", str(sets / "penny"))
    page.click("#tl_captions_open")
    expect(page.locator("#tl_captions_tag")).to_have_value("pennyfox")
    with page.expect_response("**/dataset/trigger-word"):
        page.fill("#tl_captions_tag", "fox")
        page.locator("#tl_captions_tag").press("Enter")
    expect(trigger_of(page, "captions")).to_contain_text("Set by you")


def test_a_word_that_was_typed_before_the_folder_is_loaded_stays(page, sets):
    field(page, "activation_tag").fill("mine")
    field(page, "activation_tag").fill("")  # is no choice for the folder
    fill_in(page, sets / "penny")
    expect(field(page, "activation_tag")).to_have_value("pennyfox")
    page.fill("#tl_dataset_folder", "")
    page.click("#tl_dataset_load")
    expect(page.locator(".tl-stat")).to_have_count(0)
    field(page, "activation_tag").fill("mine")
    fill_in(page, sets / "other" / "deep")
    expect(trigger_of(page)).to_contain_text("Set by you for this folder.")
    expect(field(page, "activation_tag")).to_have_value("mine")


OVERVIEW = "**/train-lora/dataset/overview"


def load_held(page):
    """Click Load; returns its button, and the requests, which are answered only when the test lets them."""
    load, held = page.locator("#tl_dataset_load"), []
    page.route(OVERVIEW, lambda route: held.append(route))
    with page.expect_request(OVERVIEW):
        load.click()
    expect(load).to_be_disabled()
    return load, held


def test_a_load_that_a_changed_setting_starts_again_is_still_the_users(page, sets):
    fill_in(page, sets / "penny")
    load, held = load_held(page)
    with page.expect_request(OVERVIEW):
        page.evaluate("TrainLora.form.set('dataset.flip_aug', true)")
    expect(load).to_be_disabled()
    eventually(page, lambda: len(held), 2)
    held[1].continue_()
    expect(load).to_be_enabled()
    expect(page.locator("#tl_dataset .tl-dim")).to_have_count(0)


def test_asking_with_an_empty_box_ends_the_load_before_it(page, sets):
    fill_in(page, sets / "penny")
    load, held = load_held(page)
    page.fill("#tl_dataset_folder", "")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/dataset/overview")):
        page.locator("#tl_dataset_folder").press("Enter")
    expect(page.locator("#tl_dataset_problem")).to_contain_text("Type or paste the path")
    expect(load).to_be_enabled()
    expect(page.locator("#tl_dataset .tl-dim")).to_have_count(0)
    expect(page.locator(".tl-stat")).to_have_count(0)
    assert len(held) == 1


def test_the_run_uses_the_trigger_word_of_the_folder(webui, open_tab, sets):
    page = open_tab(webui)
    fill_in(page, sets / "pony", output_name="pony_test", max_train_epochs="1")
    ready(page)
    with page.expect_response(lambda answer: answer.url.endswith("/train-lora/runs") and
                              answer.request.method == "POST") as sent:
        page.click("#tl_train")
    assert sent.value.request.post_data_json["job"]["dataset"]["activation_tag"] == "pony"
    wait_for_state(page, "Finished")
