"""What an SRFlow network is made of: one frozen dataclass and the two published networks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hcflow.errors import ConfigError

__all__ = ["SRFLOW_PRESETS", "SRFlowConfig"]


@dataclass(frozen=True)
class SRFlowConfig:
    """An SRFlow network; the defaults are x4, trained on DF2K."""

    scale: int = 4
    """Ratio of the HR to the LR side, a power of two."""
    blocks: int = 23
    """RRDBs of the encoder."""
    features: int = 64
    """Channels of the encoder."""
    growth: int = 32
    """Channels that each convolution of a residual dense block adds."""
    K: int = 16
    """Coupled steps per level."""
    plain_steps: int = 2
    """Steps per level without coupling, which come before the coupled ones."""
    hidden: int = 64
    """Hidden channels of the coupling subnets."""
    head: int = 96
    """Outputs of a convolution that is in the released files and counted, though nothing uses it."""
    quant: int = 32
    """Dequantisation: x = hr + (U(0, 1) - 1/2) / quant."""
    temperature: float = 0.9
    """The temperature tau of the published results."""

    def __post_init__(self) -> None:
        if self.scale < 2 or self.scale & (self.scale - 1):
            raise ConfigError(f"expected a scale of 2, 4, 8, .., got {self.scale}")
        if self.blocks < 5:
            raise ConfigError(f"expected 5 RRDBs or more, of which 4 are stacked, got {self.blocks}")

    @property
    def L(self) -> int:
        """Levels; the deepest works at half the LR size."""
        return int(math.log2(self.scale)) + 1

    @property
    def multiple(self) -> int:
        """What the sides of an HR image must be divisible by."""
        return int(2**self.L)

    @property
    def stacked(self) -> tuple[int, ...]:
        """Blocks (from 0) whose outputs every level sees: four, evenly from the second to the last."""
        return tuple(round(1 + k * (self.blocks - 2) / 3) for k in range(4))

    @property
    def context(self) -> int:
        """Channels of the maps that steps are conditioned on."""
        return 5 * self.features


SRFLOW_PRESETS: dict[str, SRFlowConfig] = {
    "srflow_x4": SRFlowConfig(),
    "srflow_x8": replace(SRFlowConfig(), scale=8, blocks=8, temperature=0.8),
}
"""The published networks."""
