"""A stand-in for sd-scripts' train_network.py: it takes the same options, shows the same bar, and learns nothing."""

import argparse
import json
import os
import re
import sys
import time
from pathlib import Path

BAR = "\rsteps: {share:3.0f}%|███       | {done}/{total} [00:01<00:02,  1.50s/it, avr_loss=0.1]"
LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("config_file", "output_dir", "output_name", "tokenizer_cache_dir", "max_data_loader_n_workers"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--fails")
    options = parser.parse_args()
    config = dict(re.findall(r"^(\w+) = (.+)$", Path(options.config_file).read_text("utf-8"), re.MULTILINE))
    assert (Path(options.tokenizer_cache_dir) / "openai_clip-vit-large-patch14" / "vocab.json").is_file()
    total = int(config["max_train_steps"])
    show(BAR.format(share=0, done=0, total=total))
    for done in range(1, total + 1):
        time.sleep(options.seconds)
        show(BAR.format(share=100 * done / total, done=done, total=total))
        if options.fails and done == int(options.fails):
            sys.exit("RuntimeError: the stand-in fails")
    write_lora(Path(options.output_dir) / f"{options.output_name}.safetensors")
    (Path(options.output_dir) / "config.json").write_text(json.dumps(config))


def show(bar: str) -> None:
    os.write(2, bar.encode())


def write_lora(path: Path, width: int = 64) -> None:
    """A LoRA of rank 1 on one layer of a UNet that is ``width`` wide; it changes nothing."""
    shapes = {"lora_down.weight": [1, width], "lora_up.weight": [width, 1], "alpha": []}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * (width if shape else 1)
        header[f"{LAYER}.{name}"] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    one = b"\x00\x00\x80\x3f"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(offset - 4) + one)


if __name__ == "__main__":
    main()
