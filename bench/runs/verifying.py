"""Measure a part of a results folder again, and compare digests and numbers. Nothing is written into the folder."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest
from bench.errors import BenchError, in_one_line
from bench.metrics.metric import NotApplicable
from bench.records import store
from bench.records.journal import Entry, Journal, Restored, no_records
from bench.records.seen import seen
from bench.records.tables import cells_of, shown_entries, suite_with_runs
from bench.records.texts import recorded, suite_in, tables_in
from bench.records.trust import OPTION
from bench.runs.images import ImageRun, Job
from bench.runs.planning import measure_faults, why_not
from bench.runs.precision import arithmetic
from bench.runs.recording import manifest_in
from bench.runs.sampling import Sample, Stratum
from bench.runs.scoring import FAULTS, Scoring
from bench.suites.suite import Row, Suite, measures_of

_Records = Mapping[str, store.Merged]
Status = Literal["identical", "same digits", "different", "not checked"]


@dataclass(frozen=True)
class Check:
    """One number measured again: one measure of one image, at one temperature.

    Attributes:
        table: suite name.
        row: name.
        dataset: name.
        image: its id; empty where no image of the place could be measured.
        measure: id; empty where nothing of the image could be measured.
        temperature: of the draws.
        status: "same digits": off by no more than half a unit of the last digit that the table prints.
        recorded: one value per draw, or why there is none.
        computed: the same, now.
        changed: what the digests say is another thing now: keys of the restoration's specification such as "code" or
            "packages", and "measure".
        reason: why it was not checked, or in which draw the largest difference is.
    """

    table: str
    row: str
    dataset: str
    image: str
    measure: str
    temperature: float
    status: Status
    recorded: store.Values = ()
    computed: store.Values = ()
    changed: tuple[str, ...] = ()
    reason: str = ""


def verify(
    out: Path,
    sample: Sample,
    seed: int,
    device: torch.device,
    on_place: Callable[[Stratum, int], None],
    trust: bool = False,
) -> list[Check]:
    """Measure a sample of a results folder again.

    Args:
        out: results folder; only read.
        sample: how much of it.
        seed: of the choice of images.
        device: to measure on.
        on_place: told of each table, row and data set, with the number of its images.
        trust: also look up names of the form `module:object` in the journals, which runs code.

    Raises:
        BenchError: there is nothing to verify.
    """
    places = {(table, *place): found for table in tables_in(out) for place, found in shown_entries(out, table).items()}
    strata = {place: _measured(out, entry) for place, (_, entry) in places.items()}
    if not any(strata.values()):
        raise no_records(out)
    checks: list[Check] = []
    for place, images in sorted(sample.of(strata, seed).items()):
        on_place(place, len(images))
        checks += _Place(out, place, *places[place], device, trust).check(images)
    return checks


def _measured(out: Path, entry: Entry) -> list[str]:
    """The images of an entry that have records: those that the table shows."""
    return sorted({image for one in entry.restored for image in seen(out, one.digest, entry)})


@dataclass(frozen=True)
class _Place:
    """A row on a data set, on its way to checks."""

    out: Path
    place: Stratum
    journal: Journal
    entry: Entry
    device: torch.device
    trust: bool

    def check(self, images: Sequence[str]) -> list[Check]:
        """All measures of these images."""
        try:
            suite = self._suite()
            row = next((row for row in suite.rows if row.name == self.entry.row), None)
            if row is None:
                raise BenchError(f"the table has no such row any more, or it needs {OPTION}")
            manifest = manifest_in(self.journal, self.entry.dataset)
            if reason := why_not(row, manifest):
                raise BenchError(reason)
            with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
                return self._check(images, suite, row, manifest, Path(folder))
        except BenchError as error:
            return [self._not_checked("", str(error))]

    def _suite(self) -> Suite:
        """The table as the run that measured it had it."""
        texts = self.journal.texts
        if "suite" in texts:
            suite = recorded(self.journal.table, texts, self.trust)
        else:
            suite = suite_in(self.out, self.place[0], self.trust).suite
        return suite_with_runs(suite, [self.journal], self.trust)

    def _check(self, images: Sequence[str], suite: Suite, row: Row, manifest: Manifest, folder: Path) -> list[Check]:
        recorded_ids = {measure for one in self.entry.restored for measure in one.measures}
        asked = [measure for column in suite.columns for measure in measures_of(row, column)]
        missing = measure_faults([one for one in dict.fromkeys(asked) if one.id in recorded_ids])
        without = {measure.id for measure in asked if measure.id not in recorded_ids} | set(missing)
        jobs = Job.of(suite, row, manifest.name, without, self.device, folder, "verify")
        here = {entry.id: entry for entry in local.presence(manifest).present}
        entries = [here[image] for image in images if image in here]
        with _threads(self.journal.provenance.get("threads")):
            problems, pixels = self._measure(entries, suite, row, manifest, jobs)
        for image in images:
            if image not in here:
                problems[image] = f"needs the image: {local.how_to_get(manifest)}"
        digits = {
            measure: cell.decimals
            for cell in cells_of(suite, row, self.out, self.entry)
            for measure in (cell.protocol, cell.protocol_as_published)
        }
        before = {one.digest: seen(self.out, one.digest, self.entry) for one in self.entry.restored}
        now = {job.writer.restoration: store.read(job.writer.out, job.writer.restoration) for job in jobs}
        return [
            check
            for image in images
            for check in self._image(
                image, jobs, before, now, pixels.get(image, ""), problems.get(image, ""), missing, digits
            )
        ]

    def _measure(
        self, images: Iterable[ImageEntry], suite: Suite, row: Row, manifest: Manifest, jobs: Sequence[Job]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """(image -> its first problem, image -> digest of its pixels); values go into the jobs' records."""
        problems: dict[str, str] = {}

        def done(image: str, found: Sequence[str]) -> None:
            if found:
                problems.setdefault(image, found[0])

        with arithmetic(row.precision), Scoring(self.device, done) as scoring:
            work = ImageRun(suite, row, manifest, jobs, scoring, self.device)
            for entry in images:
                try:
                    work.run(entry)
                except FAULTS as error:
                    problems[entry.id] = in_one_line(error)
        for job in jobs:
            job.writer.close()
        return problems, work.pixels

    def _image(
        self, image: str, jobs: Sequence[Job], recorded: Mapping[str, _Records], computed: Mapping[str, _Records],
        pixels: str, problem: str, missing: Mapping[str, str], digits: Mapping[str, int],
    ) -> list[Check]:  # fmt: skip
        checks = []
        for known in self.entry.restored:
            before = recorded[known.digest].get(image)
            if before is not None and pixels and pixels != before.pixels:
                return [self._not_checked(image, "its HR pixels are not those that were measured")]
            for measure, digest in known.measures.items():
                if before is None or digest not in before.values:
                    continue
                now = _job(jobs, measure, known)
                again = None if now is None else computed[now.writer.restoration].get(image)
                values = None if now is None or again is None else again.values.get(_digest(now, measure))
                if now is None or values is None:
                    reason = missing.get(measure) or problem or "the table has no such measure any more"
                    checks.append(self._not_checked(image, reason, measure, known.temperature))
                else:
                    changed = self._changed(known, digest, now, measure)
                    checks.append(self._compared(image, measure, known, before.values[digest], values, changed, digits))
        return checks or [self._not_checked(image, "its records have no value of a measure that the run names")]

    def _compared(
        self, image: str, measure: str, known: Restored, before: store.Values, now: store.Values,
        changed: tuple[str, ...], digits: Mapping[str, int],
    ) -> Check:  # fmt: skip
        status, reason = agreement(before, now, digits[measure])
        about = (*self.place, image, measure, known.temperature)
        return Check(*about, status, before, now, changed, reason)

    def _changed(self, known: Restored, digest: str, job: Job, measure: str) -> tuple[str, ...]:
        """What differs: a measure's specification is not kept, so that its digest differs is all that can be said."""
        before = store.specification_of(self.out, known.digest) or {}
        now = store.specification_of(job.writer.out, job.writer.restoration) or {}
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return (*keys, *(["measure"] if _digest(job, measure) != digest else []))

    def _not_checked(self, image: str, reason: str, measure: str = "", temperature: float = 0.0) -> Check:
        return Check(*self.place, image, measure, temperature, "not checked", reason=reason)


