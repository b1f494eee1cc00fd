"""Weights of one's own: measured beside the paper's row, shown by later commands, trained where a budget says so."""

import json
from dataclasses import replace

import pytest
import torch
from tiny import SIZES, model

from bench.__main__ import main
from bench.cli.options import suite_of
from bench.records.journal import load_journals
from bench.records.own_rows import with_rows
from bench.runs.own_weights import in_precision, weight_rows
from bench.suites import reading
from bench.tracking.tables import Tracker
from bench.training import ablation
from hcflow.checkpoint import save
from hcflow.train import recipes
from hcflow.train.session import is_finished


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
    assert "mine on Sample" in text or "mine   " in text
    shown = cells(capsys, "--table", 4, "--out", out)
    rows = list(dict.fromkeys(cell["row"] for cell in shown))
    assert rows[rows.index("HCFlow") :] == [
        "HCFlow",
        "HCFlow (ours, 4200 steps)",
        "mine",
        "HCFlow small (ours, 1510 steps)",
    ]
    mine = next(cell for cell in shown if cell["row"] == "mine" and cell["dataset"] == "Sample")
    assert mine["value"] > 0
    assert mine["published"] is None
    assert main(run) == 0
    assert [entry.cached for entry in load_journals(out)[-1].entries] == [1]
    assert (
        main(["run", "--table", "4", "--method", "bicubic", "--dataset", "Sample", "--limit", "1", "--out", str(out)])
        == 0
    )
    capsys.readouterr()
    assert any(cell["row"] == "mine" for cell in cells(capsys, "--table", 4, "--out", out))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "4", "--weights", "none.pth"], "expected a file of weights, got none.pth"),
        (["--table", "3", "--weights", "mine.safetensors"], "expected a network for x8, got one for x4"),
        (["--table", "4", "--budget", "smoke"], "expected --ablation CASE with --budget, got none"),
        (["--table", "4", "--seed", "1"], "expected --budget with --seed, got none; without it nothing is trained"),
        (["--ablation", "case1", "--seed", "1"], "expected --budget with --seed"),
        (
            ["--ablation", "case1", "--budget", "smoke", "--seed", "0", "1", "--shard", "1/2"],
            "expected --executor or --workers with several seeds, got --shard",
        ),
        (["--table", "4", "--as", "Mine"], "expected --weights FILE or your own method with --as"),
        (["--table", "4", "--train-data", "x"], "expected --budget with --train-data"),
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
    assert [entry.cached for entry in load_journals(tmp_path / "out")[-1].entries] == [1]


def test_a_seed_is_a_row_of_its_own_in_the_same_series(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Tracker, "_guard", lambda *_: None)  # MLflow has tests of its own
    monkeypatch.setitem(recipes.RECIPES, "case5", replace(recipes.RECIPES["case5"], network=SIZES["case5"]))
    run = ["run", "--ablation", "case5", "--budget", "smoke", "--dataset", "Sample", "--limit", "1", "--out", "out"]
    assert main([*run, "--seed", "1"]) == 0
    captured = capsys.readouterr()
    assert "case5 (ours, smoke, 12 steps, seed 1)" in captured.out
    assert "case5-smoke-seed1: 12 steps on 3 images" in captured.err
    recipe = recipes.RECIPES["case5"].at("smoke")
    assert [is_finished(tmp_path / "runs" / "case5-smoke-seed1", recipe, seed) for seed in (1, 0)] == [True, False]
    (row,) = [row for row in suite_of("1", None, tmp_path / "out").rows if row.name.endswith("seed 1)")]
    assert (row.series, row.seed, row.beside) == ("smoke, 12 steps", 1, "case5")
    for path in (tmp_path / "out" / "runs").glob("*.json"):  # as a version without these fields wrote them
        journal = json.loads(path.read_text())
        for row in journal["command"]["own_rows"]:
            del row["series"], row["seed"]
        path.write_text(json.dumps(journal))
    (old,) = [row for row in suite_of("1", None, tmp_path / "out").rows if row.name.endswith("seed 1)")]
    assert (old.series, old.seed, old.beside) == ("", 0, "case5")


def test_own_rows_stand_behind_their_row_in_order():
    table = reading.load_suite("table1")
    base = table.select(["case2"])[0]
    first, second = (replace(base, name=f"case2 ({label})", key={}, beside="case2") for label in "ab")
    names = [row.name for row in with_rows(table, [first, second]).rows]
    assert names[1:4] == ["case2", "case2 (a)", "case2 (b)"]
    again = with_rows(with_rows(table, [first, second]), [first])
    assert sorted(row.name for row in again.rows) == sorted(names)


@pytest.mark.parametrize("name", ["", "My network"])
def test_weights_are_a_row_at_every_temperature_that_the_table_has_for_hcflow(name, tmp_path):
    file = tmp_path / "run7.safetensors"
    save(model("sr_x4", torch.float32), file)
    table = reading.load_suite("table2")
    rows = weight_rows(table, file, name)
    papers = [row for row in table.rows if row.method == "hcflow"]
    assert {row.temperature for row in rows} == {row.temperature for row in papers} == {0.0, 0.9}
    label = name or "run7"
    assert [row.name for row in rows] == [f"{label} tau=0", f"{label} tau=0.9"]
    for row in rows:
        assert str(tmp_path) not in row.name
        assert not row.key
        assert all(table.published_value(row, "DIV2K", column) is None for column in table.columns)
    both = with_rows(table, rows)
    names = [row.name for row in both.rows]
    behind = names.index(papers[-1].name)
    assert names[behind + 1 : behind + 3] == [row.name for row in rows]


def test_a_network_that_the_table_has_no_row_for_is_one_row_at_its_usual_temperature(weights):
    (row,) = weight_rows(reading.load_suite("table2"), weights)
    assert (row.name, row.temperature, row.settings) == ("mine", 1.0, {"task": "rescaling"})


def test_another_precision_is_another_row_that_is_never_compared():
    table = reading.load_suite("4")
    (row,) = in_precision(table.select(["HCFlow"]), "bf16")
    assert (row.name, row.precision, row.beside, row.as_published) == ("HCFlow (bf16)", "bf16", "HCFlow", ())
    assert table.published_value(row, "Set5", table.columns[0]) is None
    assert in_precision(table.rows, "fp32") == table.rows
    assert row.series == ""
    (row,) = in_precision([replace(row, series="small, 3,000 steps", seed=1)], "tf32")
    assert (row.series, row.seed) == ("small, 3,000 steps, tf32", 1)  # not measured as the rows of the series
