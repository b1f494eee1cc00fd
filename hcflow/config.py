"""What an HCFlow network is made of: one frozen dataclass, the three published presets, Table 1's cases.

The preset numbers are those of the released networks, which alone give the paper's parameter counts
(the paper's text says 13 and 8 RRDB blocks; its parameter column needs 14 and 10).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hcflow.errors import ConfigError

__all__ = ["CASES", "PRESETS", "ConditionerConfig", "Config", "preset", "preset_name"]


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
        sizes = {name: getattr(self, name) for name in ("L", "K", "P", "width", "conditional_width")}
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(f"expected {name} >= 1, got {value}")
        if self.q is not None and self.q < 1:
            raise ConfigError(f"expected q >= 1 or null, got {self.q}")
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
        except json.JSONDecodeError as error:
            raise ConfigError(f"expected a JSON object, got text that is not JSON ({error})") from None
        return _build(cls, data, "config")


def _build(cls: type[Any], data: object, where: str) -> Any:  # noqa: ANN401 - an instance of cls
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: expected an object, got {type(data).__name__}")
    hints = get_type_hints(cls)
    for key in data:
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {key!r}; choose from {', '.join(hints)}")
    return cls(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in data.items()})


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - annotations are objects
    """Check one JSON value against the annotation of its field."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where}: got {value!r}; choose from {', '.join(get_args(hint))}")
        return value
    if get_origin(hint) is tuple:
        args = get_args(hint)
        if not isinstance(value, list) or len(value) != len(args):
            raise ConfigError(f"{where}: expected a list of {len(args)} integers, got {value!r}")
        return tuple(_value(arg, item, where) for arg, item in zip(args, value, strict=True))
    kinds = get_args(hint) or (hint,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not any(type(value) is kind for kind in kinds):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ConfigError(f"{where}: expected {names}, got {value!r}")
    return value


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
