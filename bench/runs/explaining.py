"""Which way of scoring gives a published number: every known one is tried, and coincidences are counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.conventions import Convention, conventions
from bench.metrics.metric import Evidence
from bench.records.estimates import decimal

Rule = Literal["rounded", "truncated"]
RULES: tuple[Rule, ...] = ("rounded", "truncated")

Ways = tuple[Convention, ...]
"""One convention for each published metric, all of one protocol."""


@dataclass(frozen=True)
class Printed:
    """A number as a paper prints it: its digits matter."""

    text: str

    def __post_init__(self) -> None:
        """Refuse what is no number."""
        decimal(self.text)

    @property
    def value(self) -> float:
        """The number."""
        return float(self.text)

    @property
    def unit(self) -> float:
        """Of its last digit."""
        return float(self._unit)

    @property
    def _unit(self) -> Decimal:
        return Decimal(1).scaleb(int(decimal(self.text).as_tuple().exponent))

    def rules(self, value: float) -> set[Rule]:
        """By which rules a value is printed like this."""
        if not math.isfinite(value):
            return set()
        measured, printed = Decimal(repr(value)), decimal(self.text)  # its shortest decimal: 28.415 is a tie
        roundings: Mapping[Rule, str] = {"rounded": ROUND_HALF_UP, "truncated": ROUND_DOWN}
        return {rule for rule in RULES if measured.quantize(self._unit, roundings[rule]) == printed}


def parse_published(text: str) -> dict[str, Printed]:
    """`28.42/0.8104`, `28.42` or `/0.8104`: metric -> what is printed of it.

    Raises:
        BenchError: it is neither.
    """
    parts = text.split("/")
    found = {name: part.strip() for name, part in zip(("psnr", "ssim"), parts, strict=False) if part.strip()}
    if len(parts) > 2 or not found:
        raise BenchError(f"--published: expected PSNR/SSIM such as 28.42/0.8104, 28.42 or /0.8104, got {text!r}")
    try:
        return {name: Printed(part) for name, part in found.items()}
    except BenchError as error:
        raise BenchError(f"--published: {error}") from None


@dataclass(frozen=True)
class Candidate:
    """One way that was tried, with what it gives.

    Attributes:
        ids: of the measures.
        text: description for people.
        used_by: who scores so, with all of them.
        values: in the order of the published numbers.
        rules: by which all of them are printed as published; empty where it does not fit.
    """

    ids: tuple[str, ...]
    text: str
    used_by: tuple[str, ...]
    values: tuple[float, ...]
    rules: frozenset[Rule]


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        tried: all candidates whose values are finite.
        distinct: how many of them differ in a value.
        by_chance: see `chance`.
        fits: those that give every digit, best known first.
        nearest: the others, nearest first.
    """

    tried: int
    distinct: int
    by_chance: float
    fits: tuple[Candidate, ...]
    nearest: tuple[Candidate, ...]


def rules_of(published: Sequence[Printed], values: Sequence[float]) -> frozenset[Rule]:
    """The rules by which every value is printed as published: one rule has to do for all of them."""
    found = set(RULES)
    for printed, value in zip(published, values, strict=True):
        found &= printed.rules(value)
    return frozenset(found)


def chance(values: NDArray[np.float64], units: Sequence[float]) -> tuple[int, float]:
    """How many candidates would fit the digits of a number that none of them made.

    Each candidate's digits are put in the published ones' place in turn, and the others that fit them are counted; so
    numbers that rise and fall together (PSNR and SSIM, one set and another) are not taken for independent.

    Args:
        values: (candidates, numbers), finite.
        units: of the last printed digit of each number.

    Returns:
        (candidates that differ in a value, how many of them fit by chance, on average).
    """
    distinct = np.unique(np.round(values, 9), axis=0)
    scaled = distinct / np.asarray(units)
    digits = np.floor(scaled + 0.5)
    rounded = (digits[:, None] == digits[None]).all(axis=2)
    truncated = (digits[:, None] == np.trunc(scaled)[None]).all(axis=2)
    others = int((rounded | truncated)[~np.eye(len(distinct), dtype=bool)].sum())
    return len(distinct), others / max(len(distinct), 1)


