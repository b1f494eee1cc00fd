"""HCFlow: the model of section 3 of the paper, one loop over levels for every task and ablation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hcflow.checks import check_image
from hcflow.config import Config
from hcflow.errors import InputError
from hcflow.flow.gaussian import standard_normal_log_prob
from hcflow.level import IMAGE_CHANNELS, Level
from hcflow.sampling import Draws, Generators, Temperature

__all__ = ["LOG_SIGMA_LR", "Decoder", "Encoded", "HCFlow", "bits_per_pixel", "quantise"]

LOG_SIGMA_LR = -6.0
"""log sigma of the Gaussian around the LR image (eq. 4)."""


@dataclass(frozen=True)
class Encoded:
    """What `HCFlow.encode` returns: a point of the latent space."""

    lr: Tensor | None
    """y_L, neither clamped nor quantised, (N, 3, H/2^L, W/2^L); None where it is not in the latent."""
    latents: tuple[Tensor, ...]
    """z_1 .. z_L standardised, (N, C_l, H/2^l, W/2^l): standard normal under the model."""
    log_det: Tensor
    """log|det d(y_L, z_1 .. z_L)/dx|, (N,)."""


class Decoder(nn.Module):
    """The generative half, (LR image, z_1 .. z_L) -> HR image, over any levels that can `generate`."""

    def __init__(self, config: Config, levels: Iterable[nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.levels = nn.ModuleList(levels)

    def forward(self, lr: Tensor, *latents: Tensor) -> Tensor:
        """`decode` at temperature 1 with given latents: a function of tensors, to compile or to export."""
        return self.decode(lr, 1.0, latents=latents)

    def decode(
        self,
        lr: Tensor,
        temperature: Temperature | None = None,
        *,
        latents: Sequence[Tensor] | None = None,
        generator: Generators = None,
        samples: int | None = None,
    ) -> Tensor:
        """Draw HR images: z_l = temperature * (standard normal or `latents`), coarse to fine (eq. 3).

        The deepest conditioner sees nothing but the LR image, so several draws of one call share it.

        Args:
            lr: (N, 3, h, w) in [0, 1]; any size.
            temperature: tau, from 0 to 10, or one for each of the draws; None: the one of the published results.
                A number of NumPy's or a tensor will do.
            latents: z_1 .. z_L as in `Encoded.latents` (with `samples`, (N, samples, C_l, H_l, W_l)).
            generator: source of the latents where none are given, or a sequence with one for each draw. `samples`
                draws use one as that many calls would: the k-th draw does not depend on how many are asked for.
            samples: draws per image; None: one, without a dimension for it.

        Returns:
            (N, 3, h 2^L, w 2^L), or (N, samples, 3, h 2^L, w 2^L); not clamped, so that it inverts `encode`.

        Raises:
            InputError: wrong shapes, a temperature out of range, or values that are not finite.
        """
        check_image(lr, "lr")
        tau = self.config.temperature if temperature is None else temperature
        draws = Draws(self.latent_shapes(*lr.shape[-2:]), lr, tau, latents, generator, samples)
        y = lr if self.config.lr_in_latent else lr[:, :0]
        sees = lr
        conditions: list[Tensor] = []  # c_{l+1} .. c_L
        with self.numeric_mode():
            for level, z in reversed(list(zip(self._levels(), draws.latents, strict=True))):
                c = self._condition(level, sees, conditions)
                sees = y = level.generate(z, y, c)
        return draws.unflatten(y)

    def numeric_mode(self) -> AbstractContextManager[None]:
        """How decoding computes: as the process is set to."""
        return nullcontext()

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Shapes (C_l, H_l, W_l) of z_1 .. z_L for an LR image of that size."""
        L = self.config.L
        factors = [2 ** (L - 1 - i) for i in range(L)]
        return [(level.a_channels, height * f, width * f) for level, f in zip(self._levels(), factors, strict=True)]

    def _levels(self) -> list[Level]:
        return list(self.levels)  # type: ignore[arg-type]

    def _condition(self, level: Level, y: Tensor, conditions: list[Tensor]) -> Tensor | None:
        """c_l; it joins the conditions that finer levels see."""
        c = level.condition(y, conditions)
        if c is not None and self.config.hierarchical:
            conditions.insert(0, c)
        return c


