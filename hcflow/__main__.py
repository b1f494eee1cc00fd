"""python -m hcflow: train, look at checkpoints, super-resolve, downscale and restore images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from hcflow.cli.entry import Parser, add_version, program, run_command
from hcflow.errors import HCFlowError

COMMANDS = {
    "upscale": ("images", "super-resolve images"),
    "downscale": ("images", "shrink images so that `restore` brings them back"),
    "restore": ("images", "enlarge what `downscale` made"),
    "latents": ("latents", "encode, decode, interpolate and transfer latents"),
    "info": ("checkpoints", "show what a checkpoint is"),
    "export": ("checkpoints", "convert a checkpoint between .pth and .safetensors"),
    "train": ("train", "train a network"),
    "benchmark": ("benchmark", "time training steps"),
    "import-pklv4": ("importing", "turn SRFlow's .pklv4 data sets into PNG files"),
}
"""Command -> (module of `hcflow.cli`, summary): only the one that is asked for is imported, so help is quick."""

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
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = program("hcflow")
    parser = Parser(
        prog=name,
        description="HCFlow: image super-resolution x4 and x8, and rescaling x4, with a normalizing flow.",
        epilog=_EXAMPLES.format(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    parser.set_defaults(arguments=arguments)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    errors: tuple[type[Exception], ...] = (HCFlowError, OSError)
    for command, (module, summary) in COMMANDS.items():
        if chosen in COMMANDS and COMMANDS[chosen][0] == module and command not in commands.choices:
            import_module(f"hcflow.cli.{module}").add_parsers(commands)
            from hcflow.images.io import ImageError

            errors = (HCFlowError, ImageError, OSError)
        if command not in commands.choices:
            commands.add_parser(command, help=summary)
    return run_command(parser, arguments, errors, "finished files are complete")


if __name__ == "__main__":
    sys.exit(main())
