"""The rows of a series on one data set and column: which are compared, over which images, and why not the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from bench.records.estimates import decimal
from bench.records.tables import Cell, Table
from bench.statistics.agreement import FEWEST_SYSTEMS, agreement
from bench.statistics.paired import image_means
from bench.statistics.series import Member, Noise, Ordering
from bench.suites.suite import Column, Row

_Run = tuple[Member, Cell]
_Images = tuple[tuple[str, str], ...]  # (id, pixels), sorted: their order in a table changes nothing
_OTHER = "other images than the rest"
_UNPUBLISHED = "no value is published"


@dataclass(frozen=True)
class _Chosen:
    """What is compared.

    Attributes:
        images: that all of `runs` have.
        runs: for each published row its trainings by seed, those on `images` alone; the first is put in order.
        left_out: rows that are not compared, and why.
    """

    images: _Images
    runs: tuple[tuple[_Run, ...], ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Place:
    """The rows of a series on a data set and column.

    Attributes:
        table: with its cells.
        rows: each with the published row that it stands beside, or that it is.
        dataset: of the place.
        column: of the place.
        printed: data sets for which the column is printed of any row of the table.
    """

    table: Table
    rows: Sequence[tuple[Row, Row]]
    dataset: str
    column: Column
    printed: Sequence[str]

    def ordering(self, seed: int) -> Ordering | None:
        """Put them in order; None where fewer than three can be compared."""
        chosen, printed_on = self._chosen, self._printed_on
        if printed_on is None or len(chosen.runs) < FEWEST_SYSTEMS:
            return None
        first = [runs[0] for runs in chosen.runs]
        noise = tuple(_noise(chosen.runs, chosen.images))
        largest = max((abs(one.difference) for one in noise), default=0.0)
        values = np.array([_values(cell, chosen.images) for _, cell in first])
        printed = [float(decimal(member.printed)) for member, _ in first]
        result = agreement(printed, values, self.column.measure.of.direction, largest, seed)
        members = tuple(member for member, _ in first)
        return Ordering(first[0][1], printed_on, members, result, noise, chosen.left_out)

    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Rows that are measured here and not compared, and why."""
        return self._chosen.left_out

    @cached_property
    def _chosen(self) -> _Chosen:
        left_out: list[tuple[str, str]] = []
        runs: dict[str, list[_Run]] = {}
        for row, published in self.rows:
            cell = self.table.cell(row.name, self.dataset, self.column.id)
            if cell.value is None:
                continue
            value = self._published(published)
            if value is None or (why := _unfit(cell)):
                left_out.append((row.name, _UNPUBLISHED if value is None else why))
                continue
            runs.setdefault(published.name, []).append((Member(row.name, published.name, row.seed, value), cell))
        for several in runs.values():
            several.sort(key=lambda run: run[0].seed)
        images = _images_of(runs)
        kept = []
        for several in runs.values():
            alike = [run for run in several if _has(run[1], images)]
            first = {member.seed: member.row for member, _ in reversed(alike)}
            kept.append(tuple(run for run in alike if first[run[0].seed] == run[0].row))
            left_out += [(member.row, _OTHER) for member, cell in several if not _has(cell, images)]
            left_out += [
                (member.row, f"a second row of seed {member.seed}")
                for member, _ in alike
                if first[member.seed] != member.row
            ]
        return _Chosen(images, tuple(one for one in kept if one), tuple(left_out))

    def _published(self, row: Row) -> str | None:
        if self._printed_on is None or self.column.extra or self.column.measure.of.direction == "none":
            return None
        return self.table.suite.published_value(row, self._printed_on, self.column)

    @cached_property
    def _printed_on(self) -> str | None:
        """Where the published values are from: this data set, or the only one that the column is printed for."""
        if self.dataset in self.printed:
            return self.dataset
        return self.printed[0] if len(self.printed) == 1 else None


def _unfit(cell: Cell) -> str:
    """Why a measured cell is not put in order; empty where it is."""
    if len(cell.images) < cell.total:
        return f"{len(cell.images)} of {cell.total} images"
    values = image_means([image.common for image in cell.images])
    if np.isnan(values).any():
        return "not a number"
    return "infinite" if np.isinf(values).any() else ""


def _images(cell: Cell) -> _Images:
    return tuple(sorted((image.id, image.pixels) for image in cell.images))


def _images_of(runs: Mapping[str, Sequence[_Run]]) -> _Images:
    """The images over which rows are compared: those that most rows have, and no others.

    Where not even three rows have the same ones, those that the first training of every row has: a part.
    """
    groups: dict[_Images, set[str]] = {}
    for name, several in runs.items():
        for _, cell in several:
            groups.setdefault(_images(cell), set()).add(name)
    if not groups:
        return ()
    largest = max(groups, key=lambda images: (len(groups[images]), len(images)))
    if len(groups[largest]) >= FEWEST_SYSTEMS or len(runs) < FEWEST_SYSTEMS:
        return largest
    shared = set.intersection(*(set(_images(several[0][1])) for several in runs.values()))
    return tuple(sorted(shared)) or largest


def _has(cell: Cell, images: _Images) -> bool:
    return set(images) <= set(_images(cell))


def _values(cell: Cell, images: _Images) -> list[float]:
    """Each image's mean over its draws, under the table's common protocol."""
    draws = {image.id: image.common for image in cell.images}
    return [float(np.mean(draws[id_])) for id_, _ in images]


def _noise(runs: Iterable[Sequence[_Run]], images: _Images) -> Iterable[Noise]:
    """What every two trainings of one row differ by."""
    for several in runs:
        whole = [(member, float(np.mean(_values(cell, images)))) for member, cell in several]
        for (one, a), (other, b) in combinations(whole, 2):
            yield Noise(one.name, (one.seed, other.seed), b - a)
