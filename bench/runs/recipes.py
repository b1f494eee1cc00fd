"""Which recipe made a published row: every way of making the LR image and of scoring is tried on whole data sets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Literal, get_args, get_origin

import numpy as np
import torch

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest
from bench.errors import BenchError
from bench.methods.method import Downscaler, Method, MethodEntry, build_method
from bench.metrics.metric import Evidence
from bench.metrics.psnr import psnr
from bench.metrics.ssim import WINDOW, ssim
from bench.metrics.views import Input, Protocol, View
from bench.runs.explaining import Printed, Rule, chance, off, rules_of
from bench.runs.planning import weight_files
from bench.runs.restoration import Restorer, Seeds
from bench.suites.suite import Column, Row, Settings, Suite, temperature_of
from hcflow.images.io import Pixels

METRICS: Mapping[str, tuple[Callable[[View, View], float], int]] = {"psnr": (psnr, 1), "ssim": (ssim, WINDOW)}
"""The metrics whose recipe can be told: the function of two views, and the smallest view."""

_KEPT = 1 << 31  # bytes of restored images that are kept; what is beyond is restored again when it is needed

Values = dict[tuple[str, str], float]
"""(data set, metric) -> mean over its images."""


@dataclass(frozen=True)
class Recipe:
    """One way of making a row.

    Attributes:
        protocol: how the LR image is made, and how the result is scored.
        settings: of the method, where they are not the row's.
    """

    protocol: Protocol
    settings: tuple[tuple[str, str | int | float | bool], ...] = ()

    @property
    def id(self) -> str:
        """`y8,crop4,u8,work=y arithmetic=double`."""
        return " ".join([self.protocol.id, *(f"{name}={value}" for name, value in self.settings)])

    def for_image(self, hr: Pixels) -> Recipe:
        """The recipe that does the same to this image: a colour image knows no policy for grey ones."""
        return self if hr.ndim == 2 else replace(self, protocol=replace(self.protocol, grey="rgb"))

    def departures(self, usual: Protocol) -> int:
        """In how many choices it differs from a protocol."""
        mine, theirs = self.protocol, usual
        names = ("crop", "depth", "grey", "work", "range", "pad") + (() if mine.work == "y" else ("space",))
        return sum(getattr(mine, name) != getattr(theirs, name) for name in names) + len(self.settings)


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

    published: Mapping[tuple[str, str], Printed]
    tried: int
    impossible: Mapping[str, int]
    distinct: int
    by_chance: float
    fits: tuple[Found, ...]
    nearest: tuple[tuple[Recipe, Values], ...]


def recipes(suite: Suite, row: Row, entry: MethodEntry) -> list[Recipe]:
    """All of them."""
    crops = (0, suite.scale, suite.scale + 6)
    depths, greys, pads = ("u8", "trunc8", "float"), ("rgb", "direct"), ("symmetric", "replicate")
    found = []
    for settings in _arithmetics(row, entry):
        for crop, depth, pad in product(crops, depths, pads):
            protocols = [Protocol("rgb", crop, depth, pad=pad)]
            protocols += [Protocol(space, crop, depth, grey, pad=pad) for space in ("y", "y8") for grey in greys]
            protocols += [
                Protocol("y8", crop, depth, grey, "y", values, pad) for grey in greys for values in ("full", "studio")
            ]
            found += [Recipe(protocol, settings) for protocol in protocols]
    return found


def _arithmetics(row: Row, entry: MethodEntry) -> list[tuple[tuple[str, str | int | float | bool], ...]]:
    """The row's own settings, and every other arithmetic that the method knows."""
    parameter = inspect.signature(entry.build).parameters.get("arithmetic")
    if parameter is None:
        return [()]
    kind = inspect.signature(entry.build, eval_str=True).parameters["arithmetic"].annotation
    known = get_args(kind) if get_origin(kind) is Literal else ()
    own = row.settings.get("arithmetic", parameter.default)
    return [(), *((("arithmetic", choice),) for choice in known if choice != own)]


