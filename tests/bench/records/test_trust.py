"""Reading a results folder runs no code that the folder names, unless it is trusted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables_helper import bicubic, five, measured

import bench
from bench.__main__ import main
from bench.errors import BenchError
from bench.records import journal as journals
from bench.records.trust import unsafe_measure, unsafe_method, unsafe_suite
from bench.tracking.mirror import suite_of
from bench.tracking.tables import Tracker

VARIANT = "y,crop4,u8"
SUITE = """
title = "Mine"
scale = 4
datasets = ["Set5"]
columns = [{{ id = "psnr_y", measure = "{metric}@y,crop4,u8" }}]
rows = [{{ name = "Bicubic", method = "{method}" }}]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of somebody's that says when it is imported."""
    name = f"somebodys_{tmp_path.name.replace('-', '_')}"
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / f"{name}.py").write_text(
        f"open({str(tmp_path / 'it-ran')!r}, 'w').close()\n"
        "from bench.methods.bicubic import METHOD\nfrom bench.metrics.psnr import METRIC\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setattr(Tracker, "_guard", lambda *_: None)
    journals.warn_once.cache_clear()
    return name


@pytest.fixture
def folder(tmp_path: Path, module: str) -> Path:
    """Results whose journal names the module as a column, as a row's method and as a row's protocol."""
    out = tmp_path / "results"
    measured(out, "RRDB", {name: [30.0 + index] for index, name in enumerate("abcde")})
    journal = bicubic(out, dict.fromkeys("abcde", 28.0))
    published = {"metrics": [f"{module}:METRIC"], "variant": VARIANT, "note": "as they say"}
    journal.command = {
        "also": [f"{module}:METRIC"],
        "own_rows": [
            {"name": "Theirs", "method": f"{module}:METHOD"},
            {"name": "Noted", "method": "bicubic", "as_published": [published]},
        ],
    }
    journal.save()
    return out


@pytest.mark.parametrize(
    "command",
    [
        ["show", "--table", "4", "--out", "OUT"],
        ["show", "--table", "4", "--format", "html", "--out", "OUT"],
        ["report", "--table", "4", "--out", "OUT", "--to", "OUT/site"],
        ["compare", "RRDB", "Bicubic", "--table", "4", "--out", "OUT"],
        ["export", "OUT", "--to", "OUT/all.csv"],
        ["verify", "OUT"],
        ["figure", "scatter", "--table", "4", "--out", "OUT"],
        ["track", "--out", "OUT"],
    ],
    ids=lambda command: " ".join(command[:1]),
)
def test_no_command_runs_it(
    folder: Path, module: str, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main([text.replace("OUT", str(folder)) for text in command])
    assert not (tmp_path / "it-ran").exists()
    assert module not in sys.modules
    if command[0] == "track":
        return  # MLflow is not told anything in tests
    said = [line for line in capsys.readouterr().err.splitlines() if "is left out" in line]
    assert [line.split(" is left out")[0] for line in said] == [
        "warning: the row Theirs", "warning: the row Noted", f"warning: the column {module}:METRIC",
    ]  # fmt: skip
    assert all(f"names {module}:" in line and "--trust" in line for line in said)


def test_mlflow_runs_nothing(folder: Path, module: str, tmp_path: Path) -> None:
    for journal in journals.load_journals(folder):
        assert suite_of(journal, None) is not None
    assert not (tmp_path / "it-ran").exists()


def test_load_runs_it_only_where_it_is_trusted(folder: Path, module: str, tmp_path: Path) -> None:
    assert set(bench.load(folder).cells["row"]) == {"RRDB", "Bicubic"}
    assert not (tmp_path / "it-ran").exists()
    table = bench.load(folder, trust=True).tables[0][1]
    assert (tmp_path / "it-ran").exists()
    assert {"Theirs", "Noted"} <= {row.name for row in table.suite.rows}


def test_show_with_trust_has_all_of_it(folder: Path, module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--table", "4", "--format", "json", "--trust", "--out", str(folder)]) == 0
    captured = capsys.readouterr()
    cells = json.loads(captured.out)
    assert "left out" not in captured.err
    assert {"Theirs", "Noted"} <= {cell["row"] for cell in cells}
    assert f"{module}:METRIC@" in captured.out


@pytest.mark.parametrize("which", ["metric", "method"])
def test_a_recorded_suite_is_refused(tmp_path: Path, module: str, which: str) -> None:
    journal = bicubic(tmp_path / "results", five(28.0))
    names = {"metric": "psnr", "method": "bicubic"} | {which: f"{module}:{which.upper()}"}
    journal.texts = {"suite": SUITE.format(**names)}
    journal.save()
    with pytest.raises(BenchError, match=f"the suite table4 that was recorded names {module}:.* --trust"):
        bench.load(tmp_path / "results")
    assert not (tmp_path / "it-ran").exists()
    assert main(["verify", str(tmp_path / "results")]) == 2
    assert not (tmp_path / "it-ran").exists()
    assert bench.load(tmp_path / "results", trust=True).tables[0][1].suite.title == "Mine"


def test_what_a_command_names_is_in_its_own_table(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "results")
    command = ["run", "--table", "4", "--dataset", "Sample", "--limit", "1", "--out", out]
    for _ in range(2):  # the second finds its names in the journal of the first
        assert main([*command, "--method", f"{module}:METHOD", "--also", f"{module}:METRIC"]) == 0
        captured = capsys.readouterr()
        assert "left out" not in captured.err
        sys.modules.pop(module)  # as in another process
    assert main(["show", "--table", "4", "--out", out]) == 0
    assert "left out" in capsys.readouterr().err


def test_names_that_need_no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [unsafe_measure(text) for text in ("psnr@y,crop4,u8", "pyiqa:dists", "nothing")] == ["", "", ""]
    assert [unsafe_method(text) for text in ("bicubic", "spandrel", "onnx")] == ["", "", ""]
    assert unsafe_measure("os:system@x") == "os:system"  # there, but no metric
    assert unsafe_method("bench.methods.bicubic:METHOD") in ("", "bench.methods.bicubic:METHOD")
    import bench.methods.bicubic  # noqa: F401

    assert unsafe_method("bench.methods.bicubic:METHOD") == ""
    assert unsafe_suite(SUITE.format(metric="psnr", method="bicubic")) == ""
    assert unsafe_suite("no toml [") == ""
    assert unsafe_suite("columns = 3\nrows = [3, {method = [1]}]") == ""
