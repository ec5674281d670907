"""Block weights and axes are put into the webui when its UI is built, and taken out before scripts are loaded anew."""

from __future__ import annotations

import sys
import threading
import types
from pathlib import Path

import modules
import pytest
from modules import scripts, sd_models, shared, xyz_grid

from lib_lora_train.blocks.prompt_weights import BlockSpec
from lib_lora_train.host.block_weights import BlockStrength
from lib_lora_train.host.interface import BLOCK, EPOCH, PRESET, STRENGTH, TEXT, UNET
from tests.host.mixtures import FORGE, REFORGE, become, forget, write_package
from tests.standin.webui import Options, configure

NAMES = ("networks", "network", "extra_networks_lora")


@pytest.fixture
def lora_extension(monkeypatch):
    """The built-in Lora extension's modules, with the two functions that are replaced."""
    class NetworkModule:
        def multiplier(self):
            return self.network.unet_multiplier

    class ExtraNetworkLora:
        def activate(self, p, params_list):
            self.seen = [one.items for one in params_list]

    modules = types.SimpleNamespace(
        networks=types.SimpleNamespace(loaded_networks=[], available_networks={}),
        network=types.SimpleNamespace(NetworkModule=NetworkModule),
        extra_networks_lora=types.SimpleNamespace(ExtraNetworkLora=ExtraNetworkLora))
    for name in NAMES:
        monkeypatch.setitem(sys.modules, name, getattr(modules, name))
    return modules


@pytest.fixture
def callbacks(tmp_path):
    """What the webui has been asked to call."""
    configure(Options(data_dir=tmp_path, port=0))
    from modules import script_callbacks

    from lib_lora_train.host.generation_hooks import connect_generation

    script_callbacks.clear_callbacks()
    connect_generation()
    yield script_callbacks.callback_map
    for undo in script_callbacks.callback_map["script_unloaded"]:
        undo()
    script_callbacks.clear_callbacks()


def call(callbacks, name, *arguments):
    for callback in callbacks[name]:
        callback(*arguments)


def test_it_is_put_in_and_taken_out_as_often_as_the_ui_is_built(callbacks, lora_extension):
    module, extra = lora_extension.network.NetworkModule, lora_extension.extra_networks_lora.ExtraNetworkLora
    originals = module.multiplier, extra.activate
    for _ in range(3):
        call(callbacks, "before_ui")
        assert module.multiplier is not originals[0] and extra.activate is not originals[1]
        call(callbacks, "script_unloaded")
        assert (module.multiplier, extra.activate) == originals


def test_a_layer_gets_the_weight_of_its_block_and_others_their_strength(callbacks, lora_extension):
    call(callbacks, "before_ui")
    layer = lora_extension.network.NetworkModule()
    layer.sd_key = "diffusion_model_input_blocks_4_1_proj_in"
    layer.network = types.SimpleNamespace(unet_multiplier=BlockStrength(0.8, BlockSpec((0.5,) * 26), True))
    assert layer.multiplier() == pytest.approx(0.4)
    layer.network.unet_multiplier = 0.8
    assert layer.multiplier() == 0.8


def test_a_prompt_without_block_weights_goes_through_untouched(callbacks, lora_extension):
    call(callbacks, "before_ui")
    extra = lora_extension.extra_networks_lora.ExtraNetworkLora()
    given = types.SimpleNamespace(items=["penny", "0.7"])
    extra.activate(types.SimpleNamespace(extra_generation_params={}), [given])
    assert extra.seen == [["penny", "0.7"]]


@pytest.mark.parametrize(("calls", "total", "steps", "expected"), [
    (0, 8, 8, 0), (5, 8, 8, 5), (5, 16, 8, 2), (15, 16, 8, 7), (3, None, None, 3)])
def test_the_sampling_step_is_known_in_every_kind_of_sampler(calls, total, steps, expected, callbacks):
    from lib_lora_train.host.generation_hooks import sampling_step

    assert sampling_step(types.SimpleNamespace(step=calls, total_steps=total, steps=steps)) == expected


def test_steps_reach_the_active_networks(callbacks, lora_extension):
    call(callbacks, "before_ui")
    spec = BlockSpec(start=2)
    network = types.SimpleNamespace(unet_multiplier=BlockStrength(1, spec, False))
    lora_extension.networks.loaded_networks.append(network)
    worked = []
    for step in range(4):
        denoiser = types.SimpleNamespace(step=step, total_steps=4, steps=4)
        call(callbacks, "cfg_denoiser", types.SimpleNamespace(denoiser=denoiser))
        worked.append(network.unet_multiplier.working)
    assert worked == [False, False, True, True]


