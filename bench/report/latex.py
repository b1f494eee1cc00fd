"""A table as LaTeX (booktabs): one float with the paper's grid, the footnotes and the provenance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from bench.records.estimates import Verdict
from bench.records.tables import Cell, Table
from bench.report import notes, words
from bench.report.notes import Footnote, Reason
from bench.report.words import MEANINGS
from bench.suites.suite import Row

_FIT = r"\small\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"  # shrunk where too wide
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "∞": r"$\infty$",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": r"\textendash{}",
    "×": r"$\times$",
    "τ": r"$\tau$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_OWN = "paper's protocol"
_MARKS: dict[Verdict, str] = {
    "matches": r"\checkmark",
    "better": r"\blacktriangle",
    "differs": r"\times",
    "partial": r"\triangleleft",
    "no published value": r"\circ",
    "not run": r"-",
}


def render_latex(table: Table) -> str:
    """A `table*` environment, to be read with `\\input`; the packages it needs are named in its first line."""
    protocols, why = notes.footnotes(table), notes.reasons(table)
    suite = table.suite
    caption = escape(" ".join(filter(None, [f"{suite.title}.", words.source(suite), notes.summary(table)])))
    return "\n".join(
        [
            r"% \usepackage[T1]{fontenc} \usepackage{textcomp,amssymb,booktabs,graphicx}",
            r"\begin{table*}[tp]",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{''.join(c for c in suite.name if c.isalnum())}}}",
            *_grid(table, protocols, why),
            r"\par\smallskip",
            r"\begin{minipage}{\textwidth}\raggedright\scriptsize",
            "\\par\n".join(_notes(table, protocols, why)),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; characters that its fonts lack become their code point."""
    known = "".join(
        _SPECIAL.get(c) or (c if ord(c) < 0x100 and c.isprintable() else rf"\texttt{{U+{ord(c):04X}}}")
        for c in " ".join(text.split()).replace("\xad", "")
    )
    return known.replace("--", r"\mbox{-{}-}")


def _grid(table: Table, protocols: Sequence[Footnote], why: Sequence[Reason]) -> list[str]:
    places, stub = words.places(table), 2 + len(table.suite.describe)
    lines = [
        rf"\begin{{tabular}}{{@{{}}{'l' * stub}{'r' * len(places)}@{{\hspace{{0.6em}}}}}}",
        r"\toprule",
        *_heads(table, protocols, stub),
        r"\midrule",
    ]
    for row in table.suite.rows:
        lines += [*_row(table, row, protocols, why), r"\addlinespace"]
    lines[-1] = r"\bottomrule"
    lines.append(r"\end{tabular}}")
    return [_FIT, *lines]


def _heads(table: Table, protocols: Sequence[Footnote], stub: int) -> list[str]:
    width = len(table.suite.columns)
    groups = [rf"\multicolumn{{{width}}}{{c}}{{{escape(dataset)}}}" for dataset in table.datasets]
    starts = [stub + 1 + width * index for index in range(len(groups))]
    first = table.suite.rows[0].name
    cells = [(table.cell(first, dataset, column.id), column) for dataset, column in words.places(table)]
    marks = [rf"\textsuperscript{{{notes.mark_of(protocols, column.measure.id)}}}" for _, column in cells]
    units = [escape(words.scale(cell)) for cell, _ in cells]
    names = ["Method", *(escape(name.replace("_", " ").capitalize()) for name in table.suite.describe), ""]
    return [
        _line([*[""] * stub, *groups]),
        "".join(rf"\cmidrule(lr){{{start}-{start + width - 1}}}" for start in starts),
        _line([*[""] * stub, *(escape(cell.title) for cell, _ in cells)]),
        _line([*names, *(unit + mark for unit, mark in zip(units, marks, strict=True))]),
    ]


