"""The parts of a plot of the Test tab: its columns, its rows, and the plan for the webui."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from ...errors import RunError
from ...host.interface import BLOCK, EPOCH, PRESET, STRENGTH, TEXT, UNET, WITHOUT, PictureSettings, PlotAxis, PlotPlan

KINDS = ("epochs", "strengths", "blocks", "prompts")
ROWS = {"prompts": "Prompt S/R", "strengths": STRENGTH, "checkpoints": "Checkpoint name", "seeds": "Seed",
        "presets": PRESET}
MOST_PICTURES = 400
SEEDS = 2**32 - 1
"""The largest seed of the webui."""


class PlotRequest(BaseModel):
    """A requested plot. ``files`` are names of LoRA files, ``None`` for an image without any.

    ``columns`` are strengths, blocks of the file or the number of seeds, by ``kind``; ``rows`` is the type of
    ``row_values``.
    """

    kind: str
    prompts: list[str]
    files: list[str]
    columns: list[str] = Field(default_factory=list)
    rows: str = "prompts"
    row_values: list[str] = Field(default_factory=list)
    negative_prompt: str = ""
    width: int = Field(512, ge=64, le=2048)
    height: int = Field(512, ge=64, le=2048)
    steps: int = Field(20, ge=1, le=150)
    cfg_scale: float = Field(7.0, ge=1, le=30)
    sampler: str = ""
    seed: int = Field(-1, ge=-1, le=SEEDS)
    clip_skip: int = Field(1, ge=1, le=12)


@dataclass(frozen=True)
class Side:
    """The columns or rows: the webui's axis and the heading of each."""

    title: str
    axis: PlotAxis
    headings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the form stored beside the images."""
        return {"title": self.title, "values": list(self.axis.values), "headings": list(self.headings)}


def plan_of(request: PlotRequest) -> tuple[PlotPlan, Side, Side]:
    """Return the plan, its columns and its rows. Raises ``RunError`` with a sentence if something is missing."""
    prompts = tuple(prompt for text in request.prompts if (prompt := " ".join(text.split())))
    if request.kind not in KINDS:
        raise RunError(f"There is no plot {request.kind!r}. There are: {', '.join(KINDS)}.")
    if not prompts:
        raise RunError("Write at least one prompt.")
    files = [file for file in request.files if file != WITHOUT]
    if not files:
        raise RunError("Choose at least one LoRA file of the run.")
    seed = request.seed if request.seed >= 0 else random.randrange(SEEDS)
    columns, rows = _columns(request, seed), _rows(request, prompts)
    count = len(columns.headings) * len(rows.headings)
    if count > MOST_PICTURES:
        raise RunError(f"These would be {count} images. Take fewer rows or columns, {MOST_PICTURES} at most.")
    picture = PictureSettings(eights(request.width), eights(request.height), request.steps, request.cfg_scale, seed,
                              request.clip_skip, request.sampler, negative_prompt=request.negative_prompt)
    return PlotPlan(f"{prompts[0]} <lora:{files[-1]}:1>", picture, columns.axis, rows.axis), columns, rows


def _columns(request: PlotRequest, seed: int) -> Side:
    if request.kind == "epochs":
        headings = ("No LoRA" if file == WITHOUT else _epoch(file) for file in request.files)
        return Side("Epoch", PlotAxis(EPOCH, tuple(request.files)), tuple(headings))
    if request.kind == "strengths":
        values = _numbers(request.columns)
        return Side("UNet", PlotAxis(UNET, values), tuple(f"UNet {value}" for value in values))
    if request.kind == "blocks":
        blocks = request.columns
        if not blocks:
            raise RunError(f"{request.files[-1]} has no blocks to leave out.")
        # the first one changes no block, as the reference
        return Side("Left out", PlotAxis(BLOCK, (f"{blocks[0]}:1", *(f"{block}:0" for block in blocks))),
                    ("All blocks", *(f"Without {block}" for block in blocks)))
    count = min(20, max(1, int(_numbers(request.columns or ["5"])[0])))
    seeds = tuple(str((seed + number) % SEEDS) for number in range(count))
    return Side("Seed", PlotAxis("Seed", seeds), tuple(f"Seed {seed}" for seed in seeds))


def _rows(request: PlotRequest, prompts: tuple[str, ...]) -> Side:
    if request.kind == "strengths":
        values = _numbers(request.row_values)
        return Side("Text encoder", PlotAxis(TEXT, values), tuple(f"Text encoder {value}" for value in values))
    if request.kind != "epochs" or request.rows == "prompts":
        return Side("Prompt", PlotAxis(ROWS["prompts"], prompts), prompts)
    if request.rows not in ROWS:
        raise RunError(f"Rows cannot be {request.rows!r}. They can be: {', '.join(ROWS)}.")
    if not request.row_values:
        raise RunError(f"Choose the {request.rows} for the rows.")
    values = tuple(request.row_values)
    if request.rows in ("strengths", "seeds"):
        values = _numbers(values)
    title = request.rows.removesuffix("s").capitalize()
    return Side(title, PlotAxis(ROWS[request.rows], values), tuple(f"{title} {value}" for value in values))


def _numbers(texts: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    values = []
    for text in texts:
        try:
            values.append(f"{float(text):.10g}")
        except ValueError:
            raise RunError(f"{text!r} is not a number. Write numbers with commas between, as in 0.5, 1, 1.5.") from None
    if not values:
        raise RunError("Write the strengths with commas between, as in 0.5, 1, 1.5.")
    return tuple(values)


def _epoch(file: str) -> str:
    _, dash, end = file.rpartition("-")
    if dash and end.isdecimal() and len(end) == 6:
        return f"Epoch {int(end)}"
    if dash and end.startswith("step") and end[4:].isdecimal():
        return f"Step {int(end[4:])}"
    return "Last"


def eights(pixels: int) -> int:
    """Return ``pixels`` rounded to a size the webui can generate: a multiple of 8, at least 64."""
    return max(64, pixels // 8 * 8)
