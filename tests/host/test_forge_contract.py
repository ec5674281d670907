"""Everything that the host uses of Forge and its relatives is there, with the shape it is used in.

The stand-ins are checked always; real ones too, where ``FORGE_ROOT`` names their folders, separated as in ``PATH``:
Forge, reForge, Forge Classic. Nothing of them is run.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.host.mixtures import FORGE, REFORGE
from tests.host.sources import defined, fields_set, fits, function, source, tree, used_in

PROJECT = Path(__file__).resolve().parents[2]
HOST = PROJECT / "lib_lora_train" / "host"
REAL = [Path(folder) for folder in os.environ.get("FORGE_ROOT", "").split(os.pathsep) if folder]
ROOTS = [FORGE, REFORGE, *REAL]
MANAGERS = ("backend/memory_management.py", "ldm_patched/modules/model_management.py")
USED_IN_A1111_ONLY = {("sd_models", "send_model_to_cpu"), ("sd_models", "send_model_to_device"),
                      ("shared", "interrogator"), ("devices", "torch_gc")}


def manager(root: Path) -> str:
    """The module that manages the GPU's memory there."""
    return next(name for name in MANAGERS if (root / name).exists())


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_the_thread_takes_a_function_with_its_arguments(root):
    module = tree(root, "modules_forge/main_thread.py")
    assert fits(module, "run_and_wait_result", ["func"])
    found = function(module, "run_and_wait_result").args
    assert found.vararg is not None and found.kwarg is not None


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
@pytest.mark.parametrize("name", ["unload_all_models", "soft_empty_cache"])
def test_memory_is_freed_by_functions_that_need_no_arguments(root, name):
    assert fits(tree(root, manager(root)), name, [])


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_the_models_on_the_gpu_are_a_list(root):
    assigned = [node.value for node in tree(root, manager(root)).body if isinstance(node, ast.Assign)
                and any(isinstance(target, ast.Name) and target.id == "current_loaded_models"
                        for target in node.targets)]
    assert assigned and all(isinstance(value, ast.List) for value in assigned)


def test_there_is_a_stand_in_of_each_kind():
    assert {manager(FORGE), manager(REFORGE)} == set(MANAGERS)


if REAL:  # what the stand-ins have of their own is only what differs from A1111's
    NAMES = [*used_in(HOST / "forge.py", HOST / "webui.py", HOST / "generation_hooks.py", HOST / "unknown.py",
                      PROJECT / "scripts" / "lora_train.py"), ("ui", "wrap_queued_call"), ("scripts", "scripts_data"),
             ("extra_networks", "extra_network_registry")]
    SIGNATURES = [
        ("modules/fifo_lock.py", "FIFOLock.acquire", ["self", "blocking"]),
        ("modules/fifo_lock.py", "FIFOLock.release", ["self"]),
        ("modules/patches.py", "patch", ["key", "obj", "field", "replacement"]),
        ("modules/patches.py", "undo", ["key", "obj", "field"]),
        ("modules/patches.py", "original", ["key", "obj", "field"]),
        *(("modules/script_callbacks.py", name, ["callback"]) for name in (
            "on_ui_tabs", "on_before_ui", "on_cfg_denoiser", "on_script_unloaded", "on_app_started")),
        ("networks.py", "list_available_networks", []), ("modules/options.py", "Options.set", ["self", "key", "value"]),
        ("extra_networks_lora.py", "ExtraNetworkLora.activate", ["self", "p", "params_list"])]
    TEXTS = [
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

    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    @pytest.mark.parametrize(("module", "name"), sorted(set(NAMES) - USED_IN_A1111_ONLY))
    def test_every_name_that_is_used_is_there(root, module, name):
        assert name in defined(tree(root, f"modules/{module}.py"))

    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    @pytest.mark.parametrize(("module", "name", "arguments"), SIGNATURES)
    def test_functions_take_what_they_are_given(root, module, name, arguments):
        assert fits(tree(root, module), name, arguments)

    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    @pytest.mark.parametrize(("file", "text"), TEXTS)
    def test_options_and_fields_that_are_set_elsewhere_have_their_names(root, file, text):
        assert text in source(root, file).read_text(encoding="utf-8")

    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    def test_the_checkpoint_is_found_where_it_is_looked_for(root):
        wanted = {"sd_model", *({"forge_loading_parameters"} if manager(root) == MANAGERS[0] else ())}
        assert wanted <= fields_set(tree(root, "modules/sd_models.py"), "SdModelData")
        assert {"filename", "title"} <= fields_set(tree(root, "modules/sd_models.py"), "CheckpointInfo")

    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    def test_the_plot_takes_further_axes(root):
        [plot] = [*root.glob("scripts/xyz_grid.py"), *root.glob("extensions-builtin/*/scripts/xyz_grid.py")]
        assert {"axis_options", "AxisOption"} <= defined(ast.parse(plot.read_text(encoding="utf-8")))
        [holder] = [path for path in [plot, *plot.parent.parent.glob("lib_*/*.py")]
                    if "class AxisOption:" in path.read_text(encoding="utf-8")]
        made = function(ast.parse(holder.read_text(encoding="utf-8")), "AxisOption.__init__").args
        assert [one.arg for one in made.args] == ["self", "label", "type", "apply", "format_value", "confirm", "cost",
                                                  "choices", "prepare"]
