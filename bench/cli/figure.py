"""python -m bench figure: the paper's comparison figures, and charts of a table, as PNG, SVG or PDF files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_out, add_suite, add_table, add_trust, positive, shown_suite
from bench.errors import BenchError
from hcflow.cli.entry import say, subparser

if TYPE_CHECKING:
    from bench.records.tables import Table

_DESCRIPTION = """\
Draw a figure from the records of earlier runs. 4, 5 and 6 are the paper's: a part of an image as LR, bicubic, each
row's restored image and HR, with scores (4: table 2, 5: table 3, 6: table 4). Restored images are those that a run
kept (--keep-images); others are restored now with the same weights and seeds, and their scores compared with the
records'. A text file beside the figure says what is seen and where it comes from.
"""
_EXAMPLES = """\
examples:
  python -m bench figure 4 --dataset Set5 --image butterfly
  python -m bench figure 6 --dataset Sample --image chelsea --region 200,80,64,64 --draws 3 --to cat.pdf
  python -m bench figure perception-distortion --table 2 --to pd.svg
  python -m bench figure temperature --suite tau.toml
  python -m bench figure scatter --table 4 --dataset Set14 --row Bicubic RRDB --metric psnr_y
  python -m bench figure worst --table 4 --dataset Set14 --row RRDB --count 3
  python -m bench figure deviation --table 2 --dataset Set5 --image butterfly
"""
KINDS = {
    "4": "x4 super-resolution side by side (table 2)",
    "5": "x8 faces side by side (table 3)",
    "6": "x4 rescaling side by side (table 4)",
    "perception-distortion": "PSNR against LPIPS, a point per method and temperature",
    "temperature": "PSNR, LPIPS, diversity and consistency against temperature",
    "scatter": "two rows image by image",
    "spread": "the values of all images, a line per row",
    "worst": "the images on which a row is worst",
    "best": "those on which it is best",
    "deviation": "map of the standard deviation over draws",
}
_TABLES = {"4": "2", "5": "3", "6": "4"}
_PICTURES = ("4", "5", "6", "worst", "best", "deviation")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `figure`."""
    parser = subparser(commands, "figure", "draw a figure", _EXAMPLES, _DESCRIPTION)
    parser.add_argument(
        "kind", choices=list(KINDS), metavar="KIND", help="; ".join(f"{k}: {v}" for k, v in KINDS.items())
    )
    what = parser.add_mutually_exclusive_group()
    add_table(what)
    add_suite(what)
    parser.add_argument("--dataset", metavar="NAME", help="(default: the first with results)")
    parser.add_argument("--image", metavar="ID", help="(default: the first that every row has)")
    parser.add_argument("--row", nargs="+", action="extend", default=[], metavar="NAME", help=_ROW)
    parser.add_argument("--metric", metavar="NAME", help="a column's id or metric: of scatter, spread, worst and best")
    parser.add_argument("--region", metavar="X,Y,W,H", help=_REGION)
    parser.add_argument("--draws", type=positive, default=None, metavar="N", help=_DRAWS)
    parser.add_argument("--count", type=positive, default=3, metavar="N", help="images of worst and best (default: 3)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="FILE.png, .svg or .pdf (default: OUT/figures/...png)")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE and its caption where they exist")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_figure)


_ROW = "only these rows (default: all with results; for scatter the best two; for worst, best the best one)"
_REGION = "part to show, in HR pixels, or `whole` (default: where the rows differ most; figure 5: whole)"
_DRAWS = "of each stochastic row (default: 1; deviation: all)"


def _figure(args: argparse.Namespace) -> int:
    from bench.files import write_atomically
    from bench.records.journal import require_records
    from bench.records.tables import build_table
    from bench.report.figures import files

    require_records(args.out)
    number = args.table or _TABLES.get(args.kind)
    if number is None and args.suite is None:
        raise BenchError(f"figure {args.kind}: expected --table N or --suite FILE, got neither")
    table = build_table(shown_suite(number, args.suite, args.out, args.trust), args.out)
    dataset = _dataset(args, table)
    target = _target(args, table, dataset)
    files.require()
    if args.kind in _PICTURES:
        from bench.cli.figure_pictures import pictures

        drawn, caption = pictures(args, table, dataset, target.suffix)
    else:
        drawn, caption = _chart(args, table, dataset, target.suffix)
    write_atomically(target, drawn)
    write_atomically(_beside(target), caption.encode())
    print(f"written: {target}, {_beside(target)}")
    return 0


