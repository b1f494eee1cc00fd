"""The command line as scripts see it: what it prints, and one line with exit code 2 for bad input."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.cli import perf


def run(out: Path, *arguments: str) -> int:
    return main(["run", "--out", str(out), *arguments])


def test_the_main_job_without_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    assert run(out, "--table", "4") == 0
    printed = capsys.readouterr().out
    assert "published numbers do not apply" in printed
    assert "nox -s reproduce_table4 -- --fetch" in printed
    assert "Bicubic on Set5: needs data Set5: python -m bench data fetch Set5" in printed
    assert "RRDB on Set5, Set14, BSD100, Urban100, DIV2K, Sample: needs weights RRDB_PSNR_x4" in printed
    assert {path.name for path in out.glob("table4.*")} == {"table4.json", "table4.md", "table4.html", "table4.tex"}
    with sqlite3.connect(out / "mlflow.db") as store:
        assert store.execute("select count(*) from runs").fetchone() == (3,)  # the reproduction, bicubic, ours
    assert main(["show", "--table", "4", "--format", "json", "--out", str(out)]) == 0
    cells = json.loads(capsys.readouterr().out)
    measured = [cell for cell in cells if cell["value"] is not None]
    assert {(cell["row"], cell["dataset"], cell["verdict"]) for cell in measured} == {
        ("Bicubic", "Sample", "no published value"),
        ("HCFlow (ours, 6000 steps)", "Sample", "no published value"),
    }
    for name in ("text", "md", "html", "tex"):
        assert main(["show", "--table", "table4", "--format", name, "--out", str(out)]) == 0
        assert "Bicubic" in capsys.readouterr().out
    target = tmp_path / "reports"
    assert main(["report", "--out", str(out), "--to", str(target), "--no-thumbnails"]) == 0
    assert len(list(target.iterdir())) == 4
    assert "data:image" not in (target / "table4.html").read_text()
    assert "data:image" in (out / "table4.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "9"], "expected a table of 1, 2, 3, 4; got '9'"),
        (["--table", "4", "--method", "bicubik"], "did you mean Bicubic?"),
        (["--table", "4", "--dataset", "Set6"], "did you mean Set5?"),
        (["--table", "4", "--device", "cuda:99"], "expected auto, cpu, or a device of this machine, got 'cuda:99'"),
        (["--ablation", "case9"], "expected a method in table1 of case1"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_an_output_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file", "--table", "4") == 2
    assert "expected a place to write to" in capsys.readouterr().err


def test_a_data_root_that_does_not_exist_is_not_taken_for_missing_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "typo"))
    assert run(tmp_path / "out", "--table", "4") == 2
    assert "HCFLOW_DATA: expected a folder of data sets, got" in capsys.readouterr().err


def test_a_missing_data_set_is_a_cell_not_a_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--table", "4", "--method", "bicubic", "--dataset", "Set5", "Sample", "--limit", "1") == 0
    printed = capsys.readouterr().out
    assert "needs data Set5" in printed
    assert "python -m bench data" in printed
    assert "1 of 3 images" in printed


def test_there_must_be_records_to_report_or_track(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("report", "track"):
        assert main([command, "--out", str(tmp_path)]) == 2
        assert "expected records of a run, got none" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["run"], ["show"], ["report"], ["track"], ["data"], ["weights"]])
def test_help_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


def test_an_ablation_is_a_row_of_table_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--ablation", "case5", "--dataset", "Sample") == 0
    assert "case5 on Sample: needs weights HCFlow_case5_x4" in capsys.readouterr().out


def test_perf_times_the_network(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perf, "_SHAPES", ((8, 8),))
    assert main(["perf", "--preset", "rescale_x4", "--size", "4", "--repeats", "1"]) == 0
    printed = capsys.readouterr().out
    assert "| decode, each of 5 draws | bf16 |" in printed


@pytest.mark.parametrize("command", [["bench", "weights", "list"], ["hcflow", "--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(command: list[str]) -> None:
    process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait()
    process.stderr.close()
