"""IRN, invertible image rescaling (Xiao et al., ECCV 2020): Haar squeezes and couplings, from hcflow's flow layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.errors import BenchError
from hcflow.checkpoint import check_finite, first_wrong_key
from hcflow.errors import CheckpointError
from hcflow.flow.coupling import AdditiveCoupling, AffineCoupling, tanh_log_scale
from hcflow.flow.squeeze import HAAR_BANDS, HaarSqueeze
from hcflow.flow.transform import Compose, Transform
from hcflow.nets.subnets import DenseBlock, Interleaved

__all__ = ["IRN", "count", "haar_weights", "of_state", "official_keys", "step"]

_IMAGE = 3


def step(channels: int, growth: int) -> Compose:
    """y1 = x1 + F(x2), then y2 = x2 exp(2 sigmoid(H(y1)) - 1) + G(y1); x1 is the first three channels."""
    rest = channels - _IMAGE
    of_both = Interleaved(DenseBlock(_IMAGE, rest, growth), DenseBlock(_IMAGE, rest, growth))
    return Compose(
        AdditiveCoupling(DenseBlock(rest, _IMAGE, growth), _IMAGE),
        AffineCoupling(of_both, _IMAGE, tanh_log_scale, scale_first=True),
    )


class IRN(Compose):
    """x (N, 3, H, W) <-> the LR image, then z: (N, 3 scale^2, H/scale, W/scale).

    Attributes:
        scale: 2 to the number of stages.
        latent_channels: of z, standard normal if the network is trained.
    """

    def __init__(self, couplings: Sequence[int] = (8, 8), growth: int = 32) -> None:
        """`couplings`: of each stage, each of which halves the image."""
        stages: list[Transform] = []
        for k, count in enumerate(couplings, 1):
            stages += [HaarSqueeze(), *(step(_IMAGE * 4**k, growth) for _ in range(count))]
        super().__init__(*stages)
        self.couplings, self.growth = tuple(couplings), growth
        self.scale = 2 ** len(couplings)
        self.latent_channels = _IMAGE * self.scale**2 - _IMAGE

    def downscale(self, x: Tensor) -> Tensor:
        """The LR image of x, neither clamped nor rounded."""
        return self(x)[0][:, :_IMAGE]

    def upscale(self, lr: Tensor, z: Tensor) -> Tensor:
        """The image of an LR image (N, 3, h, w) and z (N, latent_channels, h, w), not clamped."""
        return self.inverse(torch.cat((lr, z), 1))[0]


def official_keys(network: IRN) -> dict[str, str]:
    """Our parameter names to those of the released files."""
    return {name: _official(name) for name, _ in network.named_parameters()}


def _official(name: str) -> str:
    name = re.sub(r"^steps\.", "operations.", name)
    for ours, theirs in (("steps.0.subnet", "F"), ("steps.1.subnet.shift", "G"), ("steps.1.subnet.scale", "H")):
        name = name.replace(f".{ours}.convs.", f".{theirs}.conv")
    return re.sub(r"\.conv(\d)\.", lambda m: f".conv{int(m[1]) + 1}.", name)


def haar_weights(couplings: Sequence[int]) -> dict[str, Tensor]:
    """The fixed kernels that released files carry, by their keys."""
    bands = torch.tensor(HAAR_BANDS, dtype=torch.float32).view(4, 1, 2, 2)
    starts = [sum(couplings[:k]) + k for k in range(len(couplings))]
    return {f"operations.{at}.haar_weights": bands.repeat(_IMAGE * 4**k, 1, 1, 1) for k, at in enumerate(starts)}


def of_state(state: Mapping[str, Tensor], source: str) -> IRN:
    """The network of a released state dict, in evaluation mode.

    Raises:
        BenchError: a key is missing, left over, of the wrong shape or not finite.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    couplings, growth = _sizes(state, source)
    with torch.device("meta"):
        network = IRN(couplings, growth)
    names, haar = official_keys(network), haar_weights(couplings)
    expected = {names[name]: tuple(value.shape) for name, value in network.named_parameters()}
    expected |= {key: tuple(value.shape) for key, value in haar.items()}
    wrong = first_wrong_key(expected, {key: tuple(value.shape) for key, value in state.items()})
    if wrong is not None:
        raise BenchError(f"{source}: {wrong}, for IRN x{network.scale}")
    for key, kernels in haar.items():
        if not torch.equal(state[key].float(), kernels):
            raise BenchError(f"{source}: expected the Haar kernels in {key}, got other values")
    try:
        check_finite(state, source)
    except CheckpointError as error:
        raise BenchError(str(error)) from None
    network.load_state_dict({ours: state[key].float() for ours, key in names.items()}, assign=True)
    return network.eval()


def _sizes(state: Mapping[str, Tensor], source: str) -> tuple[list[int], int]:
    """Couplings of each stage, and the growth of their dense blocks."""
    splits = sorted(_numbers(state, r"operations\.(\d+)\.haar_weights$"))
    steps = _numbers(state, r"operations\.(\d+)\.F\.conv1\.weight$")
    if not steps or 0 not in splits:
        raise BenchError(f"{source}: expected keys of IRN such as operations.0.haar_weights, got {next(iter(state))!r}")
    ends = [*splits[1:], max(steps) + 1]
    growth = len(state[f"operations.{min(steps)}.F.conv1.weight"])
    return [end - start - 1 for start, end in zip(splits, ends, strict=True)], growth


def _numbers(state: Mapping[str, Tensor], pattern: str) -> set[int]:
    return {int(match[1]) for match in (re.match(pattern, key) for key in state) if match}


def count(network: IRN) -> int:
    """Parameters as the authors count them, the fixed Haar kernels included."""
    fixed = sum(kernels.numel() for kernels in haar_weights(network.couplings).values())
    return fixed + sum(parameter.numel() for parameter in network.parameters())
