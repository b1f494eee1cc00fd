"""The tabulars of a grid in LaTeX: as many below each other as its columns and rows need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.records.estimates import Verdict
from bench.report import formatting
from bench.report.parts import Grid, GridCell, GridRow, Head, Line
from bench.report.slots import Gap, Number

GAP = 6.0  # points between columns
_LABEL = 68  # points that the labels of lines are wide
_DIGIT, _LETTER = 4.3, 4.3  # widths at 8 points: of a digit, and of a letter on average
_LINE = 9.5  # height at 8 points
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
MARKS: dict[Verdict, str] = {
    "matches": r"\checkmark",
    "better": r"\blacktriangle",
    "differs": r"\times",
    "partial": r"\triangleleft",
    "no published value": r"\circ",
    "not run": r"-",
}


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; characters that its fonts lack become their code point."""
    known = "".join(
        _SPECIAL.get(c) or (c if ord(c) < 0x100 and c.isprintable() else rf"\texttt{{U+{ord(c):04X}}}")
        for c in " ".join(text.split()).replace("\xad", "")
    )
    return known.replace("--", r"\mbox{-{}-}")


@dataclass(frozen=True)
class Tabular:
    """One tabular: its lines, and how high it is in points."""

    lines: tuple[str, ...]
    height: float


def tabulars(grid: Grid, *, room: float, exact: bool) -> list[Tabular]:
    """A grid as tabulars.

    Args:
        grid: the table.
        room: points that one may be wide.
        exact: every row and column, two digits more than the paper prints, standard errors and differences; else what
            was measured (everything where nothing was) with the paper's digits.
    """
    return list(_Drawing(grid, room, exact).tabulars())


