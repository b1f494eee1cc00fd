"""Which numbers of two systems belong together: rows of tables, one data set and column at a time, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.errors import BenchError
from bench.records.journal import require_records
from bench.records.tables import Cell, Table, build_table
from bench.records.texts import suite_in, tables_in
from bench.registry import unknown
from bench.statistics.paired import Comparison, compare, holm


@dataclass(frozen=True)
class System:
    """A row of a table.

    Attributes:
        name: how it is called in the output.
        row: its name in the table.
        table: where it is.
    """

    name: str
    row: str
    table: Table


@dataclass(frozen=True)
class Pairing:
    """Two systems on a data set and column.

    Attributes:
        a: the first system's cell.
        b: the second's.
        result: of the comparison, under the table's common protocol.
        p_holm: its p value, corrected for all that were made with it; None where there is none.
        only_a: images that only the first system has.
        only_b: images that only the second has.
        other: images of one name whose HR pixels are not the same.
    """

    a: Cell
    b: Cell
    result: Comparison
    p_holm: float | None
    only_a: int
    only_b: int
    other: int


def find_systems(
    texts: Sequence[str], out: Path, table: str | None = None, trust: bool = False
) -> tuple[System, System]:
    """The rows that two arguments name: `ROW`, of the table in `out`, or `DIR:ROW`.

    Without a table, the one that both are measured in. With `trust`, names of modules in the folders are looked up.

    Raises:
        BenchError: a row or folder is unknown, no table has both, or several have.
    """
    places = [_place(text, out) for text in texts]
    folders = list(dict.fromkeys(folder for folder, _ in places))
    for folder in folders:
        require_records(folder)
    known = [] if table else [tables_in(folder) for folder in folders]
    names = [table] if table else [name for name in known[0] if all(name in others for others in known[1:])]
    found, named_anywhere = {}, [False, False]
    all_rows: dict[str, None] = {}
    for name in names:
        tables = {folder: build_table(suite_in(folder, name, trust).suite, folder) for folder in folders}
        rows = [_row(tables[folder], row, strict=table is not None) for folder, row in places]
        named_anywhere = [before or bool(row) for before, row in zip(named_anywhere, rows, strict=True)]
        all_rows |= dict.fromkeys(row.name for one in tables.values() for row in one.suite.rows)
        if all(rows):
            named = [
                System(text, row, tables[folder]) for text, row, (folder, _) in zip(texts, rows, places, strict=True)
            ]
            found[name] = named[0], named[1]
    measured = {name: pair for name, pair in found.items() if all(_has_values(one) for one in pair)}
    if len(measured) > 1:
        raise BenchError(f"expected one table with both rows, got {', '.join(measured)}; choose with --table")
    if measured or found:
        return next(iter((measured or found).values()))
    where = " and ".join(dict.fromkeys(str(folder) for folder, _ in places))
    for (_, row), is_known in zip(places, named_anywhere, strict=True):
        if names and not is_known:
            raise unknown("row", row, all_rows, f" in {where}")
    got = ", ".join(names) or "no table of both"
    raise BenchError(f"expected a table in {where} with the rows {' and '.join(texts)}, got {got}; check the names")


def pairings(
    a: System, b: System, datasets: Sequence[str] = (), metrics: Sequence[str] = (), seed: int = 0
) -> list[Pairing]:
    """Compare two systems on every data set and metric named, or else on all that both have.

    Raises:
        BenchError: a name is unknown, or there is nothing to pair; the message says what each has.
    """
    columns = _columns(a, b, metrics)
    found = []
    for dataset in _datasets(a, b, datasets):
        for column in columns:
            pair = a.table.cell(a.row, dataset, column), b.table.cell(b.row, dataset, column)
            one = _pair(*pair, seed)
            if one is None and datasets and metrics:
                raise _nothing(a, b, pair)
            found += [one] if one is not None else []
    if not found:
        first = (datasets or [a.table.datasets[0]])[0], (metrics or columns)[0]
        raise _nothing(a, b, (a.table.cell(a.row, *first), b.table.cell(b.row, *first)))
    return _corrected(found)


def _pair(a: Cell, b: Cell, seed: int) -> Pairing | None:
    """None where they have no image in common."""
    if a.protocol != b.protocol:
        where = f"{a.column} on {a.dataset}"
        raise BenchError(f"{where}: expected one protocol, got {a.protocol} and {b.protocol}; score both the same way")
    left, right = ({image.id: image for image in cell.images} for cell in (a, b))
    both = sorted(left.keys() & right.keys())
    same = [name for name in both if left[name].pixels == right[name].pixels]
    if not same:
        return None
    values = [[known[name].common for name in same] for known in (left, right)]
    result = compare(values[0], values[1], a.direction, seed)
    return Pairing(a, b, result, None, len(left) - len(both), len(right) - len(both), len(both) - len(same))


def _corrected(found: Sequence[Pairing]) -> list[Pairing]:
    tested = [index for index, one in enumerate(found) if one.result.p is not None]
    corrected = dict(zip(tested, holm([found[i].result.p or 0.0 for i in tested]), strict=True))
    return [replace(one, p_holm=corrected.get(index)) for index, one in enumerate(found)]


def _place(text: str, out: Path) -> tuple[Path, str]:
    """(folder, row): a colon after an existing folder separates the two."""
    for index in (i for i, letter in enumerate(text) if letter == ":"):
        if text[:index] and Path(text[:index]).is_dir():
            return Path(text[:index]), text[index + 1 :]
    return out, text


def _row(table: Table, name: str, strict: bool) -> str:
    """The full name of a row; nothing (or an error) where the table has none of that name."""
    names = [row.name for row in table.suite.rows]
    same = [known for known in names if known == name] or [n for n in names if n.casefold() == name.casefold()]
    if not same and strict:
        raise unknown("row", name, names, f" in {table.suite.name}")
    return same[0] if same else ""


def _has_values(system: System) -> bool:
    return any(cell.value is not None for cell in system.table.cells if cell.row == system.row)


def _columns(a: System, b: System, names: Sequence[str]) -> list[str]:
    known = {column.id: column.measure.of.direction for column in a.table.suite.columns}
    shared = [column.id for column in b.table.suite.columns if column.id in known]
    for name in names:
        if name not in shared:
            raise unknown("metric", name, shared, f" in {a.table.suite.name}")
        if known[name] == "none":
            raise BenchError(f"expected a metric of which higher or lower is better, got {name}")
    return list(dict.fromkeys(names)) or [name for name in shared if known[name] != "none"]


def _datasets(a: System, b: System, names: Sequence[str]) -> list[str]:
    shared = [name for name in a.table.datasets if name in b.table.datasets]
    for name in names:
        if name not in shared:
            raise unknown("data set", name, shared, f" in {a.table.suite.name}")
    return list(dict.fromkeys(names)) or shared


def _nothing(a: System, b: System, cells: tuple[Cell, Cell]) -> BenchError:
    has = [f"{len(cell.images)} images of {one.name}" for one, cell in zip((a, b), cells, strict=True)]
    short = next((cell for cell in cells if not cell.images), None)
    todo = short.reason if short is not None else "measure them on the same images"
    where = f"{cells[0].column} on {cells[0].dataset}"
    return BenchError(f"{where}: expected images that both have, got {' and '.join(has)}; {todo}")
