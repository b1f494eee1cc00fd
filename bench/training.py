"""What the harness adds to `python -m hcflow train`: data sets by name, the tables' own scores, a log in MLflow.

The trainer finds this module as the plug-in `bench` of the entry point group hcflow.training.
"""

from __future__ import annotations

from pathlib import Path

from bench.data import how_to_get, image_path, presence
from bench.errors import BenchError
from bench.manifest import load_manifest, manifest_names
from bench.metrics import METRICS, Measure
from bench.protocol import views
from bench.training_log import RESULTS, TrainingLog
from hcflow.images.io import Pixels
from hcflow.train.observers import Log


def images(name: str) -> list[Path] | None:
    """The images of a data set with a manifest, or None for other names.

    Raises:
        BenchError: it is not whole; the message says how to get it.
    """
    if name not in manifest_names():
        return None
    manifest = load_manifest(name)
    found = presence(manifest)
    if found.missing:
        count = f"{len(found.present)} of {len(manifest.images)} images"
        raise BenchError(f"expected the data set {name}, got {count}; {how_to_get(manifest)}")
    return [image_path(manifest, entry) for entry in found.present]


def score(sr: Pixels, hr: Pixels, scale: int) -> dict[str, float]:
    """PSNR and SSIM of an 8-bit image, on Y and on RGB, with `scale` pixels cropped, as in the tables."""
    return {
        f"{metric}_{space}": _value(f"{metric}@{space},crop{scale},u8", sr, hr)
        for metric in ("psnr", "ssim")
        for space in ("y", "rgb")
    }


def lr_psnr(lr: Pixels, expected: Pixels) -> float:
    """PSNR of an 8-bit LR image on RGB, without a crop."""
    return _value("psnr@rgb,crop0,u8", lr, expected)


def open_log(folder: Path) -> Log:
    """A run in MLflow's experiment "training", in the store that holds the tables' runs."""
    return TrainingLog(RESULTS, folder)


def _value(measure: str, sr: Pixels, hr: Pixels) -> float:
    parsed = Measure.parse(measure)
    function = METRICS[parsed.metric].function
    assert function is not None  # PSNR and SSIM are not still to come
    return function(*views(sr / 255.0, hr, parsed.protocol))
