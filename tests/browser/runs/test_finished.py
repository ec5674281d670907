"""The end of the queue on the page: chosen in the bar, counted down over the whole webui, cancelled elsewhere."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from ..conftest import eventually, fill_in, go_to_tab, ready, start


def test_a_shutdown_is_counted_down_cancelled_from_another_tab_and_happens_if_it_is_not(
        make_webui, open_tab, pictures, tmp_path):
    log = tmp_path / "power.txt"
    webui = make_webui("--power-log", str(log), "--countdown", "60")
    page, other = open_tab(webui), open_tab(webui)
    fill_in(page, pictures, max_train_epochs="1", output_name="penny")
    page.select_option("#tl_finished", "shut_down")
    expect(other.locator("#tl_finished")).to_have_value("shut_down")
    expect(page.locator("#tl_finished option[value=command]")).to_be_disabled()  # none is set
    start(page)
    page.locator("#tabs > .tab-nav button").first.click()  # another tab of the webui
    for shown in (page, other):
        expect(shown.get_by_role("alertdialog")).to_contain_text("penny is finished. The computer shuts down in")
        expect(shown.get_by_role("timer")).to_have_text(re.compile(r"^(1:00|0:\d\d)$"))
    other.click("#tl_countdown_cancel")
    for shown in (page, other):
        expect(shown.get_by_role("alertdialog")).to_have_count(0)
        expect(shown.locator("#tl_finished")).to_have_value("nothing")

    page.reload()
    go_to_tab(page)
    expect(page.locator("#tl_finished")).to_have_value("nothing")
    other.click("#tl-tab-runs")  # the same choice stands at the queue there
    expect(other.locator("#tl_finished_runs")).to_have_value("nothing")
    other.select_option("#tl_finished_runs", "sleep")
    expect(other.locator("#tl_finished_runs_about")).to_have_text("Waits for the next run.")
    expect(page.locator("#tl_finished")).to_have_value("sleep")
    page.select_option("#tl_finished", "shut_down")
    for select in ("#tl_finished", "#tl_finished_runs"):
        expect(other.locator(select)).to_have_value("shut_down")
    ready(page)
    assert not log.exists()
    page.click("#tl_train")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    log.with_suffix(".hurry").touch()
    eventually(page, lambda: log.exists() and log.read_text(), "shut_down\n")
    expect(page.locator(".tl-toast", has_text="The computer shuts down now.")).to_be_visible()
    expect(page.locator("#tl_finished")).to_have_value("nothing")
