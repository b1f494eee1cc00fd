"""JSON as this project writes it: strict, with "inf" and "-inf" for infinite numbers; NaN is never written nor read."""

from __future__ import annotations

import json
import math
from typing import Any

Json = dict[str, Any]


def number(value: float) -> float | str:
    """A number for JSON: infinity becomes "inf" or "-inf", which `float` reads back.

    Raises:
        ValueError: the value is NaN.
    """
    if math.isnan(value):
        raise ValueError("expected a number, got NaN")
    return value if math.isfinite(value) else str(value)


def number_or_null(value: float | None) -> float | str | None:
    """As `number`, for a value that may be missing: NaN and None become null."""
    return None if value is None or math.isnan(value) else number(value)


def dumps(content: object, indent: int | None = None) -> str:
    """JSON text of plain types; non-finite floats must have gone through `number`."""
    return json.dumps(content, allow_nan=False, indent=indent)


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON text.

    Raises:
        ValueError: it is not strict JSON (NaN and Infinity are not), or nested too deep.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(constant: str) -> object:
    raise ValueError(f"expected a number, got {constant}")
