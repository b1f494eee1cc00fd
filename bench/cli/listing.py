"""What `bench run --list` and `--dry-run` print."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.markup import escape

from bench.cli.terminal import console, grid
from bench.datasets.manifest import Manifest, load_manifest
from bench.report.formatting import duration
from bench.runs.estimates import Cost, forecast
from bench.runs.planning import datasets_of, why_not
from bench.runs.runner import Request
from bench.runs.shards import makespan, plan
from bench.suites.reading import load_suite, suite_names
from bench.suites.suite import Row


def print_tables() -> int:
    """Every table with its rows, and what each still needs here."""
    for name in suite_names():
        suite = load_suite(name.removeprefix("table"))
        table = grid("row", "what it needs", title=f"{name}: {suite.title}")
        manifests = [load_manifest(dataset) for dataset in suite.datasets]
        for row in suite.rows:
            lacks = why_not(row) or _missing(row, manifests, suite.fallback)
            table.add_row(escape(row.name), escape(lacks) or "[green]nothing: it can run[/]")
        console().print(table)
    return 0


def _missing(row: Row, manifests: Sequence[Manifest], fallback: str) -> str:
    """The data sets that a row lacks, those that a command downloads in one command; empty where it has all."""
    reasons = {manifest.name: why_not(row, manifest) for manifest in manifests}
    lacking = {name: reason for name, reason in reasons.items() if reason}
    fetched = [name for name, reason in lacking.items() if reason.endswith(f"bench data fetch {name}")]
    parts = [f"needs data: python -m bench data fetch {' '.join(fetched)}"] if fetched else []
    parts += [reason for name, reason in lacking.items() if name not in fetched]
    if parts and len(lacking) == len(reasons):
        parts.append(f"without data it runs on {fallback}")
    return "; ".join(parts)


def print_forecast(request: Request) -> int:
    """What a run would do, and how long it would take where earlier records tell."""
    manifests, _ = datasets_of(request.suite, request.datasets)
    forecasts = forecast(request.suite, request.rows, manifests, request.limit, request.out)
    table = grid("row", "data", "images", "measured", "time left", title=request.suite.title)
    for one in forecasts:
        if one.reason:
            table.add_row(escape(one.row), one.dataset, "", "", escape(f"not run: {one.reason}"))
        else:
            left = "unknown" if one.seconds is None else duration(one.seconds)
            table.add_row(escape(one.row), one.dataset, str(one.images), str(one.measured), left)
    console().print(table)
    known = [one.seconds for one in forecasts if not one.reason and one.seconds is not None]
    unknown = sum(not one.reason and one.seconds is None for one in forecasts)
    parts = [f"about {duration(sum(known))}"] if known else []
    parts += [f"no estimate for {unknown} of the lines: no earlier records"] if unknown else []
    print("; ".join([*parts, "nothing was run"]))
    return 0


def print_plan(args: argparse.Namespace, request: Request) -> int:
    """The parts that would be submitted, and what other numbers of processes would take."""
    from bench.cli.sharing import planned
    from bench.cli.sharing_options import options_of

    made, costs = planned(args, request)
    if not costs:
        return 0
    table = grid("part", "images", "time", "what", title=f"{len(made.parts)} parts")
    for number, (part, count, seconds) in enumerate(zip(made.parts, made.counts(), made.seconds(), strict=True), 1):
        what = ", ".join(f"{shard.row} on {shard.dataset} {shard.start + 1}-{shard.stop}" for shard in part[:3])
        what += f" and {len(part) - 3} more" if len(part) > 3 else ""
        table.add_row(str(number), str(count), duration(seconds) if made.measured else "", escape(what))
    console().print(table)
    known = {cost.row for cost in costs if cost.known}
    lacking = list(dict.fromkeys(cost.row for cost in costs if not cost.known))
    if lacking:
        print(f"no earlier records of {', '.join(lacking)}: images count by their size, and these rows like the others")
    if known:
        _print_scaling(costs, args.workers or options_of(args).at_once)
    return 0


def _print_scaling(costs: Sequence[Cost], asked: int) -> None:
    """On 1, 8, 64 and as many processes as were asked for: all images, and those that are not measured yet."""
    heads = ("processes", "all images", "speed", "busy", "what is left")
    table = grid(*heads, title="on machines like that of the records")
    anew, left = [cost.anew for cost in costs], [cost for cost in costs if not cost.measured]
    alone = makespan(plan(anew, 1).seconds(), 1)
    for count in sorted({1, 8, 64, asked}):
        seconds = plan(anew, 4 * count).seconds()
        whole = makespan(seconds, count)
        rest = duration(makespan(plan(left, 4 * count).seconds(), count)) if left else "nothing"
        table.add_row(str(count), duration(whole), f"{alone / whole:.1f}", f"{sum(seconds) / whole / count:.0%}", rest)
    console().print(table)
