"""Where and when LoRA files are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..setting import setting


@dataclass(frozen=True)
class SaveSettings:
    """Name, folder and rhythm of the files."""

    output_name: str = setting("", "Name of the LoRA: the file name without its ending.", view="hidden",
        label="Name of the LoRA")
    output_dir: str = setting("", "Folder the LoRA files are written to.", view="hidden",
        label="Folder of the LoRA files")
    save_precision: str = setting("fp16", "Number format of the saved file.", choices=("fp16", "bf16", "float"),
                                  advice="fp16 is half the size of float and looks the same.",
        label="Number format of the files")
    save_every_n_epochs: Optional[int] = setting(
        1, "Save a file after every so many epochs.", minimum=1, maximum=100000, view="main",
        advice="Each saved epoch can be tried while the next one trains. If the last is overcooked, an earlier one "
               "may be just right.")
    save_every_n_steps: Optional[int] = setting(
        None, "Save a file after every so many steps.", minimum=1, maximum=10000000)
    training_comment: str = setting("", "A note that is kept in the file.", label="Note kept in the file")
