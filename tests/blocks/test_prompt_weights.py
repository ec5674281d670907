"""How block weights are written in prompts, and what is said where that cannot be used."""

from __future__ import annotations

import pytest

from lib_lora_train.blocks.names import FULL_SD1, FULL_SDXL, SHORT_SD1, SHORT_SDXL
from lib_lora_train.blocks.presets import DEFAULT_TEXT, parse_presets
from lib_lora_train.blocks.prompt_weights import BlockSpec, read_arguments

PRESETS, WRONG = parse_presets(DEFAULT_TEXT)


def read(prompt: str):
    """``<lora:…>`` as the webui hands it over."""
    return read_arguments(prompt.strip("<>").split(":")[1:], PRESETS)


def weights(prompt: str) -> dict[str, float]:
    spec = read(prompt).spec
    return dict(zip(FULL_SD1, spec.weights, strict=True))


def only(names, value: float, rest: float = 0.0, **others: float) -> dict[str, float]:
    return {name: value if name in names else others.get(name, rest) for name in FULL_SD1}


def test_the_presets_that_come_along_are_all_lists():
    assert WRONG == []
    assert {"INX", "OUTX", "LINX", "LOUTX", "NONE", "ALL", "INS", "IND", "INALL", "MIDD", "OUTD", "OUTS", "OUTALL",
            "ALL0.5"} == set(PRESETS)


OUT17 = [name for name in SHORT_SD1 if name.startswith("OUT")]
IN_SIDE = [name for name in SHORT_SD1 if name.startswith(("IN", "M"))]
OUTX_HALF = only(IN_SIDE, 0.5, BASE=1, **dict.fromkeys(OUT17, 1))
SPELLINGS = [
    ("<lora:penny:1:1:lbw=OUTX:x=0.5>", OUTX_HALF),
    ("<lora:penny:1:1:lwb=OUTX:x=0.5>", OUTX_HALF),
    ("<lora:penny:1:1:w=OUTX:x=0.5>", OUTX_HALF),
    ("<lora:penny:lbw=OUTX:x=0.5>", OUTX_HALF),
    ("<lora:penny:x=0.5:0.8:lbw=OUTX>", OUTX_HALF),
    ("<lora:penny:1:1:lbw=outx:x=.5>", OUTX_HALF),
    ("<lora:penny:1:OUTX:0.5>", OUTX_HALF),
    ("<lora:penny:1:1:OUTX:0.5>", OUTX_HALF),
    ("<lora:penny:1:1:lbw=INX:x=0.5>", only(OUT17, 0.5, BASE=1, **dict.fromkeys(IN_SIDE, 1))),
    ("<lora:penny:1:1:lbw=LINX:x=0.25>", only([n for n in FULL_SD1 if n.startswith("OUT")], 0.25, rest=1)),
    ("<lora:penny:1:1:lbw=LOUTX:x=2>", only([n for n in FULL_SD1 if n.startswith(("IN", "M"))], 2, rest=1)),
    ("<lora:penny:1:lbw=1," + ",".join(["0"] * 16) + ">", only(["BASE"], 1)),
    ("<lora:penny:1:" + ",".join(["0"] * 16 + ["1"]) + ">", only(["OUT11"], 1)),
    ("<lora:penny:1:lbw=" + ",".join(["0.5"] * 12) + ">", only(SHORT_SDXL, 0.5)),
    ("<lora:penny:1:lbw=" + ",".join(["0.5"] * 20) + ">", only(FULL_SDXL, 0.5)),
    ("<lora:penny:1:lbw=" + ",".join(["-0.5"] * 26) + ">", only(FULL_SD1, -0.5)),
    ("<lora:penny:1:lbw=" + ",".join(["0"] * 13 + ["1"] * 12) + ">",  # the guide's long lists have no BASE
     only([n for n in FULL_SD1 if n.startswith("OUT")], 1, BASE=1)),
    ("<lora:penny:1:lbw=" + ",".join(["X+0.5", "x-0.5", *["X"] * 15]) + ":x=0.5>",
     only([n for n in SHORT_SD1 if n not in ("BASE", "IN01")], 0.5, BASE=1)),
]


