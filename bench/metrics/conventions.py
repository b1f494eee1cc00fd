"""Every way of scoring that is known to go by the name of PSNR, SSIM or LPIPS, and who uses it: for `bench explain`.

Plain data and a few lines each. A convention that is a measure has that measure's id; the others name what differs in
brackets: `ssim[reflect]@rgb,crop4,u8`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.metric import Evidence, Measure, NotApplicable
from bench.metrics.psnr import psnr
from bench.metrics.ssim import WINDOW, ssim
from bench.metrics.views import Protocol, View, fits

if TYPE_CHECKING:
    import torch

Pair = tuple[View, View]


@dataclass(frozen=True)
class Convention:
    """One way of scoring one SR image against its HR image.

    Attributes:
        id: such as `psnr@y,crop4,u8` or `ssim[7x7]@rgb,crop0,trunc8`.
        metric: "psnr", "ssim" or "lpips".
        text: description for people.
        used_by: papers, projects and libraries that are known to score so; empty for a variation without known users.
        value: evidence of one draw -> value; NaN where the image is too small for it.
    """

    id: str
    metric: str
    text: str
    used_by: tuple[str, ...]
    value: Callable[[Evidence], float]


USED_BY: Mapping[str, tuple[str, ...]] = {
    "psnr@rgb,crop{s},u8": ("HCFlow (tables 1 to 3)",),
    "ssim@rgb,crop{s},u8": ("HCFlow (tables 1 to 3)",),
    "psnr@y,crop{s},u8": ("HCFlow (table 4)", "IRN", "ESRGAN", "BasicSR"),
    "ssim@y,crop{s},u8": ("HCFlow (table 4)", "IRN", "ESRGAN", "BasicSR"),
    "psnr@rgb,crop0,trunc8": ("SRFlow",),
    "ssim[7x7]@rgb,crop0,trunc8": ("SRFlow",),
    "ssim[7x7]@rgb,crop{s},u8": ("scikit-image (its defaults)",),
    "ssim[reflect]@rgb,crop{s},u8": ("torchmetrics",),
    "psnr[65.738/256]@crop{s},u8": ("EDSR-PyTorch (Set5, Set14, BSD100, Urban100)",),
    "psnr@rgb,crop{s+6},u8": ("EDSR-PyTorch (DIV2K)",),
    "psnr[65.738/255]@crop{s},trunc8": ("CAR",),
    "ssim[symmetric]@y,crop{s},trunc8": ("CAR",),
    "psnr[0.299]@crop{s},u8": ("pyiqa (its default luma)", "piq"),
    "psnr@y,crop{s},u8,grey=direct": ("older MATLAB scripts",),
    "ssim@y,crop{s},u8,grey=direct": ("older MATLAB scripts",),
    "lpips@alex,rgb,crop0,float": ("HCFlow",),
    "lpips@alex,rgb,crop0,trunc8": ("SRFlow",),
}
"""Who scores so, by id; {s} is the scale. Only what the papers' and projects' own code was seen to do."""

LUMAS: Mapping[str, tuple[tuple[float, float, float], float, str]] = {
    "65.738/256": ((65.738, 129.057, 25.064), 256.0, "luma difference with the weights (65.738, 129.057, 25.064)/256"),
    "65.738/255": ((65.738, 129.057, 25.064), 255.0, "luma difference with the weights (65.738, 129.057, 25.064)/255"),
    "0.299": ((0.299, 0.587, 0.114), 1.0, "full-range Rec.601 luma (0.299, 0.587, 0.114), not rounded"),
}
"""Lumas other than `y` and `y8`: weights, divisor, description. An offset cancels in a difference."""

WINDOWS: Mapping[str, str] = {
    "7x7": "uniform 7x7 window and sample covariance (scikit-image's defaults)",
    "reflect": "Gaussian window over the whole image, mirrored at its border without repeating the outermost pixel",
    "symmetric": "Gaussian window over the whole image, mirrored at its border",
}
"""SSIM windows other than the Gaussian one on the valid region."""


def conventions(scale: int, *, grey: bool = False) -> list[Convention]:
    """All of PSNR and SSIM.

    Args:
        scale: crops of 0, `scale` and `scale + 6` pixels are tried.
        grey: whether HR is a grey image: then both policies for those.
    """
    crops = {"{s}": str(scale), "{s+6}": str(scale + 6)}
    used = {_filled(pattern, crops): who for pattern, who in USED_BY.items()}
    return [
        Convention(name, name[:4], text, used.get(name, ()), value)
        for name, text, value in _all(sorted({0, scale, scale + 6}), grey)
    ]


def _filled(pattern: str, crops: Mapping[str, str]) -> str:
    for place, crop in crops.items():
        pattern = pattern.replace(place, crop)
    return pattern


def lpips_conventions(files: Sequence[Path], device: torch.device) -> list[Convention]:
    """Those of LPIPS, whose network is loaded from `files` (entry LPIPS_alex)."""
    found = []
    for text in Measure.parse("lpips").of.known:
        measure = Measure.parse(f"lpips@{text}")
        scorer = measure.open(files, device)

        def value(evidence: Evidence, scorer: Callable[[Evidence], object] = scorer) -> float:
            scores = scorer(evidence)
            return math.nan if isinstance(scores, NotApplicable) else float(np.ravel(np.asarray(scores))[0])

        who = USED_BY.get(measure.id, ())
        found.append(Convention(measure.id, "lpips", measure.variant.describe(), who, value))
    return found


def _all(crops: Sequence[int], grey: bool) -> Iterator[tuple[str, str, Callable[[Evidence], float]]]:
    """Id, description and value of each."""
    for crop in crops:
        for depth in ("u8", "trunc8", "float"):
            for space in ("rgb", "y", "y8"):
                for policy in ("rgb", "direct") if grey and space != "rgb" else ("rgb",):
                    protocol = Protocol(space, crop, depth, grey=policy)
                    description = protocol.describe()
                    yield f"psnr@{protocol.id}", description, partial(_psnr, protocol)
                    yield f"ssim@{protocol.id}", description, partial(_ssim, protocol, ssim, WINDOW)
                    for window, text in WINDOWS.items():
                        function, side = _windows()[window]
                        name = f"ssim[{window}]@{protocol.id}"
                        yield name, f"{text}; {description}", partial(_ssim, protocol, function, side)
            rgb = Protocol("rgb", crop, depth)
            for luma, (weights, divisor, text) in LUMAS.items():
                description = rgb.describe().partition("; ")[2]
                name = f"psnr[{luma}]@crop{crop},{depth}"
                yield name, f"{text}; {description}", partial(_psnr_of_luma, rgb, np.array(weights) / divisor)


def _windows() -> Mapping[str, tuple[Callable[[View, View], float], int]]:
    """Each other window: SSIM with it, and the smallest image."""
    return {"7x7": (_uniform, 7), "reflect": (partial(padded, repeat=False), 6), "symmetric": (padded, 5)}


def _pair(evidence: Evidence, protocol: Protocol, side: int = 1) -> Pair | None:
    """The two views; None where fewer than side x side pixels are left."""
    if not fits(evidence.reference, protocol, side):
        return None
    return evidence.views(protocol)[0]


def _psnr(protocol: Protocol, evidence: Evidence) -> float:
    pair = _pair(evidence, protocol)
    return math.nan if pair is None else psnr(*pair)


def _psnr_of_luma(protocol: Protocol, weights: View, evidence: Evidence) -> float:
    pair = _pair(evidence, protocol)
    return math.nan if pair is None else psnr(pair[0] @ weights, pair[1] @ weights)


def _ssim(protocol: Protocol, function: Callable[[View, View], float], side: int, evidence: Evidence) -> float:
    pair = _pair(evidence, protocol, side)
    return math.nan if pair is None else function(*pair)


def _uniform(sr: View, hr: View) -> float:
    """scikit-image's SSIM as its defaults have it: uniform 7x7 window, sample covariance, valid region."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(sr, hr, data_range=255.0, channel_axis=2 if sr.ndim == 3 else None))


def padded(sr: View, hr: View, *, repeat: bool = True) -> float:
    """SSIM with the Gaussian window at every pixel, the image mirrored at its border.

    Args:
        sr: (H, W) or (H, W, 3), 0..255.
        hr: the same.
        repeat: whether the outermost pixel is repeated (as scipy and MATLAB do), or not (as torch's "reflect").
    """
    import cv2

    border = cv2.BORDER_REFLECT if repeat else cv2.BORDER_REFLECT_101
    margin = WINDOW // 2
    sizes = (margin, margin, margin, margin)
    return ssim(*(cv2.copyMakeBorder(np.ascontiguousarray(view), *sizes, border) for view in (sr, hr)))
