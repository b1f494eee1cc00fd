"""A table as one self-contained HTML file; `templates` holds its parts, the style sheet and the script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.records.estimates import Verdict
from bench.records.tables import Cell, Table
from bench.report import notes, words
from bench.report.dialogs import dialog_data, plain
from bench.report.notes import Footnote, Reason
from bench.suites.suite import Row

_JSON = {"allow_nan": False, "separators": (",", ":")}

Key = float | str | None  # what a column is sorted by


@dataclass(frozen=True)
class Slot:
    """What stands in one place of a line of the grid.

    Attributes:
        text: number, or why there is none.
        verdict: of the value, where it is the one that is compared.
        opens: number of the cell that it opens.
        below: second line, in small print.
        reason: number of the reason why it was not run.
        span: columns it covers.
    """

    text: str = ""
    verdict: Verdict | None = None
    opens: int | None = None
    below: str = ""
    reason: int | None = None
    span: int = 1


@dataclass(frozen=True)
class Line:
    """One line of a row of the grid: `kind` is measured, own or published."""

    kind: str
    label: str
    marks: tuple[str, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True)
class Body:
    """A row of the grid: its name, its description, its lines and what its columns are sorted by."""

    name: str
    about: tuple[str, ...]
    lines: tuple[Line, ...]
    keys: tuple[Key, ...]


def render_html(table: Table, out: Path, thumbnails: bool = True) -> str:
    """The whole report of a table as one file that needs no network.

    Args:
        table: what to show.
        out: the results folder, where the thumbnails are.
        thumbnails: embed them; False where the terms of the images forbid copies.
    """
    protocols, why = notes.footnotes(table), notes.reasons(table)
    measured = [cell for cell in table.cells if cell.value is not None]
    first = table.suite.rows[0].name
    environment = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = _JSON
    return environment.get_template("report.html").render(
        suite=table.suite,
        datasets=table.datasets,
        heading=words.heading(table.suite),
        summary=notes.summary(table),
        heads=[
            (table.cell(first, dataset, column.id), notes.mark_of(protocols, column.measure.id))
            for dataset, column in words.places(table)
        ],
        bodies=[_body(table, row, protocols, why, measured) for row in table.suite.rows],
        details=[_detail(cell, protocols) for cell in measured],
        any_own=any(words.has_own_protocol(cell) for cell in measured),
        remarks=notes.remarks(table),
        protocols=protocols,
        reasons=why,
        runs=[notes.provenance(run) for run in table.runs],
        words=words,
        data=dialog_data(measured, table, out, thumbnails),
    )


def _body(
    table: Table, row: Row, protocols: Sequence[Footnote], why: Sequence[Reason], measured: Sequence[Cell]
) -> Body:
    cells = [table.cell(row.name, dataset, column.id) for dataset, column in words.places(table)]
    number = {id(cell): index for index, cell in enumerate(measured)}
    lines = [Line("measured", "measured", (), tuple(_measured(cells, why, number)))]
    if any(cell.value and words.has_own_protocol(cell) for cell in cells):
        marks = tuple(notes.own_marks(protocols, cells))
        slots = tuple(_slot(c, number, as_published=True) if words.has_own_protocol(c) else Slot() for c in cells)
        lines.append(Line("own", "paper's protocol", marks, slots))
    lines.append(Line("published", "published", (), tuple(Slot(cell.published or "") for cell in cells)))
    about = tuple(words.description(table.suite, row))
    return Body(row.name, about, tuple(lines), (row.name, *(_key(cell) for cell in cells)))


def _measured(cells: Sequence[Cell], why: Sequence[Reason], number: dict[int, int]) -> Iterable[Slot]:
    """The measured values; neighbours that were not run for one reason share a slot."""
    for reason, group in groupby(cells, lambda cell: None if cell.value else notes.reason_of(cell, why)):
        members = list(group)
        if reason is None:
            yield from (_slot(cell, number, as_published=False) for cell in members)
        else:
            text = "not run"
            if len(members) == len(cells) and len({cell.reason for cell in cells}) == 1:
                text = f"not run: {cells[0].reason.removeprefix('not run yet: ')}"
            yield Slot(text, reason=reason.number, span=len(members))


def _slot(cell: Cell, number: dict[int, int], as_published: bool) -> Slot:
    value = cell.value_as_published if as_published else cell.value
    if value is None:
        return Slot()
    compared = as_published or not words.has_own_protocol(cell)
    below = words.images_of(cell) if compared and cell.verdict == "partial" else ""
    text = words.number(value.mean, cell.decimals)
    return Slot(text, cell.verdict if compared else None, number[id(cell)], below)


def _key(cell: Cell) -> Key:
    """A column is sorted by what was measured under the common protocol, else by what was published."""
    if cell.value:
        return plain(cell.value.mean)
    return float(cell.published) if cell.published else None


def _detail(cell: Cell, protocols: Sequence[Footnote]) -> dict[str, Any]:
    """A measured cell in the list below the grid."""
    assert cell.value is not None
    assert cell.value_as_published is not None
    own = words.has_own_protocol(cell)
    digits = words.digits(cell)
    return {
        "cell": cell,
        "measured": words.with_error(cell.value, digits),
        "common": notes.mark_of(protocols, cell.protocol),
        "as_published": words.with_error(cell.value_as_published, digits) if own else "",
        "own": notes.mark_of(protocols, cell.protocol_as_published, cell.row) if own else "",
        "difference": "" if cell.difference is None else words.signed(cell.difference, digits),
        "images": words.images_of(cell),
        "keys": [
            words.name(cell),
            float(cell.published) if cell.published else None,
            plain(cell.value.mean),
            plain(cell.value_as_published.mean),
            None if cell.difference is None else plain(cell.difference),
            cell.verdict,
            cell.value.n,
        ],
    }
