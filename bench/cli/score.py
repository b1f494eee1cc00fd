"""python -m bench score: the tables' metrics for images that another program restored."""

from __future__ import annotations

import argparse
import csv
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_out, add_trust
from bench.errors import BenchError
from hcflow.cli.entry import loading, say, subparser

if TYPE_CHECKING:
    from bench.metrics.metric import Measure
    from bench.records.estimates import Estimate
    from bench.records.store import Values
    from bench.runs.folders import Folders, Scored

_DESCRIPTION = """\
Score SR images as the tables do. HR images have the same names; they are cropped (bottom, right) to a multiple of the
scale, as the images of a benchmark are. Without HR images, NIQE and BRISQUE are measured, which need none.
"""
_EXAMPLES = """\
examples:
  python -m bench score --sr results/Set5 --hr data/Set5/HR
  python -m bench score --sr results/Set5 --dataset Set5 --measure psnr@y,crop4,u8 lpips niqe@live
  python -m bench score --sr draw0 draw1 draw2 --hr originals --measure diversity lpips     several draws
  python -m bench score --sr results/Set5 --dataset Set5 --table 4 --as "My method"         as a row of table 4
"""
_WITHOUT_HR = ("niqe@live", "brisque@live")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `score`."""
    parser = subparser(commands, "score", "score a folder of images", _EXAMPLES, _DESCRIPTION)
    parser.add_argument("--sr", type=Path, nargs="+", required=True, metavar="DIR", help="SR images; one folder a draw")
    parser.add_argument("--hr", type=Path, metavar="DIR", help="HR images, with the same names")
    parser.add_argument("--lr", type=Path, metavar="DIR", help="the LR images that were restored")
    parser.add_argument("--dataset", default="", metavar="NAME", help="a data set that is present, in place of --hr")
    parser.add_argument("--measure", nargs="+", action="extend", default=[], metavar="ID", help=_MEASURE)
    parser.add_argument("--table", metavar="N", help="with --as: put the result into this table as a row")
    parser.add_argument("--as", dest="name", default="", metavar="NAME", help="name of that row")
    parser.add_argument("--format", choices=["text", "json", "csv", "html"], default="text", help="(default: text)")
    parser.add_argument("--scale", type=int, choices=range(1, 17), metavar="N", help="(default: 4, or the table's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_score)


_MEASURE = "such as psnr@y,crop4,u8 or lpips (default: PSNR and SSIM on RGB and Y; without HR: NIQE and BRISQUE)"


def _score(args: argparse.Namespace) -> int:
    _check(args)
    loading()
    from bench.cli.terminal import tracked
    from bench.runs.folders import Folders, score
    from bench.runs.provenance import choose_device

    measures = _measures(args)
    folders = Folders(args.sr, args.hr, args.lr, args.dataset, args.scale or _scale(args))
    device = choose_device(args.device)
    scored = list(tracked(score(folders, measures, device), "images", len(folders.names())))
    for one in scored:
        if one.note:
            say(f"{one.image}: {one.note}")
    print(_FORMATS[args.format](scored, measures), end="")
    if args.table:
        _put_into_table(args, folders, scored)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot be scored before PyTorch is loaded."""
    from bench.datasets.manifest import load_manifest
    from bench.suites.reading import load_suite

    if (args.hr is not None) + bool(args.dataset) > 1:
        raise BenchError("expected --hr DIR or --dataset NAME, got both")
    if bool(args.table) != bool(args.name) or (args.table and not args.dataset):
        raise BenchError("expected --table N, --as NAME and --dataset NAME together, got some of them alone")
    if args.dataset:
        load_manifest(args.dataset)
    if args.table and args.name in {row.name for row in load_suite(args.table).rows}:
        raise BenchError(f"--as: expected a name that the table does not have, got {args.name!r}")
    for option, folder in (*(("--sr", one) for one in args.sr), ("--hr", args.hr), ("--lr", args.lr)):
        if folder is not None and not folder.is_dir():
            raise BenchError(f"{option}: expected a folder of images, got {folder}")


def _scale(args: argparse.Namespace) -> int:
    from bench.suites.reading import load_suite

    return load_suite(args.table).scale if args.table else 4


def _measures(args: argparse.Namespace) -> list[Measure]:
    from bench.metrics.metric import Measure
    from bench.runs.planning import measure_faults
    from bench.suites.reading import load_suite

    if args.measure:
        return [Measure.parse(text) for text in args.measure]
    if args.table:
        columns = [column.measure for column in load_suite(args.table).columns]
        faults = measure_faults(columns)
        for text, why in faults.items():
            say(f"{text}: {why}")
        return [measure for measure in columns if measure.id not in faults]
    if args.hr is None and not args.dataset:
        return [Measure.parse(text) for text in _WITHOUT_HR]
    crop = args.scale or 4
    texts = [f"{metric}@{space},crop{crop},u8" for space in ("rgb", "y") for metric in ("psnr", "ssim")]
    return [Measure.parse(text) for text in texts]


