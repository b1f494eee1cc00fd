"""What a recipe is: a network and the stages that train it; budgets that scale it down."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from hcflow.config import HOTTEST, Config
from hcflow.errors import ConfigError
from hcflow.structured import build
from hcflow.train.parsing import parse_settings

__all__ = ["BUDGETS", "Budget", "Init", "Losses", "Recipe", "Stage"]

Budget = Literal["smoke", "small", "hour", "paper"]
BUDGETS: tuple[Budget, ...] = ("smoke", "small", "hour", "paper")
"""smoke: seconds on a CPU, to check that everything works; small: Stage.small iterations; hour: Stage.hour iterations;
paper: the full schedule."""

Init = Literal["released", "wide"]

_LARGEST = {"iterations": 10**9, "hour": 10**9, "small": 10**9, "batch": 1 << 16, "patch": 1 << 14}
_SMOKE = {"iterations": 12, "batch": 2, "patch": 32}


@dataclass(frozen=True)
class Losses:
    """Weights of the losses; 0 leaves one out."""

    nll: float = 0.0
    """Bits per pixel (eq. 6)."""
    pixel_hr: float = 0.0
    """L1 of the HR image: decoded at tau 0 (eq. 7), or the round trip of rescaling (eq. 9)."""
    pixel_lr: float = 0.0
    """Mean squared error of y_L against the bicubic LR image (eq. 9)."""
    latent: float = 0.0
    """Mean z^2 (eq. 9)."""
    perceptual: float = 0.0
    """L1 of VGG19's conv5_4 features (eq. 8)."""
    gan: float = 0.0
    """The generator's share of the adversarial loss (eq. 8)."""

    def __post_init__(self) -> None:
        weights = dataclasses.asdict(self)
        for name, weight in weights.items():
            if not 0 <= weight < math.inf:
                raise ConfigError(f"losses.{name}: expected a finite weight >= 0, got {weight}")
        if not any(weights.values()):
            raise ConfigError(f"losses: expected a weight above 0 for one of {', '.join(weights)}, got none")


