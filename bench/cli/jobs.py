"""python -m bench jobs: submitted runs and their progress."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_out
from bench.errors import BenchError
from hcflow.cli.entry import subparser

if TYPE_CHECKING:
    from bench.runs.submissions import Submission
    from bench.runs.watching import Picture

_EXAMPLES = """\
examples:
  python -m bench jobs
  python -m bench jobs --all
  python -m bench jobs --cancel
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `jobs`."""
    parser = subparser(
        commands,
        "jobs",
        "look at submitted runs, or cancel them",
        _EXAMPLES,
        "Print the runs that several processes share (run --workers, --executor, --shard): queued, running, done and "
        "failed parts, and for each failed part its error and its log. Exit code 2 if a part of the last run failed.",
    )
    parser.add_argument("id", nargs="?", default="", metavar="ID", help="of a run (default: unfinished ones)")
    parser.add_argument("--all", action="store_true", help="also those that are finished")
    parser.add_argument("--cancel", action="store_true", help="cancel the jobs; their records are kept")
    add_out(parser)
    parser.set_defaults(run=_jobs)


def _jobs(args: argparse.Namespace) -> int:
    from bench.files import require_folder
    from bench.runs import submissions

    require_folder(args.out, "records")
    found = submissions.load_all(args.out)
    if args.id:
        found = [one for one in found if one.id == args.id]
    if not found:
        what = f"a submitted run {args.id}" if args.id else "submitted runs"
        raise BenchError(f"{args.out}: expected {what}, got none; see docs/cluster.md")
    pictures = [(one, _picture(args.out, one)) for one in found]
    if args.cancel:
        return _cancel(args.out, [one for one, picture in pictures if not picture.finished])
    shown = [pair for pair in pictures if args.all or args.id or not pair[1].finished]
    shown = shown or pictures[-1:]
    _print(shown)
    return 2 if pictures[-1][1].failed else 0


def _picture(out: Path, submission: Submission) -> Picture:
    from bench.runs.watching import Watch

    return Watch(out, submission).settled()


def _cancel(out: Path, submissions: list[Submission]) -> int:
    from bench.runs.cancelling import cancel

    failed = False
    for submission in submissions:
        try:
            cancel(out, submission)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        print(f"{submission.id}: cancelled; what was measured is kept, and the same command resumes")
    if not submissions:
        print("nothing is running")
    return 2 if failed else 0


def _print(shown: list[tuple[Submission, Picture]]) -> None:
    from rich.markup import escape

    from bench.cli.terminal import console, grid
    from bench.cli.watching import failure

    table = grid("run", "table", "executor", "queued", "running", "done", "failed", "images")
    for submission, picture in shown:
        done, images = picture.images
        counts = [str(picture.count(state)) for state in ("queued", "running", "done", "failed")]
        table.add_row(submission.id, submission.table, submission.executor, *counts, f"{done}/{images}")
    console().print(table)
    for submission, picture in shown:
        for part in picture.failed:
            console().print(escape(f"{submission.id} {failure(part)}"), soft_wrap=True)
