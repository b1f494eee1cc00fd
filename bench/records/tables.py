"""Records to cells: estimate, published value, difference, verdict. Reads records, never models."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, one_line
from bench.metrics.metric import Measure, NotApplicable
from bench.records import store
from bench.records.cells import Cell, Image, Table
from bench.records.estimates import Estimate, Tolerance, Verdict, decimals_of, verdict
from bench.records.journal import Entry, Journal, Restored, load_journals, texts, warn_once
from bench.records.machines import spread
from bench.records.merging import merged_all
from bench.records.own_rows import with_own_rows
from bench.records.seen import seen
from bench.records.trust import left_out, unsafe_measure
from bench.suites.reading import option_of
from bench.suites.suite import Column, Row, Suite, measures_of, temperature_of

__all__ = [
    "Cell",
    "Image",
    "Table",
    "build_table",
    "cells_of",
    "command_of",
    "finite",
    "shown_entries",
    "suite_with_runs",
]


def suite_with_runs(suite: Suite, journals: Iterable[Journal], trust: bool = False) -> Suite:
    """The suite with the rows and columns that runs added to it; a warning names a measure that is no longer there.

    Args:
        suite: the table.
        journals: of the runs.
        trust: also look up what names a module (`module:object`), which runs its code; a warning says what is left out
            without.
    """
    journals = list(journals)
    suite = with_own_rows(suite, journals, trust)
    for text in dict.fromkeys(text for journal in journals for text in texts(journal.command.get("also"))):
        if not trust and (name := unsafe_measure(text)):
            warn_once(left_out("column", text, name))
            continue
        try:
            suite = suite.with_columns([text])
        except BenchError as error:
            warn_once(f"the column {one_line(text)} is left out: {one_line(error)}")
    return suite


def build_table(suite: Suite, out: Path) -> Table:
    """The table as the records in `out` have it; cells without a value say why."""
    journals = load_journals(out, suite.name)
    candidates = _candidates(merged_all(journals, replaced=True))
    asked = {dataset for _, dataset in candidates}
    datasets = (*suite.datasets, *sorted(asked - set(suite.datasets)))
    cells: list[Cell] = []
    for row in suite.rows:
        for dataset in datasets:
            known = candidates.get((row.name, dataset), [])
            journal, entry, remark = _best(out, known)
            entry = entry or Entry(row.name, dataset, "not run", f"not run yet: {command_of(suite, row)}")
            runs = [one for one in known if one[0] is not journal] if journal is not None else []
            cells += cells_of(suite, row, out, entry, remark, journal, runs)
    used = {run for cell in cells for run in cell.runs}
    measured = tuple(journal for journal in journals if journal.run in used)
    return Table(suite, datasets, tuple(cells), measured)


def shown_entries(out: Path, table: str) -> dict[tuple[str, str], tuple[Journal, Entry]]:
    """(row, data set) -> the run that a table shows there and its entry; only where something was measured."""
    candidates = _candidates(merged_all(load_journals(out, table), replaced=True))
    best = {place: _best(out, known) for place, known in candidates.items()}
    return {place: (run, entry) for place, (run, entry, _) in best.items() if run is not None and entry is not None}


def cells_of(
    suite: Suite,
    row: Row,
    out: Path,
    entry: Entry,
    remark: str = "",
    journal: Journal | None = None,
    others: Sequence[tuple[Journal, Entry]] = (),
) -> list[Cell]:
    """The cells of a row and a data set, one per column, from a journal's entry and the records it points to.

    Args:
        suite: the table.
        row: of it.
        out: results folder.
        entry: of the journal.
        remark: what to say of it.
        journal: of the entry.
        others: further runs of the same place, which may tell what other machines change.
    """
    known = {one.digest: seen(out, one.digest, entry) for one in entry.restored}

    def machines(restored: Restored, measure: str) -> float:
        return 0.0 if journal is None else spread(out, (journal, entry), others, restored, measure)

    return [_Place(suite, row, entry, known, column, remark, machines).cell() for column in suite.columns]


def _candidates(journals: Iterable[Journal]) -> dict[tuple[str, str], list[tuple[Journal, Entry]]]:
    """Every entry of each place, newest first."""
    found: dict[tuple[str, str], list[tuple[Journal, Entry]]] = {}
    for journal in journals:
        for entry in journal.entries:
            found.setdefault((entry.row, entry.dataset), []).insert(0, (journal, entry))
    return found


def _best(out: Path, candidates: list[tuple[Journal, Entry]]) -> tuple[Journal | None, Entry | None, str]:
    """The newest entry with all its images; else the one with most; and what to say of it where it is not the newest.

    With it the run that it is of, where that measured anything.

    So a quick look with `--limit 1` after a change of code does not hide what was complete before it.
    """
    restored = [(journal, entry) for journal, entry in candidates if entry.restored]
    if not restored:
        return None, (candidates[0][1] if candidates else None), ""
    best, most = 0, -1
    for index, (_, entry) in enumerate(restored):
        count = min(len(seen(out, one.digest, entry)) for one in entry.restored)
        if count > most:
            best, most = index, count
        if count and count >= entry.total:
            break
    journal, entry = restored[best]
    if best == 0:
        return journal, entry, ""
    commit = str(journal.provenance.get("commit", "unknown"))[:12]
    return journal, entry, f"measured by the run {journal.run} (commit {commit}); later runs cover fewer images"


@dataclass(frozen=True)
class _Place:
    """A place of the table, on its way to a cell."""

    suite: Suite
    row: Row
    entry: Entry
    known: Mapping[str, Mapping[str, store.Merged]]
    column: Column
    remark: str
    machines: Callable[[Restored, str], float]

    def cell(self) -> Cell:
        common, as_published = measures_of(self.row, self.column)
        temperature = temperature_of(self.row, self.column)
        pair = self._restored(common), self._restored(as_published)
        images, excluded = self._images(pair, (common, as_published))
        published = self.suite.published_value(self.row, self.entry.dataset, self.column)
        value = Estimate.of([image.common for image in images]) if images else None
        own = Estimate.of([image.as_published for image in images]) if images else None
        tolerance = self._tolerance(own, published, pair[1], as_published)
        verdict_, reason = self._judge(own, published, excluded, (common, as_published), tolerance)
        comparable = own is not None and published is not None and verdict_ != "partial"
        metric = common.of
        return Cell(
            self.suite.name, self.row.name, self.entry.dataset, self.column.id, self.column.title, metric.unit,
            metric.direction, decimals_of(published, metric.decimals), common.id, as_published.id, temperature,
            published, value, own, own.mean - float(published) if comparable and own and published else None, verdict_,
            reason, self._remarks(pair[0], images), self.entry.total, pair[0].digest if pair[0] else "", images,
            self._runs(pair, (common, as_published), images), tolerance,
        )  # fmt: skip

    def _tolerance(
        self, value: Estimate | None, published: str | None, restored: Restored | None, measure: Measure
    ) -> Tolerance | None:
        """Of a value of the whole data set with a published one beside it."""
        if value is None or published is None or restored is None or value.n < self.entry.total:
            return None
        return Tolerance.of(published, value.draw_stderr, self.machines(restored, measure.id))

    def _restored(self, measure: Measure) -> Restored | None:
        """The restoration of this entry that a measure was taken of."""
        temperature = temperature_of(self.row, self.column)
        places = [one for one in self.entry.restored if measure.id in one.measures]
        return next((one for one in places if one.deterministic or one.temperature == temperature), None)

    def _images(
        self, pair: tuple[Restored | None, Restored | None], measures: tuple[Measure, Measure]
    ) -> tuple[tuple[Image, ...], tuple[str, ...]]:
        """The images that have both values, and why others have none although they were measured."""
        images, excluded = [], []
        if pair[0] is None or pair[1] is None:
            return (), ()
        places = [(self.known[r.digest], r.measures[m.id]) for r, m in zip(pair, measures, strict=True) if r]
        for id_ in sorted(places[0][0].keys() & places[1][0].keys()):
            values = [merged[id_].values.get(digest) for merged, digest in places]
            why = next((one.why for one in values if isinstance(one, NotApplicable)), None)
            if why is not None:
                excluded.append(why)
            elif isinstance(values[0], tuple) and isinstance(values[1], tuple):
                known = places[0][0][id_]
                images.append(Image(id_, values[0], values[1], known.pixels, known.facts.get("seconds")))
        return tuple(images), tuple(excluded)

    def _judge(
        self,
        value: Estimate | None,
        published: str | None,
        excluded: tuple[str, ...],
        measures: tuple[Measure, Measure],
        tolerance: Tolerance | None,
    ) -> tuple[Verdict, str]:
        missing = next((self.entry.missing[m.id] for m in measures if m.id in self.entry.missing), "")
        problem = missing or self.entry.reason
        if value is None:
            why = f"not applicable: {excluded[0]}" if excluded else ""
            unasked = "" if self._restored(measures[0]) else f"not measured yet: {command_of(self.suite, self.row)}"
            return "not run", missing or why or problem or unasked or "no image is measured yet: run it again to resume"
        if value.n < self.entry.total:
            part = f"{value.n} of {self.entry.total} images"
            return "partial", problem or (f"{part}; not applicable: {excluded[0]}" if excluded else part)
        if published is None:
            return "no published value", ""
        machines = tolerance.machines if tolerance is not None else 0.0
        return verdict(value, published, measures[0].of.direction, machines), ""

    def _remarks(self, restored: Restored | None, images: tuple[Image, ...]) -> tuple[str, ...]:
        """Anomalies of the paper, and what the method did with images that it could not take as a whole."""
        place = (self.row.name, self.entry.dataset, self.column.id)
        notes = [note.text for note in self.suite.notes if note.is_about(*place)]
        notes += [self.remark] if self.remark and images else []
        if restored is not None:
            known = self.known[restored.digest]
            ways = dict.fromkeys(known[image.id].how for image in images if known[image.id].how)
            notes += [f"large images were restored in parts: {way}" for way in ways]
        return tuple(notes)

    def _runs(
        self,
        pair: tuple[Restored | None, Restored | None],
        measures: tuple[Measure, Measure],
        images: tuple[Image, ...],
    ) -> frozenset[str]:
        runs: set[str] = set()
        for restored, measure in zip(pair, measures, strict=True):
            if restored is not None:
                known = self.known[restored.digest]
                runs |= store.runs_of((known[image.id] for image in images), [restored.measures[measure.id]])
        return frozenset(runs)


def command_of(suite: Suite, row: Row) -> str:
    """The command that runs a row."""
    return f"python -m bench run {option_of(suite)} --method '{row.name}'"


def finite(value: float | None) -> bool:
    """Whether there is a number to do arithmetic with."""
    return value is not None and math.isfinite(value)
