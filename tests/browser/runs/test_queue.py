"""The queue in the page: dragged and moved by keys, held, and a queued run edited in the form."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from ..conftest import eventually, field, fill_in, ready

COMMAND = "echo the queue is finished && exit 0 # 'quoted' <b>$(date)</b>"


def edit(page, row):
    """Press Edit, at first while the run's settings are gone, which is said and leaves the form as it is."""
    page.route(re.compile("/train-lora/runs/[^/]+-penny-v2$"), lambda route: route.fulfill(json={"job": None}), times=1)
    row.get_by_role("button", name="Edit").click()
    toast = page.locator(".tl-toast", has_text="The settings of penny-v2 cannot be read")
    toast.locator("button").click()
    expect(page.locator("#tl_save_queued")).to_be_hidden()
    row.get_by_role("button", name="Edit").click()


def test_the_queue_is_reordered_held_and_edited(make_webui, open_tab, pictures):
    webui = make_webui("--finished-command", COMMAND)
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="2")
    page.evaluate("fetch('train-lora/queue/hold', {method: 'POST', body: '{\"on_hold\": true}', headers: "
                  "{'X-Train-Lora': '1', 'Content-Type': 'application/json'}})")
    ready(page)
    page.click("#tl_train")
    page.locator(".tl-action-second", has_text="The queue is on hold").wait_for()
    for count in (1, 2):
        page.click("#tl_queue")
        page.locator("#tl_queued", has_text=f"+{count} queued, on hold").wait_for()
    page.click("#tl_queued")
    queue = page.locator("#tl-panel-train .tl-queue-box")
    names = queue.locator(".tl-queue-row .tl-run-row-name")
    expect(names).to_have_text(["penny", "penny-v2", "penny-v3"])

    queue.locator(".tl-queue-row", has_text="penny-v3").drag_to(
        queue.locator(".tl-queue-row").first, target_position={"x": 200, "y": 3})
    expect(names).to_have_text(["penny-v3", "penny", "penny-v2"])
    handle = queue.get_by_role("button", name="Move penny-v3, 1 of 3")
    handle.press("ArrowDown")
    expect(names).to_have_text(["penny", "penny-v3", "penny-v2"])
    expect(queue.get_by_role("button", name="Move penny-v3, 2 of 3")).to_be_focused()
    expect(queue.get_by_role("status")).to_have_text("penny-v3 is now 2 of 3.")

    row = queue.locator(".tl-queue-row", has_text="penny-v2")
    row.get_by_role("button", name="Hold").click()
    expect(row).to_contain_text("on hold")
    edit(page, row)
    page.locator(".tl-action-sentence", has_text="Editing the queued run penny-v2.").wait_for()
    for button in ("remove", "stop", "pause", "resume"):  # would act on penny, which the bar showed before
        expect(page.locator(f"#tl_{button}")).to_be_hidden()
    expect(page.locator(".tl-action-second")).to_be_empty()
    expect(field(page, "output_name")).to_have_value("penny-v2")
    field(page, "max_train_epochs").fill("4")
    page.click("#tl_save_queued")
    page.locator(".tl-toast", has_text="The new settings of penny-v2 are saved").wait_for()
    expect(field(page, "max_train_epochs")).to_have_value("2")  # the form is as before
    expect(field(page, "output_name")).to_have_value("penny")
    expect(page.locator("#tl_remove")).to_be_visible()
    expect(page.locator(".tl-action-second")).to_contain_text("The queue is on hold")

    queue.get_by_label("Hold the queue if a run fails").check()
    eventually(page, lambda: webui.get("queue")["after_failure"], True)

    page.reload(wait_until="domcontentloaded")
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    page.click("#tl_queued")
    expect(names).to_have_text(["penny", "penny-v3", "penny-v2"])
    expect(queue.get_by_label("Hold the queue if a run fails")).to_be_checked()
    queue.get_by_role("button", name="Release queue").click()
    eventually(page, lambda: {run["name"]: run["state"] for run in webui.get("runs")},
               {"penny": "finished", "penny-v3": "finished", "penny-v2": "waiting"})
    page.locator("#tl_queued").wait_for()
    row.get_by_role("button", name="Release").click()
    eventually(page, lambda: {run["name"]: (run["state"], run["epoch"]) for run in webui.get("runs")},
               {"penny": ("finished", 2), "penny-v3": ("finished", 2), "penny-v2": ("finished", 4)})

    choose_a_command(page)
    check_disk_space(page)
    rename_a_saved_file(page)


def choose_a_command(page):
    """In Runs. It is shown in full first, and not chosen unless that is confirmed."""
    page.click("#tl-tab-runs")
    select, shown = page.locator("#tl_finished_runs"), page.locator("dialog .tl-finished-command")
    for confirms in (False, True):
        select.select_option("command")
        expect(shown).to_have_text(COMMAND)
        page.locator("dialog").get_by_role("button", name="Run this command" if confirms else "Cancel").click()
        expect(select).to_have_value("command" if confirms else "nothing")
    expect(page.locator("#tl_finished_runs_about")).to_have_text(f"Waits for the next run.\nYour command: {COMMAND}")
    select.select_option("nothing")
    expect(page.locator("#tl_finished")).to_have_value("nothing")


def check_disk_space(page):
    page.locator("#tl-panel-runs").get_by_role("button", name="Disk space").click()
    expect(page.locator(".tl-space > li")).to_have_count(3)
    expect(page.locator("#tl_delete_states")).to_be_disabled()
    page.locator("dialog").get_by_role("button", name="Close").last.click()


def rename_a_saved_file(page):
    page.locator("#tl-panel-runs .tl-run-row", has_text="penny-v3").click()
    files = page.locator("#tl-panel-runs .tl-file")
    files.filter(has_text="The last").get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("lucky")
    page.locator("dialog").get_by_role("button", name="Rename").click()
    page.locator(".tl-toast", has_text="penny-v3 is now lucky.").wait_for()
    expect(files.filter(has_text="The last").locator(".tl-file-name")).to_have_text("lucky")
