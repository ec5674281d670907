"""Advice where a choice is made: folders with settings of their own, augmentation on one's pictures, a goal."""

from __future__ import annotations

import pytest
from PIL import Image
from playwright.sync_api import expect

from .conftest import field, fill_in, wait_for_state


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


def test_each_folder_has_its_own_repeats_kept_tags_and_mirroring(page, concepts):
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


def test_augmentation_is_shown_on_ones_own_pictures_before_it_is_switched_on(page, concepts):
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


def test_a_face_crop_says_what_is_missing_or_that_there_is_no_face(page, concepts):
    fill_in(page, concepts)
    augmentation = strip(page, "face_crop_aug_range")
    augmentation.get_by_role("button", name="Show on my images").click()
    note = augmentation.locator(".tl-note")
    note.filter(has_text="face").wait_for()
    assert "No face was detected" in note.inner_text() or "OpenCV" in note.inner_text()


def test_a_goal_fills_the_form_with_reasons_and_can_be_taken_back(webui, open_tab, concepts):
    page = open_tab(webui)
    fill_in(page, concepts)
    page.locator(".tl-total").wait_for()
    field(page, "network_dim").fill("7")
    goal, plan = page.locator("#tl_goal"), page.locator("#tl_goal .tl-why")
    goal.get_by_label("How hard is it to learn?").select_option("F")
    goal.get_by_text("Likeness").click()
    goal.get_by_role("button", name="Make a plan").click()
    expect(field(page, "network_dim")).to_have_value("64")  # 6 images: few
    expect(field(page, "network_alpha")).to_have_value("1")
    plan.get_by_text("1 of which you or a preset had set").wait_for()
    plan.get_by_text("Balance the concepts with repeats").wait_for()
    note = page.locator('.tl-field[data-key="network.network_dim"] .tl-field-note')
    expect(note).to_contain_text("Planned: With poor or few images 64 at most")
    plan.get_by_text("Why these settings").click()
    plan.get_by_text("Instead of: Category F needs ranks from 64 to 128").wait_for()
    plan.get_by_role("button", name="Keep mine").click()
    expect(field(page, "network_dim")).to_have_value("7")
    page.locator(".tl-hint", has_text="Network dim (rank) of 7 is low for category F").wait_for()
    plan.get_by_text("One step up or down").click()
    plan.locator("tr", has_text="Rank 96").get_by_role("button").click()
    expect(field(page, "network_dim")).to_have_value("96")
    plan.get_by_role("button", name="Undo").click()
    expect(field(page, "network_dim")).to_have_value("7")
    expect(field(page, "network_alpha")).to_have_value("16")
    expect(note).not_to_contain_text("Planned")


def test_a_test_bake_is_a_run_of_its_own_and_improves_the_next_plan(webui, open_tab, concepts):
    page = open_tab(webui)
    fill_in(page, concepts, output_name="bake")
    page.locator("#tl_goal").get_by_role("button", name="Bake a test first").click()
    page.locator(".tl-toast", has_text="bake-test").first.wait_for()
    wait_for_state(page, "Finished")
    expect(field(page, "output_name")).to_have_value("bake")
    page.locator("#tl_goal").get_by_role("button", name="Make a plan").click()
    page.locator("#tl_goal .tl-hint", has_text="The plan uses the test bake bake-test").wait_for()
