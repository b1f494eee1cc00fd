"""Which values of a column are best and second best, by the digits that are printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

Rank = Literal["best", "second", ""]
Place = TypeVar("Place")


def ranks(printed: Mapping[Place, float], direction: str) -> dict[Place, tuple[Rank, bool]]:
    """Each place's rank, and whether another place has the same value.

    Nothing is ranked where there is no better or worse, or fewer than two values; nothing is second of two. NaN is left
    out.

    Args:
        printed: place -> value as rounded for print, so that what reads the same ranks the same.
        direction: higher, lower or none.
    """
    known = {place: value for place, value in printed.items() if value == value}
    if direction == "none" or len(known) < 2:
        return {}
    levels = sorted(set(known.values()), reverse=direction == "higher")
    names: dict[float, Rank] = {levels[0]: "best"}
    if len(known) > 2 and len(levels) > 1 and list(known.values()).count(levels[0]) == 1:
        names[levels[1]] = "second"
    values = list(known.values())
    return {place: (names[value], values.count(value) > 1) for place, value in known.items() if value in names}
