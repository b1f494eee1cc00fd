"""The loop: stages, saves, guards, validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Literal

import torch

from hcflow.errors import CheckpointError, HCFlowError, SingularWeightError
from hcflow.model import HCFlow
from hcflow.nets.perceptual import VGG19Features
from hcflow.train.data import Batch
from hcflow.train.folder import best_score, write_weights
from hcflow.train.noise import seed_of
from hcflow.train.observers import Logs, RunStatus, Watcher
from hcflow.train.processes import Processes
from hcflow.train.recipe import Stage
from hcflow.train.settings import TrainerSettings
from hcflow.train.stage import StageTrainer, full_precision, numeric_mode
from hcflow.train.state import Position, Saved, States
from hcflow.train.stopping import StopRequest
from hcflow.train.update import Meter
from hcflow.train.validation import Validation, ValidationResult

__all__ = ["Batches", "DivergedError", "Trainer"]

Batches = Callable[[Stage, int, int, int], Iterable[Batch]]
"""(stage, seed, from iteration, to iteration) -> this process's share of each batch."""

_PATIENCE = 10  # failed steps in a row before the run goes back to a save
_MOST_BACKOFFS = 6  # of a stage: the learning rate is halved each time
_GUARD = 50  # steps between two looks at whether they fail, at most: a look waits for the device
_VOTE = 10  # steps between two votes of several processes on whether to stop
_INVERSE_ERROR = 0.1  # of pixel values in [0, 1]: beyond it the network is no bijection in float32 any more


class DivergedError(HCFlowError):
    """Steps keep failing whatever the learning rate."""


