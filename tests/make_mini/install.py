"""Puts the mini checkpoint into a webui: `python -m tests.make_mini.install WEBUI [--bpe FILE]`.

Copies the checkpoint to models/Stable-diffusion, writes the tokenizer folder beside it, and a YAML that names it.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from pathlib import Path

from tests.make_mini.text import write_text_folder

DEMO = Path(__file__).resolve().parents[2] / "demo"
NAME = "mini_sd15"
TEXT_FOLDER = f"{NAME}_clip"


def find_bpe() -> Path:
    """The vocabulary inside the installed open-clip-torch package."""
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        raise SystemExit(
            "The package open-clip-torch is not installed in this Python, so there is no CLIP vocabulary. "
            "Install it, or name the file bpe_simple_vocab_16e6.txt.gz with --bpe."
        )
    return Path(found.origin).parent / "bpe_simple_vocab_16e6.txt.gz"


def install(models: Path, bpe: Path) -> Path:
    """Write checkpoint, YAML and text folder into a folder of checkpoints; returns the checkpoint's path."""
    models.mkdir(parents=True, exist_ok=True)
    folder = (models / TEXT_FOLDER).resolve()
    write_text_folder(bpe, folder)
    text = (DEMO / f"{NAME}.yaml").read_text("utf-8")
    line = f"version: {TEXT_FOLDER}"
    if text.count(line) != 1:
        raise SystemExit(f"{DEMO / NAME}.yaml should have the line {line!r} once; it has it {text.count(line)} times.")
    settings, checkpoint = models / f"{NAME}.yaml", models / f"{NAME}.safetensors"
    for earlier in (settings, checkpoint):
        earlier.unlink(missing_ok=True)  # a link left here would lead back into demo/
    settings.write_text(text.replace(line, f"version: '{folder.as_posix()}'"), "utf-8")
    return Path(shutil.copyfile(DEMO / f"{NAME}.safetensors", checkpoint))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("webui", type=Path, help="the webui's folder")
    parser.add_argument("--bpe", type=Path, help="CLIP's vocabulary; found in open-clip-torch if left out")
    arguments = parser.parse_args()
    path = install(arguments.webui / "models" / "Stable-diffusion", arguments.bpe or find_bpe())
    print(f"The mini checkpoint is at {path}. Choose it in the webui after a refresh of the list.")


if __name__ == "__main__":
    main()
