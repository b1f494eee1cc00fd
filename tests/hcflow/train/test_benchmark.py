"""`hcflow benchmark`: GFLOP per step, and what share of the device's peak that makes."""

import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from training_tools import ONE, nll_stage

from hcflow.config import ConditionerConfig, Config
from hcflow.errors import InputError
from hcflow.model import HCFlow
from hcflow.train.benchmark import Timing, convolution_peak, measure, modes_for
from hcflow.train.data import Batch
from hcflow.train.recipe import Recipe
from hcflow.train.stage import ComputeOptions, StageTrainer

TINY = Config(K=1, P=1, width=4, conditional_width=4, conditioner=ConditionerConfig(4, 4, (1, 1)))


def timing(**changes):
    sound = Timing(ComputeOptions(), (2.0, 4.0, 3.0), (4.5,), 100.0, 8, 2, 150.0, 100.0)
    return dataclasses.replace(sound, **changes)


def test_share_is_gigaflop_per_second_over_the_peak():
    assert timing().median == 3.0
    assert timing().share == pytest.approx(50)  # 150 GFLOP in 3 s, where 100 GFLOP/s are possible
    assert timing().loader_ratio == pytest.approx(1.5)


def test_a_steps_backward_pass_is_counted():
    """A step is about three forward passes: the image needs no gradient, but a dense block computes some that it drops.

    Without either pass it would be two or one.
    """
    stage = nll_stage(batch=1, patch=16)
    model = HCFlow(TINY).train()
    trainer = StageTrainer(model, stage, ComputeOptions(), ONE)
    batch = Batch(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.zeros(1, 3, 4, 4, dtype=torch.uint8), (0,))
    trainer.iterate(batch, 0)

    def count(run):
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops()

    forward = count(lambda: model.encode(torch.rand(1, 3, 16, 16)))
    assert 2.5 * forward < count(lambda: trainer.iterate(batch, 1)) < 3.5 * forward


def test_peak_is_a_speed():
    assert 0.1 < convolution_peak(torch.device("cpu"), "fp32", 1) < 1e5  # GFLOP/s: from one slow core to any CPU


def test_modes_of_a_device():
    assert {one.precision for one in modes_for("cpu", compiled=False)} == {"fp32", "bf16"}
    assert {one.precision for one in modes_for("cuda", compiled=False)} == {"fp32", "tf32", "bf16"}
    assert sum(one.compile for one in modes_for("cuda", compiled=True)) == 3
    assert [one.recompute for one in modes_for("cpu", compiled=False, wanted=["fp32"])] == [False, True]
    with pytest.raises(InputError, match="expected one of fp32, bf16 on cpu, got tf32"):
        modes_for("cpu", compiled=False, wanted=["tf32"])


@pytest.mark.slow
def test_measures_in_a_process_of_its_own():
    recipe = Recipe("tiny", TINY, (nll_stage(batch=2, patch=16),))
    (found,) = measure(recipe, [ComputeOptions()], "cpu", 2)
    assert found.gigaflop > 0
    assert 0 < found.share < 100
    assert len(found.seconds) == len(found.with_loader) == 2
