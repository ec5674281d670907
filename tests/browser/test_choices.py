"""Advice where a choice is made: folders with settings of their own, augmentation on one's pictures, difficulty."""

from __future__ import annotations

import pytest
from PIL import Image
from playwright.sync_api import expect

from .conftest import field, fill_in


@pytest.fixture
def concepts(tmp_path):
    """Two folders of pictures that are not the same on both sides."""
    for name, count in (("1_fox", 4), ("10_penny", 2)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(count):
            picture = Image.new("RGB", (96, 96), (200, 30 * number, 40))
            picture.paste((20, 200, 90), (0, 0, 30, 96))
            picture.save(tmp_path / "set" / name / f"{number}.png")
            (tmp_path / "set" / name / f"{number}.txt").write_text("penny, red", encoding="utf-8")
    return tmp_path / "set"


def test_each_folder_has_its_own_repeats_kept_tags_and_mirroring(webui, open_tab, concepts):
    page = open_tab(webui)
    fill_in(page, concepts)
    total = page.locator(".tl-total")
    total.filter(has_text="24 images with repeats").wait_for()  # 4 x 1 + 2 x 10
    repeats = page.get_by_role("textbox", name="Repeats of fox")
    expect(repeats).to_have_attribute("placeholder", "1")
    repeats.fill("5")
    repeats.press("Tab")
    total.filter(has_text="40 images with repeats").wait_for()
    expect(page.get_by_role("textbox", name="Keep tokens of fox")).to_be_focused()
    page.get_by_role("textbox", name="Keep tokens of penny").fill("2")
    page.get_by_label("Flip images of fox").select_option("yes")
    page.wait_for_function("""() => JSON.stringify(TrainLora.form.get("dataset.concept_settings")) === JSON.stringify(
        ["1_fox: dataset_repeats=5 flip_aug=true", "10_penny: keep_tokens=2"])""")
    page.get_by_role("textbox", name="Repeats of fox").fill("no number")
    page.get_by_role("textbox", name="Repeats of fox").press("Tab")
    page.locator("#tl_plan .tl-finding", has_text="whole number from 1 to 10000").wait_for()
    page.get_by_role("textbox", name="Repeats of fox").fill("")
    page.get_by_role("textbox", name="Repeats of fox").press("Tab")
    total.filter(has_text="24 images with repeats").wait_for()


def strip(page, key):
    field(page, key)  # unfolds the settings
    return page.locator(f'.tl-field[data-key="dataset.{key}"] .tl-augment')


def test_augmentation_is_shown_on_ones_own_pictures_before_it_is_switched_on(webui, open_tab, concepts):
    page = open_tab(webui)
    fill_in(page, concepts)
    for key, pictures in (("flip_aug", 2), ("color_aug", 2)):
        augmentation = strip(page, key)
        augmentation.get_by_role("button", name="Show on my images").click()
        augmentation.locator("img").nth(pictures - 1).wait_for()
        augmentation.get_by_role("button", name="Another image").click()
        augmentation.get_by_role("button", name="Hide").click()
        expect(augmentation.locator("img").first).to_be_hidden()
    augmentation = strip(page, "flip_aug")
    augmentation.get_by_role("button", name="Show on my images").click()
    augmentation.locator(".tl-note", has_text="Both versions are cached").wait_for()
    expect(augmentation.locator("img")).to_have_count(2)
    augmentation = strip(page, "color_aug")
    augmentation.get_by_role("button", name="Show on my images").click()
    augmentation.locator(".tl-note", has_text="cannot be cached").wait_for()
    expect(field(page, "flip_aug")).not_to_be_checked()


def test_a_face_crop_says_what_is_missing_or_that_there_is_no_face(webui, open_tab, concepts):
    page = open_tab(webui)
    fill_in(page, concepts)
    augmentation = strip(page, "face_crop_aug_range")
    augmentation.get_by_role("button", name="Show on my images").click()
    note = augmentation.locator(".tl-note")
    note.filter(has_text="face").wait_for()
    assert "No face was detected" in note.inner_text() or "OpenCV" in note.inner_text()


def test_how_hard_it_is_to_learn_sets_rank_and_length_and_can_be_taken_back(webui, open_tab, concepts):
    page = open_tab(webui)
    fill_in(page, concepts)
    page.locator(".tl-total").wait_for()
    page.get_by_label("How hard is it to learn?").select_option("F")
    expect(field(page, "network_dim")).to_have_value("96")
    expect(field(page, "network_alpha")).to_have_value("48")
    expect(field(page, "max_train_epochs")).to_have_value("63")  # 1500 images seen of 24
    expect(field(page, "save_every_n_epochs")).to_have_value("6")
    page.locator(".tl-difficulty .tl-why", has_text="64 to 128 is enough").wait_for()
    field(page, "network_dim").fill("16")
    field(page, "network_alpha").fill("16")
    page.locator(".tl-hint", has_text="Network dim (rank) of 16 is low for category F").wait_for()
    page.locator(".tl-difficulty").get_by_role("button", name="Undo").click()
    expect(field(page, "network_dim")).to_have_value("32")
    expect(page.get_by_label("How hard is it to learn?")).to_have_value("")
