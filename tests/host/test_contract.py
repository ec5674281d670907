"""Everything that the host uses of a webui is there, with the shape it is used in: of A1111's, and of Forge's kind.

The stand-ins are checked always; real webuis too, where ``WEBUI_ROOT`` names A1111's folder and ``FORGE_ROOT`` those of
Forge, reForge and Forge Classic, separated as in ``PATH``. Nothing of them is run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.host.forge_contract import FORGE_CONTRACT, LISTS
from tests.host.sources import STANDIN, Contract, defined, fields_set, fits, source, tree, used_in

PROJECT = Path(__file__).resolve().parents[2]
REAL = (Path(os.environ["WEBUI_ROOT"]),) if os.environ.get("WEBUI_ROOT") else ()
USERS = [PROJECT / "lib_lora_train" / "host" / "webui.py", PROJECT / "lib_lora_train" / "host" / "generation_hooks.py",
         PROJECT / "lib_lora_train" / "host" / "lendable.py", PROJECT / "lib_lora_train" / "host" / "loan.py",
         PROJECT / "lib_lora_train" / "host" / "describing" / "interrogator.py",
         PROJECT / "lib_lora_train" / "host" / "plots.py", PROJECT / "scripts" / "lora_train.py"]

# (module, function, the arguments it is called with)
CALLS = [
    ("modules/sd_models.py", "CheckpointInfo.register", ["self"]),
    ("modules/sd_models.py", "send_model_to_cpu", ["m"]),
    ("modules/sd_models.py", "send_model_to_device", ["m"]),
    ("modules/devices.py", "torch_gc", []),
    ("modules/lowvram.py", "send_everything_to_cpu", []),
    ("modules/interrogate.py", "InterrogateModels.load_blip_model", ["self"]),
    ("modules/interrogate.py", "InterrogateModels.generate_caption", ["self", "pil_image"]),
    ("modules/interrogate.py", "InterrogateModels.send_blip_to_ram", ["self"]),
    ("modules/fifo_lock.py", "FIFOLock.acquire", ["self", "blocking"]),
    ("modules/fifo_lock.py", "FIFOLock.release", ["self"]),
    ("modules/patches.py", "patch", ["key", "obj", "field", "replacement"]),
    ("modules/patches.py", "undo", ["key", "obj", "field"]),
    ("modules/patches.py", "original", ["key", "obj", "field"]),
    ("modules/script_callbacks.py", "on_ui_tabs", ["callback"]),
    ("modules/script_callbacks.py", "on_before_ui", ["callback"]),
    ("modules/script_callbacks.py", "on_cfg_denoiser", ["callback"]),
    ("modules/script_callbacks.py", "on_script_unloaded", ["callback"]),
    ("modules/script_callbacks.py", "on_app_started", ["callback"]),
    ("modules/script_callbacks.py", "on_ui_settings", ["callback"]),
    ("modules/scripts.py", "ScriptRunner.run", ["self", "p"]),
    ("modules/scripts.py", "ScriptRunner.postprocess", ["self", "p", "processed"]),
    ("modules/upscaler.py", "Upscaler.upscale", ["self", "img", "scale", "selected_model"]),
    ("networks.py", "update_available_networks_by_names", ["names"]),
    ("networks.py", "network_apply_weights", ["self"]),
]
# (module, class, what its constructor sets)
FIELDS = [
    ("modules/sd_models.py", "SdModelData", {"sd_model", "loaded_sd_models", "lock"}),
    ("modules/sd_models.py", "CheckpointInfo", {"filename", "title", "ids"}),
    ("modules/upscaler.py", "UpscalerData", {"name", "data_path", "scaler"}),
]
SET_ELSEWHERE = [
    ("modules/cmd_args.py", '"--hide-ui-dir-config"'), ("modules/cmd_args.py", '"--api-auth"'),
    ("modules/cmd_args.py", '"--enable-insecure-extension-access"'), ("preload.py", '"--lora-dir"'),
    ("modules/shared_cmd_options.py", "cmd_opts.disable_extension_access ="),
    ("modules/options.py", "if is_api and option.restrict_api:"),
    ("modules/options.py", "def add_option(self, key, info)"), ("modules/shared.py", "OptionInfo = options.OptionInfo"),
    *(("networks.py", text) for text in LISTS), ("network.py", "self.alias = "),
    ("modules/lowvram.py", "sd_model.lowvram ="), ("modules/lowvram.py", "module_in_gpu = None"),
    ("modules/devices.py", "fp8: bool ="),
    ("extensions-builtin/Lora/networks.py", "self.network_weights_backup = weights_backup"),
    ("extensions-builtin/Lora/networks.py", "self.network_bias_backup = bias_backup"),
    ("extensions-builtin/Lora/networks.py", "self.network_current_names = wanted_names"),
    ("extensions-builtin/Lora/networks.py", "    network_apply_weights(self)"),
    ("modules/api/api.py", "with self.queue_lock"), ("modules/call_queue.py", "queue_lock = fifo_lock.FIFOLock()"),
    ("modules/shared_options.py", '"CLIP_stop_at_last_layers"'), ("modules/interrogate.py", "def unload(self)"),
    ("modules/interrogate.py", 'model_path=os.path.join(paths.models_path, "BLIP")'),
    ("modules/interrogate.py", "self.running_on_cpu ="), ("modules/interrogate.py", "    blip_model = None"),
    *(("modules/sd_models_config.py", f"{name} =") for name in (
        "config_default", "config_sd2", "config_sd2v", "config_sdxl")),
    ("modules/sd_models_config.py", 'config = f"{os.path.splitext(info.filename)[0]}.yaml"'),
    ("modules/sd_models_xl.py", "model.parameterization ="), ("modules/sd_samplers_kdiffusion.py", ".parameterization"),
    ("modules/sd_models.py", "model.sd_checkpoint_info ="), ("modules/sd_models.py", "checkpoint_aliases[id] = self"),
    ("modules/sd_models.py", "def reload_model_weights(sd_model=None, info=None, forced_reload=False)"),
    ("modules/processing.py", "sd_models.checkpoint_aliases.get(p.override_settings.get('sd_model_checkpoint'))"),
    ("modules/call_queue.py", "with queue_lock"), ("modules/infotext_utils.py", 'paste_fields[tabname] = {"init_img"'),
    ("modules/infotext_utils.py", "self.api = api"), ("modules/ui.py", 'PasteField(enable_hr, lambda'),
    *(("modules/ui.py", f'api="{name}"') for name in ("negative_prompt", "styles", "cfg_scale", "width", "enable_hr")),
    *(("modules/processing_scripts/sampler.py", f'api="{name}"') for name in ("steps", "sampler_name", "scheduler")),
    ("modules/processing_scripts/seed.py", 'api="seed"'), ("modules/shared_state.py", "self.skipped = False"),
    *(("modules/ui.py", f'add_paste_fields("{name}", init_img') for name in ("img2img", "inpaint")),
    ("modules/ui_postprocessing.py", 'add_paste_fields("extras", extras_image'),
    ("modules/ui.py", "fn=wrap_queued_call(update_token_counter)"),
    ("modules/ui.py", "fn=wrap_queued_call(update_negative_prompt_token_counter)"),
    ("networks.py", "f'Lora not found: "), ("extra_networks_lora.py", 'p.comment("Networks with errors: "'),
    ("modules/processing.py", 'self.comments = "".join('),
    ("network.py", "def multiplier(self)"), ("extra_networks_lora.py", "def activate(self, p, params_list)"),
    ("networks.py", "(x.name, x.te_multiplier, x.unet_multiplier, x.dyn_dim)"), ("networks.py", "loaded_networks = []"),
    ("modules/shared_state.py", "def interrupt(self)"), ("modules/options.py", "def set(self, key, value"),
    ("scripts/xyz_grid.py", "state.job = f\"{index(ix, iy, iz) + 1} out of {list_size}\""),
    ("scripts/xyz_grid.py", "z_type, z_values, z_values_dropdown, draw_legend, include_lone_images, include_sub_grids, "
                            "no_fixed_seeds, vary_seeds_x, vary_seeds_y, vary_seeds_z, margin_size, csv_mode):"),
    ("scripts/xyz_grid.py", "self.current_axis_options = ["),
    ("modules/sd_samplers_cfg_denoiser.py", "self.total_steps = None"), ("scripts/xyz_grid.py", "axis_options = ["),
    ("scripts/xyz_grid.py", "def __init__(self, label, type, apply, format_value=format_value_add_label, confirm=None, "
                            "cost=0.0, choices=None, prepare=None)")]
FOUND_BY_NAME = [("infotext_utils", "paste_fields"), ("sd_models", "checkpoints_list"),
                 ("sd_models", "checkpoint_aliases"), ("sd_models", "CheckpointInfo")]
CONTRACTS = (Contract((STANDIN,), REAL, (*used_in(*USERS), *FOUND_BY_NAME), tuple(CALLS), tuple(FIELDS),
                      tuple(SET_ELSEWHERE)),
             FORGE_CONTRACT)


def cases(kind: str) -> list[object]:
    """The cases of every contract; pytest's own names for them, with the root's in front."""
    return [pytest.param(*case, id="-".join(str(part) for part in (case[0].name, *case[1:])))
            for contract in CONTRACTS for case in contract.cases(kind)]


def test_the_host_uses_the_webui_at_all():
    for contract in CONTRACTS:
        assert ("call_queue", "queue_lock") in contract.names
        assert len(contract.names) > 12 and len(contract.calls) > 9


@pytest.mark.parametrize(("root", "module", "name"), cases("names"))
def test_every_name_that_is_used_is_there(root, module, name):
    assert name in defined(tree(root, f"modules/{module}.py"))


@pytest.mark.parametrize(("root", "module", "name", "arguments"), cases("calls"))
def test_functions_take_what_they_are_given(root, module, name, arguments):
    assert fits(tree(root, module), name, arguments)


@pytest.mark.parametrize(("root", "module", "owner", "fields"), cases("fields"))
def test_objects_have_the_fields_that_are_read(root, module, owner, fields):
    assert fields <= fields_set(tree(root, module), owner)


if cases("texts"):
    @pytest.mark.parametrize(("root", "file", "text"), cases("texts"))
    def test_options_and_fields_that_are_set_elsewhere_have_their_names(root, file, text):
        assert text in source(root, file).read_text(encoding="utf-8")
