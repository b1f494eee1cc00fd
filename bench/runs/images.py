"""One image of a row on its way through the row's tasks: read, restored where a measure is missing, then scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest
from bench.methods.method import METHODS, Method, MethodEntry, build_method
from bench.metrics.metric import Measure, Need
from bench.records import store
from bench.records.following import Follower
from bench.records.journal import Restored as RestoredEntry
from bench.runs.kept import KeptImages
from bench.runs.planning import Task, tasks, weight_digests, weight_files
from bench.runs.restoration import Restorer, Seeds
from bench.runs.scoring import Finished, Scoring
from bench.runs.specifications import measure_digest, restoration_of
from bench.suites.suite import Row, Suite


@dataclass(frozen=True)
class Job:
    """A task of a row on a data set, with the file that it writes.

    Attributes:
        task: see there.
        entry: the row's method.
        measures: measure -> its digest; those that can be taken.
        writer: of its records.
        kept: its restored images.
    """

    task: Task
    entry: MethodEntry
    measures: Mapping[Measure, str]
    writer: store.Writer
    kept: KeptImages

    @classmethod
    def of(
        cls, suite: Suite, row: Row, dataset: str, without: set[str], device: torch.device, out: Path, run: str
    ) -> list[Job]:
        """The jobs of a row on a data set, leaving out the measures of the ids in `without`."""
        entry = METHODS.find(row.method)
        weights = weight_digests(row)
        jobs = []
        for task in tasks(suite, row, entry):
            measures = {one: measure_digest(one, device) for one in task.measures if one.id not in without}
            if measures:
                writer = store.Writer(out, run, restoration_of(suite, row, entry, task, dataset, weights, device))
                jobs.append(cls(task, entry, measures, writer, KeptImages(out, writer.restoration)))
        return jobs

    @property
    def deterministic(self) -> bool:
        """Whether the method draws at all."""
        return not self.entry.stochastic

    @property
    def restored(self) -> RestoredEntry:
        """What the journal says of it."""
        measures = {measure.id: digest for measure, digest in self.measures.items()}
        task = self.task
        return RestoredEntry(self.writer.restoration, task.temperature, task.draws, measures, self.deterministic)


class ImageRun:
    """The images of a row on a data set, one after the other; methods are built when the first image needs them.

    Attributes:
        pixels: image id -> SHA-256 of its HR pixels, of those that were read.
        unusable: whether the method could not be built, so that no image can be restored.
    """

    def __init__(
        self,
        suite: Suite,
        row: Row,
        manifest: Manifest,
        jobs: Sequence[Job],
        scoring: Scoring,
        device: torch.device,
        keep: bool = False,
    ) -> None:
        self.pixels: dict[str, str] = {}
        self.unusable = False
        self._suite, self._row, self._manifest = suite, row, manifest
        self._jobs, self._scoring, self._device, self._keep = jobs, scoring, device, keep
        self._methods: dict[str, Method] = {}
        self._known: dict[str, Follower] = {}

    def run(self, entry: ImageEntry) -> bool:
        """Restore an image where a measure of it is wanting; returns whether none was.

        Raises:
            BenchError, ImageError, RuntimeError, MemoryError: the image cannot be read or restored.
        """
        hr = local.read_hr(self._manifest, entry)
        digest = self.pixels[entry.id] = local.pixel_digest(hr)
        wanted = {index: self._wanting(job, entry.id, digest) for index, job in enumerate(self._jobs)}
        first = True
        for index, job in enumerate(self._jobs):
            if not wanted[index]:
                continue
            needs: frozenset[Need] = frozenset().union(*(measure.of.needs for measure in wanted[index]))
            seeds = Seeds(self._suite.name, job.entry.name, entry.id, job.task.temperature)
            restored = job.kept.load(entry.id, digest, wanted[index])
            made = restored is None
            if restored is None:
                restored = self._restorer(job).restore(hr, seeds, needs)
            self._scoring.submit(
                Finished(
                    job.writer, {measure: job.measures[measure] for measure in wanted[index]}, entry.id, digest, hr,
                    restored, self._suite.scale, self._manifest.name,
                    thumbnails=first and made, keep=job.kept if self._keep and made else None,
                    last=index == max(i for i, some in wanted.items() if some),
                )
            )  # fmt: skip
            first = False
        return not any(wanted.values())

    def _wanting(self, job: Job, image: str, pixels: str) -> list[Measure]:
        """The measures that no record has for these pixels, not even one that another process wrote just now."""
        digest = job.writer.restoration
        if digest not in self._known:
            self._known[digest] = Follower(job.writer.out, digest)
        have = self._known[digest].measures(image, pixels)
        return [measure for measure, name in job.measures.items() if name not in have]

    def _restorer(self, job: Job) -> Restorer:
        task = job.task
        return Restorer(
            self._method(job), self._suite.scale, task.input, task.temperature, task.draws, self._device,
            job.deterministic,
        )  # fmt: skip

    def _method(self, job: Job) -> Method:
        key = json.dumps(job.task.settings, sort_keys=True)
        if key not in self._methods:
            files, settings = weight_files(self._row), job.task.settings
            self.unusable = True
            self._methods[key] = build_method(
                job.entry, self._suite.scale, settings, files, self._device, self._row.precision
            )
            self.unusable = False
        return self._methods[key]
