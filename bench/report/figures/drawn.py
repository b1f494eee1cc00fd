"""The charts of a table as image files, as many as its records allow."""

from __future__ import annotations

import re
from collections.abc import Container

from bench.errors import BenchError
from bench.records.tables import Table
from bench.report.figures import files, per_image, series


def charts(table: Table, datasets: Container[str], suffix: str = ".png") -> dict[str, bytes]:
    """File name -> content: the charts of an HTML report as files.

    These are perception-distortion and temperature curves where rows have what they need, the spread over the images
    of the first column with a direction, and the two best rows against each other, each where there are three images.
    Nothing where matplotlib is missing.

    Args:
        table: with its cells.
        datasets: names; those without results are passed over.
        suffix: .png, .svg or .pdf.
    """
    try:
        files.require()
    except BenchError:
        return {}
    drawn: dict[str, bytes] = {}
    column = series.column_of(table).id
    for dataset in series.measured_datasets(table):
        if dataset not in datasets:
            continue

        def name(kind: str, of: str = dataset) -> str:
            return re.sub(r"[^A-Za-z0-9._+-]", "_", f"{kind}-{of}{suffix}")

        plot = series.perception_distortion(table, dataset)
        if plot is not None:
            drawn[name("perception-distortion")] = files.plots([plot], suffix)
        curves = series.temperature_curves(table, dataset)
        if curves:
            drawn[name("temperature")] = files.plots(curves, suffix)
        ranked = per_image.ranked(table, dataset, column)
        if ranked:
            drawn[name("spread")] = files.spread(ranked, dataset, suffix)
        pair = per_image.best_pair(table, dataset, column)
        if pair is not None:
            drawn[name("scatter")] = files.pair(pair, suffix)
    return drawn
