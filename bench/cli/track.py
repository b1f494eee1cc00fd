"""python -m bench track: import the records of earlier runs into MLflow."""

from __future__ import annotations

import argparse

from bench.cli.options import add_out, add_trust
from bench.cli.terminal import tracked
from bench.errors import BenchError
from hcflow.cli.entry import loading, subparser


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `track`."""
    parser = subparser(
        commands,
        "track",
        "import records into MLflow",
        description="Mirror every run in the records into MLflow (MLFLOW_TRACKING_URI, else OUT/mlflow.db). "
        "`run` does this itself; use `track` if the tracking server was unavailable. "
        "Repeating it changes nothing.",
    )
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_track)


def _track(args: argparse.Namespace) -> int:
    from bench.records.journal import no_records
    from bench.records.merging import reproductions
    from bench.tracking.store import without_password
    from bench.tracking.tables import Tracker

    loading("MLflow", "mlflow")
    journals = reproductions(args.out)
    if not journals:
        raise no_records(args.out)
    tracker = Tracker(args.out, warn=False, trust=args.trust)
    ended = [journal for journal in journals if not journal.alive]
    for journal in tracked(ended, "runs"):
        tracker.mirror(journal)
    if tracker.failure:
        server = without_password(tracker.uri)
        raise BenchError(f"MLflow at {server}: expected an answer, got {tracker.failure}; start it and try again")
    running = len(journals) - len(ended)
    rest = (
        "; 1 run is still in progress and will be mirrored when it ends"
        if running == 1
        else f"; {running} runs are still in progress"
    )
    print(f"{len(ended)} runs in {without_password(tracker.uri)}{rest if running else ''}")
    print(tracker.summary())
    return 0
