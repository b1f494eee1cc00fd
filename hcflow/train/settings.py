"""Settings of a trainer: what to train, where to write, and the intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hcflow.train.recipe import Recipe
from hcflow.train.stage import ComputeOptions
from hcflow.train.state import Identity

__all__ = ["Intervals", "TrainerSettings"]


@dataclass(frozen=True)
class Intervals:
    """After how many steps things happen; 0: never."""

    log: int = 50
    save: int = 1000
    validate: int = 1000


@dataclass(frozen=True)
class TrainerSettings:
    """A run, as far as the trainer is concerned.

    Attributes:
        recipe: what to train.
        folder: of the run's files.
        compute: precision and memory saving.
        intervals: when things are logged, saved, validated.
        seed: of weights, crops and noise.
        digest: of the training images.
        initial: digest of the weights it began with; empty for new ones.
        keep: saves to keep.
    """

    recipe: Recipe
    folder: Path
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    intervals: Intervals = field(default_factory=Intervals)
    seed: int = 0
    digest: str = ""
    initial: str = ""
    keep: int = 3

    @property
    def identity(self) -> Identity:
        """What a save must agree with to be resumed."""
        return Identity(self.recipe.to_json(), self.seed, self.digest, self.initial)