def _row(table: Table, row: Row, protocols: Sequence[Footnote], why: Sequence[Reason]) -> list[str]:
    """The lines of a row: measured, under the paper's protocol where that is another, published, difference."""
    cells = [table.cell(row.name, dataset, column.id) for dataset, column in words.places(table)]
    lines: list[tuple[str, list[str]]] = [("measured", _measured(cells, why))]
    if any(cell.value for cell in cells):
        own = any(words.has_own_protocol(cell) for cell in cells)
        lines.append(("standard error", [_error(cell, as_published=False) for cell in cells]))
        if own:
            marks = ", ".join(notes.own_marks(protocols, cells))
            label = rf"{escape(_OWN)}\textsuperscript{{{marks}}}"
            lines.append((label, [_value(c, True) if words.has_own_protocol(c) else "" for c in cells]))
            lines.append(("standard error", [_error(c, True) if words.has_own_protocol(c) else "" for c in cells]))
    lines.append(("published", [_published(cell) for cell in cells]))
    if any(cell.value for cell in cells):
        lines.append(("difference", [_difference(cell) for cell in cells]))
    about = [escape(row.name), *(escape(text) for text in words.description(table.suite, row))]
    blank = [""] * len(about)
    return [_line([*(blank if index else about), label, *texts]) for index, (label, texts) in enumerate(lines)]


def _measured(cells: Sequence[Cell], why: Sequence[Reason]) -> list[str]:
    """The measured values; neighbours that were not run for one reason are set as one."""
    texts = []
    for reason, group in groupby(cells, lambda cell: None if cell.value else notes.reason_of(cell, why).number):
        members = list(group)
        if reason is None:
            texts += [_value(cell, as_published=False) for cell in members]
        else:
            texts.append(rf"\multicolumn{{{len(members)}}}{{c}}{{\emph{{not run}}\textsuperscript{{{reason}}}}}")
    return texts


def _value(cell: Cell, as_published: bool) -> str:
    """A value, with the mark of the verdict where it is the one that is compared."""
    value = cell.value_as_published if as_published else cell.value
    if value is None:
        return ""
    compared = as_published or not words.has_own_protocol(cell)
    mark = rf"\rlap{{$^{{{_MARKS[cell.verdict]}}}$}}" if compared else ""
    return escape(words.number(value.mean, words.digits(cell))) + mark


def _error(cell: Cell, as_published: bool) -> str:
    value = cell.value_as_published if as_published else cell.value
    if value is None or value.stderr is None:
        return ""
    return escape(f"±{words.number(value.stderr, words.digits(cell))}")


def _published(cell: Cell) -> str:
    """As printed, with room for the digits that a measured value has more, so that the points are aligned."""
    return rf"{cell.published}\phantom{{{'0' * (words.digits(cell) - cell.decimals)}}}" if cell.published else ""


def _difference(cell: Cell) -> str:
    if cell.verdict == "partial":
        return rf"\emph{{{escape(words.images_of(cell))}}}"
    return "" if cell.difference is None else escape(words.signed(cell.difference, words.digits(cell)))


def _notes(table: Table, protocols: Sequence[Footnote], why: Sequence[Reason]) -> list[str]:
    legend = "; ".join(rf"${_MARKS[verdict]}$ {verdict}: {escape(text)}" for verdict, text in MEANINGS.items())
    lines = [rf"$\uparrow$ higher is better, $\downarrow$ lower is better. {legend}."]
    lines += [escape(text) for text in notes.remarks(table)]
    for note in protocols:
        ids = ", ".join(rf"\texttt{{{escape(measure)}}}".replace(",", r",\allowbreak ") for measure in note.measures)
        who = f"{_OWN} for {', '.join(note.rows)}: {note.why}" if note.rows else "the table's protocol"
        lines.append(rf"\textsuperscript{{{note.mark}}} {ids} ({escape(who)}): {escape(note.words)}.")
    lines += [rf"\textsuperscript{{{r.number}}} Not run, {escape(r.where)}: {escape(r.text)}." for r in why]
    for run in table.runs:
        lines.append("; ".join(f"{escape(label)}: {escape(text)}" for label, text in notes.provenance(run)) + ".")
    return lines if table.runs else [*lines, "No run has measured a value yet."]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
