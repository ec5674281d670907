"""How it looks, as far as a program can tell: contrast in both themes, room at both widths, keyboard, motion."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import evaluates, eventually, field, fill_in, look_as, ready, start, unfold, wait_for_state

WIDTHS = (480, 800, 1400)


def nothing_is_faint(page):
    for theme in ("light", "dark"):
        look_as(page, theme, 1400)
        evaluates(page, "faintTexts()", [])


def test_every_text_can_be_read_on_its_ground(make_webui, open_tab, pictures):
    page = open_tab(make_webui(), theme="dark")
    evaluates(page, "document.body.classList.contains('dark')", True)
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny")
    page.locator(".tl-chips button").first.click()
    field(page, "max_train_epochs").fill("3")  # a preset wants many
    ready(page)
    unfold(page)
    nothing_is_faint(page)
    page.locator('.tl-field[data-key="network.network_alpha"] input').fill("900")
    page.locator(".tl-field-problem", has_text="900").wait_for()
    page.click("#tl_train")
    page.locator(".tl-toast").first.wait_for()
    nothing_is_faint(page)
    page.locator('.tl-field[data-key="network.network_alpha"] input').fill("8")
    start(page)
    wait_for_state(page, "Finished")
    strip = page.locator("#tl-panel-train").get_by_role("region", name="Test strip", exact=True)
    strip.locator("summary").click()
    strip.get_by_role("switch").check()
    strip.locator(".tl-sample img").nth(3).wait_for()
    nothing_is_faint(page)
    page.click("#tl-tab-runs")
    page.locator(".tl-run-row").first.wait_for()
    nothing_is_faint(page)


def test_the_contrast_check_finds_faint_text(webui, open_tab):
    page = open_tab(webui)
    page.add_style_tag(content="#train_lora_root .tl-card .tl-card-title { color: #c0c0c0 }")
    eventually(page, lambda: any("Images" in text for text in page.evaluate("faintTexts()")), True)


def test_everything_has_room(make_webui, open_tab, pictures):
    page = open_tab(make_webui(), width=WIDTHS[0])
    fill_in(page, pictures, max_train_epochs="3", sample_prompts="penny\npenny in a forest at night")
    unfold(page)
    for width in WIDTHS:
        look_as(page, "light", width)
        evaluates(page, "overflowing()", [])
        evaluates(page, "clippedLabels()", [])
    columns = [page.locator(f"#tl-panel-train .tl-column >> nth={index}") for index in (0, 1)]

    def beside():
        settings, run = (column.bounding_box() for column in columns)
        return bool(settings and run and run["x"] >= settings["x"] + settings["width"])

    look_as(page, "light", WIDTHS[0])
    start(page)
    wait_for_state(page, "Finished")
    for width in WIDTHS:
        look_as(page, "light", width)
        evaluates(page, "overflowing()", [])
        eventually(page, beside, width == 1400)
    page.click("#tl-tab-runs")
    page.locator(".tl-run-row").first.wait_for()
    for width in WIDTHS:
        look_as(page, "light", width)
        evaluates(page, "overflowing()", [])


def test_the_buttons_stay_in_sight_however_far_one_scrolls(page):
    unfold(page)
    height = page.viewport_size["height"]

    def in_sight(box):
        return 0 < box["y"] < height - box["height"]

    for position in (0, 600, 1200):
        page.evaluate("y => window.scrollTo(0, y)", position)
        eventually(page, lambda: in_sight(page.locator("#tl_train").bounding_box()), True)


def test_sub_tabs_are_walked_with_the_arrow_keys(page):
    page.locator("#tl-tab-train").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tl-panel-train")).to_be_hidden()
    following = page.locator('.tl-tab[aria-selected="true"]').get_attribute("id")
    assert following != "tl-tab-train"
    expect(page.locator(f"#{following.replace('tab', 'panel', 1)}")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tl-panel-train")).to_be_visible()


def test_every_control_has_a_name_and_is_reached_by_key(page):
    unfold(page)
    evaluates(page, "nameless()", [])
    page.locator("#tl_dataset_folder").focus()
    page.keyboard.press("Tab")
    evaluates(page, "document.activeElement.title", "Browse for the folder with your images")
    page.keyboard.press("Tab")
    evaluates(page, "document.activeElement.id", "tl_dataset_load")


def test_those_who_want_no_motion_get_none(page):
    page.emulate_media(reduced_motion="reduce")
    evaluates(page, """[...document.querySelectorAll("#train_lora_root *")].filter((element) => {
        const style = getComputedStyle(element);
        return style.transitionDuration !== "0s" || style.animationName !== "none";
    }).length""", 0)
    page.emulate_media(reduced_motion="no-preference")
