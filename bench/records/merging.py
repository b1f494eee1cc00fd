"""One journal for a run that several processes shared: each of them wrote its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bench.errors import one_line
from bench.jsons import Json
from bench.records.journal import Entry, Journal, State, load_journals, texts, warn_once
from bench.records.own_rows import added_rows

_Place = tuple[str, str]  # row, data set


class Reproduction(Journal):
    """The journal of a run that several processes shared, made of theirs whenever it is asked for."""

    def save(self) -> None:
        """Nothing: what it says is kept in the journals of the parts."""


def reproductions(out: Path, table: str | None = None) -> list[Journal]:
    """As `load_journals`, with one journal in place of all those of a shared run.

    Args:
        out: results folder.
        table: name of the suite; None: all.
    """
    return merged_all(load_journals(out, table))


def merged_all(journals: Iterable[Journal], replaced: bool = False) -> list[Journal]:
    """Journals with one in place of all those of a shared run, oldest first.

    Parts of different commits or restorations are not one measurement: such a run is split into several, which a
    warning says.

    Args:
        journals: as `load_journals` gives them.
        replaced: with those whose every part was done again in other circumstances: their records are still there.
    """
    shared: dict[str, list[Journal]] = {}
    found = []
    for journal in journals:
        if part := part_of(journal):
            shared.setdefault(str(part.get("of")), []).append(journal)
        else:
            found.append(journal)
    for name, parts in shared.items():
        last = {id(journal) for journal in _last(parts).values()}
        groups = [(number, group) for number, group in enumerate(_alike(parts), 1)]
        standing = [one for one in groups if any(id(journal) in last for journal in one[1])]
        if len(standing) > 1:
            warn_once(
                f"the parts of the run {one_line(name)} differ in commit or restoration (code, packages, device): "
                f"they count as {len(standing)} runs"
            )
        found += [
            merged(name if number == 1 else f"{name}-{number}", group)
            for number, group in (groups if replaced else standing)
        ]
    return sorted(found, key=lambda journal: journal.started)


def in_brief(journals: Sequence[Journal]) -> list[Journal]:
    """For a reader: the parts of a shared run that were done in the same circumstances are one line."""
    groups: dict[tuple[str, str], list[Journal]] = {}
    for journal in journals:
        of = str(part_of(journal).get("of") or journal.run)
        groups.setdefault((of, repr(journal.provenance)), []).append(journal)
    return [_together(of, group) if len(group) > 1 else group[0] for (of, _), group in groups.items()]


def _together(of: str, group: Sequence[Journal]) -> Journal:
    last = list(_last(group).values())
    started = min(journal.started for journal in last)
    finished = _finished(last)
    seconds = _seconds(started, finished) if finished else None
    return replace(last[0], run=f"{of}, {len(last)} parts", started=started, finished=finished, seconds=seconds)


def part_of(journal: Journal) -> Json:
    """Which part of which run it is the journal of; empty for a run of its own."""
    part = journal.command.get("part")
    if not isinstance(part, dict) or type(part.get("number")) is not int or type(part.get("count")) is not int:
        return {}
    return part


def shared_run(journal: Journal) -> str:
    """The name of the shared run that a merged journal is of, also where that was split; else that of the journal."""
    return str(journal.command.get("of") or journal.run) if isinstance(journal, Reproduction) else journal.run


def _last(journals: Sequence[Journal]) -> dict[int, Journal]:
    """Part -> its last attempt, in the order of the parts."""
    last = {int(part_of(journal).get("number", 0)): journal for journal in journals}
    return {number: last[number] for number in sorted(last)}


def _alike(journals: Sequence[Journal]) -> list[list[Journal]]:
    """Groups of one commit, and of the same restorations where a row and a data set is in several; oldest first."""
    groups: list[tuple[object, dict[_Place, object], list[Journal]]] = []
    for journal in journals:
        code = tuple(repr(journal.provenance.get(key)) for key in ("commit", "dirty"))
        mine = {(entry.row, entry.dataset): entry.restored for entry in journal.entries if entry.restored}
        for commit, known, group in groups:
            if commit == code and all(known.get(place, one) == one for place, one in mine.items()):
                known.update(mine)
                group.append(journal)
                break
        else:
            groups.append((code, dict(mine), [journal]))
    return [group for _, _, group in groups]


def merged(name: str, journals: Sequence[Journal]) -> Journal:
    """The journal of a shared run.

    Args:
        name: of the run.
        journals: of its parts, oldest first; of those of one part (it was preempted, or tried again) the last counts:
            provenance, start and wall time are those of the last attempts.
    """
    last = _last(journals)
    parts = list(last.values())
    first = min(parts, key=lambda journal: journal.started)
    about = part_of(first)
    complete = len(last) == about["count"] and all(journal.finished for journal in parts)
    finished = _finished(parts) if complete else None
    running = next((journal for journal in parts if journal.alive), parts[-1])
    command = {key: value for key, value in first.command.items() if key != "part"}
    command |= {
        "rows": list(dict.fromkeys(row for journal in parts for row in texts(journal.command.get("rows")))),
        "own_rows": list({str(row.get("name")): row for journal in parts for row in added_rows(journal)}.values()),
        "processes": len(last),
        "of": str(about.get("of")),
    }
    attempts = [_attempted([one for one in journals if part_of(one)["number"] == number]) for number in last]
    places = list(dict.fromkeys(place for entries in attempts for place in entries))
    return Reproduction(
        first.out, name, first.table, first.started, command, first.provenance, running.process,
        [_entry([entries[place] for entries in attempts if place in entries], complete) for place in places],
        finished, _seconds(first.started, finished) if finished else None, _texts(first, parts),
    )  # fmt: skip


def _texts(first: Journal, parts: Sequence[Journal]) -> Json:
    """What the run was made with; each part knows the manifests of its own data sets."""
    manifests = {name: text for part in parts for name, text in part.texts.get("manifests", {}).items()}
    return {**first.texts, **({"manifests": manifests} if manifests else {})}


def _attempted(attempts: Sequence[Journal]) -> dict[_Place, Entry]:
    """What became of the places of a part: the last attempt tells; where it did not get to, those before it."""
    found: dict[_Place, Entry] = {}
    for journal in attempts:
        for entry in journal.entries:
            before = found.get((entry.row, entry.dataset))
            if before is not None and before.restored and not entry.restored:
                entry = replace(before, state=entry.state, reason=entry.reason)
            found[entry.row, entry.dataset] = entry
    return found


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
        seconds=(_seconds(started, finished) or 0.0) if started and finished else 0.0,
    )


def _finished(journals: Sequence[Journal]) -> str | None:
    """When the last of them was finished; None while one is not."""
    moments = [journal.finished for journal in journals if journal.finished]
    return max(moments) if len(moments) == len(journals) else None


def _seconds(started: str, finished: str) -> float | None:
    """None where a damaged journal has moments that cannot be compared."""
    try:
        return (datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return None
