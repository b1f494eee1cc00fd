"""Rows that a user adds: weights in a file, any method by name, or another precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from bench.errors import BenchError
from bench.methods import hcflow
from bench.methods.method import METHODS, build_method
from bench.suites.suite import Row, Suite

_FILE_METHODS = ("spandrel", "onnx")
"""Methods of which `--method NAME:FILE` gives a row."""


def weight_rows(suite: Suite, file: Path, name: str = "") -> tuple[Row, ...]:
    """Rows for an HCFlow checkpoint, one at every temperature that the table has for HCFlow; never compared.

    Args:
        suite: the table.
        file: an official checkpoint, or one of `python -m hcflow`.
        name: of the row; the file's stem where none is given.

    Raises:
        BenchError: no such file, not an HCFlow checkpoint, or one for another scale.
    """
    if not file.is_file():
        raise BenchError(f"expected a file of weights, got {file}; check the path")
    model = hcflow.network(suite.scale, file, torch.device("cpu"))
    task = hcflow.task_of(model)
    alike = [row for row in suite.rows if row.method == "hcflow" and _task(row) == task and not row.files]
    beside = alike[0] if alike else None
    temperatures = sorted({row.temperature for row in alike}) or [0.0 if task == "super-resolution" else 1.0]
    settings: dict[str, str | int | float | bool] = {} if task == "super-resolution" else {"task": task}
    label = name or file.stem
    parameters = f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f}M"
    return tuple(
        Row(
            name=label if len(temperatures) == 1 else f"{label} tau={tau:g}",
            method="hcflow",
            settings=settings,
            describe=_description(suite, beside, parameters, tau),
            files=(str(file.resolve()),),
            beside=alike[-1].name if alike else "",
            temperature=tau,
        )
        for tau in temperatures
    )


def method_row(suite: Suite, text: str, name: str = "") -> Row | None:
    """A row for `spandrel:FILE`, `onnx:FILE`, the name of a method or `module:object`; None where it is none of them.

    Raises:
        BenchError: the file or the object does not exist, or does not fit the table's scale.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in _FILE_METHODS:
        file = Path(rest)
        if not file.is_file():
            raise BenchError(f"expected a file of weights in --method {text}, got {file}; check the path")
        method = build_method(METHODS.find(kind), suite.scale, {}, [file], torch.device("cpu"))
        parameters = getattr(method, "parameters", None)
        count = "" if parameters is None else f"{parameters / 1e6:.2f}M"
        describe = _description(suite, None, count, 0.0)
        return Row(name or file.stem, kind, describe=describe, files=(str(file.resolve()),))
    if colon or text in METHODS.names():
        return Row(name or METHODS.find(text).title, text)
    return None


def is_module(text: str) -> bool:
    """Whether a `--method` is `module:object`, neither a row nor a file of weights."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind not in _FILE_METHODS


def in_precision(rows: Sequence[Row], precision: Literal["fp32", "tf32", "bf16"]) -> tuple[Row, ...]:
    """The rows in another precision, beside their originals and labelled; never compared with the paper."""
    if precision == "fp32":
        return tuple(rows)
    return tuple(
        replace(
            row,
            name=f"{row.name} ({precision})",
            precision=precision,
            beside=row.name,
            key={},
            published={},
            as_published=(),
            series=row.series and f"{row.series}, {precision}",
        )
        for row in rows
    )


def _task(row: Row) -> str:
    return str(row.settings.get("task", "super-resolution"))


def _description(suite: Suite, beside: Row | None, parameters: str, temperature: float) -> dict[str, str]:
    line = dict(suite.csv_line(beside)) if beside is not None else {}
    describe = {name: line.get(name, "") for name in suite.describe}
    known = {"params": parameters, "temperature": f"{temperature:g}"}
    return describe | {name: text for name, text in known.items() if name in suite.describe}
