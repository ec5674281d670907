"""The list of runs kept in order: name, star, note, filter, trash, one epoch kept, settings used again."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import eventually, field, fill_in, start, wait_for_state


def finished(page, pictures):
    """Train three epochs and open the Runs tab."""
    fill_in(page, pictures, max_train_epochs="3", network_dim="48")
    start(page)
    wait_for_state(page, "Finished")
    page.click("#tl-tab-runs")
    wait_for_state(page, "Finished", "runs")
    return page.locator("#tl-panel-runs")


def early(webui, number, last):
    """A run that ended before its first step: ``last`` is the line of its last event."""
    run = webui.data / "lora_train" / "runs" / f"2026010{number}-120000-early{number}"
    run.mkdir(parents=True)
    (run / "job.yaml").write_text("save: {output_name: early}\n")
    (run / "events.jsonl").write_text(last + "\n")


def press(root, name):
    root.get_by_role("button", name=name, exact=True).first.click()


def test_name_note_star_and_filter(make_webui, open_tab, pictures):
    webui = make_webui()
    for number, last in enumerate(('{"time": 1, "event": "stopped", "steps": 0, "seconds": 0}',
                                   '{"time": 1, "event": "error", "text": "No model.", "detail": ""}',
                                   '{"time": 1, "event": "stopped", "steps": 0, "seconds": 0}'), 1):
        early(webui, number, last)
    page = open_tab(webui)
    runs = finished(page, pictures)
    expect(runs.locator(".tl-run-side > .tl-run-list .tl-run-row")).to_have_count(1)
    runs.locator("summary", has_text="3 runs that never started").click()
    expect(runs.locator(".tl-fold .tl-run-row")).to_have_count(3)

    press(runs, "Name and note")
    page.get_by_label("Name in the list").fill("red hat, good")
    page.get_by_label("Note", exact=True).fill("stiff from epoch 3")
    press(page.locator("dialog"), "Save")
    runs.locator(".tl-run-row-name", has_text="red hat, good").wait_for()
    expect(runs.locator(".tl-run-note")).to_have_text("stiff from epoch 3")
    expect(runs.locator(".tl-run-title .tl-run-name")).to_have_text("red hat, good")
    press(runs.locator(".tl-run-actions"), "Star")
    runs.locator(".tl-run-row .tl-run-row-star:visible").wait_for()

    press(runs.locator(".tl-run-side"), "Starred")
    expect(runs.locator(".tl-run-row")).to_have_count(1)
    press(runs.locator(".tl-run-side"), "Starred")
    runs.get_by_label("Show runs by state").select_option("failed")
    expect(runs.locator(".tl-run-row")).to_have_count(1)
    runs.get_by_label("Show runs by state").select_option("")
    runs.get_by_label("Search runs by name or note").fill("stiff")
    expect(runs.locator(".tl-run-row")).to_have_count(1)
    runs.get_by_label("Search runs by name or note").fill("nothing like it")
    expect(runs.get_by_text("No run matches the filter.")).to_be_visible()

    runs.locator(".tl-run-actions button").first.click()  # Use these settings: the first button of the first row
    expect(field(page, "network_dim")).to_have_value("48")


def test_one_epoch_is_kept_then_the_run_deleted_and_all_restored(make_webui, open_tab, pictures):
    webui = make_webui()
    page = open_tab(webui)
    runs = finished(page, pictures)
    runs.locator(".tl-file", has_text="penny-000002").get_by_role("button", name="Keep only this").click()
    dialog = page.locator("dialog")
    expect(dialog.locator(".tl-paths li")).to_have_count(2)
    press(dialog, "Delete 2 files")
    expect(runs.locator(".tl-file-name")).to_have_text(["penny-000002"])
    expect(runs.get_by_text("2 saved files of this run are no longer in the folder.")).to_be_visible()
    assert [path.name for path in webui.loras.glob("*.safetensors")] == ["penny-000002.safetensors"]

    press(runs.locator(".tl-run-actions"), "Delete")
    dialog.get_by_label("Delete its 1 LoRA file too").check()
    press(dialog, "Delete")
    page.get_by_text("No runs yet").wait_for()
    assert list(webui.loras.glob("*.safetensors")) == []

    press(page.locator("#tl-panel-runs .tl-empty:visible"), "Trash")
    for count in (1, 0):  # the newest first: the run with its file, then the other epochs
        press(dialog, "Restore")
        expect(dialog.get_by_role("button", name="Restore")).to_have_count(count)
    press(dialog, "Close")
    runs.locator(".tl-run-row", has_text="penny").click()
    expect(runs.locator(".tl-file-name")).to_have_text(["penny", "penny-000002", "penny-000001"])
    eventually(page, lambda: len(list(webui.loras.glob("*.safetensors"))), 3)
