"""Settings of saved LoRA files: name, folder and interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import LORA_FOLDER, setting


@dataclass(frozen=True)
class SaveSettings:
    """Name, folder and rhythm of the files."""

    output_name: str = setting(
        "", "Name of the LoRA: the file name without its extension.",
        label="LoRA name", view="hidden")
    output_dir: str = setting(
        "", "The folder LoRA files are saved in.",
        label="LoRA folder", view="hidden", path=LORA_FOLDER)
    save_precision: str = setting(
        "fp16", "Number format of the saved file.",
        label="Save precision", choices=("fp16", "bf16", "float"),
        advice="fp16 is half the size of float and looks the same.")
    save_every_n_epochs: Optional[int] = setting(
        1, "Saves a file every n epochs.",
        label="Save every n epochs", minimum=1, maximum=100000, view="main",
        advice="You can try each saved epoch while the next one trains. If the last one is overcooked, an earlier "
               "one may be just right.")
    save_every_n_steps: Optional[int] = setting(
        None, "Saves a file every n steps.",
        label="Save every n steps", minimum=1, maximum=10000000)
    training_comment: str = setting(
        "", "A note saved in the file's metadata.",
        label="Training comment")
