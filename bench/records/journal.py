"""Journals: what each run was asked for, where it ran, and the outcome of each of its rows. One JSON file per run.

OUT/runs/<run>.json     rewritten whole, atomically, after every change
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal
from uuid import uuid4

from bench import jsons
from bench.errors import BenchError, one_line
from bench.files import write_atomically
from bench.jsons import Json
from bench.structured import build

FORMAT = 2

State = Literal["running", "done", "failed", "not run"]


@dataclass(frozen=True)
class Restored:
    """One restoration of a row and a data set.

    Attributes:
        digest: of the restoration: where its records are.
        temperature: of the draws.
        draws: how many.
        measures: measure id -> measure digest.
        deterministic: whether the temperature changes nothing, because the method does not draw.
    """

    digest: str
    temperature: float
    draws: int
    measures: dict[str, str]
    deterministic: bool = False


@dataclass(frozen=True)
class Entry:
    """The outcome of a row on a data set.

    Attributes:
        row: name.
        dataset: name.
        state: see State.
        reason: why it did not run, or its first problem.
        total: images of the whole data set.
        restored: its restorations; empty where it did not run.
        pixels: image id -> SHA-256 of its HR pixels, as far as this run saw them.
        missing: measure id -> why it could not be taken.
        computed: images that this run measured.
        cached: images that earlier runs had.
        problems: images that could not be measured.
        started: ISO 8601, UTC.
        finished: ISO 8601, UTC; empty while it runs.
        seconds: of wall time.
    """

    row: str
    dataset: str
    state: State
    reason: str = ""
    total: int = 0
    restored: tuple[Restored, ...] = ()
    pixels: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    cached: int = 0
    problems: int = 0
    started: str = ""
    finished: str = ""
    seconds: float = 0.0


@dataclass
class Journal:
    """What a run was asked for, and its outcome.

    Attributes:
        out: results folder.
        run: its name, which sorts by time.
        table: name of the suite.
        started: ISO 8601, UTC.
        command: what it was asked: rows, data sets, limit, own rows, further measures.
        provenance: see bench.runs.provenance.
        process: host, process id and start of the machine, to see whether it still runs.
        entries: one per row and data set.
        finished: ISO 8601, UTC; None while it runs, and for ever where it was killed.
        seconds: of wall time.
        texts: what the run was made with, so that the folder can be shown where that is missing or another: "suite"
            (text of the .toml file), "published" (of its CSV file) and "manifests" (data set -> text). Empty in the
            journals of earlier versions.
        mirrored: seconds that MLflow took, and of them those that the run waited for; empty where it was not told.
    """

    out: Path
    run: str
    table: str
    started: str
    command: Json
    provenance: Json
    process: Json = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    finished: str | None = None
    seconds: float | None = None
    texts: Json = field(default_factory=dict)
    mirrored: Json = field(default_factory=dict)

    @classmethod
    def begin(cls, out: Path, table: str, command: Json, provenance: Json, texts: Json | None = None) -> Journal:
        """The journal of a run that starts now, written."""
        moment = datetime.now(UTC)
        name = f"{moment:%Y%m%dT%H%M%S%fZ}-{uuid4().hex[:6]}"
        started = moment.isoformat(timespec="milliseconds")
        journal = cls(out, name, table, started, command, provenance, this_process(), texts=texts or {})
        journal.save()
        return journal

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return self.out / "runs" / f"{self.run}.json"

    def save(self) -> None:
        """Write it, atomically."""
        content = {"format": FORMAT, **{name: value for name, value in vars(self).items() if name != "out"}}
        content["entries"] = [_plain(entry) for entry in self.entries]
        write_atomically(self.path, jsons.dumps(content, indent=1).encode())

    def note(self, entry: Entry) -> None:
        """Set what is known of a row on a data set."""
        place = (entry.row, entry.dataset)
        self.entries = [known for known in self.entries if (known.row, known.dataset) != place]
        self.entries.append(entry)
        self.save()

    def end(self, seconds: float) -> None:
        """Note that it is finished."""
        self.finished, self.seconds = now(), seconds
        self.save()

    @property
    def alive(self) -> bool:
        """Whether its process still runs, as far as can be seen from here: another machine's counts as running."""
        return self.finished is None and still_runs(self.process)


