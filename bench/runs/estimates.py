"""How long a run will take, from what earlier runs in the same folder took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.datasets import local
from bench.datasets.manifest import Manifest
from bench.records import store
from bench.records.journal import load_journals
from bench.runs.planning import why_not
from bench.suites.suite import Row, Suite


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
    journals = load_journals(out, suite.name)
    entries = [entry for journal in journals for entry in journal.entries if entry.restored]
    found = []
    for row in rows:
        mine = [entry for entry in entries if entry.row == row.name]
        per_image = [
            record.facts["seconds"] * one.draws
            for entry in mine
            for one in entry.restored
            for record in store.records(out, one.digest)
            if "seconds" in record.facts
        ]
        for manifest in manifests:
            images = local.presence(manifest).present[:limit]
            here = [entry for entry in mine if entry.dataset == manifest.name]
            known = store.read(out, here[-1].restored[0].digest) if here else {}
            measured = sum(entry.id in known for entry in images)
            seconds = fmean(per_image) * (len(images) - measured) if per_image else None
            reason = why_not(row, manifest)
            found.append(Forecast(row.name, manifest.name, len(images), measured, seconds, reason))
    return found
