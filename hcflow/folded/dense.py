"""Dense blocks without concatenation, and the conditioner made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.nets.dense import dense_convolutions
from hcflow.nets.rrdb import RRDB, Conditioner
from hcflow.nets.subnets import DenseBlock

__all__ = ["FoldedConditioner", "FoldedDense", "constant", "conv", "runs_blocked"]


def constant(x: Tensor, dtype: torch.dtype) -> nn.Parameter:
    """A frozen copy in another precision; convolution kernels in channels_last order."""
    x = x.detach().to(dtype, copy=True)
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    return nn.Parameter(x, requires_grad=False)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve with zero padding to the same size, in the precision of the weight."""
    return F.conv2d(x.to(weight.dtype), weight, bias, padding=weight.shape[-1] // 2)


def runs_blocked(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN convolves in this precision on this device; bfloat16 takes a CPU with AVX512 or AMX."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


class FoldedDense(nn.Module):
    """A DenseBlock times `scale`, whose features lie one after another in one buffer.

    Where oneDNN runs, the buffer is (block, H, W, growth) in memory, seen as a 3-D image with depth `block`: any
    number of leading blocks is contiguous, so a convolution over all features so far is a 3-D convolution of a view,
    and nothing is concatenated. Elsewhere the block runs as it is written. Weights lie as the device that they are on
    needs them, and are put into the other order when they are moved to another one.
    """

    def __init__(self, dense: DenseBlock, dtype: torch.dtype, scale: float = 1.0) -> None:
        super().__init__()
        convs: list[nn.Conv2d] = list(dense.convs)  # type: ignore[arg-type]
        self.dtype = dtype
        self.inputs = convs[0].in_channels
        self.growth = convs[0].out_channels
        self.blocks = -(-self.inputs // self.growth)  # of the input, the last one padded with zeros
        factors = (1.0, 1.0, 1.0, 1.0, scale)
        self.weights, self.biases = (
            nn.ParameterList(constant(x * by, dtype) for x, by in zip(tensors, factors, strict=True))
            for tensors in ([conv.weight for conv in convs], [torch.as_tensor(conv.bias) for conv in convs])
        )
        self.blocked = False
        self._arrange()

    def forward(self, x: Tensor, buffer: Tensor | None = None) -> Tensor:
        """Map (1, in, H, W) to (1, out, H, W); `buffer` is what `new_buffer` made for this block."""
        if not self.blocked:
            return dense_convolutions(x.to(self.dtype), list(self.weights), list(self.biases))
        if buffer is None:
            buffer = self.new_buffer(x)
            assert buffer is not None
        padding = self.blocks * self.growth - x.shape[1]
        if padding:
            x = F.pad(x, (0, 0, 0, 0, 0, padding))
        buffer[:, :, : self.blocks].copy_(x.unflatten(1, (self.blocks, self.growth)).transpose(1, 2))
        for i in range(4):
            out = self._conv(buffer[:, :, : self.blocks + i], i)
            torch._C._nn.leaky_relu(out, 0.2, out=buffer[:, :, self.blocks + i : self.blocks + i + 1])
        return self._conv(buffer, 4)[:, :, 0]

    def new_buffer(self, x: Tensor) -> Tensor | None:
        """Memory for the features of one image of the size of x: (1, growth, blocks, H, W); None where none is used."""
        if not self.blocked:
            return None
        shape = (1, self.blocks + 4, *x.shape[-2:], self.growth)
        return torch.empty(shape, dtype=self.dtype).permute(0, 4, 1, 2, 3)

    def _conv(self, x: Tensor, i: int) -> Tensor:
        # F.conv3d would choose a slow kernel for small images
        return torch.mkldnn_convolution(x, self.weights[i], self.biases[i], (0, 1, 1), (1, 1, 1), (1, 1, 1), 1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or cast, as every module does, and arrange the weights for where they are now."""
        super()._apply(fn, recurse)
        self._arrange()
        return self

    def _arrange(self) -> None:
        self.dtype = self.weights[0].dtype
        blocked = runs_blocked(self.weights[0].device, self.dtype)
        if blocked != self.blocked:
            self.blocked = blocked
            arrange = self._to_blocks if blocked else self._from_blocks
            self.weights = nn.ParameterList(arrange(weight) for weight in self.weights)

    def _to_blocks(self, weight: Tensor) -> nn.Parameter:
        """(out, in, 3, 3) -> (out, growth, blocks, 3, 3)."""
        padding = weight.new_zeros(len(weight), self.blocks * self.growth - self.inputs, 3, 3)
        weight = torch.cat((weight[:, : self.inputs], padding, weight[:, self.inputs :]), 1)
        blocks = weight.unflatten(1, (-1, self.growth)).transpose(1, 2)
        return nn.Parameter(blocks.contiguous(memory_format=torch.channels_last_3d), requires_grad=False)

    def _from_blocks(self, weight: Tensor) -> nn.Parameter:
        """The inverse of `_to_blocks`."""
        weight = weight.transpose(1, 2).flatten(1, 2)
        return constant(torch.cat((weight[:, : self.inputs], weight[:, self.blocks * self.growth :]), 1), weight.dtype)


class FoldedConditioner(nn.Module):
    """phi_l with the 0.2 of residuals folded into weights.

    The first convolution is cut by input, so that what it makes of draw-independent inputs is made once.
    """

    def __init__(self, phi: Conditioner, sees: int, dtype: torch.dtype) -> None:
        super().__init__()
        channels, count = phi.config.channels, phi.first.in_channels
        parts = [sees, *[channels] * ((count - sees) // channels)]
        self.first = nn.ParameterList(constant(part, dtype) for part in phi.first.weight.split(parts, 1))
        self.first_bias = constant(torch.as_tensor(phi.first.bias), dtype)
        self.trunks = nn.ModuleList(
            nn.ModuleList(nn.ModuleList(FoldedDense(d, dtype, 0.2) for d in _dense(rrdb)) for rrdb in trunk)
            for trunk in (phi.trunk0, phi.trunk1)
        )
        self.last = constant(phi.last.weight, dtype)
        self.last_bias = constant(torch.as_tensor(phi.last.bias), dtype)
        self.both = phi.config.output == "both"

    def forward(self, y: Tensor, coarser: Sequence[Tensor]) -> Tensor:
        """c_l from y_l (N, sees, H, W) and the coarser conditions, of N images or of a divisor of N."""
        up = [F.interpolate(c, y.shape[-2:], mode="nearest") for c in coarser]
        parts = [conv(c, weight) for c, weight in zip(up, list(self.first)[1:], strict=True)]
        result = []
        for i, image in enumerate(y.split(1)):  # image by image, which suits caches
            first = conv(image, self.first[0], self.first_bias)
            for part in parts:
                first.add_(part[i * len(part) // len(y)])
            result.append(self._trunks(first))
        return torch.cat(result) if len(result) > 1 else result[0]

    def _trunks(self, first: Tensor) -> Tensor:
        dense = self.trunks[0][0][0]  # type: ignore[index]
        buffer = dense.new_buffer(first)
        u1 = _trunk(self.trunks[0], first, buffer)
        u2 = conv(_trunk(self.trunks[1], u1, buffer), self.last, self.last_bias).add_(first)
        return torch.cat((u1, u2), 1) if self.both else u2


def _trunk(rrdbs: nn.Module, x: Tensor, buffer: Tensor | None) -> Tensor:
    """Run RRDBs over a copy of x, in place: fresh memory costs more here than arithmetic."""
    x = x.clone()
    y = torch.empty_like(x)
    for rrdb in rrdbs:  # type: ignore[attr-defined]
        y.copy_(x)
        for block in rrdb:
            y.add_(block(y, buffer))
        x.add_(y, alpha=0.2)
    return x


def _dense(rrdb: nn.Module) -> list[DenseBlock]:
    assert isinstance(rrdb, RRDB)
    return list(rrdb.blocks)  # type: ignore[arg-type]
