"""The published values of a suite: the lines of its CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from bench.errors import BenchError


@lru_cache(maxsize=16)
def csv_of(folder: Path, name: str) -> tuple[Mapping[str, str], ...]:
    """The lines of a suite's CSV file, each by the names of its head.

    Raises:
        BenchError: there is no such file, or it is no CSV in UTF-8.
    """
    path = csv_path(folder, name)
    try:
        return csv_lines(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}: expected CSV with a head line, got a mistake: {error}") from None


def csv_path(folder: Path, name: str) -> Path:
    """The published values: beside the suite, or in `published/` below it."""
    paths = [path for path in (folder / "published" / name, folder / name) if path.is_file()]
    if not paths:
        raise BenchError(f"expected published values in {folder / name}, got no such file")
    return paths[0]


@lru_cache(maxsize=16)
def csv_lines(text: str, where: str) -> tuple[Mapping[str, str], ...]:
    """The lines of a CSV text; `where` names it in errors."""
    try:
        lines = list(csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True))
    except csv.Error as error:
        raise BenchError(f"{where}: expected CSV with a head line, got a mistake: {error}") from None
    return tuple({str(k).strip(): str(v).strip() for k, v in line.items()} for line in lines)
