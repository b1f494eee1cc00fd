"""What the dialogs of the HTML report show: per-image values, and thumbnails embedded once however many show them."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import jsons
from bench.records.estimates import Estimate
from bench.records.tables import Cell, Table
from bench.report import words
from bench.runs.thumbnails import lr_path, thumbnail_path

_PICTURED = 100  # images of a cell that are embedded as thumbnails; more would make a file that no phone opens
_TERMS = "No pictures: the terms of these images do not allow copies in a report."


class _Pictures:
    """The thumbnails of a report, each embedded once however many cells show it."""

    def __init__(self) -> None:
        self.uris: list[str] = []
        self._known: dict[Path, int | None] = {}

    def add(self, path: Path) -> int | None:
        """Its number, or None where there is no such file."""
        if path not in self._known:
            self._known[path] = len(self.uris) if path.is_file() else None
            if path.is_file():
                self.uris.append(f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}")
        return self._known[path]


def dialog_data(measured: Sequence[Cell], table: Table, out: Path, thumbnails: bool) -> dict[str, Any]:
    """What the script fills the dialog with."""
    pictures = _Pictures()
    cells = []
    for cell in measured:
        images = []
        for index, image in enumerate(cell.images):
            paths = (
                lr_path(out, cell.key, cell.dataset, image.id, table.suite.scale),
                thumbnail_path(out, cell.key, image.id, "sr"),
                thumbnail_path(out, cell.dataset, image.id, "hr"),
            )
            shown = [pictures.add(path) for path in paths] if thumbnails and index < _PICTURED else []
            draws = [_rounded(image.common, cell)]
            if words.has_own_protocol(cell):
                draws.append(_rounded(image.as_published, cell))
            images.append([image.id, draws, shown])
        cells.append({**_about(cell), "images": images})
    return {"pictures": pictures.uris, "cells": cells, "terms": "" if thumbnails else _TERMS}


def _about(cell: Cell) -> dict[str, Any]:
    return {
        "title": words.name(cell),
        "facts": _facts(cell),
        "verdict": f"{words.SYMBOLS[cell.verdict]} {cell.verdict}",
        "tone": cell.verdict.replace(" ", "-"),
        "meaning": words.MEANINGS[cell.verdict],
        "digits": words.digits(cell),
    }


def _facts(cell: Cell) -> list[tuple[str, str]]:
    """What is known of a cell, as (label, text)."""
    assert cell.value is not None
    assert cell.value_as_published is not None
    facts = [
        ("Published", f"{cell.published} {cell.unit}" if cell.published else "no value"),
        ("Measured", _estimate(cell.value, cell, cell.protocol)),
    ]
    if words.has_own_protocol(cell):
        facts.append(("Paper's protocol", _estimate(cell.value_as_published, cell, cell.protocol_as_published)))
    if cell.difference is not None:
        facts.append(("Difference", f"{words.signed(cell.difference, words.digits(cell))} {cell.unit}"))
    if cell.verdict == "partial":
        facts.append(("Partial", cell.reason))
    if cell.value.infinite:
        facts.append(("Infinite", f"{words.infinity(cell)}; one makes the mean infinite"))
    draws = max(len(image.common) for image in cell.images)
    if draws > 1:
        spread = words.number(cell.value.draw_stderr, words.digits(cell))
        facts.append(("Draws", f"{draws} per image at temperature {cell.temperature:g}; their standard error {spread}"))
    return facts


def _estimate(value: Estimate, cell: Cell, protocol: str) -> str:
    measured = f"{words.with_error(value, words.digits(cell))} {cell.unit}".rstrip()
    return f"{measured} ({words.images_of(cell)}; {protocol})"


def _rounded(draws: Sequence[float], cell: Cell) -> list[float | str | None]:
    return [plain(round(value, words.digits(cell) + 1)) for value in draws]


def plain(value: float) -> float | str | None:
    """A number for JSON, which has no infinity; JavaScript's Number() reads the word."""
    return (
        None
        if math.isnan(value)
        else str(jsons.number(value)).replace("inf", "Infinity")
        if math.isinf(value)
        else value
    )
