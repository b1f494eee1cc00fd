"""TOML tables to frozen dataclasses, with errors that list the choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from bench.errors import BenchError
from bench.registry import unknown

T = TypeVar("T")


def from_table(cls: type[T], raw: Mapping[str, Any], where: str) -> T:
    """A dataclass from a TOML table; missing and unknown keys are errors, arrays become tuples."""
    names = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in raw:
        if key not in names:
            raise unknown("key", key, names, f" in {where}")
    missing = [n for n, f in names.items() if n not in raw and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise BenchError(f"{where}: expected the key {missing[0]!r}, got none")
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
