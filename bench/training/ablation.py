"""Training the rows of Table 1, whose weights were never released, where no checkpoint of that budget exists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.training import plugin as training
from hcflow.errors import HCFlowError
from hcflow.images.io import ImageError
from hcflow.train.recipe import BUDGETS, Budget, Recipe
from hcflow.train.recipes import RECIPES
from hcflow.train.session import SessionWatcher, Settings, files_of, is_finished, train

__all__ = ["ROWS", "RUNS", "Trained", "missing", "recipe_of", "train_rows", "trained_weights"]

_PAPER_RECIPES = {"HCFlow": "sr_x4"} | {name: name for name in RECIPES if name in {f"case{i}" for i in range(1, 6)}}
ROWS = (*(row for row in _PAPER_RECIPES if row != "HCFlow"), "HCFlow")
"""case1 .. case5 and HCFlow, in the order of Table 1."""
RUNS = Path("runs")
"""Where `python -m hcflow train` puts its runs, too, so that either resumes what the other began."""


@dataclass(frozen=True)
class Trained:
    """Weights of a row.

    Attributes:
        row: of Table 1.
        file: the weights.
        steps: of training.
        series: what distinguishes rows that were trained alike from the paper's, such as "small, 3,000 steps".
        seed: of weights, crops and noise.
    """

    row: str
    file: Path
    steps: int
    series: str
    seed: int = 0

    @property
    def label(self) -> str:
        """What distinguishes this row: "small, 3,000 steps", or "small, 3,000 steps, seed 1"."""
        return f"{self.series}, seed {self.seed}" if self.seed else self.series


def recipe_of(row: str, budget: Budget) -> Recipe:
    """The recipe of a row of Table 1 at a budget: at `small` that of a small network, else the paper's.

    Raises:
        BenchError: no such row or budget.
    """
    if budget not in BUDGETS:
        raise BenchError(f"expected a budget of {', '.join(BUDGETS)}, got {budget!r}")
    if row not in ROWS:
        raise BenchError(f"expected a row of table 1, got {row!r}; choose from {', '.join(ROWS)}")
    name = f"{row.lower()}_small" if budget == "small" else _PAPER_RECIPES[row]
    return RECIPES[name].at(budget)


def missing(rows: Sequence[str], budget: Budget, seed: int = 0) -> list[str]:
    """The rows that have no finished training at this budget and seed yet."""
    return [row for row in rows if not _is_trained(recipe_of(row, budget), budget, seed)]


def train_rows(
    rows: Sequence[str],
    budget: Budget,
    data: Sequence[str],
    device: str,
    watcher: SessionWatcher,
    seeds: Sequence[int] = (0,),
) -> Iterator[Trained]:
    """Weights of several rows, one after the other; what was trained before is not trained again.

    Args:
        rows: of Table 1; `ROWS` for all.
        budget: how long.
        data: folders or data sets; for `smoke` none means Sample.
        device: to train on.
        watcher: of the training.
        seeds: of weights, crops and noise; all rows are trained with the first, then with the next.

    Raises:
        BenchError: as `trained_weights`; rows that came before were yielded and are kept.
    """
    waiting = [(row, seed) for seed in seeds for row in missing(rows, budget, seed)]
    for row, seed in [(row, seed) for seed in seeds for row in rows]:
        if (row, seed) in waiting:
            number = waiting.index((row, seed)) + 1
            watcher.say(f"{_named(row, seed)}: {number} of {len(waiting)} to train at the budget {budget}")
        file, steps = trained_weights(row, budget, data, device, watcher, seed)
        yield Trained(row, file, steps, f"{budget}, {steps:,} steps", seed)


def trained_weights(
    row: str, budget: Budget, data: Sequence[str], device: str, watcher: SessionWatcher, seed: int = 0
) -> tuple[Path, int]:
    """Weights of a row of Table 1, trained at a budget now or earlier.

    Args:
        row: case1 .. case5 or HCFlow.
        budget: how long.
        data: folders or data sets; for `smoke` none means Sample.
        device: to train on.
        watcher: of the training.
        seed: of weights, crops and noise; each has a folder of its own.

    Returns:
        (file, training steps).

    Raises:
        BenchError: no data, or training did not end well; what was done is saved, and the same command resumes it.
    """
    recipe = recipe_of(row, budget)
    folder = _folder(recipe, budget, seed)
    file = _weights(folder)
    steps = sum(stage.iterations for stage in recipe.stages)
    if not data and _is_trained(recipe, budget, seed):
        return file, steps  # with data given, `train` also checks that it was trained on them
    names = list(data) or (["Sample"] if budget == "smoke" else [])
    if not names:
        raise BenchError(f"{row} at the budget {budget}: expected training images, got none; give --train-data DIR")
    try:
        settings = Settings(folder.name, recipe, folder, files_of(names, training), device=device, seed=seed)
        outcome = train(settings, watcher, training)
    except (HCFlowError, ImageError) as error:
        raise BenchError(str(error)) from None
    if outcome != "finished":
        raise BenchError(
            f"{_named(row, seed)}: training was stopped and saved in {folder}; the same command resumes it"
        )
    return file, steps


def _is_trained(recipe: Recipe, budget: Budget, seed: int) -> bool:
    folder = _folder(recipe, budget, seed)
    return _weights(folder).is_file() and is_finished(folder, recipe, seed)


def _folder(recipe: Recipe, budget: Budget, seed: int) -> Path:
    """That of `python -m hcflow train` for seed 0."""
    return RUNS / (f"{recipe.name}-{budget}-seed{seed}" if seed else f"{recipe.name}-{budget}")


def _weights(folder: Path) -> Path:
    return folder / "weights" / "last.safetensors"


def _named(row: str, seed: int) -> str:
    return f"{row}, seed {seed}" if seed else row
