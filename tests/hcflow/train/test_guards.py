"""Steps that fail, disks that fill."""

import pytest
import torch
from training_tools import make_trainer, tiny_recipe

from hcflow.train.state import OutOfSpaceError, States
from hcflow.train.trainer import DivergedError, Intervals
from hcflow.train.update import Updater

SMALL = {"batch": 1, "patch": 16}


def spoiling(monkeypatch, when):
    """Make the loss of some steps NaN; `when` is told the number of updates so far."""
    calls = []
    step = Updater.step

    def spoilt(self, loss, learning_rate):
        calls.append(learning_rate)
        return step(self, loss * float("nan") if when(len(calls)) else loss, learning_rate)

    monkeypatch.setattr(Updater, "step", spoilt)
    return calls


def test_steps_that_are_not_finite_are_skipped_and_counted(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: count in (3, 4))
    trainer, watcher = make_trainer(tiny_recipe("rescale_x4", 10, **SMALL), cache, tmp_path)
    assert trainer.run() == "finished"
    assert watcher.values[0][1]["skipped_steps"] == 2
    assert watcher.values[1][1]["skipped_steps"] == 0
    assert any("2 steps were not finite and were skipped" in line for line in watcher.lines)
    assert all(bool(torch.isfinite(value).all()) for value in trainer.model.state_dict().values())


def test_a_run_of_failures_goes_back_to_the_last_save_and_slows_down(cache, tmp_path, monkeypatch):
    rates = spoiling(monkeypatch, lambda count: 12 < count <= 30)
    trainer, watcher = make_trainer(tiny_recipe("rescale_x4", 40, halve_at=(), **SMALL), cache, tmp_path)
    assert trainer.run() == "finished"
    assert trainer.position.backoffs >= 1
    assert rates[0] == 2.5e-4
    assert rates[-1] == 2.5e-4 * 0.5**trainer.position.backoffs
    assert any("steps kept failing: back at step 10, learning rate times 0.5" in line for line in watcher.lines)
    assert trainer.position.step == 40


def test_failures_without_end_stop_the_run_with_one_line(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: count > 7)
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 200, **SMALL), cache, tmp_path)
    with pytest.raises(DivergedError, match="after 5 returns to the last save; lower the learning rate") as error:
        trainer.run()
    assert "\n" not in str(error.value)
    spoiling(monkeypatch, lambda count: True)
    fresh, _ = make_trainer(
        tiny_recipe("rescale_x4", 200, **SMALL), cache, tmp_path / "fresh", intervals=Intervals(5, 50, 0)
    )
    with pytest.raises(DivergedError, match="before anything was saved"):
        fresh.run()


def test_a_full_disk_stops_the_run_and_keeps_the_last_save(cache, tmp_path, monkeypatch):
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 10, **SMALL), cache, tmp_path)
    save = States.save

    def full(self, position, tensors, about):
        if position.step > 5:
            raise OutOfSpaceError("expected space")
        return save(self, position, tensors, about)

    monkeypatch.setattr(States, "save", full)
    with pytest.raises(OutOfSpaceError):
        trainer.run()
    assert [path.name for path in States(tmp_path).paths()] == ["step-00000005.safetensors"]
