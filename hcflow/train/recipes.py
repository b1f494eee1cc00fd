"""The paper's recipes, and recipes from files."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hcflow.config import CASES, PRESETS, ConditionerConfig, Config
from hcflow.errors import ConfigError
from hcflow.structured import build
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
    _RESCALING, iterations=6_000, learning_rate=1e-3, halve_at=(3_000, 4_500, 5_400), hour=6_000, batch=8, patch=64
)
_SMALL_NETWORK = replace(
    PRESETS["rescale_x4"],
    K=4,
    P=2,
    width=16,
    conditional_width=32,
    conditioner=ConditionerConfig(features=32, growth=8, blocks=(1, 1), output="last"),
)


def _chains() -> Iterable[Recipe]:
    for name, nll, tau in (("sr_x4", _NLL_X4, 0.9), ("sr_x8", _NLL_X8, 0.8)):
        yield Recipe(name, PRESETS[name], (nll,))
        yield Recipe(f"{name}+", PRESETS[name], (nll, _PLUS))
        yield Recipe(f"{name}++", PRESETS[name], (nll, replace(_PLUSPLUS, temperature=tau)))
    yield Recipe("rescale_x4", PRESETS["rescale_x4"], (_RESCALING,))
    yield Recipe("rescale_x4_small", _SMALL_NETWORK, (_SMALL_RESCALING,))
    for name, network in CASES.items():
        yield Recipe(name, network, (_NLL_X4,))


RECIPES: dict[str, Recipe] = {one.name: one for one in _chains()}
"""HCFlow, HCFlow+ and HCFlow++ for x4 and x8, rescaling, Table 1's cases.

rescale_x4_small is no recipe of the paper: a sixth of the network, which two CPU cores train in under an hour."""


def recipe(name: str) -> Recipe:
    """A recipe by name, or from a TOML file (keys `name`, `preset` or `network`, `stages`, `init`).

    Raises:
        ConfigError: no such name or file; the message lists the choices; or a key or value in the file is wrong.
    """
    if name in RECIPES:
        return RECIPES[name]
    if not name.endswith(".toml"):
        raise ConfigError(f"unknown recipe {name!r}; choose from {', '.join(RECIPES)}, or give a .toml file")
    try:
        data = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{name}: expected a recipe file, got {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: expected TOML, got something else ({error})") from None
    return build(_File, data, name).recipe(Path(name).stem)


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
        if (self.preset is None) == (self.network is None):
            raise ConfigError(f"{stem}: expected either preset or network, got {'both' if self.preset else 'neither'}")
        if self.preset is not None and self.preset not in known:
            raise ConfigError(f"{stem}: unknown preset {self.preset!r}; choose from {', '.join(known)}")
        return Recipe(self.name or stem, self.network or known[str(self.preset)], self.stages, self.init)
