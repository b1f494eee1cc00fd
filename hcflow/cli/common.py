"""What the sub-commands share: the checkpoint and the device, and progress."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow import trained
from hcflow.cli.entry import loading, quiet, say
from hcflow.errors import CheckpointError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from hcflow.model import HCFlow

__all__ = ["add_model_arguments", "announce", "load_model", "progress_bar", "require_task"]


def add_model_arguments(parser: argparse.ArgumentParser, default: Path) -> None:
    """Arguments of every command that runs a network; `default` ships with the project."""
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=default,
        metavar="FILE",
        help="weights: an official .pth, or a .safetensors (default: the small network that comes with hcflow)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")


def load_model(args: argparse.Namespace) -> HCFlow:
    """Load `args.checkpoint` onto `args.device`, which becomes the GPU or the CPU where it is `auto`.

    Raises:
        CheckpointError: what `load` raises.
        InputError: the device is not there.
    """
    if not args.checkpoint.is_file():
        raise CheckpointError(
            f"expected a checkpoint file, got {args.checkpoint}, which does not exist or is not a file"
        )
    loading()
    from hcflow.checkpoint import load
    from hcflow.devices import choose_device

    args.device = str(choose_device(args.device))
    return load(args.checkpoint, args.device)


def announce(args: argparse.Namespace) -> None:
    """Say on stderr which weights, device and precision the images are made with."""
    precision = getattr(args, "precision", "fp32")
    comes_with_it = args.checkpoint.parent == trained.FOLDER
    weights = f"{args.checkpoint.stem}, which comes with hcflow," if comes_with_it else args.checkpoint
    say(f"{args.command}: {weights} on {args.device}, {precision}")


def require_task(model: HCFlow, rescaling: bool, command: str) -> None:
    """Check that a checkpoint is meant for a command."""
    if rescaling != (model.config.q is None):
        meant, got = ("rescaling", "super-resolution")[:: 1 if rescaling else -1]
        other = "upscale" if rescaling else "restore"
        raise CheckpointError(
            f"expected a {meant} checkpoint for {command}, got one for {got}; use {other} with this one"
        )


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """A progress bar on stderr; it draws nothing with --quiet or where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, disable=quiet() or not console.is_terminal, transient=True) as bar:
        yield bar
