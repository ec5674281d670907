"""Puts the mini checkpoint into a webui: `python -m tests.make_mini.install WEBUI [--bpe FILE]`.

Copies the checkpoint to models/Stable-diffusion, writes the tokenizer folder beside it, and a YAML that names it.
Any Python runs it, since it needs the standard library only.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from pathlib import Path

from lib_lora_train.environment import environment_root
from tests.make_mini.vocabulary import write_text_folder

DEMO = Path(__file__).resolve().parents[2] / "demo"
NAME = "mini_sd15"
TEXT_FOLDER = f"{NAME}_clip"
PACKAGES = ("open_clip", "clip")
BPE = "bpe_simple_vocab_16e6.txt.gz"


def find_bpe(webui: Path) -> Path:
    """The vocabulary inside an open-clip-torch or clip package: of this Python, of the worker, or of ``webui``."""
    installed = [importlib.util.find_spec(package) for package in PACKAGES]
    folders = [Path(spec.origin).parent for spec in installed if spec is not None and spec.origin is not None]
    packages = [environment_root().glob("base-*"), (webui / "venv").glob("[Ll]ib*/**/site-packages")]
    folders += [place / package for places in packages for place in places for package in PACKAGES]
    found = next((folder / BPE for folder in folders if (folder / BPE).is_file()), None)
    if found is None:
        raise SystemExit(f"CLIP's vocabulary {BPE} is neither in this Python, nor in {environment_root()}, nor in "
                         f"{webui / 'venv'}. Run python install.py once, or name the file with --bpe.")
    return found


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
    if not arguments.webui.is_dir():
        raise SystemExit(f"There is no folder {arguments.webui}. Name the webui's folder.")
    path = install(arguments.webui / "models" / "Stable-diffusion", arguments.bpe or find_bpe(arguments.webui))
    print(f"The mini checkpoint is at {path}. Choose it in the webui after a refresh of the list.")


if __name__ == "__main__":
    main()
