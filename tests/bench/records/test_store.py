"""Records survive what happens to processes and disks."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from bench import files
from bench.errors import BenchError
from bench.records.store import CellFile, Journal, Record, cell_key, load_journals, load_records, record_path

SPECIFICATION = {"method": "bicubic", "scale": 4}
KEY = cell_key(SPECIFICATION)


def record(image: str, value: float = 30.0) -> Record:
    return Record(image, "0" * 64, {"psnr@y,crop4,u8 tau=0": [value, value + 1]}, 0.1, "run")


def test_records_read_back(tmp_path: Path) -> None:
    with CellFile(tmp_path, SPECIFICATION) as cell:
        cell.append(record("a", 1 / 3))
        cell.append(record("b", math.inf))
    assert load_records(tmp_path, KEY) == [record("a", 1 / 3), record("b", math.inf)]
    for line in record_path(tmp_path, KEY).read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_line_cut_in_half_is_dropped_and_written_again(tmp_path: Path) -> None:
    with CellFile(tmp_path, SPECIFICATION) as cell:
        cell.append(record("a"))
        cell.append(record("b"))
    path = record_path(tmp_path, KEY)
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for size in range(header, len(whole)):  # whatever byte the kill struck at
        path.write_bytes(whole[:size])
        with CellFile(tmp_path, SPECIFICATION) as cell:
            kept = list(cell.records)
            assert kept == ["a", "b"][: whole[header:size].count(b"\n")]
            for image in ("a", "b"):
                if image not in kept:
                    cell.append(record(image))
        assert path.read_bytes() == whole


def test_even_a_half_header_is_made_whole(tmp_path: Path) -> None:
    path = record_path(tmp_path, KEY)
    path.parent.mkdir(parents=True)
    path.write_text('{"format": 1, "ke')
    with CellFile(tmp_path, SPECIFICATION) as cell:
        cell.append(record("a"))
    assert [one.image for one in load_records(tmp_path, KEY)] == ["a"]


def test_a_damaged_line_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with CellFile(tmp_path, SPECIFICATION) as cell:
        cell.append(record("a"))
    path = record_path(tmp_path, KEY)
    path.write_bytes(path.read_bytes() + b"not json\n")
    with pytest.raises(BenchError, match=rf"{KEY}.jsonl: expected records, got a damaged line .* delete the file"):
        load_records(tmp_path, KEY)


def test_two_runs_cannot_compute_one_cell(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with CellFile(tmp_path, SPECIFICATION), pytest.raises(BenchError, match="another run is computing this cell"):
        CellFile(tmp_path, SPECIFICATION)


def test_the_key_changes_with_everything_in_the_specification() -> None:
    assert cell_key({**SPECIFICATION, "scale": 8}) != KEY
    assert cell_key(dict(reversed(SPECIFICATION.items()))) == KEY


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="expected a place to write to, got Not a directory; choose another"):
        CellFile(tmp_path / "file", SPECIFICATION)
    with pytest.raises(BenchError, match="expected a place to write to"):
        files.write_atomically(tmp_path / "file" / "x", b"")


def test_a_full_disk_is_said_and_loses_no_earlier_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with CellFile(tmp_path, SPECIFICATION) as cell:
        cell.append(record("a"))
        real = os.write
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:20]))
        with pytest.raises(BenchError, match="is the disk full"):
            cell.append(record("b"))
        monkeypatch.undo()
    with CellFile(tmp_path, SPECIFICATION) as cell:
        assert list(cell.records) == ["a"]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.html"
    files.write_atomically(path, b"old")

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(BenchError, match="No space left on device"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.html"]


def test_journals_read_back_oldest_first(tmp_path: Path) -> None:
    for name in ("20260102", "20260101"):
        journal = Journal(tmp_path, name, "table4", "2026-01-01T00:00:00+00:00", {}, {"commit": "c"})
        journal.note(row="Bicubic", dataset="Set5", state="running")
        journal.note(row="Bicubic", dataset="Set5", state="done")
    assert [journal.run for journal in load_journals(tmp_path, "table4")] == ["20260101", "20260102"]
    assert load_journals(tmp_path)[0].cells == [{"row": "Bicubic", "dataset": "Set5", "state": "done"}]
    assert load_journals(tmp_path, "table1") == []
    (tmp_path / "runs" / "x.json").write_text("[")
    with pytest.raises(BenchError, match="expected a run's journal"):
        load_journals(tmp_path)
