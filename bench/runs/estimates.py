"""How long a run will take: seconds of earlier records and sizes of images, image by image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import fmean

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest, load_manifest
from bench.errors import BenchError
from bench.records import store
from bench.records.journal import Journal, load_journals
from bench.runs.planning import why_not
from bench.suites.suite import Row, Suite

_FOUND = 0.02
"""What an image costs that has been measured before, where measuring it costs 1: it is read and looked up."""
_PIXELS = 1 << 19
"""What an image of unknown size counts."""


@dataclass(frozen=True)
class Cost:
    """What one image of a row on a data set will take.

    Attributes:
        row: name.
        dataset: name.
        image: id.
        seconds: of wall time; without a unit where it is not known.
        measured: whether earlier runs have it, as far as can be told without loading anything.
        known: whether the seconds come from earlier records of this row.
    """

    row: str
    dataset: str
    image: str
    seconds: float
    measured: bool
    known: bool

    @property
    def anew(self) -> Cost:
        """What it would take in an empty folder."""
        return replace(self, seconds=self.seconds / _FOUND, measured=False) if self.measured else self


@dataclass(frozen=True)
class Forecast:
    """What a row on a data set would cost.

    Attributes:
        row: name.
        dataset: name.
        images: that are present and asked for.
        measured: of them, that earlier runs have.
        seconds: for the rest; None where no earlier run of this row is recorded.
        reason: why it cannot run; else empty.
    """

    row: str
    dataset: str
    images: int
    measured: int
    seconds: float | None
    reason: str


def forecast(
    suite: Suite, rows: Sequence[Row], manifests: Sequence[Manifest], limit: int | None, out: Path
) -> list[Forecast]:
    """One for each row and data set; nothing is loaded or computed."""
    found = {
        place: list(group)
        for place, group in groupby(costs(suite, rows, manifests, limit, out), key=lambda one: (one.row, one.dataset))
    }
    told = []
    for row in rows:
        for manifest in manifests:
            reason, here = why_not(row, manifest), found.get((row.name, manifest.name), [])
            left = [cost for cost in here if not cost.measured]
            seconds = sum(cost.seconds for cost in left) if all(cost.known for cost in here) else None
            images = len(local.presence(manifest).present[:limit])
            told.append(Forecast(row.name, manifest.name, images, len(here) - len(left), seconds, reason))
    return told


def costs(suite: Suite, rows: Sequence[Row], manifests: Sequence[Manifest], limit: int | None, out: Path) -> list[Cost]:
    """One for each image of each row and data set that can run, in this order; nothing is loaded or computed."""
    journals = load_journals(out, suite.name)
    rates = {row.name: rate(out, journals, row.name) for row in rows}
    usual = fmean(known) if (known := [one for one in rates.values() if one is not None]) else 1.0
    found = []
    for row in rows:
        mine = rates[row.name]
        per_pixel = usual if mine is None else mine
        for manifest in manifests:
            if why_not(row, manifest):
                continue
            images = local.presence(manifest).present[:limit]
            have = _measured(out, journals, row.name, manifest.name)
            for entry, pixels in zip(images, _sizes(images), strict=True):
                measured = entry.id in have
                seconds = pixels * per_pixel * (_FOUND if measured else 1.0)
                found.append(Cost(row.name, manifest.name, entry.id, seconds, measured, mine is not None))
    return found


def rate(out: Path, journals: Iterable[Journal], row: str) -> float | None:
    """Seconds per HR pixel of a row, as the journals' runs measured it; None where none did.

    The wall time of whole entries counts, which has the metrics in it; the method's own seconds stand in for it where
    runs were killed before they could write that down.
    """
    whole, own = [0.0, 0], [0.0, 0]
    seen: dict[str, dict[str, set[str]]] = {}  # restoration -> run -> images
    for journal in journals:
        for entry in journal.entries:
            if entry.row != row or not entry.restored:
                continue
            sizes = _sizes_of(entry.dataset)
            for one in entry.restored:
                if one.digest not in seen:
                    seen[one.digest] = _images_by_run(out, one.digest)
                    for image, seconds in _seconds(out, one.digest):
                        own = [own[0] + seconds * one.draws, own[1] + sizes.get(image, 0)]
            images = set().union(*(seen[one.digest].get(journal.run, set()) for one in entry.restored))
            new = sum(sizes.get(image, 0) for image in images)
            if entry.seconds and entry.computed and new:
                whole = [whole[0] + entry.seconds, whole[1] + new]
    total, pixels = whole if whole[1] else own
    return total / pixels if pixels else None


def _seconds(out: Path, digest: str) -> Iterator[tuple[str, float]]:
    """Image id -> what a draw of it took."""
    for image, known in store.read(out, digest).items():
        if "seconds" in known.facts:
            yield image, known.facts["seconds"]


def _images_by_run(out: Path, digest: str) -> dict[str, set[str]]:
    """Run -> the images that it measured."""
    found: dict[str, set[str]] = {}
    for record in store.records(out, digest):
        found.setdefault(record.run, set()).add(record.image)
    return found


def _measured(out: Path, journals: Sequence[Journal], row: str, dataset: str) -> set[str]:
    """The images that the last run of a row on a data set could find measured."""
    entries = [e for j in journals for e in j.entries if (e.row, e.dataset) == (row, dataset) and e.restored]
    if not entries:
        return set()
    known = [set(store.read(out, one.digest)) for one in entries[-1].restored]
    return set.intersection(*known)


def _sizes_of(dataset: str) -> Mapping[str, int]:
    """Image id -> pixels; empty for a data set that is not at hand any more."""
    try:
        images = load_manifest(dataset).images
    except BenchError:
        return {}
    return dict(zip((entry.id for entry in images), _sizes(images), strict=True))


def _sizes(images: Sequence[ImageEntry]) -> list[int]:
    """Pixels of each image; where a size is unknown, what the others have on average."""
    known = [entry.width * entry.height for entry in images if entry.width and entry.height]
    usual = round(fmean(known)) if known else _PIXELS
    return [entry.width * entry.height if entry.width and entry.height else usual for entry in images]