@dataclass
class Kitchen:
    """Restores each image once for all recipes that share an LR image and settings.

    Attributes:
        suite: of the row.
        row: whose method it is.
        entry: the method.
        device: where it works.
        impossible: (input, settings) that the method cannot take -> why.
    """

    suite: Suite
    row: Row
    entry: MethodEntry
    device: torch.device
    impossible: dict[tuple[Input, Settings], str] = field(default_factory=dict)
    _methods: dict[object, Method] = field(default_factory=dict)
    _kept: dict[object, Evidence] = field(default_factory=dict)
    _bytes: int = 0

    def evidence(self, manifest: Manifest, image: ImageEntry, hr: Pixels, recipe: Recipe) -> Evidence | None:
        """What the method made of an image; None where it cannot take the recipe."""
        makes_lr = isinstance(self._method(recipe), Downscaler)
        given = Input() if makes_lr else recipe.protocol.input
        if makes_lr and recipe.protocol.input != given:
            self.impossible[recipe.protocol.input, recipe.settings] = "the method makes its own LR image"
            return None
        if (recipe.protocol.input, recipe.settings) in self.impossible:
            return None
        key = (manifest.name, image.id, given, recipe.settings)
        found = self._kept.get(key)
        if found is None:
            try:
                found = self._restored(manifest, image, hr, given, recipe)
            except BenchError as error:
                self.impossible[recipe.protocol.input, recipe.settings] = str(error)
                return None
            self._bytes += sum(draw.nbytes for draw in found.draws)
            if self._bytes < _KEPT:
                self._kept[key] = found
        return replace(found)  # the same images; the views that are made of them go with the copy

    def _restored(self, manifest: Manifest, image: ImageEntry, hr: Pixels, given: Input, recipe: Recipe) -> Evidence:
        drawing = self.entry.stochastic
        temperature = self.row.temperature if drawing else 0.0
        draws = self.suite.draws if temperature > 0 else 1
        restorer = Restorer(self._method(recipe), self.suite.scale, given, temperature, draws, self.device, not drawing)
        seeds = Seeds(self.suite.name, self.entry.name, image.id, temperature)
        made = restorer.restore(hr, seeds, frozenset())
        height, width = made.draws[0].shape[:2]
        draws_kept = tuple(np.ascontiguousarray(draw) for draw in made.draws)
        return Evidence(draws_kept, self.suite.scale, hr[:height, :width])

    def _method(self, recipe: Recipe) -> Method:
        if recipe.settings not in self._methods:
            settings = {**self.row.settings, **dict(recipe.settings)}
            files = weight_files(self.row)
            self._methods[recipe.settings] = build_method(
                self.entry, self.suite.scale, settings, files, self.device, self.row.precision
            )
        return self._methods[recipe.settings]


def measured(kitchen: Kitchen, manifest: Manifest, tried: Sequence[Recipe], metric: str) -> dict[Recipe, float]:
    """Each recipe's mean over the images of a set; those that the method cannot take are left out.

    An image that is too small for a crop leaves NaN.
    """
    totals = dict.fromkeys(tried, 0.0)
    images = manifest.images
    for image in images:
        hr = local.read_hr(manifest, image)
        by_input: dict[object, dict[Recipe, list[Recipe]]] = {}
        for recipe in totals:
            same = recipe.for_image(hr)
            by_input.setdefault((same.protocol.input, same.settings), {}).setdefault(same, []).append(recipe)
        for group in by_input.values():
            for recipe, value in _scores(kitchen, manifest, image, hr, list(group), metric):
                for one in group[recipe]:
                    totals[one] += value
        totals = {one: total for one, total in totals.items() if not _is_impossible(kitchen, one)}
    return {recipe: total / len(images) for recipe, total in totals.items()}


def _is_impossible(kitchen: Kitchen, recipe: Recipe) -> bool:
    given = recipe.protocol.input
    inputs = (given, given._replace(grey="rgb")) if given.grey else (given,)
    return any((one, recipe.settings) in kitchen.impossible for one in inputs)


