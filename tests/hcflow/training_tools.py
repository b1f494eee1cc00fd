"""Recipes for tiny networks, and trainers of them."""

from dataclasses import replace

import torch
from tiny import SIZES

from hcflow.train.data import Patches, prefetched
from hcflow.train.processes import Processes
from hcflow.train.recipe import Losses, Recipe, Stage
from hcflow.train.recipes import RECIPES
from hcflow.train.session import new_model
from hcflow.train.settings import Intervals, TrainerSettings
from hcflow.train.trainer import Trainer


def tiny_recipe(name="rescale_x4", iterations=20, **changes):
    """One of the recipes with a tiny network, few steps and small batches."""
    whole = RECIPES[name]
    size = SIZES[name.rstrip("+")]
    settings = {"batch": 4, "patch": 32, **changes}
    stages = tuple(replace(stage.shortened(iterations), **settings) for stage in whole.stages)
    return Recipe(f"tiny {name}", size, stages)


def nll_stage(**changes):
    """A stage of the likelihood alone."""
    return replace(Stage("nll", Losses(nll=1.0), 10, 2.5e-4, (), 10, batch=4, patch=32), **changes)


class Recorder:
    """A watcher that remembers."""

    def __init__(self):
        self.lines, self.values = [], []

    def stage(self, name, done, total):
        self.lines.append(f"stage {name} {done}/{total}")

    def step(self, iteration, values):
        if values:
            self.values.append((iteration, dict(values)))

    def say(self, message):
        self.lines.append(message)

    def decoding(self, done, total):
        pass


ONE = Processes(0, 1, torch.device("cpu"))


EVERY_FIVE = Intervals(5, 5, 0)


_COLLABORATORS = ("features", "validation", "logs")


def make_trainer(recipe, cache, folder, batches=None, **arguments):
    """A trainer on one CPU process, and its recorder; arguments are of the trainer or of its settings."""

    def default(stage, seed, start, stop):
        return prefetched(Patches(cache, stage.patch, stage.batch, seed, stage.augment), start, stop, pin=False)

    watcher = Recorder()
    collaborators = {name: arguments.pop(name) for name in _COLLABORATORS if name in arguments}
    settings = TrainerSettings(recipe, folder, **{"intervals": EVERY_FIVE, "digest": cache.digest, **arguments})
    model = new_model(recipe, settings.seed)
    return Trainer(settings, model, batches or default, ONE, watcher, **collaborators), watcher


def stop_after(trainer, steps):
    """Ask for a stop during a step, as a signal does."""
    add = trainer._meter.add

    def adding(values, skipped):
        add(values, skipped)
        trainer._stop.asked = trainer.position.step == steps - 1

    trainer._meter.add = adding


def parameters_of(trainer):
    """A copy of all weights."""
    return {key: value.clone() for key, value in trainer.model.state_dict().items()}


def assert_same(got, expected):
    """Bit for bit."""
    assert got.keys() == expected.keys()
    for key in got:
        assert torch.equal(got[key], expected[key]), key
