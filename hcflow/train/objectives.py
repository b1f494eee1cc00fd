"""The losses of eqs. 6 to 9, as modules that map (hr, lr, noise) to named losses."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.model import HCFlow, bits_per_pixel, quantise
from hcflow.nets.discriminator import Discriminator
from hcflow.nets.perceptual import VGG19Features
from hcflow.train.noise import Noise
from hcflow.train.recipe import Losses

__all__ = [
    "Adversarial",
    "DiscriminatorLoss",
    "Likelihood",
    "Objective",
    "Pixel",
    "Rescaling",
    "dequantised",
    "objectives_of",
]

Named = dict[str, Tensor]


class Objective(Protocol):
    """Losses by name, not weighted, each a scalar: the mean over the batch."""

    def __call__(self, hr: Tensor, lr: Tensor, noise: Noise) -> Named:
        """Compute them.

        Args:
            hr: (N, 3, H, W) in [0, 1].
            lr: (N, 3, H/2^L, W/2^L) in [0, 1].
            noise: where random numbers come from.
        """
        ...


class Likelihood(nn.Module):
    """nll: bits per pixel of (hr, lr) (eq. 6)."""

    def __init__(self, model: HCFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, hr: Tensor, lr: Tensor, noise: Noise) -> Named:
        """Encode the dequantised image."""
        log_p = self.model.log_prob(self.model.encode(dequantised(self.model, hr, noise), lr), lr)
        return {"nll": bits_per_pixel(log_p, hr.shape[-2] * hr.shape[-1]).mean()}


class Pixel(nn.Module):
    """pixel_hr: L1 of the image at temperature 0 (eq. 7)."""

    def __init__(self, model: HCFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, hr: Tensor, lr: Tensor, noise: Noise) -> Named:
        """Decode the LR image without any spread."""
        return {"pixel_hr": F.l1_loss(_decode(self.model, lr, 0.0, noise), hr)}


class Rescaling(nn.Module):
    """pixel_hr, pixel_lr, latent: the round trip through 8 bits, the LR image, the latents (eq. 9)."""

    def __init__(self, model: HCFlow) -> None:
        super().__init__()
        self.model = model

    def forward(self, hr: Tensor, lr: Tensor, noise: Noise) -> Named:
        """Encode, quantise, decode at temperature 1."""
        latents = [noise.normal(shape) for shape in self.model.latent_shapes(*lr.shape[-2:])]
        encoded, back = self.model.encode_and_decode(hr, latents, lambda y: quantise(y.clamp(0, 1)))
        assert encoded.lr is not None
        squares = torch.stack([z.square().sum() for z in encoded.latents]).sum()
        return {
            "pixel_hr": F.l1_loss(back.clamp(0, 1), hr),
            "pixel_lr": F.mse_loss(encoded.lr.clamp(0, 1), lr),
            "latent": squares / sum(z.numel() for z in encoded.latents),
        }


class Adversarial(nn.Module):
    """perceptual, gan: of an image drawn at a temperature (eq. 8).

    gan is the binary cross-entropy of calling the draw real. The discriminator's own parameters get no
    gradient from it. The draw is kept for the discriminator's step: `take_draw`.
    """

    def __init__(
        self, model: HCFlow, temperature: float, features: VGG19Features | None, discriminator: Discriminator | None
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self._frozen = (features, discriminator)  # a tuple, so that they are no part of what is trained here
        self._draw: Tensor | None = None

    def forward(self, hr: Tensor, lr: Tensor, noise: Noise) -> Named:
        """Decode at the temperature, and compare the features and the discriminator's answer."""
        features, discriminator = self._frozen
        sr = _decode(self.model, lr, self.temperature, noise)
        self._draw = sr.detach() if discriminator is not None else None
        losses: Named = {}
        if features is not None:
            with torch.no_grad():
                target = features(hr)
            losses["perceptual"] = F.l1_loss(features(sr), target)
        if discriminator is not None:
            frozen = {name: value.detach() for name, value in discriminator.named_parameters()}
            logit = torch.func.functional_call(discriminator, frozen, (sr,))
            losses["gan"] = F.binary_cross_entropy_with_logits(logit, torch.ones_like(logit))
        return losses

    def take_draw(self, lr: Tensor, noise: Noise) -> Tensor:
        """The images of the last `forward`, detached, (N, 3, H, W) in [0, 1]; newly decoded where there are none.

        The released trainer shows the discriminator what the generator drew before its own update.
        """
        draw, self._draw = self._draw, None
        if draw is None:
            with torch.no_grad():
                draw = _decode(self.model, lr, self.temperature, noise)
        return draw


class DiscriminatorLoss(nn.Module):
    """discriminator: binary cross-entropy of real images called real plus generated ones called fake."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, real: Tensor, fake: Tensor) -> Named:
        """Classify both, (N, 3, H, W) in [0, 1]."""
        real, fake = self.discriminator(real), self.discriminator(fake)
        loss = F.binary_cross_entropy_with_logits
        return {"discriminator": loss(real, torch.ones_like(real)) + loss(fake, torch.zeros_like(fake))}


def objectives_of(
    model: HCFlow,
    losses: Losses,
    temperature: float,
    features: VGG19Features | None = None,
    discriminator: Discriminator | None = None,
) -> dict[str, nn.Module]:
    """The groups of losses with a weight, in the order of their optimiser steps."""
    if model.config.q is None:
        return {"rescaling": Rescaling(model)}
    groups: dict[str, nn.Module] = {}
    if losses.nll:
        groups["nll"] = Likelihood(model)
    if losses.pixel_hr:
        groups["pixel"] = Pixel(model)
    if losses.perceptual or losses.gan:
        networks = (features if losses.perceptual else None, discriminator if losses.gan else None)
        groups["adversarial"] = Adversarial(model, temperature, *networks)
    return groups


def dequantised(model: HCFlow, hr: Tensor, noise: Noise) -> Tensor:
    """x = hr + U(0, 1)/q for super-resolution, hr itself for rescaling."""
    return hr if model.config.q is None else model.dequantise(hr, noise.uniform(hr.shape[1:]))


def _decode(model: HCFlow, lr: Tensor, temperature: float, noise: Noise) -> Tensor:
    """An image in [0, 1]: the released trainer clamps it, too, before it looks at it."""
    shapes = model.latent_shapes(*lr.shape[-2:])
    if temperature == 0:
        latents = [lr.new_zeros((len(lr), *shape)) for shape in shapes]
    else:
        latents = [noise.normal(shape) for shape in shapes]
    return model.decode(lr, temperature, latents=latents).clamp(0, 1)
