"""What `python -m hcflow` and `python -m bench` share: sub-commands that teach, and how a command ends."""

from __future__ import annotations

import argparse
import difflib
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
    parser = commands.add_parser(
        name,
        help=summary,
        description=text if "\n" in text else textwrap.fill(text, 100),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command_parser=parser)
    return parser


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
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        print(f"error: {_unknown(args.command_parser, unknown[0])}", file=sys.stderr)
        return 2
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


def _unknown(command: argparse.ArgumentParser, argument: str) -> str:
    """What to say of an argument that a sub-command does not take."""
    if not argument.startswith("-"):
        return f"expected no {argument!r} there; `{command.prog} --help` says what {command.prog} takes"
    options = [option for action in command._actions for option in action.option_strings]
    near = difflib.get_close_matches(argument.split("=")[0], options, 1)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"unknown option {argument}; {guess}`{command.prog} --help` lists them"
