"""Steps that fail, disks that fill."""

import errno

import pytest
import torch
from training_tools import make_trainer, stop_after, tiny_recipe

from hcflow.checkpoint import read_notes
from hcflow.errors import InputError
from hcflow.train.folder import OutOfSpaceError
from hcflow.train.observers import JsonLog, Logs
from hcflow.train.settings import Intervals
from hcflow.train.state import States
from hcflow.train.trainer import DivergedError
from hcflow.train.update import Updater
from hcflow.train.validation import ValidationResult

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
    returns = [line for line in watcher.lines if line.startswith("steps kept failing: back at step")]
    assert returns[0] == "steps kept failing: back at step 10, learning rate times 0.5"
    assert rates[0] == 2.5e-4
    assert rates[-1] == 2.5e-4 * 0.5 ** len(returns)
    assert trainer.position.step == 40


@pytest.mark.slow
def test_failures_without_end_stop_the_run_with_one_line(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: count > 7)
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 200, **SMALL), cache, tmp_path)
    with pytest.raises(
        DivergedError, match=r"even at 0\.015625 of the learning rate; lower the learning rate"
    ) as error:
        trainer.run()
    assert "\n" not in str(error.value)
    spoiling(monkeypatch, lambda count: True)
    fresh, _ = make_trainer(
        tiny_recipe("rescale_x4", 200, **SMALL), cache, tmp_path / "fresh", intervals=Intervals(5, 50, 0)
    )
    with pytest.raises(DivergedError, match="before anything sound was saved"):
        fresh.run()


def test_a_full_disk_stops_the_run_and_keeps_the_last_save(cache, tmp_path, monkeypatch):
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 10, **SMALL), cache, tmp_path)
    save = States.save

    def full(self, position, *rest):
        if position.step > 5:
            raise OutOfSpaceError("expected space")
        return save(self, position, *rest)

    monkeypatch.setattr(States, "save", full)
    with pytest.raises(OutOfSpaceError):
        trainer.run()
    assert [path.name for path in States(tmp_path).paths()] == ["step-00000005.safetensors"]


def test_weights_that_do_not_fit_on_the_disk_stop_the_run_with_one_line(cache, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hcflow.train.folder.save", full)
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 10, **SMALL), cache, tmp_path)
    with pytest.raises(OutOfSpaceError, match=r"last.safetensors: expected space for the weights, got No space left"):
        trainer.run()


@pytest.mark.slow
def test_failures_are_noticed_without_a_log(cache, tmp_path, monkeypatch):
    rates = spoiling(monkeypatch, lambda count: 12 < count <= 60)
    recipe = tiny_recipe("rescale_x4", 120, halve_at=(), **SMALL)
    trainer, watcher = make_trainer(recipe, cache, tmp_path, intervals=Intervals(0, 10, 0))
    assert trainer.run() == "finished"
    assert "steps kept failing: back at step 10, learning rate times 0.5" in watcher.lines
    assert len(rates) == 120 + 40  # noticed after 50 steps


@pytest.mark.slow
def test_returning_twice_to_a_save_that_does_not_help_goes_to_the_one_before(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: 22 < count <= 50)
    trainer, watcher = make_trainer(tiny_recipe("rescale_x4", 40, **SMALL), cache, tmp_path, keep=2)
    assert trainer.run() == "finished"
    returns = [line.split(",")[0] for line in watcher.lines if "back at step" in line]
    assert returns == [f"steps kept failing: back at step {step}" for step in (20, 15)]


def test_a_stop_is_saved_even_if_the_newest_step_was_skipped(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: count == 8)
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 40, **SMALL), cache, tmp_path)
    stop_after(trainer, 8)
    assert trainer.run() == "stopped"
    assert [path.name[10:13] for path in States(tmp_path).paths()] == ["005", "008"]


def test_a_save_due_at_a_skipped_step_is_made_at_the_next_good_one(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: count in (5, 6))
    make_trainer(tiny_recipe("rescale_x4", 9, **SMALL), cache, tmp_path)[0].run()
    assert [path.name[10:13] for path in States(tmp_path).paths()] == ["007", "009"]


def test_every_stage_starts_at_its_own_learning_rate(cache, tmp_path, monkeypatch):
    rates = spoiling(monkeypatch, lambda count: 6 < count <= 20)
    recipe = tiny_recipe("sr_x4+", 20, halve_at=(), update="joint", **SMALL)
    trainer, _ = make_trainer(recipe, cache, tmp_path)
    assert trainer.run() == "finished"
    assert rates[0] == recipe.stages[0].learning_rate
    assert rates[30] == rates[0] / 2
    assert rates[-1] == recipe.stages[1].learning_rate


class Judge:
    """A validation of made-up results, by step."""

    digest = "of the images"

    def __init__(self, results):
        self.results, self.calls = list(results), 0

    def __call__(self, model):
        self.calls += 1
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        error, score = result
        return ValidationResult({"inverse_error": error}, {}, score, self.digest)


