"""What `python -m hcflow` and `python -m bench` share: sub-commands that teach, and how a command ends."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence

__all__ = ["run_command", "subparser"]


def subparser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    epilog: str = "",
    description: str = "",
) -> argparse.ArgumentParser:
    """Add a sub-command; its help says what it does (`description`, else the summary) and ends with examples."""
    text = description or summary
    return commands.add_parser(
        name,
        help=summary,
        description=text if "\n" in text else textwrap.fill(text, 100),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run_command(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, errors: tuple[type[Exception], ...], kept: str
) -> int:
    """Parse and run a sub-command; its exit code.

    Args:
        parser: its sub-commands have set `run(args) -> exit code`.
        argv: the command line; None for the process's.
        errors: those of bad input: one line on stderr and exit code 2.
        kept: what to say of an interruption (exit code 130).
    """
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except errors as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; {kept}", file=sys.stderr)
        return 130
    return code
