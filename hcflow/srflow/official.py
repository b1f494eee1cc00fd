"""The layout of SRFlow's released checkpoints, which are plain state dicts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from hcflow.checkpoint import check_finite, first_wrong_key
from hcflow.errors import CheckpointError, ConfigError
from hcflow.files import read_pickle
from hcflow.official import Shapes
from hcflow.srflow.config import SRFLOW_PRESETS, SRFlowConfig
from hcflow.srflow.model import SRFlow

__all__ = ["from_official", "infer_config", "is_srflow", "key_map", "load", "to_official"]

_PREFIX = "module."
_FLOW = "flowUpsamplerNet."
_ENCODER = (
    (r"^encoder\.trunk\.(\d+)\.blocks\.", r"RRDB.RRDB_trunk.\1.RDB"),
    (r"^encoder\.first\.", "RRDB.conv_first."),
    (r"^encoder\.last\.", "RRDB.trunk_conv."),
    (r"^encoder\.up\.", "RRDB.upconv"),
    (r"^encoder\.hr\.", "RRDB.HRconv."),
    (r"^encoder\.image\.", "RRDB.conv_last."),
    (r"^unused\.", _FLOW + "f.0."),
)
_STEP = (
    (r"\.steps\.0\.(bias|logs)$", r".actnorm.\1"),
    (r"\.steps\.1\.weight$", r".invconv.weight"),
    (r"\.steps\.2\.subnet\.", r".affine.fFeatures."),
    (r"\.steps\.3\.subnet\.", r".affine.fAffine."),
    (r"\.conv([123])\.", lambda m: f".{2 * int(m[1]) - 2}."),
    (r"\.actnorm([12])\.", lambda m: f".{2 * int(m[1]) - 2}.actnorm."),
)


def is_srflow(keys: Mapping[str, object]) -> bool:
    """Whether a state dict is that of an SRFlow network."""
    return any(key.removeprefix(_PREFIX).startswith(_FLOW) for key in keys)


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> SRFlow:
    """Read a released checkpoint into a model in evaluation mode; raises CheckpointError as `hcflow.load`."""
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"expected a checkpoint file, got {file}, which does not exist or is not a file")
    return from_official(read_pickle(file), str(file)).to(device).eval()


def from_official(state: Mapping[str, Tensor], source: str = "state dict") -> SRFlow:
    """Build a model from an official state dict; every ActNorm counts as initialised.

    Raises:
        CheckpointError: a key is missing, left over, of the wrong shape or not finite.
    """
    state = {key.removeprefix(_PREFIX): value for key, value in state.items()}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    try:
        config = infer_config(shapes)
    except (ConfigError, CheckpointError) as error:
        raise CheckpointError(f"{source}: {error}") from None
    with torch.device("meta"):
        model = SRFlow(config)
    names = key_map(config, [name for name, _ in model.named_parameters()])
    expected = {names[name]: tuple(value.shape) for name, value in model.named_parameters()}
    wrong = first_wrong_key(expected, shapes)
    if wrong is not None:
        raise CheckpointError(f"{source}: {wrong}, for SRFlow x{config.scale} with {config.blocks} RRDBs")
    tensors = {ours: state[official].float() for ours, official in names.items()}
    tensors |= {name: torch.tensor(True) for name, _ in model.named_buffers()}
    check_finite({names.get(name, name): tensor for name, tensor in tensors.items()}, source)
    model.load_state_dict(tensors, assign=True)
    return model


def to_official(model: SRFlow) -> dict[str, Tensor]:
    """The official state dict of a model, the inverse of `from_official`."""
    names = key_map(model.config, [name for name, _ in model.named_parameters()])
    return {names[name]: value.detach().cpu() for name, value in model.named_parameters()}


def key_map(config: SRFlowConfig, ours: list[str]) -> dict[str, str]:
    """Map our parameter names to those of the released checkpoints, in our order."""
    return {key: _official(config, key) for key in ours}


def _official(config: SRFlowConfig, key: str) -> str:
    match = re.match(r"levels\.(\d+)\.(flow\.steps\.(\d+)|gaussian)(\..*)$", key)
    if match is None:
        for pattern, new in _ENCODER:
            key = re.sub(pattern, new, key)
        # numbered from 0 here, from 1 there
        key = re.sub(r"(upconv|RDB)(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}", key)
        return re.sub(r"\.convs\.(\d+)", lambda m: f".conv{int(m[1]) + 1}", key)
    steps = config.plain_steps + config.K
    start = int(match[1]) * (steps + 2)  # each level: the squeeze, the steps, the split
    start -= max(0, int(match[1]) - (config.L - 2))  # which the last two levels lack
    name = match[4]
    for pattern, replacement in _STEP if match[3] else ():
        name = re.sub(pattern, replacement, name)
    return f"{_FLOW}layers.{start + (int(match[3]) if match[3] else steps + 1)}{name}"


def infer_config(shapes: Shapes) -> SRFlowConfig:
    """Infer the configuration from the shapes of an official checkpoint, of published or other sizes.

    Dequantisation, temperature and the number of steps without coupling leave their published values.

    Raises:
        CheckpointError: keys that no SRFlow network has.
    """
    up = len({key for key in shapes if re.match(r"RRDB\.upconv\d+\.weight$", key)})
    blocks = len({m[1] for m in (re.match(r"RRDB\.RRDB_trunk\.(\d+)\.", key) for key in shapes) if m})
    coupled = [m for m in (re.match(_FLOW + r"layers\.(\d+)\.affine\.fAffine\.0\.weight$", k) for k in shapes) if m]
    if not up or not blocks or not coupled:
        first = next(iter(shapes), "nothing")
        raise CheckpointError(f"expected keys of an SRFlow network such as RRDB.upconv1.weight, got {first!r}")
    base = SRFLOW_PRESETS["srflow_x8" if up == 3 else "srflow_x4"]
    first_layer = min(int(m[1]) for m in coupled)
    return replace(
        base,
        scale=2**up,
        blocks=blocks,
        features=shapes.get("RRDB.conv_first.weight", (base.features,))[0],
        growth=shapes.get("RRDB.RRDB_trunk.0.RDB1.conv1.weight", (base.growth,))[0],
        K=max(1, len(coupled) // (up + 1)),
        plain_steps=first_layer - 1,
        hidden=shapes[f"{_FLOW}layers.{first_layer}.affine.fAffine.0.weight"][0],
        head=shapes.get(f"{_FLOW}f.0.weight", (base.head,))[0],
    )
