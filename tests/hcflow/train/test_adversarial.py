"""HCFlow++: perceptual and adversarial losses, and the discriminator that comes with them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_tools import ONE, assert_same, make_trainer, parameters_of, stop_after, tiny_recipe

from hcflow.errors import CheckpointError
from hcflow.nets.perceptual import VGG19Features
from hcflow.train.data import Patches
from hcflow.train.settings import Intervals
from hcflow.train.stage import ComputeOptions, StageTrainer
from hcflow.train.state import States


def adversarial(cache, folder, **arguments):
    recipe = tiny_recipe("sr_x4++", 6)
    stages = tuple(replace(stage, discriminator_alone=2 * (stage.name == "++")) for stage in recipe.stages)
    torch.manual_seed(5)
    features = VGG19Features()
    return make_trainer(replace(recipe, stages=stages), cache, folder, features=features, **arguments)


def test_adversarial_stage_trains_the_discriminator_alone_first(cache, tmp_path):
    trainer, watcher = adversarial(cache, tmp_path, intervals=Intervals(1, 0, 0))
    assert trainer.run() == "finished"
    second = [values for _, values in watcher.values[6:]]
    assert all(set(values) >= {"discriminator"} for values in second)
    assert ["gan" in values for values in second] == [False, False, True, True, True, True]
    assert set(second[2]) >= {"nll", "pixel_hr", "perceptual", "gan", "gradient_norm_adversarial"}


@pytest.mark.slow
def test_adversarial_stage_goes_on_with_its_discriminator(cache, tmp_path):
    straight, _ = adversarial(cache, tmp_path / "straight")
    straight.run()
    first, _ = adversarial(cache, tmp_path / "parts")
    stop_after(first, 9)
    assert first.run() == "stopped"
    second, _ = adversarial(cache, tmp_path / "parts")
    second.resume()
    assert second.position.iteration == 3
    second.run()
    assert_same(parameters_of(second), parameters_of(straight))
    newest = States(tmp_path / "parts").latest(pytest.fail)
    assert newest.position.stage == 2


def test_perceptual_loss_without_vgg19_is_one_line(cache, tmp_path):
    trainer, _ = make_trainer(tiny_recipe("sr_x4++", 2), cache, tmp_path)
    with pytest.raises(CheckpointError, match=r"expected torchvision's vgg19.* got none; get it with .* --vgg19 FILE"):
        trainer.run()


def test_generator_losses_leave_the_discriminator_alone(cache):
    trainer, _ = adversarial(cache, Path("unused"))
    stage = StageTrainer(trainer.model, trainer.recipe.stages[1], ComputeOptions(), ONE, trainer._features)
    untouched = []
    forward = stage._adversary.forward

    def looking(*arguments):
        untouched.append(all(parameter.grad is None for parameter in stage.discriminator.parameters()))
        return forward(*arguments)

    stage._adversary.forward = looking
    before = [parameter.clone() for parameter in stage.discriminator.parameters()]
    values, _ = stage.iterate(Patches(cache, 32, 4, seed=0).at(0), 3)
    assert {"gan", "perceptual", "discriminator"} <= set(values)
    assert untouched == [True]
    assert not any(map(torch.equal, before, stage.discriminator.parameters()))
