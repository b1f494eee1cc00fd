"""How long a method takes for one image."""

from __future__ import annotations

from bench.metrics.facts import Fact
from bench.metrics.metric import Choice, Metric, choice_of

METRIC = Metric(
    name="seconds",
    title="Time",
    direction="lower",
    unit="s",
    decimals=2,
    parse=choice_of(
        Choice(
            "image",
            "seconds per image and draw, without reading, scoring and writing",
        )
    ),
    known=("image",),
    open=Fact("seconds", "no time was taken"),
    module=__name__,
    packages=(),
)
