"""Thirty goals as examples: for the table in docs/goals.md, and to try every kind of goal on every family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.groups.goal import GoalSettings
from ..families import FAMILIES, SD1, FamilyAdvice
from .plan import RULES, Plan, plan_for
from .rule import IMAGES_SEEN, Facts

WISHES: Mapping[str, Mapping[str, Any]] = {
    "An ordinary girl, 40 good images": {"category": "A", "images": 40},
    "An ordinary man, 40 good images": {"category": "A", "male": True, "images": 40},
    "A girl with unusual hair, 60 good images": {"category": "B", "images": 60},
    "A knight in armor, male, likeness": {"category": "C", "male": True, "images": 50, "matters": ["likeness"]},
    "A winged girl in the smallest file": {"category": "C", "images": 50, "matters": ["small_file"]},
    "A real man, accurate clothes": {"category": "D", "male": True, "images": 30, "matters": ["likeness", "clothes"]},
    "A furry character, flexible": {"category": "D", "images": 90, "matters": ["flexibility"]},
    "A chibi mascot, 20 poor images": {"category": "E", "images": 20, "quality": "poor"},
    "A queen in a ridiculously ornate dress": {"category": "F", "images": 60, "matters": ["clothes"]},
    "A Gundam, overnight": {"category": "G", "images": 80, "minutes": 480},
    "A giant insect, 25 poor images": {"category": "H", "images": 25, "quality": "poor"},
    "An eldritch abomination, likeness": {"category": "I", "images": 40, "matters": ["likeness"]},
    "Some character, no idea how hard": {"images": 50},
    "Some character, small file and flexible": {"images": 50, "matters": ["small_file", "flexibility"]},
    "A character that the base model knows": {"category": "B", "known": True, "images": 30},
    "An obscure character, 4 images": {"category": "B", "images": 4, "quality": "mixed"},
    "A character, captions in sentences, in half an hour": {"category": "C", "images": 40, "captions": "prose",
                                                            "minutes": 30},
    "A pokemon kept as it is": {"kind": "creature", "images": 60},
    "A pokemon kept as it is, every scale": {"kind": "creature", "category": "F", "images": 60,
                                             "matters": ["likeness"]},
    "A pokemon made humanoid": {"kind": "creature", "images": 60, "made_into": "humanoid"},
    "A dragon, poor images, overnight": {"kind": "creature", "category": "H", "images": 30, "quality": "poor",
                                         "minutes": 480},
    "A car, true to life": {"kind": "vehicle", "category": "E", "images": 60, "matters": ["likeness"]},
    "A car in a tiny file": {"kind": "vehicle", "category": "E", "images": 60, "matters": ["small_file"]},
    "A spaceship as an anime drawing": {"kind": "vehicle", "category": "C", "images": 40, "made_into": "drawing"},
    "A painter's style, 60 images": {"kind": "style", "images": 60},
    "A painter's style, 800 images": {"kind": "style", "images": 800},
    "A studio's style, 12,000 images, overnight": {"kind": "style", "images": 12000, "minutes": 480},
    "A simple pose": {"kind": "concept", "images": 80},
    "An elaborate place, small file": {"kind": "concept", "elaborate": True, "images": 200, "matters": ["small_file"]},
    "A uniform with many details, flexible": {"kind": "outfit", "elaborate": True, "images": 70,
                                              "matters": ["clothes", "flexibility"]},
}
"""By what a person would say; settings of ``GoalSettings``."""

_COLUMNS = ("network.network_dim", "network.network_alpha", "loss.min_snr_gamma", "dataset.resolution", IMAGES_SEEN,
            "training.max_train_epochs")


def plan_of_wish(wish: str, family: FamilyAdvice = SD1, **facts: Any) -> Plan:
    """The plan of one of ``WISHES`` on ``family``, with one image file for each image."""
    goal = GoalSettings(**WISHES[wish])
    return plan_for(goal, Facts(family, images_per_epoch=goal.images, **facts))


def wishes_table() -> str:
    """The wishes and their main settings on SD 1.x as Markdown, with the rank on SDXL and the rules that decided."""
    rows = ["| goal | network | rank (SDXL) | alpha | min-SNR gamma | size | images seen | epochs | decided by |",
            "|---|---|---|---|---|---|---|---|---|"]
    for wish in WISHES:
        plan, wide = plan_of_wish(wish), plan_of_wish(wish, FAMILIES["SDXL"])
        values = {**plan.values, IMAGES_SEEN: plan.images_seen}
        dim, alpha, *others = (f"{values[key]:g}" if isinstance(values[key], float) else f"{values[key]}"
                               for key in _COLUMNS)
        rules = dict.fromkeys(one.id for one in plan.fired
                              if not one.todo and any(key in (*_COLUMNS, "network.network_type") for key in one.values)
                              and one.id not in ("clean", "adaptive", "resolution", "epochs", "usual-length", "gamma"))
        repeats = values.get("dataset.dataset_repeats", 1)
        others[-1] += f" ({repeats} repeats)" if repeats > 1 else ""
        rank = f"{dim} ({wide.values['network.network_dim']})"
        cells = (wish, values["network.network_type"], rank, alpha, *others,
                 ", ".join(f"`{rule}`" for rule in rules))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def rules_table() -> str:
    """Every rule as Markdown: when it applies, and its source."""
    rows = ["| rule | when | source |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| `{rule.id}` | {rule.asked} | {rule.source} |" for rule in RULES)])
