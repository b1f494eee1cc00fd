"""SRFlow: learning the super-resolution space with normalizing flow (Lugmayr et al., ECCV 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hcflow.checks import check_image
from hcflow.errors import InputError
from hcflow.flow.actnorm import ActNorm
from hcflow.flow.coupling import AffineCoupling, sigmoid_log_scale
from hcflow.flow.gaussian import ConditionalGaussian, standard_normal_log_prob
from hcflow.flow.invconv import InvertibleConv
from hcflow.flow.squeeze import PixelSqueeze
from hcflow.flow.transform import Compose
from hcflow.level import IMAGE_CHANNELS, repeat_to
from hcflow.model import Encoded
from hcflow.nets.subnets import FCN, ZeroSubnet
from hcflow.sampling import Draws
from hcflow.srflow.config import SRFlowConfig
from hcflow.srflow.encoder import Encoder

__all__ = ["SRFlow", "SRFlowDecoder", "SRFlowLevel", "coupled_step", "pad_to_even"]


def coupled_step(channels: int, context: int, hidden: int) -> Compose:
    """ActNorm, 1x1 convolution, a map of all channels that only the context steers, and an affine coupling."""
    half = channels // 2
    return Compose(
        ActNorm(channels),
        InvertibleConv(channels),
        AffineCoupling(FCN(context, 2 * channels, hidden), 0, sigmoid_log_scale),
        AffineCoupling(FCN(half + context, 2 * (channels - half), hidden), half, sigmoid_log_scale),
    )


class SRFlowLevel(nn.Module):
    """Level l: squeeze, steps that see the map of that size, and perhaps a split.

    Attributes: `flow` (squeeze and steps); `gaussian`, of the half that leaves given the half that stays, None where
    nothing leaves; `channels`, of the latent that leaves; `passed`, of what the next level gets.
    """

    def __init__(self, config: SRFlowConfig, channels: int, l: int) -> None:  # noqa: E741 - from 1 to L
        super().__init__()
        channels *= 4
        self.flow = Compose(
            PixelSqueeze(),
            *(Compose(ActNorm(channels), InvertibleConv(channels)) for _ in range(config.plain_steps)),
            *(coupled_step(channels, config.context, config.hidden) for _ in range(config.K)),
        )
        splits = l < config.L - 1
        self.passed = channels // 2 if splits else channels
        self.channels = channels - self.passed
        subnet = ZeroSubnet(self.passed, 2 * self.channels)
        self.gaussian = ConditionalGaussian(self.channels, subnet, bounded=False) if splits else None


class SRFlowDecoder(nn.Module):
    """The generative half, (LR image, latents) -> HR image, of anything that knows `maps` and `generate`."""

    def __init__(self, config: SRFlowConfig) -> None:
        super().__init__()
        self.config = config

    def maps(self, lr: Tensor) -> list[Tensor]:
        """What the levels see of LR images with even sides, finest first."""
        raise NotImplementedError

    def generate(self, latents: Sequence[Tensor], maps: Sequence[Tensor]) -> Tensor:
        """The HR images of latents (N, ..); the maps are of N images or of a divisor of N."""
        raise NotImplementedError

    def decode(
        self,
        lr: Tensor,
        temperature: float | Sequence[float] | None = None,
        *,
        latents: Sequence[Tensor] | None = None,
        generator: torch.Generator | None = None,
        samples: int | None = None,
    ) -> Tensor:
        """Draw HR images; arguments, result and errors are those of `hcflow.model.Decoder.decode`.

        An LR image with an odd side is padded by reflection, at the bottom and at the right, and the result cropped;
        its latents are those of the padded image, as `latent_shapes` says.

        Raises:
            InputError: also for a side of one pixel, which cannot be reflected.
        """
        check_image(lr, "lr")
        height, width = lr.shape[-2:]
        tau = self.config.temperature if temperature is None else temperature
        draws = Draws(self.latent_shapes(height, width), lr, tau, latents, generator, samples)
        hr = self.generate(draws.latents, self.maps(pad_to_even(lr)))
        return draws.unflatten(hr[..., : height * self.config.scale, : width * self.config.scale])

    def latent_shapes(self, height: int, width: int) -> list[tuple[int, int, int]]:
        """Shapes (C, H, W) of the latents for an LR image of that size: one per split, finest first, and the last."""
        config = self.config
        height, width = ((side + side % 2) * config.scale for side in (height, width))
        channels, shapes = IMAGE_CHANNELS, []
        for l in range(1, config.L):  # noqa: E741 - the paper's index
            channels *= 4
            if l < config.L - 1:
                channels //= 2
                shapes.append((channels, height >> l, width >> l))
        return [*shapes, (4 * channels, height >> config.L, width >> config.L)]


class SRFlow(SRFlowDecoder):
    """A bijection x <-> latents for every LR image.

    ::

        x --level 1--> half --level 2--> half ..  --level L--> z_L ~ N(0, I)
               |  ^        |     ^                     ^
              z_1 |       z_2    |                     |
              map 1             map 2                map L           maps = encoder(LR image)

    All levels but the last two split: a Gaussian, whose mean and sigma the half that stays predicts, makes a standard
    normal z of the half that leaves. The LR image is not part of the latent.
    """

    def __init__(self, config: SRFlowConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        channels, levels = IMAGE_CHANNELS, []
        for l in range(1, config.L + 1):  # noqa: E741 - the paper's index
            levels.append(SRFlowLevel(config, channels, l))
            channels = levels[-1].passed
        self.levels = nn.ModuleList(levels)
        self.unused = nn.Conv2d(config.context, config.head, 3, padding=1)

    def encode(self, hr: Tensor, lr: Tensor) -> Encoded:
        """Map images to the latent space.

        Args:
            hr: (N, 3, H, W) in [0, 1], dequantised where a likelihood is wanted; H and W divisible by 2^L.
            lr: (N, 3, H/scale, W/scale) in [0, 1].

        Raises:
            InputError: wrong shape, sides not divisible by 2^L, or values that are not finite.
        """
        check_image(hr, "hr", multiple=self.config.multiple)
        height, width = (side // self.config.scale for side in hr.shape[-2:])
        check_image(lr, "lr", shape=(len(hr), IMAGE_CHANNELS, height, width))
        x, log_det = hr, hr.new_zeros(len(hr))
        latents = []
        for level, seen in zip(self._levels(), self.maps(lr), strict=True):
            x, term = level.flow(x, seen)
            log_det = log_det + term
            if level.gaussian is not None:
                x, leaves = x[:, : level.passed], x[:, level.passed :]
                z, term = level.gaussian(leaves, x)
                latents.append(z)
                log_det = log_det + term
        return Encoded(None, (*latents, x), log_det)

    def maps(self, lr: Tensor) -> list[Tensor]:
        """The encoder's maps."""
        return self.encoder(lr)

    def generate(self, latents: Sequence[Tensor], maps: Sequence[Tensor]) -> Tensor:
        """Run the levels backwards."""
        *split, x = latents
        for level, seen in reversed(list(zip(self._levels(), maps, strict=True))):
            if level.gaussian is not None:
                x = torch.cat((x, level.gaussian.inverse(split.pop(), x)[0]), 1)
            x, _ = level.flow.inverse(x, repeat_to(seen, len(x)))
        return x

    def log_prob(self, encoded: Encoded, dequantised: bool = True) -> Tensor:
        """log p(hr | lr) in nats per image, (N,), of a point that `encode` returned.

        Args:
            encoded: the point.
            dequantised: whether -H W log(quant) belongs to it (once per pixel, as the authors count it); their training
                leaves it out.
        """
        log_p = encoded.log_det
        for z in encoded.latents:
            log_p = log_p + standard_normal_log_prob(z)
        if not dequantised:
            return log_p
        pixels = encoded.latents[-1][0, 0].numel() * 4**self.config.L
        return log_p - pixels * math.log(self.config.quant)

    def log_likelihood(
        self, hr: Tensor, lr: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """log p(hr | lr) in nats per image, (N,), of 8-bit images scaled to [0, 1]; arguments as `HCFlow`'s."""
        return self.log_prob(self.encode(self.dequantise(hr, noise, generator), lr))

    def dequantise(self, hr: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """x = hr + (U(0, 1) - 1/2) / quant."""
        if noise is None:
            device = generator.device if generator is not None else hr.device
            noise = torch.rand(hr.shape, generator=generator, dtype=hr.dtype, device=device).to(hr.device)
        elif noise.shape != hr.shape:
            raise InputError(f"expected noise of shape {tuple(hr.shape)}, got {tuple(noise.shape)}")
        return hr + (noise - 0.5) / self.config.quant

    def _levels(self) -> list[SRFlowLevel]:
        return list(self.levels)  # type: ignore[arg-type]


def pad_to_even(lr: Tensor) -> Tensor:
    """Pad (N, 3, h, w) to even sides by reflection, at the bottom and at the right.

    Raises:
        InputError: an odd side of one pixel.
    """
    height, width = lr.shape[-2:]
    if not height % 2 and not width % 2:
        return lr
    if (height % 2 and height < 2) or (width % 2 and width < 2):
        raise InputError(f"expected an LR image of two pixels or more a side, got {height}x{width}")
    return F.pad(lr, (0, width % 2, 0, height % 2), mode="reflect")
