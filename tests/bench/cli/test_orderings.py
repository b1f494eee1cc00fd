"""What `bench orderings` prints, in each of its formats; and that a run of all cases tells it, too."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

from tables_helper import label, measured, trained

from bench.__main__ import main
from bench.cli.options import suite_of
from bench.cli.presenting import _shown
from bench.records.tables import build_table
from bench.report.grid import build_grid

ROWS = {"Bicubic": 28.0, "SRCNN": 31.0, "RRDB": 30.0}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for dataset in ("Set5", "Set14"):
        for row, mean in ROWS.items():
            measured(tmp_path, row, {str(n): [mean + n] for n in range(6)}, dataset=dataset)
    return tmp_path


def test_text(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["orderings", "--table", "4", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "table4, rows of the paper: Of 6 orderings 4 hold, 2 are reversed, 0 are undecided." in said
    assert "PSNR (Y) ↑   Set5       3      0.33    0.33 to 0.33" in said
    (line,) = [line for line in said.splitlines() if "reversed" in line and "Set14" in line]
    assert " ".join(line.split()) == "PSNR (Y) ↑ Set14 RRDB > SRCNN ✗ reversed +1.50 −1.0000 0.0312 0.00 %"


def test_json_and_its_choices(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["orderings", "--table", "4", "--out", str(out), "--format", "json"]
    assert main([*command, "--dataset", "Set14", "--metric", "psnr_y"]) == 0
    (series,) = json.loads(capsys.readouterr().out)["series"]
    (one,) = series["orderings"]
    assert (one["dataset"], one["holds"], one["reversed"], one["within_noise"]) == ("Set14", 2, 1, 0)
    assert one["tau_b"] == pytest.approx(1 / 3)


def test_markdown(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["orderings", "--table", "4", "--out", str(out), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("### Do the paper's orderings hold?\n")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dataset", "Set6"], "expected a data set in table4 of "),
        (["--metric", "psnr"], "expected a metric in table4 of "),
        (["--metric", "ssim_y"], "table4: expected at least 3 rows with published values, measured on the same images"),
        (["--table", "9"], "expected a table of "),
        (["--out", "nowhere"], "expected"),
    ],
)
def test_mistakes_are_one_line(
    more: list[str], message: str, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    assert main(["orderings", "--table", "4", "--out", str(out), *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_run_tells_the_orderings_of_the_rows_that_it_was_asked_for(tmp_path: Path) -> None:
    """Its table has these rows alone, not those of the paper that they stand beside."""
    for case, mean in (("case1", 10.0), ("case2", 27.0), ("case5", 26.0)):
        trained(tmp_path, case, {"psnr_rgb_tau0": [[mean + n] for n in range(4)]})
    suite = suite_of("1", None, tmp_path)
    grid = build_grid(build_table(suite, tmp_path))
    one, none = (
        _shown(grid, Namespace(rows=[row for row in suite.rows if row.name in names]))
        for names in ({label("case1")}, {"HCFlow"})
    )
    assert [row.name for row in one.rows] == [label("case1")]
    assert one.orderings == grid.orderings != ()
    assert none.orderings == ()
