"""The built-in Lora extension's list of files."""

import os

from modules import shared

available_networks = {}


def list_available_networks():
    available_networks.clear()
    for folder, _, files in os.walk(shared.cmd_opts.lora_dir):
        for file in files:
            stem, ending = os.path.splitext(file)
            if ending in (".safetensors", ".pt", ".ckpt"):
                available_networks[stem] = os.path.join(folder, file)
