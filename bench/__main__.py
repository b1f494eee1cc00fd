"""python -m bench: run the paper's tables, show and report them, manage data sets and weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from bench.errors import BenchError
from hcflow.cli.entry import Parser, add_version, program, run_command

COMMANDS = {
    "run": ("run", "measure a table"),
    "jobs": ("jobs", "look at submitted runs, or cancel them"),
    "show": ("show", "print a table from its records"),
    "report": ("report", "write tables as HTML, markdown, LaTeX and JSON"),
    "figure": ("figure", "draw a figure"),
    "track": ("track", "import records into MLflow"),
    "data": ("data", "list, show, verify, import and fetch data sets"),
    "weights": ("weights", "list, show, import and fetch weights"),
    "compare": ("compare", "compare two rows over the same images"),
    "orderings": ("orderings", "tell whether the published orderings hold"),
    "verify": ("verify", "measure a part of a results folder again"),
    "export": ("export", "write results as CSV, Parquet or JSON"),
    "score": ("score", "score a folder of images"),
    "explain": ("explain", "find the protocol behind a published PSNR or SSIM"),
    "methods": ("methods", "list the methods"),
    "perf": ("perf", "time the network on this machine's CPU"),
    "doctor": ("doctor", "check this machine"),
}
"""Sub-command -> (module of `bench.cli`, summary): only the one that is asked for is imported, so help is quick."""


_EXAMPLES = """examples:
  {0} doctor
  {0} run --table 4
  {0} score --sr my/results --hr my/originals

`{0} COMMAND --help` explains a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; bad input is one line on stderr and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = program("bench")
    parser = Parser(
        prog=name,
        description="Run the tables of the paper, show and report them, and manage data sets and weights.",
        epilog=_EXAMPLES.format(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    parser.set_defaults(arguments=arguments)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    wanted = COMMANDS[chosen][0] if chosen in COMMANDS else None
    errors: tuple[type[Exception], ...] = (BenchError, OSError)
    for command, (module, summary) in COMMANDS.items():
        if module == wanted and command not in commands.choices:  # a module may offer several
            import_module(f"bench.cli.{module}").add_parser(commands)
            from hcflow.images.io import ImageError

            errors = (BenchError, ImageError, OSError)
        if command not in commands.choices:
            commands.add_parser(command, help=summary)
    return run_command(parser, arguments, errors, "every finished image is kept; run the same command to resume")


if __name__ == "__main__":
    sys.exit(main())
