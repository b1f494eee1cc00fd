"""What a metric is: it sees the evidence of one image, and gives one value per draw, one value, or none with a reason.

Adding a metric takes one file, `bench/metrics/NAME.py`, that defines METRIC; docs/metrics.md shows an example. Nothing
in these files imports torch before a metric is opened, so that tables can be shown without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from typing import Protocol as Interface

import numpy as np

from bench.errors import BenchError
from bench.metrics.views import (
    RGB_INPUT,
    Input,
    Protocol,
    Values,
    View,
    check_sizes,
    eight_bits,
    hr_view,
    sr_view,
    to_bytes,
)
from bench.registry import Registry
from hcflow.images.io import Pixels, to_rgb

if TYPE_CHECKING:
    import torch

Need = Literal["own_lr", "bits_per_pixel"]
"""What a metric needs beyond the draws, and what costs the method another pass."""


@dataclass(frozen=True)
class NotApplicable:
    """The metric has no value for this image: why, as shown after "not applicable: "."""

    why: str


Score = Sequence[float] | float | NotApplicable
"""One value per draw, one value over all draws, or why there is none."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one image once a method has answered: the only thing that a metric sees.

    Attributes:
        draws: the restored images, (H, W, 3) in [0, 1], float and not rounded; values outside are clipped by what
            scores; (H, W) where the method worked on the luma plane.
        scale: HR size over LR size.
        hr: uint8 (H, W, 3), or (H, W) for a grey image; None where there is no original.
        lr: what was restored, (h, w, 3) or (h, w) in [0, 1]; None where it is not known.
        own_lr: the LR image that the method's forward pass makes of HR, (h, w, 3), neither clamped nor rounded; for
            metrics that need it, and None where the method has none.
        facts: numbers of the restoration itself: "parameters", "seconds" and "peak_memory" (MiB) per image,
            "bits_per_pixel"; "deterministic" is 1.0 where a further draw would be the same (temperature 0, or a method
            that does not draw).
    """

    draws: tuple[Values, ...]
    scale: int
    hr: Pixels | None = None
    lr: Values | None = None
    own_lr: Values | None = None
    facts: Mapping[str, float] = field(default_factory=dict)

    def views(self, protocol: Protocol) -> list[tuple[View, View]]:
        """Each draw and HR as a protocol says; made once, however many metrics ask.

        Raises:
            BenchError: the sizes differ, nothing is left after the crop, or there is no HR.
        """
        found = self._views.get(protocol)
        if found is None:
            found = self._views[protocol] = self._new_views(protocol)
        return found

    def _new_views(self, protocol: Protocol) -> list[tuple[View, View]]:
        for draw in self.draws:
            check_sizes(draw, self.reference, protocol)
        if protocol.work == "y":
            scaled: Sequence[Values | Pixels] = self.draws
        elif protocol.depth == "float":
            scaled = [to_bytes(draw, "float") for draw in self.draws]
        else:
            scaled = self.eight_bits(protocol.depth)
        hr, grey = hr_view(self.reference, protocol), self.reference.ndim == 2
        return [(sr_view(draw, grey, protocol), hr) for draw in scaled]

    def eight_bits(self, depth: str = "u8") -> tuple[Pixels, ...]:
        """Each draw as uint8, (H, W[, 3]), rounded ("u8") or truncated ("trunc8"); made once."""
        found = self._eight_bits.get(depth)
        if found is None:
            found = tuple(eight_bits(draw, depth) for draw in self.draws)
            self._eight_bits[depth] = found
        return found

    @cached_property
    def _views(self) -> dict[Protocol, list[tuple[View, View]]]:
        return {}

    @cached_property
    def _eight_bits(self) -> dict[str, tuple[Pixels, ...]]:
        return {}

    @cached_property
    def bicubic_lr(self) -> Pixels:
        """The given LR image of the protocol: MATLAB's imresize of HR, uint8 (h, w, 3)."""
        from hcflow.images.matlab_resize import imresize

        return np.asarray(imresize(to_rgb(self.reference), 1 / self.scale), dtype=np.uint8)

    @property
    def reference(self) -> Pixels:
        """HR, for a metric that cannot do without."""
        if self.hr is None:
            raise BenchError("expected HR images to compare with, got none; give --hr DIR")
        return self.hr


Scorer = Callable[[Evidence], Score]


class Variant(Interface):
    """One way of computing a metric, as written after the `@`."""

    @property
    def id(self) -> str:
        """Its canonical text: `parse(variant.id)` gives an equal variant."""
        ...

    @property
    def input(self) -> Input:
        """How the LR image is made, and on what the method works."""
        ...

    @property
    def label(self) -> str:
        """What the header of a column adds to the metric's title, such as `Y`; often nothing."""
        ...

    def describe(self) -> str:
        """A description, for the footnotes of a table."""
        ...