def _dataset(args: argparse.Namespace, table: Table) -> str:
    from bench.registry import unknown
    from bench.report.figures.series import measured_datasets

    names = measured_datasets(table)
    if not names:
        raise BenchError(f"{args.out}: expected records of {table.suite.name}, got none; first: python -m bench run")
    if args.dataset and args.dataset not in names:
        raise unknown("data set with results", args.dataset, names, f" in {table.suite.name}")
    return args.dataset or names[0]


def _target(args: argparse.Namespace, table: Table, dataset: str) -> Path:
    """Where the figure goes, and that nothing is there yet.

    Raises:
        BenchError: another suffix, or it exists.
    """
    from bench.report.figures.files import SUFFIXES

    name = f"figure{args.kind}" if args.kind.isdigit() else args.kind
    parts = [name, table.suite.name, dataset, *([args.image] if args.image else [])]
    plain = "-".join("".join(c if c.isalnum() or c in "._+" else "_" for c in part) for part in parts)
    target: Path = args.to or args.out / "figures" / f"{plain}.png"
    if target.suffix.lower() not in SUFFIXES:
        raise BenchError(f"--to: expected FILE{', FILE'.join(SUFFIXES)}, got {target.name}")
    there = [path for path in (target, _beside(target)) if path.exists()]
    if there and not args.overwrite:
        raise BenchError(
            f"expected a new file, got {there[0]}, which exists; --overwrite replaces it, --to names another"
        )
    return target.with_suffix(target.suffix.lower()) if target.suffix.isupper() else target


def _beside(target: Path) -> Path:
    """The caption's file."""
    return target.with_suffix(".txt")


def _chart(args: argparse.Namespace, table: Table, dataset: str, suffix: str) -> tuple[bytes, str]:
    from bench.report.figures import files, per_image, series

    if args.kind == "perception-distortion":
        plot = series.perception_distortion(table, dataset)
        if plot is None:
            raise BenchError(
                f"expected rows with PSNR and LPIPS at one temperature on {dataset}, got none; --also lpips"
            )
        return files.plots([plot], suffix), _told(table, [plot])
    if args.kind == "temperature":
        plots = series.temperature_curves(table, dataset)
        if not plots:
            raise BenchError(
                f"expected a row with results at two temperatures or more on {dataset}, got none; "
                "docs/figures.md shows a suite that has them"
            )
        return files.plots(plots, suffix), _told(table, plots)
    column = series.column_of(table, args.metric).id
    rows = [row.name for row in table.suite.select(args.row)] if args.row else []
    if args.kind == "spread":
        ranked = per_image.ranked(table, dataset, column, rows)
        if not ranked:
            raise BenchError(f"expected rows with finite values of {column} on {dataset}, got none; run them first")
        lines = ["{}: worst {}, best {}, mean {}".format(one.row, *one.ends) for one in ranked]
        return files.spread(ranked, dataset, suffix), "\n".join([f"{column}, {ranked[0].axis.protocol}", *lines, ""])
    if rows and len(rows) != 2:
        raise BenchError(f"--row: expected two rows for a scatter, got {len(rows)}: {', '.join(rows)}")
    pair = (
        per_image.pair(table, dataset, column, (rows[0], rows[1]))
        if rows
        else per_image.best_pair(table, dataset, column, 1)
    )
    if pair is None:
        raise BenchError(f"expected two rows with results on {dataset}, got fewer; run another")
    first, second = pair.wins
    said = f"{pair.rows[0]} is better on {first}, {pair.rows[1]} on {second} of {len(pair.images)} images"
    said += f"; left out: {pair.other} with other HR pixels" if pair.other else ""
    say(said)
    return files.pair(pair, suffix), f"{column}, {pair.axis.protocol}, {dataset}\n{said}\n"


def _told(table: Table, plots: list) -> str:  # type: ignore[type-arg]
    """The points of plots, for the caption's file."""
    lines = [f"{table.suite.name}: {table.suite.title}"]
    for plot in plots:
        axes = [axis.protocol for axis in (plot.x, plot.y) if axis]
        lines += ["", f"{plot.dataset}: {' against '.join(reversed(axes))}{'' if plot.x else ' against temperature'}"]
        for one in plot.series:
            lines += [
                f"{one.name}, temperature {p.temperature:g}: {p.x:.6g}, {p.y:.6g} ({p.images})" for p in one.points
            ]
        lines += [f"not drawn: {text}" for text in plot.left_out]
    return "\n".join(lines) + "\n"
