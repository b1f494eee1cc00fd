"""Records on disk, which are the truth: one JSON line per image, one file per cell key, one journal per run.

    OUT/records/<key>.jsonl     a header line, then one line per finished image
    OUT/runs/<run id>.json      what a run was asked, where it ran, what became of each of its cells
    OUT/thumbnails/...          small pictures for the HTML report

A record is appended with one write and synced before the next image starts, so kill -9 loses the image in flight;
a line it cut in half is dropped when the file is opened again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError, StorageError
from bench.files import make_folder, unwritable, write_atomically
from hcflow import atomic

Json = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """One finished image of a cell.

    Attributes:
        image: its id.
        digest: SHA-256 of its HR pixels.
        values: measure id, with the temperature -> one value per draw; None where the metric does not apply.
        seconds: wall time.
        run: the run that made it.
    """

    image: str
    digest: str
    values: Mapping[str, list[float]]
    seconds: float
    run: str


def cell_key(specification: Json) -> str:
    """SHA-256 of everything that can change a number of the cell."""
    return hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()


class CellFile:
    """The records of one cell, open for appending by one process."""

    def __init__(self, out: Path, specification: Json) -> None:
        self.key = cell_key(specification)
        self.path = record_path(out, self.key)
        make_folder(self.path.parent)
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise StorageError(unwritable(self.path, error)) from None
        if not atomic.lock(self._handle):
            os.close(self._handle)
            raise BenchError(f"{self.path}: another run is computing this cell; wait for it or use --out")
        whole = _whole_lines(self.path.read_bytes())
        os.ftruncate(self._handle, len(whole))
        if not whole:
            self._append({"format": 1, "key": self.key, "specification": specification})
        self.records = {record.image: record for record in _parse(self.path, whole)}

    def append(self, record: Record) -> None:
        """Add a finished image; it survives whatever happens next."""
        self._append(_encode(record))
        self.records[record.image] = record

    def close(self) -> None:
        """Release the file."""
        os.close(self._handle)

    def __enter__(self) -> CellFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, line: Json) -> None:
        data = (json.dumps(line, allow_nan=False) + "\n").encode()
        try:
            written = os.write(self._handle, data)
            os.fsync(self._handle)
        except OSError as error:
            raise StorageError(unwritable(self.path, error)) from None
        if written != len(data):
            raise StorageError(f"{self.path}: expected to write {len(data)} bytes, wrote {written}; is the disk full?")


@dataclass
class Journal:
    """What a run was asked and what became of its cells; rewritten whole after every change."""

    out: Path
    run: str
    table: str
    started: str
    command: Json
    provenance: Json
    cells: list[Json] = field(default_factory=list)
    finished: str | None = None
    seconds: float | None = None

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return self.out / "runs" / f"{self.run}.json"

    def save(self) -> None:
        """Write it, atomically."""
        content = {name: value for name, value in vars(self).items() if name != "out"}
        write_atomically(self.path, json.dumps(content, indent=1, allow_nan=False).encode())

    def note(self, **cell: object) -> None:
        """Set what is known of the cell of this row and data set."""
        self.cells = [c for c in self.cells if (c["row"], c["dataset"]) != (cell["row"], cell["dataset"])]
        self.cells.append(cell)
        self.save()


def load_journals(out: Path, table: str | None = None) -> list[Journal]:
    """All runs of a table (or of all tables), oldest first."""
    journals = []
    for path in sorted((out / "runs").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            journals.append(Journal(out=out, **content))
        except (ValueError, TypeError, OSError) as error:
            raise BenchError(f"{path}: expected a run's journal, got something else ({error}); delete it") from None
    return [journal for journal in journals if table in (None, journal.table)]


def load_records(out: Path, key: str) -> list[Record]:
    """The finished images of a cell, in the order they were finished; empty where there are none."""
    path = record_path(out, key)
    return list(_parse(path, _whole_lines(path.read_bytes()))) if path.is_file() else []


def record_path(out: Path, key: str) -> Path:
    """File of a cell's records."""
    return out / "records" / f"{key}.jsonl"


def _whole_lines(data: bytes) -> bytes:
    return data[: data.rfind(b"\n") + 1]


def _parse(path: Path, data: bytes) -> Iterator[Record]:
    for line in data.splitlines()[1:]:
        try:
            content = json.loads(line)
            values = {
                name: [float(value) for value in draws]  # float() reads the "inf" that JSON cannot hold
                for name, draws in content["values"].items()
            }
            yield Record(content["image"], content["digest"], values, content["seconds"], content["run"])
        except (ValueError, TypeError, KeyError) as error:
            raise BenchError(f"{path}: expected records, got a damaged line ({error}); delete the file") from None


def _encode(record: Record) -> Json:
    values = {
        name: [value if math.isfinite(value) else str(value) for value in draws]
        for name, draws in record.values.items()
    }
    return {**vars(record), "values": values}
