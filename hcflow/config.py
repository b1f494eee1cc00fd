"""What an HCFlow network is made of: one frozen dataclass, the three published presets, Table 1's cases.

The preset numbers are those of the released networks, which alone give the paper's parameter counts
(the paper's text says 13 and 8 RRDB blocks; its parameter column needs 14 and 10).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from typing import Literal

from hcflow.errors import ConfigError
from hcflow.structured import build

__all__ = ["CASES", "HOTTEST", "PRESETS", "ConditionerConfig", "Config", "preset", "preset_name"]


HOTTEST = 10
"""Largest temperature: far beyond it, draws are nothing but overflow."""


def _check_size(name: str, value: int, most: int) -> None:
    """Bound a size, so that no file can ask for a network that no machine holds."""
    if not 1 <= value <= most:
        got = str(value) if abs(value) < 10**20 else "a number of more than 20 digits"
        raise ConfigError(f"expected {name} >= 1 and <= {most}, got {got}")


@dataclass(frozen=True)
class ConditionerConfig:
    """Sizes of the conditioner phi_l (eq. 5): an RRDB network whose trunk is cut in two."""

    features: int = 64
    """Channels of the trunk."""
    growth: int = 32
    """Channels that each convolution of a residual dense block adds."""
    blocks: tuple[int, int] = (7, 7)
    """RRDBs before and after the point where u1 is taken."""
    output: Literal["both", "last"] = "both"
    """c_l = [u1, u2] ("both") or c_l = u2 ("last")."""

    def __post_init__(self) -> None:
        for name, value in {"features": self.features, "growth": self.growth}.items():
            _check_size(f"conditioner.{name}", value, 4096)
        for value in self.blocks:
            _check_size("conditioner.blocks", value, 256)

    @property
    def channels(self) -> int:
        """Channels of c_l."""
        return self.features * (2 if self.output == "both" else 1)


@dataclass(frozen=True)
class Config:
    """An HCFlow network. The symbols are the paper's; the defaults are SR x4.

    The last three fields spell Table 1. Where its description leaves freedom, this is the reading: a level
    that sees nothing keeps its P flow steps without context, and its Gaussian has one learned mean and log
    sigma per channel (what the zero convolution of c_l becomes without c_l); "y*, y1" at level 1 means
    [y_1, up(c_2)] with c_2 made from y*; without the LR image in the latent, y_L has no channels and all of
    the last level is a_L.
    """

    L: int = 2
    """Levels; the scale is 2^L."""
    K: int = 13
    """Flow steps per level."""
    P: int = 13
    """Conditional flow steps per level."""
    squeeze: Literal["pixel", "haar"] = "pixel"
    """How 2x2 pixels become channels."""
    coupling: Literal["affine", "alternating"] = "affine"
    """Main steps: 1x1 convolution and affine coupling, or IRN's alternation without 1x1 convolution."""
    width: int = 64
    """Main subnets: hidden channels of the FCN (affine) or growth of the dense block (alternating)."""
    conditional_width: int = 64
    """Hidden channels of the FCN of the conditional steps."""
    conditioner: ConditionerConfig = ConditionerConfig()
    sigma: Literal["free", "bounded"] = "free"
    """Log sigma of the Gaussians: the raw convolution output, or 0.318 atan(2 raw)."""
    q: int | None = 64
    """Dequantisation: x = hr + U(0, 1)/q. None: no noise (rescaling)."""
    temperature: float = 0.9
    """The temperature tau of the published results."""
    lr_in_latent: bool = True
    """Whether y_L, the LR image, is a part of the latent."""
    deepest_condition: Literal["latent", "given", "nothing"] = "latent"
    """What phi_L sees: y_L, the given LR image y*, or nothing (then no level is conditioned)."""
    hierarchical: bool = True
    """Whether phi_l also sees up(c_{l+1}), .., up(c_L)."""

    def __post_init__(self) -> None:
        for name, most in {"L": 8, "K": 1024, "P": 1024, "width": 4096, "conditional_width": 4096}.items():
            _check_size(name, getattr(self, name), most)
        if self.q is not None:
            _check_size("q", self.q, 2**24)
        if not 0 <= self.temperature <= HOTTEST:
            raise ConfigError(f"expected temperature >= 0 and <= {HOTTEST}, got {self.temperature}")
        if not self.lr_in_latent and self.deepest_condition == "latent":
            raise ConfigError(
                "expected deepest_condition 'given' or 'nothing' without the LR image in the latent, "
                "got 'latent': there is no y_L to see"
            )

    @property
    def scale(self) -> int:
        """Ratio of the HR to the LR side."""
        return int(2**self.L)

    def to_json(self) -> str:
        """Serialise to JSON with sorted keys; `from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Config:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: not a JSON object, an unknown key (the message lists the choices) or a wrong value.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:  # also of numbers with thousands of digits, and of depth
            raise ConfigError(f"expected a JSON object, got text that is not JSON ({error})") from None
        return build(cls, data, "config")


_SR_X4 = Config()

PRESETS: dict[str, Config] = {
    "sr_x4": _SR_X4,
    "sr_x8": replace(_SR_X4, L=3, conditioner=ConditionerConfig(blocks=(5, 5)), q=256, temperature=0.8),
    "rescale_x4": replace(
        _SR_X4,
        K=8,
        P=6,
        squeeze="haar",
        coupling="alternating",
        width=32,
        conditioner=ConditionerConfig(growth=16, blocks=(2, 1), output="last"),
        sigma="bounded",
        q=None,
        temperature=1.0,
    ),
}
"""The published networks."""

CASES: dict[str, Config] = {
    "case1": replace(_SR_X4, lr_in_latent=False, deepest_condition="nothing"),
    "case2": replace(_SR_X4, lr_in_latent=False, deepest_condition="given"),
    "case3": replace(_SR_X4, deepest_condition="given"),
    "case4": replace(_SR_X4, deepest_condition="nothing"),
    "case5": replace(_SR_X4, hierarchical=False),
}
"""The rows of Table 1; its last row is the preset sr_x4."""


def preset(name: str) -> Config:
    """Return a preset or an ablation case by name.

    Raises:
        ConfigError: no such name; the message lists the choices.
    """
    known = PRESETS | CASES
    if name not in known:
        raise ConfigError(f"unknown preset {name!r}; choose from {', '.join(known)}")
    return known[name]


def preset_name(config: Config) -> str | None:
    """Return the name under which `preset` gives this configuration, or None for other sizes."""
    return next((name for name, known in (PRESETS | CASES).items() if known == config), None)
