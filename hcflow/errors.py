"""The errors of this package: each says what was expected, what was got and what to do."""

from __future__ import annotations

__all__ = ["CheckpointError", "ConfigError", "HCFlowError", "InputError", "SingularWeightError"]


class HCFlowError(ValueError):
    """Base of every error raised on purpose by `hcflow`."""


class ConfigError(HCFlowError):
    """A configuration names something that does not exist or that does not fit together."""


class InputError(HCFlowError):
    """A tensor or an image cannot be used: wrong shape, wrong size or values that are not finite."""


class CheckpointError(HCFlowError):
    """A file is not a checkpoint, is unsafe to read, or does not fit the network it claims to be."""


class SingularWeightError(HCFlowError):
    """An invertible 1x1 convolution is too close to singular to be inverted in the precision asked for."""