class HCFlow(Decoder):
    """A bijection x <-> (y_L, z_1 .. z_L): the LR image and, level by level, what it lacks (eqs. 1 to 5).

    ::

        x = y_0 --level 1--> y_1 --level 2--> y_2 ..  y_L = LR image ~ N(lr, e^-6)
                    |            |                       |
                   a_1          a_2                     a_L
                    |            |                       |
        z_1 <- f(.; c_1)   z_2 <- f(.; c_2)        z_L <- f(.; c_L)       each ~ N(0, I)

        c_L = phi_L(y_L),   c_l = phi_l(y_l, up(c_{l+1}), .., up(c_L))

    Encoding runs left to right, then down; decoding starts at the LR image, draws z_L, and works its way
    to the left. `levels[l - 1]` is level l.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config, (Level(config, l + 1) for l in range(config.L)))  # noqa: E741

    def encode(self, hr: Tensor, lr: Tensor | None = None) -> Encoded:
        """Map images to the latent space.

        Args:
            hr: (N, 3, H, W) in [0, 1], dequantised where a likelihood is wanted; H and W divisible by 2^L.
            lr: the given LR image y* (N, 3, H/2^L, W/2^L), for configurations whose conditioner sees it.

        Raises:
            InputError: wrong shape, sides not divisible by the scale, or values that are not finite.
        """
        ys, as_, log_det = self._split(hr)
        y_L = ys[-1]
        ys[-1] = self._seen_by_the_deepest(y_L, lr)

        conditions: list[Tensor] = []  # c_{l+1} .. c_L
        latents: list[Tensor] = []
        for level, y, a in reversed(list(zip(self._levels(), ys, as_, strict=True))):
            c = self._condition(level, y, conditions)
            z, term = level.conditional_flow(a, c)
            latents.insert(0, z)
            log_det = log_det + term
        return Encoded(y_L if self.config.lr_in_latent else None, tuple(latents), log_det)

    def encode_and_decode(
        self, hr: Tensor, latents: Sequence[Tensor], channel: Callable[[Tensor], Tensor]
    ) -> tuple[Encoded, Tensor]:
        """`encode`, and `decode` of what a channel makes of y_L: what rescaling trains on.

        The same as one after the other, but each conditioner sees both in one batch.

        Args:
            hr: as for `encode`, of a network with the LR image in its latent.
            latents: z_1 .. z_L to decode with, whatever the encoded ones are.
            channel: y_L -> LR image to decode.

        Raises:
            InputError: as `encode`; or a configuration without the LR image in the latent, or conditioned on another.
        """
        if not self.config.lr_in_latent or self.config.deepest_condition == "given":
            raise InputError("expected a network whose encoding and decoding see the same, y_L, got another (Table 1)")
        ys, as_, log_det = self._split(hr)
        y_L = ys[-1]
        image = channel(y_L)
        conditions: list[Tensor] = []  # of both; c_{l+1} .. c_L
        encoded: list[Tensor] = []
        for level, y, a, z in reversed(list(zip(self._levels(), ys, as_, latents, strict=True))):
            both = self._condition(level, torch.cat((y, image)), conditions)
            c, c_back = (None, None) if both is None else both.chunk(2)
            standardised, term = level.conditional_flow(a, c)
            encoded.insert(0, standardised)
            log_det = log_det + term
            image = level.generate(z, image, c_back)
        return Encoded(y_L, tuple(encoded), log_det), image

    def downscale(self, hr: Tensor) -> Tensor:
        """y_L of `encode` alone, without the latents: (N, 3, H, W) -> (N, 3, H/2^L, W/2^L), not clamped.

        Raises:
            InputError: as `encode`, or a configuration without the LR image in the latent.
        """
        if not self.config.lr_in_latent:
            raise InputError("expected a network with the LR image in its latent, got one without (Table 1)")
        check_image(hr, "hr", multiple=self.config.scale)
        y = hr
        for level in self._levels():
            y, _, _ = level.split(y)
        return y

    def log_prob(self, encoded: Encoded, lr: Tensor) -> Tensor:
        """log p(hr, lr) in nats per image, (N,), of a point that `encode` returned (eqs. 3, 4, 6)."""
        return self.log_prob_of_latents(encoded) + self.log_prob_of_lr(encoded, lr)

    def log_prob_of_latents(self, encoded: Encoded) -> Tensor:
        """log-det + sum_l log N(z_l; 0, I) - H W log q: all of `log_prob` but the LR image, (N,)."""
        log_p = encoded.log_det
        for z in encoded.latents:
            log_p = log_p + standard_normal_log_prob(z)
        if self.config.q is not None:
            pixels = 4 * encoded.latents[0].shape[-2] * encoded.latents[0].shape[-1]
            log_p = log_p - pixels * math.log(self.config.q)
        return log_p

    def log_prob_of_lr(self, encoded: Encoded, lr: Tensor) -> Tensor:
        """log N(lr; quantised y_L, sigma = e^-6) (eq. 4), (N,); 0 where y_L is not in the latent."""
        if encoded.lr is None:
            return torch.zeros_like(encoded.log_det)
        check_image(lr, "lr", shape=encoded.lr.shape)
        distance = (lr - quantise(encoded.lr)) * math.exp(-LOG_SIGMA_LR)
        return standard_normal_log_prob(distance) - LOG_SIGMA_LR * lr[0].numel()

    def log_likelihood(
        self,
        hr: Tensor,
        lr: Tensor,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """log p(hr, lr) in nats per image, (N,), of 8-bit images scaled to [0, 1] (eq. 6).

        Args:
            hr: (N, 3, H, W); H and W divisible by 2^L: with padding the likelihood of the image itself is
                not defined.
            lr: (N, 3, H/2^L, W/2^L).
            noise: dequantisation noise in [0, 1), like hr; drawn from `generator` where not given.
        """
        return self.log_prob(self.encode(self.dequantise(hr, noise, generator), lr), lr)

    def dequantise(self, hr: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """x = hr + U(0, 1)/q; the image itself for configurations without q."""
        if self.config.q is None:
            return hr
        if noise is None:
            device = generator.device if generator is not None else hr.device
            noise = torch.rand(hr.shape, generator=generator, dtype=hr.dtype, device=device).to(hr.device)
        elif noise.shape != hr.shape:
            raise InputError(f"expected noise of shape {tuple(hr.shape)}, got {tuple(noise.shape)}")
        return hr + noise / self.config.q

    def _split(self, hr: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """y_1 .. y_L, a_1 .. a_L and the log-determinant of the main flow."""
        check_image(hr, "hr", multiple=self.config.scale)
        y, log_det = hr, hr.new_zeros(len(hr))
        ys, as_ = [], []
        for level in self._levels():
            y, a, term = level.split(y)
            ys.append(y)
            as_.append(a)
            log_det = log_det + term
        return ys, as_, log_det

    def _seen_by_the_deepest(self, y_L: Tensor, given: Tensor | None) -> Tensor:
        """What phi_L sees: y_L, or the given LR image y* (Table 1, cases 2 and 3)."""
        if self.config.deepest_condition != "given":
            return y_L
        if given is None:
            raise InputError("expected the LR image that this configuration is conditioned on, got none")
        check_image(given, "lr", shape=(len(y_L), IMAGE_CHANNELS, *y_L.shape[-2:]))
        return given


def quantise(y: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to 8 bit, with the gradient of the identity: the LR image as a file holds it.

    Args:
        y: an image of any shape, such as (N, 3, h, w); white is 1.

    Returns:
        The same shape, values k/255 in [0, 1].
    """
    return y + ((y.clamp(0, 1) * 255).round() / 255 - y).detach()


def bits_per_pixel(log_p: Tensor, pixels: int) -> Tensor:
    """Nats per image -> bits per pixel, the three channels together: -log p / (H W log 2).

    Args:
        log_p: (N,) log-likelihoods in nats, as `HCFlow.log_likelihood` returns them.
        pixels: H W of the HR image.

    Returns:
        (N,); the lower, the likelier.
    """
    return -log_p / (pixels * math.log(2))
