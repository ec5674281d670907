"""How it looks, as far as a program can tell: contrast in both themes, room at both widths, keyboard, motion."""

from __future__ import annotations

import pytest

from .conftest import fill_in, ready, start, wait_for_state

# For every text in sight: its size, and the contrast (WCAG 2) between its colour and the colours painted behind it.
FAINT_TEXTS = """() => {
    const rgba = (text) => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d");
        canvas.fillStyle = text;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
    const behind = (element) => {
        const layers = [];
        for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
        layers.push(rgba(getComputedStyle(document.body).getPropertyValue("--body-background-fill").trim() || "#fff"));
        return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const light = (colour) => {
        const [r, g, b] = colour.map((value) => value / 255).map((value) =>
            value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const faint = [];
    const walker = document.createTreeWalker(document.getElementById("train_lora_root"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.nodeValue.trim();
        if (!text || !element.offsetParent && !(element instanceof SVGElement) || element.closest("[hidden], :disabled, option")) continue;
        const style = getComputedStyle(element);
        const back = behind(element);
        const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), back);
        const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
        const contrast = (high + 0.05) / (low + 0.05);
        if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${text.slice(0, 40)} (${element.className.baseVal ?? element.className})`);
    }
    return [...new Set(faint)];
}"""

OVERFLOWING = """() => {
    const width = document.documentElement.clientWidth;
    const wide = [...document.querySelectorAll("#train_lora_root *")].filter((element) => {
        const box = element.getBoundingClientRect();
        const scrolls = element.closest(".tl-samples-scroll, .tl-shape-columns, .tl-hidden-text");
        return box.width && !scrolls && box.right > width + 1;
    });
    return wide.map((element) => `${element.tagName} ${element.className}`);
}"""

CLIPPED_LABELS = """() => [...document.querySelectorAll(
    "#train_lora_root .tl-label, #train_lora_root .tl-button-label, #train_lora_root .tl-badge")]
    .filter((element) => element.offsetParent && element.scrollWidth > element.clientWidth + 1)
    .map((element) => element.textContent)"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(make_webui, open_tab, pictures, theme):
    page = open_tab(make_webui(), theme=theme)
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny")
    page.locator(".tl-chips button").first.click()
    ready(page)
    page.locator("#tl_more_settings > summary").click()
    assert page.evaluate(FAINT_TEXTS) == []
    page.locator('.tl-field[data-key="network.network_alpha"] input').fill("900")
    page.locator(".tl-field-problem", has_text="900").wait_for()
    page.click("#tl_train")
    page.locator(".tl-toast").first.wait_for()
    assert page.evaluate(FAINT_TEXTS) == []
    page.locator('.tl-field[data-key="network.network_alpha"] input').fill("8")
    start(page)
    wait_for_state(page, "Finished")
    page.click("#tl-tab-runs")
    page.locator(".tl-run-row").first.wait_for()
    assert page.evaluate(FAINT_TEXTS) == []


def test_the_contrast_check_finds_faint_text(webui, open_tab):
    page = open_tab(webui)
    page.add_style_tag(content="#train_lora_root .tl-card .tl-card-title { color: #c0c0c0 }")
    assert any("Pictures" in text for text in page.evaluate(FAINT_TEXTS))


@pytest.mark.parametrize("width", [1400, 800, 480])
def test_everything_has_room(make_webui, open_tab, pictures, width):
    page = open_tab(make_webui(), width=width)
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny\npenny in a forest at night")
    page.locator("#tl_more_settings > summary").click()
    assert page.evaluate(OVERFLOWING) == []
    assert page.evaluate(CLIPPED_LABELS) == []
    start(page)
    wait_for_state(page, "Finished")
    assert page.evaluate(OVERFLOWING) == []
    settings, run = (page.locator(f"#tl-panel-train .tl-column >> nth={index}").bounding_box() for index in (0, 1))
    beside = run["x"] >= settings["x"] + settings["width"]
    assert beside == (width == 1400)
    page.click("#tl-tab-runs")
    page.locator(".tl-run-row").first.wait_for()
    assert page.evaluate(OVERFLOWING) == []


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
    nameless = page.evaluate("""() => [...document.querySelectorAll(
        "#train_lora_root :is(input, select, textarea, button)")].filter((element) => element.offsetParent &&
        !element.getAttribute("aria-label") && !element.textContent.trim() && !(element.labels && element.labels.length))
        .map((element) => element.outerHTML.slice(0, 120))""")
    assert nameless == []
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
