"""What a cell has to compute, and whether it can: read by the runner before it starts and by the tables afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.datasets import local as data
from bench.datasets.manifest import Manifest, load_manifest
from bench.errors import BenchError
from bench.methods.method import METHODS
from bench.metrics.metric import METRICS, Measure
from bench.metrics.views import Protocol
from bench.suites.suite import Row, Suite, measures_of, temperature_of
from bench.weights import entries as weights


@dataclass
class Pass:
    """One way of running a method over an image: its settings, its input, its temperature, and what is then measured.

    Attributes:
        settings: what the method is built with.
        protocol: any of the measures' protocols; they all ask for the same LR image.
        temperature: of the draws.
        measures: what is computed of the result.
    """

    settings: dict[str, Any]
    protocol: Protocol
    temperature: float
    measures: list[Measure] = field(default_factory=list)


def passes(suite: Suite, row: Row) -> list[Pass]:
    """All passes of a row, with every measure that can be taken in the same pass together."""
    groups: dict[str, Pass] = {}
    for column in suite.columns:
        if METRICS[column.metric].function is None:
            continue
        temperature = temperature_of(row, column)
        for as_published, name in enumerate(measures_of(row, column)):
            measure, settings = Measure.parse(name), dict(row.settings)
            if as_published and row.as_published and row.as_published.settings is not None:
                settings = dict(row.as_published.settings)
            protocol = measure.protocol
            plane = protocol.grey if protocol.work == "y" else ""
            group = json.dumps([settings, protocol.work, plane, protocol.pad, temperature], sort_keys=True)
            one = groups.setdefault(group, Pass(settings, protocol, temperature))
            if measure not in one.measures:
                one.measures.append(measure)
    return [one for one in groups.values() if one.measures]


def draws_of(suite: Suite, row: Row, temperature: float) -> int:
    """How many draws of an image: several only where they differ."""
    return suite.draws if METHODS[row.method].stochastic and temperature > 0 else 1


def datasets_of(suite: Suite, names: Iterable[str]) -> tuple[list[Manifest], bool]:
    """The data sets to run on: those named; else the paper's, and where none of them is present the fallback too.

    Returns:
        (manifests, whether the fallback was taken).
    """
    if chosen := [load_manifest(name) for name in names]:
        return chosen, False
    data.require_data_root()
    manifests = [load_manifest(name) for name in suite.datasets]
    if all(data.presence(manifest).state == "missing" for manifest in manifests):
        return [*manifests, load_manifest(suite.fallback)], True
    return manifests, False


def why_not(row: Row, manifest: Manifest) -> str | None:
    """Why the cell of a row and a data set cannot run here and now; None where it can."""
    if row.method not in METHODS:
        return f"needs weights {', '.join(row.needs) or '(none)'}; the method {row.method} is still to come"
    for name in row.needs:
        try:
            weights.resolve(name)
        except BenchError as error:
            return str(error)
    if data.presence(manifest).state == "missing":
        return f"needs data {manifest.name}: {data.how_to_get(manifest)}"
    return None
