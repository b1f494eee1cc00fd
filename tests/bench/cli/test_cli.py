"""The command line as scripts see it: what it prints, and one line with exit code 2 for bad input."""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.cli import perf
from bench.cli import run as run_command
from bench.cli.options import suite_of
from bench.suites.reading import load_suite, suite_names


def run(out: Path, *arguments: str) -> int:
    return main(["run", "--out", str(out), *arguments])


def test_the_main_job_without_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    assert run(out, "--table", "4") == 0
    printed = capsys.readouterr().out
    assert "published numbers do not apply" in printed
    assert "nox -s reproduce_table4 -- --fetch" in printed
    joined = " ".join(printed.split())
    assert "python -m bench data fetch Set5 Set14 BSD100 Urban100" in joined
    assert "RRDB (all data sets): needs weights RRDB_PSNR_x4" in joined
    assert "SRCNN, paper: Set5 PSNR (Y) 30.48, SSIM (Y) 0.8628" in joined  # of rows that were not run, too
    assert {path.name for path in out.glob("table4.*")} == {"table4.json", "table4.md", "table4.html", "table4.tex"}
    with sqlite3.connect(out / "mlflow.db") as store:
        assert store.execute("select count(*) from runs").fetchone() == (7,)  # the reproduction; rows and cells
    assert main(["show", "--table", "4", "--format", "json", "--out", str(out)]) == 0
    cells = json.loads(capsys.readouterr().out)
    measured = [cell for cell in cells if cell["value"] is not None]
    assert {(cell["row"], cell["dataset"], cell["verdict"]) for cell in measured} == {
        ("Bicubic", "Sample", "no published value"),
        ("HCFlow (ours, 4200 steps)", "Sample", "no published value"),
        ("HCFlow small (ours, 1510 steps)", "Sample", "no published value"),
    }
    for name in ("text", "md", "html", "tex"):
        assert main(["show", "--table", "table4", "--format", name, "--out", str(out)]) == 0
        assert "Bicubic" in capsys.readouterr().out
    target = tmp_path / "reports"
    assert main(["report", "--out", str(out), "--to", str(target), "--no-thumbnails"]) == 0
    assert {path.name for path in target.iterdir()} == {
        "index.html",
        *(f"table4.{suffix}" for suffix in ("html", "json", "md", "tex")),
    }
    assert "data:image" not in (target / "table4.html").read_text()
    assert "data:image" in (out / "table4.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "9"], "expected a table of beyond, 1, 2, 3, 4"),
        (["--table", "4", "--method", "bicubik"], "did you mean Bicubic?"),
        (["--table", "4", "--dataset", "Set6"], "did you mean Set5?"),
        (["--table", "4", "--device", "cuda:99"], "cuda[:N] or mps of this machine, got 'cuda:99'"),
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
    assert "--out: expected a folder for the records, got the file" in capsys.readouterr().err


def test_a_data_root_that_does_not_exist_is_not_taken_for_missing_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "typo"))
    assert run(tmp_path / "out", "--table", "4") == 2
    assert "HCFLOW_DATA: expected a folder of data sets, got" in capsys.readouterr().err


def test_a_missing_data_set_is_a_cell_not_a_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--table", "4", "--method", "bicubic", "--dataset", "Set5", "Sample", "--limit", "1") == 0
    printed = capsys.readouterr().out
    assert "python -m bench data fetch Set5" in " ".join(printed.split())
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


def test_an_ablation_is_that_row_alone_with_its_published_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--ablation", "case5", "--dataset", "Sample") == 2  # no weights of it were ever released
    printed = capsys.readouterr().out
    assert printed.startswith("Nothing could run. The first reason: needs weights HCFlow_case5_x4")
    assert "case5 (all data sets): needs weights" in " ".join(printed.split())
    assert "case5, paper: DIV2K PSNR (RGB), τ=0 " in printed
    assert not any(f"case{number}" in printed for number in range(1, 5))


def test_where_nothing_can_run_the_first_line_says_what_to_get(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--table", "4", "--method", "RRDB", "--dataset", "Sample") == 2
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("Nothing could run. The first reason: needs weights RRDB_PSNR_x4")
    assert "python -m bench weights" in first


def planned(*arguments: str) -> tuple[list[str], list[str]]:
    """The rows and data sets that a command asks for."""
    parser = argparse.ArgumentParser()
    run_command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["run", *arguments])
    suite = suite_of(args.table, args.suite, args.out)
    _, rows = run_command._rows(args, suite)
    return [row.name for row in rows], args.dataset


