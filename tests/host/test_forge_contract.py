"""What only Forge and its relatives have is there, with the shape it is used in; the rest is in ``test_contract``.

The stand-ins are checked always; real ones too, where ``FORGE_ROOT`` names their folders. Nothing of them is run.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.host.forge_contract import REAL
from tests.host.mixtures import FORGE, REFORGE
from tests.host.sources import defined, fields_set, fits, function, tree

ROOTS = [FORGE, REFORGE, *REAL]
MANAGERS = ("backend/memory_management.py", "ldm_patched/modules/model_management.py")


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
    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    def test_the_checkpoint_is_found_where_it_is_looked_for(root):
        wanted = {"forge_loading_parameters"} if manager(root) == MANAGERS[0] else set()
        assert wanted <= fields_set(tree(root, "modules/sd_models.py"), "SdModelData")

    @pytest.mark.parametrize("root", REAL, ids=lambda root: root.name)
    def test_the_plot_takes_further_axes(root):
        [plot] = [*root.glob("scripts/xyz_grid.py"), *root.glob("extensions-builtin/*/scripts/xyz_grid.py")]
        assert {"axis_options", "AxisOption"} <= defined(ast.parse(plot.read_text(encoding="utf-8")))
        [holder] = [path for path in [plot, *plot.parent.parent.glob("lib_*/*.py")]
                    if "class AxisOption:" in path.read_text(encoding="utf-8")]
        made = function(ast.parse(holder.read_text(encoding="utf-8")), "AxisOption.__init__").args
        assert [one.arg for one in made.args] == ["self", "label", "type", "apply", "format_value", "confirm", "cost",
                                                  "choices", "prepare"]