def test_a_network_that_is_no_bijection_goes_back_to_where_it_was_one(cache, tmp_path):
    judge = Judge([(1e-6, 30.0), (1e3, 31.0), (1e-6, 29.0), (1e-6, 29.5)])
    intervals = Intervals(5, 2, 10)
    trainer, watcher = make_trainer(
        tiny_recipe("rescale_x4", 30, **SMALL), cache, tmp_path, validation=judge, intervals=intervals, keep=2
    )
    assert trainer.run() == "finished"
    assert "step 20: decoding no longer inverts encoding" in watcher.lines
    assert "steps kept failing: back at step 10, learning rate times 0.5" in watcher.lines
    notes = read_notes(tmp_path / "weights" / "best.safetensors")
    assert notes == {"step": "10", "score": "30.0", "images": "of the images"}  # not forgotten on the way back
    assert judge.calls == 4


def test_going_back_may_cross_into_the_stage_before(cache, tmp_path, monkeypatch):
    spoiling(monkeypatch, lambda count: 10 < count <= 36)
    recipe = tiny_recipe("sr_x4+", 10, update="joint", **SMALL)
    trainer, watcher = make_trainer(recipe, cache, tmp_path)
    assert trainer.run() == "finished"
    returns = [line.split(",")[0] for line in watcher.lines if "back at step" in line]
    assert returns == [f"steps kept failing: back at step {step}" for step in (10, 5)]
    assert [line for line in watcher.lines if line.startswith("stage")] == [
        "stage nll 0/10", "stage + 0/10", "stage nll 5/10", "stage + 0/10",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_save_that_passed_stays_protected_after_a_return_to_it(cache, tmp_path):
    judge = Judge([(1e-6, 30.0), (1e3, 0.0), (1e3, 0.0), (1e-6, 31.0), (1e-6, 31.0), (1e-6, 31.0)])
    recipe = tiny_recipe("rescale_x4", 40, **SMALL)
    trainer, watcher = make_trainer(recipe, cache, tmp_path, validation=judge, intervals=Intervals(5, 2, 10), keep=2)
    assert trainer.run() == "finished"
    assert [line.split(",")[0] for line in watcher.lines if "back at step" in line] == 2 * [
        "steps kept failing: back at step 10"
    ]


@pytest.mark.parametrize("intervals", [Intervals(5, 2, 4), Intervals(0, 0, 1000), Intervals(5, 4, 1000)])
def test_a_network_that_never_is_a_bijection_is_never_called_finished(cache, tmp_path, intervals):
    judge = Judge([(1e3, 30.0)] * 20)
    recipe = tiny_recipe("rescale_x4", 12, **SMALL)
    trainer, _ = make_trainer(recipe, cache, tmp_path, validation=judge, intervals=intervals, keep=1)
    with pytest.raises(DivergedError, match=r"before anything sound was saved|even at 0\.015625 of the"):
        trainer.run()
    assert not (tmp_path / "weights" / "best.safetensors").exists()


def test_the_last_validation_is_made_up_for(cache, tmp_path):
    recipe = tiny_recipe("rescale_x4", 6, **SMALL)
    how = {"intervals": Intervals(5, 0, 1000)}
    with pytest.raises(InputError):
        make_trainer(recipe, cache, tmp_path, validation=Judge([InputError("too small")]), **how)[0].run()
    again, _ = make_trainer(recipe, cache, tmp_path, validation=Judge([(0.0, 30.0)]), **how)
    assert again.resume().position.iteration == 6
    assert again.run() == "finished"
    assert read_notes(tmp_path / "weights" / "best.safetensors")["score"] == "30.0"


def test_a_validation_that_cannot_be_done_costs_no_steps(cache, tmp_path):
    judge = Judge([InputError("validation: expected larger images")])
    recipe = tiny_recipe("rescale_x4", 30, **SMALL)
    trainer, _ = make_trainer(recipe, cache, tmp_path, validation=judge, intervals=Intervals(5, 0, 7))
    with pytest.raises(InputError, match="larger images"):
        trainer.run()
    assert [path.name for path in States(tmp_path).paths()] == ["step-00000007.safetensors"]


@pytest.mark.parametrize(("images", "kept"), [("of the images", "30.0"), ("of others", "20.0")])
def test_the_best_weights_are_the_best_by_the_same_images(cache, tmp_path, images, kept):
    recipe = tiny_recipe("rescale_x4", 4, **SMALL)
    make_trainer(recipe, cache, tmp_path, validation=Judge([(0.0, 30.0)]), intervals=Intervals(5, 5, 4))[0].run()
    (tmp_path / "state" / "step-00000004.safetensors").unlink()  # train again
    judge = Judge([(0.0, 20.0)])
    judge.digest = images
    make_trainer(recipe, cache, tmp_path, validation=judge, intervals=Intervals(5, 5, 4))[0].run()
    assert read_notes(tmp_path / "weights" / "best.safetensors")["score"] == kept


def test_a_log_that_cannot_be_written_costs_a_line(tmp_path):
    said = []
    logs = Logs([JsonLog(tmp_path / "none")], said.append)
    logs.metrics(1, {"nll": 1.0})
    assert len(said) == 1
    assert said[0].startswith("the log lacks an entry: ")
