"""Many image files in, many out: what is written where, what happens when one fails, and the summary."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow.cli.common import progress_bar
from hcflow.cli.entry import say
from hcflow.errors import HCFlowError, InputError
from hcflow.images.io import SUFFIXES, ImageError, open_image
from hcflow.images.photo import FORMATS, format_of

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["Job", "Report", "add_batch_arguments", "plan_jobs", "run_jobs"]

Report = Callable[[int, int], None]
"""Called with the parts of an image that are done, and their number."""


@dataclass(frozen=True)
class Job:
    """One image to read, and the files to write, one per draw."""

    source: Path
    targets: tuple[Path, ...]


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that maps image files to image files."""
    parser.add_argument("input", type=Path, metavar="IN", help="an image, or a folder of images")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="for one image, a file name that ends in .png, .jpg, .webp or .tif; else a folder (made if missing)",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace existing outputs (inputs never are)")
    existing.add_argument("--skip-existing", action="store_true", help="skip images whose outputs exist")
    parser.add_argument("--format", choices=tuple(FORMATS), help="of the outputs (default: as OUT ends, else png)")
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first image that fails (default: continue with the next)"
    )


def plan_jobs(args: argparse.Namespace, samples: int = 1, lossless: bool = False) -> list[Job]:
    """Pair inputs with outputs and make the output folder, before anything is computed.

    Args:
        args: of `add_batch_arguments`.
        samples: outputs per image; several are numbered from 1.
        lossless: whether JPEG would spoil the outputs.

    Raises:
        InputError: no inputs, an output that is an input or exists, two inputs for one output, or a folder that
            cannot be made.
    """
    inputs = _inputs(args.input)
    output = Path(args.output)
    single = _is_file_name(args.output, output, args.input)
    named = format_of(output) if single else None
    if named and args.format and named != args.format:
        raise InputError(
            f"expected an output that ends in {FORMATS[args.format]} for --format {args.format}, got {output}"
        )
    kind = args.format or named or "png"
    if lossless and kind == "jpeg":
        raise InputError("expected png, webp or tiff: JPEG changes the pixels that restore needs; use --format png")
    folder = output.parent if single else output
    suffix = output.suffix if single else FORMATS[kind]
    stems = [output.stem] if single else [path.stem for path in inputs]
    numbers = [""] if samples == 1 else [f"_{draw}" for draw in range(1, samples + 1)]
    jobs = [
        Job(path, tuple(folder / f"{stem}{number}{suffix}" for number in numbers))
        for path, stem in zip(inputs, stems, strict=True)
    ]
    _check_targets(jobs)
    jobs = _without_existing(jobs, args)
    _make_folder(folder)
    return jobs


def run_jobs(args: argparse.Namespace, jobs: Sequence[Job], run: Callable[[Job, Report], Sequence[str]]) -> int:
    """Run every job, print what it returns, continue after failures, and print a summary on stderr.

    Args:
        args: of `add_batch_arguments`.
        jobs: of `plan_jobs`.
        run: processes one image and returns the lines to print for it.

    Returns:
        The exit code: 2 if an image was skipped because it failed.
    """
    alone = args.strict or not args.input.is_dir()
    skipped: list[str] = []
    done = 0
    with progress_bar() as bar:
        task = bar.add_task(args.command, total=len(jobs), count=f"0/{len(jobs)}")
        try:
            for number, job in enumerate(jobs, 1):
                part = bar.add_task(_cut(job.source.name), total=None, count="")

                def report(finished: int, of: int, part: TaskID = part) -> None:
                    bar.update(part, completed=finished, total=of, count=f"{100 * finished // of}%")

                try:
                    for line in run(job, report):
                        print(line, flush=True)
                    done += 1
                except (HCFlowError, ImageError, OSError, MemoryError, RuntimeError) as error:
                    reason = _reason(error, job.source)
                    if alone:
                        raise InputError(reason) from error
                    skipped.append(reason)
                bar.remove_task(part)
                bar.update(task, advance=1, count=f"{number}/{len(jobs)}")
        finally:
            if skipped or len(jobs) > 1:
                say(
                    f"{args.command}: {done} of {len(jobs)} images done"
                    + (f", {len(skipped)} skipped:" * bool(skipped))
                )
            for reason in skipped:  # an error, so also with --quiet
                print(f"skipped: {reason}", file=sys.stderr)
    return 2 if skipped else 0


def _cut(name: str) -> str:
    """A file's name as it fits before a bar of 80 columns."""
    return name if len(name) <= 28 else f"{name[:20]}..{name[-6:]}"


def _reason(error: Exception, source: Path) -> str:
    """Why an image failed, in one line with its name; what is not the image's fault is raised again."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EPIPE):
        raise error
    text = (str(error) or type(error).__name__).splitlines()[0]
    if isinstance(error, MemoryError | RuntimeError):
        if not isinstance(error, MemoryError) and "memory" not in str(error).lower():
            raise error
        text = "out of memory; close other programs, or cut the image"
    return text if str(source) in text else f"{source}: {text}"


def _inputs(source: Path) -> list[Path]:
    if source.is_dir():
        inputs = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES and not path.is_dir())
        if not inputs:
            raise InputError(f"expected images ({', '.join(SUFFIXES)}) in {source}, got none")
        return inputs
    if not source.exists():
        raise InputError(f"expected an image or a folder, got {source}, which does not exist")
    with open_image(source):  # no image: told before a network is loaded
        pass
    return [source]


def _is_file_name(text: str, output: Path, source: Path) -> bool:
    """Whether OUT names the one file to write, not a folder."""
    if output.is_dir():
        return False
    folder = text.endswith(("/", os.sep)) or source.is_dir() or not output.suffix
    if folder and output.exists():
        raise InputError(f"expected a folder for the output, got {output}, which is a file; choose another name")
    if folder and not text.endswith(("/", os.sep)) and format_of(output) is not None:
        raise InputError(f"expected a folder as output for a folder of images, got {output}; leave the suffix out")
    if not folder and format_of(output) is None:
        raise InputError(f"expected a folder or, for one image, a .png, .jpg, .webp or .tif as output, got {output}")
    return not folder


def _check_targets(jobs: Sequence[Job]) -> None:
    """Refuse outputs that would replace an input, also through a link, or each other."""
    inputs = {_identity(job.source): job.source for job in jobs}
    seen: dict[Path, Path] = {}
    for job in jobs:
        for target in job.targets:
            if target in seen:
                raise InputError(
                    f"expected inputs with different names, got {seen[target]} and {job.source}, which would both be "
                    f"written to {target}; put them into different folders"
                )
            seen[target] = job.source
            if target.exists() and _identity(target) in inputs:
                raise InputError(f"expected an output that is not an input, got {target}; choose another output folder")


def _without_existing(jobs: list[Job], args: argparse.Namespace) -> list[Job]:
    existing = [target for job in jobs for target in job.targets if os.path.lexists(target)]
    if not existing or args.overwrite:
        return jobs
    if args.skip_existing:
        rest = [job for job in jobs if not all(os.path.lexists(target) for target in job.targets)]
        say(f"{args.command}: {len(jobs) - len(rest)} of {len(jobs)} images skipped, because their outputs exist")
        return rest
    more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
    raise InputError(
        f"expected new outputs, got {existing[0]}{more}, which exist; use --overwrite to replace them or "
        "--skip-existing to leave them as they are"
    )


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"expected a folder that can be made for the output, got {folder}: {reason}") from None