def off(published: Sequence[Printed], values: Sequence[float]) -> float:
    """By how many units of its last digit the worst value is off."""
    return max(abs(value - one.value) / one.unit for one, value in zip(published, values, strict=True))


def search(published: Mapping[str, Printed], means: Mapping[str, float], known: Sequence[Convention]) -> Search:
    """The ways of scoring that give every published digit.

    Args:
        published: metric -> what is printed.
        means: convention id -> mean over the images; NaN where it has none.
        known: the conventions.
    """
    numbers = list(published.values())
    candidates = []
    for ways in combinations([[one for one in known if one.metric == name] for name in published]):
        values = tuple(means[one.id] for one in ways)
        if all(map(math.isfinite, values)):
            users = [one.used_by for one in ways]
            both = tuple(who for who in users[0] if all(who in others for others in users))
            text = " / ".join(dict.fromkeys(one.text for one in ways))
            ids = tuple(one.id for one in ways)
            candidates.append(Candidate(ids, text, both, values, rules_of(numbers, values)))
    if not candidates:
        return Search(0, 0, 0.0, (), ())
    candidates.sort(key=lambda one: (not one.used_by, off(numbers, one.values)))
    table = np.array([one.values for one in candidates])
    distinct, by_chance = chance(table, [one.unit for one in numbers])
    others = sorted((one for one in candidates if not one.rules), key=lambda one: off(numbers, one.values))
    fits = tuple(one for one in candidates if one.rules)
    return Search(len(candidates), distinct, by_chance, fits, tuple(others))


def combinations(of_metric: Sequence[Sequence[Convention]]) -> Iterator[Ways]:
    """One convention for each metric, where crop, depth, grey policy and colours agree."""
    if len(of_metric) == 1:
        yield from ((one,) for one in of_metric[0])
        return
    first, second = of_metric
    for one in first:
        for other in second:
            (space, rest), (other_space, other_rest) = _parts(one.id), _parts(other.id)
            special = space not in ("rgb", "y", "y8") and other_space != "rgb"
            if rest == other_rest and (space == other_space or special):
                yield one, other


def _parts(name: str) -> tuple[str, str]:
    """(colours, the rest) of `psnr@y,crop4,u8` or `psnr[0.299]@crop4,u8`."""
    metric, _, variant = name.partition("@")
    if variant.startswith("crop"):
        return metric, variant
    space, _, rest = variant.partition(",")
    return space, rest


def means_over(
    images: Sequence[str],
    evidence: Callable[[str], Evidence],
    scale: int,
    metrics: Sequence[str],
    tracked: Callable[[list[tuple[str, Convention]], str], Iterable[tuple[str, Convention]]] = lambda steps, _: steps,
) -> tuple[list[Convention], dict[str, float]]:
    """Every convention's mean over images.

    Args:
        images: names.
        evidence: of a name, one draw.
        scale: HR size over LR size.
        metrics: "psnr", "ssim".
        tracked: wraps the steps to show progress; called with the steps and a description.

    Returns:
        (the conventions, convention id -> mean; NaN where an image is too small for it).
    """
    grey = any(evidence(image).reference.ndim == 2 for image in images)
    known = [one for one in conventions(scale, grey=grey) if one.metric in metrics]
    totals = dict.fromkeys((one.id for one in known), 0.0)
    steps = [(image, one) for image in images for one in known]
    name, seen = "", None
    for image, one in tracked(steps, "variants"):
        if seen is None or image != name:
            name, seen = image, evidence(image)
        totals[one.id] += one.value(seen)
    return known, {name: total / len(images) for name, total in totals.items()}


def with_grey(evidence: Evidence) -> Evidence:
    """The same evidence, where an RGB original whose channels are equal is one channel, as the grey policies need."""
    hr = evidence.reference
    if hr.ndim == 3 and bool((hr == hr[:, :, :1]).all()):
        return replace(evidence, hr=hr[:, :, 0])
    return evidence
