"""Rows on data sets, one by one: image by image, restored, measured, recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest, load_manifest
from bench.errors import BenchError, StorageError, in_one_line
from bench.files import make_folder
from bench.records import store
from bench.records.journal import Entry, Journal, now
from bench.runs.claims import Claims
from bench.runs.images import ImageRun, Job
from bench.runs.planning import datasets_of, measure_faults, why_not
from bench.runs.provenance import provenance
from bench.runs.recording import recorded_texts
from bench.runs.scoring import FAULTS, Scoring
from bench.suites.suite import Row, Suite, measures_of


class Progress(Protocol):
    """How a run is watched."""

    def plan(self, rows: int, images: int) -> None:
        """So many rows on data sets can run, with so many images in all."""

    def row(self, row: str, dataset: str, images: int) -> None:
        """A row on a data set starts."""

    def image(self, image: str, cached: bool) -> None:
        """An image of it is done, measured now or found in the records."""

    def problem(self, message: str) -> None:
        """Something is wrong with an image, a measure or a row; the rest goes on."""


@dataclass(frozen=True)
class Share:
    """The part of a run that this process does; others do the other parts.

    Attributes:
        of: id of the submission that they belong to, see bench.runs.submissions.
        number: of this part, from 1.
        count: of all parts.
        images: (row, data set) -> ids of its images; None where the part is the whole of what its command asks for.
    """

    of: str
    number: int
    count: int
    images: Mapping[tuple[str, str], tuple[str, ...]] | None


@dataclass(frozen=True)
class Request:
    """What to run.

    Attributes:
        suite: the table, with all rows and columns that are to be measured.
        rows: of it.
        datasets: names; empty for the suite's, or the fallback where none of those is present.
        limit: first so many images of each data set; None for all.
        device: for the methods and metrics that can use one.
        out: where records go.
        own_rows: those of the rows that are not in the suite's file, for the journal.
        also: measures that were asked for beside the suite's, for the journal.
        keep_images: whether to keep the restored images.
        share: what of it this process does; None for all.
    """

    suite: Suite
    rows: Sequence[Row]
    datasets: Sequence[str]
    limit: int | None
    device: torch.device
    out: Path
    own_rows: Sequence[dict[str, Any]] = ()
    also: Sequence[str] = ()
    keep_images: bool = False
    share: Share | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        journal: of it.
        problems: images and measures that failed.
        ran: rows on data sets that could run.
        fallback: whether it ran on the fallback data set.
    """

    journal: Journal
    problems: tuple[str, ...]
    ran: int
    fallback: bool


def run(request: Request, progress: Progress, on_row: Callable[[Journal], None]) -> Outcome:
    """Run the rows of a request; whatever an earlier run finished is not computed again.

    Args:
        request: what to run.
        progress: told of every image.
        on_row: called after each row on a data set with the journal (tracking hangs there).

    Raises:
        BenchError: unknown names, or an output folder that cannot be written; problems of single images do not raise.
    """
    places, manifests, fallback = _places(request)
    make_folder(request.out)
    journal = _begin(request, manifests)
    started = time.monotonic()
    reasons = {(row.name, manifest.name): why_not(row, manifest) for row, manifest in places}
    runnable = [(row, manifest) for row, manifest in places if not reasons[row.name, manifest.name]]
    progress.plan(len(runnable), sum(len(_images(request, *place)) for place in runnable))
    problems: list[str] = []
    for row, manifest in places:
        if reason := reasons[row.name, manifest.name]:
            journal.note(Entry(row.name, manifest.name, "not run", reason))
            if request.share is not None and request.share.images is not None:  # it could run where it was planned
                problems.append(f"{row.name} on {manifest.name}: {reason}")
                progress.problem(problems[-1])
        else:
            problems += _RowRun(request, row, manifest, journal, progress).run()
            on_row(journal)
    journal.end(time.monotonic() - started)
    on_row(journal)
    return Outcome(journal, tuple(problems), len(runnable), fallback)


def _begin(request: Request, manifests: Sequence[Manifest]) -> Journal:
    command: dict[str, Any] = {
        "rows": [row.name for row in request.rows],
        "datasets": list(request.datasets),
        "limit": request.limit,
        "also": list(request.also),
        "own_rows": list(request.own_rows),
    }
    if request.share is not None:
        command["part"] = {"of": request.share.of, "number": request.share.number, "count": request.share.count}
    texts = recorded_texts(request.suite, [manifest.name for manifest in manifests])
    return Journal.begin(request.out, request.suite.name, command, provenance(request.device), texts)


