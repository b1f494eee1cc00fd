"""python -m bench compare: whether one row is better than another, over the same images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.cli.options import add_out, add_trust, whole
from hcflow.cli.entry import subparser

if TYPE_CHECKING:
    from bench.statistics.pairing import Pairing, System

_DESCRIPTION = """\
Compare two rows of a table over the same images: mean difference with a 95 % bootstrap interval, a paired permutation
test, and on how many images A is better. Nothing is measured; see docs/analysis.md.
"""
_EXAMPLES = """\
examples:
  python -m bench compare RRDB SRCNN --dataset Set5 Set14 --metric psnr_y
  python -m bench compare before:HCFlow after:HCFlow --format markdown     rows of two results folders
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `compare`."""
    parser = subparser(commands, "compare", "compare two rows over the same images", _EXAMPLES, _DESCRIPTION)
    parser.add_argument("a", metavar="A", help="a row, or FOLDER:ROW")
    parser.add_argument("b", metavar="B", help="the row to compare it with")
    parser.add_argument("--table", metavar="N", help="the table (default: the one in which both are measured)")
    for name, what in (("--dataset", "data sets"), ("--metric", "columns, such as psnr_y")):
        many = {"nargs": "+", "action": "extend", "default": [], "metavar": "NAME"}
        parser.add_argument(name, **many, help=f"only these {what} (default: all that both have)")  # type: ignore[arg-type]
    parser.add_argument("--seed", type=whole, default=0, help="of the resampling (default: 0)")
    parser.add_argument("--format", choices=["text", "json", "markdown"], default="text", help="(default: text)")
    add_out(parser)
    add_trust(parser)
    parser.set_defaults(run=_compare)


def _compare(args: argparse.Namespace) -> int:
    from bench.statistics.pairing import find_systems, pairings

    a, b = find_systems([args.a, args.b], args.out, args.table, args.trust)
    found = pairings(a, b, args.dataset, args.metric, args.seed)
    if args.format == "json":
        from bench import jsons

        print(jsons.dumps([_as_json(a, b, one, args.seed) for one in found], indent=1))
    elif args.format == "markdown":
        print(_markdown(a, b, found, args.seed))
    else:
        _print(a, b, found, args.seed)
    return 0


def _print(a: System, b: System, found: Sequence[Pairing], seed: int) -> None:
    from rich.markup import escape

    from bench.cli.terminal import console, in_blocks

    screen = console()
    lines = [_line(one) for one in found]
    for table in in_blocks(_HEADS, lines, screen.width, fixed=2, title=escape(_title(a, b))):
        screen.print(table)
    for note in _notes(found, seed):
        screen.print(escape(note), style="dim")


def _markdown(a: System, b: System, found: Sequence[Pairing], seed: int) -> str:
    from bench.report.markdown import escape

    lines = [f"| {' | '.join(_HEADS)} |", f"|{'---|' * len(_HEADS)}"]
    lines += [f"| {' | '.join(escape(text) for text in _line(one))} |" for one in found]
    return "\n".join([escape(_title(a, b)), "", *lines, "", *(f"{escape(note)}\n" for note in _notes(found, seed))])


_HEADS = (
    "data", "metric", "A", "B", "A − B", "95 % interval", "p", "p (Holm)", "A better", "worse", "equal", "images",
)  # fmt: skip


def _line(one: Pairing) -> list[str]:
    from bench.report import formatting

    result, digits = one.result, formatting.digits(one.a)
    interval = "-"
    if result.low is not None and result.high is not None:
        interval = f"{formatting.signed(result.low, digits)} to {formatting.signed(result.high, digits)}"
    return [
        one.a.dataset, f"{one.a.title} {formatting.ARROWS[one.a.direction]}".rstrip(),
        formatting.number(result.mean_a, digits),
        formatting.number(result.mean_b, digits), _difference(result.difference, digits), interval, _p(result.p),
        _p(one.p_holm), str(result.better), str(result.worse), str(result.equal), str(result.n),
    ]  # fmt: skip


def _difference(value: float, digits: int) -> str:
    from bench.report import formatting

    return "-" if value != value else formatting.signed(value, digits)


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value >= 0.001 else f"{value:.1g}"


def _title(a: System, b: System) -> str:
    return f"A: {a.name}   B: {b.name}   ({a.table.suite.name}, common protocol)"


def _notes(found: Sequence[Pairing], seed: int) -> list[str]:
    """What the numbers are, and what to be careful with."""
    from bench.statistics.paired import EXACT, RESAMPLES

    tests = sum(one.p_holm is not None for one in found)
    notes = [
        f"Paired over images. Interval: BCa bootstrap, {RESAMPLES:,} resamples, seed {seed}"
        f"{'; images are drawn first, then the draws of each' if any(one.result.draws for one in found) else ''}. "
        f"p: two-sided permutation test, exact up to {EXACT} images. Holm: over the {tests} tests shown."
    ]
    tested = [one.result for one in found if one.p_holm is not None]
    few = sorted({(result.n, result.smallest_p) for result in tested if result.smallest_p * tests > 0.05})
    notes += [
        f"{n} image{'s' if n > 1 else ''}: the smallest possible p is {_p(p)}, so with {tests} "
        f"test{'s' if tests > 1 else ''} none can be significant at 5 %."
        for n, p in few
    ]
    for one in found:
        where = f"{one.a.dataset}, {one.a.title}"
        rest = {"only A has": one.only_a, "only B has": one.only_b, "are not the same pixels": one.other}
        notes += [f"{where}: left out, images that {why}: {count}." for why, count in rest.items() if count]
        notes += [f"{where}: {one.result.why}."] if one.result.why else []
    return list(dict.fromkeys(notes))


def _as_json(a: System, b: System, one: Pairing, seed: int) -> dict[str, Any]:
    from bench import jsons

    result = one.result
    numbers = {"mean_a": result.mean_a, "mean_b": result.mean_b, "difference": result.difference}
    return {
        "a": a.name, "b": b.name, "table": a.table.suite.name, "dataset": one.a.dataset, "metric": one.a.column,
        "direction": one.a.direction, "unit": one.a.unit, "protocol": one.a.protocol,
        "temperature_a": one.a.temperature, "temperature_b": one.b.temperature,
        **{name: jsons.number_or_null(value) for name, value in numbers.items()},
        "interval": None if result.low is None else [result.low, result.high], "p": result.p, "p_holm": one.p_holm,
        "exact": result.exact, "smallest_p": result.smallest_p, "better": result.better, "worse": result.worse,
        "equal": result.equal, "images": result.n, "two_stages": result.draws, "only_a": one.only_a,
        "only_b": one.only_b, "other_pixels": one.other, "note": result.why, "seed": seed,
    }  # fmt: skip
