"""Further drawn sets for ``benchmarks.diagnosis``: of other sizes, with other tags and backgrounds than fish and mugs.

``houses``, ``faces`` and ``tiles`` are for development; ``boats``, ``robots`` and ``signs`` only judge what was
developed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

COLORS = {"red": (214, 40, 40), "orange": (244, 140, 6), "yellow": (250, 210, 40), "green": (56, 160, 70),
          "blue": (40, 90, 214), "purple": (128, 60, 170), "pink": (244, 130, 180), "brown": (122, 80, 48)}
HOUSES, FACES, TILES, BOATS, ROBOTS, SIGNS = "houses", "faces", "tiles", "boats", "robots", "signs"
_DARK, _PALE = (40, 40, 50), (240, 240, 240)
_SIDE, _DRAWN = 128, 512
_SKIES = {"day": (150, 205, 250), "night": (25, 30, 70), "sunset": (250, 170, 110)}
_UNIQUE = ("chimney", "balcony", "ivy", "letterbox", "weathercock", "satellite dish", "house number", "flower box",
           "antenna", "shutters", "lantern", "doormat", "skylight", "porch")
Drawing = tuple[Image.Image, Sequence[str]]


@dataclass(frozen=True)
class DrawnSet:
    """A set of ``count`` images; ``draw`` makes one of them, with its tags after the trigger word."""

    trigger: str
    count: int
    seed: int
    draw: Callable[[int, random.Random], Drawing]
    visible: tuple[str, ...] = ()
    """Tags without a color that can be seen."""

    def write(self, folder: Path) -> list[Path]:
        """Draw the set into ``folder``; returns its images."""
        rng = random.Random(self.seed)
        for number in range(self.count):
            picture, tags = self.draw(number, rng)
            picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).save(folder / f"{number:02d}.png")
            (folder / f"{number:02d}.txt").write_text(", ".join([self.trigger, *tags]))
        return sorted(folder.glob("*.png"))


def _canvas(color: tuple[int, int, int]) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (_DRAWN, _DRAWN), color)
    return picture, ImageDraw.Draw(picture)


def _house(number: int, rng: random.Random) -> Drawing:
    """Most tags are in one image only, and half of these cannot be seen."""
    color, sky = rng.choice(("red", "yellow", "blue", "green", "pink")), rng.choice(list(_SKIES))
    picture, draw = _canvas(_SKIES[sky])
    ground, w, h, x = 380 + rng.randint(-20, 40), rng.randint(90, 150), rng.randint(120, 190), rng.randint(200, 310)
    draw.rectangle([0, ground, _DRAWN, _DRAWN], fill=(90, 140, 80))
    draw.rectangle([x - w, ground - h, x + w, ground], fill=COLORS[color])
    draw.polygon([(x - w - 30, ground - h), (x + w + 30, ground - h), (x, ground - h - 110)], fill=(110, 60, 50))
    for side in (-1, 1):
        draw.rectangle([x + side * w // 2 - 22, ground - h + 30, x + side * w // 2 + 22, ground - h + 74], fill=_PALE)
    draw.rectangle([x - 22, ground - 70, x + 22, ground], fill=_DARK)
    if number % 2:
        place = rng.randint(x - w, x + w - 40)
        draw.rectangle([place, ground - h - 90, place + 34, ground - h + 20], fill=rng.choice(list(COLORS.values())))
    tree = rng.random() < 0.5
    if tree:
        draw.ellipse([10, ground - 190, 130, ground - 40], fill=(30, 100, 40))
        draw.rectangle([60, ground - 45, 80, ground], fill=(80, 50, 30))
    return picture, [f"{color} house", _UNIQUE[number], sky, *(["tree"] if tree else []), "outdoors"]


def _face(_: int, rng: random.Random) -> Drawing:
    """A cartoon face: nearly all tags are shared."""
    hair = rng.choice(("red", "yellow", "brown", "blue", "purple", "green"))
    ground = rng.choice(("white", "pink", "green", "blue"))
    picture, draw = _canvas(_PALE if ground == "white" else COLORS[ground])
    x, y, r = 256 + rng.randint(-50, 50), 280 + rng.randint(-40, 40), rng.randint(100, 150)
    long_hair, glasses, hat, smile = (rng.random() < share for share in (0.4, 0.4, 0.25, 0.6))
    draw.ellipse([x - r - 25, y - r - 40, x + r + 25, y + r // 2], fill=COLORS[hair])
    if long_hair:
        draw.rectangle([x - r - 25, y - 20, x + r + 25, y + r + 60], fill=COLORS[hair])
    draw.ellipse([x - r, y - r + 10, x + r, y + r], fill=(250, 220, 190))
    for side in (-1, 1):
        eye = x + side * r // 2
        draw.ellipse([eye - 14, y - 30, eye + 14, y], fill=_DARK)
        if glasses:
            draw.ellipse([eye - 38, y - 55, eye + 38, y + 22], outline=_DARK, width=10)
    draw.arc([x - 50, y + (10 if smile else 50), x + 50, y + (80 if smile else 120)], *((0, 180) if smile else
             (180, 360)), fill=(180, 40, 50), width=12)
    if hat:
        draw.rectangle([x - r - 50, y - r - 20, x + r + 50, y - r + 10], fill=_DARK)
        draw.rectangle([x - r // 2 - 30, y - r - 130, x + r // 2 + 30, y - r], fill=_DARK)
    parts = {"long hair": long_hair, "short hair": not long_hair, "glasses": glasses, "hat": hat, "smile": smile,
             "masterpiece": rng.random() < 0.5}
    return picture, [f"{hair} hair", f"{ground} background", *(tag for tag, has in parts.items() if has), "solo"]


def _tile(_: int, rng: random.Random) -> Drawing:
    """A shape on a colored ground: all tags are shared, and the shapes do not differ in color."""
    color, ground = rng.sample(("red", "yellow", "blue", "green", "white", "black"), 2)
    paint = {**COLORS, "white": _PALE, "black": _DARK}
    picture, draw = _canvas(paint[ground])
    shape, large = rng.choice(("circle", "square", "triangle", "cross")), rng.random() < 0.5
    r = rng.randint(170, 210) if large else rng.randint(70, 100)
    x, y = 256 + rng.randint(-30, 30), 256 + rng.randint(-30, 30)
    if shape == "circle":
        draw.ellipse([x - r, y - r, x + r, y + r], fill=paint[color])
    elif shape == "square":
        draw.rectangle([x - r, y - r, x + r, y + r], fill=paint[color])
    elif shape == "triangle":
        draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=paint[color])
    else:
        draw.rectangle([x - r, y - r // 3, x + r, y + r // 3], fill=paint[color])
        draw.rectangle([x - r // 3, y - r, x + r // 3, y + r], fill=paint[color])
    return picture, [f"{color} {shape}", shape, f"{ground} background", "large" if large else "small"]


def _boat(_: int, rng: random.Random) -> Drawing:
    """Captions in words; the sky and the sea vary more than the boat does."""
    hull, sail = rng.choice(("red", "green", "brown", "yellow")), rng.choice(("white", "orange", "purple"))
    sky = tuple(rng.randint(150, 240) for _ in range(3))
    picture, draw = _canvas((sky[0], sky[1], sky[2]))
    sea, x, w = 330 + rng.randint(-30, 30), rng.randint(200, 310), rng.randint(110, 170)
    moon, waves, flag = rng.random() < 0.4, rng.random() < 0.5, rng.random() < 0.35
    draw.rectangle([0, sea, _DRAWN, _DRAWN], fill=(30, rng.randint(80, 140), rng.randint(150, 200)))
    draw.polygon([(x - w, sea - 40), (x + w, sea - 40), (x + w - 50, sea + 45), (x - w + 50, sea + 45)],
                 fill=COLORS[hull])
    top = sea - 40 - rng.randint(190, 240)
    draw.line([x, sea - 40, x, top], fill=_DARK, width=10)
    draw.polygon([(x + 8, top + 10), (x + 8, sea - 60), (x + w - 20, sea - 60)],
                 fill=_PALE if sail == "white" else COLORS[sail])
    if flag:
        draw.rectangle([x - 75, top, x, top + 45], fill=(20, 20, 30))
    if moon:
        draw.ellipse([30, 30, 120, 120], fill=(255, 250, 200))
    for row in (50, 95, 140) if waves else ():
        for place in range(-20, _DRAWN, 90):
            draw.arc([place, sea + row, place + 90, sea + row + 50], 200, 340, fill=_PALE, width=10)
    parts = [part for part, has in (("moon", moon), ("waves", waves), ("flag", flag)) if has]
    return picture, [f"a {hull} boat", f"with a {sail} sail", *parts, *(["calm sea"] if not waves else []), "no humans"]


def _robot(_: int, rng: random.Random) -> Drawing:
    """Several colors, three places, and many tags in each caption."""
    body = rng.choice(("orange", "green", "purple", "blue", "pink"))
    place = rng.choice(("indoors", "grass", "space"))
    picture, draw = _canvas({"indoors": (225, 205, 175), "grass": (170, 215, 245), "space": (20, 15, 45)}[place])
    if place == "grass":
        draw.rectangle([0, 360, _DRAWN, _DRAWN], fill=(100, 170, 70))
    for _star in range(40 if place == "space" else 0):
        a, b = rng.randint(0, 500), rng.randint(0, 500)
        draw.ellipse([a, b, a + 7, b + 7], fill="white")
    x, y, w = rng.randint(190, 320), rng.randint(270, 310), rng.randint(70, 110)
    wheels, antenna, round_head, wave, old = (rng.random() < share for share in (0.5, 0.5, 0.5, 0.3, 0.3))
    draw.rectangle([x - w, y - 60, x + w, y + 100], fill=COLORS[body])
    head = [x - w + 25, y - 160, x + w - 25, y - 65]
    (draw.ellipse if round_head else draw.rectangle)(head, fill=(170, 175, 185))
    for side in (-1, 1):
        draw.ellipse([x + side * 25 - 10, y - 125, x + side * 25 + 10, y - 105], fill=(250, 60, 50))
        if wheels:
            draw.ellipse([x + side * w // 2 - 38, y + 80, x + side * w // 2 + 38, y + 156], fill=_DARK)
        else:
            draw.rectangle([x + side * w // 2 - 16, y + 100, x + side * w // 2 + 16, y + 170], fill=(120, 125, 135))
        raised = wave and side == 1
        draw.line([x + side * w, y - 30, x + side * (w + 55), y + (-140 if raised else 70)], fill=(120, 125, 135),
                  width=22)
    if antenna:
        draw.line([x, y - 160, x, y - 225], fill=(200, 30, 30), width=10)
        draw.ellipse([x - 16, y - 245, x + 16, y - 213], fill=(250, 60, 50))
    parts = {"wheels": wheels, "legs": not wheels, "antenna": antenna, "round head": round_head,
             "square head": not round_head, "waving": wave, "vintage": old, "best quality": rng.random() < 0.6}
    return picture, [f"{body} robot", place, *(tag for tag, has in parts.items() if has), "no humans", "simple shading"]


def _sign(_: int, rng: random.Random) -> Drawing:
    """A road sign, always in nearly the same place and of the same size: many are alike."""
    color, shape = rng.choice(("red", "blue", "yellow", "green")), rng.choice(("round sign", "square sign", "triangle"))
    picture, draw = _canvas((185, 210, 235))
    clouds, hills, symbol = rng.random() < 0.4, rng.random() < 0.5, rng.choice(("arrow", "bar", "dots", "cross"))
    x, y, r = 256 + rng.randint(-12, 12), 210 + rng.randint(-10, 10), rng.randint(120, 135)
    for place in (60, 330) if clouds else ():
        draw.ellipse([place, 20, place + 130, 80], fill=_PALE)
    if hills:
        draw.ellipse([-150, 330, 330, 700], fill=(120, 160, 95))
        draw.ellipse([200, 360, 700, 700], fill=(105, 150, 85))
    draw.rectangle([x - 11, y, x + 11, _DRAWN], fill=(120, 125, 135))
    if shape == "round sign":
        draw.ellipse([x - r, y - r, x + r, y + r], fill=COLORS[color])
    elif shape == "square sign":
        draw.rectangle([x - r, y - r, x + r, y + r], fill=COLORS[color])
    else:
        draw.polygon([(x, y - r - 30), (x - r - 20, y + r - 20), (x + r + 20, y + r - 20)], fill=COLORS[color])
    if symbol == "arrow":
        draw.rectangle([x - 12, y - 30, x + 12, y + 70], fill=_PALE)
        draw.polygon([(x, y - 80), (x - 45, y - 20), (x + 45, y - 20)], fill=_PALE)
    elif symbol == "dots":
        for side in (-50, 0, 50):
            draw.ellipse([x + side - 18, y + 2, x + side + 18, y + 38], fill=_PALE)
    else:
        draw.rectangle([x - 65, y + 5, x + 65, y + 35], fill=_PALE)
        if symbol == "cross":
            draw.rectangle([x - 15, y - 45, x + 15, y + 85], fill=_PALE)
    parts = {"clouds": clouds, "hills": hills, "high quality": rng.random() < 0.5}
    return picture, [f"{color} sign", shape, symbol, *(tag for tag, has in parts.items() if has), "pole", "no humans"]


DRAWN_SETS = {
    HOUSES: DrawnSet("emohouse", 14, 11, _house, ("day", "night", "sunset", "tree")),
    FACES: DrawnSet("emoface", 28, 12, _face, ("long hair", "short hair", "glasses", "hat", "smile")),
    TILES: DrawnSet("emotile", 40, 13, _tile, ("circle", "square", "triangle", "cross", "large", "small")),
    BOATS: DrawnSet("emoboat", 18, 14, _boat, ("moon", "waves", "flag")),
    ROBOTS: DrawnSet("emorobot", 32, 15, _robot, ("indoors", "grass", "space", "wheels", "legs", "antenna", "waving",
                                                  "round head", "square head")),
    SIGNS: DrawnSet("emosign", 30, 16, _sign, ("round sign", "square sign", "triangle", "arrow", "bar", "dots", "cross",
                                               "clouds", "hills")),
}
