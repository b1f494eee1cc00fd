"""python -m bench perf: time encode, decode and five draws, and compare with the peak of this machine.

The peak is the fastest 3x3 convolution with the shapes that the conditioners use, measured by the same command. A share
of 100 % would mean that all time is spent in convolutions at that speed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.cli.options import positive
from hcflow.cli.entry import loading, say, subparser

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Timing", "add_parser"]

DRAWS = 5
_SHAPES = ((64, 64), (128, 64), (192, 64), (64, 192), (128, 128))


@dataclass(frozen=True)
class Timing:
    """One row of the table."""

    task: str
    precision: str
    milliseconds: float
    """Median, per draw where there are several."""
    gigaflop: float
    """Multiply-adds of convolutions times two, per draw."""

    def share(self, peak: float) -> float:
        """Percent of `peak` GFLOP/s."""
        return 100 * self.gigaflop / (self.milliseconds / 1e3) / peak


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `perf`."""
    parser = subparser(
        commands,
        "perf",
        "time the network on this machine's CPU",
        description=__doc__,
    )
    parser.add_argument("--preset", default="sr_x4", choices=("sr_x4", "sr_x8", "rescale_x4"), help="(default: sr_x4)")
    parser.add_argument("--size", type=positive, default=64, metavar="N", help="side of the LR image (default: 64)")
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="runs per row; the median counts")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    loading()
    import torch

    say(f"timing {args.preset} on LR images of {args.size}x{args.size}: a minute or more")
    with torch.inference_mode():
        peaks = {name: _peak(dtype, args.repeats) for name, dtype in _precisions().items()}
        timings = _measure(args.preset, args.size, args.repeats)
    print(_table(timings, peaks, args.preset, args.size))
    return 0


def _precisions() -> dict[str, torch.dtype]:
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16}


def _median(function: Callable[[], object], repeats: int) -> float:
    """Milliseconds, after one run to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def _peak(dtype: torch.dtype, repeats: int) -> float:
    """The best GFLOP/s of a 3x3 convolution at 128x128 pixels."""
    import torch
    import torch.nn.functional as F

    best = 0.0
    for inputs, outputs in _SHAPES:
        x = torch.randn(1, inputs, 128, 128).to(dtype).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(outputs, inputs, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
        milliseconds = _median(lambda x=x, weight=weight: F.conv2d(x, weight, padding=1), 2 * repeats)  # type: ignore[misc]
        best = max(best, 2 * 9 * inputs * outputs * 128 * 128 / 1e6 / milliseconds)
    return best


def _measure(preset: str, size: int, repeats: int) -> list[Timing]:
    """Time a network with random weights; speed does not depend on them."""
    import torch

    import hcflow
    from hcflow.folded.decoder import fold

    model = hcflow.HCFlow(hcflow.preset(preset)).eval()
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(1, 3, size, size, generator=generator)
    hr = torch.rand(1, 3, size * model.config.scale, size * model.config.scale, generator=generator)
    encode, decode = _gigaflop(model, lambda: model.encode(hr)), _gigaflop(model, lambda: model.decode(lr))
    draws = _gigaflop(model, lambda: model.decode(lr, samples=DRAWS)) / DRAWS
    timings = [
        Timing("encode", "fp32", _median(lambda: model.encode(hr), repeats), encode),
        Timing("decode, as trained", "fp32", _median(lambda: model.decode(lr), repeats), decode),
    ]
    for precision in ("fp32", "bf16"):
        folded = fold(model, precision)
        one = _median(lambda folded=folded: folded.decode(lr), repeats)  # type: ignore[misc]
        five = _median(lambda folded=folded: folded.decode(lr, samples=DRAWS), repeats)  # type: ignore[misc]
        timings.append(Timing("decode", precision, one, decode))
        timings.append(Timing(f"decode, each of {DRAWS} draws", precision, five / DRAWS, draws))
    return timings


def _gigaflop(model: nn.Module, run: Callable[[], object]) -> float:
    """Count what the convolutions of one run compute."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def _table(timings: Sequence[Timing], peaks: dict[str, float], preset: str, size: int) -> str:
    base = next(timing for timing in timings if timing.task == "decode, as trained").milliseconds
    lines = [
        f"{preset}, LR image {size}x{size}; peak of 3x3 convolutions: "
        + ", ".join(f"{peak:,.0f} GFLOP/s in {name}" for name, peak in peaks.items()),
        "",
        "| task | precision | ms | GFLOP | share of peak | speed, decode as trained = 1 |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for timing in timings:
        ratio = "" if timing.task == "encode" else f"{base / timing.milliseconds:.2f}"
        lines.append(
            f"| {timing.task} | {timing.precision} | {timing.milliseconds:,.0f} | {timing.gigaflop:,.0f} "
            f"| {timing.share(peaks[timing.precision]):.0f} % | {ratio} |"
        )
    return "\n".join(lines)
