"""What the sub-commands share: arguments, files in and out, progress."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from hcflow.model import HCFlow

__all__ = ["add_image_arguments", "announce", "jobs", "load_model", "progress_bar"]


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that maps images to images."""
    parser.add_argument("input", type=Path, metavar="IN", help="an image, or a folder of images")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="a .png for one image, else a folder (made if missing)",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        required=True,
        metavar="FILE",
        help="official .pth, or a file that hcflow wrote",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")


def load_model(args: argparse.Namespace) -> HCFlow:
    """Load `args.checkpoint` onto `args.device`, which becomes the GPU or the CPU where it is `auto`.

    Raises:
        InputError: the device is not there.
    """
    from hcflow.checkpoint import load
    from hcflow.devices import choose_device

    args.device = str(choose_device(args.device))
    return load(args.checkpoint, args.device)


def announce(args: argparse.Namespace) -> None:
    """Say on stderr which weights, device and precision the images are made with."""
    precision = getattr(args, "precision", "fp32")
    print(f"{args.command}: {args.checkpoint} on {args.device}, {precision}", file=sys.stderr)


def require_task(model: HCFlow, rescaling: bool, command: str) -> None:
    """Check that a checkpoint is meant for a command."""
    if rescaling != (model.config.q is None):
        meant, got = ("rescaling", "super-resolution")[:: 1 if rescaling else -1]
        other = "upscale" if rescaling else "restore"
        raise CheckpointError(
            f"expected a {meant} checkpoint for {command}, got one for {got}; use {other} with this one"
        )


def jobs(source: Path, output: Path, samples: int = 1) -> list[tuple[Path, list[Path]]]:
    """Pair every input image with the files to write, one per draw; make the output folder."""
    from hcflow.images.io import SUFFIXES

    if source.is_dir():
        inputs = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
        if not inputs:
            raise InputError(f"expected images ({', '.join(SUFFIXES)}) in {source}, got none")
    elif source.is_file():
        inputs = [source]
    else:
        raise InputError(f"expected an image or a folder, got {source}, which does not exist")
    single = output.suffix.lower() == ".png" and len(inputs) == 1 and not source.is_dir()
    if output.suffix and not single and not output.is_dir():
        raise InputError(f"expected a folder or, for one image, a .png as output, got {output}")
    folder = output.parent if single else output
    folder.mkdir(parents=True, exist_ok=True)
    stems = [output.stem] if single else [path.stem for path in inputs]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise InputError(f"expected inputs with different names, got several {twice!r}; they would overwrite")
    endings = [""] if samples == 1 else [f"_{draw}" for draw in range(1, samples + 1)]
    return [
        (path, [folder / f"{stem}{ending}.png" for ending in endings]) for path, stem in zip(inputs, stems, strict=True)
    ]


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """A progress bar on stderr; it draws nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        yield bar
