"""How likely HR is under the model: bits per pixel."""

from __future__ import annotations

from bench.metrics.facts import Fact
from bench.metrics.metric import Choice, Metric, choice_of

METRIC = Metric(
    name="bits_per_pixel",
    title="Bits per pixel",
    direction="lower",
    unit="",
    decimals=3,
    parse=choice_of(
        Choice(
            "given_lr",
            "-log2 p(HR) per pixel, three channels together; noise of dequantisation seeded per image",
        )
    ),
    known=("given_lr",),
    open=Fact("bits_per_pixel", "the method has no likelihood, or makes its own LR image"),
    module=__name__,
    packages=(),
    needs=frozenset({"bits_per_pixel"}),
)
