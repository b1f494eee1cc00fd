"""Cells (row x data set) one by one: per image, per pass, per draw, into records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
import torch

from bench.datasets import local as data
from bench.datasets.manifest import ImageEntry, Manifest
from bench.errors import BenchError, StorageError
from bench.files import make_folder
from bench.methods.method import METHODS, Downscaler, Method, build_method
from bench.metrics.metric import METRICS
from bench.metrics.views import Values, views
from bench.records.own_rows import as_json
from bench.records.store import CellFile, Journal, Record
from bench.runs.inputs import draw_seed, low_resolution
from bench.runs.planning import Pass, datasets_of, draws_of, passes, why_not
from bench.runs.provenance import code_digest, processor, provenance, versions
from bench.runs.thumbnails import save_thumbnails
from bench.suites.suite import Row, Suite, value_name
from bench.weights import entries as weights
from hcflow.images.io import ImageError, Pixels
from hcflow.images.matlab_resize import mod_crop


class Progress(Protocol):
    """Whoever wants to see a run go on."""

    def cell(self, row: str, dataset: str, images: int, number: int, cells: int) -> None:
        """A cell starts."""

    def image(self, image: str, cached: bool) -> None:
        """An image of it is done, computed or found in the records."""

    def problem(self, message: str) -> None:
        """Something is wrong with an image or a cell; the rest goes on."""


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        suite: the table.
        rows: of it.
        datasets: names; empty for the paper's, or the fallback where none of those is present.
        limit: first so many images of each data set; None for all.
        device: for the methods that can use one.
        out: where records go.
    """

    suite: Suite
    rows: Sequence[Row]
    datasets: Sequence[str]
    limit: int | None
    device: torch.device
    out: Path


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    journal: Journal
    problems: int
    fallback: bool


def run(request: Request, progress: Progress, on_cell: Callable[[Journal], None]) -> Outcome:
    """Run the cells of a request; whatever an earlier run finished is not computed again.

    Args:
        request: what to run.
        progress: told of every image.
        on_cell: called after each cell with the journal (tracking hangs there).

    Raises:
        BenchError: unknown names, or an output folder that cannot be written; problems of single images do not raise.
    """
    make_folder(request.out)
    manifests, fallback = datasets_of(request.suite, request.datasets)
    journal = _open_journal(request)
    started, problems = time.monotonic(), 0
    cells = [(row, manifest) for row in request.rows for manifest in manifests]
    for number, (row, manifest) in enumerate(cells, 1):
        if reason := why_not(row, manifest):
            journal.note(row=row.name, dataset=manifest.name, state="not run", reason=reason)
            continue
        problems += _run_cell(request, row, manifest, journal, progress, (number, len(cells)))
        on_cell(journal)
    journal.finished, journal.seconds = _now(), time.monotonic() - started
    journal.save()
    on_cell(journal)
    return Outcome(journal, problems, fallback)


def specification(request: Request, row: Row, manifest: Manifest) -> dict[str, Any]:
    """Everything that can change a number of a cell; its digest is the cell's key."""
    entry = METHODS[row.method]
    return {
        "suite": request.suite.name,
        "method": row.method,
        "scale": request.suite.scale,
        "passes": [
            {
                "settings": one.settings,
                "temperature": one.temperature,
                "draws": draws_of(request.suite, row, one.temperature),
                "measures": [measure.id for measure in one.measures],
            }
            for one in passes(request.suite, row)
        ],
        "weights": {name: weights.weight_digest(name) for name in row.needs},
        "dataset": manifest.name,
        "manifest": manifest.digest,
        "seed": "sha256(suite, method, image, temperature, draw)",
        "code": code_digest(entry.code),
        "versions": versions(),
        "device": processor(request.device) if request.device.type == "cuda" else "cpu",
    }


def _run_cell(
    request: Request, row: Row, manifest: Manifest, journal: Journal, progress: Progress, position: tuple[int, int]
) -> int:
    """All images of one cell; returns how many had a problem."""
    entries = data.presence(manifest).present[: request.limit]
    todo = passes(request.suite, row)
    problems, cached, started = [], 0, time.monotonic()
    with CellFile(request.out, specification(request, row, manifest)) as cell:
        about = {"row": row.name, "dataset": manifest.name, "key": cell.key, "images": len(manifest.images)}
        journal.note(**about, state="running")
        progress.cell(row.name, manifest.name, len(entries), *position)
        methods = _Methods(request, row)
        if any(entry.id not in cell.records for entry in entries):
            try:
                methods.build(todo)
            except BenchError as error:
                journal.note(**about, state="failed", reason=str(error))
                progress.problem(f"{row.name} on {manifest.name}: {error}")
                return 1
        for entry in entries:
            try:
                known = _Image(request, row, manifest, entry, cell, journal.run).run(todo, methods)
                cached += known
                progress.image(entry.id, known)
            except StorageError:
                raise
            except (BenchError, ImageError) as error:
                problems.append(f"{manifest.name}/{entry.id}: {error}")
                progress.problem(problems[-1])
        computed = len(entries) - len(problems) - cached
        journal.note(
            **about,
            state="failed" if problems else "done",
            reason=problems[0] if problems else None,
            computed=computed,
            cached=cached,
            problems=len(problems),
            seconds=time.monotonic() - started,
        )
    return len(problems)


