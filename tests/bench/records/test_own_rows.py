"""Weights of one's own: measured beside the paper's row, shown by later commands, trained where a budget says so."""

import json
from dataclasses import replace

import pytest
import torch
from tiny import SIZES, model

from bench.__main__ import main
from bench.records.own_rows import own_row, with_rows
from bench.suites import suite
from bench.training import ablation
from hcflow.checkpoint import save
from hcflow.train import recipes


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "mine.safetensors"
    save(model("rescale_x4", torch.float32), path)
    return path


def cells(capsys, *arguments):
    assert main(["show", "--format", "json", *map(str, arguments)]) == 0
    return json.loads(capsys.readouterr().out)


def test_weights_in_a_file_are_a_row_beside_the_papers(weights, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    run = ["run", "--table", "4", "--weights", weights.name, "--dataset", "Sample", "--limit", "1", "--out", str(out)]
    assert main(run) == 0
    text = capsys.readouterr().out
    assert "HCFlow (mine.safetensors)" in text
    shown = cells(capsys, "--table", 4, "--out", out)
    rows = list(dict.fromkeys(cell["row"] for cell in shown))
    assert rows[rows.index("HCFlow") :] == ["HCFlow", "HCFlow (ours, 6000 steps)", "HCFlow (mine.safetensors)"]
    mine = next(cell for cell in shown if cell["row"] == "HCFlow (mine.safetensors)" and cell["dataset"] == "Sample")
    assert mine["value"] > 0
    assert mine["published"] is None
    assert main(run) == 0
    assert "1 of them cached" in capsys.readouterr().err
    assert (
        main(["run", "--table", "4", "--method", "bicubic", "--dataset", "Sample", "--limit", "1", "--out", str(out)])
        == 0
    )
    capsys.readouterr()
    assert any(cell["row"] == "HCFlow (mine.safetensors)" for cell in cells(capsys, "--table", 4, "--out", out))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "4", "--weights", "none.pth"], "expected a file of weights, got none.pth"),
        (["--table", "2", "--method", "HCFlow", "--weights", "mine.safetensors"], "network for super-resolution, got"),
        (["--table", "4", "--budget", "smoke"], "expected --ablation CASE with --budget, got --table"),
        (["--table", "4", "--method", "bicubic", "--weights", "mine.safetensors"], "expected a row of HCFlow"),
        (["--ablation", "case1", "--budget", "hour"], "expected training images, got none; give --train-data DIR"),
        (["--ablation", "case1", "--budget", "smoke", "--train-data", "none"], "expected a folder of images, got none"),
    ],
)
def test_mistakes_are_one_line(arguments, message, weights, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", *arguments, "--out", str(tmp_path / "out")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not list(tmp_path.glob("out/runs/*"))  # and no row of it stays behind


def test_an_ablation_is_trained_once_for_a_budget(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(recipes.RECIPES, "case5", replace(recipes.RECIPES["case5"], network=SIZES["case5"]))
    run = ["run", "--ablation", "case5", "--budget", "smoke", "--dataset", "Sample", "--limit", "1", "--out", "out"]
    assert main(run) == 0
    captured = capsys.readouterr()
    assert "case5 (ours, smoke, 12 steps)" in captured.out
    assert "case5-smoke: 12 steps on 3 images" in captured.err
    assert (tmp_path / "runs" / "case5-smoke" / "weights" / "last.safetensors").is_file()
    monkeypatch.setattr(ablation, "train", lambda *_: pytest.fail("trained again"))
    assert main(run) == 0
    assert "1 of them cached" in capsys.readouterr().err


def test_own_rows_stand_behind_their_row_in_order(tmp_path):
    weights = tmp_path / "mine.safetensors"
    save(model("case2", torch.float32), weights)
    table = suite.load_suite("table1")
    base = table.select(["case2"])[0]
    first, second = (own_row(table, base, weights, label) for label in ("a", "b"))
    names = [row.name for row in with_rows(table, [first, second]).rows]
    assert names[1:4] == ["case2", "case2 (a)", "case2 (b)"]
    assert table.csv_line(first)["latent_space"] == table.csv_line(base)["latent_space"]
    again = with_rows(with_rows(table, [first, second]), [first])
    assert sorted(row.name for row in again.rows) == sorted(names)
