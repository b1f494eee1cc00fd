"""From a released state dict to a network: every key is there, of the right shape and finite, or one line says what."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from bench.errors import BenchError
from hcflow.checkpoint import check_finite, first_wrong_key
from hcflow.errors import CheckpointError
from hcflow.files import read_pickle

__all__ = ["exactly", "fill", "read"]


def exactly(name: str, weights: tuple[Path, ...] | list[Path], what: tuple[str, ...]) -> list[Path]:
    """The files of a method; raises BenchError where there are more or fewer than it needs."""
    if len(weights) != len(what):
        raise BenchError(f"{name}: expected {len(what)} files of weights ({', '.join(what)}), got {len(weights)}")
    return list(weights)


def read(file: Path) -> dict[str, Tensor]:
    """A plain state dict, without `module.` before its keys; raises BenchError."""
    if not file.is_file():
        raise BenchError(f"expected a file of weights, got {file}, which does not exist or is no file")
    try:
        return {key.removeprefix("module."): value for key, value in read_pickle(file).items()}
    except CheckpointError as error:
        raise BenchError(str(error)) from None


def fill(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict in the network's own keys, assigning its tensors; raises BenchError."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    wrong = first_wrong_key(expected, {key: tuple(value.shape) for key, value in state.items()})
    if wrong is not None:
        raise BenchError(f"{source}: {wrong}; is it of another network?")
    try:
        check_finite(state, source)
    except CheckpointError as error:
        raise BenchError(str(error)) from None
    network.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    network.requires_grad_(False).eval()
