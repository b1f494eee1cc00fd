"""How far means of the same thing lie apart on other devices and with other library versions, as far as runs tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bench.jsons import Json
from bench.metrics.metric import NotApplicable
from bench.records import store
from bench.records.journal import Entry, Journal, Restored
from bench.records.seen import seen

_MACHINE = ("device", "packages")  # keys of a specification that say where something ran, not what


def spread(
    out: Path, chosen: tuple[Journal, Entry], others: Iterable[tuple[Journal, Entry]], restored: Restored, measure: str
) -> float:
    """The largest distance of another machine's mean from the chosen one.

    Runs count whose restoration has the same specification but for device and packages, and whose journal has the
    same commit, without changes, so that the measure's code is the same, too; over all images with the same pixels.

    Args:
        out: results folder.
        chosen: the run and entry of the table's value.
        others: entries of the same row and data set.
        restored: of the chosen entry.
        measure: id.
    """
    journal, entry = chosen
    what = _what(out, restored.digest)
    if what is None or not _clean(journal):
        return 0.0
    mean = _mean(out, restored, measure, entry)
    distances = [0.0]
    for run, other in others:
        if not _clean(run) or run.provenance.get("commit") != journal.provenance.get("commit"):
            continue
        for one in other.restored:
            again = measure in one.measures and (one.digest, one.measures[measure]) != (
                restored.digest, restored.measures[measure],
            )  # fmt: skip
            if again and _what(out, one.digest) == what:
                theirs = _mean(out, one, measure, other)
                distances += [abs(theirs - mean)] if mean is not None and theirs is not None else []
    return max(distances)


def _what(out: Path, digest: str) -> Json | None:
    specification = store.specification_of(out, digest)
    return None if specification is None else {k: v for k, v in specification.items() if k not in _MACHINE}


def _clean(journal: Journal) -> bool:
    return journal.provenance.get("dirty") is False


def _mean(out: Path, restored: Restored, measure: str, entry: Entry) -> float | None:
    """The mean over the whole data set; None where images are missing, left out or infinite."""
    known: Mapping[str, store.Merged] = seen(out, restored.digest, entry)
    values = [one.values.get(restored.measures[measure]) for one in known.values()]
    numbers = [np.mean(value) for value in values if value is not None and not isinstance(value, NotApplicable)]
    if not numbers or len(numbers) < entry.total or not np.isfinite(numbers).all():
        return None
    return float(np.mean(numbers))
