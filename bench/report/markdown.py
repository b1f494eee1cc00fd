"""A table as GitHub-flavoured markdown: the paper's grid, then every measured cell, footnotes and provenance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.records.tables import Cell, Table
from bench.report import notes, words
from bench.report.notes import Footnote, Reason
from bench.report.words import MEANINGS, SYMBOLS
from bench.suites.suite import Row

_BREAK, _SPACE = "<br>", "&nbsp;"
_OWN = "paper's protocol"


def render_markdown(table: Table) -> str:
    """The whole report of a table as one markdown document."""
    protocols, why = notes.footnotes(table), notes.reasons(table)
    suite = table.suite
    blocks = [
        f"## {escape(words.heading(suite))}: {escape(suite.title)}",
        escape(f"{words.source(suite)} {notes.summary(table)}".strip()),
        _grid(table, protocols, why),
        _legend(),
        "### Measured cells",
        _details(table, protocols),
        "### Notes",
        "\n".join(f"- {escape(text)}" for text in notes.remarks(table)),
        "\n".join(f"- <sup>{note.mark}</sup> {_footnote(note)}" for note in protocols),
    ]
    if why:
        blocks += ["### Not run", "\n".join(f"{r.number}. {escape(r.where)}: {escape(r.text)}" for r in why)]
    blocks += ["### Provenance", _provenance(table)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """Text that GitHub shows as it is: no markup, no table border, no HTML, no mathematics."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#$~])", r"\\\1", text)


def code(text: str) -> str:
    """Text in a code span, inside a table or not."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`".replace("|", r"\|")


def _tight(text: str) -> str:
    """Text that is not broken into lines."""
    return escape(text).replace(" ", _SPACE)


def _grid(table: Table, protocols: Sequence[Footnote], why: Sequence[Reason]) -> str:
    first = table.suite.rows[0].name
    describe = [escape(name.replace("_", " ").capitalize()) for name in table.suite.describe]
    heads = ["Method", *describe]
    for dataset, column in words.places(table):
        mark = notes.mark_of(protocols, column.measure.id)
        cell = table.cell(first, dataset, column.id)
        heads.append(
            _BREAK.join([escape(dataset), _tight(cell.title), f"{_tight(words.scale(cell))} <sup>{mark}</sup>"])
        )
    rows = [line for row in table.suite.rows for line in _grid_lines(table, row, protocols, why)]
    return _table(heads, rows, left=1 + len(describe))


def _grid_lines(table: Table, row: Row, protocols: Sequence[Footnote], why: Sequence[Reason]) -> Iterable[list[str]]:
    """One line of a row; a second one where it was also measured under the paper's protocol: that is compared there."""
    cells = [table.cell(row.name, dataset, column.id) for dataset, column in words.places(table)]
    about = [escape(text) for text in words.description(table.suite, row)]
    apart = any(cell.value and words.has_own_protocol(cell) for cell in cells)
    if not apart:
        yield [escape(row.name), *about, *(_compared(cell, why) for cell in cells)]
        return
    own = [words.has_own_protocol(cell) for cell in cells]
    first = (_common(cell, why) if apart else _compared(cell, why) for cell, apart in zip(cells, own, strict=True))
    yield [escape(row.name), *about, *first]
    marks = ", ".join(notes.own_marks(protocols, cells))
    name = f"{escape(row.name)},{_BREAK}{_tight(_OWN)}{_SPACE}<sup>{marks}</sup>"
    yield [name, *("" for _ in about), *(_compared(cell, ()) if a else "" for cell, a in zip(cells, own, strict=True))]


def _common(cell: Cell, why: Sequence[Reason]) -> str:
    if cell.value is None:
        return f"–<sup>{notes.reason_of(cell, why).number}</sup>"
    return f"**{words.number(cell.value.mean, cell.decimals)}**"


def _compared(cell: Cell, why: Sequence[Reason]) -> str:
    """`**28.42** ✓` over `(28.42)`."""
    published = f"({cell.published})" if cell.published else ""
    if cell.value_as_published is None:
        measured = f"–<sup>{notes.reason_of(cell, why).number}</sup>" if why else ""
        return _BREAK.join(filter(None, [measured, published]))
    mean = words.number(cell.value_as_published.mean, cell.decimals)
    measured = f"**{mean}**{_SPACE}{SYMBOLS[cell.verdict]}"
    n = words.images_of(cell) if cell.verdict == "partial" else ""
    return _BREAK.join(filter(None, [measured, _tight(n), published]))


def _legend() -> str:
    meanings = "; ".join(f"{SYMBOLS[verdict]} {verdict}: {meaning}" for verdict, meaning in MEANINGS.items())
    return (
        "Bold: measured here. In brackets: published. ↑ higher is better, ↓ lower is better. Letters name the "
        f"protocol, numbers the reason why a cell was not run.{_BREAK}\n{escape(meanings)}."
    )


def _details(table: Table, protocols: Sequence[Footnote]) -> str:
    """Every measured cell with everything that is known of it."""
    measured = [cell for cell in table.cells if cell.value is not None]
    heads = [
        "Method",
        "Data set",
        "Metric",
        "Published",
        "Measured",
        "Paper's protocol",
        "Difference",
        "Verdict",
        "Images",
    ]
    return _table(heads, [_detail(cell, protocols) for cell in measured], left=3) if measured else "None yet."


def _detail(cell: Cell, protocols: Sequence[Footnote]) -> list[str]:
    assert cell.value is not None
    assert cell.value_as_published is not None
    own = notes.mark_of(protocols, cell.protocol_as_published, cell.row) if words.has_own_protocol(cell) else ""
    common, digits = notes.mark_of(protocols, cell.protocol), words.digits(cell)
    return [
        escape(cell.row),
        escape(cell.dataset),
        f"{_tight(cell.title)}{_SPACE}{_tight(words.scale(cell))}",
        cell.published or "–",
        f"{_tight(words.with_error(cell.value, digits))}{_SPACE}<sup>{common}</sup>",
        f"{_tight(words.with_error(cell.value_as_published, digits))}{_SPACE}<sup>{own}</sup>" if own else "the same",
        "–" if cell.difference is None else words.signed(cell.difference, digits),
        _tight(f"{SYMBOLS[cell.verdict]} {cell.verdict}"),
        _tight(words.images_of(cell)),
    ]


def _footnote(note: Footnote) -> str:
    ids = ", ".join(code(measure) for measure in note.measures)
    who = (
        f"the paper's protocol for {escape(', '.join(note.rows))}: {escape(note.why)}"
        if note.rows
        else "the table's protocol"
    )
    return f"{ids} ({who}){': ' if note.words else ''}{escape(note.words)}."


def _provenance(table: Table) -> str:
    lines = []
    for run in table.runs:
        first, *rest = notes.provenance(run)
        lines.append(f"- {first[0]} {code(first[1])}. " + "; ".join(f"{label}: {escape(text)}" for label, text in rest))
    return "\n".join(lines) or "No run has measured a value yet."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A pipe table; the first `left` columns are set flush left, the others flush right."""
    rule = [":--" if index < left else "--:" for index in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rows))
