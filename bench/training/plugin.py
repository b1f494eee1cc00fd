"""What the benchmark adds to training: data sets by name, the tables' scores, and a log in MLflow.

`hcflow.train.observers.load_plugin` finds this module through its entry point; it is a `Plugin`.
"""

from __future__ import annotations

from pathlib import Path

from bench.datasets.local import how_to_get, image_path, presence, require_data_root
from bench.datasets.manifest import load_manifest, manifest_names
from bench.errors import BenchError
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.metrics.views import Protocol, views
from bench.tracking.training import MlflowLog
from hcflow.images.io import Pixels
from hcflow.train.observers import Log

__all__ = ["images", "lr_psnr", "open_log", "score"]

_RESULTS = Path("results")  # where the tables' records are unless --out says otherwise, and `nox -s ui` looks


def images(name: str) -> list[Path] | None:
    """The files of a data set, or None where there is no manifest of that name.

    Raises:
        BenchError: images are missing; the message names the command that gets them.
    """
    if name not in manifest_names():
        return None
    require_data_root()
    manifest = load_manifest(name)
    here = presence(manifest).present
    paths = [path for path in (image_path(manifest, entry) for entry in here) if path.is_file()]
    if len(paths) < len(manifest.images):
        raise BenchError(
            f"{name}: expected {len(manifest.images)} images, got {len(paths)}; get them: {how_to_get(manifest)}"
        )
    return paths


def score(sr: Pixels, hr: Pixels, scale: int) -> dict[str, float]:
    """PSNR and SSIM on luma and RGB, `scale` pixels cropped off every side: protocols y,cropN,u8 and rgb,cropN,u8.

    Args:
        sr: uint8 (H, W, 3).
        hr: uint8 (H, W, 3).
        scale: of the network.

    Returns:
        psnr_y, psnr_rgb in dB (infinity for identical images), ssim_y, ssim_rgb.

    Raises:
        BenchError: the sizes differ, or the images are too small.
    """
    scores: dict[str, float] = {}
    for space in ("y", "rgb"):
        pair = views(sr / 255.0, hr, Protocol(space, scale, "u8"))
        scores |= {f"psnr_{space}": psnr(*pair), f"ssim_{space}": ssim(*pair)}
    return scores


def lr_psnr(lr: Pixels, expected: Pixels) -> float:
    """PSNR of an LR image in dB, protocol rgb,crop0,u8; both are uint8 (h, w, 3)."""
    return psnr(*views(lr / 255.0, expected, Protocol("rgb", 0, "u8")))


def open_log(folder: Path) -> Log:
    """The mirror in MLflow of the run in a folder."""
    return MlflowLog(folder, _RESULTS)
