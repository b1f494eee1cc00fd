"""python -m bench: run the paper's tables, show and report them, manage data sets and weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.cli import data, doctor, perf, report, run, score, show, track, weights
from bench.errors import BenchError
from hcflow.cli.entry import run_command
from hcflow.images.io import ImageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; bad input is one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (run, show, report, track, data, weights, score, perf, doctor):
        module.add_parser(commands)
    return run_command(
        parser, argv, (BenchError, ImageError), "every finished image is kept; run the same command to go on"
    )


if __name__ == "__main__":
    sys.exit(main())
