"""What the host uses of Forge and its relatives; ``test_contract`` compares it with stand-ins and real ones."""

from __future__ import annotations

import os
from pathlib import Path

from tests.host.mixtures import FORGE, REFORGE
from tests.host.sources import Contract, used_in

PROJECT = Path(__file__).resolve().parents[2]
HOST = PROJECT / "lib_lora_train" / "host"
REAL = tuple(Path(folder) for folder in os.environ.get("FORGE_ROOT", "").split(os.pathsep) if folder)
USED_IN_A1111_ONLY = {("sd_models", "send_model_to_cpu"), ("sd_models", "send_model_to_device"),
                      ("shared", "interrogator"), ("devices", "torch_gc")}
NAMES = [*used_in(HOST / "forge.py", HOST / "webui.py", HOST / "generation_hooks.py", HOST / "unknown.py",
                  PROJECT / "scripts" / "lora_train.py"), ("ui", "wrap_queued_call"), ("scripts", "scripts_data")]
NOT_IN_THE_STANDIN = {("paths", "script_path"), ("extra_networks", "extra_network_registry")}
SIGNATURES = [
    ("modules/fifo_lock.py", "FIFOLock.acquire", ["self", "blocking"]),
    ("modules/fifo_lock.py", "FIFOLock.release", ["self"]),
    ("modules/patches.py", "patch", ["key", "obj", "field", "replacement"]),
    ("modules/patches.py", "undo", ["key", "obj", "field"]),
    ("modules/patches.py", "original", ["key", "obj", "field"]),
    *(("modules/script_callbacks.py", name, ["callback"]) for name in (
        "on_ui_tabs", "on_before_ui", "on_cfg_denoiser", "on_script_unloaded", "on_app_started")),
    ("modules/sd_models.py", "CheckpointInfo.register", ["self"]),
    ("networks.py", "update_available_networks_by_names", ["names"])]
REAL_SIGNATURES = [  # of methods that are functions in the stand-in, or not called there
    ("modules/options.py", "Options.set", ["self", "key", "value"]),
    ("extra_networks_lora.py", "ExtraNetworkLora.activate", ["self", "p", "params_list"])]
LISTS = [f"{name} = {{}}" for name in (
    "available_networks", "available_network_aliases", "available_network_hash_lookup", "forbidden_network_aliases")]
TEXTS = [
    *(("networks.py", text) for text in LISTS), ("network.py", "self.alias = "),
    ("modules/call_queue.py", "queue_lock = fifo_lock.FIFOLock()"), ("modules/api/api.py", "with self.queue_lock"),
    ("modules/cmd_args.py", "--hide-ui-dir-config"), ("modules/cmd_args.py", "--api-auth"),
    ("modules/cmd_args.py", "--enable-insecure-extension-access"),
    ("modules/shared_cmd_options.py", "cmd_opts.disable_extension_access ="),
    ("modules/ui.py", "wrap_queued_call(update_token_counter)"),
    ("modules/ui.py", "wrap_queued_call(update_negative_prompt_token_counter)"),
    ("modules/processing.py", "def comment(self, text)"), ("modules/shared_options.py", "CLIP_stop_at_last_layers"),
    ("modules/script_loading.py", "spec_from_file_location(os.path.basename(path), path)"),
    ("networks.py", "available_networks[name] = entry"), ("network.py", "self.filename = filename"),
    ("extra_networks_lora.py", 'params.named.get("te", te_multiplier)'),
    ("extra_networks_lora.py", 'params.named.get("unet", unet_multiplier)')]
FORGE_CONTRACT = Contract(
    standins=(FORGE, REFORGE), real=REAL, names=tuple(sorted(set(NAMES) - USED_IN_A1111_ONLY - NOT_IN_THE_STANDIN)),
    calls=tuple(SIGNATURES), texts=tuple(TEXTS), real_names=tuple(sorted(NOT_IN_THE_STANDIN)),
    real_calls=tuple(REAL_SIGNATURES), fields=(
        ("modules/sd_models.py", "SdModelData", {"sd_model"}),
        ("modules/sd_models.py", "CheckpointInfo", {"filename", "title", "ids"})))