class _Methods:
    """The methods of a row, one for each of its settings, built on demand: a cell that is cached loads no weights."""

    def __init__(self, request: Request, row: Row) -> None:
        self._request, self._row = request, row
        self._built: dict[str, Method] = {}

    def build(self, todo: Sequence[Pass]) -> None:
        """Build what the passes need now, so that weights that do not fit are one problem and not one per image."""
        for one in todo:
            self.of(one)

    def of(self, one: Pass) -> Method:
        """The method with the settings of a pass."""
        key = json.dumps(one.settings, sort_keys=True)
        if key not in self._built:
            files = [weights.resolve(name) for name in self._row.needs]
            scale, device = self._request.suite.scale, self._request.device
            self._built[key] = build_method(self._row.method, scale, one.settings, files, device)
        return self._built[key]


@dataclass(frozen=True)
class _Image:
    """One image of a cell on its way through the passes."""

    request: Request
    row: Row
    manifest: Manifest
    entry: ImageEntry
    cell: CellFile
    journal: str

    def run(self, todo: Sequence[Pass], methods: _Methods) -> bool:
        """Measure the image and record it; returns whether that was done before."""
        hr = data.read_hr(self.manifest, self.entry)
        digest = data.pixel_digest(hr)
        known = self.cell.records.get(self.entry.id)
        if known is not None and known.digest == digest:
            return True
        started = time.monotonic()
        values = self._measure(mod_crop(hr, self.request.suite.scale), todo, methods)
        self.cell.append(Record(self.entry.id, digest, values, time.monotonic() - started, self.journal))
        return False

    def _measure(self, hr: Pixels, todo: Sequence[Pass], methods: _Methods) -> dict[str, list[float]]:
        """Value name -> one value per draw."""
        values: dict[str, list[float]] = {}
        for number, one in enumerate(todo):
            method = methods.of(one)
            lr = self._low_resolution(method, hr, one)
            for draw in range(draws_of(self.request.suite, self.row, one.temperature)):
                sr = self._restore(method, hr, lr, one.temperature, draw)
                for measure in one.measures:
                    function = METRICS[measure.metric].function
                    assert function is not None  # passes() leaves out metrics that are still to come
                    value = function(*views(sr, hr, measure.protocol))
                    values.setdefault(value_name(measure.id, one.temperature), []).append(value)
                if number == draw == 0:
                    place = (self.request.out, self.cell.key, self.manifest.name, self.entry.id)
                    save_thumbnails(*place, hr, lr, sr, own_lr=isinstance(method, Downscaler))
        return values

    def _low_resolution(self, method: Method, hr: Pixels, one: Pass) -> torch.Tensor:
        """What the method restores: the bicubic LR image, or the method's own."""
        if isinstance(method, Downscaler):
            return method.downscale(hr)
        return low_resolution(hr, self.request.suite.scale, one.protocol)

    def _restore(self, method: Method, hr: Pixels, lr: torch.Tensor, temperature: float, draw: int) -> Values:
        """(H, W) or (H, W, 3) in [0, 1]; a method that returns anything else is refused."""
        seed = draw_seed(self.request.suite.name, self.row.method, self.entry.id, temperature, draw)
        sr = method.restore(lr.to(self.request.device), temperature, seed).detach().cpu()
        expected = (lr.shape[0], *hr.shape[:2])
        if tuple(sr.shape) != expected or not bool(torch.isfinite(sr).all()):
            got = f"{tuple(sr.shape)}" if tuple(sr.shape) != expected else "values that are not finite"
            raise BenchError(f"{self.row.method}: expected a finite image of shape {expected}, got {got}")
        image: Values = np.moveaxis(sr.numpy(), 0, 2)
        return image[:, :, 0] if image.shape[2] == 1 else image


def _open_journal(request: Request) -> Journal:
    now = datetime.now(UTC)
    command: dict[str, Any] = {
        "rows": [row.name for row in request.rows],
        "datasets": list(request.datasets),
        "limit": request.limit,
    }
    if own := as_json(request.suite, request.rows):
        command["own_rows"] = own
    name = f"{now:%Y%m%dT%H%M%S%fZ}-{uuid4().hex[:6]}"
    about = provenance(request.device)
    journal = Journal(request.out, name, request.suite.name, now.isoformat(timespec="seconds"), command, about)
    journal.save()
    return journal


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
