"""How much memory a method needs at most."""

from __future__ import annotations

from bench.metrics.facts import Fact
from bench.metrics.metric import Choice, Metric, choice_of

METRIC = Metric(
    name="memory",
    title="Memory",
    direction="lower",
    unit="MiB",
    decimals=0,
    parse=choice_of(Choice("peak", "peak memory in MiB: of the device where there is one, else of the process")),
    known=("peak",),
    open=Fact("peak_memory", "the peak was not taken"),
    module=__name__,
    packages=(),
)
