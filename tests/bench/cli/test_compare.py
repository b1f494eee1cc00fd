"""What `bench compare` prints, in each of its formats."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

from tables_helper import measured

from bench.__main__ import main
from bench.statistics.paired import compare

A = {name: [30.0 + i, 30.5 + i] for i, name in enumerate("abcde")}
B = {name: [29.0 + 0.9 * i] for i, name in enumerate("abcdf")}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    measured(tmp_path, "RRDB", A)
    measured(tmp_path, "EDSR", B)
    return tmp_path


def test_text(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "RRDB", "EDSR", "--dataset", "Set5", "--metric", "psnr_y", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "A: RRDB   B: EDSR   (table4, common protocol)" in said
    assert "Set5   PSNR (Y) ↑   31.7500   30.3500   +1.4000" in said
    assert "images are drawn first, then the draws of each" in said
    assert "4 images: the smallest possible p is 0.1250, so with 1 test none can be significant at 5 %." in said
    assert "Set5, PSNR (Y): left out, images that only A has: 1." in said


def test_json_has_all_digits(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "RRDB", "EDSR", "--out", str(out), "--seed", "3", "--format", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    expected = compare([A[name] for name in "abcd"], [B[name] for name in "abcd"], "higher", 3)
    assert one["interval"] == [expected.low, expected.high]
    assert (one["difference"], one["p"], one["p_holm"]) == (expected.difference, expected.p, expected.p)
    assert (one["images"], one["better"], one["only_a"], one["only_b"], one["two_stages"]) == (4, 4, 1, 1, True)
    assert one["protocol"] == "psnr@y,crop4,u8"


def test_markdown(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "RRDB", "EDSR", "--out", str(out), "--format", "markdown"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert {line.count("|") for line in lines} == {13}
    assert lines[2].startswith("| Set5 | PSNR (Y) ↑ | 31.7500 | 30.3500 | +1.4000 |")


def test_infinite_values_are_strict_json(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(out, "RCAN", {name: [math.inf] for name in "abc"})
    measured(out, "SRCNN", {"a": [math.inf], "b": [30.0], "c": [31.0]})
    assert main(["compare", "RCAN", "SRCNN", "--out", str(out), "--format", "json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["mean_a"], one["difference"], one["interval"], one["p"]) == ("inf", None, None, None)
    assert (one["better"], one["equal"]) == (2, 1)
    assert main(["compare", "RCAN", "SRCNN", "--out", str(out)]) == 0
    assert "Set5, PSNR (Y): some values are infinite." in capsys.readouterr().out


def test_nothing_to_pair_is_one_line_and_exit_code_2(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "RRDB", "Bicubic", "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        "error: psnr_y on Set5: expected images that both have, got 5 images of RRDB and 0 images of"
    )
    assert said.count("\n") == 1
