"""python -m bench methods: what can restore an image, and whether its weights are present."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hcflow.cli.entry import loading, subparser

if TYPE_CHECKING:
    from bench.methods.method import MethodEntry
    from bench.suites.suite import Row

_DESCRIPTION = """\
List the methods: name, kind, scales, number of parameters, whether the weights of its rows are present, and paper. With
names, print all details: their rows in the tables, and each file of weights with its digest.
"""
_EXAMPLES = """\
examples:
  python -m bench methods
  python -m bench methods rrdb hcflow
  python -m bench methods --format json
"""
_WIDTH = 80
_PRESENT = ("present", "shipped")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `methods`."""
    parser = subparser(commands, "methods", "list the methods", _EXAMPLES, _DESCRIPTION)
    parser.add_argument("names", nargs="*", metavar="NAME", help="print all details of these")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")
    parser.set_defaults(run=_methods)


def _methods(args: argparse.Namespace) -> int:
    from bench import jsons
    from bench.methods.method import METHODS

    loading()
    known = {name: METHODS.find(name) for name in args.names or METHODS.names()}
    rows = _rows()
    described = [_describe(name, entry, rows.get(name, {})) for name, entry in known.items()]
    if args.format == "json":
        print(jsons.dumps(described, indent=1))
    elif args.names:
        print("\n\n".join("\n".join(_details(one)) for one in described))
    else:
        print("\n".join(_lines(described)))
    return 0


def _rows() -> dict[str, dict[str, Row]]:
    """Method -> its rows in the tables, by `table4: RRDB`."""
    from bench.suites.reading import load_suite, suite_names

    found: dict[str, dict[str, Row]] = {}
    for name in suite_names():
        for row in load_suite(name.removeprefix("table")).rows:
            found.setdefault(row.method, {})[f"{name}: {row.name}"] = row
    return found


def _describe(name: str, entry: MethodEntry, rows: Mapping[str, Row]) -> dict[str, object]:
    from bench.downloads.digests import file_digest
    from bench.weights import entries as weights

    files = []
    for need in dict.fromkeys(need for row in rows.values() for need in row.needs):
        one = weights.weight_entry(need)
        state = weights.state(one)
        files.append(
            {
                "id": need,
                "state": state,
                "sha256": file_digest(one.path) if state in _PRESENT else "",
                "parameters": list(one.params),
                "get": "" if state in _PRESENT else weights.how_to_get(one),
            }
        )
    return {
        "name": name,
        "title": entry.title,
        "kind": _kind(entry),
        "scales": list(entry.scales),
        "parameters": sorted({count for one in files for count in _counts(one["parameters"])}),
        "checkpoints": _state(files, rows),
        "paper": entry.paper,
        "files": files,
        "rows": list(rows),
        "tiling": entry.tiling,
        "note": entry.note,
    }


def _counts(parameters: object) -> Sequence[int]:
    return parameters if isinstance(parameters, list) else ()


def _kind(entry: MethodEntry) -> str:
    kind = "SR, rescaling" if entry.kind == "either" else entry.kind
    return f"{kind}, stochastic" if entry.stochastic else kind


def _state(files: Sequence[Mapping[str, object]], rows: Mapping[str, Row]) -> str:
    """Of the weights of all its rows, in a few words."""
    if not files:
        return "none needed" if rows and not any(row.needs for row in rows.values()) else "your own file"
    present = [one for one in files if one["state"] in _PRESENT]
    if len(files) == 1:
        digest = str(files[0]["sha256"])[:8]
        return f"present {digest}" if present else str(files[0]["state"])
    return f"{len(present)} of {len(files)} present" if present else "missing"


def _short(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}K"


def _lines(described: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """One method a line, at most 80 columns; the paper is cut where it must be."""
    kinds = {"SR": "SR", "SR, stochastic": "SR*", "rescaling": "resc.", "rescaling, stochastic": "resc.*"}
    table = [("method", "kind", "scales", "params", "checkpoints", "paper")]
    for one in described:
        scales = one["scales"]
        assert isinstance(scales, list)
        counts = _counts(one["parameters"])
        size = "-".join(_short(count) for count in dict.fromkeys((min(counts), max(counts)))) if counts else "-"
        kind = kinds.get(str(one["kind"]), "both*" if "stochastic" in str(one["kind"]) else "both")
        shown = ",".join(f"x{scale}" for scale in scales) or "any"
        table.append((str(one["name"]), kind, shown, size, str(one["checkpoints"]), str(one["paper"])))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        text = "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        yield text if len(text) <= _WIDTH else f"{text[: _WIDTH - 2]}.."
    yield ""
    yield "* draws; resc.: makes its own LR image. More: python -m bench methods NAME"


def _details(one: Mapping[str, object]) -> Iterator[str]:
    scales, files, rows = one["scales"], one["files"], one["rows"]
    assert isinstance(scales, list)
    assert isinstance(files, list)
    assert isinstance(rows, list)
    yield f"{one['name']}: {one['title']} ({one['paper']})"
    yield f"  kind: {one['kind']}"
    yield f"  scales: {', '.join(f'x{scale}' for scale in scales) or 'any'}"
    for key in ("tiling", "note"):
        if one[key]:
            yield from textwrap.wrap(f"{key}: {one[key]}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
    yield f"  rows: {'; '.join(rows)}" if rows else "  rows: none; give it your own weights"
    for file in files:
        counts = " or ".join(f"{count:,}" for count in file["parameters"])
        yield f"  weights {file['id']}: {file['state']}{f', {counts} parameters' if counts else ''}"
        yield f"    SHA-256 {file['sha256']}" if file["sha256"] else f"    {file['get']}"
