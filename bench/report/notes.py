"""What every format says under the table: footnotes, reasons, remarks and provenance, as plain text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from bench.metrics.metric import Measure
from bench.records.journal import Journal
from bench.records.tables import Cell, Table
from bench.report import words


@dataclass(frozen=True)
class Footnote:
    """A protocol and who is measured under it.

    Attributes:
        mark: letter that refers to it.
        measures: ids such as `psnr@y,crop4,u8`.
        words: the protocol in words; empty where it has none.
        rows: whose published values were made so; empty for the table's common protocol.
        why: why those rows have a protocol of their own.
    """

    mark: str
    measures: tuple[str, ...]
    words: str
    rows: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Reason:
    """Why some cells were not run.

    Attributes:
        number: that refers to it.
        text: the reason; METHOD and DATASET stand for the names where it holds for several.
        where: the rows and data sets.
        places: (row, data set, column) of its cells.
    """

    number: int
    text: str
    where: str
    places: frozenset[tuple[str, str, str]]


def footnotes(table: Table) -> list[Footnote]:
    """The protocols of a table: the common ones first, then the paper's own for single rows.

    Measures share a footnote where the same words are true of them: `psnr@rgb,crop4,u8` and `ssim@rgb,crop4,u8`, but
    not `niqe@matlab` and `brisque@matlab`.
    """
    groups: dict[tuple[str, str, str], tuple[list[Measure], list[str]]] = {}
    for column in table.suite.columns:
        groups.setdefault(_protocol(column.measure, ""), ([], []))[0].append(column.measure)
    for row in table.suite.rows:
        for one in row.as_published:
            for name in one.metrics:
                measure = Measure.parse(f"{name}@{one.variant}")
                measures, rows = groups.setdefault(_protocol(measure, one.note), ([], []))
                measures.append(measure)
                rows.append(row.name)
    return [
        Footnote(
            _letter(index),
            _distinct(measure.id for measure in measures),
            measures[0].variant.describe(),
            _distinct(rows),
            why,
        )
        for index, ((_, _, why), (measures, rows)) in enumerate(groups.items())
    ]


def _protocol(measure: Measure, why: str) -> tuple[str, str, str]:
    return measure.variant.id, measure.variant.describe(), why


def mark_of(notes: Iterable[Footnote], measure: str, row: str = "") -> str:
    """The mark of a measure's footnote: the common one, or with `row` the one that its row was published under."""
    return next((n.mark for n in notes if measure in n.measures and (row in n.rows if row else not n.rows)), "")


def own_marks(notes: Sequence[Footnote], cells: Iterable[Cell]) -> list[str]:
    """The marks of all protocols of the paper's own in a row: often one, several where they differ by metric."""
    marks = [mark_of(notes, c.protocol_as_published, c.row) for c in cells if words.has_own_protocol(c)]
    return list(dict.fromkeys(marks))


def reasons(table: Table) -> list[Reason]:
    """Why cells were not run; one reason for all cells that it holds for."""
    groups: dict[str, list[Cell]] = {}
    for cell in table.cells:
        if cell.verdict == "not run":
            groups.setdefault(_general(cell), []).append(cell)
    return [
        Reason(
            index, _specific(text, cells), _where(cells, table), frozenset((c.row, c.dataset, c.column) for c in cells)
        )
        for index, (text, cells) in enumerate(groups.items(), 1)
    ]


def reason_of(cell: Cell, known: Iterable[Reason]) -> Reason:
    """The reason why a cell was not run."""
    return next(reason for reason in known if (cell.row, cell.dataset, cell.column) in reason.places)


def summary(table: Table) -> str:
    """How much of the table holds, in a few sentences."""
    printed = Counter(cell.verdict for cell in table.cells if cell.published is not None)
    beyond = sum(cell.value is not None for cell in table.cells if cell.published is None)
    compared = printed["matches"] + printed["better"] + printed["differs"]
    if not printed:
        return f"No published values stand here to compare with. {_count(beyond, 'value was', 'values were')} measured."
    text = f"The paper prints {_count(printed.total(), 'value')} here. "
    if compared:
        text += f"{compared} of them can be compared: {_count(printed['matches'], 'matches', 'match')}, "
        text += f"{_count(printed['better'], 'is', 'are')} better, {_count(printed['differs'], 'differs', 'differ')}. "
    if printed["partial"]:
        text += f"{_count(printed['partial'], 'is', 'are')} partial. "
    if compared or printed["partial"]:
        text += f"{_count(printed['not run'], 'was', 'were')} not run."
    else:
        text += "None of them was measured."
    if beyond:
        text += f" {_count(beyond, 'measured value has', 'measured values have')} no published counterpart."
    if extra := [dataset for dataset in table.datasets if dataset not in table.suite.datasets]:
        sets = ", ".join(table.suite.datasets)
        text += f" Published numbers do not apply to {' and '.join(extra)}: the paper measures {sets}."
    return text


