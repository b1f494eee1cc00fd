"""Learned perceptual image patch similarity (Zhang et al. 2018), by its authors' package: AlexNet, version 0.1.

The linear layers come with the package; the backbone comes from the weights' root and is never downloaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.metrics.metric import Choice, Evidence, Metric, NotApplicable, Score, Scorer, Variant, choice_of
from bench.metrics.views import Values
from hcflow.images.io import to_rgb

if TYPE_CHECKING:
    import torch

_SMALLEST = 31  # pixels: below, AlexNet's second pooling has nothing left
_LAYERS = {0: (1, 0), 3: (2, 3), 6: (3, 6), 8: (4, 8), 10: (5, 10)}  # AlexNet's features.N -> slice and index in lpips


def load(file: Path, device: torch.device) -> torch.nn.Module:
    """The network: package lpips with AlexNet's convolutions from a file.

    Args:
        file: torchvision's AlexNet, or its ten tensors features.* alone.
        device: where it is to run.

    Raises:
        BenchError: the package is missing, or the file is another.
    """
    import torch

    try:
        import lpips
    except ImportError as error:
        raise BenchError(f"expected the package lpips, got none ({error}); pip install lpips") from None
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):  # it draws random weights first
        warnings.simplefilter("ignore")  # of torchvision, about how lpips calls it
        network: torch.nn.Module = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    trunk = _backbone(file)
    unknown = network.load_state_dict(trunk, strict=False).unexpected_keys
    assert not unknown, unknown
    return network.to(device).eval().requires_grad_(False)


def _backbone(file: Path) -> dict[str, torch.Tensor]:
    """AlexNet's convolutions under the names that lpips has for them."""
    import torch

    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        trunk = {
            f"net.slice{part}.{index}.{kind}": state[f"features.{layer}.{kind}"]
            for layer, (part, index) in _LAYERS.items()
            for kind in ("weight", "bias")
        }
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BenchError(f"{file}: expected AlexNet's features.* tensors, got {reason}; replace it") from None
    if trunk["net.slice5.10.weight"].shape != (256, 256, 3, 3) or trunk["net.slice1.0.weight"].shape != (64, 3, 11, 11):
        raise BenchError(f"{file}: expected the tensors of torchvision's AlexNet, got other shapes; replace it")
    return trunk


def _open(variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
    import torch

    network = load(files[0], device)
    depth = variant.id.rpartition(",")[2]

    def tensor(image: Values) -> torch.Tensor:
        planes = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)
        return 2 * torch.from_numpy(planes)[None].to(device) - 1

    def score(evidence: Evidence) -> Score:
        height, width = evidence.reference.shape[:2]
        if min(height, width) < _SMALLEST:
            return NotApplicable(f"{width}x{height} pixels, and LPIPS needs {_SMALLEST}x{_SMALLEST}")
        with torch.inference_mode():
            hr = tensor(to_rgb(evidence.reference) / np.float32(255))
            return [float(network(hr, tensor(draw))) for draw in _draws(evidence, depth)]

    return score


def _draws(evidence: Evidence, depth: str) -> list[Values]:
    """The draws, (H, W, 3) in [0, 1], in float32."""
    for draw in evidence.draws:
        if draw.shape[:2] != evidence.reference.shape[:2]:
            raise BenchError(f"expected SR and HR of one size, got {draw.shape[:2]} and {evidence.reference.shape[:2]}")
    if depth == "float":
        return [np.clip(draw, 0, 1) for draw in evidence.draws]
    return [to_rgb(image) / np.float32(255) for image in evidence.eight_bits(depth)]


_COMMON = "lpips package, AlexNet, version 0.1, RGB, no crop"

METRIC = Metric(
    name="lpips",
    title="LPIPS",
    direction="lower",
    decimals=4,
    parse=choice_of(
        Choice("alex,rgb,crop0,float", f"{_COMMON}; the SR image not rounded (HCFlow)"),
        Choice("alex,rgb,crop0,u8", f"{_COMMON}; the SR image rounded to 8 bits"),
        Choice("alex,rgb,crop0,trunc8", f"{_COMMON}; the SR image truncated to 8 bits (SRFlow)"),
    ),
    known=("alex,rgb,crop0,float", "alex,rgb,crop0,u8", "alex,rgb,crop0,trunc8"),
    open=_open,
    module=__name__,
    weights=lambda _: ("LPIPS_alex",),
    packages=("lpips", "torch", "torchvision"),
)
