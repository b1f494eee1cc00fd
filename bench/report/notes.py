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
from bench.report import formatting

_NAMED = 3  # rows that a command names even where they are all that is shown
_WORD = r"(?:--?[\w-]+|'[^']*'|(?!(?:trains|as|and|or)\b)[\w./@+-]*\w)"
_COMMAND = re.compile(rf"((?:python -m (?:bench|hcflow)|nox -s)(?: {_WORD})+)")


@dataclass(frozen=True)
class Footnote:
    """A protocol and who is measured under it.

    Attributes:
        mark: letter that refers to it.
        measures: ids such as `psnr@y,crop4,u8`.
        description: the protocol in words; empty where it has none.
        rows: whose published values were made so; empty for the table's common protocol.
        why: why those rows have a protocol of their own.
    """

    mark: str
    measures: tuple[str, ...]
    description: str
    rows: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Reason:
    """Why some cells were not run.

    Attributes:
        number: that refers to it.
        text: the reason; outside of commands, METHOD and DATASET stand for the names where it holds for several.
        where: the rows and data sets.
        places: (row, data set, column) of its cells.
    """

    number: int
    text: str
    where: str
    places: frozenset[tuple[str, str, str]]


def footnotes(table: Table) -> list[Footnote]:
    """The protocols of a table: the common ones first, then the paper's own for single rows.

    Measures share a footnote where the same description is true of them: `psnr@rgb,crop4,u8` and `ssim@rgb,crop4,u8`,
    but not `niqe@matlab` and `brisque@matlab`.
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


def reasons(table: Table) -> list[Reason]:
    """Why cells were not run; one reason for all cells that it holds for."""
    groups: dict[str, list[Cell]] = {}
    for cell in table.cells:
        if cell.verdict == "not run":
            groups.setdefault(_general(cell), []).append(cell)
    return [
        Reason(
            index,
            _specific(text, cells, table),
            _where(cells, table),
            frozenset((c.row, c.dataset, c.column) for c in cells),
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
        listed = "; ".join(f"{formatting.name(cell)}: {formatting.infinity(cell)}" for cell in infinite)
        texts.append(
            "∞: the PSNR of an SR image that is identical to its HR image is infinite, and it is kept: one such image "
            f"makes the mean infinite, and leaves no standard error ({listed})."
        )
    for remark in _distinct(remark for cell in table.cells for remark in cell.remarks):
        noted = [cell for cell in table.cells if remark in cell.remarks]
        where = f"{', '.join(_distinct(cell.row for cell in noted))}; {', '.join(_distinct(c.title for c in noted))}"
        texts.append(f"{remark[:1].upper()}{remark[1:]} ({where}).")
    incomplete = [c for c in table.cells if c.verdict == "partial" and c.reason != formatting.images_of(c)]
    if problems := _distinct(f"{cell.row} on {cell.dataset}: {cell.reason}" for cell in incomplete):
        texts.append(f"Not every image could be measured ({'; '.join(problems)}).")
    return texts


def provenance(run: Journal) -> list[tuple[str, str]]:
    """Where the values of a run come from, as (label, text)."""
    known = run.provenance
    dirty = {"True": ", with uncommitted changes", "False": ", clean"}.get(str(known.get("dirty")), "")
    versions = ", ".join(f"{package} {version}" for package, version in known.get("versions", {}).items())
    limit = run.command.get("limit")
    facts = [
        ("Run", run.run),
        ("Date", run.started),
        ("Wall time", "not finished" if run.seconds is None else formatting.duration(run.seconds)),
        ("Asked for", f"the first {limit} images of each data set" if limit else ""),
        ("Commit", f"{known.get('commit', 'unknown')}{dirty}"),
        ("Device", f"{known.get('device', 'unknown')}: {known.get('processor', 'unknown')}"),
        ("Threads", str(known.get("threads", ""))),
        ("Versions", f"Python {known.get('python', 'unknown')}, {versions}".rstrip(", ")),
        ("Platform", str(known.get("platform", ""))),
    ]
    return [(label, text) for label, text in facts if text]


def segments(text: str) -> list[tuple[str, bool]]:
    """A text in pieces, and whether each is a command to be typed."""
    pieces = _COMMAND.split(text)
    return [(piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece]


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


def _specific(text: str, cells: Sequence[Cell], table: Table) -> str:
    """The names back in: all of them in a command that takes several, else where there is only one."""
    rows, datasets = _distinct(cell.row for cell in cells), _distinct(cell.dataset for cell in cells)
    every = len(rows) == len(table.suite.rows) and len(rows) > _NAMED
    names = "" if every else " --method " + " ".join(f"'{row}'" for row in rows)
    text = text.replace(" --method 'METHOD'", names)
    for command in ("--dataset", "data fetch"):
        text = text.replace(f"{command} DATASET", f"{command} {' '.join(datasets)}")
    if len(rows) == 1:
        text = text.replace("'METHOD'", f"'{rows[0]}'")
    return text.replace("DATASET", datasets[0]) if len(datasets) == 1 else text


def _where(cells: Sequence[Cell], table: Table) -> str:
    """`SRCNN, RDN (Set5, Set14)`, or `(all data sets)`; with the measures where a row lacks only some of them."""
    groups: dict[str, list[str]] = {}
    for row in _distinct(cell.row for cell in cells):
        groups.setdefault(_places([cell for cell in cells if cell.row == row], table), []).append(row)
    return "; ".join(f"{', '.join(rows)} ({places})" for places, rows in groups.items())


def _places(cells: Sequence[Cell], table: Table) -> str:
    """The data sets of a row's cells, and their measures where there are others in the table."""
    datasets = _distinct(cell.dataset for cell in cells)
    where = "all data sets" if datasets == table.datasets and len(datasets) > 1 else ", ".join(datasets)
    some = len(cells) < len(datasets) * len(table.suite.columns)
    return f"{where}: {', '.join(_distinct(cell.title for cell in cells))}" if some else where