def _places(request: Request) -> tuple[list[tuple[Row, Manifest]], list[Manifest], bool]:
    """The rows on data sets to run, the data sets, and whether the fallback was taken."""
    if request.share is None or request.share.images is None:
        manifests, fallback = datasets_of(request.suite, request.datasets)
        return [(row, manifest) for row in request.rows for manifest in manifests], manifests, fallback
    rows = {row.name: row for row in request.rows}
    if unknown := [row for row, _ in request.share.images if row not in rows]:
        raise BenchError(f"expected the rows that the plan {request.share.of} was made for, got none of {unknown[0]!r}")
    known = {dataset: load_manifest(dataset) for _, dataset in request.share.images}
    return [(rows[row], known[dataset]) for row, dataset in request.share.images], list(known.values()), False


def _images(request: Request, row: Row, manifest: Manifest) -> tuple[ImageEntry, ...]:
    if request.share is None or request.share.images is None:
        return local.presence(manifest).present[: request.limit]
    wanted = set(request.share.images[row.name, manifest.name])
    return tuple(entry for entry in manifest.images if entry.id in wanted)


class _RowRun:
    """A row on a data set."""

    def __init__(self, request: Request, row: Row, manifest: Manifest, journal: Journal, progress: Progress) -> None:
        self._request, self._row, self._manifest = request, row, manifest
        self._journal, self._progress = journal, progress
        self._problems: list[str] = []
        self._claims: Claims | None = None
        self._computed = self._cached = 0
        self._started = time.monotonic()
        self._entry = Entry(row.name, manifest.name, "running", total=len(manifest.images), started=now())

    def run(self) -> list[str]:
        """All images; returns what went wrong."""
        request, images = self._request, _images(self._request, self._row, self._manifest)
        measures = [one for column in request.suite.columns for one in measures_of(self._row, column)]
        missing = measure_faults(dict.fromkeys(measures))
        jobs = Job.of(
            request.suite, self._row, self._manifest.name, set(missing), request.device, request.out, self._journal.run
        )
        self._note(restored=tuple(job.restored for job in jobs), missing=missing)
        self._progress.row(self._row.name, self._manifest.name, len(images))
        work: ImageRun | None = None
        if jobs:
            self._claims = Claims(*(store.folder_of(request.out, job.writer.restoration) for job in jobs))
        try:
            with Scoring(request.device, self._measured) as scoring:
                work = ImageRun(
                    request.suite, self._row, self._manifest, jobs, scoring, request.device, request.keep_images
                )
                self._each(images, work, scoring)
        finally:
            if self._claims is not None:
                self._claims.close()
            for job in jobs:
                job.writer.close()
            self._note(pixels=dict(work.pixels) if work else {})
        self._end()
        return self._problems

    def _each(self, images: Sequence[ImageEntry], work: ImageRun, scoring: Scoring) -> None:
        """Every image; those that another process is working on come last, and are then found recorded."""
        elsewhere = []
        for entry in images:
            if self._claims is not None and not self._claims.take(entry.id):
                elsewhere.append(entry)
            elif not self._one(entry, work):
                return
        for entry in elsewhere:
            scoring.finish()  # hold nothing that the other process may be waiting for
            assert self._claims is not None
            self._claims.take(entry.id, wait=True)
            if not self._one(entry, work):
                return

    def _one(self, entry: ImageEntry, work: ImageRun) -> bool:
        """One image that is ours; returns whether there is any use in going on."""
        try:
            known = work.run(entry)
        except StorageError:
            raise
        except FAULTS as error:
            self._problem(entry.id, in_one_line(error))
            self._release(entry.id)
            return not work.unusable  # the method itself could not be built: every image would say the same
        if known:
            self._cached += 1
            self._progress.image(entry.id, True)
            self._release(entry.id)
        return True

    def _release(self, image: str) -> None:
        if self._claims is not None:
            self._claims.release(image)

    def _measured(self, image: str, problems: Sequence[str]) -> None:
        self._release(image)
        for problem in problems:
            self._problem(image, problem)
        self._computed += not problems
        self._progress.image(image, False)

    def _end(self) -> None:
        self._note(
            state="failed" if self._problems else "done",
            reason=self._problems[0] if self._problems else "",
            computed=self._computed,
            cached=self._cached,
            problems=len(self._problems),
            finished=now(),
            seconds=time.monotonic() - self._started,
        )

    def _note(self, **changes: object) -> None:
        self._entry = replace(self._entry, **changes)  # type: ignore[arg-type]
        self._journal.note(self._entry)

    def _problem(self, image: str, message: str) -> None:
        text = f"{self._manifest.name}/{image}: {message}"
        self._problems.append(text)
        self._progress.problem(f"{self._row.name} on {text}")
