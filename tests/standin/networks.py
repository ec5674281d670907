"""The built-in Lora extension's list of files."""

import types
from pathlib import Path

from modules import shared

available_networks = {}


def list_available_networks():
    available_networks.clear()
    for path in Path(shared.cmd_opts.lora_dir).rglob("*"):
        if path.suffix in (".safetensors", ".pt", ".ckpt"):
            available_networks[path.stem] = types.SimpleNamespace(name=path.stem, filename=str(path))
