"""The loop: stages, saves, guards, validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from hcflow.checkpoint import save as save_model
from hcflow.errors import CheckpointError, HCFlowError, SingularWeightError
from hcflow.model import HCFlow
from hcflow.nets.perceptual import VGG19Features
from hcflow.train.data import Batch
from hcflow.train.noise import seed_of
from hcflow.train.observers import Ending, Logs, Watcher
from hcflow.train.processes import Processes
from hcflow.train.recipe import Recipe, Stage
from hcflow.train.stage import StageTrainer, Technique, full_precision
from hcflow.train.state import Position, Saved, States
from hcflow.train.stopping import StopRequest
from hcflow.train.update import Meter
from hcflow.train.validation import Validation, ValidationResult

__all__ = ["Batches", "DivergedError", "Intervals", "Trainer"]

Batches = Callable[[Stage, int, int, int], Iterable[Batch]]
"""(stage, seed, from iteration, to iteration) -> this process's share of each batch."""

_PATIENCE = 10  # failed steps in a row before the run goes back to its last save
_MOST_BACKOFFS = 5
_INVERSE_ERROR = 0.1  # of pixel values in [0, 1]: beyond it the network is no bijection in float32 any more


class DivergedError(HCFlowError):
    """Steps keep failing whatever the learning rate."""


@dataclass(frozen=True)
class Intervals:
    """After how many steps things happen; 0: never."""

    log: int = 50
    save: int = 1000
    validate: int = 1000


