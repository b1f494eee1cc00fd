"""Checkpoints: the released ones (.pth), read without running code, and our own (safetensors and config)."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor

from hcflow.atomic import write_atomically
from hcflow.config import CASES, PRESETS, Config, preset_name
from hcflow.errors import CheckpointError, ConfigError
from hcflow.files import SAVE_KEY, is_safetensors, open_safetensors, read_pickle, shown
from hcflow.model import HCFlow
from hcflow.official import Shapes, haar_weights, infer_config, key_map

__all__ = [
    "CheckpointInfo",
    "check_finite",
    "export",
    "first_wrong_key",
    "from_official",
    "info",
    "load",
    "read_notes",
    "save",
    "to_official",
]

_METADATA_KEY = "hcflow_config"
_NOTE = "note."
_PREFIX = "module."
_LONGEST_CONFIG = 2**16


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint file is."""

    path: Path
    layout: str
    """ "official" or "hcflow"."""
    preset: str | None
    """Name of the configuration; None for sizes that were not published."""
    config: Config
    parameters: int
    """Learned numbers."""
    initialised: bool
    """Whether every ActNorm has seen data."""


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> HCFlow:
    """Read a checkpoint of either layout into a model in evaluation mode.

    Args:
        path: an official .pth (configuration inferred from keys and shapes) or a file that `save` wrote.
        device: where the model goes.

    Raises:
        CheckpointError: no such file, damaged, unsafe, or keys and shapes that do not fit; the message
            names the first wrong key.
    """
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"expected a checkpoint file, got {file}, which does not exist or is not a file")
    try:
        model = _load_safetensors(file) if is_safetensors(file) else from_official(read_pickle(file), str(file))
    except OSError as error:
        raise CheckpointError(
            f"{file}: expected a readable file, got: {(error.strerror or str(error)).lower()}"
        ) from None
    return model.to(device).eval()


def save(
    model: HCFlow, path: str | os.PathLike[str], half: bool = False, notes: Mapping[str, str] | None = None
) -> None:
    """Write our own format: safetensors with the configuration in the metadata, so it needs no other file.

    The file appears under its name only when it is complete.

    Args:
        model: to write.
        path: of the file.
        half: whether to store weights in float16, in half the space; they are read back as float32.
        notes: texts to keep with the weights, which `read_notes` returns.

    Raises:
        CheckpointError: `half`, and a weight is too large for float16.
    """
    metadata = {_NOTE + key: text for key, text in (notes or {}).items()}
    metadata |= {_METADATA_KEY: model.config.to_json(), "format": "pt"}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    if half:
        tensors = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
        check_finite(tensors, f"{path} in float16")
    write_atomically(Path(path), to_safetensors(tensors, metadata))


def read_notes(path: str | os.PathLike[str]) -> dict[str, str]:
    """The notes that `save` put into a file; none where the file is missing, damaged or another one."""
    try:
        with open_safetensors(Path(path)) as stream:
            metadata = stream.metadata() or {}
    except (CheckpointError, OSError):
        return {}
    return {key.removeprefix(_NOTE): text for key, text in metadata.items() if key.startswith(_NOTE)}


def export(model: HCFlow, path: str | os.PathLike[str]) -> None:
    """Write the official layout, a plain state dict that the released code loads.

    Raises:
        CheckpointError: for an ablation case, whose network the released code does not have.
    """
    file = Path(path)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".hcflow-") as folder:
        part = Path(folder) / file.name
        torch.save(to_official(model), part)
        part.replace(file)


def info(path: str | os.PathLike[str]) -> CheckpointInfo:
    """Read a checkpoint and say what it is; raises what `load` raises."""
    model = load(path)
    return CheckpointInfo(
        path=Path(path),
        layout="hcflow" if is_safetensors(Path(path)) else "official",
        preset=preset_name(model.config),
        config=model.config,
        parameters=sum(p.numel() for p in model.parameters()),
        initialised=all(bool(b) for name, b in model.named_buffers() if name.endswith(".initialised")),
    )


def from_official(state: Mapping[str, Tensor], source: str = "state dict") -> HCFlow:
    """Build a model from an official state dict; every ActNorm counts as initialised.

    Raises:
        CheckpointError: a key is missing, left over, of the wrong shape or not finite.
    """
    state = {key.removeprefix(_PREFIX): value for key, value in state.items()}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    try:
        config = _closest_config(shapes)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from None
    wrong = first_wrong_key(_official_shapes(config), shapes)
    if wrong is not None:
        raise CheckpointError(f"{source}: {wrong}, for the network {_describe(config)}")
    for key, constant in haar_weights(config).items():
        if not torch.equal(state[key].float(), constant):
            raise CheckpointError(f"{source}: expected the Haar kernels in {key}, got other values")
    model = _empty(config)
    names = key_map(config, [name for name, _ in model.named_parameters()])
    tensors = {ours: state[official].float() for ours, official in names.items()}
    tensors |= {name: torch.tensor(True) for name, _ in model.named_buffers()}
    check_finite({names.get(name, name): tensor for name, tensor in tensors.items()}, source)
    model.load_state_dict(tensors, assign=True)
    return model


