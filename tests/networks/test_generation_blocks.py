"""Block weights at generation: what layers hold is base + Σ strength · weight of the block · change."""

from __future__ import annotations

import types

import pytest
import torch

from lib_lora_train.blocks.names import FULL_SD1, LISTS, block_of
from lib_lora_train.host.block_weights import STANDS_DOWN, BlockWeights, layer_strength

from .lora_extension import KINDS, Extension, ExtraNetworkParams, Layer, Network, NetworkModule, changes


def shapes_of(text, blocks, places):
    """A layer for each of ``blocks``; where the webui has attention for the family: in which blocks, down and up."""
    inner, outer = ([f"diffusion_model_{side}_blocks_{n}_{'1_proj_in' if n in with_attention else '0_in_layers_2'}"
                     for n in range(blocks)] for side, with_attention in zip(("input", "output"), places, strict=True))
    layers = [text, "diffusion_model_time_embed_0", *inner, "diffusion_model_middle_block_1_proj_in", *outer]
    return {name: (6, 4) if name == text else (4, 2, 3, 3) if name.endswith("in_layers_2") else (4, 4)
            for name in layers}


SD1 = shapes_of("transformer_text_model_encoder_layers_0_mlp_fc1", 12, ((1, 2, 4, 5, 7, 8), range(3, 12)))
SDXL = shapes_of("1_model_transformer_resblocks_0_mlp_c_fc", 9, ((4, 5, 7, 8), range(6)))
FAMILY_OF = {12: SDXL, 20: SDXL, 17: SD1, 26: SD1}


class Picture:
    """What the webui's ``p`` has of what is used."""

    def __init__(self, scripts=None, script_args=()):
        self.scripts, self.script_args = scripts, list(script_args)
        self.extra_generation_params, self.comments = {}, []

    def comment(self, text):
        self.comments.append(text)


class Webui:
    """Layers and networks, with block weights put in as in the webui."""

    def __init__(self, presets_file, kinds, shapes):
        generator = torch.Generator().manual_seed(7)
        self.layers = {name: Layer(name, torch.randn(shape, generator=generator)) for name, shape in shapes.items()}
        self.networks = []
        for number, kind in enumerate(kinds):
            network = Network(f"{kind}{number}")
            for name, shape in shapes.items():
                bias = torch.randn(shape[0], generator=generator) if kind == "full" else None
                network.modules[name] = NetworkModule(network, name, changes(kind, shape, generator), bias)
            self.networks.append(network)
        self.extension = Extension(self.networks)
        self.hook = BlockWeights(self.extension.networks, presets_file)

    def activate(self, *prompts, picture=None):
        p = picture or Picture()
        parameters = [ExtraNetworkParams(prompt.strip("<>").split(":")[1:]) for prompt in prompts]
        self.hook.activate(lambda _, p, given: self.extension.activate(p, given), self.extension, p, parameters)
        p.parameters = parameters
        return p

    def draw(self):
        """Every layer runs once; how many of them were changed for it."""
        return sum(layer.forward(self.extension.networks.loaded_networks) for layer in self.layers.values())

    def expected(self, layer, *strengths):
        """base + Σ strength · weight · change, each change that of the weight it is added to. In float64."""
        weight, bias = layer.base.double(), layer.base_bias.double()
        for network, (text, unet, weights) in zip(self.networks, strengths, strict=True):
            block = block_of(layer.name)
            factor = (text if block == "BASE" else unet) * (1.0 if block is None else weights[block])
            module = network.modules[layer.name]
            weight = weight + factor * module.change(weight.float()).double()
            if module.bias_change is not None:
                bias = bias + factor * module.bias_change.double()
        return weight, bias

    def check(self, *strengths):
        for layer in self.layers.values():
            weight, bias = self.expected(layer, *strengths)
            assert (layer.weight - weight).abs().max() < 1e-5
            assert (layer.bias - bias).abs().max() < 1e-5

    def check_base(self):
        assert all(torch.equal(layer.weight, layer.base) and torch.equal(layer.bias, layer.base_bias)
                   for layer in self.layers.values())


@pytest.fixture
def webui(tmp_path, monkeypatch):
    original = NetworkModule.multiplier
    monkeypatch.setattr(NetworkModule, "multiplier", lambda module: layer_strength(original, module))
    return lambda *kinds, shapes=SD1: Webui(tmp_path / "block_presets.txt", kinds, shapes)


ONES, NOTHING = dict.fromkeys(FULL_SD1, 1.0), dict.fromkeys(FULL_SD1, 0.0)
BLOCKS_OF_LAYERS = {"transformer_text_model_encoder_layers_3_self_attn_q_proj": "BASE",
                    "1_model_transformer_resblocks_3_mlp_c_fc": "BASE", "model_transformer_resblocks_3_attn": "BASE",
                    "diffusion_model_input_blocks_11_0_in_layers_2": "IN11",
                    "diffusion_model_input_blocks_4_1_transformer_blocks_0_attn1_to_q": "IN04",
                    "diffusion_model_middle_block_1_proj_out": "M00", "diffusion_model_output_blocks_0_0_out": "OUT00",
                    "diffusion_model_time_embed_0": None, "diffusion_model_label_emb_0_0": None,
                    "diffusion_model_out_2": None}


