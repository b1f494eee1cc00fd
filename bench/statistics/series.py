"""Rows of a table that were measured alike, and what is known of their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

import numpy as np

from bench.records.estimates import decimal
from bench.records.tables import Cell
from bench.statistics.agreement import Agreement, Answer


@dataclass(frozen=True)
class Member:
    """A row that is put in order.

    Attributes:
        row: its name.
        name: that of the published row that it stands beside, or its own where it is one.
        seed: of its training.
        printed: what is published of `name`.
    """

    row: str
    name: str
    seed: int
    printed: str


@dataclass(frozen=True)
class Noise:
    """What another seed changes: two trainings of one row.

    Attributes:
        name: of the published row that both stand beside.
        seeds: of the two.
        difference: of their means over the images, the second minus the first.
    """

    name: str
    seeds: tuple[int, int]
    difference: float


@dataclass(frozen=True)
class Ordering:
    """The rows of a series on a data set and column.

    Attributes:
        cell: of one of them: title, unit, direction, digits.
        printed_on: the data set that the published values are of: this one, or the only one that the column is
            printed for.
        members: in the order of the table; `result` counts them from 0.
        result: see there.
        noise: of trainings with several seeds.
        left_out: rows that were measured here and are not compared, and why.
    """

    cell: Cell
    printed_on: str
    members: tuple[Member, ...]
    result: Agreement
    noise: tuple[Noise, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def largest_noise(self) -> float:
        """The largest difference between two trainings of one row; 0 where there are none."""
        return max((abs(one.difference) for one in self.noise), default=0.0)

    @property
    def mean_noise(self) -> float:
        """The mean of these differences, without sign."""
        return float(np.mean([abs(one.difference) for one in self.noise])) if self.noise else 0.0


@dataclass(frozen=True)
class Series:
    """Rows that were measured alike, and whether they come in the published order.

    Attributes:
        name: what the rows have in common, such as "small, 3,000 steps"; empty for the published rows themselves.
        orderings: of each data set and column that has at least three of them.
    """

    name: str
    orderings: tuple[Ordering, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        """All rows that are compared anywhere."""
        found = {member.row: member for one in self.orderings for member in one.members}
        return tuple(found.values())

    @cached_property
    def seeds(self) -> Mapping[str, frozenset[int]]:
        """Published row -> the seeds with which it was trained, of rows with several."""
        found: dict[str, set[int]] = {}
        for noise in (noise for one in self.orderings for noise in one.noise):
            found.setdefault(noise.name, set()).update(noise.seeds)
        return {name: frozenset(seeds) for name, seeds in found.items()}

    def count(self, answer: Answer) -> int:
        """How many pairs have this answer, over all data sets and columns."""
        return sum(one.result.count(answer) for one in self.orderings)

    @property
    def pairs(self) -> int:
        """How many pairs are judged, over all data sets and columns."""
        return sum(len(one.result.pairs) for one in self.orderings)

    @property
    def tied(self) -> int:
        """How many are printed as equal."""
        return sum(one.result.tied for one in self.orderings)


def difference(members: Sequence[Member], better: int, worse: int) -> Decimal:
    """What print says of two rows, with its digits."""
    return decimal(members[better].printed) - decimal(members[worse].printed)
