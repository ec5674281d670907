"""The axes of the webui's X/Y/Z plot: what they offer, what they do to a prompt, and what they refuse."""

from __future__ import annotations

import copy
import os
import types

import pytest

from lib_lora_train.blocks.presets import DEFAULT_TEXT, parse_presets
from lib_lora_train.host import xyz_axes
from lib_lora_train.host.xyz_axes import BLOCK, EPOCH, PRESET, STRENGTH, TEXT, UNET, WITHOUT, add_axes

PRESETS, _ = parse_presets(DEFAULT_TEXT)


class AxisOption:
    """As the webui's, with which the axes are made."""

    def __init__(self, label, type, apply, format_value=None, confirm=None, cost=0.0, choices=None, prepare=None):
        self.label, self.type, self.apply, self.format_value = label, type, apply, format_value
        self.confirm, self.cost, self.choices, self.prepare = confirm, cost, choices, prepare


class Picture:
    def __init__(self, prompt, hr_prompt=""):
        self.prompt, self.hr_prompt, self.comments = prompt, hr_prompt, []

    def comment(self, text):
        self.comments.append(text)


@pytest.fixture
def networks(tmp_path):
    names = ["old", "old-000001", "single", "penny", "penny-000002", "penny-000010", "penny-step00000500"]
    files = {}
    for age, name in enumerate(names):
        file = tmp_path / f"{name}.safetensors"
        file.touch()
        os.utime(file, (age, age))
        files[name] = types.SimpleNamespace(filename=str(file))
    return types.SimpleNamespace(available_networks=files)


@pytest.fixture
def plot(networks):
    """The built-in script with our axes in it."""
    module = types.SimpleNamespace(AxisOption=AxisOption, axis_options=[AxisOption("Nothing", str, None)])
    other = types.SimpleNamespace(script_class=type("Script", (), {"__module__": "other.py"}), module=None)
    mine = types.SimpleNamespace(script_class=type("Script", (), {"__module__": "xyz_grid.py"}), module=module)
    for _ in range(2):  # as after a reload of the UI that kept the plot
        add_axes([other, mine], networks, lambda: PRESETS)
    return {option.label: option for option in module.axis_options[1:]}, module


def applied(axis, prompt, values, hr_prompt=""):
    """The prompt of each cell of an axis."""
    pictures = []
    for value in values:
        cell = copy.copy(Picture(prompt, hr_prompt))
        axis.apply(cell, axis.type(value), [axis.type(other) for other in values])
        pictures.append(cell)
    return pictures


def test_each_axis_is_there_once_for_txt2img_and_img2img(plot):
    axes, module = plot
    assert list(axes) == [EPOCH, STRENGTH, UNET, TEXT, PRESET, BLOCK]
    assert len(module.axis_options) == 7
    assert all(type(option) is AxisOption for option in module.axis_options)  # subclasses are for one of the two


def test_files_are_changed_less_often_than_prompts_and_prompts_less_than_layers(plot):
    axes, _ = plot
    assert 0.7 > axes[EPOCH].cost > axes[TEXT].cost == axes[STRENGTH].cost > axes[UNET].cost == axes[BLOCK].cost > 0


def test_epochs_are_offered_run_by_run(plot):
    axes, _ = plot
    assert axes[EPOCH].choices() == [WITHOUT, "penny-000002", "penny-000010", "penny-step00000500", "penny",
                                     "old-000001", "old"]


def test_an_epoch_takes_the_place_of_the_one_in_the_prompt(plot):
    axes, _ = plot
    cells = applied(axes[EPOCH], "a <lora:penny:0.8>", [WITHOUT, "penny-000002", "penny"], "b <lora:penny:0.8>")
    assert [cell.prompt for cell in cells] == ["a ", "a <lora:penny-000002:0.8>", "a <lora:penny:0.8>"]
    assert [cell.hr_prompt for cell in cells] == ["b ", "b <lora:penny-000002:0.8>", "b <lora:penny:0.8>"]


def test_strengths_blocks_and_presets_change_the_prompt(plot):
    axes, _ = plot

    def prompts(label, values):
        return [cell.prompt for cell in applied(axes[label], "a <lora:penny:1>", values)]

    assert prompts(STRENGTH, ["0.5"]) == ["a <lora:penny:0.5:0.5>"]
    assert prompts(UNET, ["0.5"]) == ["a <lora:penny:1:0.5>"]
    assert prompts(TEXT, ["0.5"]) == ["a <lora:penny:0.5:1>"]
    assert prompts(PRESET, [WITHOUT, "INS"]) == ["a <lora:penny:1>", "a <lora:penny:1:lbw=INS>"]
    ones = ["1"] * 26
    ones[1] = "0.25"
    assert prompts(BLOCK, ["IN00:0.25"]) == [f"a <lora:penny:1:lbw={','.join(ones)}>"]


def test_without_a_lora_the_picture_is_made_and_says_that_nothing_changed(plot):
    axes, _ = plot
    [cell] = applied(axes[STRENGTH], "a cat", ["0.5"])
    assert cell.prompt == "a cat"
    assert "no <lora:…> in the prompt" in cell.comments[0]


def test_beside_the_picture_without_the_lora_nothing_is_said(plot):
    axes, _ = plot
    cell = Picture("a <lora:penny:1>")
    axes[EPOCH].apply(cell, WITHOUT, [WITHOUT, "penny"])
    axes[STRENGTH].apply(cell, 0.5, [0.5])
    assert (cell.prompt, cell.comments) == ("a ", [])


@pytest.mark.parametrize(("label", "values", "sentence"), [
    (EPOCH, ["penny-000003"], "no LoRA file penny-000003"), (PRESET, ["OUTY"], "no block preset OUTY"),
    (BLOCK, ["IN04"], "'IN04' is not a block with a weight"), (BLOCK, ["IN12:1"], "'IN12:1' is not a block")])
def test_values_that_do_not_exist_are_refused_before_the_first_picture(plot, label, values, sentence):
    axes, _ = plot
    with pytest.raises(RuntimeError, match=sentence):
        axes[label].confirm(Picture("a"), values)


@pytest.mark.parametrize("label", [EPOCH, PRESET, BLOCK])
def test_every_choice_that_is_offered_is_accepted(plot, label):
    axes, _ = plot
    axes[label].confirm(Picture("a"), axes[label].choices())


def test_headings_are_short(plot):
    axes, _ = plot
    headings = [axes[label].format_value(None, axes[label], value) for label, value in (
        (EPOCH, WITHOUT), (EPOCH, "penny-000002"), (UNET, 0.5), (BLOCK, "in04:0.5"), (PRESET, "INS"))]
    assert headings == ["without LoRA", "penny-000002", "UNet strength: 0.5", "IN04 = 0.5", "Block preset: INS"]


def test_a_webui_without_the_plot_is_left_alone(networks):
    add_axes([], networks, lambda: PRESETS)
    assert xyz_axes.epochs_to_choose(networks)[0] == WITHOUT
