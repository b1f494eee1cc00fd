"""What `bench run --list` and `--dry-run` print."""

from __future__ import annotations

from rich.markup import escape

from bench.cli.terminal import console, grid
from bench.datasets.manifest import load_manifest
from bench.report.formatting import duration
from bench.runs.estimates import forecast
from bench.runs.planning import datasets_of, why_not
from bench.runs.runner import Request
from bench.suites.suite import load_suite, suite_names


def print_tables() -> int:
    """Every table with its rows, and what each still needs here."""
    for name in suite_names():
        suite = load_suite(name.removeprefix("table"))
        table = grid("row", "what it needs", title=f"{name}: {suite.title}")
        manifests = [load_manifest(dataset) for dataset in suite.datasets]
        for row in suite.rows:
            lacks = why_not(row) or "; ".join(filter(None, (why_not(row, manifest) for manifest in manifests)))
            table.add_row(escape(row.name), escape(lacks) or "[green]nothing: it can run[/]")
        console().print(table)
    return 0


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
