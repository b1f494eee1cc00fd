"""One journal for a run that several processes shared: each of them wrote its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bench import jsons
from bench.jsons import Json
from bench.records.journal import Entry, Journal, State, load_journals


class Reproduction(Journal):
    """The journal of a run that several processes shared, made of theirs whenever it is asked for."""

    def save(self) -> None:
        """Nothing: what it says is kept in the journals of the parts."""


def reproductions(out: Path, table: str | None = None) -> list[Journal]:
    """As `load_journals`, with one journal in place of all those of a shared run."""
    shared: dict[str, list[Journal]] = {}
    found = []
    for journal in load_journals(out, table):
        if part := part_of(journal):
            shared.setdefault(str(part.get("of")), []).append(journal)
        else:
            found.append(journal)
    found += [merged(name, journals) for name, journals in shared.items()]
    return sorted(found, key=lambda journal: journal.started)


def in_brief(journals: Sequence[Journal]) -> list[Journal]:
    """For a reader: the parts of a shared run that were done in the same circumstances are one line."""
    groups: dict[tuple[str, str], list[Journal]] = {}
    for journal in journals:
        of = str(part_of(journal).get("of") or journal.run)
        groups.setdefault((of, jsons.dumps(journal.provenance)), []).append(journal)
    return [_together(of, group) if len(group) > 1 else group[0] for (of, _), group in groups.items()]


def _together(of: str, group: Sequence[Journal]) -> Journal:
    finished = max(str(journal.finished) for journal in group) if all(journal.finished for journal in group) else None
    seconds = _seconds(group[0].started, finished) if finished else None
    return replace(group[0], run=f"{of}, {len(group)} parts", finished=finished, seconds=seconds)


def part_of(journal: Journal) -> Json:
    """Which part of which run it is the journal of; empty for a run of its own."""
    part = journal.command.get("part")
    if not isinstance(part, dict) or type(part.get("number")) is not int or type(part.get("count")) is not int:
        return {}
    return part


def merged(name: str, journals: Sequence[Journal]) -> Journal:
    """The journal of a shared run.

    Args:
        name: of the run.
        journals: of its parts, oldest first; of those of one part (it was preempted, or tried again) the last counts.
    """
    last = {int(part_of(journal)["number"]): journal for journal in journals}
    parts = [last[number] for number in sorted(last)]
    first = journals[0]
    complete = len(last) == int(part_of(first)["count"]) and all(journal.finished for journal in parts)
    finished = max(str(journal.finished) for journal in parts) if complete else None
    running = next((journal for journal in parts if journal.alive), parts[-1])
    command = {key: value for key, value in first.command.items() if key != "part"}
    command |= {
        "rows": list(dict.fromkeys(row for journal in parts for row in journal.command.get("rows", []))),
        "own_rows": [row for n, row in _own_rows(parts).items()],
        "processes": len(last),
    }
    places = list(dict.fromkeys((entry.row, entry.dataset) for journal in parts for entry in journal.entries))
    return Reproduction(
        first.out, name, first.table, first.started, command, first.provenance, running.process,
        [_entry([e for j in parts for e in j.entries if (e.row, e.dataset) == place], complete) for place in places],
        finished, _seconds(first.started, finished) if finished else None, first.texts,
    )  # fmt: skip


def _own_rows(parts: Sequence[Journal]) -> dict[str, Json]:
    return {str(row.get("name")): row for journal in parts for row in journal.command.get("own_rows", [])}


def _entry(entries: Sequence[Entry], complete: bool) -> Entry:
    """What became of a row on a data set, from what became of its parts."""
    ran = [entry for entry in entries if entry.restored] or list(entries)
    states = {entry.state for entry in entries}
    state: State = "running"
    if complete and "running" not in states:
        state = "failed" if "failed" in states else "done" if "done" in states else "not run"
    started = min(entry.started for entry in ran)
    finished = max(entry.finished for entry in ran) if state in ("done", "failed") else ""
    return replace(
        ran[0],
        state=state,
        reason=next((entry.reason for entry in entries if entry.reason), ""),
        pixels={image: pixels for entry in entries for image, pixels in entry.pixels.items()},
        missing={name: why for entry in entries for name, why in entry.missing.items()},
        computed=sum(entry.computed for entry in entries),
        cached=sum(entry.cached for entry in entries),
        problems=sum(entry.problems for entry in entries),
        started=started,
        finished=finished,
        seconds=_seconds(started, finished) if started and finished else 0.0,
    )


def _seconds(started: str, finished: str) -> float:
    return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
