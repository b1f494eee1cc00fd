"""Rows of Table 1 trained one after the other: which recipe, which folder, and nothing twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.training import ablation
from bench.training.ablation import ROWS, Trained, missing, recipe_of, train_rows
from hcflow.config import CASES, PRESETS
from hcflow.train.recipe import Recipe


class Watcher:
    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)


@pytest.fixture
def trainings(monkeypatch, tmp_path):
    """Recipes and seeds in the order in which they were trained; training is but a file that appears."""
    done: dict[Path, tuple[Recipe, int]] = {}

    def train(settings, watcher, plugin):
        weights = settings.folder / "weights" / "last.safetensors"
        weights.parent.mkdir(parents=True)
        weights.touch()
        done[settings.folder] = (settings.recipe, settings.seed)
        return "finished"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ablation, "train", train)
    monkeypatch.setattr(ablation, "is_finished", lambda folder, *run: done.get(folder) == run)
    monkeypatch.setattr(ablation, "files_of", lambda names, plugin: tuple(map(Path, names)))
    return done


def test_rows_are_those_of_table_1():
    assert ROWS == ("case1", "case2", "case3", "case4", "case5", "HCFlow")
    assert [recipe_of(row, "paper").network for row in ROWS] == [*CASES.values(), PRESETS["sr_x4"]]


def test_small_rows_differ_from_one_another_as_the_papers_do():
    """Same sizes, steps and crops: what is left is what the table is about."""
    small = [recipe_of(row, "small") for row in ROWS]
    full = small[-1].network
    sizes = {"K": full.K, "P": full.P, "width": full.width, "conditional_width": full.conditional_width}
    assert [one.network for one in small] == [
        replace(network, **sizes, conditioner=full.conditioner) for network in (*CASES.values(), PRESETS["sr_x4"])
    ]
    assert {(one.stages, one.init) for one in small} == {(small[-1].stages, small[-1].init)}


def test_trains_what_is_missing_one_after_the_other(trainings):
    watcher = Watcher()
    first = list(train_rows(["case2"], "small", ["photos"], "cpu", watcher))
    assert first == [
        Trained("case2", Path("runs/case2_small-small/weights/last.safetensors"), 3000, "small, 3,000 steps")
    ]
    assert missing(ROWS, "small") == ["case1", "case3", "case4", "case5", "HCFlow"]
    trainings_before = len(trainings)
    rows = list(train_rows([row for row in ROWS if row != "case2"], "small", ["photos"], "cpu", watcher))
    assert [one.row for one in rows] == ["case1", "case3", "case4", "case5", "HCFlow"]
    assert [recipe.name for recipe, _ in list(trainings.values())[trainings_before:]] == [
        "case1_small", "case3_small", "case4_small", "case5_small", "hcflow_small",
    ]  # fmt: skip
    assert watcher.lines[-1] == "HCFlow: 5 of 5 to train at the budget small"
    assert len(list(train_rows(ROWS, "small", [], "cpu", watcher))) == 6  # no data needed: nothing is trained again
    assert len(trainings) == 6


def test_a_seed_has_a_folder_a_label_and_a_training_of_its_own(trainings):
    watcher = Watcher()
    rows = list(train_rows(["case2", "case5"], "small", ["photos"], "cpu", watcher, [0, 1]))
    assert [(one.row, one.seed, one.label) for one in rows] == [
        ("case2", 0, "small, 3,000 steps"), ("case5", 0, "small, 3,000 steps"),
        ("case2", 1, "small, 3,000 steps, seed 1"), ("case5", 1, "small, 3,000 steps, seed 1"),
    ]  # fmt: skip
    assert {one.series for one in rows} == {"small, 3,000 steps"}
    assert [(folder.name, seed) for folder, (_, seed) in trainings.items()] == [
        ("case2_small-small", 0), ("case5_small-small", 0),
        ("case2_small-small-seed1", 1), ("case5_small-small-seed1", 1),
    ]  # fmt: skip
    assert watcher.lines[2] == "case2, seed 1: 3 of 4 to train at the budget small"
    assert missing(["case1", "case2", "case5"], "small", 1) == ["case1"]
    list(train_rows(["case5"], "small", [], "cpu", watcher, [1]))  # no data needed: nothing is trained again
    assert len(trainings) == 4


def test_a_folder_that_was_trained_with_another_seed_is_not_the_rows(trainings, tmp_path):
    """As `python -m hcflow train --seed 3` leaves it in the folder of the row."""
    list(train_rows(["case2"], "small", ["photos"], "cpu", Watcher()))
    (folder,) = trainings
    trainings[folder] = (trainings[folder][0], 3)
    assert missing(["case2"], "small") == ["case2"]


def test_mistakes_are_one_line(trainings):
    with pytest.raises(BenchError, match=r"row of table 1, got 'case9'; choose from case1, .*, HCFlow"):
        recipe_of("case9", "small")
    with pytest.raises(BenchError, match="expected a budget of smoke, small, hour, paper, got 'smal'"):
        recipe_of("case1", "smal")  # which would train for days
    with pytest.raises(BenchError, match="case1 at the budget small: expected training images, got none; give --train"):
        list(train_rows(["case1"], "small", [], "cpu", Watcher()))