@contextmanager
def _threads(count: object) -> Iterator[None]:
    """As many threads as the run had, for sums depend on how they are split: NIQE of a draw in the third digit."""
    before = torch.get_num_threads()
    if type(count) is int and 0 < count <= 1024:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def agreement(before: store.Values, now: store.Values, decimals: int) -> tuple[Status, str]:
    """Whether two values of a measure are the same, and if not, where they differ most.

    Args:
        before: one value per draw, or why there is none.
        now: the same.
        decimals: that the table prints.
    """
    if before == now or (isinstance(before, NotApplicable) and isinstance(now, NotApplicable)):
        return "identical", ""
    if isinstance(before, NotApplicable) or isinstance(now, NotApplicable) or len(before) != len(now):
        return "different", "a value on one side only"
    distances = [0.0 if a == b else abs(a - b) for a, b in zip(before, now, strict=True)]
    largest = max(range(len(distances)), key=lambda draw: distances[draw])
    where = f"draw {largest}: " if len(before) > 1 else ""
    reason = f"{where}{before[largest]!r} was recorded, got {now[largest]!r}"
    return ("same digits" if distances[largest] <= 0.5 * 10.0**-decimals else "different"), reason


def _job(jobs: Sequence[Job], measure: str, known: Restored) -> Job | None:
    """The job that takes a measure at the temperature of a recorded restoration."""
    taking = [job for job in jobs if any(one.id == measure for one in job.measures)]
    same = [job for job in taking if job.deterministic or job.task.temperature == known.temperature]
    return same[0] if same else None


def _digest(job: Job, measure: str) -> str:
    return next(digest for one, digest in job.measures.items() if one.id == measure)
