"""A grid as GitHub-flavoured markdown: the paper's table, then every measured cell, footnotes and provenance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.report import orderings
from bench.report.formatting import MEANINGS, SYMBOLS
from bench.report.notes import Footnote, segments
from bench.report.parts import LABELS, Grid, GridCell, GridRow
from bench.report.slots import Number
from bench.statistics.series import Series
from bench.suites.suite import Suite

_BREAK, _SPACE = "<br>", "&nbsp;"


def render_markdown(grid: Grid) -> str:
    """The whole report of a table as one markdown document."""
    blocks = [
        f"## {escape(grid.heading)}: {escape(grid.title)}",
        escape(f"{grid.source} {grid.summary}".strip()),
        _table_of(grid),
        _legend(),
        "### Measured cells",
        _details(grid),
        render_series(grid.table.suite, grid.orderings).rstrip() if grid.orderings else "",
        "### Notes",
        "\n".join(f"- {escape(text)}" for text in grid.remarks),
        "\n".join(f"- <sup>{note.mark}</sup> {_footnote(note)}" for note in grid.footnotes),
    ]
    if grid.reasons:
        lines = (f"{reason.number}. {escape(reason.where)}: {_with_commands(reason.text)}" for reason in grid.reasons)
        blocks += ["### Not run", "\n".join(lines)]
    blocks += ["### Provenance", _provenance(grid)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def escape(text: str) -> str:
    """Text that GitHub shows as it is: no markup, no table border, no HTML, no mathematics."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#$~])", r"\\\1", text)


def code(text: str) -> str:
    """Text in a code span, inside a table or not."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`".replace("|", r"\|")


def _with_commands(text: str) -> str:
    return "".join(code(piece) if command else _spaced(piece) for piece, command in segments(text))


def _spaced(text: str) -> str:
    """As `escape`, with the blanks at its ends."""
    start, end = (" " if text[:1].isspace() else ""), (" " if text[-1:].isspace() else "")
    return f"{start}{escape(text)}{end}"


def _tight(text: str) -> str:
    """Text that is not broken into lines."""
    return escape(text).replace(" ", _SPACE)


def _table_of(grid: Grid) -> str:
    heads = ["Method", *(escape(name) for name in grid.describe)]
    for head in grid.heads:
        scale = f"{_tight(head.scale)} <sup>{head.mark}</sup>"
        heads.append(_BREAK.join([escape(head.dataset), _tight(head.title), scale]))
    return _table(heads, [line for row in grid.rows for line in _lines(row)], left=1 + len(grid.describe))


def _lines(row: GridRow) -> Iterable[list[str]]:
    """One line of a row; a second one where it was also measured under the paper's protocol: that is compared there."""
    marks = next((line.marks for line in row.lines if line.kind == "papers_protocol"), ())
    first = (_first(cell, apart=bool(cell.papers_protocol)) for cell in row.cells)
    yield [escape(row.name), *(escape(text) for text in row.description), *first]
    if marks:
        name = f"{escape(row.name)},{_BREAK}{_tight(LABELS['papers_protocol'])}{_SPACE}<sup>{', '.join(marks)}</sup>"
        second = (_compared(cell, cell.papers_protocol) if cell.papers_protocol else "" for cell in row.cells)
        yield [name, *("" for _ in row.description), *second]


def _first(cell: GridCell, apart: bool) -> str:
    return _value(cell.measured) if apart and cell.measured else _compared(cell, cell.measured)


def _compared(cell: GridCell, number: Number | None) -> str:
    """`28.42 ✓` over `(28.42)`."""
    paper = f"({cell.paper.text})" if cell.paper else ""
    if number is None:
        return _BREAK.join(filter(None, [f"–<sup>{cell.reason.number}</sup>" if cell.reason else "", paper]))
    measured = f"{_value(number)}{_SPACE}{SYMBOLS[number.verdict]}" if number.verdict else _value(number)
    return _BREAK.join(filter(None, [measured, _tight(number.note), paper]))


def _value(number: Number) -> str:
    return f"**{number.text}**" if number.bold else number.text


def _legend() -> str:
    meanings = "; ".join(f"{SYMBOLS[verdict]} {verdict}: {meaning}" for verdict, meaning in MEANINGS.items())
    return (
        "In brackets: the paper's values. Bold: the best measured value of a column, and what is not significantly "
        "worse where that was tested. ↑ higher is better, ↓ lower is better. Letters name the protocol, numbers the "
        f"reason why a cell was not run.{_BREAK}\n{escape(meanings)}."
    )


def _details(grid: Grid) -> str:
    """Every measured cell with everything that is known of it."""
    heads = ["Method", "Data set", "Metric", "Paper", "Measured", "Paper's protocol", "Difference", "Verdict", "Images"]
    return _table(heads, [_detail(cell) for cell in grid.measured], left=3) if grid.measured else "None yet."


def _detail(cell: GridCell) -> list[str]:
    source = cell.source
    return [
        escape(source.row),
        escape(source.dataset),
        f"{_tight(source.title)}{_SPACE}{_tight(cell.head.scale)}",
        source.published or "–",
        _estimate(cell.measured) if cell.measured else "",
        _estimate(cell.papers_protocol) if cell.papers_protocol else "the same",
        cell.difference or "–",
        _tight(f"{SYMBOLS[source.verdict]} {source.verdict}"),
        _tight(cell.images),
    ]


def _estimate(number: Number) -> str:
    return f"{_tight(number.with_error)}{_SPACE}<sup>{number.mark}</sup>"


def render_series(suite: Suite, found: Sequence[Series]) -> str:
    """Whether the published orderings hold: a table of each series, and the pairs whose order does not."""
    blocks = [f"### {escape(orderings.heading(suite))}", escape(orderings.how_to_read())]
    for series in found:
        blocks.append(f"**{escape(orderings.name(suite, series))}.** {escape(orderings.summary(series))}")
        blocks.append(escape(orderings.caveat(suite, series)))
        lines = ([_tight(text) for text in line] for line in orderings.lines(series))
        blocks.append(_table(orderings.heads(series), lines, left=2))
        if pairs := orderings.pair_lines(series, held=False):
            texts = ([escape(text) for text in pair.texts] for pair in pairs)
            blocks += ["Pairs whose order does not hold:", _table(orderings.PAIR_HEADS, texts, left=4)]
        blocks.append("\n".join(f"- {escape(text)}" for text in orderings.notes(suite, series)))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _footnote(note: Footnote) -> str:
    ids = ", ".join(code(measure) for measure in note.measures)
    who = (
        f"the paper's protocol for {escape(', '.join(note.rows))}: {escape(note.why)}"
        if note.rows
        else "the table's protocol"
    )
    return f"{ids} ({who}){': ' if note.description else ''}{escape(note.description)}."


def _provenance(grid: Grid) -> str:
    lines = []
    for first, *rest in grid.runs:
        lines.append(f"- {first[0]} {code(first[1])}. " + "; ".join(f"{label}: {escape(text)}" for label, text in rest))
    return "\n".join(lines) or "No run has measured a value yet."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    """A pipe table; the first `left` columns are set flush left, the others flush right."""
    rule = [":--" if index < left else "--:" for index in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *rows))
