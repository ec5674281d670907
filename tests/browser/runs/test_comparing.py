"""Runs side by side in the page: a setting varied from the form, the group that opens by itself, ticked runs."""

from __future__ import annotations

import shutil

from playwright.sync_api import expect

from ..conftest import MINI, evaluates, field, fill_in, ready, refuse, refused, try_again
from ..test_managing import early, press


def series(page, curve):
    """The runs that a plot has a line of."""
    return page.locator(f'#tl_compare svg[data-curve="{curve}"] g[data-run]')


def vary_the_rank(page, pictures):
    """From the form: a wrong value is named, then three are queued."""
    fill_in(page, pictures, max_train_epochs="2", sample_prompts="penny smiling")
    ready(page)
    page.click("#tl_vary")
    dialog = page.locator(".tl-compare-dialog")
    dialog.get_by_label("Setting", exact=True).fill("rank")
    dialog.locator('.tl-hit[data-key="network.network_dim"]').click()
    dialog.locator(".tl-compare-suggestion").first.wait_for()
    dialog.get_by_label("Other values").fill("0, 8")
    expect(dialog.locator(".tl-compare-plan .tl-level-error")).to_contain_text("Network dim (rank) is 0")
    expect(page.locator("#tl_vary_queue")).to_be_disabled()
    dialog.get_by_label("Other values").fill("8, 16, 32")
    expect(dialog.locator(".tl-compare-total")).to_contain_text("3 runs, ")
    expect(page.locator("#tl_vary_queue")).to_have_text("Queue 3 runs")
    page.click("#tl_vary_queue")


def test_a_setting_is_varied_and_its_runs_are_compared(make_webui, open_tab, pictures):
    webui = make_webui()
    page = open_tab(webui)
    refuse(page, "runs/*/strip", "compare/grids")
    vary_the_rank(page, pictures)
    compare = page.locator("#tl_compare")
    refused(page, "The list of grids", "The test strip of 8", within="#tl_compare")
    expect(compare.locator(".tl-empty", has_text="No images yet")).to_be_hidden()
    expect(compare.locator(".tl-compare-title")).to_have_text("Network dim (rank): 8, 16, 32")
    expect(compare.locator(".tl-compare-key .tl-badge")).to_have_text(["Finished"] * 3)
    try_again(page, within="#tl_compare")
    expect(series(page, "loss")).to_have_count(3)
    expect(compare.locator(".tl-compare-settings tbody tr").first).to_contain_text("Network dim (rank)")
    expect(compare.locator(".tl-compare-settings tbody tr").first.locator("td")).to_have_text(["8", "16", "32"])
    expect(compare.locator(".tl-compare-settings tbody tr")).to_have_count(2)  # with alpha, which follows
    grid = compare.get_by_role("region", name="Grid", exact=True)  # begins by itself
    expect(grid.locator("thead th")).to_have_text(["No LoRA", "8", "16", "32"])
    expect(grid.locator(".tl-sample img")).to_have_count(4)
    assert grid.locator("tbody th").first.bounding_box()["width"] >= 100  # the prompt can be read
    expect(compare.get_by_role("button", name="Held-out images")).to_be_hidden()  # no run has any
    expect(grid.locator("thead th .tl-compare-swatch")).to_have_count(3)
    images = compare.get_by_role("region", name="Images by epoch")
    expect(images.locator("tbody tr")).to_have_count(3)

    colors = [compare.locator(".tl-compare-key").nth(number).get_attribute("class").split()[-1] for number in range(3)]
    assert len(set(colors)) == 3
    assert [series(page, "loss").nth(number).get_attribute("class") for number in range(3)] == colors
    compare.locator(".tl-compare-key").first.click()
    expect(series(page, "loss")).to_have_count(2)
    expect(images.locator("tbody tr")).to_have_count(2)
    page.select_option("#tl_compare_axis", "images")
    expect(compare.locator('svg[data-curve="loss"]')).to_contain_text("Images")

    press(compare, "Close")  # then reopened from the list, from the group of one of its runs
    runs = page.locator("#tl-panel-runs")
    runs.locator(".tl-run-row", has_text="penny-dim16").click()
    expect(runs.locator(".tl-run-group")).to_contain_text("One of 3 runs: Network dim (rank): 8, 16, 32")
    press(runs.locator(".tl-run-group"), "Compare")
    expect(compare.locator(".tl-compare-key")).to_have_count(3)

    early(webui, 1, '{"time": 1, "event": "stopped", "steps": 0, "seconds": 0}')  # a damaged run among the ticked ones
    (webui.data / "lora_train" / "runs" / "20260101-120000-early1" / "job.yaml").write_text("- a\n- b\n")
    press(runs.locator(".tl-compare-choice"), "Clear")
    expect(page.locator("#tl_compare_runs")).to_be_disabled()
    runs.get_by_label("Compare penny-dim8").check()
    expect(runs.locator(".tl-compare-choice")).to_contain_text("Tick one more")
    runs.get_by_label("Compare early1").check()
    page.click("#tl_compare_runs")
    expect(compare.locator(".tl-compare-key")).to_have_count(2)
    expect(compare.locator(".tl-level-warning").first).to_contain_text("This run is damaged")
    expect(series(page, "loss")).to_have_count(1)


def train_on(page, names):
    """Tick the checkpoints and press the button."""
    for name in names:
        page.locator("#tl_bases_result").get_by_label(f"Train on {name}").check(force=True)
    expect(page.locator("#tl_bases_train")).to_have_text(f"Train on {len(names)} checkpoints and compare")
    page.click("#tl_bases_train")


def test_checkpoints_are_compared_and_trained_on_as_a_group_with_a_grid(make_webui, open_tab, pictures, tmp_path):
    names = [MINI.name, "ひとつ.safetensors", "third.safetensors"]
    for name in names[1:]:
        shutil.copy(MINI, tmp_path / name)
    page = open_tab(make_webui(*(word for name in names[1:] for word in ("--checkpoint", str(tmp_path / name)))))
    fill_in(page, pictures, max_train_epochs="0", sample_prompts="penny smiling")
    refuse(page, "bases")
    page.click("#tl_bases")
    refused(page, "The last comparison", within="#tl_bases_dialog")
    try_again(page)
    refuse(page, "bases/runs/*/result")
    page.click("#tl_bases_start")
    refused(page, "The comparison", within="#tl_bases_dialog")
    try_again(page)
    result = page.locator("#tl_bases_result")
    rows = result.locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("chosen")
    expect(result).to_contain_text("70 %")  # the last is a merge
    evaluates(page, "overflowing()", [])
    evaluates(page, "faintTexts()", [])
    expect(page.locator("#tl_bases_train")).to_be_disabled()
    train_on(page, names[:2])
    problem = page.locator(".tl-compare-dialog .tl-level-error")  # nothing is queued
    expect(problem).to_contain_text("Epochs")
    expect(page.locator(".tl-compare-dialog input:checked")).to_have_count(3)  # the two, and the grid
    press(page.locator(".tl-compare-dialog"), "Cancel")
    field(page, "max_train_epochs").fill("1")
    ready(page)
    page.click("#tl_bases")
    train_on(page, names[:2])
    compare = page.locator("#tl_compare")
    expect(compare.locator(".tl-compare-key .tl-badge")).to_have_text(["Finished"] * 2)
    grid = compare.get_by_role("region", name="Grid", exact=True)
    expect(grid.locator("thead th")).to_have_count(4)  # each with and without its LoRA
    expect(grid.locator("thead th", has_text="No LoRA")).to_have_count(2)
