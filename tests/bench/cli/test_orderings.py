"""What `bench orderings` prints, in each of its formats; and that a run of all cases tells it, too."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

from tables_helper import label, measured, trained

from bench.__main__ import main
from bench.cli.options import positive, suite_of, whole
from bench.cli.presenting import _shown
from bench.records.tables import build_table
from bench.report import grid
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


@pytest.mark.parametrize("seed", ["-1", "1.5", "9" * 19, "²"])
@pytest.mark.parametrize("command", [["orderings", "--table", "4"], ["compare", "A", "B"], ["verify", "results"]])
def test_a_seed_is_a_whole_number(command: list[str], seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, f"--seed={seed}"])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"expected a whole number from 0, of at most 18 digits, got '{seed}'" in last


def test_numbers_are_whole_or_refused() -> None:
    """Not cut: 21 digits were taken for their first 20."""
    assert whole("0") == 0
    assert positive("9" * 18) == 10**18 - 1
    for check, text in ((whole, "1" * 21), (positive, "1" * 19), (positive, "0"), (whole, "")):
        with pytest.raises(ArgumentTypeError, match="expected a whole number from"):
            check(text)


def test_names_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither as a picture, nor as what moves a terminal's cursor."""
    for case, mean in (("case1", 10.0), ("case2", 27.0), ("case5", 26.0)):
        columns = {"psnr_rgb_tau0": [[mean + n] for n in range(6)]}
        trained(tmp_path, case, columns, series="a:smile:b")
        trained(tmp_path, case, columns, series="bad\x1b[2J\nseries")
        trained(tmp_path, case, columns, name=f"{case}\x1b[2J")
    for command in (["orderings"], ["show"]):
        assert main([*command, "--table", "1", "--out", str(tmp_path)]) == 0
        captured = capsys.readouterr()
        assert "eries: a:smile:b" in captured.out
        assert "\x1b" not in captured.out + captured.err
        assert "bad" not in captured.out
        assert captured.err == "" or "left out: expected a name without control characters, got " in captured.err


def test_a_run_tells_the_orderings_of_the_rows_that_it_was_asked_for(tmp_path: Path) -> None:
    """Its table has these rows alone, not those of the paper that they stand beside."""
    for case, mean in (("case1", 10.0), ("case2", 27.0), ("case5", 26.0)):
        trained(tmp_path, case, {"psnr_rgb_tau0": [[mean + n] for n in range(4)]})
    suite = suite_of("1", None, tmp_path)
    full = build_grid(build_table(suite, tmp_path))
    one, none = (
        _shown(full, Namespace(rows=[row for row in suite.rows if row.name in names]))
        for names in ({label("case1")}, {"HCFlow"})
    )
    assert [row.name for row in one.rows] == [label("case1")]
    assert one.orderings == full.orderings != ()
    assert none.orderings == ()


def test_the_orderings_of_the_part_are_not_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for case, mean in (("case1", 10.0), ("case2", 27.0), ("case5", 26.0)):
        trained(tmp_path, case, {"psnr_rgb_tau0": [[mean + n] for n in range(4)]})
    suite = suite_of("1", None, tmp_path)
    full = build_grid(build_table(suite, tmp_path))
    monkeypatch.setattr(grid, "orderings_of", lambda _: pytest.fail("computed again"))
    shown = _shown(full, Namespace(rows=[row for row in suite.rows if row.name == label("case1")]))
    assert shown.orderings == full.orderings
