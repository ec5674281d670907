"""The Test tab shows, plots, bakes and hands on the blocks that are in the file, whatever its family."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_lora_train.blocks.names import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL
from tests.standin.worker import lora_bytes

from .test_plots import ask, draw, tested

__all__ = ["tested"]

XL = {"BASE": "lora_te1_text_model_encoder_layers_0_mlp_fc1", "IN00": "lora_unet_input_blocks_0_0",
      "M00": "lora_unet_middle_block_1_proj_in",
      **{f"IN{n:02d}": f"lora_unet_input_blocks_{n}_{'1_proj_in' if n in (4, 5, 7, 8) else '0_in_layers_2'}"
         for n in range(1, 9)},
      **{f"OUT{n:02d}": f"lora_unet_output_blocks_{n}_{'1_proj_in' if n < 6 else '0_in_layers_2'}" for n in range(9)}}
SD1 = {"BASE": "lora_te_text_model_encoder_layers_0_mlp_fc1", "IN00": "lora_unet_conv_in",
       "M00": "lora_unet_mid_block_attentions_0_proj_in",
       **{f"IN{n:02d}": f"lora_unet_down_blocks_{(n - 1) // 3}_" + (
           "downsamplers_0_conv" if n % 3 == 0 else f"resnets_{(n - 1) % 3}_conv1" if n > 9 else
           f"attentions_{(n - 1) % 3}_proj_in") for n in range(1, 12)},
       **{f"OUT{n:02d}": f"lora_unet_up_blocks_{n // 3}_{'resnets' if n < 3 else 'attentions'}_{n % 3}_" + (
           "conv1" if n < 3 else "proj_in") for n in range(12)}}
FILES = {"sd1 lierla": (SD1, SHORT_SD1), "sd1 locon": (SD1, FULL_SD1), "sdxl lierla": (XL, SHORT_SDXL),
         "sdxl locon": (XL, FULL_SDXL), "ssd lierla": (XL, tuple(name for name in SHORT_SDXL if name != "M00")),
         "unet only": (XL, SHORT_SDXL[1:])}
LISTED = {"sd1 lierla": SHORT_SD1, "sd1 locon": FULL_SD1, "sdxl locon": FULL_SDXL}


@pytest.fixture(params=FILES)
def with_file(request, tested):
    """The tab with a run whose last file is of some family; its blocks, and the family's list for it."""
    keys, names = FILES[request.param]
    saved = tested.get(f"runs/{tested.run}/test").json()["files"][-1]
    Path(saved["path"]).write_bytes(lora_bytes([keys[name] for name in names], {}))
    return tested, list(names), LISTED.get(request.param, SHORT_SDXL)


def test_the_blocks_of_the_file_are_shown_plotted_and_handed_on(with_file):
    tab, names, listed = with_file
    assert tab.get(f"runs/{tab.run}/test").json()["files"][-1]["blocks"] == names
    shown = tab.get(f"runs/{tab.run}/blocks", file="penny").json()
    assert (shown["blocks"], shown["weights"]) == (names, dict.fromkeys(names, 1.0))
    lists = tab.post(f"runs/{tab.run}/blocks", {"file": "penny", "weights": shown["weights"]}).json()
    assert lists["list"] == ",".join(["1"] * len(listed))
    weights = shown["weights"] | {names[-1]: -0.25, names[-2]: 1.5}
    lists = tab.post(f"runs/{tab.run}/blocks", {"file": "penny", "weights": weights}).json()
    assert lists["list"] == ",".join(f"{weights.get(name, 1):g}" for name in listed)
    assert lists["train"] == ",".join(f"{max(0, weights.get(name, 0)):g}" for name in listed)
    assert f"{names[-1]}: a block cannot be trained backwards" in lists["sentences"][0]
    assert f"{names[-2]} at 1.5 times the rate" in lists["sentences"][1]
    plot = draw(tab, kind="blocks", files=["penny"], prompts=["penny"])
    assert plot["columns"]["headings"] == ["All blocks", *(f"Without {name}" for name in names)]
    assert len(plot["cells"]) == 1 + len(names) and plot["state"] == "finished"