def test_a_row_is_itself_and_a_method_all_its_rows(tmp_path: Path) -> None:
    table = ["--table", "4", "--out", str(tmp_path)]
    ours = ["HCFlow (ours, 4200 steps)", "HCFlow small (ours, 1510 steps)"]
    assert planned(*table, "--method", "HCFlow")[0] == ["HCFlow"]
    assert planned(*table, "--method", "hcflow")[0] == ["HCFlow", *ours]
    assert planned(*table, "--method", "Bicubic", "--method", "hcflow")[0] == ["Bicubic", "HCFlow", *ours]
    assert planned(*table, "--method", "Bicubic", "hcflow")[0] == ["Bicubic", "HCFlow", *ours]


def test_data_sets_may_follow_one_option_or_several(tmp_path: Path) -> None:
    table = ["--table", "4", "--out", str(tmp_path)]
    one = planned(*table, "--dataset", "Set5", "Sample")
    assert one == planned(*table, "--dataset", "Set5", "--dataset", "Sample")
    assert one[1] == ["Set5", "Sample"]


def test_the_list_says_of_every_row_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--list"]) == 0
    printed = capsys.readouterr().out
    for name in suite_names():
        assert f"{name}: {load_suite(name).title}" in printed
    assert all(len(line) <= 80 for line in printed.splitlines() if "─" in line)
    lines = printed[printed.index("table4: ") :].splitlines()
    assert any(line.split()[:1] == ["RRDB"] and "needs weights RRDB_PSNR_x4" in line for line in lines)
    assert any(
        line.split()[:1] == ["Bicubic"] and "needs data: python -m bench data fetch Set5 Set14" in line
        for line in lines
    )


def test_a_dry_run_measures_nothing_and_estimates_from_earlier_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--table", "4", "--method", "Bicubic", "RRDB", "--dataset", "Sample"]
    assert run(tmp_path, *ask, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert re.search(r"Bicubic +Sample +3 +0 +unknown", printed)
    assert re.search(r"RRDB +Sample +not run: needs weights RRDB_PSNR_x4", printed)
    assert "nothing was run" in printed
    assert run(tmp_path, "--table", "4", "--method", "Bicubic", "--dataset", "Sample", "--limit", "1") == 0
    capsys.readouterr()
    before = sorted(tmp_path.rglob("*"))
    assert run(tmp_path, *ask, "--dry-run") == 0
    assert re.search(r"Bicubic +Sample +3 +1 +[\d.]+ s", capsys.readouterr().out)
    assert sorted(tmp_path.rglob("*")) == before


OWN = """
title = "Mine"
scale = 4
datasets = ["Sample"]
columns = [{ id = "psnr", measure = "psnr@rgb,crop4,u8" }]
rows = [{ name = "Bicubic", method = "bicubic", published = { Sample_psnr = "27.00" } }]
"""


def test_a_table_of_your_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN)
    out = tmp_path / "out"
    assert run(out, "--suite", str(file), "--limit", "1") == 0
    printed = capsys.readouterr().out
    assert "mine: Mine" in printed
    assert "1 of 3 images" in printed
    assert {path.name for path in out.glob("mine.*")} == {"mine.json", "mine.md", "mine.html", "mine.tex"}
    assert main(["show", "--suite", str(file), "--out", str(out), "--format", "json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)
    assert (cell["verdict"], cell["published_text"]) == ("partial", "27.00")
    with sqlite3.connect(out / "mlflow.db") as store:
        assert store.execute("select count(*) from runs").fetchone() == (3,)  # the reproduction, the row, its cell


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        (["--help"], ("torch", "mlflow", "rich.progress", "pandas", "scipy")),
        (["run", "--help"], ("torch", "mlflow", "rich.progress")),
        (["show", "--table", "4", "--out", "."], ("torch", "mlflow", "scipy")),
    ],
    ids=["help", "run help", "show"],
)
def test_what_needs_no_network_loads_none(command: list[str], absent: tuple[str, ...], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom bench.__main__ import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"print(code, [name for name in {absent!r} if name in sys.modules], file=sys.stderr)"
    )
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    words = [sys.executable, "-c", program, *command]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "0 []"
    assert len(done.stdout.splitlines()) > 5


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
