"""Changing the call of a LoRA in a prompt."""

from __future__ import annotations

import pytest

from lib_lora_train.blocks.lora_tag import epoch_order, family_of, with_block, with_blocks, with_file, with_strength
from lib_lora_train.blocks.presets import DEFAULT_TEXT, parse_presets

PRESETS, _ = parse_presets(DEFAULT_TEXT)


@pytest.mark.parametrize(("name", "family"), [
    ("penny", "penny"), ("penny-000004", "penny"), ("penny-step00001000", "penny"), ("penny-v2", "penny-v2"),
    ("penny-v2-000004", "penny-v2"), ("penny-0004", "penny-0004")])
def test_the_files_of_a_run_share_a_name(name, family):
    assert family_of(name) == family


def test_files_are_in_the_order_they_were_made():
    names = ["penny", "penny-000010", "penny-step00000500", "penny-000002"]
    assert sorted(names, key=epoch_order) == ["penny-000002", "penny-000010", "penny-step00000500", "penny"]


@pytest.mark.parametrize(("prompt", "name", "expected"), [
    ("a, <lora:penny:0.7:lbw=OUTX:x=1>, b", "penny-000002", "a, <lora:penny-000002:0.7:lbw=OUTX:x=1>, b"),
    ("<lora:style:1> a <lora:penny-000001:1>", "penny", "<lora:style:1> a <lora:penny:1>"),
    ("a, <lora:penny:0.7>, b", None, "a, , b"),
    ("a <lora:style:1>", "penny", "a <lora:style:1> <lora:penny:1>"),
    ("a <lora:style:1>", None, "a <lora:style:1>")])
def test_another_epoch_takes_the_place_of_the_one_that_is_called(prompt, name, expected):
    assert with_file(prompt, {"penny"}, name) == expected


@pytest.mark.parametrize(("prompt", "unet", "text", "expected"), [
    ("a <lora:penny:0.7> b", 0.5, 0.5, "a <lora:penny:0.5:0.5> b"),
    ("<lora:penny:0.7>", 0.5, None, "<lora:penny:0.7:0.5>"),
    ("<lora:penny:0.7>", None, 2, "<lora:penny:2:0.7>"),
    ("<lora:penny>", None, 0.25, "<lora:penny:0.25:1>"),
    ("<lora:penny:te=0.3:unet=0.6:lbw=OUTX:x=0.5>", 1, None, "<lora:penny:0.3:1:lbw=OUTX:x=0.5>"),
    ("<lora:penny:1:0.5:8>", 2, None, "<lora:penny:1:2:dyn=8>"),
    ("<lora:penny:1:OUTX:0.5>", 2, None, "<lora:penny:1:2:OUTX:0.5>"),
    ("<lora:penny:1> <lora:style:1>", 0, 0, "<lora:penny:0:0> <lora:style:1>")])
def test_strengths_of_the_first_lora(prompt, unet, text, expected):
    assert with_strength(prompt, unet, text) == expected


@pytest.mark.parametrize(("prompt", "blocks", "expected"), [
    ("<lora:penny:0.7> a", "INS", "<lora:penny:0.7:lbw=INS> a"),
    ("<lora:penny:0.7:lwb=OUTX:x=0.5>", "INX", "<lora:penny:0.7:x=0.5:lbw=INX>"),
    ("<lora:penny:0.7:lbw=OUTX:x=0.5>", "", "<lora:penny:0.7:x=0.5>"),
    ("<lora:penny>", "INS", "<lora:penny:1:lbw=INS>")])
def test_other_blocks_for_the_first_lora(prompt, blocks, expected):
    assert with_blocks(prompt, blocks) == expected


def test_one_block_is_changed_and_the_others_keep_what_they_have():
    ones = ["1"] * 26
    ones[5] = "0.5"  # IN04
    assert with_block("<lora:penny:0.7>", "IN04", 0.5, PRESETS) == f"<lora:penny:0.7:lbw={','.join(ones)}>"
    again = with_block("<lora:penny:0.7:lbw=LOUTX:x=0.5:step=2-5>", "IN04", 0, PRESETS)
    halves = ["1", *["0.5"] * 13, *["1"] * 12]
    halves[5] = "0"
    assert again == f"<lora:penny:0.7:step=2-5:lbw={','.join(halves)}>"