def _scores(
    kitchen: Kitchen, manifest: Manifest, image: ImageEntry, hr: Pixels, tried: Sequence[Recipe], metric: str
) -> Iterator[tuple[Recipe, float]]:
    """Of recipes that share an LR image and settings; those that differ in the crop alone share their views."""
    evidence = kitchen.evidence(manifest, image, hr, tried[0])
    if evidence is None:
        return
    function, side = METRICS[metric]
    for recipe in tried:
        crop = recipe.protocol.crop
        inside = slice(crop, -crop or None)
        pairs = evidence.views(replace(recipe.protocol, crop=0))
        if min(evidence.reference.shape[:2]) - 2 * crop < side:
            yield recipe, math.nan
        else:
            yield recipe, sum(function(sr[inside, inside], own[inside, inside]) for sr, own in pairs) / len(pairs)


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
    published = {
        (manifest.name, column.measure.metric): Printed(text)
        for manifest in (*chosen, *others)
        for column in columns_of(suite, row)
        if (text := suite.published_value(row, manifest.name, column)) is not None
    }
    names = [manifest.name for manifest in chosen]
    metrics = [name for name in METRICS if all((dataset, name) in published for dataset in names)]
    if not metrics:
        raise BenchError(f"{suite.name}, {row.name}: expected published PSNR or SSIM on {', '.join(names)}, got none")
    kitchen = Kitchen(suite, row, entry, device)
    every = recipes(suite, row, entry)
    values: dict[Recipe, Values] = {recipe: {} for recipe in every}
    left = first = every
    distinct, by_chance, keys = 0, 0.0, []
    for metric in metrics:
        for manifest in chosen:
            progress(f"{metric.upper()} of {len(left)} recipes on the {len(manifest.images)} images of {manifest.name}")
            for recipe, mean in measured(kitchen, manifest, left, metric).items():
                values[recipe][manifest.name, metric] = mean
        new = [(name, metric) for name in names]
        left = [one for one in left if all(math.isfinite(values[one].get(key, math.nan)) for key in new)]
        count, expected = chance(
            np.array([[values[one][key] for key in new] for one in left]).reshape(-1, len(new)),
            [published[key].unit for key in new],
        )
        if metric == metrics[0]:
            first, distinct, by_chance = left, count, expected
        elif count > 1:
            by_chance *= expected / (count - 1)
        keys += new
        left = [one for one in left if rules_of([published[key] for key in keys], [values[one][key] for key in keys])]
    usual = columns_of(suite, row)[0].measure.variant
    assert isinstance(usual, Protocol)
    fits = _held_out(kitchen, left, values, published, names, others, usual, progress)
    main = [(name, metrics[0]) for name in names]
    rest = [one for one in first if one not in left]
    rest.sort(key=lambda one: off([published[key] for key in main], [values[one][key] for key in main]))
    reasons: dict[str, int] = {}
    for recipe in every:
        if recipe not in first and _is_impossible(kitchen, recipe):
            why = next(why for (given, settings), why in kitchen.impossible.items() if settings == recipe.settings)
            reasons[why] = reasons.get(why, 0) + 1
    nearest = tuple((one, values[one]) for one in rest)
    return Explanation(published, len(first), reasons, distinct, by_chance, tuple(fits), nearest)


def _held_out(
    kitchen: Kitchen,
    left: Sequence[Recipe],
    values: Mapping[Recipe, Values],
    published: Mapping[tuple[str, str], Printed],
    names: Sequence[str],
    others: Sequence[Manifest],
    usual: Protocol,
    progress: Callable[[str], None],
) -> list[Found]:
    """Try the recipes that fit on the sets that had no part in the choice."""
    for manifest in others if left else ():
        for metric in METRICS:
            if (manifest.name, metric) in published:
                progress(f"held out: {metric.upper()} of {len(left)} recipes on {manifest.name}")
                for recipe, value in measured(kitchen, manifest, left, metric).items():
                    values[recipe][manifest.name, metric] = value
    found, worst = [], {}
    for recipe in left:
        mine = values[recipe]
        keys = [key for key in mine if key[0] in names]
        rules = rules_of([published[key] for key in keys], [mine[key] for key in keys])
        holds = {}
        for name in (manifest.name for manifest in others):
            numbers = [key for key in mine if key[0] == name]
            if numbers:
                holds[name] = bool(
                    rules & rules_of([published[key] for key in numbers], [mine[key] for key in numbers])
                )
        found.append(Found(recipe, mine, rules, holds, recipe.departures(usual)))
        worst[recipe] = off([published[key] for key in keys], [mine[key] for key in keys])
    return sorted(found, key=lambda one: (one.departures, worst[one.recipe]))


def columns_of(suite: Suite, row: Row) -> list[Column]:
    """The columns whose recipe can be told: PSNR and SSIM at the row's own temperature."""
    found = [
        column for column in suite.columns
        if column.measure.metric in METRICS and isinstance(column.measure.variant, Protocol)
        and temperature_of(row, column) == row.temperature and not column.extra
    ]  # fmt: skip
    if not found:
        raise BenchError(f"{suite.name}: expected columns of PSNR or SSIM, got none")
    return found