@pytest.mark.parametrize("missing", NAMES)
def test_without_the_lora_extension_nothing_is_touched(callbacks, lora_extension, missing, monkeypatch):
    monkeypatch.delitem(sys.modules, missing)
    original = lora_extension.network.NetworkModule.multiplier
    call(callbacks, "before_ui")
    call(callbacks, "cfg_denoiser", None)
    assert lora_extension.network.NetworkModule.multiplier is original


def test_counting_tokens_waits_for_no_picture_and_everything_else_does(callbacks):
    from modules import call_queue, ui

    queued = ui.wrap_queued_call
    call(callbacks, "before_ui")
    with call_queue.queue_lock:
        assert ui.wrap_queued_call(ui.update_token_counter)("a red ball") == "3/75"
        assert ui.wrap_queued_call(ui.update_negative_prompt_token_counter)("") == "0/75"
        waiting = threading.Thread(target=ui.wrap_queued_call(lambda: done.append(1)), daemon=True)
        done: list[int] = []
        waiting.start()
        waiting.join(0.2)
        assert not done
    waiting.join(60)
    assert done == [1]
    call(callbacks, "script_unloaded")
    assert ui.wrap_queued_call is queued


FOUR = [EPOCH, STRENGTH, UNET, TEXT]


def labels_added(callbacks):
    call(callbacks, "before_ui")
    return [option.label for option in xyz_grid.axis_options if option.label.startswith("[Train LoRA]")]


@pytest.fixture
def plain_plot():
    """The stand-in's X/Y/Z plot without our axes, registered as the webui's."""
    scripts.load_scripts()
    yield
    scripts.load_scripts()


@pytest.mark.parametrize("roots", [[FORGE], [REFORGE], []], ids=["Forge", "reForge", "unknown"])
def test_in_relatives_the_axes_that_rewrite_the_prompt_are_there_and_nothing_is_patched(
        callbacks, lora_extension, plain_plot, monkeypatch, tmp_path, roots):
    become(monkeypatch, *(roots or [write_package(tmp_path / "mixture", modules_forge__other="")]))
    module, extra = lora_extension.network.NetworkModule, lora_extension.extra_networks_lora.ExtraNetworkLora
    originals = module.multiplier, extra.activate
    try:
        assert labels_added(callbacks) == FOUR
        assert (module.multiplier, extra.activate) == originals
    finally:
        forget()


def test_in_a1111_all_six_are_there(callbacks, lora_extension, plain_plot):
    assert labels_added(callbacks) == [*FOUR, PRESET, BLOCK]


def test_where_loras_are_read_by_other_means_the_epochs_are_those_in_the_folder(
        callbacks, lora_extension, plain_plot, monkeypatch):
    monkeypatch.delitem(sys.modules, "networks")
    monkeypatch.delattr(sd_models, "send_model_to_cpu")
    registry = types.SimpleNamespace(extra_network_registry={"lora": object()})
    monkeypatch.setitem(sys.modules, "modules.extra_networks", registry)
    for name in ("penny-000002", "penny"):
        Path(shared.cmd_opts.lora_dir, f"{name}.safetensors").touch()
    assert labels_added(callbacks) == FOUR
    [epoch] = [option for option in xyz_grid.axis_options if option.label == EPOCH]
    assert epoch.choices() == ["None", "penny-000002", "penny"]


def test_where_nothing_reads_loras_there_are_no_axes(callbacks, lora_extension, plain_plot, monkeypatch):
    monkeypatch.delitem(sys.modules, "networks")
    assert labels_added(callbacks) == []


def test_a_webui_without_patches_gets_the_axes(callbacks, lora_extension, plain_plot, monkeypatch):
    monkeypatch.delattr(sd_models, "send_model_to_cpu")
    monkeypatch.setitem(sys.modules, "modules.patches", None)
    monkeypatch.delattr(modules, "patches")
    assert labels_added(callbacks) == FOUR


def test_a_plot_of_another_shape_leaves_the_webui_alone_and_is_reported(
        lora_extension, plain_plot, monkeypatch, tmp_path):
    configure(Options(data_dir=tmp_path, port=0))
    from lib_lora_train.host.generation_hooks import GenerationHooks

    other = types.SimpleNamespace(script_class=xyz_grid.Script, module=types.SimpleNamespace())
    monkeypatch.setattr(scripts, "scripts_data", [other])
    hooks = GenerationHooks()
    hooks.connect()
    assert "could not be added to this webui (AttributeError" in hooks.problem
    hooks.undo()
