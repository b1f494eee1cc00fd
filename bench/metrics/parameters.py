"""How many parameters a method has, in millions."""

from __future__ import annotations

from bench.metrics.facts import Fact
from bench.metrics.metric import Choice, Metric, choice_of

METRIC = Metric(
    name="parameters",
    title="Params",
    direction="none",
    unit="M",
    decimals=2,
    parse=choice_of(Choice("all", "parameters of the networks that restore, in millions")),
    known=("all",),
    open=Fact("parameters", "the method does not say how many parameters it has", unit=1e6),
    module=__name__,
    packages=(),
)
