"""How it looks, as far as a program can tell: contrast in both themes, room at both widths, keyboard, motion."""

from __future__ import annotations

import pytest

from .conftest import fill_in, ready, start, wait_for_state


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(make_webui, open_tab, pictures, theme):
    page = open_tab(make_webui(), theme=theme)
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny")
    page.locator(".tl-chips button").first.click()
    ready(page)
    page.locator("#tl_more_settings > summary").click()
    assert page.evaluate("faintTexts()") == []
    page.locator('.tl-field[data-key="network.network_alpha"] input').fill("900")
    page.locator(".tl-field-problem", has_text="900").wait_for()
    page.click("#tl_train")
    page.locator(".tl-toast").first.wait_for()
    assert page.evaluate("faintTexts()") == []
    page.locator('.tl-field[data-key="network.network_alpha"] input').fill("8")
    start(page)
    wait_for_state(page, "Finished")
    page.click("#tl-tab-runs")
    page.locator(".tl-run-row").first.wait_for()
    assert page.evaluate("faintTexts()") == []


def test_the_contrast_check_finds_faint_text(webui, open_tab):
    page = open_tab(webui)
    page.add_style_tag(content="#train_lora_root .tl-card .tl-card-title { color: #c0c0c0 }")
    assert any("Pictures" in text for text in page.evaluate("faintTexts()"))


@pytest.mark.parametrize("width", [1400, 800, 480])
def test_everything_has_room(make_webui, open_tab, pictures, width):
    page = open_tab(make_webui(), width=width)
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny\npenny in a forest at night")
    page.locator("#tl_more_settings > summary").click()
    assert page.evaluate("overflowing()") == []
    assert page.evaluate("clippedLabels()") == []
    start(page)
    wait_for_state(page, "Finished")
    assert page.evaluate("overflowing()") == []
    settings, run = (page.locator(f"#tl-panel-train .tl-column >> nth={index}").bounding_box() for index in (0, 1))
    beside = run["x"] >= settings["x"] + settings["width"]
    assert beside == (width == 1400)
    page.click("#tl-tab-runs")
    page.locator(".tl-run-row").first.wait_for()
    assert page.evaluate("overflowing()") == []


def test_the_buttons_stay_in_sight_however_far_one_scrolls(webui, open_tab):
    page = open_tab(webui)
    page.locator("#tl_more_settings > summary").click()
    height = page.viewport_size["height"]
    for position in (0, 600, 1200):
        page.evaluate("y => window.scrollTo(0, y)", position)
        box = page.locator("#tl_train").bounding_box()
        assert 0 < box["y"] < height - box["height"]


def test_sub_tabs_are_walked_with_the_arrow_keys(webui, open_tab):
    page = open_tab(webui)
    page.locator("#tl-tab-train").focus()
    page.keyboard.press("ArrowRight")
    selected = page.locator('.tl-tab[aria-selected="true"]')
    following = selected.get_attribute("id")
    assert following != "tl-tab-train"
    assert page.locator(f"#{following.replace('tab', 'panel', 1)}").is_visible()
    assert page.locator("#tl-panel-train").is_hidden()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#tl-panel-train").is_visible()


def test_every_control_has_a_name_and_is_reached_by_key(webui, open_tab):
    page = open_tab(webui)
    page.locator("#tl_more_settings > summary").click()
    assert page.evaluate("nameless()") == []
    page.locator("#tl_dataset_folder").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "tl_dataset_look"


def test_those_who_want_no_motion_get_none(webui, open_tab):
    page = open_tab(webui, reduced_motion="reduce")
    moving = page.evaluate("""() => [...document.querySelectorAll("#train_lora_root *")].filter((element) => {
        const style = getComputedStyle(element);
        return style.transitionDuration !== "0s" || style.animationName !== "none";
    }).length""")
    assert moving == 0
