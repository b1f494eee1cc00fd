"""The discriminator of HCFlow++, after VGG (SRGAN, section 2.1.1)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from hcflow.checks import check_image
from hcflow.errors import InputError

__all__ = ["Discriminator"]

_CHANNELS = (64, 128, 256, 512, 512)
_HIDDEN = 100
_STRIDE = 2 ** len(_CHANNELS)


class Discriminator(nn.Sequential):
    """Tell HR patches from super-resolved ones: logit(x), positive for what looks real.

    ::

        x --conv3x3--> stage 0 --conv4x4/2--> .. stage 4 --conv4x4/2--> 512 x patch/32 x patch/32 --> 100 --> logit

    A stage is a 3x3 and a 4x4 stride 2 convolution, each with BatchNorm (all but the very first) and LeakyReLU 0.2.
    The keys are those of the released code: conv{s}_{0,1}, bn{s}_{0,1}, linear1, linear2.
    """

    def __init__(self, patch: int = 160) -> None:
        if patch < _STRIDE or patch % _STRIDE:
            raise InputError(f"expected a discriminator patch divisible by {_STRIDE}, such as 160, got {patch}")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = 3
        for stage, channels in enumerate(_CHANNELS):
            for i, (kernel, stride) in enumerate(((3, 1), (4, 2))):
                name = f"{stage}_{i}"
                first = name == "0_0"
                layers[f"conv{name}"] = nn.Conv2d(before, channels, kernel, stride, padding=1, bias=first)
                if not first:
                    layers[f"bn{name}"] = nn.BatchNorm2d(channels)
                layers[f"relu{name}"] = nn.LeakyReLU(0.2)
                before = channels
        layers["flatten"] = nn.Flatten()  # (N, 512 * (patch/32)^2)
        layers["linear1"] = nn.Linear(before * (patch // _STRIDE) ** 2, _HIDDEN)
        layers["relu"] = nn.LeakyReLU(0.2)
        layers["linear2"] = nn.Linear(_HIDDEN, 1)
        super().__init__(layers)
        self.patch = patch

    def forward(self, input: Tensor) -> Tensor:
        """Map RGB patches (N, 3, patch, patch) in [0, 1] to logits (N, 1).

        Raises:
            InputError: not float RGB images of the patch size, or values that are not finite.
        """
        shape = (*input.shape[:1], 3, self.patch, self.patch)
        check_image(input, "discriminator patches", shape=shape)
        return super().forward(input)
