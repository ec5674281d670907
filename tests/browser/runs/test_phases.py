"""The timeline of training phases in the form, and their boundaries in the curves."""

from __future__ import annotations

from playwright.sync_api import expect

from ..conftest import fill_in


def phases_of(page):
    return page.evaluate("() => JSON.parse(localStorage.getItem('train_lora.form') || '{}')['training.phases']")


def test_phases_are_added_edited_moved_and_drawn(make_webui, open_tab, pictures):
    page = open_tab(make_webui())
    fill_in(page, pictures, max_train_epochs="8")
    page.click("#tl_add_phase")
    editor, bar = page.locator(".tl-phase-editor"), page.locator(".tl-phases")
    editor.get_by_label("Name of the phase").fill("polish")
    editor.get_by_label("Change a setting").select_option("scheduler.lr_scheduler")
    editor.get_by_label("LR scheduler", exact=True).select_option("cosine")
    editor.get_by_label("Change a setting").select_option("dataset.resolution")
    editor.get_by_label("Resolution", exact=True).fill("96")
    expect(page.locator("#tl_plan .tl-total")).to_contain_text("2 training phases with")
    expect(page.locator("#tl_plan .tl-phase-boundary")).to_have_count(1)
    page.locator(".tl-phase-boundary-handle").focus()
    page.keyboard.press("ArrowLeft")
    expect(bar).to_contain_text("7 epochs")
    expect(editor.get_by_label("Length", exact=True)).to_have_value("3")
    handle = page.locator(".tl-phase-boundary-handle").bounding_box()
    page.mouse.move(handle["x"] + 5, handle["y"] + 9)
    page.mouse.down()
    page.mouse.move(handle["x"] - 80, handle["y"] + 9, steps=3)
    page.mouse.up()
    expect(bar).not_to_contain_text("7 epochs")
    editor.get_by_role("button", name="Duplicate").click()
    expect(page.locator(".tl-phase")).to_have_count(3)
    editor.get_by_role("button", name="Remove").click()
    expect(page.locator(".tl-phase")).to_have_count(2)
    page.locator(".tl-phase").nth(1).click()
    editor.get_by_label("Resolution", exact=True).fill("5")
    expect(page.locator(".tl-timeline .tl-field-problem").last).to_contain_text("polish")
    editor.get_by_role("button", name="Set Resolution back").click()
    page.wait_for_function("() => !JSON.parse(localStorage.getItem('train_lora.form'))['training.phases'][0].dataset")
    [polish] = phases_of(page)
    assert polish["name"] == "polish" and polish["scheduler"] == {"lr_scheduler": "cosine"} and polish["epochs"] > 3
