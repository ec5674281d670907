"""Word lists for the tag checks: colours, lengths, kinds of clothes, and mutually exclusive tags."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLOURS = _words("""
    aqua black blonde blond blue brown crimson cyan dark gold golden green grey gray lavender light magenta maroon navy
    olive orange pink platinum purple red silver tan teal turquoise violet white yellow multicolored striped rainbow""")

LENGTHS = ("very short", "short", "medium", "long", "very long", "absurdly long")

KINDS = {
    "footwear": _words("boots boot shoes shoe sneakers sandals heels loafers slippers footwear geta"),
    "headwear": _words("hat cap beret helmet hood headwear bonnet crown tiara beanie"),
    "legwear": _words("thighhighs pantyhose socks kneehighs stockings leggings legwear tights"),
    "eyewear": _words("glasses sunglasses goggles eyewear monocle eyepatch"),
    "neckwear": _words("scarf necktie tie bowtie choker ascot neckerchief neckwear"),
    "handwear": _words("gloves glove mittens handwear"),
    "swimsuit": _words("bikini swimsuit"),
    "headdress": _words("veil headdress headpiece"),
    "animal": _words("cat dog fox rabbit bird wolf bear horse animal"),
}
"""General words, each with the specific words that it covers."""

NEGATIONS = _words("no without missing removed empty bad un fake")

EXCLUSIVE = (
    frozenset({"open mouth", "closed mouth"}),
    frozenset({"indoors", "outdoors"}),
    frozenset({"day", "night"}),
    frozenset({"standing", "sitting", "lying", "kneeling"}),
    frozenset({"smile", "frown"}),
    frozenset({"solo", "multiple girls", "multiple boys", "2girls", "3girls", "2boys", "3boys", "4girls", "5girls"}),
    frozenset({"from front", "from behind"}),
    frozenset({"from above", "from below"}),
    frozenset({"monochrome", "colorful"}),
)
"""Groups of mutually exclusive tags."""


def is_kind_of(general: str, special: str) -> bool:
    """Whether ``special`` is a kind of ``general``, as ``boots`` are ``footwear``."""
    return general in KINDS and special in KINDS[general] and special != general