def remarks(table: Table) -> list[str]:
    """What a reader must know before comparing: how means are taken, infinite values, images left out."""
    texts = [
        "Measured values are means over the images of a data set (of the mean over draws, where a method draws), "
        "± the standard error over images. Difference and verdict compare the value measured under the paper's "
        "protocol with the published one."
    ]
    if infinite := [cell for cell in table.cells if cell.value and cell.value.infinite]:
        listed = "; ".join(f"{words.name(cell)}: {words.infinity(cell)}" for cell in infinite)
        texts.append(
            "∞: the PSNR of an SR image that is identical to its HR image is infinite, and it is kept: one such image "
            f"makes the mean infinite, and leaves no standard error ({listed})."
        )
    for remark in _distinct(remark for cell in table.cells for remark in cell.remarks):
        about = [cell for cell in table.cells if remark in cell.remarks]
        where = f"{', '.join(_distinct(cell.row for cell in about))}; {', '.join(_distinct(c.title for c in about))}"
        texts.append(f"{remark[:1].upper()}{remark[1:]} ({where}).")
    incomplete = [c for c in table.cells if c.verdict == "partial" and c.reason != words.images_of(c)]
    if problems := _distinct(f"{cell.row} on {cell.dataset}: {cell.reason}" for cell in incomplete):
        texts.append(f"Not every image could be measured ({'; '.join(problems)}).")
    return texts


def provenance(run: Journal) -> list[tuple[str, str]]:
    """Where the values of a run come from, as (label, text)."""
    about = run.provenance
    dirty = {"True": ", with uncommitted changes", "False": ", clean"}.get(str(about.get("dirty")), "")
    versions = ", ".join(f"{package} {version}" for package, version in about.get("versions", {}).items())
    limit = run.command.get("limit")
    facts = [
        ("Run", run.run),
        ("Date", run.started),
        ("Wall time", "not finished" if run.seconds is None else words.duration(run.seconds)),
        ("Asked for", f"the first {limit} images of each data set" if limit else ""),
        ("Commit", f"{about.get('commit', 'unknown')}{dirty}"),
        ("Device", f"{about.get('device', 'unknown')}: {about.get('processor', 'unknown')}"),
        ("Threads", str(about.get("threads", ""))),
        ("Versions", f"Python {about.get('python', 'unknown')}, {versions}".rstrip(", ")),
        ("Platform", str(about.get("platform", ""))),
    ]
    return [(label, text) for label, text in facts if text]


def _letter(index: int) -> str:
    return ascii_lowercase[index % 26] * (index // 26 + 1)


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _count(n: int, one: str, several: str = "") -> str:
    return f"{n} {one}" if n == 1 else f"{n} {several or one + 's'}"


def _general(cell: Cell) -> str:
    """A reason without the names of its place, so that what holds for all data sets is said once."""
    text = cell.reason.replace(f"'{cell.row}'", "'METHOD'")
    return re.sub(rf"(?<!\w){re.escape(cell.dataset)}(?!\w)", "DATASET", text)


def _specific(text: str, cells: Sequence[Cell]) -> str:
    """The names back in where there is only one."""
    if len({cell.row for cell in cells}) == 1:
        text = text.replace("'METHOD'", f"'{cells[0].row}'")
    return text.replace("DATASET", cells[0].dataset) if len({cell.dataset for cell in cells}) == 1 else text


def _where(cells: Sequence[Cell], table: Table) -> str:
    """`SRCNN, RDN (Set5, Set14)`, or `(all data sets)`."""
    by_row: dict[str, tuple[str, ...]] = {}
    for row in _distinct(cell.row for cell in cells):
        by_row[row] = _distinct(cell.dataset for cell in cells if cell.row == row)
    groups: dict[tuple[str, ...], list[str]] = {}
    for row, datasets in by_row.items():
        groups.setdefault(datasets, []).append(row)
    return "; ".join(
        f"{', '.join(rows)} ({'all data sets' if datasets == table.datasets else ', '.join(datasets)})"
        for datasets, rows in groups.items()
    )
