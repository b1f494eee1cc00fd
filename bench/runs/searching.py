"""Which recipe made a published row: the recipes that give every digit, and whether they do on sets held out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bench.datasets.manifest import Manifest
from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.metrics.views import Protocol
from bench.runs.explaining import Printed, Rule, chance, off, rules_of
from bench.runs.recipes import METRICS, Kitchen, Recipe, measured, recipes
from bench.suites.suite import Column, Row, Suite, temperature_of

Key = tuple[str, str]
"""(data set, metric)."""

Values = dict[Key, float]
"""Means over the images of a data set."""


@dataclass(frozen=True)
class Found:
    """A recipe that gives every digit on the sets named.

    Attributes:
        recipe: see there.
        values: on the sets that the choice was made by, and on the others.
        rules: by which all values of the first are printed as published.
        holds: each of the other sets -> whether one of these rules does for it, too.
        departures: see Recipe.departures.
    """

    recipe: Recipe
    values: Values
    rules: frozenset[Rule]
    holds: Mapping[str, bool]
    departures: int


@dataclass(frozen=True)
class Explanation:
    """What a search found.

    Attributes:
        published: (data set, metric) -> what is printed, of all the sets.
        tried: recipes.
        impossible: recipes that the method cannot take, and why, by the reason.
        distinct: tried ones that differ in a value of the first metric.
        by_chance: how many would fit by chance: those that fit the digits of the first metric, times the share of
            them that then fits the second's.
        fits: fewest departures from the table's protocol first.
        nearest: the others with their values of the first metric, nearest first.
    """

    published: Mapping[Key, Printed]
    tried: int
    impossible: Mapping[str, int]
    distinct: int
    by_chance: float
    fits: tuple[Found, ...]
    nearest: tuple[tuple[Recipe, Values], ...]


@dataclass(frozen=True)
class _Search:
    """The work on a row: what is published, and what each recipe was found to give."""

    kitchen: Kitchen
    published: Mapping[Key, Printed]
    values: Mapping[Recipe, Values]
    progress: Callable[[str], None]

    def measure(self, tried: Sequence[Recipe], manifest: Manifest, metric: str) -> None:
        """Add the values of a metric on a set; a recipe that the method cannot take gets none."""
        count = len(manifest.images)
        self.progress(f"{metric.upper()} of {len(tried)} recipes on the {count} images of {manifest.name}")
        for recipe, mean in measured(self.kitchen, manifest, tried, metric).items():
            self.values[recipe][manifest.name, metric] = mean

    def complete(self, tried: Sequence[Recipe], keys: Sequence[Key]) -> list[Recipe]:
        """Those that have a finite value of each."""
        return [one for one in tried if all(math.isfinite(self.values[one].get(key, math.nan)) for key in keys)]

    def rules(self, recipe: Recipe, keys: Sequence[Key]) -> frozenset[Rule]:
        """See `rules_of`."""
        return rules_of([self.published[key] for key in keys], [self.values[recipe][key] for key in keys])

    def off(self, recipe: Recipe, keys: Sequence[Key]) -> float:
        """See `off`."""
        return off([self.published[key] for key in keys], [self.values[recipe][key] for key in keys])

    def chance(self, tried: Sequence[Recipe], keys: Sequence[Key]) -> tuple[int, float]:
        """See `chance`."""
        table = np.array([[self.values[one][key] for key in keys] for one in tried]).reshape(-1, len(keys))
        return chance(table, [self.published[key].unit for key in keys])

    def hold_out(self, recipe: Recipe, chosen: Sequence[Key], others: Sequence[str], usual: Protocol) -> Found:
        """What a recipe that fits is on the sets that had no part in the choice."""
        mine, rules = self.values[recipe], self.rules(recipe, chosen)
        numbers = {name: [key for key in mine if key[0] == name] for name in others}
        holds = {name: bool(rules & self.rules(recipe, keys)) for name, keys in numbers.items() if keys}
        return Found(recipe, mine, rules, holds, recipe.departures(usual))

    def reasons(self, every: Sequence[Recipe]) -> Mapping[str, int]:
        """Why recipes could not be tried, and how many."""
        return Counter(why for recipe in every if (why := self.kitchen.why_not(recipe)))


def explain(
    suite: Suite,
    row: Row,
    entry: MethodEntry,
    chosen: Sequence[Manifest],
    others: Sequence[Manifest],
    device: torch.device,
    progress: Callable[[str], None],
) -> Explanation:
    """The recipes that give every printed digit on the sets chosen, and whether they do on the others.

    The first metric (PSNR where the table has it) is computed for all, the second for those that it leaves.

    Raises:
        BenchError: nothing is published, weights are missing, or an image cannot be read.
    """
    names, rest = [one.name for one in chosen], [one.name for one in others]
    published = _published(suite, row, [*names, *rest])
    metrics = [name for name in METRICS if all((dataset, name) in published for dataset in names)]
    if not metrics:
        raise BenchError(f"{suite.name}, {row.name}: expected published PSNR or SSIM on {', '.join(names)}, got none")
    every = recipes(suite, row, entry)
    work = _Search(Kitchen(suite, row, entry, device), published, {recipe: {} for recipe in every}, progress)
    left = first = every
    distinct, by_chance, keys = 0, 0.0, list[Key]()
    for metric in metrics:
        for manifest in chosen:
            work.measure(left, manifest, metric)
        new = [(name, metric) for name in names]
        left = work.complete(left, new)
        count, expected = work.chance(left, new)
        if metric == metrics[0]:
            first, distinct, by_chance = left, count, expected
        elif count > 1:
            by_chance *= expected / (count - 1)
        keys += new
        left = [one for one in left if work.rules(one, keys)]
    for manifest in others if left else ():
        for metric in METRICS:
            if (manifest.name, metric) in published:
                work.measure(left, manifest, metric)
    usual = columns_of(suite, row)[0].measure.variant
    assert isinstance(usual, Protocol)
    left.sort(key=lambda one: (one.departures(usual), work.off(one, keys)))
    fits = tuple(work.hold_out(one, keys, rest, usual) for one in left)
    main = [(name, metrics[0]) for name in names]
    nearest = sorted((one for one in first if one not in left), key=lambda one: work.off(one, main))
    others_left = tuple((one, work.values[one]) for one in nearest)
    return Explanation(published, len(first), work.reasons(every), distinct, by_chance, fits, others_left)


def _published(suite: Suite, row: Row, names: Sequence[str]) -> dict[Key, Printed]:
    return {
        (name, column.measure.metric): Printed(text)
        for name in names
        for column in columns_of(suite, row)
        if (text := suite.published_value(row, name, column)) is not None
    }


def columns_of(suite: Suite, row: Row) -> list[Column]:
    """The columns whose recipe can be searched for: PSNR and SSIM at the row's own temperature."""
    found = [
        column for column in suite.columns
        if column.measure.metric in METRICS and isinstance(column.measure.variant, Protocol)
        and temperature_of(row, column) == row.temperature and not column.extra
    ]  # fmt: skip
    if not found:
        raise BenchError(f"{suite.name}: expected columns of PSNR or SSIM, got none")
    return found