class Trainer:
    """Runs a recipe from wherever its folder says it stands."""

    def __init__(
        self,
        settings: TrainerSettings,
        model: HCFlow,
        batches: Batches,
        processes: Processes,
        watcher: Watcher,
        *,
        features: VGG19Features | None = None,
        validation: Validation | None = None,
        logs: Logs | None = None,
    ) -> None:
        """Set up a run, which begins or resumes with `resume` and `run`.

        Args:
            settings: what to train, where to, how often to do what.
            model: to train, in place.
            batches: where training images come from.
            processes: that share the run.
            watcher: who sees its progress.
            features: of the perceptual loss, for recipes that have it.
            validation: scores of whole images; None: none.
            logs: where numbers and pictures are written to; None: nowhere.
        """
        self.settings, self.processes, self.watcher = settings, processes, watcher
        self.recipe, self.folder, self.compute = settings.recipe, settings.folder, settings.compute
        self.intervals = settings.intervals
        self._batches, self._features = batches, features
        self._validation = validation if settings.intervals.validate else None
        self._logs = logs or Logs((), watcher.say)
        self._states = States(settings.folder, settings.keep)
        self._stop = StopRequest(watcher.say)
        self.position = Position()
        self.model = model.to(processes.device).train()
        self._stage: StageTrainer | None = None
        self._meter = Meter()
        self._returned_to = -1  # step
        self._owes_save = False

    def resume(self) -> Saved | None:
        """Resume from the newest save that is whole; None for a new run.

        Raises:
            CheckpointError: the saves belong to another recipe, seed, data set or start, or are all damaged.
        """
        saved = self._newest()
        if saved is None:
            return None
        differences = self.settings.identity.differences(saved.identity)
        if differences:
            named = differences[:4] + ([f"{len(differences) - 4} more"] if len(differences) > 4 else [])
            raise CheckpointError(
                f"{self.folder}: expected saves of this run, got those of another ({'; '.join(named)}); "
                "use another --out, or --restart to start over"
            )
        self._restore(saved, saved.position.backoffs)
        return saved

    def is_finished(self) -> bool:
        """Whether the recipe has come to its end."""
        return self.position.stage >= len(self.recipe.stages)

    def run(self) -> RunStatus:
        """Train until the recipe ends or a stop is requested; progress is saved either way.

        Raises:
            OutOfSpaceError: a save failed; the one before is kept.
            DivergedError: steps keep failing.
            KeyboardInterrupt: a second request to stop; steps since the last save are lost.
        """
        with self._stop, numeric_mode(self.compute.precision):
            while not self.is_finished():
                if not self._run_stage():
                    return "stopped"
            if self._fails():  # a run that was finished without validation
                raise DivergedError(f"{self.folder}: expected a network that can be inverted, got another")
            return "finished"

    def _run_stage(self) -> bool:
        """Train one stage to its end, or until the run goes back to a stage before; returns False if it is stopped."""
        number = self.position.stage
        stage = self.recipe.stages[number]
        trainer = self._trainer_of(stage)
        self.watcher.stage(stage.name, self.position.iteration, stage.iterations)
        while True:
            outcome = self._run_until_trouble(stage, trainer)
            if outcome == "stopped":
                return False
            if outcome == "done" and not self._fails():
                break
            if outcome != "failing":
                self._drop(lambda: self._states.drop_since_validated(self.position.step))
            self._back_off()
            if self.position.stage != number:
                return True
            trainer = self._trainer_of(stage)
        self.position = replace(self.position, stage=self.position.stage + 1, iteration=0, backoffs=0)
        self._stage = None
        self._save()
        return True

    def _run_until_trouble(
        self, stage: Stage, trainer: StageTrainer
    ) -> Literal["done", "stopped", "failing", "unsound"]:
        seed = seed_of("stage", self.settings.seed, self.position.stage, self.position.backoffs)
        started, counted = time.monotonic(), 0
        for batch in self._batches(stage, seed, self.position.iteration, stage.iterations):
            values, skipped = trainer.iterate(batch, self.position.iteration)
            self._meter.add(values, skipped)
            iteration = self.position.iteration + 1
            self.position = replace(self.position, iteration=iteration, step=self.position.step + 1)
            counted += 1
            last = iteration == stage.iterations
            looks = last or _due(self.intervals.log, iteration)
            if looks:
                self._look(stage, trainer, iteration, counted / (time.monotonic() - started))
                started, counted = time.monotonic(), 0
            else:
                self.watcher.step(iteration, {})
            if (looks or _due(_GUARD, iteration)) and self._meter.in_a_row() >= _PATIENCE:
                return "failing"
            validates = self._validation is not None and (last or _due(self.intervals.validate, iteration))
            self._owes_save |= validates or (_due(self.intervals.save, iteration) and not last)
            if self._owes_save and not self._meter.in_a_row():
                self._save()  # before validation, which may fail for reasons of its own
            if validates:
                if self._fails():
                    return "unsound"
                started, counted = time.monotonic(), 0
            if self._is_time_to_stop(iteration):
                self._save()
                return "stopped"
        return "done"

    def _look(self, stage: Stage, trainer: StageTrainer, iteration: int, steps_per_second: float) -> None:
        """Read and log the numbers since the last look."""
        means, skipped = self._meter.read()
        values = {
            **means,
            "learning_rate": trainer.slowdown * stage.learning_rate_at(iteration - 1),
            "steps_per_second": steps_per_second,
            "images_per_second": steps_per_second * stage.batch,
            "skipped_steps": float(skipped),
        }
        if self.processes.device.type == "cuda":
            values["gpu_memory_mib"] = torch.cuda.max_memory_allocated(self.processes.device) / 2**20
        if skipped:
            self.watcher.say(f"step {self.position.step}: {skipped} steps were not finite and were skipped")
        self.watcher.step(iteration, values)
        if self.processes.first:
            self._logs.metrics(self.position.step, values)

    def _back_off(self) -> None:
        """Return to a save, with half the learning rate and other crops: to the newest one, then to older ones."""
        remedy = (
            "lower the learning rate (--set learning_rate=..), or begin with other weights (--init), in another --out"
        )
        saved = self._newest()
        if saved is not None and saved.position.step == self._returned_to:  # that did not help
            self._drop(lambda: self._states.drop_from(self._returned_to))
            saved = self._newest()
        if saved is None:
            raise DivergedError(f"expected sound steps, got failures before anything sound was saved; {remedy}")
        backoffs = max(self.position.backoffs, saved.position.backoffs) + 1
        if backoffs > _MOST_BACKOFFS:
            slowest = f"{0.5**_MOST_BACKOFFS:g} of the learning rate"
            raise DivergedError(f"expected sound steps, got failures even at {slowest}; {remedy}")
        self._returned_to = saved.position.step
        self._meter, self._owes_save = Meter(), False
        self._restore(saved, backoffs)
        self.watcher.say(
            f"steps kept failing: back at step {self.position.step}, learning rate times {self._slowdown():g}"
        )

    def _trainer_of(self, stage: Stage) -> StageTrainer:
        if self._stage is None:
            with torch.random.fork_rng(devices=[]):  # of the discriminator's first weights
                torch.manual_seed(seed_of("discriminator", self.settings.seed, self.position.stage))
                self._stage = StageTrainer(self.model, stage, self.compute, self.processes, self._features)
        self._stage.slowdown = self._slowdown()
        return self._stage

    def _drop(self, drop: Callable[[], None]) -> None:
        """Remove saves; the first process does it, and all wait for it."""
        if self.processes.first:
            drop()
        self.processes.wait()

    def _slowdown(self) -> float:
        return 0.5**self.position.backoffs

    def _newest(self) -> Saved | None:
        """The newest save that is whole, the same one in all processes."""
        saved, wrong = None, None
        try:
            saved = self._states.latest(self.watcher.say)
        except CheckpointError as error:
            wrong = error
        if not self.processes.agree(-2 if wrong else -1 if saved is None else saved.position.step):
            raise CheckpointError(
                f"{self.folder}: expected all processes to find the same save, got different ones; give an --out that "
                "all machines share"
            )
        if wrong is not None:
            raise wrong
        return saved

    def _restore(self, saved: Saved, backoffs: int) -> None:
        """Take back a save."""
        prefix = "model."
        weights = {k.removeprefix(prefix): v for k, v in saved.tensors.items() if k.startswith(prefix)}
        self.model.load_state_dict(weights)
        self.position = replace(saved.position, backoffs=backoffs)
        self._stage = None
        if not self.is_finished() and self.position.iteration:
            self._trainer_of(self.recipe.stages[self.position.stage]).load_state(saved.tensors)

    def _save(self) -> None:
        """Write a save and the newest weights; the first process does it, and all wait for it."""
        if self.processes.first:
            tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
            if self._stage is not None:
                tensors |= self._stage.state()
            write_weights(self.folder, "last", self.model)  # first: a save at the end means that they are written
            self._states.save(self.position, tensors, self.settings.identity, self._logs.memory())
        self._owes_save = False
        self.processes.wait()

    def _fails(self) -> bool:
        """Score, log, keep the best weights; returns whether the network can no longer be inverted.

        What was validated before, or never is, does not fail.
        """
        failed = False
        if self.processes.first and self._validation is not None and self._states.validated() != self.position.step:
            try:
                with full_precision(self.model, self.compute):
                    result = self._validation(self.model)
            except SingularWeightError as error:
                self.watcher.say(f"step {self.position.step}: {error}")
                failed = True
            else:
                failed = not result.scores.get("inverse_error", 0.0) < _INVERSE_ERROR
                self._log_validation(result, failed)
            if not failed:
                self._states.mark_validated(self.position.step)
        return self.processes.any(failed)

    def _log_validation(self, result: ValidationResult, failed: bool) -> None:
        scores = {f"validation_{name}": value for name, value in result.scores.items()}
        self._logs.metrics(self.position.step, scores)
        self._logs.images(self.position.step, result.grids)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in result.scores.items())
        self.watcher.say(f"step {self.position.step}: {shown}")
        if failed:
            self.watcher.say(f"step {self.position.step}: decoding no longer inverts encoding")
        elif result.best_by is not None and result.best_by > best_score(self.folder, result.images):
            notes = {"step": str(self.position.step), "score": repr(result.best_by), "images": result.images}
            self._logs.best(self.position.step, write_weights(self.folder, "best", self.model, notes))

    def _is_time_to_stop(self, iteration: int) -> bool:
        """Whether somebody asked to stop; several processes agree on it now and then, since agreeing takes time."""
        if self.processes.world == 1:
            return self._stop.asked
        return _due(_VOTE, iteration) and self.processes.any(self._stop.asked)


def _due(interval: int, iteration: int) -> bool:
    return interval > 0 and iteration % interval == 0