@pytest.mark.parametrize(("layer", "block"), BLOCKS_OF_LAYERS.items())
def test_each_layer_of_the_webui_is_in_its_block(layer, block):
    assert block_of(layer) == block


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", LISTS)
def test_every_kind_of_network_and_every_list(webui, kind, length):
    one = webui(kind, shapes=FAMILY_OF[length])
    numbers = [round(0.1 * number - 0.4, 1) for number in range(length)]
    weights = dict.fromkeys(FULL_SD1, 0.0) | dict(zip(LISTS[length], numbers, strict=True))
    one.activate(f"<lora:{kind}0:0.8:1.5:lbw={','.join(map(str, numbers))}>")
    assert one.draw() == len(one.layers)
    one.check((0.8, 1.5, weights))
    assert one.draw() == 0  # nothing is computed anew for the next picture
    one.activate(f"<lora:{kind}0:0.8:1.5:lbw={','.join(map(str, reversed(numbers)))}>")
    one.draw()
    one.check((0.8, 1.5, dict.fromkeys(FULL_SD1, 0.0) | dict(zip(LISTS[length], reversed(numbers), strict=True))))
    one.activate(f"<lora:{kind}0:0.8:1.5>")
    one.draw()
    one.check((0.8, 1.5, ONES))
    one.activate()
    one.draw()
    one.check_base()


def test_several_at_once_each_with_its_own(webui):
    three = webui("lora", "loha", "full")
    p = three.activate("<lora:lora0:1:1:lbw=INX:x=0.25>", "<lora:loha1:0.5:lbw=NONE>", "<lora:full2:2>")
    three.draw()
    inside = ("BASE", "IN01", "IN02", "IN04", "IN05", "IN07", "IN08", "M00")
    inx = NOTHING | dict.fromkeys(inside, 1.0) | {f"OUT{n:02d}": 0.25 for n in range(3, 12)}
    three.check((1, 1, inx), (0.5, 0.5, NOTHING), (2, 2, ONES))
    assert p.comments == ["LoRA lora0: The list names 17 blocks; IN00, IN03, IN06, IN09 and 5 more are 0. A list of 26 "
                          "numbers has a place for them."]
    assert p.extra_generation_params["Block weights"].startswith("lora0 INX = 1,0,1,1,0,1,1,0,1,1,")


def test_a_preset_that_was_edited_counts_at_the_next_picture(webui, tmp_path):
    one = webui("lora")
    first = one.activate("<lora:lora0:1:lbw=INS>")
    one.draw()
    (tmp_path / "block_presets.txt").write_text("INS:" + ",".join(["0.5"] * 26), encoding="utf-8")
    second = one.activate("<lora:lora0:1:lbw=INS>")
    assert first.parameters[0].items != second.parameters[0].items  # or the webui would reuse the encoded prompt
    one.draw()
    one.check((1, 1, dict.fromkeys(FULL_SD1, 0.5)))


def test_steps_switch_it_on_and_off(webui):
    one = webui("lora")
    one.activate("<lora:lora0:1:0.5:lbw=ALL0.5:step=2-4>")
    half = {name: 0.5 if name in LISTS[17] else 0.0 for name in FULL_SD1}
    drawn = []
    for step in range(6):
        one.hook.before_step(step)
        drawn.append(one.draw() > 0)
        text = next(layer for name, layer in one.layers.items() if "transformer" in name)
        assert (text.weight - one.expected(text, (1, 0.5, half))[0]).abs().max() < 1e-5  # a prompt is encoded once
        if 2 <= step < 4:
            one.check((1, 0.5, half))
        else:
            unet = [layer for name, layer in one.layers.items() if name.startswith("diffusion")]
            assert all(torch.equal(layer.weight, layer.base) for layer in unet)
    assert drawn == [True, False, True, False, True, False]


@pytest.mark.parametrize(("prompt", "sentence"), [
    ("<lora:lora0:1:lbw=OUTY>", "There is no block preset 'OUTY'"), ("<lora:lora0:1:lbw=1,0>", "It has 2 numbers")])
def test_with_a_wrong_list_it_works_with_all_blocks_and_says_so(webui, prompt, sentence):
    one = webui("lora")
    p = one.activate(prompt)
    one.draw()
    one.check((1, 1, ONES))
    assert sentence in p.comments[0]


def test_without_block_weights_the_webui_is_handed_the_very_same(webui):
    one = webui("lora")
    p = one.activate("<lora:lora0:0.7>")
    assert type(one.networks[0].unet_multiplier) is float
    assert p.parameters[0].items == ["lora0", "0.7"]
    assert p.extra_generation_params == {} and p.comments == []


def other_extension(active):
    script = types.SimpleNamespace(filename="/extensions/x/scripts/lora_block_weight.py", args_from=1, args_to=3)
    return types.SimpleNamespace(alwayson_scripts=[script]), ("before", "PRESETS", active)


def test_it_stands_down_once_the_other_extension_is_active_and_says_so_once(webui):
    one = webui("lora")
    said = []
    for _ in range(2):
        said += one.activate("<lora:lora0:1:lbw=NONE>", picture=Picture(*other_extension(True))).comments
        one.draw()
        one.check((1, 1, ONES))
    assert said == [STANDS_DOWN]
    one.activate("<lora:lora0:1:lbw=NONE>", picture=Picture(*other_extension(False)))
    one.draw()
    one.check((1, 1, NOTHING))
