"""Recipes: every way of making the LR image and of scoring, and what a row's method gives under each."""

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
from bench.runs.planning import weight_files
from bench.runs.restoration import Restorer, Seeds
from bench.suites.suite import Row, Suite
from hcflow.images.io import Pixels

METRICS: Mapping[str, tuple[Callable[[View, View], float], int]] = {"psnr": (psnr, 1), "ssim": (ssim, WINDOW)}
"""The metrics whose recipe can be searched for: the function of two views, and the smallest view."""

Setting = tuple[tuple[str, str | int | float | bool], ...]
"""Settings of a method, where they are not the row's."""

_KEPT = 1 << 31  # bytes of restored images that are kept; what is beyond is restored again when it is needed


@dataclass(frozen=True)
class Recipe:
    """One way of making a row.

    Attributes:
        protocol: how the LR image is made, and how the result is scored.
        settings: of the method, where they are not the row's.
    """

    protocol: Protocol
    settings: Setting = ()

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


def _arithmetics(row: Row, entry: MethodEntry) -> list[Setting]:
    """The row's own settings, and every other arithmetic that the method knows."""
    parameter = inspect.signature(entry.build).parameters.get("arithmetic")
    if parameter is None:
        return [()]
    kind = inspect.signature(entry.build, eval_str=True).parameters["arithmetic"].annotation
    known = get_args(kind) if get_origin(kind) is Literal else ()
    chosen = row.settings.get("arithmetic", parameter.default)
    return [(), *((("arithmetic", choice),) for choice in known if choice != chosen)]


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
    impossible: dict[tuple[Input, Setting], str] = field(default_factory=dict)
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

    def why_not(self, recipe: Recipe) -> str:
        """Why the method cannot take a recipe, as far as was tried; empty where it can."""
        given = recipe.protocol.input
        inputs = (given, given._replace(grey="rgb")) if given.grey else (given,)
        return next((why for one in inputs if (why := self.impossible.get((one, recipe.settings)))), "")

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
        totals = {one: total for one, total in totals.items() if not kitchen.why_not(one)}
    return {recipe: total / len(images) for recipe, total in totals.items()}


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
            yield recipe, sum(function(sr[inside, inside], hr[inside, inside]) for sr, hr in pairs) / len(pairs)
