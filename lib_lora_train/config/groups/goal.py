"""A goal: what is to be trained, from what, and what matters. A plan of settings follows from it. No groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ..setting import IMAGES, setting

CHARACTER, CREATURE, VEHICLE, STYLE, CONCEPT, OUTFIT = "character", "creature", "vehicle", "style", "concept", "outfit"
KINDS = (CHARACTER, CREATURE, VEHICLE, STYLE, CONCEPT, OUTFIT)
ITSELF, HUMANOID, DRAWING = "itself", "humanoid", "drawing"
GOOD, MIXED, POOR = "good", "mixed", "poor"
LIKENESS, CLOTHES, FLEXIBILITY, SMALL_FILE = "likeness", "clothes", "flexibility", "small_file"
TAGS, PROSE, NO_CAPTIONS = "tags", "prose", "none"


@dataclass(frozen=True)
class GoalSettings:
    """What is to be trained, from which images, on which base, and what matters."""

    kind: str = setting(CHARACTER, "What is trained.", label="What do you want to train?", choices=KINDS, view="main")
    category: str = setting(
        "", "How hard it is to learn, A to I; empty if unknown.", label="How hard is it to learn?",
        choices=("", *"ABCDEFGHI"), view="main",
        advice="For characters and creatures. Vehicles are between C and G.")
    male: bool = setting(
        False, "A male character, which most models know less well.", label="Male", view="main")
    made_into: str = setting(
        ITSELF, "What it should become: itself; humanoid (a creature with a human shape); a drawing (a vehicle that "
        "need not be true to life).", label="Should become", choices=(ITSELF, HUMANOID, DRAWING), view="main")
    elaborate: bool = setting(
        False, "A concept or outfit with many details.", label="Many details", view="main")
    known: Optional[bool] = setting(
        None, "The base model can already draw it from a prompt. Empty: as a check of it says, if there is one.",
        label="The base model knows it", view="main")
    images: int = setting(
        0, "How many images there are; 0 if unknown.", label="Images", minimum=0, maximum=10000000, view="main")
    quality: str = setting(
        "", "How good the images are: good; mixed; poor, such as small, inaccurate or in a style that should not be "
        "learned. Empty: judged by their size.", label="Quality", choices=("", GOOD, MIXED, POOR), view="main")
    captions: str = setting(
        "", "How the images are captioned: tags, prose (sentences) or none. Empty: as the captions are.",
        label="Captions", choices=("", TAGS, PROSE, NO_CAPTIONS))
    matters: List[str] = setting(
        [], "What matters most.", label="What matters?", choices=(LIKENESS, CLOTHES, FLEXIBILITY, SMALL_FILE),
        view="main")
    minutes: Optional[int] = setting(
        None, "How long training may take; empty for as long as it needs.", label="Time", unit="minutes", minimum=1,
        maximum=100000, view="main", advice="480 for overnight.")
    vram_gb: Optional[float] = setting(
        None, "GPU memory that training may use; empty if unknown.", label="VRAM limit", unit="GB", minimum=1,
        maximum=1000, view="main")
    checkpoint: str = setting("", "The base model.", label="Checkpoint")
    family: str = setting("", "The family of the base model, such as SDXL or Pony; empty to detect it.",
                          label="Family")
    train_data_dir: str = setting("", "The folder with the images, which are then counted.", label="Image folder",
                                  path=IMAGES)
    output_name: str = setting("", "The name of the LoRA.", label="LoRA name")
