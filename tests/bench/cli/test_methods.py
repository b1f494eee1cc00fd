"""methods: one line each, and everything about one."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import main
from bench.methods.method import METHODS


def test_every_method_is_a_line_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[1 : lines.index("")]] == METHODS.names()
    rrdb = next(line for line in lines if line.startswith("rrdb "))
    assert rrdb.split() == ["rrdb", "SR", "x4,x8", "5.9M-16.7M", "missing", "ECCVW", "2018"]
    hcflow = next(line for line in lines if line.startswith("hcflow "))
    assert "2 of 14 present" in hcflow  # the network that comes with the project


def test_details_name_rows_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "rrdb", "bicubic"]) == 0
    rrdb, bicubic = capsys.readouterr().out.split("\n\n")
    assert "weights RRDB_PSNR_x4: missing, 16,697,987 parameters" in rrdb
    assert "python -m bench weights" in rrdb
    assert "table4: RRDB" in rrdb
    assert "weights" not in bicubic


def test_json_has_the_digest_of_what_is_at_hand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "hcflow", "--format", "json"]) == 0
    (hcflow,) = json.loads(capsys.readouterr().out)
    shipped = [one for one in hcflow["files"] if one["state"] == "shipped"]
    assert {one["id"] for one in shipped} == {"HCFlow_rescaling_x4_ours", "HCFlow_x4_small_ours"}
    assert len(shipped[0]["sha256"]) == 64
    assert shipped[0]["get"] == ""


def test_a_method_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "rdrb"]) == 2
    error = capsys.readouterr().err
    assert "did you mean rrdb?" in error
    assert error.count("\n") == 1
