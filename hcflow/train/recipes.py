"""The paper's recipes, and recipes from files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hcflow.config import CASES, PRESETS, ConditionerConfig, Config
from hcflow.errors import ConfigError
from hcflow.structured import build, suggestion
from hcflow.train.parsing import read_toml
from hcflow.train.recipe import Init, Losses, Recipe, Stage

__all__ = ["RECIPES", "recipe"]

_NLL_X4 = Stage("nll", Losses(nll=1.0), 300_000, 2.5e-4, (150_000, 225_000, 270_000, 285_000), hour=20_000)
_NLL_X8 = Stage(
    "nll", Losses(nll=1.0), 350_000, 2.5e-4, (200_000, 250_000, 280_000, 310_000, 340_000), hour=18_000
)  # fmt: skip
_PLUS = Stage("+", Losses(nll=2e-3, pixel_hr=1.0), 50_000, 5e-5, (20_000, 40_000), hour=8_000)
_PLUSPLUS = Stage(
    "++",
    Losses(nll=2e-3, pixel_hr=1.0, perceptual=5e-2, gan=5e-1),
    50_000,
    1.25e-5,
    (20_000, 40_000),
    hour=5_000,
    discriminator_alone=1_500,
)
_RESCALING = Stage(
    "rescaling",
    Losses(pixel_hr=1.0, pixel_lr=0.05, latent=1e-5),
    500_000,
    2.5e-4,
    (100_000, 200_000, 300_000, 400_000, 450_000),
    hour=30_000,
    augment="flip and rotate",
)

_SMALL_RESCALING = replace(
    _RESCALING, losses=Losses(pixel_hr=1.0, pixel_lr=3.0, latent=1e-5), iterations=4_200, learning_rate=1e-3,
    halve_at=(2_200, 3_100, 3_700, 4_000), hour=4_200, small=4_200, batch=8, patch=64,
)  # fmt: skip
"""The paper's weight of the LR loss, 0.05, leaves an LR image of so short a training speckled with colour."""
_SMALL_RESCALING_NETWORK = replace(
    PRESETS["rescale_x4"],
    K=4,
    P=2,
    width=16,
    conditional_width=32,
    conditioner=ConditionerConfig(features=32, growth=8, blocks=(1, 1), output="last"),
)

_SMALL_CONDITIONER = ConditionerConfig(features=32, growth=16, blocks=(1, 1))
_SMALL_NLL = Stage(
    "nll", Losses(nll=1.0), 3_000, 1e-3, (1_500, 2_250, 2_700, 2_850),
    hour=3_000, small=3_000, batch=8, patch=64, augment="flip and rotate",
)  # fmt: skip


_SMALL_PLUS = Stage(
    "+", Losses(nll=3e-4, pixel_hr=1.0), 6_000, 6e-4, (2_600, 3_900, 4_800, 5_500),
    hour=6_000, small=6_000, batch=4, patch=64, augment="flip and rotate", update="joint", clip_norm=1.0,
)  # fmt: skip
"""After so few nll steps, the nll's gradient is several times the pixels' at the paper's weight, and spiky: its weight
and the clip keep it from drowning them."""


def _shrunk(network: Config) -> Config:
    """A network of 1/7 (case1, case4) to 1/23 of the parameters, otherwise the same."""
    return replace(network, K=5, P=3, width=32, conditional_width=32, conditioner=_SMALL_CONDITIONER)


def _chains() -> Iterable[Recipe]:
    for name, nll, tau in (("sr_x4", _NLL_X4, 0.9), ("sr_x8", _NLL_X8, 0.8)):
        yield Recipe(name, PRESETS[name], (nll,))
        yield Recipe(f"{name}+", PRESETS[name], (nll, _PLUS))
        yield Recipe(f"{name}++", PRESETS[name], (nll, replace(_PLUSPLUS, temperature=tau)))
    yield Recipe("rescale_x4", PRESETS["rescale_x4"], (_RESCALING,))
    yield Recipe("rescale_x4_small", _SMALL_RESCALING_NETWORK, (_SMALL_RESCALING,))
    for name, network in CASES.items():
        yield Recipe(name, network, (_NLL_X4,))
    yield Recipe("sr_x4_small", _shrunk(PRESETS["sr_x4"]), (_SMALL_NLL, _SMALL_PLUS), "wide")
    for name, network in {**CASES, "hcflow": PRESETS["sr_x4"]}.items():
        yield Recipe(f"{name}_small", _shrunk(network), (_SMALL_NLL,), "wide")


RECIPES: dict[str, Recipe] = {one.name: one for one in _chains()}
"""HCFlow, HCFlow+ and HCFlow++ for x4 and x8, rescaling, Table 1's cases.

Those whose names end in _small are no recipes of the paper: networks of 1/6 to 1/23 of its size, which a few
CPU cores train at the budget "small"; `hcflow_small` is the last row of Table 1 beside `case1_small` .. `case5_small`.
"""


def recipe(name: str) -> Recipe:
    """A recipe by name, or from a TOML file (keys `name`, `preset` and/or `network`, `stages`, `init`).

    With both, `network` says what is different from the preset.

    Raises:
        ConfigError: no such name or file; the message lists the choices; or a key or value in the file is wrong.
    """
    if name in RECIPES:
        return RECIPES[name]
    if not name.endswith(".toml"):
        guess = suggestion(name, RECIPES)
        raise ConfigError(f"unknown recipe {name!r}; {guess}choose from {', '.join(RECIPES)}, or give a .toml file")
    data = read_toml(Path(name))
    return build(_File, _completed(data), name).recipe(Path(name).stem)


def _completed(data: object) -> object:
    """A recipe file's data, with what its preset says of the network where `network` does not."""
    if not isinstance(data, dict) or not isinstance(changes := data.get("network"), dict):
        return data
    preset = (PRESETS | CASES).get(str(data.get("preset")))
    if preset is None:
        return data
    network = json.loads(preset.to_json())
    if isinstance(conditioner := changes.get("conditioner"), dict):
        changes = changes | {"conditioner": network["conditioner"] | conditioner}
    return {key: value for key, value in data.items() if key != "preset"} | {"network": network | changes}


@dataclass(frozen=True)
class _File:
    """What a recipe file holds."""

    stages: tuple[Stage, ...]
    preset: str | None = None
    network: Config | None = None
    name: str | None = None
    init: Init = "released"

    def recipe(self, stem: str) -> Recipe:
        known = PRESETS | CASES
        if self.preset is None and self.network is None:
            raise ConfigError(f"{stem}: expected preset or network, got neither")
        if self.preset is not None and self.preset not in known:
            guess = suggestion(self.preset, known)
            raise ConfigError(f"{stem}: unknown preset {self.preset!r}; {guess}choose from {', '.join(known)}")
        return Recipe(self.name or stem, self.network or known[str(self.preset)], self.stages, self.init)