@dataclass(frozen=True)
class _Drawing:
    """A grid on its way to tabulars."""

    grid: Grid
    room: float
    exact: bool

    def tabulars(self) -> Iterable[Tabular]:
        for block in self._blocks():
            rows = [lines for row in self.grid.rows if (lines := self._row(row, block))]
            for chunk in _chunks(rows):
                yield self._tabular(block, chunk)

    @property
    def _columns(self) -> list[int]:
        """The columns that are shown."""
        everything = range(len(self.grid.heads))
        if self.exact or not self.grid.measured:
            return list(everything)
        return [index for index in everything if any(row.cells[index].measured for row in self.grid.rows)]

    def _blocks(self) -> list[list[int]]:
        """Columns that fit beside each other; those of a data set stay together where they can."""
        groups: dict[str, list[int]] = {}
        for index in self._columns:
            groups.setdefault(self.grid.heads[index].dataset, []).append(index)
        blocks: list[list[int]] = [[]]
        for group in groups.values():
            if self._width([*blocks[-1], *group]) <= self.room:
                blocks[-1] += group
            else:
                blocks += self._parts(group)
        return [block for block in blocks if block]

    def _parts(self, group: Sequence[int]) -> list[list[int]]:
        """Columns in as few parts of about the same size as fit."""
        for count in range(1, len(group) + 1):
            size = -(-len(group) // count)
            parts = [list(group[start : start + size]) for start in range(0, len(group), size)]
            if all(self._width(part) <= self.room for part in parts):
                return parts
        return [[index] for index in group]

    def _width(self, columns: Sequence[int]) -> float:
        return _LABEL + sum(self._column_width(index) + GAP for index in columns)

    def _column_width(self, index: int) -> float:
        cells = [row.cells[index] for row in self.grid.rows]
        numbers = [number for cell in cells for number in (cell.measured, cell.papers_protocol, cell.paper) if number]
        longest = max([len(self._digits(number)) for number in numbers] + [4])
        signs = 6 if self.exact or any(cell.measured for cell in cells) else 0
        return max(longest * _DIGIT + signs, max(map(len, _title(self.grid.heads[index]))) * _LETTER)

    def _digits(self, number: Number) -> str:
        return number.exact if self.exact else number.text

    def _tabular(self, block: Sequence[int], rows: Sequence[Sequence[str]]) -> Tabular:
        heads = self._heads(block)
        body = [line for row in rows for line in (*row, r"\addlinespace")][:-1]
        lines = (
            rf"\begin{{tabular}}{{@{{}}p{{{_LABEL}pt}}{'r' * len(block)}@{{\hspace{{0.6em}}}}}}",
            r"\toprule",
            *heads,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        )
        return Tabular(lines, _LINE * (len(heads) + sum(map(len, rows))) + 4 * len(rows) + 20)

    def _heads(self, block: Sequence[int]) -> list[str]:
        heads = [self.grid.heads[index] for index in block]
        spans: dict[str, int] = {}
        for head in heads:
            spans[head.dataset] = spans.get(head.dataset, 0) + 1
        rules, start = [], 2
        for width in spans.values():
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        titles = [_title(head) for head in heads]
        return [
            _line(["", *(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}" for name, width in spans.items())]),
            "".join(rules),
            _line(["", *(escape(title[0]) for title in titles)]),
            *([_line(["", *(escape(title[1]) for title in titles)])] if any(title[1] for title in titles) else []),
            _line(["", *(rf"{escape(head.scale)}\textsuperscript{{{head.mark}}}" for head in heads)]),
        ]

    def _row(self, row: GridRow, block: Sequence[int]) -> list[str]:
        """A line with the name, then a line for each kind of number; nothing where the row has none."""
        cells = [row.cells[index] for index in block]
        if not any(cell.measured or (cell.paper and (self.exact or not self.grid.measured)) for cell in cells):
            return []
        description = "; ".join(
            f"{head.lower()} {text}"
            for head, text in zip(self.grid.describe, row.description, strict=True)
            if text != "–"
        )
        name = rf"\textbf{{{escape(row.name)}}}" + (
            rf" {{\scriptsize {escape(description)}}}" if description and self.exact else ""
        )
        reasons = dict.fromkeys(cell.reason.number for cell in cells if cell.reason)
        if reasons and self.exact and not any(cell.measured for cell in cells):
            name += rf" \emph{{not run}}\textsuperscript{{{', '.join(map(str, reasons))}}}"
        # It takes no width from the columns, and is broken where it is wider than the text, which TeX can then report.
        boxed = rf"\rlap{{\parbox[t]{{\linewidth}}{{\raggedright\strut {name}\strut}}}}"
        lines = [rf"\multicolumn{{{len(block) + 1}}}{{@{{}}l}}{{{boxed}}} \\"]
        return [*lines, *(text for line in row.lines for text in self._numbers(line, row, block))]

    def _numbers(self, line: Line, row: GridRow, block: Sequence[int]) -> Iterable[str]:
        """A line of the row, and below it the standard errors or the differences."""
        slots = line.places
        chosen = [slots[index] for index in block]
        numbers = [one for one in chosen if isinstance(one, Number)]
        if not numbers:
            return
        marks = rf"\textsuperscript{{{', '.join(line.marks)}}}" if line.marks else ""
        texts = (self._slot(slots[index], row.cells[index]) for index in block)
        yield _line([escape(line.label) + marks, *texts])
        errors = [escape(f"±{one.exact_error}") if isinstance(one, Number) and one.error else "" for one in chosen]
        if self.exact and any(errors):
            yield _line(["standard error", *errors])
        differences = [_difference(row.cells[index]) for index in block]
        if self.exact and line.kind == "paper" and any(differences):
            yield _line(["difference", *differences])

    def _slot(self, slot: Number | Gap | None, cell: GridCell) -> str:
        if slot is None:
            return ""
        if isinstance(slot, Gap):
            return rf"\textendash\textsuperscript{{{slot.reason.number}}}" if self.exact else r"\textendash"
        text = escape(self._digits(slot))
        if slot.bold:
            text = rf"\textbf{{{text}}}"
        elif slot.rank == "second":
            text = rf"\underline{{{text}}}"
        if slot.opens is None and self.exact:  # room for the digits that a measured value has more
            text += rf"\phantom{{{'0' * (formatting.digits(cell.source) - cell.source.decimals)}}}"
        return text + (rf"\rlap{{$^{{{MARKS[slot.verdict]}}}$}}" if slot.verdict else "")


def _difference(cell: GridCell) -> str:
    if cell.source.verdict == "partial":
        return rf"\emph{{{cell.source.value.n if cell.source.value else 0}/{cell.source.total}}}"
    return escape(cell.difference)


def _title(head: Head) -> tuple[str, str]:
    """A title in two lines: `PSNR` and `(Y)`, `LPIPS` and `τ=0.9`."""
    for sign in (", ", " ("):
        first, found, second = head.title.partition(sign)
        if found:
            return first, f"{sign.strip(', ')}{second}"
    return head.title, ""


def _chunks(rows: Sequence[Sequence[str]], most: int = 48) -> Iterable[Sequence[Sequence[str]]]:
    """Rows that fit on a page together."""
    chunk: list[Sequence[str]] = []
    for row in rows:
        if chunk and sum(map(len, chunk)) + len(row) > most:
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