def now() -> str:
    """This moment, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def load_journals(out: Path, table: str | None = None) -> list[Journal]:
    """All runs of a table (or of all tables), oldest first; a file that is no journal is set aside with a warning."""
    journals = [_load(out, path) for path in sorted((out / "runs").glob("*.json"))]
    return [journal for journal in journals if journal is not None and table in (None, journal.table)]


def _load(out: Path, path: Path) -> Journal | None:
    try:
        content = jsons.loads(path.read_bytes())
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError(f"expected a journal of format {FORMAT}, got another")
        entries = [build(Entry, entry, "entry") for entry in content.pop("entries")]
        journal = Journal(out=out, entries=entries, **content)
        _check(journal, path)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        if path not in _warned:
            _warned.add(path)
            print(f"warning: {path}: {one_line(error)}; the run is set aside", file=sys.stderr)
        return None
    return journal


_warned: set[Path] = set()


@cache
def warn_once(message: str) -> None:
    """One line on stderr, once per process."""
    print(f"warning: {message}", file=sys.stderr)


def require_records(out: Path) -> None:
    """Refuse a results folder that does not exist, which would look like one without records.

    Raises:
        BenchError: it is missing, or not a folder.
    """
    if not out.is_dir():
        raise BenchError(f"{out}: expected a folder of records, got none; first: python -m bench run --table 4")


def no_records(out: Path) -> BenchError:
    """For a results folder in which there is nothing to show."""
    return BenchError(f"{out}: expected records of a run, got none; first: python -m bench run --table 4")


def texts(value: object) -> list[str]:
    """The texts in a list that a journal holds; none where it holds something else."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _check(journal: Journal, path: Path) -> None:
    texts = (journal.run, journal.table, journal.started)
    tables = (journal.command, journal.provenance, journal.process, journal.texts, journal.mirrored)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(one, dict) for one in tables):
        raise TypeError("expected a journal, got other types")
    known = [journal.texts.get("suite", ""), journal.texts.get("published", "")]
    manifests = journal.texts.get("manifests", {})
    if not isinstance(manifests, dict) or not all(isinstance(t, str) for t in (*known, *manifests.values())):
        raise TypeError("expected a journal, got other types")
    if journal.run != path.stem:
        raise ValueError(f"expected the journal of {path.stem}, got that of {journal.run}")
    if not isinstance(journal.finished, str | None) or not isinstance(journal.seconds, int | float | None):
        raise TypeError("expected a journal, got other types")
    datetime.fromisoformat(journal.started)
    datetime.fromisoformat(journal.finished or journal.started)


def _plain(entry: Entry) -> Json:
    content = dict(vars(entry))
    content["restored"] = [dict(vars(one)) for one in entry.restored]
    return content


def this_process() -> Json:
    """What tells this process from any other: host, process id, start of the machine and of the process."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "since": _since(pid)}


def process_of(pid: int) -> Json:
    """What tells a process of this machine from any other."""
    return this_process() | {"pid": pid, "since": _since(pid)}


def still_runs(process: Json) -> bool:
    """Whether a process still runs, as far as can be seen from here: another machine's counts as running."""
    here = this_process()
    if process.get("host") != here["host"]:
        return True
    if process.get("boot") != here["boot"]:
        return False
    return _runs(process.get("pid"), process.get("since"))


def _boot() -> str:
    """What differs after the machine was started anew; nothing where that cannot be told."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.is_file() else ""


def _since(pid: int) -> str:
    """When a process started, so that another one with its number is told from it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _runs(pid: object, since: object) -> bool:
    if type(pid) is not int or pid <= 0:
        return False
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the latter of a number that no process has
        return False
    except OSError:
        pass  # it runs and belongs to somebody else
    return not since or _since(pid) in ("", since)
