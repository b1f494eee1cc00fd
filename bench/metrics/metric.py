"""The metrics: one file each with a pure function, and here one line each that says how to print and judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.errors import BenchError
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.metrics.views import Protocol, View


@dataclass(frozen=True)
class Metric:
    """A number that compares an SR image with its HR image.

    Attributes:
        name: as it stands before the `@` of a protocol id.
        title: as it stands in a table's head.
        function: (SR view, HR view) -> value; None where it is still to come.
        direction: whether higher or lower is better.
        unit: "dB" or nothing.
        decimals: digits after the point where the paper gives none to follow.
    """

    name: str
    title: str
    function: Callable[[View, View], float] | None
    direction: Literal["higher", "lower"]
    unit: str
    decimals: int


METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", psnr, "higher", "dB", 2),
        Metric("ssim", "SSIM", ssim, "higher", "", 4),
        Metric("lpips", "LPIPS", None, "lower", "", 3),
        Metric("niqe", "NIQE", None, "lower", "", 2),
        Metric("brisque", "BRISQUE", None, "lower", "", 1),
        Metric("diversity", "Diversity", None, "higher", "", 1),
        Metric("consistency", "Consistency", None, "higher", "dB", 2),
        Metric("lr_psnr", "LR-PSNR", None, "higher", "dB", 2),
    )
}


@dataclass(frozen=True)
class Measure:
    """A metric under a protocol: what a value is a value of. Its id is `psnr@y,crop4,u8`."""

    metric: str
    protocol: Protocol

    @property
    def id(self) -> str:
        """The id that goes with the value wherever it goes."""
        return f"{self.metric}@{self.protocol.id}"

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Read an id back; an unknown metric or protocol is an error that lists the choices."""
        name, at, protocol = text.partition("@")
        ready = [metric.name for metric in METRICS.values() if metric.function]
        if not at or name not in ready:
            raise BenchError(f"measure {text!r}: expected METRIC@PROTOCOL with a metric of {', '.join(ready)}")
        return cls(name, Protocol.parse(protocol))
