"""One iteration: accumulation, precision, update modes, no waiting for the device."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_tools import ONE, make_trainer, tiny_recipe

from hcflow.train.data import Patches
from hcflow.train.stage import ComputeOptions, StageTrainer
from hcflow.train.update import Updater


def test_accumulation_gives_the_gradients_of_the_whole_batch(cache):
    batch = Patches(cache, 32, 4, seed=0).at(0)
    norms = []
    for parts in (1, 2, 4):
        recipe = tiny_recipe("sr_x4", 1)
        trainer, _ = make_trainer(recipe, cache, Path("unused"), compute=ComputeOptions(accumulate=parts))
        stage = StageTrainer(trainer.model, recipe.stages[0], trainer.compute, ONE)
        values, _ = stage.iterate(batch, 0)
        norms.append((float(values["nll"]), float(values["gradient_norm"])))
    assert norms[1] == pytest.approx(norms[0], rel=1e-5)
    assert norms[2] == pytest.approx(norms[0], rel=1e-5)


@pytest.mark.parametrize("name", ["sr_x4", "rescale_x4"])
def test_lower_precision_and_recomputation_stay_close(name, cache):
    batch = Patches(cache, 32, 4, seed=0).at(0)
    losses = {}
    for compute in (
        ComputeOptions(),
        ComputeOptions("bf16"),
        ComputeOptions(recompute=True),
        ComputeOptions("bf16", recompute=True),
    ):
        recipe = replace(tiny_recipe(name, 4), init="wide")  # the networks must do something, to show their precision
        trainer, _ = make_trainer(recipe, cache, Path("unused"), compute=compute)
        stage = StageTrainer(trainer.model, recipe.stages[0], compute, ONE)
        for iteration in range(3):
            values, skipped = stage.iterate(batch, iteration)
        assert not any(map(bool, skipped))
        losses[compute] = float(values["nll" if name == "sr_x4" else "pixel_hr"])
    plain = losses[ComputeOptions()]
    assert losses[ComputeOptions(recompute=True)] == pytest.approx(plain, rel=1e-5)
    assert losses[ComputeOptions("bf16")] == pytest.approx(plain, rel=2e-2)
    assert losses[ComputeOptions("bf16")] != plain
    assert losses[ComputeOptions("bf16", recompute=True)] == pytest.approx(losses[ComputeOptions("bf16")], rel=1e-2)


def test_joint_mode_takes_one_step_on_the_sum(cache, monkeypatch):
    rates = []
    step = Updater.step
    monkeypatch.setattr(Updater, "step", lambda self, loss, rate: rates.append(rate) or step(self, loss, rate))
    batch = Patches(cache, 32, 4, seed=0).at(0)
    for update, steps in (("alternating", 2), ("joint", 1)):
        recipe = tiny_recipe("sr_x4+", 2, update=update)
        trainer, _ = make_trainer(recipe, cache, Path("unused"))
        rates.clear()
        values, _ = StageTrainer(trainer.model, recipe.stages[1], ComputeOptions(), ONE).iterate(batch, 0)
        assert len(rates) == steps
        assert set(values) >= {"nll", "pixel_hr"}


def test_a_step_waits_for_no_number(cache, monkeypatch):
    """No `item`, `bool`, `float` or `tolist` of a tensor inside a step: on a GPU each would wait for the device."""
    batch = Patches(cache, 32, 4, seed=0).at(0)
    for name in ("sr_x4+", "sr_x4++", "rescale_x4"):
        recipe = tiny_recipe(name, 4)
        trainer, _ = make_trainer(recipe, cache, Path("unused"))
        stage = StageTrainer(
            trainer.model, recipe.stages[-1], ComputeOptions(), ONE, torch.nn.Conv2d(3, 4, 3) if "++" in name else None
        )
        stage.iterate(batch, 0)  # the first one initialises
        with monkeypatch.context() as patch:
            for method in ("item", "__bool__", "__float__", "__int__", "tolist", "numpy", "__index__"):
                patch.setattr(torch.Tensor, method, lambda *_, method=method: pytest.fail(f"Tensor.{method}"))
            values, skipped = stage.iterate(batch, 1)
            trainer._meter.add(values, skipped)


@pytest.mark.slow
def test_compiled_networks_give_the_same_losses(cache):
    batch = Patches(cache, 32, 4, seed=0).at(0)
    losses = []
    for compute in (ComputeOptions(), ComputeOptions(compile=True)):
        recipe = tiny_recipe("rescale_x4", 3)
        trainer, _ = make_trainer(recipe, cache, Path("unused"), compute=compute)
        stage = StageTrainer(trainer.model, recipe.stages[0], compute, ONE)
        losses.append([float(stage.iterate(batch, iteration)[0]["pixel_hr"]) for iteration in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
