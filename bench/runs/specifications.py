"""What identifies a restoration and a measure: everything that can change a number, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bench.downloads.digests import file_digest
from bench.jsons import Json
from bench.methods.method import MethodEntry
from bench.metrics.metric import Measure
from bench.records.store import digest_of
from bench.runs.code import code_digest
from bench.runs.planning import Task, measure_files
from bench.runs.provenance import device_kind, versions
from bench.suites.suite import Row, Suite

_ARITHMETIC = ("bench.runs.restoration", "bench.datasets.local")
_PACKAGES = ("torch", "numpy")


def restoration_of(
    suite: Suite, row: Row, entry: MethodEntry, task: Task, dataset: str, weights: Sequence[str], device: torch.device
) -> Json:
    """The specification of a restoration; its digest names its records.

    Args:
        suite: whose name the seeds are made of.
        row: of it.
        entry: the row's method.
        task: see there.
        dataset: name of the data set; its pixels stand with each image.
        weights: SHA-256 of the row's files of weights.
        device: where it runs.
    """
    return {
        "suite": suite.name,
        "method": entry.name,
        "settings": dict(task.settings),
        "scale": suite.scale,
        "input": list(task.input),
        "temperature": task.temperature,
        "draws": task.draws,
        "dataset": dataset,
        "weights": list(weights),
        "precision": row.precision,
        "tiling": entry.tiling,
        "device": device_kind(device),
        "code": code_digest(entry.module, *_ARITHMETIC),
        "packages": versions((*_PACKAGES, *entry.packages)),
    }


def measure_digest(measure: Measure, device: torch.device) -> str:
    """What identifies a measure: its id, code, weights, packages, and the device that it is computed on."""
    return digest_of(
        {
            "measure": measure.id,
            "code": code_digest(measure.of.module),
            "weights": [file_digest(path) for path in (*measure_files(measure), *measure.files)],
            "packages": versions(measure.of.packages),
            "device": device_kind(device),
        }
    )
