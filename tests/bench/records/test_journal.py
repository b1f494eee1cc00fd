"""Journals: read back, told apart from foreign files, and whether their process still runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.journal import Entry, Journal, Restored, load_journals

RESTORED = Restored("d" * 64, 0.9, 5, {"psnr@y,crop4,u8": "e" * 64})
ENTRY = Entry("Bicubic", "Set5", "done", total=5, restored=(RESTORED,), pixels={"baby": "f" * 64}, seconds=1.5)


def test_journals_read_back_oldest_first(tmp_path: Path) -> None:
    for table in ("table4", "table4", "table1"):
        journal = Journal.begin(tmp_path, table, {"rows": ["Bicubic"]}, {"commit": "c"})
        journal.note(replace(ENTRY, state="running"))
        journal.note(ENTRY)
        journal.end(2.0)
    found = load_journals(tmp_path, "table4")
    assert len(found) == 2
    assert found[0].run < found[1].run
    assert found[0].entries == [ENTRY]
    assert (found[0].seconds, found[0].alive) == (2.0, False)
    assert len(load_journals(tmp_path)) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "[",
        lambda text: "[1]",
        lambda text: text.replace('"format": 2', '"format": 1'),
        lambda text: text.replace('"format": 2,', ""),
        lambda text: text.replace('"done"', '"finished"'),
        lambda text: text.replace('"total": 5', '"total": "5"'),
        lambda text: text.replace('"total": 5', '"total": NaN'),
        lambda text: text.replace('"table": "table4"', '"table": 4'),
        lambda text: text.replace('"row":', '"rov":'),
        lambda text: text.replace("+00:00", "+99:99"),
        lambda text: json.dumps({**json.loads(text), "more": 1}),
        lambda text: json.dumps({**json.loads(text), "run": "another"}),
    ],
)
def test_a_file_that_is_no_journal_is_set_aside(change, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    bad, good = (Journal.begin(tmp_path, "table4", {}, {}) for _ in range(2))
    for journal in (bad, good):
        journal.note(ENTRY)
    text = bad.path.read_text()
    assert change(text) != text
    bad.path.write_text(change(text))
    assert [journal.run for journal in load_journals(tmp_path)] == [good.run]
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {bad.path}: ")
    assert warning.endswith("the run is set aside")


def test_a_run_is_alive_while_its_process_is(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bench.records.journal import Journal\n"
        "Journal.begin(Path(sys.argv[1]), 'table4', {}, {}); print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert load_journals(tmp_path)[0].alive
    process.kill()
    process.wait()
    assert not load_journals(tmp_path)[0].alive


def test_another_machine_counts_as_running_and_another_start_of_this_one_does_not(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path, "table4", {}, {})
    assert journal.alive
    here = dict(journal.process)
    journal.process = {**here, "host": "elsewhere"}
    assert journal.alive
    journal.process = {**here, "boot": "before"}
    assert not journal.alive
    journal.process = {**here, "since": "1"}  # the number was given to another process since
    assert not journal.alive
    journal.process = {**here, "pid": True}
    assert not journal.alive
    journal.finished = "2026-01-01T00:00:00+00:00"
    assert not journal.alive
