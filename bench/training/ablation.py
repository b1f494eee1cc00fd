"""Training a case of Table 1, whose weights were never released, where no checkpoint of that budget exists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.training import plugin as training
from hcflow.errors import HCFlowError
from hcflow.images.io import ImageError
from hcflow.train.recipe import Budget
from hcflow.train.recipes import RECIPES
from hcflow.train.session import SessionWatcher, Settings, files_of, is_finished, train

_RECIPES = {"HCFlow": "sr_x4"} | {name: name for name in RECIPES if name.startswith("case")}
RUNS = Path("runs")
"""Where `python -m hcflow train` puts its runs, too, so that either goes on with what the other began."""


def trained_weights(
    row: str, budget: Budget, data: Sequence[str], device: str, watcher: SessionWatcher
) -> tuple[Path, int]:
    """Weights of a row of Table 1, trained at a budget now or earlier.

    Args:
        row: case1 .. case5 or HCFlow.
        budget: how long.
        data: folders or data sets; for `smoke` none means Sample.
        device: to train on.
        watcher: of the training.

    Returns:
        (file, training steps).

    Raises:
        BenchError: no data, or training did not end well; what was done is saved and the same command goes on.
    """
    recipe = RECIPES[_RECIPES[row]].at(budget)
    name = f"{recipe.name}-{budget}"
    file = RUNS / name / "weights" / "last.safetensors"
    steps = sum(stage.iterations for stage in recipe.stages)
    if not data and is_finished(RUNS / name, recipe) and file.is_file():
        return file, steps  # with data given, `train` also checks that it was trained on them
    names = list(data) or (["Sample"] if budget == "smoke" else [])
    if not names:
        raise BenchError(f"{row} at the budget {budget}: expected training images, got none; give --train-data DIR")
    try:
        settings = Settings(name, recipe, RUNS / name, files_of(names, training), device=device)
        ending = train(settings, watcher, training)
    except (HCFlowError, ImageError) as error:
        raise BenchError(str(error)) from None
    if ending != "finished":
        raise BenchError(f"{row}: training was stopped and saved in {RUNS / name}; the same command goes on from there")
    return file, steps
