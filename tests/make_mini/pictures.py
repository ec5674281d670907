"""Which emoji pictures there are, what they are called, and how they become training pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FAMILY_WORD = "heart"
"""Every picture whose name, subgroup or keywords have this word stays out of base training."""

BASE_NAMES = frozenset(
    """
    grapes, melon, watermelon, tangerine, lemon, banana, pineapple, mango, red apple, green apple, pear, peach,
    cherries, strawberry, blueberries, kiwi fruit, tomato, olive, coconut, avocado, eggplant, potato, carrot,
    ear of corn, hot pepper, bell pepper, broccoli, garlic, onion, bread, croissant, pretzel, pancakes, cheese
    wedge, bacon, hamburger, french fries, pizza, hot dog, taco, cooking, popcorn, soft ice cream, doughnut,
    cookie, birthday cake, cupcake, chocolate bar, candy, lollipop, honey pot, monkey face, dog face, fox, cat
    face, lion, tiger face, cow face, pig face, mouse face, hamster, rabbit face, bear, polar bear, koala,
    panda, frog, unicorn, wolf, horse face, elephant, cherry blossom, rose, hibiscus, sunflower, blossom, tulip,
    grinning face, smiling face with sunglasses, winking face, face with tears of joy, slightly smiling face,
    smiling face with halo, cowboy hat face, nerd face, clown face, ghost, alien, robot, pile of poo, bus,
    ambulance, fire engine, police car, taxi, automobile, delivery truck, tractor, locomotive, bicycle, red
    circle, orange circle, yellow circle, green circle, blue circle, purple circle, brown circle, black circle,
    white circle, red square, orange square, yellow square, green square, blue square, purple square, brown
    square
    """.replace("\n    ", " ")
    .strip()
    .split(", ")
)
"""What the diffusion model learns: as much as its size and half an hour of training can hold."""

HUES = (
    (15, "red"), (36, "orange"), (68, "yellow"), (165, "green"),
    (250, "blue"), (295, "purple"), (338, "pink"), (361, "red"),
)  # fmt: skip
"""Upper end of each hue, in degrees."""


@dataclass(frozen=True)
class Picture:
    """One emoji: its file, and the words that describe it."""

    file: Path
    name: str
    group: str
    subgroup: str
    keywords: tuple[str, ...]


def _code_points(text: str) -> str:
    return "-".join(part for part in text.lower().split("-") if part != "fe0f")


def _plain(words: Iterable[str]) -> tuple[str, ...]:
    """Lower-case words of letters and spaces, each once, in their order."""
    tidy = (word.lower().replace("_", " ").replace("-", " ").strip() for word in words)
    return tuple(
        dict.fromkeys(word for word in tidy if word.replace(" ", "").isalpha() and word.isascii() and len(word) > 2)
    )


def read_pictures(fluent: Path, datasource: Path, emojilib: Path) -> list[Picture]:
    """Join the three packages (unpacked npm packages of CARD.md) on the code points, in a fixed order.

    Skin-tone variants have no entry of their own in `emoji.json`, so they stay out.
    """
    files = {_code_points(file.stem): file for file in (fluent / "assets").glob("*.webp")}
    entries = json.loads((datasource / "emoji.json").read_text("utf-8"))
    keywords_of = json.loads((emojilib / "dist" / "emoji-en-US.json").read_text("utf-8"))
    pictures = []
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        file = files.get(_code_points(entry["unified"]))
        if file is None:
            continue
        emoji = "".join(chr(int(point, 16)) for point in entry["unified"].split("-"))
        words = _plain(keywords_of.get(emoji) or keywords_of.get(emoji.removesuffix("\ufe0f"), ()))
        name = words[0] if words else _plain([entry["name"], entry["short_name"]])[0]
        pictures.append(Picture(file, name, entry["category"].lower(), entry["subcategory"], words[1:]))
    return pictures


def is_family(picture: Picture) -> bool:
    """Whether the picture shows the held-out thing itself."""
    return picture.subgroup == FAMILY_WORD or picture.name == "heart suit"


def shows_family(picture: Picture) -> bool:
    """Whether the held-out thing may be seen or named anywhere in the picture."""
    return any(FAMILY_WORD in text for text in (picture.name, picture.subgroup, *picture.keywords))


def base_pictures(pictures: list[Picture]) -> list[Picture]:
    """What the diffusion model learns, with only such keywords as at least three pictures share."""
    chosen = [p for p in pictures if p.name in BASE_NAMES and not shows_family(p)]
    return with_shared_keywords(chosen, at_least=3)


def with_shared_keywords(pictures: list[Picture], at_least: int) -> list[Picture]:
    """The pictures without those keywords that fewer than `at_least` of them have."""
    counts = Counter(word for picture in pictures for word in picture.keywords)
    return [replace(p, keywords=tuple(w for w in p.keywords if counts[w] >= at_least)[:6]) for p in pictures]


def read_rgba(picture: Picture, side: int) -> NDArray[np.float32]:
    """Float array (side, side, 4) in 0..1, scaled with premultiplied alpha; colour is premultiplied too."""
    with Image.open(picture.file) as image:
        rgba = np.asarray(image.convert("RGBA").convert("RGBa").resize((side, side), Image.Resampling.BOX))
    return rgba.astype(np.float32) / 255


def on_background(rgba: NDArray[np.float32], colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """Premultiplied (..., H, W, 4) in 0..1 over a colour (..., 3) gives (..., H, W, 3) in 0..1."""
    return rgba[..., :3] + (1 - rgba[..., 3:]) * colour[..., None, None, :]


def colour_words(rgba: NDArray[np.float32]) -> tuple[str, ...]:
    """At most two colour words, each true of 30 % or more of the picture's opaque pixels."""
    opaque = rgba[rgba[..., 3] > 0.5]
    rgb = opaque[:, :3] / opaque[:, 3:]
    high, low = rgb.max(1), rgb.min(1)
    hue = _hue_degrees(rgb, high, low)
    grey = (high - low) < 0.16 * np.maximum(high, 0.25)
    shares: Counter[str] = Counter()
    start = 0
    for end, word in HUES:
        inside = ~grey & (hue >= start) & (hue < end)
        if word == "orange":
            shares["brown"] += int((inside & (high < 0.66)).sum())
            inside &= high >= 0.66
        shares[word] += int(inside.sum())
        start = end
    shares["white"] = int((grey & (high > 0.8)).sum())
    shares["black"] = int((grey & (high < 0.33)).sum())
    shares["grey"] = int(grey.sum()) - shares["white"] - shares["black"]
    return tuple(word for word, count in shares.most_common(2) if count >= 0.3 * len(opaque))


def _hue_degrees(rgb: NDArray[np.float32], high: NDArray[np.float32], low: NDArray[np.float32]) -> NDArray[np.float32]:
    red, green, blue = rgb.T
    span = np.maximum(high - low, 1e-6)
    hue = np.where(
        high == red, (green - blue) / span, np.where(high == green, 2 + (blue - red) / span, 4 + (red - green) / span)
    )
    return (hue * 60 % 360).astype(np.float32)


def caption(picture: Picture, colours: tuple[str, ...], random: np.random.Generator) -> str:
    """One caption: usually the name, some keywords and colours, comma-separated; one in ten is empty."""
    if random.random() < 0.1:
        return ""
    extras = [word for word in (*picture.keywords, picture.group) if word not in picture.name]
    some = list(random.permutation(extras)[: random.integers(0, 5)]) if extras else []
    some += [colour for colour in colours if random.random() < 0.5]
    random.shuffle(some)
    if some and random.random() < 0.06:
        return ", ".join(some)
    position = 0 if random.random() < 0.6 else int(random.integers(0, len(some) + 1))
    return ", ".join([*some[:position], picture.name, *some[position:]])
