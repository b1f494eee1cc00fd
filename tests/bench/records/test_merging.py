"""Runs that processes shared: the table, its provenance and what other machines change are as if one had done it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables_helper import PIXELS, PROVENANCE, TABLE4, as_part, bicubic, images
from test_machines import cell as edsr
from test_machines import rrdb

import bench
from bench.__main__ import main
from bench.records.journal import load_journals
from bench.records.merging import reproductions
from bench.records.tables import build_table, shown_entries
from bench.report.grid import build_grid
from bench.report.text import render_text

FIRST, SECOND = images("01", 28.0), images("234", 29.0)


def shared(out: Path) -> None:
    """Five images in two parts."""
    as_part(bicubic(out, FIRST), 1)
    as_part(bicubic(out, SECOND), 2)


def test_an_entry_of_a_shared_run_has_the_images_of_all_parts(tmp_path: Path) -> None:
    shared(tmp_path)
    journal, entry = shown_entries(tmp_path, "table4")["Bicubic", "Set5"]
    assert sorted(entry.pixels) == list("01234")
    assert journal.run == "shards-2-x"
    cell = build_table(TABLE4, tmp_path).cell("Bicubic", "Set5", "psnr_y")
    assert cell.value is not None
    assert (cell.value.n, cell.value.mean) == (5, pytest.approx(28.6))


def test_provenance_of_a_shared_run_is_exported(tmp_path: Path) -> None:
    shared(tmp_path)
    line = bench.load(tmp_path).cells.set_index("metric").loc["psnr_y"]
    parts = load_journals(tmp_path)
    assert (line["commit"], line["device"], line["dirty"]) == (PROVENANCE["commit"], "cpu", False)
    assert line["finished"] == parts[-1].finished
    assert line["runs"].split() == sorted(part.run for part in parts)
    table = build_table(TABLE4, tmp_path)
    assert [run.run for run in table.runs] == [part.run for part in parts]
    assert " ".join(render_text(build_grid(table)).split()).count("shards-2-x, 2 parts: commit") == 1


def test_the_last_attempts_tell_when_and_where_it_ran(tmp_path: Path) -> None:
    when = [f"2026-01-0{day}T10:00:00.000+00:00" for day in (1, 2, 3)]
    end = "2026-01-03T11:00:00.000+00:00"
    of = [{**PROVENANCE, "processor": name} for name in ("the first", "a", "b")]
    as_part(bicubic(tmp_path, FIRST), 1, started=when[0], finished=None, process={"boot": "?"}, provenance=of[0])
    as_part(bicubic(tmp_path, FIRST), 1, started=when[1], finished=when[2], provenance=of[1])
    as_part(bicubic(tmp_path, SECOND), 2, started=when[2], finished=end, provenance=of[2])
    (journal,) = reproductions(tmp_path)
    assert (journal.started, journal.finished, journal.seconds) == (when[1], end, 25 * 3600.0)
    assert journal.provenance["processor"] == "a"
    assert len(journal.entries[0].pixels) == 5


def test_an_attempt_that_did_not_get_there_keeps_what_was_measured(tmp_path: Path) -> None:
    shared(tmp_path)
    stopped = as_part(bicubic(tmp_path, {}, "Set14"), 1, finished=None, process={"boot": "?"})
    stopped.entries = []
    stopped.save()
    (journal,) = reproductions(tmp_path)
    assert journal.finished is None
    assert [(entry.dataset, entry.state, len(entry.pixels)) for entry in journal.entries] == [("Set5", "running", 5)]


@pytest.mark.parametrize("commit", ["another", PROVENANCE["commit"]])
def test_parts_of_other_code_are_not_one_run(tmp_path: Path, commit: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"shards-2-{commit}"
    as_part(bicubic(tmp_path, FIRST), 1, of=name)
    code = "" if commit == "another" else "changed"  # then the restoration is another one
    as_part(bicubic(tmp_path, SECOND, code=code), 2, of=name, provenance={**PROVENANCE, "commit": commit})
    found = reproductions(tmp_path)
    assert [(one.run, one.finished, len(one.entries[0].pixels)) for one in found] == [
        (name, None, 2), (f"{name}-2", None, 3),
    ]  # fmt: skip
    assert [one.provenance["commit"] for one in found] == [PROVENANCE["commit"], commit]
    assert "differ in commit or restoration" in capsys.readouterr().err


def test_a_run_that_was_done_again_with_other_code_hides_nothing_but_is_no_run_of_its_own(tmp_path: Path) -> None:
    shared(tmp_path)
    newer = {**PROVENANCE, "commit": "newer"}
    as_part(bicubic(tmp_path, FIRST, code="newer"), 1, provenance=newer)
    assert len(reproductions(tmp_path)) == 2
    cell = build_table(TABLE4, tmp_path).cell("Bicubic", "Set5", "psnr_y")
    assert cell.value is not None
    assert cell.value.n == 5
    as_part(bicubic(tmp_path, SECOND, code="newer"), 2, provenance=newer)
    (journal,) = reproductions(tmp_path)
    assert journal.provenance["commit"] == "newer"
    assert journal.finished


def test_other_machines_count_where_a_run_was_shared_or_killed(tmp_path: Path) -> None:
    rrdb(tmp_path, 32.6151, device="cuda A GPU")
    rrdb(tmp_path, 32.6149)
    for number, journal in enumerate(load_journals(tmp_path)):
        entry = journal.entries[0]
        ids = list(entry.pixels)
        if number == 0:  # killed: it never noted its pixels
            journal.note(_with(entry, state="running", pixels={}))
            continue
        other = json.loads(journal.path.read_text())
        journal.entries = [_with(entry, pixels=dict.fromkeys(ids[:2], PIXELS))]
        as_part(journal, 1)
        second = type(journal).begin(tmp_path, "table4", {}, other["provenance"])
        second.note(_with(entry, pixels=dict.fromkeys(ids[2:], PIXELS)))
        second.end(1.0)
        as_part(second, 2)
    found = edsr(tmp_path)
    assert found.tolerance is not None
    assert found.tolerance.machines == pytest.approx(0.0002)


def _with(entry: object, **changes: object) -> object:
    from dataclasses import replace

    return replace(entry, **changes)  # type: ignore[type-var]


@pytest.mark.parametrize(
    "command",
    [{"own_rows": None}, {"own_rows": ["x"]}, {"rows": None}, {"rows": [["x"], 3]}, {"own_rows": 3, "rows": {}}],
)
def test_damaged_commands_do_not_stop_the_merge(tmp_path: Path, command: dict[str, object]) -> None:
    journal = bicubic(tmp_path, FIRST)
    journal.command = command
    as_part(journal, 1)
    journal = bicubic(tmp_path, SECOND)
    journal.command = command
    as_part(journal, 2, started="2026-01-01T10:00:00")  # no time zone, as the other has
    (found,) = reproductions(tmp_path)
    assert (found.command["rows"], found.command["own_rows"]) == ([], [])


def test_the_site_lists_a_shared_run_once(tmp_path: Path) -> None:
    shared(tmp_path)
    assert main(["report", "--out", str(tmp_path), "--to", str(tmp_path / "site"), "--pictures", "none"]) == 0
    page = (tmp_path / "site" / "index.html").read_text()
    assert "shards-2-x" in page
    assert not any(part.run in page for part in load_journals(tmp_path))
