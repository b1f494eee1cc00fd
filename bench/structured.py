"""TOML and JSON to frozen dataclasses, types checked; a mistake is a BenchError."""

from __future__ import annotations

import textwrap
from typing import TypeVar

from bench.errors import BenchError
from hcflow import structured
from hcflow.errors import HCFlowError

T = TypeVar("T")
_LONGEST = 1000  # characters of a message, which quotes the value


def build(cls: type[T], data: object, where: str) -> T:
    """Make a dataclass as `hcflow.structured.build` does.

    Raises:
        BenchError: an unknown or missing key (the message lists the choices) or a wrong value.
    """
    try:
        return structured.build(cls, data, where)
    except HCFlowError as error:
        raise BenchError(textwrap.shorten(str(error), _LONGEST)) from None