@pytest.mark.parametrize("preset", ["ALL", "OUTX", "INALL", "OUTS"])
def test_a_preset_weights_every_block_of_the_file(with_file, preset):
    tab, names, _ = with_file
    weights = tab.get(f"runs/{tab.run}/blocks", file="penny", preset=preset, x=1).json()["weights"]
    assert list(weights) == names
    if preset in ("ALL", "OUTX"):
        assert set(weights.values()) == {1.0}
    else:
        on, off = ("IN", "OUT") if preset == "INALL" else ("OUT", "IN")
        assert {value for name, value in weights.items() if name.startswith(off)} == {0}
        assert any(value for name, value in weights.items() if name.startswith(on))


@pytest.mark.parametrize("count", [12, 17, 20, 26])
def test_a_list_of_any_family_can_be_baked(with_file, count):
    tab, _, _ = with_file
    answer = tab.post(f"runs/{tab.run}/bake", {"file": "penny", "blocks": ",".join(["1"] * count)})
    assert answer.status_code == 200, answer.text


def test_blocks_that_the_file_does_not_have_are_refused_with_those_it_has(tested):
    answer = ask(tested, kind="blocks", files=["penny"], columns=["IN00"], prompts=["penny"])
    assert answer.status_code == 400 and "penny has no block IN00. It has BASE, IN01" in answer.json()["error"]
    wrong = tested.post(f"runs/{tested.run}/bake", {"file": "penny", "blocks": "1,1,1"})
    assert wrong.status_code == 400 and "It has 3 numbers" in wrong.json()["error"]
    assert "penny.safetensors has the blocks BASE, IN01" in wrong.json()["error"]


@pytest.mark.parametrize("content", [b"", b"no file at all"])
def test_a_file_whose_blocks_cannot_be_read_is_named(tested, content):
    path = Path(tested.get(f"runs/{tested.run}/test").json()["files"][-1]["path"])
    path.write_bytes(content)
    assert tested.get(f"runs/{tested.run}/test").json()["files"][-1]["blocks"] == []
    for answer in (tested.get(f"runs/{tested.run}/blocks", file="penny"), ask(tested, kind="blocks", files=["penny"]),
                   tested.post(f"runs/{tested.run}/bake", {"file": "penny", "blocks": ",".join(["1"] * 17)})):
        assert answer.status_code == 400 and "The blocks of penny.safetensors cannot be read" in answer.json()["error"]


def test_a_file_without_blocks_and_an_unknown_preset_are_said(tested):
    assert "no block preset 'OUTY'" in tested.get(f"runs/{tested.run}/blocks", file="penny",
                                                  preset="OUTY").json()["error"]
    path = Path(tested.get(f"runs/{tested.run}/test").json()["files"][-1]["path"])
    path.write_bytes(lora_bytes(["lora_unet_time_embedding_linear_1"], {}))
    assert "nothing to weight" in tested.get(f"runs/{tested.run}/blocks", file="penny").json()["error"]


def test_the_plots_axis_takes_the_blocks_of_the_prompts_file(with_file):
    import networks
    from modules import scripts

    from lib_lora_train.host.interface import BLOCK

    _, names, listed = with_file
    networks.list_available_networks()
    options = scripts.scripts_txt2img.selectable_scripts[0].current_axis_options
    axis = next(option for option in options if option.label == BLOCK)

    class Picture:
        prompt, hr_prompt = "a <lora:penny:1>", "b <lora:penny:1>"

        def comment(self, text):
            raise AssertionError(text)

    p = Picture()
    axis.confirm(p, [f"{name}:0" for name in names])
    missing = next(name for name in (*FULL_SD1[::-1], "BASE") if name not in names) if len(names) < 26 else None
    if missing:
        with pytest.raises(RuntimeError, match=f"penny has no block {missing}. It has {names[0]}"):
            axis.confirm(p, [f"{missing}:0"])
    axis.apply(p, f"{names[-1]}:0.5", [])
    wanted = ",".join("0.5" if name == names[-1] else "1" for name in listed)
    assert (p.prompt, p.hr_prompt) == (f"a <lora:penny:1:lbw={wanted}>", f"b <lora:penny:1:lbw={wanted}>")
    networks.loaded_networks.clear()
    assert axis.choices() == [f"{name}:0" for name in SHORT_SD1]
