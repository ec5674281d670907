"""Settings of other programs in the page: the text, the report, the form, undo; export; presets of one's own."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from .conftest import evaluates, field, fill_in, ready

SCRIPT = """$rank = 24 # a comment
accelerate launch --num_cpu_threads_per_process 8 `
  --network_module=networks.lora --network_dim=$rank --network_alpha=8 `
  --pretrained_model_name_or_path="D:\\gone.ckpt" --resolution=512 --xformers --sparkle `
  --max_train_epochs=6 --learning_rate=1e-4 --optimizer_type=AdamW8bit
"""


def form_value(key):
    return f'TrainLora.form.get("{key}")'


def test_a_script_is_read_reported_used_and_undone(page, pictures):
    fill_in(page, pictures, network_dim="48")
    ready(page)
    page.locator("#tl_import_open").click()
    page.locator("#tl_import_text").fill(SCRIPT)
    page.locator("#tl_import_read").click()
    expect(page.locator("#tl_import_summary")).to_contain_text("PowerShell")
    titles = page.locator(".tl-report-title")
    expect(titles).to_have_count(4)
    expect(page.locator('.tl-report tr[data-answer="not known"]')).to_contain_text("--sparkle")
    expect(page.locator('.tl-report tr[data-answer="changed"]', has_text="gone.ckpt")).to_have_count(1)
    expect(page.locator(".tl-report tr", has_text="min_snr_gamma")).to_contain_text("left out")
    evaluates(page, form_value("network.network_dim"), 48)
    page.locator("#tl_import_use").click()
    expect(page.locator("#tl_import")).to_have_count(0)
    evaluates(page, form_value("network.network_dim"), 24)
    evaluates(page, form_value("loss.min_snr_gamma"), None)
    evaluates(page, form_value("save.output_name"), "penny")
    evaluates(page, form_value("dataset.train_data_dir"), str(pictures))
    page.locator(".tl-why").get_by_role("button", name="Undo").click()
    evaluates(page, form_value("network.network_dim"), 48)
    evaluates(page, form_value("loss.min_snr_gamma"), 5)


UNREADABLE = [("settings.toml", b"network_dim = = 8\n", "line 1"), ("picture.toml", bytes(range(256)), "not a text"),
              ("penny.safetensors", b"\x05", "damaged"),
              ("diary.txt", b"hello", "format of these settings is unknown")]


def test_a_file_that_cannot_be_read_is_a_sentence_in_the_window(page):
    page.locator("#tl_import_open").click()
    for name, content, words in UNREADABLE:
        page.locator("#tl_import_file").set_input_files({"name": name, "mimeType": "", "buffer": content})
        expect(page.locator("#tl_import_problem")).to_contain_text(words)


def test_a_configuration_and_its_dataset_configuration_together(page):
    config = b"network_dim = 12\nlearning_rate = 0.0003\nmax_train_epochs = 3\n"
    dataset = '[[datasets]]\nresolution = 640\n[[datasets.subsets]]\nimage_dir = "/nowhere"\nkeep_tokens = 2\n'
    page.locator("#tl_import_open").click()
    page.locator("#tl_import_file").set_input_files([
        {"name": "data.toml", "mimeType": "", "buffer": b"\xff\xfe" + dataset.encode("utf-16-le")},
        {"name": "config.toml", "mimeType": "", "buffer": config}])
    expect(page.locator("#tl_import_summary")).to_contain_text("with data.toml")
    page.locator("#tl_import").get_by_role("button", name="Back").click()
    expect(page.locator("#tl_import textarea")).to_have_count(2)
    page.locator("#tl_import textarea").nth(1).fill("")
    page.locator("#tl_import_more").click()
    page.locator("#tl_import textarea").nth(2).fill(config.decode().replace("12", "20"))
    page.locator("#tl_import_read").click()
    page.locator("#tl_import_use").click()
    evaluates(page, form_value("network.network_dim"), 20)
    evaluates(page, form_value("dataset.resolution"), "640")
    evaluates(page, form_value("dataset.keep_tokens"), 2)


def test_the_file_of_a_lora_and_one_that_windows_saved(page):
    metadata = {"ss_network_dim": "48", "ss_network_alpha": "24", "ss_num_epochs": "3"}
    header = json.dumps({"__metadata__": metadata}).encode()
    page.locator("#tl_import_open").click()
    page.locator("#tl_import_file").set_input_files(
        {"name": "penny.safetensors", "mimeType": "", "buffer": len(header).to_bytes(8, "little") + header})
    expect(page.locator("#tl_import_summary")).to_contain_text("metadata of a LoRA file")
    page.get_by_role("button", name="Back").click()
    page.locator("#tl_import_file").set_input_files(
        {"name": "train.ps1", "mimeType": "", "buffer": SCRIPT.encode("utf-16")})
    expect(page.locator("#tl_import_summary")).to_contain_text("PowerShell")


def test_the_form_is_exported_in_every_format(page, pictures):
    fill_in(page, pictures, network_dim="48")
    ready(page)
    page.locator("#tl_export_open").click()
    text = page.locator("#tl_export_text")
    expect(text).to_have_value(_holds("--network_dim=48"))
    page.locator("#tl_export_format").select_option("toml")
    expect(text).to_have_value(_holds("network_dim = 48"))
    with page.expect_download() as download:
        page.locator("#tl_export").get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "penny.toml"


def test_the_dataset_configuration_is_a_second_text(page, pictures):
    fill_in(page, pictures)
    ready(page)
    page.locator("#tl_export_open").click()
    window = page.locator("#tl_export")
    expect(page.locator("#tl_export_text")).to_have_value(_holds("--dataset_config=penny_dataset.toml"))
    expect(window.get_by_role("textbox", name="penny_dataset.toml")).to_have_value(_holds("image_dir = "))
    with page.expect_download() as download:
        window.get_by_role("button", name="Save penny_dataset.toml").click()
    assert download.value.suggested_filename == "penny_dataset.toml"
    page.locator("#tl_export_format").select_option("yaml")
    expect(window.get_by_role("textbox", name="penny_dataset.toml")).to_have_count(0)


def test_a_preset_is_kept_used_renamed_and_deleted(page, pictures):
    fill_in(page, pictures, network_dim="48")
    ready(page)
    page.locator("#tl_preset_open").click()
    page.locator("#tl_preset_name").fill("My style")
    page.locator("#tl_preset_save").click()
    own = page.locator("#tl_own_presets")
    expect(own).to_contain_text("My style")
    field(page, "network_dim").fill("7")
    own.get_by_role("button", name="My style").click()
    evaluates(page, form_value("network.network_dim"), 48)
    evaluates(page, form_value("dataset.train_data_dir"), str(pictures))
    page.locator("#tl_presets_manage").click()
    window = page.locator("#tl_presets_own")
    window.get_by_role("textbox", name="Name of My style").fill("Ink")
    window.get_by_role("button", name="Rename").click()
    expect(own).to_contain_text("Ink")
    with page.expect_download() as download:
        window.get_by_role("button", name="Save as a file").click()
    assert download.value.suggested_filename == "Ink.yaml"
    window.get_by_role("button", name="Delete", exact=True).click()
    window.get_by_role("button", name="Delete permanently").click()
    expect(own).to_be_hidden()


def _holds(words):
    return re.compile(f"[\\s\\S]*{re.escape(words)}[\\s\\S]*")