def to_official(model: HCFlow) -> dict[str, Tensor]:
    """The official state dict of a model, the inverse of `from_official`.

    Raises:
        CheckpointError: for an ablation case, whose network the released code does not have.
    """
    config = model.config
    if not config.lr_in_latent or config.deepest_condition != "latent" or not config.hierarchical:
        raise CheckpointError(
            f"expected sr_x4, sr_x8, rescale_x4 or other sizes of them, got {_describe(config)}, "
            "which the official layout cannot express; use hcflow.save"
        )
    names = key_map(config, [name for name, _ in model.named_parameters()])
    state = {names[name]: value.detach().cpu() for name, value in model.named_parameters()}
    return state | haar_weights(config)


def _load_safetensors(file: Path) -> HCFlow:
    with open_safetensors(file) as stream:
        metadata = stream.metadata() or {}
        if SAVE_KEY in metadata:
            weights = file.parent.parent / "weights" / "last.safetensors"
            raise CheckpointError(f"{file}: expected weights, got a save that training resumes from; use {weights}")
        if _METADATA_KEY not in metadata:
            raise CheckpointError(f"{file}: expected {_METADATA_KEY!r} in the metadata, got another safetensors file")
        shapes = {key: tuple(stream.get_slice(key).get_shape()) for key in stream.keys()}  # noqa: SIM118 - no dict
        model = _described(file, metadata[_METADATA_KEY], shapes)
        tensors = {key: stream.get_tensor(key) for key in shapes}
    flags = {name for name, _ in model.named_buffers()}
    for key, value in tensors.items():
        expected = value.dtype == torch.bool if key in flags else value.is_floating_point()
        if not expected:
            kind = "a flag" if key in flags else "floating-point numbers"
            raise CheckpointError(f"{file}: expected {kind} in {key}, got {value.dtype}")
    tensors = {key: value if key in flags else value.float() for key, value in tensors.items()}
    check_finite(tensors, str(file))
    model.load_state_dict(tensors, assign=True)
    return model


def _described(file: Path, text: str, shapes: Shapes) -> HCFlow:
    """The network that the metadata describes, without weights, if the file's tensors fit it.

    Steps and blocks are counted in the file first, so that building costs no more than the file is long.
    """
    try:
        if len(text) > _LONGEST_CONFIG:
            raise ConfigError(f"expected a configuration of at most {_LONGEST_CONFIG} characters, got {len(text)}")
        config = Config.from_json(text)
    except ConfigError as error:
        raise CheckpointError(f"{file}: {error}") from None
    for name, pattern, expected in (
        ("L", r"levels\.(\d+)\.", config.L),
        ("K", r"levels\.0\.flow\.steps\.(\d+)\.", config.K),
        ("P", r"levels\.0\.conditional_flow\.steps\.(\d+)\.", config.P),
        ("conditioner.blocks[0]", r"levels\.0\.phi\.trunk0\.(\d+)\.", config.conditioner.blocks[0]),
        ("conditioner.blocks[1]", r"levels\.0\.phi\.trunk1\.(\d+)\.", config.conditioner.blocks[1]),
    ):
        got = len({match[1] for match in (re.match(pattern, key) for key in shapes) if match})
        if name.startswith("conditioner") and config.deepest_condition == "nothing":
            expected = 0
        if name == "P":  # and the Gaussian
            got -= 1
        if got != expected:
            raise CheckpointError(f"{file}: expected tensors for {name} = {expected} as in the metadata, got {got}")
    model = _empty(config)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    wrong = first_wrong_key(wanted, shapes)
    if wrong is not None:
        raise CheckpointError(f"{file}: {wrong}, for the network {_describe(config)}")
    return model


def _empty(config: Config) -> HCFlow:
    """A network without memory for its weights, which would be overwritten anyway."""
    with torch.device("meta"):
        return HCFlow(config)


@lru_cache
def _official_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    model = _empty(config)
    names = key_map(config, [name for name, _ in model.named_parameters()])
    shapes = {names[name]: tuple(value.shape) for name, value in model.named_parameters()}
    return shapes | {key: tuple(value.shape) for key, value in haar_weights(config).items()}


def _closest_config(shapes: Shapes) -> Config:
    """The inferred configuration, or a preset where that explains the shapes better (one key is damaged)."""
    inferred = infer_config(shapes)

    def mismatches(config: Config) -> int:
        expected = _official_shapes(config)
        return sum(expected.get(key) != shapes.get(key) for key in expected.keys() | shapes.keys())

    if mismatches(inferred) == 0:
        return inferred
    return min((*PRESETS.values(), inferred), key=mismatches)


def first_wrong_key(expected: Shapes, got: Shapes) -> str | None:
    """Describe the first mismatch in the keys and shapes of a state dict; None where there is none."""
    for key, shape in expected.items():
        if key not in got:
            return f"expected the key {key}, which is missing"
        if got[key] != shape:
            return f"expected {key} of shape {shape}, got {got[key]}"
    extra = next((key for key in got if key not in expected), None)
    return None if extra is None else f"got the unexpected key {shown(extra)}"


def check_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError where a tensor of `source` has values that are not finite."""
    for key, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{source}: expected finite weights, got NaN or infinity in {key}")


def _describe(config: Config) -> str:
    name = preset_name(config)
    if name is not None:
        return f"{name} (Table 1)" if name in CASES else name
    return f"of {config.L} levels, K = {config.K}, P = {config.P} and {config.conditioner.features} features"