class Trainer:
    """Runs a recipe from wherever its folder says it stands."""

    def __init__(
        self,
        recipe: Recipe,
        model: HCFlow,
        batches: Batches,
        folder: Path,
        *,
        processes: Processes,
        technique: Technique = Technique(),  # noqa: B008 - frozen
        intervals: Intervals = Intervals(),
        seed: int = 0,
        digest: str = "",
        features: VGG19Features | None = None,
        validation: Validation | None = None,
        logs: Logs | None = None,
        watcher: Watcher,
        keep: int = 3,
    ) -> None:
        self.recipe, self.folder, self.processes, self.technique = recipe, folder, processes, technique
        self.intervals, self.seed, self.digest, self.watcher = intervals, seed, digest, watcher
        self._batches, self._features, self._validation = batches, features, validation
        self._logs = logs or Logs(())
        self._states = States(folder, keep)
        self._stop = StopRequest(watcher.say)
        self.position = Position()
        self.model = model.to(processes.device).train()
        self._stage: StageTrainer | None = None
        self._meter = Meter()

    def resume(self) -> Saved | None:
        """Go on from the newest save that is whole; None for a new run.

        Raises:
            CheckpointError: the saves belong to another recipe, seed or data set, or are all damaged.
        """
        saved = self._states.latest(self.watcher.say)
        if saved is None:
            return None
        differences = saved.differences(self.recipe.to_json(), self.seed, self.digest)
        if differences:
            named = differences[:4] + ([f"{len(differences) - 4} more"] if len(differences) > 4 else [])
            raise CheckpointError(
                f"{self.folder}: expected saves of this run, got those of another ({'; '.join(named)}); "
                "use another --out, or --restart to begin anew"
            )
        self._restore(saved, saved.position.backoffs)
        return saved

    def is_finished(self) -> bool:
        """Whether the recipe has come to its end."""
        return self.position.stage >= len(self.recipe.stages)

    def run(self) -> Ending:
        """Train until the recipe ends or somebody asks to stop; what was done is saved either way.

        Raises:
            OutOfSpaceError: a save failed; the one before is kept.
            DivergedError: steps keep failing.
            KeyboardInterrupt: somebody asked again instead of waiting; steps since the last save are lost.
        """
        with self._stop:
            while not self.is_finished():
                if not self._run_stage():
                    return "stopped"
            return "finished"

    def _run_stage(self) -> bool:
        """Train one stage to its end; returns whether it got there."""
        stage = self.recipe.stages[self.position.stage]
        trainer = self._trainer_of(stage)
        self.watcher.stage(stage.name, self.position.iteration, stage.iterations)
        while self.position.iteration < stage.iterations:
            outcome = self._run_until_trouble(stage, trainer)
            if outcome == "stopped":
                return False
            if outcome == "trouble":
                self._back_off()
                trainer = self._trainer_of(stage)
        self.position = replace(self.position, stage=self.position.stage + 1, iteration=0)
        self._stage = None
        self._save()
        return True

    def _run_until_trouble(self, stage: Stage, trainer: StageTrainer) -> Literal["done", "stopped", "trouble"]:
        seed = seed_of("stage", self.seed, self.position.stage, self.position.backoffs)
        started, counted = time.monotonic(), 0
        for batch in self._batches(stage, seed, self.position.iteration, stage.iterations):
            values, skipped = trainer.iterate(batch, self.position.iteration)
            self._meter.add(values, skipped)
            iteration = self.position.iteration + 1
            self.position = replace(self.position, iteration=iteration, step=self.position.step + 1)
            counted += 1
            last = iteration == stage.iterations
            if _due(self.intervals.log, iteration) or last:
                seconds = time.monotonic() - started
                if self._look(stage, trainer, iteration, counted / seconds):
                    return "trouble"
                started, counted = time.monotonic(), 0
            else:
                self.watcher.step(iteration, {})
            if _due(self.intervals.validate, iteration) or (last and self.intervals.validate):
                if self._validate():
                    return "trouble"
                started, counted = time.monotonic(), 0
            if _due(self.intervals.save, iteration) and not last and not self._meter.failing():
                self._save()
            if self._is_time_to_stop(iteration):
                return self._stopped()
        return "done"

    def _look(self, stage: Stage, trainer: StageTrainer, iteration: int, steps_per_second: float) -> bool:
        """Read and log the numbers since the last look; returns whether steps keep failing."""
        means, skipped, run = self._meter.read()
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
        return run >= _PATIENCE

    def _back_off(self) -> None:
        """Return to the last save, with half the learning rate and other crops."""
        backoffs = self.position.backoffs + 1
        if backoffs > _MOST_BACKOFFS:
            raise DivergedError(
                f"expected steps that are finite, got {_PATIENCE} failures in a row after {_MOST_BACKOFFS} returns to "
                "the last save; lower the learning rate, or start from other weights (--init)"
            )
        self._meter = Meter()
        self.processes.wait()
        saved = self._states.latest(self.watcher.say)
        if saved is None:
            raise DivergedError(
                "expected finite steps, got failures before anything was saved; lower the learning rate"
            )
        self._restore(saved, backoffs)
        self.watcher.say(
            f"steps kept failing: back at step {self.position.step}, learning rate times {0.5**backoffs:g}"
        )

    def _trainer_of(self, stage: Stage) -> StageTrainer:
        if self._stage is None:
            self._stage = StageTrainer(self.model, stage, self.technique, self.processes, self._features)
        self._stage.slowdown = 0.5**self.position.backoffs
        return self._stage

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
            about = {"recipe": self.recipe.to_json(), "seed": self.seed, "digest": self.digest}
            self._states.save(self.position, tensors, {**about, "run": self._logs.memory()})
            self._write_weights("last")
        self.processes.wait()

    def _validate(self) -> bool:
        """Score, log, keep the best weights; returns whether the network stopped being invertible."""
        failed = False
        if self.processes.first and self._validation is not None:
            try:
                with full_precision(self.model, self.technique):
                    result = self._validation(self.model)
            except SingularWeightError as error:
                self.watcher.say(f"step {self.position.step}: {error}")
                failed = True
            else:
                failed = not result.scores.get("inverse_error", 0.0) < _INVERSE_ERROR
                self._log_validation(result, failed)
        return self.processes.any(failed)

    def _log_validation(self, result: ValidationResult, failed: bool) -> None:
        scores = {f"validation_{name}": value for name, value in result.scores.items()}
        self._logs.metrics(self.position.step, scores)
        self._logs.images(self.position.step, result.grids)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in result.scores.items())
        self.watcher.say(f"step {self.position.step}: {shown}")
        if failed:
            self.watcher.say(f"step {self.position.step}: decoding does not undo encoding any more")
        elif result.best_by is not None and (self.position.best is None or result.best_by > self.position.best):
            self.position = replace(self.position, best=result.best_by)
            self._logs.best(self.position.step, self._write_weights("best"))

    def _write_weights(self, name: str) -> Path:
        folder = self.folder / "weights"
        folder.mkdir(parents=True, exist_ok=True)
        save_model(self.model, folder / f"{name}.safetensors")
        return folder / f"{name}.safetensors"

    def _is_time_to_stop(self, iteration: int) -> bool:
        """Whether somebody asked to stop; several processes agree on it now and then, since agreeing takes time."""
        if self.processes.world == 1:
            return self._stop.asked
        return _due(self.intervals.log or Intervals.log, iteration) and self.processes.any(self._stop.asked)

    def _stopped(self) -> Literal["stopped"]:
        self._save()
        return "stopped"


def _due(interval: int, iteration: int) -> bool:
    return interval > 0 and iteration % interval == 0
