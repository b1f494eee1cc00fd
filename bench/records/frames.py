"""Results as pandas frames: a line per cell, per image, or per draw, for analyses of your own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.files import require_folder
from bench.jsons import Json
from bench.records import store
from bench.records.journal import Journal, no_records
from bench.records.tables import Cell, Table, build_table
from bench.records.texts import suite_in, tables_in

if TYPE_CHECKING:
    import pandas as pd

FRAMES = ("cells", "images", "draws")


@dataclass(frozen=True)
class Results:
    """What one or more results folders hold.

    Attributes:
        folders: they are.
        tables: (folder, table), in their order.
    """

    folders: tuple[Path, ...]
    tables: tuple[tuple[Path, Table], ...]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """A line per cell that has a value; `value` is under the table's common protocol.

        `published` is text, as printed; `value_as_published`, `difference` and `verdict` are under the protocol that
        it was made with. The provenance (commit, device, versions) is that of the run that finished the cell.
        """
        return self._frame(_CELL, (_cell(*place) for place in self._places()))

    @cached_property
    def images(self) -> pd.DataFrame:
        """A line per image of a cell: the mean over its draws."""
        return self._frame(_IMAGE, (one for place in self._places() for one in _images(*place)))

    @cached_property
    def draws(self) -> pd.DataFrame:
        """A line per draw of an image; one for a method that does not draw, and for a value over all draws."""
        return self._frame(_DRAW, (one for place in self._places() for one in _draws(*place)))

    def frame(self, name: str) -> pd.DataFrame:
        """`cells`, `images` or `draws`."""
        frames = {"cells": lambda: self.cells, "images": lambda: self.images, "draws": lambda: self.draws}
        return frames[name]()

    def _places(self) -> Iterable[tuple[Path, Table, Cell]]:
        return ((folder, table, cell) for folder, table in self.tables for cell in table.cells if cell.value)

    @staticmethod
    def _frame(columns: tuple[str, ...], lines: Iterable[Json]) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(list(lines), columns=list(columns))


def load(*folders: str | Path, trust: bool = False) -> Results:
    """The results in folders that `bench run` wrote (`--out`); nothing is measured.

    Args:
        folders: they are.
        trust: also look up rows and columns that name a module (`module:object`), which runs its code.

    Raises:
        BenchError: a folder is missing, or has no records.
    """
    if not folders:
        raise BenchError('expected a results folder, got none; for example bench.load("results")')
    tables = []
    for folder in (Path(one) for one in folders):
        require_folder(folder, "records")
        names = tables_in(folder)
        if not names:
            raise no_records(folder)
        tables += [(folder, build_table(suite_in(folder, name, trust).suite, folder)) for name in names]
    return Results(tuple(Path(one) for one in folders), tuple(tables))


_WHERE = ("folder", "table", "row", "dataset", "metric", "protocol", "temperature")
_PROVENANCE = (
    "method", "settings", "scale", "precision", "draws", "weights", "code", "restoration", "runs", "commit", "dirty",
    "device", "processor", "python", "versions", "platform", "finished",
)  # fmt: skip
_CELL = (
    *_WHERE, "title", "unit", "direction", "value", "stderr", "draw_stderr", "n", "total", "infinite", "published",
    "protocol_as_published", "value_as_published", "difference", "verdict", "tolerance", "reason",
    "seconds", *_PROVENANCE,
)  # fmt: skip
_IMAGE = (*_WHERE, "image", "value", "value_as_published", "draws", "seconds", "pixels", "verdict", "restoration")
_DRAW = (*_WHERE, "image", "draw", "value", "value_as_published", "verdict", "restoration")


def _where(folder: Path, cell: Cell) -> Json:
    return {
        "folder": str(folder), "table": cell.table, "row": cell.row, "dataset": cell.dataset, "metric": cell.column,
        "protocol": cell.protocol, "temperature": cell.temperature, "verdict": cell.verdict, "restoration": cell.key,
    }  # fmt: skip


def _cell(folder: Path, table: Table, cell: Cell) -> Json:
    assert cell.value is not None
    own, times = cell.value_as_published, [one.seconds for one in cell.images if one.seconds is not None]
    return {
        **_where(folder, cell), "title": cell.title, "unit": cell.unit, "direction": cell.direction,
        "value": cell.value.mean, "stderr": cell.value.stderr, "draw_stderr": cell.value.draw_stderr,
        "n": cell.value.n, "total": cell.total, "infinite": cell.value.infinite, "published": cell.published,
        "protocol_as_published": cell.protocol_as_published, "value_as_published": own.mean if own else None,
        "difference": cell.difference, "tolerance": str(cell.tolerance) if cell.tolerance else "",
        "reason": cell.reason, "seconds": sum(times) / len(times) if times else None,
        **_provenance(folder, table.runs, cell),
    }  # fmt: skip


def _provenance(folder: Path, runs: Iterable[Journal], cell: Cell) -> Mapping[str, Any]:
    """What made a cell: its restoration's specification, and the last of its runs."""
    specification = store.specification_of(folder, cell.key) or {}
    mine = sorted((run for run in runs if run.run in cell.runs), key=lambda run: run.started)
    about = mine[-1].provenance if mine else {}
    versions = {**about.get("versions", {}), **specification.get("packages", {})}
    settings = specification.get("settings", {})
    return {
        "method": specification.get("method"), "settings": _text(settings), "scale": specification.get("scale"),
        "precision": specification.get("precision"), "draws": specification.get("draws"),
        "weights": " ".join(specification.get("weights", [])), "code": specification.get("code"),
        "runs": " ".join(sorted(cell.runs)), "commit": about.get("commit"), "dirty": about.get("dirty"),
        "device": about.get("device"), "processor": about.get("processor"), "python": about.get("python"),
        "versions": _text(versions), "platform": about.get("platform"),
        "finished": mine[-1].finished if mine else None,
    }  # fmt: skip


def _text(pairs: Mapping[str, object]) -> str:
    """`torch=2.15.0 numpy=2.4.6`."""
    return " ".join(f"{name}={value}" for name, value in pairs.items())


def _images(folder: Path, _: Table, cell: Cell) -> Iterable[Json]:
    for image in cell.images:
        yield {
            **_where(folder, cell), "image": image.id, "value": _mean(image.common),
            "value_as_published": _mean(image.as_published), "draws": len(image.common), "seconds": image.seconds,
            "pixels": image.pixels,
        }  # fmt: skip


def _draws(folder: Path, _: Table, cell: Cell) -> Iterable[Json]:
    for image in cell.images:
        for draw, value in enumerate(image.common):
            own = image.as_published[draw] if len(image.as_published) > draw else None
            yield {
                **_where(folder, cell), "image": image.id, "draw": draw, "value": value, "value_as_published": own,
            }  # fmt: skip


def _mean(values: tuple[float, ...]) -> float:
    import numpy as np

    with np.errstate(invalid="ignore"):
        return float(np.mean(values))
