"""python -m hcflow benchmark."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow.cli.entry import loading, say, subparser
from hcflow.errors import InputError
from hcflow.train.recipes import recipe

if TYPE_CHECKING:
    from hcflow.train.benchmark import Timing

__all__ = ["add_parsers"]

_PRECISIONS = ("fp32", "tf32", "bf16")


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `benchmark`."""
    parser = subparser(
        commands,
        "benchmark",
        "Time training steps in every mode.",
        "examples:\n"
        "  python -m hcflow benchmark --recipe sr_x4                      on a GPU, at the paper's batch\n"
        "  python -m hcflow benchmark --recipe rescale_x4 --batch 2 --steps 3 --device cpu --precision fp32",
        "Print ms per step, images per second, GFLOP per step and their share of what 3x3 convolutions reach on this\n"
        "device, and peak memory, of a recipe's last stage for each precision, with and without\n"
        "recomputation; and the ratio of step time with the loader to that with a fixed batch.",
    )
    parser.add_argument("--recipe", default="sr_x4", metavar="NAME", help="as for train (default: sr_x4)")
    parser.add_argument("--batch", type=int, metavar="N", help="images per step (default: the recipe's)")
    parser.add_argument("--patch", type=int, metavar="N", help="side of the HR crops (default: the recipe's)")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="timed steps per mode (default: 10)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="images for the loader (default: made up)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument(
        "--precision", nargs="+", choices=_PRECISIONS, metavar="NAME", help="only fp32, tf32 or bf16 (default: all)"
    )
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    parser.add_argument("--json", action="store_true", help="one JSON object per mode instead of a table")
    parser.set_defaults(run=_benchmark)


def _benchmark(args: argparse.Namespace) -> int:
    loading()
    from hcflow.train.benchmark import measure, modes_for
    from hcflow.train.processes import joined

    if args.steps < 1:
        raise InputError(f"expected --steps >= 1, got {args.steps}")
    settings = [f"{name}={getattr(args, name)}" for name in ("batch", "patch") if getattr(args, name) is not None]
    chosen = recipe(args.recipe).with_settings(settings)
    if chosen.stages[-1].losses.perceptual:
        raise InputError("expected a recipe without the perceptual loss, got one with it; benchmark the stage before")
    with joined(args.device) as processes:
        kind = processes.device.type
    stage = chosen.stages[-1]
    title = f"{args.recipe}, stage {stage.name}: {stage.batch} patches of {stage.patch}x{stage.patch} on {_name(kind)}"
    say(title)
    if not args.json:
        print("| precision | memory saving | ms/step | images/s | GFLOP | share of peak | MiB | loader / fixed batch |")
        print("|---|---|---:|---:|---:|---:|---:|---:|")
    modes = modes_for(kind, args.compile, args.precision)
    for timing in measure(chosen, modes, args.device, args.steps, args.data):
        print(_as_json(timing) if args.json else _as_row(timing), flush=True)
    return 0


def _as_row(timing: Timing) -> str:
    compute = timing.compute
    mode = f"{compute.precision}{', compiled' if compute.compile else ''}"
    saving = "recomputing" if compute.recompute else "none"
    numbers = f"{1e3 * timing.median:,.0f} | {timing.images / timing.median:.2f} | {timing.gigaflop:,.0f}"
    numbers += f" | {timing.share:.0f} % of {timing.peak:,.0f} GFLOP/s | {timing.peak_mib:,.0f}"
    return f"| {mode} | {saving} | {numbers} | {timing.loader_ratio:.2f} |"


def _as_json(timing: Timing) -> str:
    compute = timing.compute
    return json.dumps(
        {
            "precision": compute.precision,
            "recompute": compute.recompute,
            "compile": compute.compile,
            "ms_per_step": 1e3 * timing.median,
            "images_per_second": timing.images / timing.median,
            "gigaflop": timing.gigaflop,
            "peak_gigaflop_per_second": timing.peak,
            "share_of_peak_percent": timing.share,
            "peak_mib": timing.peak_mib,
            "loader_ratio": timing.loader_ratio,
            "threads": timing.threads,
        }
    )


def _name(kind: str) -> str:
    import torch

    return torch.cuda.get_device_name() if kind == "cuda" else f"{torch.get_num_threads()} CPU threads"
