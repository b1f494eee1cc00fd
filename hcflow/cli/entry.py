"""What `python -m hcflow` and `python -m bench` share: sub-commands with examples, exit codes and error lines."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

__all__ = ["Parser", "add_version", "loading", "program", "quiet", "run_command", "say", "subparser", "verbose"]

_DISTRIBUTION = "hcflow-bench"
_LONGEST_LINE = 2000  # of an error: a text of a user's file may be in it
_verbosity = 0  # of the command that this process runs: -1 with --quiet, 1 with --verbose


_INVALID_CHOICE = r"argument (.+): invalid choice: '(.*?)'(?:, maybe you meant .*\?)? \(choose from (.*)\)"


class Parser(argparse.ArgumentParser):
    """A main parser whose errors, and those of its sub-commands, are one line with a suggestion."""

    _given: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]  # the base class's overloads tell kinds of namespaces apart
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As the base class; what was given is kept for the message about it."""
        given = list(sys.argv[1:] if args is None else args)
        self._given = given[: given.index("--")] if "--" in given else given
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr, and exit with code 2."""
        unknown = next((text for text in self._given if self._is_unknown(text)), "")
        lacking = re.search(r"arguments are required: |is required$", message)
        if unknown and lacking:  # because it was misspelt
            print(f"error: {_unknown(self, unknown)}", file=sys.stderr)
            sys.exit(2)
        choice = re.fullmatch(_INVALID_CHOICE, message, re.DOTALL)
        if choice is not None:
            choices = choice[3].replace("'", "").split(", ")
            near = difflib.get_close_matches(choice[2], choices, 1)
            message = f"{choice[1]}: expected one of {', '.join(choices)}, got {choice[2]!r}"
            message += f"; did you mean {near[0]}?" if near else ""
        stop = "" if message.endswith("?") else ";"
        print(f"error: {_line(ValueError(message))}{stop} `{self.prog} --help` explains", file=sys.stderr)
        sys.exit(2)

    def _is_unknown(self, text: str) -> bool:
        """Whether it looks like a long option and is none, in full or cut short."""
        name = text.split("=")[0]
        return (
            name.startswith("--")
            and name != "--"
            and not any(option.startswith(name) for action in self._actions for option in action.option_strings)
        )


def program(module: str) -> str:
    """The name under which a command was called: its console script's, or `python -m` and its module's."""
    return module if Path(sys.argv[0]).stem == module else f"python -m {module}"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add `--version` to a main parser; the version is looked up only when it is asked for."""
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        try:
            number = version(_DISTRIBUTION)
        except PackageNotFoundError:
            number = "(not installed: run from its folder)"
        print(f"{_DISTRIBUTION} {number}")
        parser.exit()


def subparser(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    epilog: str = "",
    description: str = "",
) -> argparse.ArgumentParser:
    """Add a sub-command; its help says what it does (`description`, else the summary) and ends with examples.

    Every sub-command takes --quiet and --verbose; what it prints through `say` obeys them.
    """
    text = description or summary
    parser = commands.add_parser(
        name,
        help=summary,
        description=_filled(text),
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # without defaults, so that those of `bench data list` do not undo `bench data --quiet list`
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument(
        "--quiet", action="store_true", default=argparse.SUPPRESS, help="print results and errors only"
    )
    loudness.add_argument(
        "--verbose", action="store_true", default=argparse.SUPPRESS, help="print details, and a traceback with an error"
    )
    parser.set_defaults(command_parser=parser)
    return parser


def _filled(text: str) -> str:
    """Paragraphs, and lines that begin with `Word: `, filled to the terminal's width, at most 100 columns."""
    width = min(shutil.get_terminal_size().columns - 2, 100)
    parts = re.split(r"\n(?=\n|\w+: )", text.strip("\n"))
    return "\n".join(
        ("\n" if part.startswith("\n") else "") + textwrap.fill(" ".join(part.split()), width) for part in parts
    )


def say(text: str, detail: bool = False) -> None:
    """Tell the user something on stderr: not with --quiet, and details only with --verbose."""
    if _verbosity >= (1 if detail else 0):
        print(text, file=sys.stderr, flush=True)


def quiet() -> bool:
    """Whether the command was given --quiet."""
    return _verbosity < 0


def verbose() -> bool:
    """Whether the command was given --verbose."""
    return _verbosity > 0


def loading(what: str = "PyTorch", module: str = "torch") -> None:
    """Say once, on a terminal, that a module is about to be imported that takes seconds."""
    if module not in sys.modules and sys.stderr.isatty():
        say(f"loading {what} ..")


def run_command(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, errors: tuple[type[Exception], ...], kept: str
) -> int:
    """Parse and run a sub-command; its exit code.

    Args:
        parser: its sub-commands have set `run(args) -> exit code`.
        argv: the command line; None for the process's.
        errors: those of bad input: one line on stderr and exit code 2.
        kept: message after an interruption (exit code 130).
    """
    global _verbosity
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        print(f"error: {_unknown(args.command_parser, unknown[0])}", file=sys.stderr)
        return 2
    _verbosity = int(getattr(args, "verbose", False)) - int(getattr(args, "quiet", False))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="surrogateescape")  # file names that are not UTF-8 are printed as they are
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except errors as error:
        if verbose():
            traceback.print_exc()
        print(f"error: {_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; {kept}", file=sys.stderr)
        return 130
    return code


def _line(error: Exception) -> str:
    """An error in one printable line of bounded length; the system's own without its number."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror.lower()}; check the path and its permissions"
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE // 2]} .. {text[-_LONGEST_LINE // 2 :]}"


def _unknown(command: argparse.ArgumentParser, argument: str) -> str:
    """The message for an argument that a sub-command does not take."""
    if not argument.startswith("-"):
        return f"expected no {argument!r} there; `{command.prog} --help` says what {command.prog} takes"
    options = [option for action in command._actions for option in action.option_strings]
    near = difflib.get_close_matches(argument.split("=")[0], options, 1)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"unknown option {argument}; {guess}`{command.prog} --help` lists them"
