"""The diagnosis of a run as its worker would write it, for tests of the page: one image does not learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

TIMESTEPS = (150, 500, 850)
LEVELS = (1.6, 1.0, 0.4)
"""How much higher or lower the loss is at each timestep than in the mean."""


def write_diagnosis(run: Path, dataset: Path, images: Sequence[str], saves: int = 5, odd: int = 3,
                    tags: Sequence[str] = ("penny", "hat")) -> None:
    """Write plan, measurements and findings for ``images`` (paths in ``dataset``); the image ``odd`` does not learn."""
    folder = run / "diagnosis"
    folder.mkdir(exist_ok=True)
    plan = {"version": 1, "fingerprint": "x", "timesteps": TIMESTEPS, "images": [
        {"index": index, "path": str(dataset / path), "caption": _caption(dataset / path),
         "tags": _caption(dataset / path).split(", "), "concept": "penny" if index % 2 else "fox",
         "bucket": [64, 64], "repeats": 1} for index, path in enumerate(images)]}
    (folder / "plan.json").write_text(json.dumps(plan))
    with (folder / "measurements.jsonl").open("w") as file:
        for save in range(saves):
            file.write(json.dumps(_measurement(save, len(images), odd, tags)) + "\n")
    (folder / "findings.json").write_text(json.dumps(findings(10 * (saves - 1), odd, len(images), tags)))


def findings(step: int, odd: int, images: int, tags: Sequence[str]) -> dict:
    """What is found: the image ``odd``, and the last of ``tags`` on it."""
    return {"step": step, "images": [{
        "image": odd, "rank": 1, "suspicion": 0.9, "kind": "other", "alarm": True,
        "reason": "Its loss hardly falls while that of the others does: it shows something else.",
        "others": [0 if odd else 1], "ways": ["look", "weight", "retag", "leave_out"]}, {
        "image": 0 if odd else 1, "rank": 2, "suspicion": 0.3, "kind": "hard", "alarm": False,
        "reason": "It is learned a little more slowly.", "others": [], "ways": ["look", "retag"]}],
        "tags": [{"tag": tags[-1], "rank": 1, "suspicion": 0.7, "alarm": True, "ways": ["look", "retag"],
                  "reason": "Its image is easier without it.", "images": [odd]}],
        "balance": [{"kind": "concept", "name": "fox", "learned": 0.31, "images": images // 2, "reason": ""},
                    {"kind": "concept", "name": "penny", "learned": 0.12, "images": images // 2,
                     "reason": "Less than half of fox."}]}


def _measurement(save: int, images: int, odd: int, tags: Sequence[str]) -> dict:
    levels = [0.3 if image == odd else 0.3 * 0.8 ** save + 0.001 * (image % 50) for image in range(images)]
    return {"step": 10 * save, "epoch": save, "seconds": 0.5,
            "loss": [[round(level * factor, 5) for factor in LEVELS] for level in levels],
            "empty": [[round(level * factor + 0.02, 5) for factor in LEVELS] for level in levels],
            "tags": [{"image": odd, "tag": tag, "own": 0.3, "other": 0.33 if place == 0 else 0.27}
                     for place, tag in enumerate(tags)]}


def _caption(image: Path) -> str:
    file = image.with_suffix(".txt")
    return file.read_text().strip() if file.is_file() else "penny, hat"
