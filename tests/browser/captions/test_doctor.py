"""The doctor in a real browser: a summary that leads to the findings, long lists folded, fixes beside them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from playwright.sync_api import expect

from .conftest import PANEL


def examine(page) -> None:
    page.locator(f'{PANEL} [data-view="doctor"]').click()
    page.click("#tl_doctor")
    page.locator(f"{PANEL} .tl-buckets").wait_for()


def copy_of(folder: Path, number: int) -> None:
    concept = folder / "2_penny"
    for ending in ("png", "txt"):
        shutil.copy(concept / f"{number:02}.{ending}", concept / f"{number:02}_copy.{ending}")


def test_the_summary_comes_first_and_leads_to_each_finding(editor, folder):
    page = editor()
    for number in range(10, 17):
        copy_of(folder, number)
    examine(page)
    body = page.locator(f"{PANEL} .tl-doctor-body")
    lines, articles = body.locator(".tl-doctor-summary li"), body.locator("article")
    titles = [text.strip() for text in articles.locator("h4").all_text_contents()]
    assert len(titles) > 1 and [text.strip() for text in lines.all_text_contents()] == titles
    expect(body.locator("> :first-child")).to_have_class(re.compile("tl-doctor-summary"))
    finding = articles.filter(has=page.locator(".tl-group-row")).first
    name = finding.get_attribute("data-finding")
    finding = body.locator(f'[data-finding="{name}"]')
    assert finding.locator(".tl-group-row").count() == 7
    expect(finding.locator(".tl-group-row").first).to_be_hidden()
    expect(finding.locator("summary").first).to_contain_text("7 groups")
    place = [article.get_attribute("data-finding") for article in articles.all()].index(name)
    lines.nth(place).locator("button").click()
    expect(finding.locator(".tl-group-row").first).to_be_in_viewport()
    expect(finding).to_be_focused()


def test_what_the_images_show_is_counted_and_leads_to_them(editor, folder):
    page = editor()
    for number, path in enumerate(sorted(folder.rglob("*.txt"))):
        path.write_text(f"{path.read_text()}, 1girl{', standing' if number < 9 else ''}")
    examine(page)
    chart = page.locator(f"{PANEL} .tl-content", has_text="Pose")
    expect(chart.locator(".tl-bucket-name")).to_have_text(["standing", "no tag"])
    chart.locator(".tl-bucket", has_text="standing").click()
    page.locator("#tl_caption_go", has_text="Add to 8 captions").wait_for()  # one of the nine is prose


def test_a_few_groups_are_not_folded(editor, folder):
    page = editor()
    copy_of(folder, 10)
    copy_of(folder, 11)
    examine(page)
    rows = page.locator(f"{PANEL} .tl-group-row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_be_visible()