def _put_into_table(args: argparse.Namespace, folders: Folders, scored: Sequence[Scored]) -> None:
    from bench.cli.options import suite_of
    from bench.records.tables import build_table
    from bench.report import write_reports
    from bench.report.grid import build_grid
    from bench.runs.folders import record
    from bench.runs.provenance import choose_device
    from bench.suites.reading import load_suite

    record(load_suite(args.table), args.name, folders, scored, choose_device(args.device), args.out)
    table = build_table(suite_of(args.table, None, args.out, args.trust), args.out)
    written = write_reports(build_grid(table), args.out, args.out)
    say("written: " + ", ".join(str(path) for path in written))


def _estimates(scored: Sequence[Scored], measures: Sequence[Measure]) -> list[Estimate | None]:
    from bench.records.estimates import Estimate

    columns = [[one.values[measure.id] for one in scored] for measure in measures]
    numbers = [[value for value in column if isinstance(value, tuple)] for column in columns]
    return [Estimate.of(column) if column else None for column in numbers]


def _text(scored: Sequence[Scored], measures: Sequence[Measure]) -> str:
    from bench.cli.terminal import console, in_blocks
    from bench.report.formatting import with_error

    screen = console()
    decimals = [measure.of.decimals for measure in measures]
    rows = [
        [one.image, *(_cell(one.values[m.id], places) for m, places in zip(measures, decimals, strict=True))]
        for one in scored
    ]
    means = zip(_estimates(scored, measures), decimals, strict=True)
    last = [f"mean of {len(scored)}", *(with_error(mean, places) for mean, places in means)]
    for table in in_blocks(["image", *(measure.id for measure in measures)], rows, screen.width, last=last):
        screen.print(table)
    reasons = {(m.id, v.why) for one in scored for m in measures if not isinstance(v := one.values[m.id], tuple)}
    return "".join(f"n/a: {measure}: {why}\n" for measure, why in sorted(reasons))


def _cell(value: Values, places: int) -> str:
    """The mean over draws."""
    return f"{sum(value) / len(value):.{places}f}" if isinstance(value, tuple) else "n/a"


def _json(scored: Sequence[Scored], measures: Sequence[Measure]) -> str:
    from bench import jsons

    def plain(value: Values) -> object:
        if not isinstance(value, tuple):
            return {"not applicable": value.why}
        return jsons.number(value[0]) if len(value) == 1 else [jsons.number(draw) for draw in value]

    means = {
        measure.id: None if mean is None else {"value": jsons.number(mean.mean), "stderr": mean.stderr, "n": mean.n}
        for measure, mean in zip(measures, _estimates(scored, measures), strict=True)
    }
    images = {one.image: {text: plain(value) for text, value in one.values.items()} for one in scored}
    return jsons.dumps({"images": images, "mean": means}, indent=1) + "\n"


def _rows(scored: Sequence[Scored], measures: Sequence[Measure]) -> list[list[str]]:
    """image, measure, draw, value: a line for each number."""
    lines = [["image", "measure", "draw", "value"]]
    for one in scored:
        for measure in measures:
            value = one.values[measure.id]
            if isinstance(value, tuple):
                lines += [[one.image, measure.id, str(draw), repr(number)] for draw, number in enumerate(value)]
            else:
                lines.append([one.image, measure.id, "", f"not applicable: {value.why}"])
    return lines


def _csv(scored: Sequence[Scored], measures: Sequence[Measure]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_rows(scored, measures))
    return text.getvalue()


def _html(scored: Sequence[Scored], measures: Sequence[Measure]) -> str:
    from bench.report.formatting import with_error

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"

    places = [measure.of.decimals for measure in measures]
    body = [line("th", ["image", *(measure.id for measure in measures)])]
    for one in scored:
        cells = [_cell(one.values[m.id], digits) for m, digits in zip(measures, places, strict=True)]
        body.append(line("td", [one.image, *cells]))
    means = zip(_estimates(scored, measures), places, strict=True)
    body.append(line("th", [f"mean of {len(scored)}", *(with_error(mean, digits) for mean, digits in means)]))
    head = '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Scores</title>\n'
    style = "<style>body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:right}</style>\n"
    return f"{head}{style}<table>\n{''.join(body)}</table>\n</html>\n"


_FORMATS = {"text": _text, "json": _json, "csv": _csv, "html": _html}
