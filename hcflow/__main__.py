"""python -m hcflow: train, look at checkpoints, super-resolve, downscale and restore images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hcflow.cli import benchmark, checkpoints, images, importing, latents, train
from hcflow.cli.entry import add_version, program, run_command
from hcflow.errors import HCFlowError
from hcflow.images.io import ImageError

_EXAMPLES = """examples:
  {0} upscale photos/ -o out/ --checkpoint SR_DF2K_X4_HCFlow++.pth --samples 5
  {0} downscale photos/ -o small/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth
  {0} restore small/ -o back/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth
  {0} info SR_DF2K_X4_HCFlow++.pth
  {0} train --recipe rescale_x4 --budget smoke
  {0} import-pklv4 DF2K-tr.pklv4 -o train/

`{0} COMMAND --help` explains a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; bad input is one line on stderr and exit code 2."""
    name = program("hcflow")
    parser = argparse.ArgumentParser(
        prog=name,
        description="HCFlow: image super-resolution x4 and x8, and rescaling x4, with a normalizing flow.",
        epilog=_EXAMPLES.format(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (images, latents, checkpoints, train, benchmark, importing):
        module.add_parsers(commands)
    return run_command(parser, argv, (HCFlowError, ImageError, OSError), "finished files are complete")


if __name__ == "__main__":
    sys.exit(main())
