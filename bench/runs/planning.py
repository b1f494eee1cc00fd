"""What a row has to compute on a data set, and whether it can: known before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.datasets import local
from bench.datasets.manifest import Manifest, load_manifest
from bench.downloads.digests import file_digest
from bench.errors import BenchError
from bench.methods.method import METHODS, MethodEntry
from bench.metrics.metric import Measure
from bench.metrics.views import Input
from bench.suites.suite import Row, Settings, Suite, as_published_of, measures_of, temperature_of
from bench.weights import entries as weights

FILES = "files"
"""The method of rows whose images another program made, which `bench score` puts into a table."""


@dataclass(frozen=True)
class Task:
    """One way of running a method over the images of a data set, and what is then measured.

    Attributes:
        settings: what the method is built with.
        input: how the LR image is made, and on what the method works.
        temperature: of the draws; 0 for a method that does not draw.
        draws: per image.
        measures: what is computed of the results.
    """

    settings: Settings
    input: Input
    temperature: float
    draws: int
    measures: tuple[Measure, ...]


def tasks(suite: Suite, row: Row, entry: MethodEntry) -> list[Task]:
    """All tasks of a row; measures that can be taken of the same restored images share one."""
    groups: dict[tuple[tuple[tuple[str, str | float], ...], Input, float], list[Measure]] = {}
    for column in suite.columns:
        temperature = temperature_of(row, column) if entry.stochastic else 0.0
        other = as_published_of(row, column)
        for measure in dict.fromkeys(measures_of(row, column)):
            settings: Settings = row.settings
            if other and other.settings is not None and measure != column.measure:
                settings = other.settings
            group = (tuple(sorted(settings.items())), measure.variant.input, temperature)
            groups.setdefault(group, []).append(measure)
    return [
        Task(dict(settings), input_, temperature, suite.draws if temperature > 0 else 1, tuple(dict.fromkeys(measures)))
        for (settings, input_, temperature), measures in groups.items()
    ]


def datasets_of(suite: Suite, names: Iterable[str]) -> tuple[list[Manifest], bool]:
    """The data sets to run on: those named; else the suite's, and where none of them is present the fallback too.

    Returns:
        (manifests, whether the fallback was taken).
    """
    chosen = [load_manifest(name) for name in dict.fromkeys(names)]
    if not chosen or any(not manifest.package for manifest in chosen):
        local.require_data_root()
    if chosen:
        return chosen, False
    manifests = [load_manifest(name) for name in suite.datasets]
    if all(local.presence(manifest).state == "missing" for manifest in manifests):
        return [*manifests, load_manifest(suite.fallback)], True
    return manifests, False


def why_not(row: Row, manifest: Manifest | None = None) -> str:
    """Why a row cannot run (on a data set) on this machine; empty where it can."""
    if row.method == FILES:
        return "its images were made by another program: score them again with python -m bench score --table"
    if not METHODS.knows(row.method):
        return f"the method {row.method} is not implemented"
    try:
        weight_files(row)
    except BenchError as error:
        return str(error)
    if manifest is not None and local.presence(manifest).state == "missing":
        return f"needs data {manifest.name}: {local.how_to_get(manifest)}"
    return ""


def weight_files(row: Row) -> list[Path]:
    """The files of weights of a row, compared with what is known of them.

    Raises:
        BenchError: one is missing ("needs weights NAME" and how to get it), or is another file.
    """
    files = [Path(name) for name in row.files]
    for path in files:
        if not path.is_file():
            raise BenchError(f"needs weights {path}: the file is gone; give it again with --weights")
    return [*(weights.resolve(name) for name in row.needs), *files]


def weight_digests(row: Row) -> list[str]:
    """SHA-256 of each file of weights of a row; never its path."""
    return [file_digest(path) for path in weight_files(row)]


def measure_faults(measures: Iterable[Measure]) -> dict[str, str]:
    """Measure id -> why it cannot be taken here and now: its weights or a package are missing."""
    faults: dict[str, str] = {}
    for measure in measures:
        try:
            _ = measure_files(measure), measure.files
        except BenchError as error:
            faults[measure.id] = str(error)
    return faults


def measure_files(measure: Measure) -> list[Path]:
    """The files of weights of a measure.

    Raises:
        BenchError: one is missing, or is another file.
    """
    return [weights.resolve(name) for name in measure.weights]
