"""python -m bench weights: the files of weights."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.errors import BenchError
from hcflow.cli.entry import subparser

_DESCRIPTION = """\
Weights live in $HCFLOW_WEIGHTS (else in the user cache). A file is used only if its SHA-256 is the published one.
Where none is published, the file is loaded (without running code from it) and its network is validated; the digest of
the first valid file is recorded and compared from then on.
"""
_EXAMPLES = """\
examples:
  python -m bench weights list
  python -m bench weights show HCFlow_rescaling_x4
  python -m bench weights fetch HCFlow_rescaling_x4
  python -m bench weights fetch pyiqa:dists
  python -m bench weights import RRDB_PSNR_x4 ~/Downloads/RRDB_PSNR_x4.pth
"""
_STYLES = {"present": "green", "shipped": "green", "missing": "red"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `weights list | show | import | fetch`."""
    parser = subparser(commands, "weights", "list, show, import and fetch weights", _EXAMPLES, _DESCRIPTION)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = subparser(actions, "list", "what is present and what is missing, one file per line")
    _add_format(listing)
    listing.set_defaults(run=_list)
    showing = subparser(actions, "show", "details of files: source, digest, size, how to get them")
    showing.add_argument("names", nargs="+", metavar="NAME", help="as `list` shows them")
    _add_format(showing)
    showing.set_defaults(run=_show)
    importing = subparser(actions, "import", "import a file that you have")
    importing.add_argument("name", metavar="NAME", help="as `list` shows it")
    importing.add_argument("file", type=Path, metavar="FILE", help="the file of weights")
    _add_replace(importing)
    importing.set_defaults(run=_import)
    fetching = subparser(actions, "fetch", "download files of weights")
    fetching.add_argument("names", nargs="+", metavar="NAME", help="as `list` shows them")
    fetching.add_argument("--offline", action="store_true", help="refuse to use the network (also HCFLOW_OFFLINE=1)")
    _add_replace(fetching)
    fetching.set_defaults(run=_fetch)


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")


def _add_replace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--replace", action="store_true", help="replace an existing file and its recorded digest")


def _list(args: argparse.Namespace) -> int:
    from rich.markup import escape

    from bench.cli.terminal import console, grid, one_line_each
    from bench.roots import weights_root
    from bench.weights import entries as weights

    rows = [_describe(name) for name in weights.weight_entries()]
    if args.format == "json":
        print(json.dumps(rows, indent=1))
        return 0
    table = grid("weights", "state", "needed by", title=f"in {weights_root()}")
    for row in rows:
        state = str(row["state"])
        table.add_row(
            escape(str(row["id"])), f"[{_STYLES.get(state, 'yellow')}]{state}[/]", escape(str(row["used_by"]))
        )
    out = console()
    out.print(one_line_each(table))
    out.print("How to get them: python -m bench weights show NAME")
    return 0


def _show(args: argparse.Namespace) -> int:
    from bench.weights import entries as weights

    for name in args.names:
        weights.weight_entry(name)  # a misspelt one is an error before anything is printed
    rows = [_describe(name) for name in args.names]
    if args.format == "json":
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(row["id"])
        for key, value in row.items():
            if value and key != "id":
                print(f"  {key.replace('_', ' ')}: {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _describe(name: str) -> dict[str, object]:
    from bench.weights import entries as weights

    entry = weights.weight_entry(name)
    state, problem = weights.state(entry), ""
    if state == "wrong file":
        try:
            weights.resolve(name)
        except BenchError as error:
            problem = str(error)
    present = state in ("present", "shipped")
    return {
        "id": name,
        "state": state,
        "problem": problem,
        "used_by": entry.used_by,
        "file": str(entry.path),
        "holds": entry.expectation if entry.kind else "",
        "licence": entry.licence,
        "get": "" if present else weights.how_to_get(entry),
        "urls": list(entry.urls),
        "sha256": [*entry.sha256, *(f"{start}..." for start in entry.sha256_prefix)],
        "note": entry.note,
    }


def _import(args: argparse.Namespace) -> int:
    from bench.weights.acquire import import_file

    print(f"{args.name}: stored in {import_file(args.name, args.file, args.replace)}")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from bench.cli.progress import DownloadBar
    from bench.weights.acquire import fetch
    from bench.weights.entries import weight_entry

    of_pyiqa = [name for name in args.names if name.startswith("pyiqa:")]
    entries = [weight_entry(name) for name in args.names if name not in of_pyiqa]
    failed = 0
    for name in of_pyiqa:
        try:
            _fetch_pyiqa(name.removeprefix("pyiqa:"), args.offline)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    for entry in entries:
        try:
            print(f"{entry.id}: licence: {entry.licence}", flush=True)
            with DownloadBar() as bar:
                path = fetch(entry.id, bar, args.offline, args.replace)
            note = "" if entry.sha256 else " (no digest is published for it: recorded, and compared from now on)"
            print(f"{entry.id}: stored in {path}{note}")
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    return 2 if failed else 0


def _fetch_pyiqa(name: str, offline: bool) -> None:
    """Let pyiqa download the files of one of its metrics, into the folder that they are read from."""
    from bench.downloads.fetch import refuse_offline
    from bench.metrics import pyiqa

    pyiqa.member(name)
    refuse_offline(offline, f"download pyiqa:{name}")
    print(f"pyiqa:{name}: licence: {pyiqa.TERMS}; its files have terms of their own", flush=True)
    files = pyiqa.fetch(name)
    print(f"pyiqa:{name}: {len(files)} files in {pyiqa.folder(name)}")
