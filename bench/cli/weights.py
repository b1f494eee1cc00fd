"""python -m bench weights: the files of weights."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.markup import escape

from bench.cli.progress import DownloadBar
from bench.cli.terminal import console, grid
from bench.errors import BenchError
from bench.weights import entries as weights
from hcflow.cli.entry import subparser

_DESCRIPTION = """\
Weights live in $HCFLOW_WEIGHTS (else in the user cache). A file is used only if its SHA-256 is the known one; where
none is published, the first one that was downloaded or imported is recorded and compared ever after.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `weights list | import | fetch`."""
    parser = subparser(
        commands,
        "weights",
        "list, import and fetch weights",
        description=_DESCRIPTION,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="what is present and what is missing")
    listing.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")
    listing.set_defaults(run=_list)
    importing = actions.add_parser("import", help="take a file that you have")
    importing.add_argument("name", metavar="NAME")
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.set_defaults(run=_import)
    fetching = actions.add_parser("fetch", help="download")
    fetching.add_argument("names", nargs="+", metavar="NAME")
    fetching.add_argument("--offline", action="store_true", help="refuse to use the network (also HCFLOW_OFFLINE=1)")
    fetching.set_defaults(run=_fetch)


def _list(args: argparse.Namespace) -> int:
    rows = []
    for name, entry in weights.weight_entries().items():
        state = "missing"
        if entry.path.is_file():
            try:
                weights.resolve(name)
                state = "shipped" if entry.shipped else "present"
            except BenchError:
                state = "wrong file"
        get = "" if state in ("present", "shipped") else weights.how_to_get(entry)
        rows.append({"id": name, "state": state, "used_by": entry.used_by, "licence": entry.licence, "get": get})
    if args.format == "json":
        print(json.dumps(rows, indent=1))
        return 0
    table = grid("weights", "state", "used by", "to get them", title=f"in {weights.weights_root()}")
    for row in rows:
        style = {"present": "green", "shipped": "green", "missing": "red"}.get(row["state"], "yellow")
        table.add_row(escape(row["id"]), f"[{style}]{row['state']}[/]", escape(row["used_by"]), escape(row["get"]))
    console().print(table)
    return 0


def _import(args: argparse.Namespace) -> int:
    print(f"{args.name}: stored in {weights.import_file(args.name, args.file)}")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    entries = [weights.weight_entry(name) for name in args.names]
    failed = 0
    for entry in entries:
        try:
            print(f"{entry.id}: licence: {entry.licence}")
            with DownloadBar() as bar:
                path = weights.fetch(entry.id, bar, args.offline)
            known = entry.sha256 or entry.sha256_prefix
            note = "" if known else " (no digest is published for it: this one is recorded and compared from now on)"
            print(f"{entry.id}: stored in {path}{note}")
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    return 2 if failed else 0
