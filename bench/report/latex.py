"""A grid as LaTeX (booktabs): floats with the table, the notes and the provenance, for one column or for two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report import Style, orderings
from bench.report.formatting import MEANINGS
from bench.report.latex_tabular import GAP, MARKS, Tabular, escape, tabulars
from bench.report.notes import segments
from bench.report.parts import LABELS, Grid

STYLES: tuple[Style, ...] = ("full", "compact")


@dataclass(frozen=True)
class _Form:
    """What differs between the styles; lengths in points.

    Attributes:
        environment: of the float.
        width: macro with the width that there is.
        room: the narrowest that it is in common classes.
        exact: whether values have two digits more than the paper prints, standard errors and differences.
    """

    environment: str
    width: str
    room: float
    exact: bool


_FORMS: dict[Style, _Form] = {
    "full": _Form("table*", r"\textwidth", 468, exact=True),
    "compact": _Form("table", r"\columnwidth", 229, exact=False),
}
_LINE = 9.5  # of text of 8 points
_HEIGHT = 590  # of a page of common classes


def render_latex(grid: Grid, style: Style = "full") -> str:
    """Floats to be read with `\\input`; the packages they need are named in the first line.

    Columns that are too many for the width stand below each other, and rows that are too many for a page are continued
    in a further float.

    Args:
        grid: the table.
        style: full: two columns wide, every row, standard errors, differences, all notes. compact: one column wide,
            what was measured beside the paper's values.
    """
    form = _FORMS[style]
    blocks = tabulars(grid, room=form.room, exact=form.exact)
    notes = _notes(grid, everything=form.exact)
    notes_height = _LINE * sum(1 + int(len(note) * 4.1 / form.room) for note in notes)
    pages = _pages(blocks, _HEIGHT - 60)
    apart = notes_height + sum(block.height for block in pages[-1]) > _HEIGHT - 60
    label = "tab:" + "".join(c for c in grid.table.suite.name if c.isalnum())
    caption = escape(" ".join(filter(None, [f"{grid.title}.", grid.source, grid.summary])))
    floats = []
    for index, page in enumerate(pages):
        lines = [rf"\caption{{{caption}}}", rf"\label{{{label}}}", r"\smallskip"]
        if index:
            lines = [rf"\footnotesize Table~\ref{{{label}}}, continued.\par\smallskip"]
        last = index == len(pages) - 1 and not apart
        floats.append(_float(form, [*lines, *_stacked(page)], notes if last else []))
    if apart:
        floats.append(_float(form, [rf"\footnotesize Notes to Table~\ref{{{label}}}.\par\smallskip"], notes))
    return "\n".join([r"% \usepackage[T1]{fontenc} \usepackage{textcomp,amssymb,booktabs}", *floats]) + "\n"


def _pages(blocks: Sequence[Tabular], height: float) -> list[list[Tabular]]:
    """The tabulars that stand together on a page."""
    pages: list[list[Tabular]] = [[]]
    for block in blocks:
        if pages[-1] and sum(one.height for one in pages[-1]) + block.height > height:
            pages.append([])
        pages[-1].append(block)
    return pages


def _stacked(blocks: Sequence[Tabular]) -> list[str]:
    size = rf"\footnotesize\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}"
    align = [r"\raggedright"] if len(blocks) > 1 else []  # columns below each other
    return [size, *align, *(line for block in blocks for line in (*block.lines, r"\par\medskip"))]


def _float(form: _Form, lines: Sequence[str], notes: Sequence[str]) -> str:
    begin = [rf"\begin{{minipage}}{{{form.width}}}\raggedright\footnotesize", "\\par\n".join(notes), r"\end{minipage}"]
    return "\n".join(
        [
            rf"\begin{{{form.environment}}}[tp]",
            r"\centering",
            *lines,
            *(begin if notes else []),
            rf"\end{{{form.environment}}}",
        ]
    )


def _orderings(grid: Grid) -> Iterable[str]:
    """Whether the published orderings hold: a paragraph for each series."""
    suite = grid.table.suite
    for series in grid.orderings:
        yield f"{orderings.heading(suite)} {orderings.paragraph(suite, series)}"


def _notes(grid: Grid, everything: bool) -> list[str]:
    """What stands under the table: signs, remarks, protocols, reasons and provenance."""
    lines = [_legend(grid, everything)]
    lines += [escape(text) for text in (grid.remarks if everything else ())]
    marks = {number.mark for cell in grid.measured for number in (cell.measured, cell.papers_protocol) if number}
    for note in grid.footnotes:
        if everything or note.mark in marks:
            ids = ", ".join(
                rf"\texttt{{{escape(measure)}}}".replace(",", r",\allowbreak ") for measure in note.measures
            )
            who = (
                f"{LABELS['papers_protocol']} for {', '.join(note.rows)}: {note.why}"
                if note.rows
                else "the table's protocol"
            )
            lines.append(rf"\textsuperscript{{{note.mark}}} {ids} ({escape(who)}): {escape(note.description)}.")
    if everything:
        lines += [escape(text) for text in _orderings(grid)]
    if everything:
        lines += [
            rf"\textsuperscript{{{one.number}}} Not run, {escape(one.where)}: {_with_commands(one.text)}."
            for one in grid.reasons
        ]
    elif missing := sum(not row.measured for row in grid.rows) if grid.measured else 0:
        lines.append(f"Left out: {missing} rows of which nothing was measured.")
    return [*lines, *_provenance(grid, everything)]


def _legend(grid: Grid, everything: bool) -> str:
    text = r"$\uparrow$ higher is better, $\downarrow$ lower is better."
    if any(number.bold for cell in grid.cells for number in (cell.measured, cell.paper) if number):
        tested = " and what is not significantly worse" if grid.ties else ""
        text += rf" \textbf{{Bold}}: best of a column{tested}, \underline{{underlined}}: second best, "
        text += "measured and paper each by itself."
    if not everything and any(cell.reason for row in grid.rows if row.measured for cell in row.cells):
        text += r" \textendash: not run."
    used = {cell.source.verdict for cell in grid.measured}
    signs = "; ".join(rf"${MARKS[one]}$ {one}: {escape(meaning)}" for one, meaning in MEANINGS.items() if one in used)
    return f"{text} {signs}." if signs else text


def _with_commands(text: str) -> str:
    return "".join(
        rf"\texttt{{{escape(piece)}}}" if command else f"{escape(piece)}{' ' if piece.endswith(' ') else ''}"
        for piece, command in segments(text)
    )


def _provenance(grid: Grid, everything: bool) -> list[str]:
    """Every fact of every run, or what they have in common in a line."""
    if not grid.runs:
        return ["No run has measured a value yet."]
    if everything:
        return ["; ".join(f"{escape(label)}: {escape(text)}" for label, text in run) + "." for run in grid.runs]
    facts = [dict(run) for run in grid.runs]
    commits = ", ".join(dict.fromkeys(fact["Commit"].split(",")[0][:12] for fact in facts))
    devices = ", ".join(dict.fromkeys(fact["Device"] for fact in facts))
    return [escape(f"Measured on {devices}; commit {commits}.")]
