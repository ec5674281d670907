"""Pictures from before and after a tool, drawn by the stand-in webui."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.standin.checkpoint_file import SD1, write_header
from tests.standin.lora_file import write_lora
from tests.ui.conftest import painted, wait_until
from tests.ui.test_nonsense import NONSENSE
from tests.ui.tools.test_tools import start

FORM = {"seed": 7, "width": 64, "height": 64, "steps": 1}


@pytest.fixture
def done(tab, webui_scripts):
    """Runs a tool; its run."""
    for name in ("a", "below/b"):
        write_lora(tab.services.host.lora_dir / f"{name}.safetensors", {})

    def run(command, **job):
        run_id = start(tab, command, output_name="new", **job)
        tab.wait_for(run_id, "finished")
        return run_id

    return run


def draw(tab, run, prompt="a cat"):
    answer = tab.post(f"tools/runs/{run}/pictures", {"prompt": prompt, "txt2img": FORM})
    assert answer.status_code == 200, answer.text
    return wait_until(lambda: (facts := tab.get(f"tools/runs/{run}/pictures").json())["drawing"] is None and facts)


def colours(tab, run, facts):
    found = []
    for shot in facts["pictures"]:
        assert tab.get(f"runs/{run}/file", path=shot["path"]).status_code == 200
        with Image.open(tab.services.runs_dir / run / shot["path"]) as picture:
            found.append(picture.convert("RGB").getpixel((0, 0)))
    return found


def test_before_and_after_a_resize(tab, done):
    run = done("resize", lora="below/b", network_dim=2)
    assert tab.get(f"tools/runs/{run}/pictures").json()["possible"]
    facts = draw(tab, run)
    assert [shot["heading"] for shot in facts["pictures"]] == ["Before", "After"]
    before, after = (painted(f"a cat <lora:{name}:1>", 7, "mini.safetensors") for name in ("b", "new"))
    assert colours(tab, run, facts) == [before, after]
    assert facts["difference"] == pytest.approx(sum(abs(x - y) for x, y in zip(before, after, strict=True)) / 3)
    assert (facts["state"], facts["error"]) == ("finished", "")


def test_loras_with_their_strengths_beside_the_one_made_of_them(tab, done):
    run = done("mix", loras=["a", "below/b"], strengths=["0.8", "te=0.5:unet=1"])
    facts = draw(tab, run)
    assert colours(tab, run, facts) == [painted(f"a cat {tags}", 7, "mini.safetensors") for tags in (
        "<lora:a:0.8> <lora:b:te=0.5:unet=1>", "<lora:new:1>")]


def test_tuned_base_and_base_with_the_lora(make_tab, tmp_path, webui_scripts):
    folder = tmp_path / "data" / "models" / "Stable-diffusion"
    folder.mkdir(parents=True)
    checkpoints = (folder / "mini.safetensors", folder / "tuned.safetensors")
    for path in checkpoints:
        write_header(path, SD1, whole=True)
    tab = make_tab(checkpoints=checkpoints)
    run = start(tab, "extract", org=str(checkpoints[0]), tuned=str(checkpoints[1]), network_dim=4, output_name="new")
    tab.wait_for(run, "finished")
    facts = draw(tab, run)
    assert [shot["heading"] for shot in facts["pictures"]] == ["Tuned checkpoint", "Base", "Base with the LoRA"]
    drawn = (("a cat", "tuned"), ("a cat", "mini"), ("a cat <lora:new:1>", "mini"))
    assert colours(tab, run, facts) == [painted(prompt, 7, f"{name}.safetensors") for prompt, name in drawn]


def test_what_cannot_be_drawn_is_a_sentence(tab, done):
    run = done("resize", lora="a", network_dim=2)
    assert "Write a prompt" in tab.post(f"tools/runs/{run}/pictures", {"prompt": " "}).json()["error"]
    (tab.services.host.lora_dir / "new.safetensors").unlink()
    assert "no file to draw with" in tab.post(f"tools/runs/{run}/pictures", {"prompt": "x"}).json()["error"]
    curve = start(tab, "resize", lora="a", only_curve=True)
    tab.wait_for(curve, "finished")
    assert not tab.get(f"tools/runs/{curve}/pictures").json()["possible"]
    assert "no file to draw with" in tab.post(f"tools/runs/{curve}/pictures", {"prompt": "x"}).json()["error"]


@pytest.mark.parametrize("content", ["", "[]", "{}", "{\"pictures\": [3]}", "\0"])
def test_a_damaged_list_of_pictures(tab, done, content):
    run = done("resize", lora="a", network_dim=2)
    folder = tab.services.runs_dir / run / "pictures"
    folder.mkdir()
    (folder / "pictures.json").write_text(content)
    facts = tab.get(f"tools/runs/{run}/pictures").json()
    assert facts["state"] == "failed" and "cannot be read" in facts["error"]
    assert draw(tab, run)["state"] == "finished"


def test_nonsense_is_no_server_error(tab, done):
    run = done("resize", lora="a", network_dim=2)
    for value in NONSENSE:
        for body in ({"prompt": value}, {"prompt": "x", "txt2img": value}, {"prompt": "x", "txt2img": {"seed": value}}):
            assert tab.post(f"tools/runs/{run}/pictures", body).status_code < 500, body
