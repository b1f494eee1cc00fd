"""The layout of the released checkpoints: their key names, and the configuration that their shapes imply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from hcflow.config import PRESETS, ConditionerConfig, Config
from hcflow.errors import CheckpointError, ConfigError
from hcflow.files import shown
from hcflow.flow.squeeze import HAAR_BANDS
from hcflow.level import IMAGE_CHANNELS

__all__ = ["Shapes", "haar_weights", "infer_config", "key_map"]

Shapes = Mapping[str, tuple[int, ...]]

_STEP = (
    (r"\.steps\.0\.(bias|logs)$", r".actnorm.\1"),
    (r"\.steps\.1\.weight$", r".permute.weight"),
    (r"\.steps\.[12]\.subnet\.", r".affine.f."),
    (r"\.actnorm([12])\.", r".conv\1.actnorm."),
)
_CONDITIONER = (
    (r"\.phi\.first\.", ".conv_first."),
    (r"\.phi\.last\.", ".trunk_conv1."),
    (r"\.phi\.trunk([01])\.(\d+)\.blocks\.", r".RRDB_trunk\1.\2.RDB"),
)


def key_map(config: Config, ours: list[str]) -> dict[str, str]:
    """Map our parameter names to those of the released checkpoints, in our order."""
    return {key: _official(config, key) for key in ours}


def _official(config: Config, key: str) -> str:
    match = re.match(r"levels\.(\d+)\.(.*)$", key)
    if match is None:
        raise CheckpointError(f"no official name for {key!r}")
    l, rest = int(match[1]), "." + match[2]  # noqa: E741
    flow = re.match(r"\.flow\.steps\.(\d+)(\..*)$", rest)
    conditional = re.match(r"\.conditional_flow\.steps\.(\d+)(\..*)$", rest)
    if flow is not None:  # each level: the squeeze, K steps, the split
        name = f"flow.layers.{l * (config.K + 2) + int(flow[1])}{flow[2]}"
    elif conditional is not None and int(conditional[1]) == config.P:
        name = f"flow.level{l}_condFlow{conditional[2].replace('.conv.', '.f.')}"
    elif conditional is not None:
        name = f"flow.level{l}_condFlow.additional_flow_steps.{conditional[1]}{conditional[2]}"
    else:
        name = f"flow.level{l}_condFlow{rest}"
    for pattern, new in (*_STEP, *_CONDITIONER):
        name = re.sub(pattern, new, name)
    # numbered from 0 here, from 1 there
    return re.sub(r"(\.RDB|\.convs\.)(\d+)(?=\.)", _count_from_one, name)


def _count_from_one(match: re.Match[str]) -> str:
    return f"{match[1].replace('convs.', 'conv')}{int(match[2]) + 1}"


def haar_weights(config: Config) -> dict[str, Tensor]:
    """The frozen Haar kernels that rescaling checkpoints carry, by official key."""
    if config.squeeze != "haar":
        return {}
    bands = torch.tensor(HAAR_BANDS, dtype=torch.float32).view(4, 1, 2, 2)
    return {
        f"flow.layers.{l * (config.K + 2)}.haar_weights": bands.repeat(IMAGE_CHANNELS * 2**l, 1, 1, 1)
        for l in range(config.L)  # noqa: E741
    }


def infer_config(shapes: Shapes) -> Config:
    """Infer the configuration from the shapes of an official checkpoint, of published or other sizes.

    Dequantisation and temperature leave no trace in shapes; they are those of the preset with as many levels.

    Raises:
        CheckpointError: keys that no HCFlow network has.
    """
    L = _count(shapes, r"flow\.level(\d+)_condFlow\.")
    steps = _count(shapes, r"flow\.layers\.(\d+)\.actnorm\.")
    if L == 0 or not steps:
        first = next(iter(shapes), "nothing")
        raise CheckpointError(
            f"expected keys of an HCFlow network such as 'flow.layers.1.actnorm.bias', got {shown(first)!r}; "
            "is this the checkpoint of another network?"
        )
    rescale = "flow.layers.0.haar_weights" in shapes
    base = PRESETS["rescale_x4" if rescale else ("sr_x8" if L == 3 else "sr_x4")]
    level = "flow.level0_condFlow"

    def outputs(key: str, default: int) -> int:
        """Output channels of a convolution."""
        shape = shapes.get(key) or (default,)
        return shape[0]

    step = f"{level}.additional_flow_steps.0.affine.f.conv1.weight"
    try:
        return replace(
            base,
            L=L,
            K=max(1, steps // L),
            P=max(1, _count(shapes, level + r"\.additional_flow_steps\.(\d+)\.")),
            width=outputs("flow.layers.1.affine.f.conv1.weight", base.width),
            conditional_width=outputs(step, base.conditional_width),
            conditioner=ConditionerConfig(
                features=outputs(f"{level}.conv_first.weight", base.conditioner.features),
                growth=outputs(f"{level}.RRDB_trunk0.0.RDB1.conv1.weight", base.conditioner.growth),
                blocks=(
                    max(1, _count(shapes, level + r"\.RRDB_trunk0\.(\d+)\.")),
                    max(1, _count(shapes, level + r"\.RRDB_trunk1\.(\d+)\.")),
                ),
                output=base.conditioner.output,
            ),
        )
    except ConfigError as error:
        raise CheckpointError(f"expected sizes of an HCFlow network in the shapes of the weights: {error}") from None


def _count(shapes: Shapes, pattern: str) -> int:
    return len({match[1] for match in (re.match(pattern, key) for key in shapes) if match})
