"""From an HR image to the evidence of what a method made of it: all arithmetic that is the runner's own is in here."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from bench.errors import BenchError
from bench.methods.method import Downscaler, Encoder, Likelihood, Method
from bench.metrics.metric import Evidence, Need
from bench.metrics.views import Input, Values, luma_plane
from bench.runs.memory import PeakMemory
from hcflow.images.io import Pixels, to_rgb
from hcflow.images.matlab_resize import Padding, imresize, mod_crop


@dataclass(frozen=True)
class Seeds:
    """The seeds of everything random about one image, from what identifies it alone: any order of images agrees."""

    suite: str
    method: str
    image: str
    temperature: float

    def draw(self, number: int) -> int:
        """Of one draw."""
        text = json.dumps([self.suite, self.method, self.image, float(self.temperature), number])
        return _seed(text)

    @property
    def encode(self) -> int:
        """Of the dequantisation noise of the forward pass; the same at every temperature."""
        return _seed(json.dumps([self.suite, self.method, self.image, "encode"]))


@dataclass(frozen=True)
class Restored:
    """What a method made of an image.

    Attributes:
        draws: (H, W, 3) or (H, W) in [0, 1].
        lr: (h, w, 3) or (h, w): what it restored.
        own_lr: see Evidence.
        facts: see Evidence.
        how: what the method did with an image that it could not take as a whole; else empty.
        makes_lr: whether the method made the LR image itself.
    """

    draws: tuple[Values, ...]
    lr: Values
    own_lr: Values | None = None
    facts: Mapping[str, float] = field(default_factory=dict)
    how: str = ""
    makes_lr: bool = False

    def evidence(self, hr: Pixels, scale: int) -> Evidence:
        """What metrics see."""
        return Evidence(self.draws, scale, hr, self.lr, self.own_lr, self.facts)


@dataclass(frozen=True)
class Restorer:
    """A method at work on the images of a data set.

    Attributes:
        method: that restores.
        scale: HR size over LR size.
        input: how LR images are made.
        temperature: of the draws.
        draws: per image.
        device: where the method works.
        deterministic: whether all draws of it are equal by construction.
    """

    method: Method
    scale: int
    input: Input
    temperature: float
    draws: int
    device: torch.device
    deterministic: bool

    def restore(self, image: Pixels, seeds: Seeds, needs: frozenset[Need]) -> Restored:
        """Crop an HR image to the scale, make its LR image, and restore it.

        Args:
            image: uint8 (H, W[, 3]).
            seeds: of the image.
            needs: what the metrics ask for beyond the draws.

        Raises:
            BenchError: the method returned something else than finite images of the right size.
        """
        hr = mod_crop(image, self.scale)
        method = self.method
        given = low_resolution(hr, self.scale, self.input)
        lr = method.downscale(hr) if isinstance(method, Downscaler) else given
        memory, started = PeakMemory(self.device), time.perf_counter()
        numbers = [seeds.draw(number) for number in range(self.draws)]
        draws = self._checked(method.restore(lr.to(self.device), self.temperature, numbers), lr, hr)
        facts = {"seconds": (time.perf_counter() - started) / self.draws, **memory.facts()}
        facts["deterministic"] = float(self.deterministic or self.temperature == 0)
        if (parameters := getattr(method, "parameters", None)) is not None:
            facts["parameters"] = float(parameters)
        if "bits_per_pixel" in needs and isinstance(method, Likelihood):
            facts["bits_per_pixel"] = method.bits_per_pixel(hr, given, seeds.encode)
        own_lr = method.encode_lr(hr, seeds.encode) if "own_lr" in needs and isinstance(method, Encoder) else None
        makes_lr = isinstance(method, Downscaler)
        if own_lr is None and makes_lr:
            own_lr = lr
        how = str(getattr(method, "how", ""))
        return Restored(draws, _image(lr), None if own_lr is None else _image(own_lr), facts, how, makes_lr)

    def _checked(self, sr: torch.Tensor, lr: torch.Tensor, hr: Pixels) -> tuple[Values, ...]:
        sr = sr.detach().cpu()
        expected = (self.draws, lr.shape[0], *hr.shape[:2])
        if tuple(sr.shape) != expected or not bool(torch.isfinite(sr).all()):
            got = f"{tuple(sr.shape)}" if tuple(sr.shape) != expected else "values that are not finite"
            raise BenchError(f"expected finite images of shape {expected} of the method, got {got}")
        return tuple(_image(one) for one in sr)


def low_resolution(hr: Pixels, scale: int, given: Input) -> torch.Tensor:
    """The LR image of an HR image whose sides divide by `scale`: MATLAB's imresize, bicubic.

    Returns:
        (3, h, w) float32 in [0, 1], rounded to 8 bits; or, where the protocol works on luma, the (1, h, w) float64
        plane, not rounded.
    """
    padding: Padding = "replicate" if given.pad == "replicate" else "symmetric"
    if given.work == "y":
        plane = luma_plane(hr, given.grey).astype(np.float64)
        return torch.from_numpy(imresize(plane, 1 / scale, padding=padding) / 255.0)[None]
    small = imresize(to_rgb(hr), 1 / scale, padding=padding)
    return torch.from_numpy(small).permute(2, 0, 1).float() / 255


def _image(x: torch.Tensor) -> Values:
    """(C, H, W) to (H, W, 3), or (H, W) of one channel."""
    image: Values = np.moveaxis(x.detach().cpu().numpy(), 0, 2)
    return image[:, :, 0] if image.shape[2] == 1 else image


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
