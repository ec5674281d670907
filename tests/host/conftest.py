"""The webui's host on the stand-in's modules, as on a machine with a GPU."""

from __future__ import annotations

import pytest

from tests.standin.webui import Options, configure, use_standin_modules

use_standin_modules()


@pytest.fixture
def webui(tmp_path):
    """A webui with two checkpoints, the first of them on the GPU."""
    from lib_lora_train.host.webui import Webui

    checkpoints = tuple(tmp_path / name for name in ("first.safetensors", "second.safetensors"))
    configure(Options(data_dir=tmp_path, port=0, checkpoints=checkpoints, device="cuda:0"))
    return Webui()