@dataclass(frozen=True)
class Choice:
    """A variant out of a short list."""

    id: str
    text: str
    label: str = ""
    input: Input = RGB_INPUT

    def describe(self) -> str:
        """A description."""
        return self.text


def choice_of(*choices: Choice) -> Callable[[str], Choice]:
    """A parser for metrics whose variants are a short list."""
    known = {choice.id: choice for choice in choices}

    def parse(text: str) -> Choice:
        if text not in known:
            raise BenchError(f"expected a variant of {', '.join(known)}; got {text!r}")
        return known[text]

    return parse


@dataclass(frozen=True)
class Metric:
    """A number that describes restored images.

    Attributes:
        name: as written before the `@`; that of its file.
        title: as shown in a table's header.
        direction: whether higher or lower is better; "none" for facts such as the number of parameters.
        unit: "dB", "s", "MiB" or nothing.
        decimals: digits after the point where the paper gives none to follow.
        parse: text after the `@` -> variant; raises BenchError that lists the choices.
        known: ids of the variants worth showing side by side (`bench explain`, help); the first is the default.
        open: called once per cell with (variant, files of its weights, device); loads what it needs and returns
            `score(evidence)`. It may be called from another thread than the one that restores.
        weights: variant -> entries of weights.toml that it needs.
        files: variant -> further files that are there and that a value depends on, for a metric whose weights are not
            entries of weights.toml; empty for all others.
        packages: distributions whose release can change a value; some may be missing where only a variant needs them.
        needs: what the runner has to ask of the method.
        module: where its code is; the code that it imports is part of a measure's digest.
        terms: what users of it should know of its licence.
        eight_bit: variant -> whether rounding the draws to 8 bits first changes no value.
    """

    name: str
    title: str
    direction: Literal["higher", "lower", "none"]
    parse: Callable[[str], Variant]
    known: tuple[str, ...]
    open: Callable[[Variant, Sequence[Path], torch.device], Scorer]
    module: str
    unit: str = ""
    decimals: int = 2
    weights: Callable[[Variant], tuple[str, ...]] = lambda _: ()
    files: Callable[[Variant], tuple[Path, ...]] = lambda _: ()
    packages: tuple[str, ...] = ("numpy",)
    needs: frozenset[Need] = frozenset()
    terms: str = ""
    eight_bit: Callable[[Variant], bool] = lambda _: False

    def heading(self, variant: Variant) -> str:
        """`PSNR (Y)`."""
        return f"{self.title} ({variant.label})" if variant.label else self.title


METRICS: Registry[Metric] = Registry("metric", "bench.metrics", "METRIC", "hcflow_bench.metrics", Metric)


@lru_cache(maxsize=256)
def metric(name: str) -> Metric:
    """The metric of that name: a file here, an entry point, `module:object`, or one of a collection (`pyiqa:dists`)."""
    collection, colon, member = name.partition(":")
    if colon and collection in ("pyiqa",):
        found: Metric = import_module(f"bench.metrics.{collection}").member(member)
        return found
    return METRICS.find(name)


@dataclass(frozen=True)
class Measure:
    """A metric in one variant: what a value is a value of. Its id is `psnr@y,crop4,u8`."""

    metric: str
    variant: Variant

    @property
    def id(self) -> str:
        """The id that is stored with each value."""
        return f"{self.metric}@{self.variant.id}"

    @property
    def of(self) -> Metric:
        """The metric itself."""
        return metric(self.metric)

    @property
    def title(self) -> str:
        """The title of its column."""
        return self.of.heading(self.variant)

    @property
    def weights(self) -> tuple[str, ...]:
        """Entries of weights.toml that it needs."""
        return self.of.weights(self.variant)

    @property
    def files(self) -> tuple[Path, ...]:
        """Further files that a value depends on; see `Metric.files`."""
        return self.of.files(self.variant)

    def open(self, files: Sequence[Path], device: torch.device) -> Scorer:
        """Load what it needs; see `Metric.open`."""
        return self.of.open(self.variant, files, device)

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Read an id back; a metric alone means its first variant.

        Raises:
            BenchError: an unknown metric or variant; the message lists the choices.
        """
        name, at, variant = text.partition("@")
        found = metric(name)
        try:
            return cls(name, found.parse(variant if at else found.known[0]))
        except BenchError as error:
            raise BenchError(f"measure {text}: {error}") from None
