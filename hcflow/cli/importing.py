"""python -m hcflow import-pklv4."""

from __future__ import annotations

import argparse
from pathlib import Path

from hcflow.cli.common import progress_bar
from hcflow.cli.entry import subparser

__all__ = ["add_parsers"]


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `import-pklv4`."""
    parser = subparser(
        commands,
        "import-pklv4",
        "Turn SRFlow's .pklv4 data sets into folders of PNG files.",
        "Images are named 000001.png, 000002.png, .. in the order of the files. To resume after an\n"
        "interruption, give the same command again: finished images are not written again. HR and LR files\n"
        "(.._X4.pklv4) go to separate folders.\n"
        "\nexamples:\n"
        "  python -m hcflow import-pklv4 DF2K-tr.pklv4 -o train/\n"
        "  python -m hcflow import-pklv4 part1.pklv4 part2.pklv4 -o train/      numbered on from file to file\n"
        "  python -m hcflow import-pklv4 DIV2K-va.pklv4 -o valid/ --limit 100",
        description="Turn SRFlow's .pklv4 data sets into folders of PNG files.\n"
        "Such a file is a pickle, which runs code when Python opens it; here it is only searched for 8-bit images,\n"
        "and refused if it holds anything else.",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help=".pklv4 file")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="made if missing")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images of all files")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> int:
    from hcflow.data.pklv4 import import_pklv4

    with progress_bar() as bar:
        task = bar.add_task(args.command, total=None, count="")
        images = import_pklv4(
            args.files,
            args.output,
            args.limit,
            lambda done, total: bar.update(task, completed=done, total=total, count=f"{done:,}/{total:,}"),
        )
    print(f"{args.output}: {len(images):,} images, {images[0].name} to {images[-1].name}")
    return 0
