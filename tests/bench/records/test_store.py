"""Records survive what happens to processes, disks and files; what cannot be read is set aside, never counted."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import files
from bench.errors import BenchError
from bench.metrics.metric import NotApplicable
from bench.records import store
from bench.records.store import Writer, digest_of, read

SPECIFICATION = {"method": "bicubic", "scale": 4, "draws": 2}
KEY = digest_of(SPECIFICATION)
PIXELS = "0" * 64


def write(out: Path, *images: str, run: str = "run1", value: float = 30.0, pixels: str = PIXELS) -> Path:
    with Writer(out, run, SPECIFICATION) as writer:
        for image in images:
            writer.append(image, pixels, {"m": (value, value + 1)}, {"seconds": 0.1})
        return writer.path


def test_records_read_back(tmp_path: Path) -> None:
    with Writer(tmp_path, "run1", SPECIFICATION) as writer:
        writer.append("a", PIXELS, {"m": (1 / 3, -math.inf), "n": (math.inf,)}, {"seconds": 0.5}, "2 tiles")
        writer.append("b", PIXELS, {"m": NotApplicable("too small")}, {})
    found = read(tmp_path, KEY)
    assert found["a"].values == {"m": (1 / 3, -math.inf), "n": (math.inf,)}
    assert (found["a"].how, found["a"].facts) == ("2 tiles", {"seconds": 0.5})
    assert found["b"].values == {"m": NotApplicable("too small")}
    for line in writer.path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_no_file_is_made_before_there_is_a_record(tmp_path: Path) -> None:
    with Writer(tmp_path, "run1", SPECIFICATION):
        pass
    assert not list(tmp_path.iterdir())
    assert not store.has_records(tmp_path, KEY)


def test_a_line_cut_in_half_at_any_byte_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a", "b")
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        expected = ["a", "b"][: max(0, whole[:size].count(b"\n") - 1)] if size >= header else []
        assert list(read(tmp_path, KEY)) == expected
    assert not capsys.readouterr().err  # a killed process is nothing unusual


def test_the_run_after_a_kill_writes_a_file_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "a", "b")
    path.write_bytes(path.read_bytes()[:-5])
    write(tmp_path, "b", run="run2", value=31.0)
    assert {image: known.values["m"] for image, known in read(tmp_path, KEY).items()} == {
        "a": (30.0, 31.0),
        "b": (31.0, 32.0),
    }


def test_the_newest_value_wins_and_a_line_that_stands_twice_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path, "a")
    line = path.read_bytes().splitlines(keepends=True)[1]
    path.write_bytes(path.read_bytes() + line)
    assert len(read(tmp_path, KEY)) == 1
    write(tmp_path, "a", run="run0", value=29.0)  # later, whatever its name sorts like
    found = read(tmp_path, KEY)["a"]
    assert found.values["m"] == (29.0, 30.0)
    assert found.runs == {"m": "run0"}


def test_measures_of_several_runs_are_joined(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with Writer(tmp_path, "run2", SPECIFICATION) as writer:
        writer.append("a", PIXELS, {"n": (5.0,)}, {})
    found = read(tmp_path, KEY)["a"]
    assert found.values == {"m": (30.0, 31.0), "n": (5.0,)}
    assert store.runs_of([found], ["n"]) == {"run2"}


def test_only_images_with_the_right_pixels_count(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    write(tmp_path, "a", run="run2", value=40.0, pixels="1" * 64)
    assert read(tmp_path, KEY)["a"].values["m"] == (40.0, 41.0)  # the newest, where nobody says which is right
    right = read(tmp_path, KEY, {"a": PIXELS, "c": PIXELS})
    assert {image: known.values["m"] for image, known in right.items()} == {"a": (30.0, 31.0)}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("not json", "Expecting value"),
        ('{"image": "a", "pixels": "0", "values": {"m": [NaN, 1]}, "facts": {}, "how": "", "time": 1}', "got NaN"),
        ('{"image": "a", "pixels": "0", "values": {"m": [1, 2, 3]}, "facts": {}, "how": "", "time": 1}', "1 or 2 val"),
        ('{"image": "a", "pixels": "0", "values": {"m": ["1", 2]}, "facts": {}, "how": "", "time": 1}', "got '1'"),
        ('{"image": "a", "pixels": "0", "values": {"m": [true, 2]}, "facts": {}, "how": "", "time": 1}', "got True"),
        ('{"image": 5, "pixels": "0", "values": {}, "facts": {}, "how": "", "time": 1}', "expected text, got 5"),
        ('{"image": "a", "values": {}, "facts": {}, "how": "", "time": 1}', "no 'pixels'"),
        ('{"image": "a", "pixels": "0", "values": [], "facts": {}, "how": "", "time": 1}', "items"),
        ("[" * 100_000, ""),
        ("[1]", "expected an object"),
    ],
)
def test_a_line_that_makes_no_sense_is_set_aside_with_one_warning(
    line: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "x")
    path.write_bytes(path.read_bytes() + line.encode() + b"\n")
    write(tmp_path, "y", run="run2")
    for _ in range(2):
        assert set(read(tmp_path, KEY)) == {"x", "y"}
    (warning,) = capsys.readouterr().err.splitlines()
    assert f"{path}, line 3: " in warning
    assert fault in warning
    assert warning.endswith("the line is set aside and measured again")


@pytest.mark.parametrize(
    "header",
    [
        '{"format": 1, "key": "x", "specification": {}}',
        json.dumps({"format": 2, "restoration": KEY, "specification": {"draws": 2}}),
        json.dumps({"format": 2, "restoration": "0" * 64, "specification": SPECIFICATION}),
        "\x00\x01",
    ],
)
def test_a_file_of_another_kind_is_set_aside(header: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "a")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header.encode() + b"\n" + b"".join(lines[1:]))
    write(tmp_path, "b", run="run2")
    assert set(read(tmp_path, KEY)) == {"b"}
    assert "the file is set aside" in capsys.readouterr().err
    assert store.specification_of(tmp_path, KEY) == SPECIFICATION


def test_the_digest_is_that_of_everything_in_the_specification() -> None:
    assert digest_of({**SPECIFICATION, "scale": 8}) != KEY
    assert digest_of(dict(reversed(SPECIFICATION.items()))) == KEY


_APPENDS = """
import sys
from pathlib import Path
from bench.records.store import Writer
with Writer(Path(sys.argv[1]), sys.argv[2], {"method": "bicubic", "scale": 4, "draws": 2}) as writer:
    for number in range(200):
        writer.append(f"{sys.argv[2]}-{number}", "0" * 64, {"m": (1.0, 2.0)}, {})
"""


def test_processes_write_into_one_folder_at_once(tmp_path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", _APPENDS, str(tmp_path), name]) for name in ("a", "b", "c")]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert set(read(tmp_path, KEY)) == {f"{name}-{number}" for name in "abc" for number in range(200)}


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="expected a place to write to, got Not a directory; choose another"):
        write(tmp_path / "file", "a")
    with pytest.raises(BenchError, match="expected a place to write to"):
        files.write_atomically(tmp_path / "file" / "x", b"")


def test_a_full_disk_is_said_and_loses_no_earlier_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Writer(tmp_path, "run1", SPECIFICATION) as writer:
        writer.append("a", PIXELS, {"m": (1.0, 2.0)}, {})
        real = os.write
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:20]))
        with pytest.raises(BenchError, match="is the disk full"):
            writer.append("b", PIXELS, {"m": (1.0, 2.0)}, {})
        monkeypatch.undo()
    assert set(read(tmp_path, KEY)) == {"a"}


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


def test_nan_is_never_written(tmp_path: Path) -> None:
    with Writer(tmp_path, "run1", SPECIFICATION) as writer, pytest.raises(ValueError, match="got NaN"):
        writer.append("a", PIXELS, {"m": (math.nan, 1.0)}, {})
