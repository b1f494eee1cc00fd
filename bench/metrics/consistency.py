"""Whether an SR image, made small again, is the LR image: PSNR of LR images, RGB, no crop, in dB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.metric import Choice, Evidence, Metric, Scorer, Variant, choice_of
from bench.metrics.psnr import psnr
from bench.metrics.views import Protocol, View, check_sizes, to_bytes
from hcflow.images.io import Pixels, to_rgb

if TYPE_CHECKING:
    import torch

_WHOLE = Protocol("rgb", 0, "u8")


def as_hcflow(evidence: Evidence) -> list[float]:
    """Between bicubic(SR) and bicubic(HR), both of 8-bit images, in floating point."""
    hr = small(to_rgb(evidence.reference), evidence.scale)
    values = []
    for image in evidence.eight_bits():
        check_sizes(image, evidence.reference, _WHOLE)
        values.append(psnr(small(to_rgb(image), evidence.scale), hr))
    return values


def as_srflow(evidence: Evidence, depth: str = "u8", *, half_even: bool = False) -> list[float]:
    """Between bicubic(SR), in 8 bits, and the given LR image.

    Args:
        evidence: the draws and the LR image; where that is not known, MATLAB's bicubic of HR takes its place.
        depth: "u8" or "trunc8": how SR becomes 8 bits.
        half_even: round as numpy does in the resize, not as MATLAB does.
    """
    from hcflow.images.matlab_resize import imresize

    given = evidence.bicubic_lr.astype(np.float64) if evidence.lr is None else to_bytes(evidence.lr)
    if given.ndim == 2:
        given = np.repeat(given[:, :, None], 3, axis=2)
    values = []
    for image in map(to_rgb, evidence.eight_bits(depth)):
        lr = _half_even(image, evidence.scale) if half_even else imresize(image, 1 / evidence.scale)
        check_sizes(lr, given.astype(np.uint8), _WHOLE)
        values.append(psnr(lr.astype(np.float64), given))
    return values


def small(image: Pixels, scale: int) -> View:
    """MATLAB's bicubic of an 8-bit image in floating point, not rounded."""
    from hcflow.images.matlab_resize import imresize

    return imresize(image.astype(np.float64), 1 / scale)


def _half_even(image: Pixels, scale: int) -> View:
    """imresize of uint8, rounded half to even after each of its two passes."""
    from hcflow.images.matlab_resize import imresize

    values = image.astype(np.float64)
    height, width = -(-image.shape[0] // scale), -(-image.shape[1] // scale)
    for size in ((height, image.shape[1]), (height, width)):
        values = np.clip(np.rint(imresize(values, size=size)), 0, 255)
    return values


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    if variant.id == "hcflow":
        return as_hcflow
    if variant.id == "srflow":
        return as_srflow
    return lambda evidence: as_srflow(evidence, "trunc8", half_even=True)


METRIC = Metric(
    name="consistency",
    title="Consistency",
    direction="higher",
    unit="dB",
    decimals=2,
    parse=choice_of(
        Choice("hcflow", "PSNR between bicubic(SR) and bicubic(HR), of 8-bit images and not rounded; RGB, no crop"),
        Choice("srflow", "PSNR between bicubic(SR), in 8 bits, and the given LR image; RGB, no crop", "SRFlow"),
        Choice(
            "srflow,trunc8,half_even",
            "as srflow, with SR truncated to 8 bits and its resize rounding half to even, as SRFlow's code does",
            "SRFlow's code",
        ),
    ),
    known=("hcflow", "srflow", "srflow,trunc8,half_even"),
    open=_open,
    module=__name__,
)
