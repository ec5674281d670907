"""Which tags of an image say nothing that a longer tag does not say too: ``hair`` beside ``very long hair``."""

from __future__ import annotations

from collections.abc import Sequence

_LINKS = frozenset(("on", "in", "over", "under", "between", "behind", "of", "with", "to", "at", "for", "from",
                    "against", "around", "through", "and", "or", "as", "by", "across", "above", "below", "beside",
                    "without", "no", "not", "missing", "unworn", "removed", "removing", "covered", "alternate",
                    "holding", "adjusting", "reflected"))
"""Words before a tag that make the longer one mean something else: ``hand on hip``, ``no humans``."""
_BY_OTHER_NAMES = {
    "simple background": ("white background", "black background", "grey background", "gray background",
                          "blue background", "red background", "green background", "pink background",
                          "yellow background", "orange background", "purple background", "brown background",
                          "gradient background", "two-tone background", "transparent background"),
    "long hair": ("very long hair", "absurdly long hair"),
    "large breasts": ("huge breasts", "gigantic breasts"),
    "smile": ("grin", "smirk"),
    "outdoors": ("cityscape", "forest", "beach", "mountain"),
    "hat": ("witch hat", "baseball cap", "beret", "top hat"),
    "animal ears": ("cat ears", "dog ears", "fox ears", "rabbit ears", "wolf ears", "horse ears", "mouse ears"),
    "holding": ("holding sword", "holding weapon", "holding gun", "holding phone", "holding cup", "holding book"),
    "footwear": ("boots", "shoes", "sandals", "high heels", "sneakers"),
}
"""Tags that others imply without ending in them."""


def implied_tags(tags: Sequence[str]) -> set[str]:
    """Those of ``tags`` (``plain`` spelling) that another one implies.

    A tag is implied by one that ends in it as whole words, unless a linking word stands before it, and by the names in
    a small table. Danbooru's own list of implications has thousands; this rule needs no download and knows most of the
    frequent ones.
    """
    present = set(tags)
    implied = {tag for tag, others in _BY_OTHER_NAMES.items() if tag in present and not present.isdisjoint(others)}
    for longer in present:
        words = longer.split(" ")
        for first in range(1, len(words)):
            tail = " ".join(words[first:])
            if tail in present and _LINKS.isdisjoint(words[:first]):
                implied.add(tail)
    return implied
