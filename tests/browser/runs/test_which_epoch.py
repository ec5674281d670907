"""The card *Which epoch* in a real browser: what was measured, its signs, and what its buttons do."""

from __future__ import annotations

import dataclasses
import json

from playwright.sync_api import expect

from lib_lora_train.runs.diagnosis.epochs import write_measures
from lib_lora_train.runs.diagnosis.generated import STRIP_IMAGES_FILE
from lib_lora_train.runs.events import read_events
from tests.runs.diagnosis.test_epochs import OVERFIT_RUN, without_held_out

from ..conftest import eventually, field, fill_in, start, wait_for_state

CARD = "#tl-panel-runs .tl-card:has(.tl-epoch-title)"


def card_after_reload(page):
    page.reload(wait_until="domcontentloaded")
    page.locator("#tabs > .tab-nav button", has_text="Train LoRA").click()
    page.locator("#tl-tab-runs").click()
    return page.locator(CARD)


def test_the_card_shows_the_proposal_fills_in_a_remedy_and_starts_measuring(make_webui, open_tab, pictures):
    webui = make_webui()
    page = open_tab(webui)
    fill_in(page, pictures, max_train_epochs="6")
    start(page)
    wait_for_state(page, "Finished")
    [run] = (webui.data / "lora_train" / "runs").glob("*-penny")
    saved = [event for event in read_events(run / "events.jsonl")[0] if event["event"] == "saved"]
    files = tuple(dataclasses.replace(file, path=event["path"], name=event["name"], to_nearest=0.8, to_set=0.6)
                  for file, event in zip(OVERFIT_RUN.files, saved, strict=False))
    write_measures(run, without_held_out(dataclasses.replace(OVERFIT_RUN, files=files)))
    card = card_after_reload(page)
    expect(card).to_contain_text("This is a guess, in tests no better than the last epoch")
    share = page.locator("#tl-panel-train .tl-field[data-key='dataset.validation_split'] input")
    expect(share).to_have_value("0")
    card.locator(".tl-remedy", has_text="Hold out one image in ten next time").get_by_role(
        "button", name="Fill into the form").click()
    expect(share).to_have_value("0.1")
    write_measures(run, dataclasses.replace(OVERFIT_RUN, files=files, features="Image features: measured with dino."))
    card = card_after_reload(page)
    expect(card.locator(".tl-epoch-title")).to_have_text("Epoch 3")
    expect(card).to_contain_text("Samples look like single training images: 75% of them at the end")
    expect(card).to_contain_text("Image features: measured with dino.")
    expect(card.locator("svg[role=img]")).to_contain_text("Samples, by image features")
    assert "like one training image 75 %" in (card.locator("svg[role=img]").get_attribute("aria-label") or "")
    card.locator(".tl-remedy", has_text="Stop after 3 epochs").get_by_role("button", name="Fill into the form").click()
    expect(field(page, "max_train_epochs")).to_have_value("3")
    page.locator("#tl-tab-runs").click()
    card.locator("summary", has_text="Measure").click()
    card.get_by_role("button", name="Measure again").click()
    eventually(page, lambda: [path.name for path in run.parent.glob("*-diagnose-penny")] != [], True)
    assert json.loads((run / STRIP_IMAGES_FILE).read_text())["images"] == []
