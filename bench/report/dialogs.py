"""What the dialogs of the HTML report show: per-image values, and thumbnails, each once however many show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records.tables import Cell
from bench.report import formatting
from bench.report.grid import plain
from bench.report.parts import Grid, GridCell
from bench.report.slots import Key, Number
from bench.report.viewer import Album
from bench.runs.thumbnails import lr_path, thumbnail_path

_PICTURED = 100  # images of a cell that have thumbnails; more would make a file that no phone opens
_TERMS = "No pictures: the terms of these images do not allow copies in a report."


class _Thumbnails:
    """The thumbnails of a report, each in it once however many cells show it."""

    def __init__(self, album: Album) -> None:
        self.sources: list[str] = []
        self._album = album
        self._known: dict[Path, int | None] = {}

    def add(self, path: Path, dataset: str) -> int | None:
        """Its number, or None where there is no such file."""
        if path not in self._known:
            source = self._album.source(path, dataset)
            self._known[path] = None if source is None else len(self.sources)
            self.sources += [] if source is None else [source]
        return self._known[path]


def dialog_data(grid: Grid, out: Path, album: Album) -> dict[str, Any]:
    """What the script fills the dialog with.

    Args:
        grid: its measured cells have a dialog each.
        out: results folder, where the thumbnails are.
        album: decides whether they are embedded, linked or left out.
    """
    pictures = _Thumbnails(album)
    cells = []
    for drawn in grid.measured:
        cell, images = drawn.source, []
        for index, image in enumerate(cell.images):
            paths = (
                lr_path(out, cell.key, cell.dataset, image.id, grid.table.suite.scale),
                thumbnail_path(out, cell.key, image.id, "sr"),
                thumbnail_path(out, cell.dataset, image.id, "hr"),
            )
            shown = [pictures.add(path, cell.dataset) for path in paths] if index < _PICTURED else []
            draws = [_rounded(image.common, cell)]
            if drawn.papers_protocol:
                draws.append(_rounded(image.as_published, cell))
            images.append([image.id, draws, shown])
        cells.append({**_heading(drawn), "images": images})
    return {"pictures": pictures.sources, "cells": cells, "terms": _TERMS if album.pictures == "none" else ""}


def _heading(drawn: GridCell) -> dict[str, Any]:
    cell = drawn.source
    return {
        "title": formatting.name(cell),
        "row": cell.row,
        "dataset": cell.dataset,
        "facts": _facts(drawn),
        "verdict": f"{formatting.SYMBOLS[cell.verdict]} {cell.verdict}",
        "tone": cell.verdict.replace(" ", "-"),
        "meaning": formatting.MEANINGS[cell.verdict],
        "digits": formatting.digits(cell),
    }


def _facts(drawn: GridCell) -> list[tuple[str, str]]:
    """What is known of a measured cell, as (label, text)."""
    cell, measured = drawn.source, drawn.measured
    assert cell.value is not None
    assert measured is not None
    facts = [
        ("Paper", f"{drawn.paper.text} {cell.unit}" if drawn.paper else "no value"),
        ("Measured", _estimate(measured, drawn, cell.protocol)),
    ]
    if drawn.papers_protocol:
        facts.append(("Paper's protocol", _estimate(drawn.papers_protocol, drawn, cell.protocol_as_published)))
    if drawn.difference:
        facts.append(("Difference", f"{drawn.difference} {cell.unit}"))
    if cell.verdict == "partial":
        facts.append(("Partial", cell.reason))
    if cell.value.infinite:
        facts.append(("Infinite", f"{formatting.infinity(cell)}; one makes the mean infinite"))
    draws = max(len(image.common) for image in cell.images)
    if draws > 1:
        spread = formatting.number(cell.value.draw_stderr, formatting.digits(cell))
        facts.append(("Draws", f"{draws} per image at temperature {cell.temperature:g}; their standard error {spread}"))
    return facts


def _estimate(number: Number, drawn: GridCell, protocol: str) -> str:
    measured = f"{number.with_error} {drawn.source.unit}".rstrip()
    return f"{measured} ({drawn.images}; {protocol})"


def _rounded(draws: Sequence[float], cell: Cell) -> list[Key]:
    return [plain(round(value, formatting.digits(cell) + 1)) for value in draws]
