"""Measuring finished images while the next one is restored, and recording them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch

from bench.errors import BenchError, in_one_line
from bench.metrics.metric import Evidence, Measure, NotApplicable, Score, Scorer
from bench.records import store
from bench.runs.kept import KeptImages
from bench.runs.planning import measure_files
from bench.runs.restoration import Restored
from bench.runs.thumbnails import save_thumbnails
from hcflow.images.io import Pixels
from hcflow.images.matlab_resize import mod_crop

FAULTS = (BenchError, RuntimeError, MemoryError, ValueError, ArithmeticError)
"""What costs one measure of one image; RuntimeError is also what PyTorch says of full memory."""


@dataclass(frozen=True)
class Finished:
    """A restored image, and what is to be done with it.

    Attributes:
        writer: of its records.
        measures: measure -> its digest: what is wanting.
        image: its id.
        pixels: digest of its HR pixels.
        hr: as it was read.
        restored: see there.
        scale: HR size over LR size.
        dataset: its name.
        thumbnails: whether to make some.
        keep: where to keep the restored images; None: nowhere.
        last: whether it is the last of its image, so that the image is then done.
    """

    writer: store.Writer
    measures: Mapping[Measure, str]
    image: str
    pixels: str
    hr: Pixels
    restored: Restored
    scale: int
    dataset: str
    thumbnails: bool
    keep: KeptImages | None
    last: bool


class Scoring:
    """One thread that measures and records; at most one image waits, so that little is lost when a run is killed.

    Metrics are opened once, when the first image needs them. One that cannot be opened is reported once.
    """

    def __init__(self, device: torch.device, done: Callable[[str, Sequence[str]], None]) -> None:
        self._device, self._done = device, done
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._pending: tuple[Finished, Future[list[str]]] | None = None
        self._problems: list[str] = []
        self._scorers: dict[Measure, Scorer | None] = {}

    def __enter__(self) -> Scoring:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None or issubclass(kind, Exception):
                self._collect()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, finished: Finished) -> None:
        """Measure this one next; waits until the one before it is recorded.

        Raises:
            StorageError: that could not be recorded.
        """
        self._collect()
        self._pending = finished, self._pool.submit(self._measure, finished)

    def finish(self) -> None:
        """Wait until everything that was submitted is recorded.

        Raises:
            StorageError: it could not be.
        """
        self._collect()

    def _collect(self) -> None:
        if self._pending is not None:
            (finished, future), self._pending = self._pending, None
            self._problems += future.result()
            if finished.last:
                problems, self._problems = self._problems, []
                self._done(finished.image, problems)

    def _measure(self, finished: Finished) -> list[str]:
        """Record what can be measured; returns what cannot."""
        hr, restored = mod_crop(finished.hr, finished.scale), finished.restored
        evidence = restored.evidence(hr, finished.scale)
        values: dict[str, store.Values] = {}
        problems = []
        for measure, digest in finished.measures.items():
            try:
                values[digest] = self._value(measure, evidence)
            except FAULTS as error:
                problems.append(f"{measure.id}: {in_one_line(error)}")
        if finished.keep is not None:
            finished.keep.save(finished.image, finished.pixels, restored, list(finished.measures))
        if values:
            finished.writer.append(finished.image, finished.pixels, values, restored.facts, restored.how)
        if finished.thumbnails:
            save_thumbnails(
                finished.writer.out, finished.writer.restoration, finished.dataset, finished.image, hr,
                restored.lr, restored.draws[0], own_lr=restored.makes_lr,
            )  # fmt: skip
        return problems

    def _value(self, measure: Measure, evidence: Evidence) -> store.Values:
        if measure not in self._scorers:
            self._scorers[measure] = None
            self._scorers[measure] = measure.open(measure_files(measure), self._device)
        scorer = self._scorers[measure]
        if scorer is None:
            raise BenchError("it could not be opened")
        return checked(scorer(evidence), evidence)


def checked(score: Score, evidence: Evidence) -> store.Values:
    """A score as it is kept.

    Raises:
        BenchError: it is neither one number, nor one for each draw, nor a reason; or a number is NaN.
    """
    if isinstance(score, NotApplicable):
        return score
    values = (float(score),) if isinstance(score, int | float) else tuple(float(value) for value in score)
    if len(values) not in (1, len(evidence.draws)) or any(math.isnan(value) for value in values):
        raise BenchError(f"expected one number, or one for each of {len(evidence.draws)} draws, got {values}")
    return values
