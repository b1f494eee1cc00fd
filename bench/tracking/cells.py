"""Cells as MLflow gets them: metric names that are the same in every table, values, tags, and tables."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from statistics import fmean

from bench.records.tables import Cell
from bench.report import formatting
from bench.suites.suite import Suite

_LONGEST = 7000  # characters of a description; MLflow cuts a tag at 8000


def key(text: str) -> str:
    """A part of a metric's name: letters, digits and `_-. `, which is what MLflow takes (`/` separates parts)."""
    return re.sub(r"[^\w.\-]+", " ", text).strip(" .")[:70].strip() or "unnamed"


def metrics(cell: Cell) -> dict[str, float]:
    """`psnr_y` (under the table's protocol), `published/psnr_y`, `difference/psnr_y` and so on: finite numbers only.

    MLflow would store infinity as 1.8e308.
    """
    if cell.value is None or cell.value_as_published is None:
        return {}
    name = key(cell.column)
    numbers = {
        name: cell.value.mean,
        f"stderr/{name}": cell.value.stderr,
        f"images/{name}": float(cell.value.n),
        f"papers_protocol/{name}": cell.value_as_published.mean if formatting.has_papers_protocol(cell) else None,
        f"published/{name}": float(cell.published) if cell.published else None,
        f"difference/{name}": cell.difference,
    }
    return {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}


def tags(cells: Sequence[Cell]) -> dict[str, str]:
    """What runs are grouped by: the verdict (of all columns, where they agree), and that and the protocol of each."""
    found = {"verdict": ", ".join(sorted({cell.verdict for cell in cells})) or "not run"}
    for cell in cells:
        name = key(cell.column)
        found[f"verdict/{name}"] = f"{cell.verdict}{': ' + cell.reason if cell.reason else ''}"
        if cell.value is not None and cell.value.infinite:
            what = f"{cell.value.infinite} images have an infinite value"
            found[f"infinite/{name}"] = f"the mean is infinite: {what}"
        if cell.remarks:
            found[f"remarks/{name}"] = "; ".join(cell.remarks)
    return {name: text[:_LONGEST] for name, text in found.items()}


def protocols(cells: Iterable[Cell]) -> dict[str, str]:
    """The measures' ids, as parameters: the table's, and the paper's where they differ."""
    cells = list(cells)
    common = "; ".join(dict.fromkeys(cell.protocol for cell in cells))
    papers = "; ".join(dict.fromkeys(cell.protocol_as_published for cell in cells))
    return {"protocol": common, **({"papers_protocol": papers} if papers != common else {})}


def per_image(cells: Iterable[Cell]) -> str:
    """CSV text with one line per number: image, measure, temperature, draw, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "measure", "temperature", "draw", "value"])
    for cell in cells:
        for image in cell.images:
            both = {cell.protocol: image.common, cell.protocol_as_published: image.as_published}
            for measure, draws in both.items():
                for draw, value in enumerate(draws):
                    writer.writerow([image.id, measure, cell.temperature, draw, repr(value)])
    return text.getvalue()


def as_table(cells: Iterable[Cell]) -> dict[str, list[str]]:
    """One line per measured cell, all of it text, for `log_table`."""
    lines = [line(cell) for cell in cells if cell.value is not None]
    return {head: [one[head] for one in lines] for head in lines[0]} if lines else {}


def line(cell: Cell) -> dict[str, str]:
    """What a reader wants to know of a cell, under the heads of a table."""
    assert cell.value is not None
    assert cell.value_as_published is not None
    digits = formatting.digits(cell)
    return {
        "row": cell.row,
        "data set": cell.dataset,
        "metric": cell.title,
        "published": cell.published or "",
        "paper's protocol": formatting.with_error(cell.value_as_published, digits),
        "difference": "" if cell.difference is None else formatting.signed(cell.difference, digits),
        "verdict": cell.verdict,
        "common protocol": formatting.with_error(cell.value, digits),
        "images": formatting.images_of(cell),
    }


def description(suite: Suite, cells: Iterable[Cell], report: str) -> str:
    """Markdown for the overview page of a run: the measured cells as a table, as many as fit, and a link to the report.

    Args:
        suite: the table.
        cells: of the run.
        report: address of the rendered table.
    """
    lines = [line(cell) for cell in cells if cell.value is not None]
    text = f"**{_plain(formatting.heading(suite))}: {_plain(suite.title)}**\n\n"
    if not lines:
        return text + "Nothing was measured."
    text += f"| {' | '.join(lines[0])} |\n|{'---|' * len(lines[0])}\n"
    for number, one in enumerate(lines):
        following = f"| {' | '.join(_plain(value) for value in one.values())} |\n"
        if len(text) + len(following) > _LONGEST:
            text += f"\nand {len(lines) - number} more: see the artifact cells.json\n"
            break
        text += following
    return text + f"\n[The whole report]({report})"


def seconds_per_image(facts: Iterable[dict[str, float]]) -> dict[str, float]:
    """The mean time that the method took, where it is known."""
    known = [one["seconds"] for one in facts if math.isfinite(one.get("seconds", math.inf))]
    return {"seconds_per_image": fmean(known)} if known else {}


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]|#$~<>])", r"\\\1", " ".join(text.split()))
