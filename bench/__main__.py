"""python -m bench: run the paper's tables, show and report them, manage data sets and weights."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from bench import perf
from bench.cli import data, doctor, report, run, score, show, track, weights
from bench.errors import BenchError
from hcflow.images.io import ImageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; bad input is one line on stderr and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (run, show, report, track, data, weights, score, perf, doctor):
        module.add_parser(commands)
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (BenchError, ImageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
