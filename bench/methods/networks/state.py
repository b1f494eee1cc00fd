"""Weights out of the containers that authors publish: .pth, .pt, .safetensors and MATLAB's .mat; no code is run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.contents import read_tensors, read_variables
from bench.errors import BenchError

State = Mapping[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]
Network = TypeVar("Network", bound=nn.Module)


def one_file(name: str, weights: Sequence[Path]) -> Path:
    """The file of a method that takes one.

    Raises:
        BenchError: there are none or several.
    """
    if len(weights) != 1:
        raise BenchError(f"{name}: expected one file of weights, got {len(weights)}")
    return weights[0]


def read_state(file: Path) -> dict[str, Tensor]:
    """The state dict in a PyTorch or safetensors file, without a wrapper or the prefix `module.`.

    Raises:
        BenchError: no such file, damaged, a pickle that asks for code, or not a state dict of finite tensors.
    """
    return {key.removeprefix("module."): value for key, value in read_tensors(_present(file)).items()}


def read_matlab(file: Path) -> dict[str, Any]:
    """The variables of a MATLAB file, structs as objects with attributes, without sides of 1.

    Raises:
        BenchError: no such file, or not one of MATLAB's.
    """
    return read_variables(_present(file), structs=True)


def _present(file: Path) -> Path:
    if not file.is_file():
        raise BenchError(f"expected a file of weights, got {file}, which does not exist or is not a file")
    return file


def filled(build: Callable[[Shapes], Network], state: State, source: Path) -> Network:
    """A network with the weights of a file, in evaluation mode.

    Args:
        build: makes the network that a state dict of these shapes belongs to.
        state: its weights; half precision becomes float32.
        source: for the error.

    Raises:
        BenchError: a key is missing, left over, of the wrong shape; the first such is named.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    with torch.device("meta"):  # no memory for weights that would be overwritten
        network = build(shapes)
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    for key, shape in expected.items():
        if shapes.get(key) != shape:
            got = f"one of shape {shapes[key]}" if key in shapes else "none"
            raise BenchError(f"{source}: expected {key} of shape {shape}, got {got}; is it of another network?")
    for key in state:
        if key not in expected:
            raise BenchError(f"{source}: expected no key {key!r}, got one; is it of another network?")
    network.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    return network.eval()


def repeats(shapes: Shapes, pattern: str) -> int:
    """How many different numbers a pattern's group finds at the start of keys: how often a block is repeated.

    At least 1, so that a file of another network fails on a key that is missing and not on a network without blocks.
    """
    return max(1, len({found[1] for found in (re.match(pattern, key) for key in shapes) if found}))


def width_of(shapes: Shapes, key: str, default: int, axis: int = 0) -> int:
    """A side of a tensor, or the published value where the file lacks it (then `filled` lists it)."""
    shape = shapes.get(key, ())
    return shape[axis] if len(shape) > axis else default


def count(network: nn.Module) -> int:
    """All floating-point numbers of a state dict: how the papers count."""
    return sum(value.numel() for value in network.state_dict().values() if value.is_floating_point())
