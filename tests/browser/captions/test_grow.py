"""Growing a set in a real browser: quick settings in the form, candidates drawn, the good ones in the set."""

from __future__ import annotations

from playwright.sync_api import expect

from ..conftest import eventually
from .conftest import PANEL


def test_a_handful_grows_by_chosen_candidates(editor, folder):
    page = editor(own=True)
    page.locator(f'{PANEL} [data-view="grow"]').click()
    expect(page.locator("#tl_grow_words")).to_contain_text("enough for a character")
    page.fill("#tl_grow_prompts", "penny, standing\npenny, sitting")
    page.click("#tl_grow_draw")
    candidates = page.locator(f"{PANEL} .tl-candidate")
    expect(candidates).to_have_count(2)
    candidates.nth(1).click()
    page.locator("#tl_grow_add", has_text="Add 1 image").click()
    expect(candidates).to_have_count(1)
    eventually(page, lambda: [path.read_text() for path in folder.rglob("penny-made.txt")], ["penny, sitting"])
    candidates.first.click()
    page.locator("#tl_grow_drop", has_text="Discard 1").click()
    expect(candidates).to_have_count(0)
    page.click("#tl_grow_train")
    expect(page.locator("#tl-panel-train")).to_be_visible()
    assert page.evaluate("TrainLora.form.get('save.output_name')") == "penny-quick-41"