@pytest.mark.parametrize(("prompt", "expected"), SPELLINGS)
def test_every_spelling_of_the_guide_and_of_lora_block_weight(prompt, expected):
    assert read(prompt).problems == ()
    assert weights(prompt) == pytest.approx(expected)


@pytest.mark.parametrize(("prompt", "plain"), [
    ("<lora:penny:0.8>", None), ("<lora:penny:0.8:0.5:8>", None), ("<lora:penny:te=1:unet=0.5>", None),
    ("<lora:penny:1:OUTX:0.5>", ("penny", "1")), ("<lora:penny:1:0.5:OUTX:0.5:dyn=4>", ("penny", "1", "0.5", "dyn=4")),
    ("<lora:penny:notanumber>", None)])
def test_the_webui_is_handed_what_it_understands(prompt, plain):
    arguments = read(prompt)
    assert (arguments.spec is None) == (plain is None)
    assert arguments.plain == (plain or tuple(prompt.strip("<>").split(":")[1:]))


WRONG_ONES = [
    ("<lora:penny:1:1:lbw=OUTY:x=0.5>", "LoRA penny: There is no block preset 'OUTY'", 1),
    ("<lora:penny:1:lbw=1,0,1>", "It has 3 numbers; there are lists of 17 and 26 for SD 1, 12 and 20 for SDXL.", 1),
    ("<lora:penny:1:lbw=" + ",".join(["1"] * 16 + ["much"]) + ">", "'MUCH' is not a number", 1),
    ("<lora:penny:1:lbw=" + ",".join(["1"] * 16 + ["nan"]) + ">", "'NAN' is not a number", 1),
    ("<lora:penny:1:1:lbw=OUTX>", "no x= says how strong they are, so they are 1. Write lbw=OUTX:x=0.5.", 1),
    ("<lora:penny:1:1:lbw=OUTX:x=half>", "x=half is not a number", 1),
    ("<lora:penny:1:lbw=ALL:step=five>", "step=five is skipped: it is written step=5-15.", 1),
    ("<lora:penny:1:start=soon>", "start=soon is skipped", 1),
    ("<lora:penny:1:step=9-4>", "it has no effect", 1),
    ("<lora:penny:1:lbwe=ATTNDEEPON>", "only sd-webui-lora-block-weight knows it", 1),
]


@pytest.mark.parametrize(("prompt", "sentence", "weight"), WRONG_ONES)
def test_what_cannot_be_used_is_said_and_the_rest_is_used(prompt, sentence, weight):
    [problem] = read(prompt).problems
    assert sentence in problem
    assert {weights(prompt)[name] for name in SHORT_SD1} == {weight}


@pytest.mark.parametrize(("prompt", "steps"), [
    ("<lora:penny:1:start=3>", [3, 4, 5, 6, 7]), ("<lora:penny:1:stop=2>", [0, 1]),
    ("<lora:penny:1:step=2-5>", [2, 3, 4]), ("<lora:penny:1:step=2->", [2, 3, 4, 5, 6, 7]),
    ("<lora:penny:1:step=-2>", [0, 1]), ("<lora:penny:1:start=2:stop=3:lbw=ALL>", [2])])
def test_a_lora_works_from_one_sampling_step_to_another(prompt, steps):
    spec = read(prompt).spec
    assert [step for step in range(8) if spec.works_at(step)] == steps


def test_layers_in_no_block_keep_their_strength():
    assert BlockSpec((0.0,) * 26).of(None) == 1


@pytest.mark.parametrize(("line", "sentence"), [
    ("1,0,1", "begins with a name"), ("MY NAME:" + ",".join(["1"] * 17), "begins with a name"),
    ("SHORT:1,1", "It has 2 numbers"), ("ALL:" + ",".join(["1"] * 17), "is defined twice")])
def test_a_line_that_is_no_preset_is_reported_and_the_others_stay(line, sentence):
    presets, problems = parse_presets(f"{DEFAULT_TEXT}{line}\nLAST:{','.join(['1'] * 26)}\n")
    assert sentence in problems[0] and len(problems) == 1
    assert set(presets) == {*PRESETS, "LAST"}
