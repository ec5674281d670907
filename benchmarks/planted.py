"""Sets with planted faults: the hearts of ``demo/``, fish and mugs that are drawn here, and further drawn sets."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.drawn_sets import COLORS, DRAWN_SETS
from lib_lora_train.cli.demo import DEMO_FOLDER

HEARTS, FISH, MUGS = "hearts", "fish", "mugs"
TRIGGERS = {HEARTS: "emoheart", FISH: "emofish", MUGS: "emomug",
            **{name: drawn.trigger for name, drawn in DRAWN_SETS.items()}}
SETS = tuple(TRIGGERS)
CLEAN, OTHER, CAPTION, TAG, DUPLICATE = "clean", "other", "caption", "tag", "duplicate"
FAULTS = (OTHER, CAPTION, TAG, DUPLICATE)
_ALIKE = ({"red", "pink", "orange", "purple"}, {"brown", "black"}, {"orange", "yellow", "brown"})
_SIDE, _DRAWN = 128, 512
_FISH, _MUGS = 24, 22
_VISIBLE = {"striped", "dotted", "bubbles", "steam", "saucer", "spoon",
            *(tag for drawn in DRAWN_SETS.values() for tag in drawn.visible)}


@dataclass(frozen=True)
class Planted:
    """What was planted: the names of the images, and the tag if it is one."""

    images: tuple[str, ...] = ()
    tag: str = ""


def make_set(name: str, folder: Path) -> list[Path]:
    """Write a set with captions; returns its images."""
    folder.mkdir(parents=True)
    if name == FISH:
        return draw_fish_set(folder)
    if name == MUGS:
        return draw_mug_set(folder)
    if name in DRAWN_SETS:
        return DRAWN_SETS[name].write(folder)
    for path in sorted((DEMO_FOLDER / "pictures").glob("*.webp")):
        with Image.open(path) as image:
            subject = image.convert("RGBA").resize((_SIDE, _SIDE))
        ground = Image.new("RGB", subject.size, "white")
        ground.paste(subject, mask=subject.getchannel("A"))
        ground.save(folder / f"{path.stem}.png")
        shutil.copyfile(path.with_suffix(".txt"), folder / f"{path.stem}.txt")
    return sorted(folder.glob("*.png"))


def plant(fault: str, name: str, pictures: Sequence[Path], rng: random.Random) -> Planted:
    """Plant ``fault`` into the set ``name``, whose images are ``pictures``."""
    folder = pictures[0].parent
    if fault == OTHER:
        return _other_thing(name, folder / "extra.png", _caption(rng.choice(pictures)), rng)
    if fault == CAPTION:
        image, other = _of_different_colors(pictures, rng)
        image.with_suffix(".txt").write_text(_caption(other))
        return Planted((image.name,))
    if fault == TAG:
        return _wrong_tag(pictures, rng)
    if fault == DUPLICATE:
        original = rng.choice(pictures)
        with Image.open(original) as image:
            image.resize((120, 120), Image.Resampling.BICUBIC).save(folder / "copy.jpg", quality=85)
        (folder / "copy.txt").write_text(_caption(original))
        return Planted((original.name, "copy.jpg"))
    return Planted()


def _other_thing(name: str, target: Path, caption: str, rng: random.Random) -> Planted:
    """An image of another set (hearts, or a fish among hearts), with the caption of one of this set."""
    if name == HEARTS:
        draw_fish(rng.choice(list(COLORS)), rng.choice(("plain", "striped", "dotted")), False, rng).save(target)
    else:
        source = rng.choice(sorted((DEMO_FOLDER / "pictures").glob("*.webp")))
        with Image.open(source) as image:
            subject = image.convert("RGBA").resize((_SIDE, _SIDE))
        ground = Image.new("RGB", subject.size, "white")
        ground.paste(subject, mask=subject.getchannel("A"))
        ground.save(target)
    target.with_suffix(".txt").write_text(caption)
    return Planted((target.name,))


def _of_different_colors(pictures: Sequence[Path], rng: random.Random) -> tuple[Path, Path]:
    """Two images whose captions name colors that nobody would confuse."""
    while True:
        one, other = rng.sample(list(pictures), 2)
        first, second = _main_colors(_caption(one)), _main_colors(_caption(other))
        if first and second and not any(_confusable(a, b) for a in first for b in second):
            return one, other


def _wrong_tag(pictures: Sequence[Path], rng: random.Random) -> Planted:
    """A tag that some captions have, added to a tenth of the others, where it is not true."""
    while True:
        having = rng.choice(list(pictures))
        tag = rng.choice(_caption(having).split(", ")[1:])
        others = [path for path in pictures if tag not in _caption(path) and not _may_be_true(tag, _caption(path))]
        if sum(tag in _caption(path).split(", ") for path in pictures) >= 3 and _is_visible(tag) and len(others) >= 3:
            break
    chosen = rng.sample(others, max(2, round(len(pictures) / 10)))
    for path in chosen:
        path.with_suffix(".txt").write_text(f"{_caption(path)}, {tag}")
    return Planted(tuple(path.name for path in chosen), tag)


def _is_visible(tag: str) -> bool:
    return bool(_colors(tag)) or tag in _VISIBLE


def _main_colors(caption: str) -> set[str]:
    """The colors of the first tag that names one."""
    return next((found for tag in caption.split(", ") if (found := _colors(tag))), set())


def _may_be_true(tag: str, caption: str) -> bool:
    return any(_confusable(a, b) for a in _colors(tag) for b in _colors(caption))


def _colors(caption: str) -> set[str]:
    return {word for word in caption.replace(",", " ").split() if word in (*COLORS, "black", "white", "grey")}


def _confusable(one: str, other: str) -> bool:
    return one == other or any({one, other} <= alike for alike in _ALIKE)


def _caption(picture: Path) -> str:
    return picture.with_suffix(".txt").read_text(encoding="utf-8").strip()


def draw_fish_set(folder: Path, seed: int = 7) -> list[Path]:
    """Draw fish of eight colors, plain, striped or dotted, some with bubbles; returns their files."""
    rng = random.Random(seed)
    for number in range(_FISH):
        color, pattern = list(COLORS)[number % len(COLORS)], ("plain", "striped", "dotted")[number // len(COLORS)]
        bubbles = rng.random() < 0.4
        tags = [TRIGGERS[FISH], f"{color} fish", *([pattern] if pattern != "plain" else []),
                *(["bubbles"] if bubbles else []), "simple background"]
        draw_fish(color, pattern, bubbles, rng).save(folder / f"{number:02d}.png")
        (folder / f"{number:02d}.txt").write_text(", ".join(tags))
    return sorted(folder.glob("*.png"))


def draw_fish(color: str, pattern: str, bubbles: bool, rng: random.Random) -> Image.Image:
    """A fish on white, 128 x 128, of random size, place and direction."""
    picture = Image.new("RGB", (_DRAWN, _DRAWN), "white")
    draw = ImageDraw.Draw(picture)
    paint = COLORS[color]
    red, green, blue = (int(part * 0.55) for part in paint)
    dark = (red, green, blue)
    w, h = rng.randint(150, 175), rng.randint(95, 120)
    x, y = _DRAWN // 2 - 20 + rng.randint(-12, 12), _DRAWN // 2 + 20 + rng.randint(-12, 12)
    draw.polygon([(x + w - 30, y), (x + w + 85, y - 90), (x + w + 85, y + 90)], fill=dark)
    draw.polygon([(x - 40, y - h + 20), (x + 40, y - h - 60), (x + 90, y - h + 30)], fill=dark)
    body, skin = Image.new("L", picture.size, 0), Image.new("RGB", picture.size, paint)
    ImageDraw.Draw(body).ellipse([x - w, y - h, x + w, y + h], fill=255)
    on_skin = ImageDraw.Draw(skin)
    for place in range(x - w + 90, x + w, 75 if pattern == "striped" else 70):
        if pattern == "striped":
            on_skin.rectangle([place, 0, place + 32, _DRAWN], fill="white")
        for row in range(y - h + 20, y + h, 70) if pattern == "dotted" else ():
            on_skin.ellipse([place - 17, row - 17, place + 17, row + 17], fill=dark)
    picture.paste(skin, mask=body)
    draw.ellipse([x - w + 35, y - 50, x - w + 85, y], fill="white")
    draw.ellipse([x - w + 48, y - 37, x - w + 75, y - 10], fill="black")
    for place in range(3 if bubbles else 0):
        left, top = 50 + place * 22, 150 - 50 * place
        draw.ellipse([left, top, left + 44, top + 44], outline=(90, 170, 230), width=9)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned = picture.rotate(rng.uniform(-30, 30), Image.Resampling.BICUBIC, fillcolor="white")
    side = rng.randint(90, _SIDE)
    small = turned.resize((side, side), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (_SIDE, _SIDE), "white")
    canvas.paste(small, (rng.randint(0, _SIDE - side), rng.randint(0, _SIDE - side)))
    return canvas


def draw_mug_set(folder: Path, seed: int = 3) -> list[Path]:
    """Draw mugs of random colors, as often as it happens, some with a band, steam, a saucer or a spoon."""
    rng = random.Random(seed)
    for number in range(_MUGS):
        color = rng.choice(("red", "green", "blue", "yellow", "pink"))
        parts = [part for part in ("striped", "steam", "saucer", "spoon") if rng.random() < 0.4]
        draw_mug(color, parts, rng).save(folder / f"{number:02d}.png")
        tags = [TRIGGERS[MUGS], f"{color} mug", *parts, *(["cozy"] if rng.random() < 0.5 else []), "no humans"]
        (folder / f"{number:02d}.txt").write_text(", ".join(tags))
    return sorted(folder.glob("*.png"))


def draw_mug(color: str, parts: Sequence[str], rng: random.Random) -> Image.Image:
    """A mug on a table, 128 x 128, of random size, place and wall."""
    gray = rng.randint(200, 250)
    picture = Image.new("RGB", (_DRAWN, _DRAWN), (gray, gray, rng.randint(190, 250)))
    draw = ImageDraw.Draw(picture)
    foot = 400 + rng.randint(-20, 20)
    draw.rectangle([0, foot - 20, _DRAWN, _DRAWN], fill=(170, 130, 90))
    w, h, x = rng.randint(75, 105), rng.randint(170, 230), _DRAWN // 2 + rng.randint(-60, 40)
    if "saucer" in parts:
        draw.ellipse([x - w - 75, foot - 25, x + w + 75, foot + 35], fill=(240, 240, 240), outline=(120, 120, 120))
    draw.ellipse([x + w - 30, foot - h + 40, x + w + 70, foot - 50], outline=COLORS[color], width=24)
    draw.rectangle([x - w, foot - h, x + w, foot], fill=COLORS[color])
    for place in range(foot - h + 35, foot - 30, 60) if "striped" in parts else ():
        draw.rectangle([x - w, place, x + w, place + 24], fill="white")
    draw.ellipse([x - w, foot - h - 22, x + w, foot - h + 22], fill=(70, 45, 30), outline=COLORS[color], width=8)
    if "spoon" in parts:
        draw.line([x, foot - h, x - w - 50, foot - h - 110], fill=(110, 110, 120), width=16)
    for place in (-45, 0, 45) if "steam" in parts else ():
        draw.arc([x + place - 25, foot - h - 130, x + place + 25, foot - h - 30], 90, 270, fill="white", width=12)
    return picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
