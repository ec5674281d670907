"""A LoRA that no run here has made can be tested like one of a run."""

from __future__ import annotations

import shutil

import pytest

from tests.standin.lora_file import write_lora


def test_a_foreign_lora_is_opened_once_and_everything_works_on_it(tab, finished_run, webui_scripts):
    run_id = finished_run(tab)
    loras = tab.services.host.lora_dir
    (loras / "bought").mkdir()
    shutil.copy(loras / "penny.safetensors", loras / "bought" / "elf.safetensors")
    opened = tab.post("lora/test", {"name": "bought/elf"})
    assert opened.status_code == 200, opened.text
    subject = opened.json()["id"]
    assert tab.post("lora/test", {"name": "bought/elf"}).json()["id"] == subject
    assert tab.post("lora/test", {"name": "penny"}).json()["id"] == run_id
    facts = tab.get(f"runs/{subject}/test").json()
    assert [file["name"] for file in facts["files"]] == ["elf"]
    assert tab.get(f"runs/{subject}/blocks", file="elf", preset="OUTX").status_code == 200
    assert tab.post(f"runs/{subject}/test-prompts", {"text": "elf"}).status_code == 200
    assert tab.get(f"runs/{subject}/test").json()["prompts"] == ["elf"]
    plot = tab.post(f"runs/{subject}/plots", {"kind": "strengths", "prompts": ["elf"], "files": ["elf"], "seed": 7,
                                              "columns": ["1"], "row_values": ["1"], "width": 64, "height": 64})
    assert plot.status_code == 200, plot.text
    path = facts["files"][0]["path"]
    assert "<lora:elf:1>" in tab.post(f"runs/{subject}/try", {"path": path}).json()["prompt"]
    summary = next(run for run in tab.get("runs").json() if run["id"] == subject)
    assert (summary["command"], summary["state"], summary["damage"]) == ("test", "finished", "")


@pytest.mark.parametrize("name", ["", "none", "../outside", "/etc/passwd", "x" * 5000, "\0", "broken"])
def test_what_is_no_lora_of_the_folder_is_refused(tab, name):
    write_lora(tab.services.host.lora_dir / "old.safetensors", {})
    (tab.services.host.lora_dir / "broken.safetensors").write_bytes(b"no lora")
    before = len(tab.get("runs").json())
    answer = tab.post("lora/test", {"name": name})
    assert (answer.status_code, len(tab.get("runs").json())) == (400, before)
