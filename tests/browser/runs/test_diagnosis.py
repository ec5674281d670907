"""The diagnosis of a run in a real browser: what is shown, and what the ways out write into the dataset."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.standin.diagnosis import write_diagnosis

from ..conftest import fill_in, refuse, refused, start, try_again, wait_for_state

PANEL = "#tl-panel-runs"
CARD = f"{PANEL} .tl-diagnosis-body"
NAMES = [f"{number}.png" for number in range(8)]


def group_of(run, image, others):
    """Add images that are only alike, and a tag that does not stand out, to the findings of ``run``."""
    path = run / "diagnosis" / "findings.json"
    found = json.loads(path.read_text())
    found["images"].append({"image": image, "rank": 3, "suspicion": 0.2, "kind": "duplicate", "alarm": False,
                            "reason": "It is more like others.", "others": others, "ways": ["look", "leave_out"]})
    found["tags"].append({"tag": "penny", "rank": 2, "suspicion": 0.3, "alarm": False, "ways": [],
                          "reason": "It may be wrong in 2 images.", "images": [1, 2]})
    path.write_text(json.dumps(found))


def test_a_finding_is_looked_at_weighted_down_undone_left_out_and_retagged(make_webui, open_tab, pictures):
    webui = make_webui()
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="1")
    start(page)
    wait_for_state(page, "Finished")
    [run] = (webui.data / "lora_train" / "runs").glob("*-penny")
    write_diagnosis(run, pictures, [*NAMES, *(f"gone{number}.png" for number in range(40))])
    group_of(run, 5, [6, 7])
    page.locator("#tl-tab-runs").click()
    row = page.locator(f"{CARD} .tl-suspect-row[data-image='3']")
    expect(row).to_contain_text("hardly falls")
    expect(page.locator(f"{CARD} .tl-suspect-tag[data-tag='hat']")).to_contain_text("easier without it")
    expect(page.locator(f"{CARD} .tl-suspect-tag[data-tag='penny']")).to_be_hidden()
    page.get_by_text("The most doubtful tags, which do not stand out").click()
    expect(page.locator(f"{CARD} .tl-suspect-tag[data-tag='penny']")).to_contain_text("may be wrong in 2 images")
    expect(page.locator(f"{CARD} details[open]")).to_contain_text("Right tags are in this list, too.")
    expect(page.locator(f"{CARD} .tl-pages:visible .tl-multiple")).to_have_count(24)
    expect(page.locator(f"{CARD} .tl-multiple").first).to_have_attribute("data-image", "3")
    page.get_by_role("button", name="Next images").last.click()
    expect(page.locator(f"{CARD} .tl-pages:visible").last).to_contain_text("25–48 of 48 images")
    page.get_by_text("The next in the ranking").click()
    group = page.locator(f"{CARD} .tl-suspect-row[data-image='5']")
    expect(group.locator("[data-member]")).to_have_count(2)
    refuse(page, "runs/*/diagnosis/image*")
    group.get_by_role("button", name="Look at 7.png").click()
    refused(page, "The caption", within=".tl-look")
    try_again(page)
    expect(page.locator(".tl-look .tl-look-caption")).to_contain_text("number 7")
    page.keyboard.press("Escape")
    weight = pictures / "3.weight.json"
    row.get_by_role("button", name="Look", exact=True).click()
    expect(page.locator(".tl-look .tl-look-caption")).to_have_text("penny, smiling, number 3")
    page.locator(".tl-look").get_by_role("button", name="Weight down").click()
    expect(row.locator(".tl-done")).to_have_text("Weight 0.5")
    assert json.loads(weight.read_text()) == {"weight": 0.5, "repeats": 1}
    row.get_by_role("button", name="Undo").click()
    expect(row.locator(".tl-done")).to_have_count(0)
    assert not weight.exists()
    row.get_by_role("button", name="Leave out").click()
    expect(row.locator(".tl-done")).to_have_text("Left out")
    assert json.loads(weight.read_text())["repeats"] == 0
    row.get_by_role("button", name="Undo").click()
    expect(row.locator(".tl-done")).to_have_count(0)
    row.get_by_role("button", name="Retag").click()
    captions = page.locator("#tl-panel-captions")
    chosen = captions.locator(".tl-cell[aria-selected=true]")
    expect(chosen).to_have_attribute("aria-label", "3.png: penny, smiling, number 3")
    expect(chosen.locator(".tl-cell-mark")).to_have_text("suspicious")
    expect(captions.locator("#tl_suspects")).to_have_text("1 suspicious in the last run")
