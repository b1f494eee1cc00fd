"""Which names in a results folder are looked up: `module:object` runs code, and a folder may be anybody's."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping

from bench.errors import one_line
from bench.suites.suite import Row

OPTION = "--trust"
HOW = f"looking it up runs that module's code; {OPTION} (in Python: trust=True) does so for a folder that you trust"


def unsafe_measure(text: str) -> str:
    """The metric that a measure's text names, where looking it up would import a module that the text chose."""
    name = text.partition("@")[0]
    if ":" not in name or name.startswith("pyiqa:"):
        return ""
    from bench.metrics.metric import Metric

    return "" if _loaded(name, Metric) else name


def unsafe_method(name: str) -> str:
    """The same of a method; files of weights stand in a row beside the method (`spandrel`, `onnx`), not in its name."""
    if ":" not in name:
        return ""
    from bench.methods.method import MethodEntry

    return "" if _loaded(name, MethodEntry) else name


def unsafe_row(row: Row) -> str:
    """The first name of a row that may not be looked up; empty where all may."""
    metrics = [unsafe_measure(name) for one in row.as_published for name in one.metrics]
    return next((name for name in (unsafe_method(row.method), *metrics) if name), "")


def unsafe_suite(text: str) -> str:
    """The first name in a suite's text that may not be looked up; empty where all may, or where it is no suite."""
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return ""
    names = [unsafe_measure(name) for column in _tables(content.get("columns")) for name in _texts(column, "measure")]
    for row in _tables(content.get("rows")):
        names += [unsafe_method(name) for name in _texts(row, "method")]
        names += [unsafe_measure(name) for one in _tables(row.get("as_published")) for name in _texts(one, "metrics")]
    return next((name for name in names if name), "")


def left_out(what: str, text: str, name: str) -> str:
    """The warning for a column or row."""
    return f"the {what} {one_line(text)} is left out: it names {one_line(name)}, and {HOW}"


def _loaded(name: str, kind: type) -> bool:
    """Whether this process has it already, as a run that was asked for it on the command line: nothing is imported."""
    module, _, attribute = name.partition(":")
    return isinstance(getattr(sys.modules.get(module), "__dict__", {}).get(attribute), kind)


def _tables(value: object) -> Iterator[Mapping[str, object]]:
    yield from (one for one in (value if isinstance(value, list) else []) if isinstance(one, dict))


def _texts(table: Mapping[str, object], key: str) -> Iterator[str]:
    value = table.get(key)
    yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))
