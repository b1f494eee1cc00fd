"""python -m hcflow: train, look at checkpoints, super-resolve, downscale and restore images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hcflow.cli import benchmark, checkpoints, images, importing, latents, train
from hcflow.cli.entry import run_command
from hcflow.errors import HCFlowError
from hcflow.images.io import ImageError

_EXAMPLES = """examples:
  python -m hcflow train --recipe rescale_x4 --budget smoke
  python -m hcflow info SR_DF2K_X4_HCFlow++.pth
  python -m hcflow upscale photos/ -o out/ --scale 4 --checkpoint SR_DF2K_X4_HCFlow++.pth --samples 5
  python -m hcflow downscale photos/ -o small/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth
  python -m hcflow restore small/ -o back/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth
  python -m hcflow import-pklv4 DF2K-tr.pklv4 -o train/

python -m hcflow COMMAND --help says more about each."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; bad input is one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m hcflow",
        description="HCFlow: image super-resolution x4 and x8, and rescaling x4, by normalizing flow.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (train, benchmark, checkpoints, images, latents, importing):
        module.add_parsers(commands)
    return run_command(parser, argv, (HCFlowError, ImageError, OSError), "finished files are complete")


if __name__ == "__main__":
    sys.exit(main())
