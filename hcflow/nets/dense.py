"""The convolutions of a dense block as few large ones, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from hcflow.layout import in_order_of

__all__ = ["convolve", "dense_convolutions"]

_SLOPE = 0.2


def dense_convolutions(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Convolutions that each see x and all outputs before them, with LeakyReLU 0.2 after all but the last.

    Args:
        x: (N, C, H, W), in the precision to compute in.
        weights: of three convolutions or more, (growth, C + i growth, k, k) for number i = 0, 1, .., with k odd;
            the last may have another number of outputs.
        biases: as many.

    Returns:
        What the last convolution gives. Its gradient can be taken once.
    """
    return _DenseConvolutions.apply(x, len(weights), *weights, *biases)


class _DenseConvolutions(torch.autograd.Function):
    """Cut the weights of convolution i where x ends, W_i = [V_i, U_i1 .. U_i(i-1)], and write * for convolving.

    Forwards, o_i = lrelu(a_i) with a_i = V_i * x + b_i + [U_i1 .. U_i(i-1)] * [o_1 .. o_(i-1)]: all V_i * x but the
    last are one convolution. Backwards, with g_i the gradient of a_i, that of o_j is the transposed convolution with
    [U_(j+1)j .. U_nj] of [g_(j+1) .. g_n]; that of x is one of all g; and the gradients of all V, of all U but the
    last, and of the last U take one each. For n = 5 that makes at most 6 convolutions forwards and 8 backwards, where
    feature by feature there are 15 and 30.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int, *parameters: Tensor) -> Tensor:  # noqa: ANN401 - torch's own signature
        weights, biases = parameters[:n], [bias.to(x.dtype) for bias in parameters[n:]]
        channels, growth = x.shape[1], len(weights[0])
        x = in_order_of(x, x)
        v = torch.cat([weight[:, :channels] for weight in weights]).to(x.dtype)
        u = [weight[:, channels:].to(x.dtype) for weight in weights[1:]]
        most = (n - 1) * growth
        features = convolve(x, v[:most], torch.cat(biases[:-1]))
        for i, part in enumerate(_slices(n - 1, growth)):
            total = in_order_of(x, features[:, part])  # in separate memory, where arithmetic is several times as fast
            if i:
                total.add_(convolve(features[:, : part.start], u[i - 1]))
            features[:, part] = F.leaky_relu_(total, _SLOPE)
        ctx.save_for_backward(x, v, features, *u)
        ctx.of_weights = weights[0].dtype
        if channels % 16 == 0:  # side by side they stay aligned, and one convolution is faster than two
            return convolve(torch.cat((x, features), 1), weights[-1].to(x.dtype), biases[-1])
        return convolve(x, v[most:], biases[-1]).add_(convolve(features, u[-1]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's own signature
        x, v, features, *u = ctx.saved_tensors
        count = len(u)
        growth = features.shape[1] // count
        gradient = in_order_of(x, gradient)

        gradients, of_last_u, _ = _convolve_backward(gradient, features, u[-1])
        later = gradients  # g_(j+1) .. g_(n-1), once there are some
        for j, part in reversed(list(enumerate(_slices(count, growth)))):
            feature, total = in_order_of(x, features[:, part]), in_order_of(x, gradients[:, part])
            if j < count - 1:
                later = in_order_of(x, gradients[:, part.stop :])
                weight = torch.cat([each[:, part] for each in u[j:-1]])
                total.add_(_convolve_backward(later, feature, weight, (True, False, False))[0])
            gradients[:, part] = torch.ops.aten.leaky_relu_backward(total, feature, _SLOPE, True)

        everything = torch.cat((gradients, gradient), 1)
        of_x, of_v, of_biases = _convolve_backward(everything, x, v, (ctx.needs_input_grad[0], True, True))
        # of U_ij for all i and j at once; those with j >= i, which no convolution has, are left out
        some = v.new_empty(()).expand(later.shape[1], later.shape[1], *v.shape[2:])
        of_u = _convolve_backward(later, features[:, : later.shape[1]], some, (False, True, False))[1]

        outputs = [growth] * count + [gradient.shape[1]]
        first, *others = of_v.to(ctx.of_weights).split(outputs)
        seen = [of_u[part, : part.stop] for part in _slices(count - 1, growth)] + [of_last_u]
        of_weights = [torch.cat((other, more.to(ctx.of_weights)), 1) for other, more in zip(others, seen, strict=True)]
        return of_x, None, first, *of_weights, *of_biases.to(ctx.of_weights).split(outputs)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The convolution with an odd kernel, padded to keep the size."""
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def _convolve_backward(
    gradient: Tensor, x: Tensor, weight: Tensor, mask: tuple[bool, bool, bool] = (True, True, False)
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, the weight and the bias of `convolve`, as far as `mask` asks for them."""
    padding = weight.shape[-1] // 2
    return torch.ops.aten.convolution_backward(
        gradient, x, weight, [len(weight)], [1, 1], [padding, padding], [1, 1], False, [0, 0], 1, mask
    )


def _slices(count: int, growth: int) -> list[slice]:
    """The channels of each of `count` features."""
    return [slice(i * growth, (i + 1) * growth) for i in range(count)]
