"""How hard a character is to learn, and the rank and network type it needs.

After the guide's "Character difficulty", "Female bias" and "Character difficulty and settings".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .families import FamilyAdvice


@dataclass(frozen=True)
class Difficulty:
    """One category. ``lowest_rank`` and ``highest_rank`` bound ``network_dim``; ``networks`` is ordered best first."""

    letter: str
    description: str
    lowest_rank: int
    highest_rank: int
    networks: tuple[str, ...]
    images_seen: int
    """Images seen in total, including repeats."""

    @property
    def suggested_rank(self) -> int:
        """A rank from the middle of the range, a multiple of 4."""
        return max(4, (self.lowest_rank + self.highest_rank) // 2 // 4 * 4)

    def on(self, family: FamilyAdvice) -> Difficulty:
        """The category with the equivalent ranks for ``family``."""
        lowest, highest = family.ranks(self.lowest_rank, self.highest_rank)
        return replace(self, lowest_rank=lowest, highest_rank=highest)


_LIERLA, _LOKR, _LOHA = "LoRA-LierLa", "LyCORIS-LoKR", "LyCORIS-LoHa"

DIFFICULTIES = (
    Difficulty("A", "An ordinary woman in ordinary clothes", 4, 8, (_LIERLA, _LOKR), 1000),
    Difficulty("B", "A woman with an unusual face, hair, colors or outfit", 4, 16, (_LIERLA, _LOKR, _LOHA), 1000),
    Difficulty("C", "Rich details, or something extra: wings, armor, a tail", 8, 32, (_LIERLA, _LOKR, _LOHA), 1000),
    Difficulty("D", "Humanoid, or furry with human features; a real person", 32, 64, (_LIERLA, _LOHA), 1000),
    Difficulty("E", "Odd proportions, but still two arms and two legs", 64, 64, (_LIERLA,), 1500),
    Difficulty("F", "Animals, dragons, humanoid robots, extremely elaborate costumes", 64, 128, (_LIERLA,), 1500),
    Difficulty("G", "Giant mechs, aliens, demons, humanoids with more limbs", 128, 128, (_LIERLA,), 1500),
    Difficulty("H", "Machines, monsters, insects without human shape; realistic animals", 128, 192, (_LIERLA,), 1500),
    Difficulty("I", "Shapes that defy description", 192, 256, (_LIERLA,), 1500),
)

VEHICLES = ("Vehicles range from C to G: the more realistic, the harder. LyCORIS-LoKR can also learn a realistic one, "
            "with more time.")

MALE_CHARACTERS = ("Most models know women better than men. Treat a male character up to category D as half a "
                   "category harder, and use the upper end of its ranks.")


def difficulty(letter: str) -> Difficulty:
    """The category ``letter``, A to I in upper or lower case. Raises ``KeyError`` if there is none."""
    for candidate in DIFFICULTIES:
        if candidate.letter == letter.upper():
            return candidate
    raise KeyError(letter)


def rank_advice(category: Difficulty, network_dim: int, network_type: str) -> list[str]:
    """Objections to this rank or network type for this category, one sentence each."""
    advice = []
    letter, low, high = category.letter, category.lowest_rank, category.highest_rank
    ranks = f"{low}" if low == high else f"{low} to {high}"
    if network_dim < low:
        advice.append(f"A network_dim of {network_dim} is low for category {letter}: use {ranks}, or train longer.")
    elif network_dim > 2 * high:
        advice.append(f"A network_dim of {network_dim} is far more than category {letter} needs: {ranks} is enough, "
                      "and the file is smaller.")
    if network_type not in category.networks:
        advice.append(f"{network_type} is not the best choice for category {letter}. Choose "
                      f"{' or '.join(category.networks)}.")
    return advice