@dataclass(frozen=True)
class Stage:
    """One run of the optimiser: Adam, clipping by value and then by norm, a learning rate that is halved."""

    name: str
    losses: Losses
    iterations: int
    learning_rate: float
    halve_at: tuple[int, ...] = ()
    """Steps, counted from 1, from which on the learning rate is halved."""
    hour: int | None = None
    """Iterations at the budget "hour": an estimate for one data-centre GPU; None: there is no such budget."""
    small: int | None = None
    """Iterations at the budget "small", for networks that CPU cores can train; None: there is no such budget."""
    batch: int = 16
    patch: int = 160
    """Side of the HR crops."""
    augment: Literal["flip", "flip and rotate"] = "flip"
    update: Literal["alternating", "joint"] = "alternating"
    """One optimiser step per group of losses (nll, then pixel, then perceptual and GAN), or one on their sum."""
    temperature: float = 0.9
    """Of the images that perceptual and GAN losses see."""
    discriminator_learning_rate: float = 5e-5
    discriminator_alone: int = 0
    """First iterations, in which only the discriminator learns."""
    betas: tuple[float, float] = (0.9, 0.99)
    clip_value: float = 5.0
    clip_norm: float = 100.0

    def __post_init__(self) -> None:
        for name, most in _LARGEST.items():
            value = getattr(self, name)
            if value is not None and not 1 <= value <= most:
                raise ConfigError(f"stage {self.name}: expected 1 <= {name} <= {most:,}, got {value}")
        for name in ("learning_rate", "discriminator_learning_rate", "clip_value", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"stage {self.name}: expected a finite {name} > 0, got {getattr(self, name)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"stage {self.name}: expected betas in [0, 1), got {list(self.betas)}")
        if not 0 <= self.temperature <= HOTTEST:
            raise ConfigError(f"stage {self.name}: expected 0 <= temperature <= {HOTTEST}, got {self.temperature}")
        wrong = [milestone for milestone in self.halve_at if not 1 <= milestone <= _LARGEST["iterations"]]
        if wrong:
            raise ConfigError(f"stage {self.name}: expected halve_at of steps counted from 1, got {wrong[0]}")
        if not 0 <= self.discriminator_alone <= self.iterations:
            raise ConfigError(
                f"stage {self.name}: expected 0 <= discriminator_alone <= iterations, got {self.discriminator_alone}"
            )

    def learning_rate_at(self, iteration: int) -> float:
        """Of the step that begins after `iteration` steps: step number iteration + 1 of the stage."""
        return self.learning_rate * self._decay_at(iteration)

    def discriminator_learning_rate_at(self, iteration: int) -> float:
        """Halved where the other one is."""
        return self.discriminator_learning_rate * self._decay_at(iteration)

    def _decay_at(self, iteration: int) -> float:
        return float(0.5 ** sum(iteration + 1 >= milestone for milestone in self.halve_at))

    def shortened(self, iterations: int) -> Stage:
        """The same schedule in fewer or more iterations: everything keeps its relative place."""

        def place(iteration: int) -> int:
            return round(iteration * iterations / self.iterations)

        return replace(
            self,
            iterations=iterations,
            halve_at=tuple(max(1, place(milestone)) for milestone in self.halve_at),
            discriminator_alone=place(self.discriminator_alone),
        )


@dataclass(frozen=True)
class _Start:
    """What of a recipe can be changed beside its last stage."""

    init: Init


@dataclass(frozen=True)
class Recipe:
    """A network and its stages, each starting from the weights that the one before left."""

    name: str
    network: Config
    stages: tuple[Stage, ...]
    init: Init = "released"
    """First weights of the FCNs' convolutions: Xavier normal times 0.1, as released, or N(0, 0.05^2)."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ConfigError(f"recipe {self.name}: expected at least one stage, got none")
        for stage in self.stages:
            self._check(stage)

    def at(self, budget: Budget) -> Recipe:
        """The recipe scaled down to a budget."""
        if budget == "paper":
            return self
        return replace(self, stages=tuple(_at(stage, budget) for stage in self.stages))

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """Change fields of the last stage: KEY=VALUE, values in JSON; `losses.nll=1` reaches into the losses.

        `init=wide` is of the whole recipe.

        `iterations` keeps the relative places of the halvings; setting `halve_at` too overrides them.

        Raises:
            ConfigError: not KEY=VALUE, an unknown key (the message lists the choices) or a wrong value.
        """
        *before, last = self.stages
        changes = parse_settings(settings)
        init = build(_Start, {"init": changes.pop("init", self.init)}, f"recipe {self.name}").init
        iterations = changes.get("iterations")
        if type(iterations) is int and iterations >= 1:  # anything else is refused below
            last = last.shortened(iterations)
        data = json.loads(json.dumps(dataclasses.asdict(last)))
        for key, value in changes.items():
            group, dot, inner = key.partition(".")
            if dot and group == "losses":
                if not isinstance(data["losses"], dict):
                    raise ConfigError(f"losses: expected an object, got {type(data['losses']).__name__}")
                data["losses"][inner] = value
            else:
                data[key] = value
        return replace(self, stages=(*before, build(Stage, data, f"recipe {self.name}")), init=init)

    def last_stage_only(self) -> Recipe:
        """For runs that start from given weights."""
        return replace(self, stages=self.stages[-1:])

    def to_json(self) -> str:
        """Serialise with sorted keys, to tell whether two runs are the same."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def _check(self, stage: Stage) -> None:
        where = f"recipe {self.name}, stage {stage.name}"
        rescaling = self.network.q is None
        only = ("pixel_lr", "latent") if not rescaling else ("nll", "perceptual", "gan")
        wrong = [name for name in only if getattr(stage.losses, name)]
        if wrong:
            task = "rescaling" if rescaling else "super-resolution"
            raise ConfigError(f"{where}: expected losses of {task}, got {', '.join(wrong)}")
        multiple = 32 if stage.losses.gan else self.network.scale
        if stage.patch % multiple:
            raise ConfigError(f"{where}: expected a patch divisible by {multiple}, got {stage.patch}")


def _at(stage: Stage, budget: Budget) -> Stage:
    if budget == "smoke":
        patch = 64 if stage.losses.gan else _SMOKE["patch"]
        return replace(stage.shortened(_SMOKE["iterations"]), batch=_SMOKE["batch"], patch=patch)
    iterations = stage.small if budget == "small" else stage.hour
    if iterations is None:
        raise ConfigError(
            f"stage {stage.name}: expected the key {budget!r}, iterations at that budget, which is missing; add it, "
            "or choose another --budget"
        )
    return stage.shortened(iterations)
