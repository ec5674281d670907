"""A run imports what it uses, and not what its libraries would import beside."""

from __future__ import annotations

import os
import subprocess
import sys

UNUSED = ("bitsandbytes", "lycoris", "torch._dynamo", "torch._inductor", "torch.distributed.tensor",
          "torch.distributed.fsdp", "networkx", "scipy", "pandas", "onnxruntime", "cv2", "torchvision", "peft",
          "transformers.models.auto.auto_factory", "transformers.models.bert.modeling_bert", "diffusers.pipelines",
          "prodigyopt", "dadaptation", "schedulefree", "lion_pytorch")
START = """
from lib_lora_train.environment.light_imports import import_lightly
import_lightly()
import lib_lora_train.training.run
from transformers import CLIPTextModel, CLIPTextModelWithProjection
"""
ALREADY = """
import sys, torch._dynamo, torch.distributed.tensor.parallel, transformers
from lib_lora_train.environment.light_imports import import_lightly
before = dict(sys.modules)
def kept():
    global before
    same = all(sys.modules.get(name) is module for name, module in before.items())
    before = dict(sys.modules)
    return same
"""
LATER = ("import torch.distributed.tensor as parallel; print(parallel.Replicate.__module__)",
         "import torch._dynamo; print(torch._dynamo.allow_in_graph.__module__)",
         "from diffusers.utils import is_transformers_available as there; print('yes.really' if there() else 'no')")


def python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_nothing_is_imported_that_a_run_does_not_use_and_what_was_kept_back_can_be_imported_later():
    modules, *later = python("\n".join([START, "import sys", "print(*sys.modules)", *LATER]))
    loaded = set(modules.split())
    assert {"diffusers", "transformers", "lib_lora_train.models.load"} <= loaded
    assert [name for name in UNUSED if name in loaded] == []
    # the class or function of the library, and no placeholder
    assert len(later) == len(LATER) and all("." in module for module in later), later


def test_libraries_that_are_loaded_already_stay_as_they_are():
    assert python(ALREADY + "for _ in range(2):\n    import_lightly()\n    print(kept())") == ["True", "True"]
