"""A chart in a page: its title, its notes, and its values as a table that opens."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from bench.records.tables import Table
from bench.report.figures.series import Axis


def wrap(
    name: str,
    title: str,
    drawing: Markup,
    legend: Markup,
    notes: Iterable[str],
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> Markup:
    """Title, drawing, legend, notes, and the values as a table that opens."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            first, Markup("").join(Markup("<td>{}</td>").format(text) for text in rest)
        )
        for first, *rest in rows
    )
    return Markup(
        '<figure class="chart" id="{}"><figcaption>{}</figcaption>{}{}<p class="quiet">{}</p><details><summary>Values'
        '<span class="hidden"> of {}</span></summary><div class="scroll" role="region" tabindex="0" '
        'aria-label="Values of {}"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></details></figure>'
    ).format(name, title, drawing, legend, " ".join(notes), title, title, head, body)


def protocols(axes: Sequence[Axis]) -> list[str]:
    """A note of what the axes' values are."""
    return [f"Measured as {' and '.join(axis.protocol for axis in axes)}."]


def infinite(count: int, row: str = "") -> list[str]:
    """A note of images that could not be drawn; nothing where there are none."""
    what = f" of {row}" if row else ""
    return [f"Not drawn: {images(count)}{what} with an infinite value."] if count else []


def images(count: int) -> str:
    """`1 image`, `5 images`."""
    return "1 image" if count == 1 else f"{count} images"


def short(name: str, most: int = 40) -> str:
    """A name cut where it is long."""
    return name if len(name) <= most else name[: most - 1] + "…"


def name(table: Table, *parts: str) -> str:
    """A name that is unique on a page of all tables, and fit for an id."""
    text = " ".join((table.suite.name, *parts))
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    return f"chart-{readable}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
