"""The image pairs that stored values belong to: photographs of scikit-image, and real test images where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from bench.metrics.metric import Evidence
from hcflow.images.io import Pixels, read_image, to_rgb
from hcflow.images.matlab_resize import imresize, mod_crop

GOLDEN = Path(__file__).parents[2] / "golden/metrics"
NOISE = "bicubic+noise(PCG64(7) normal sd 6)"


@dataclass(frozen=True, eq=False)
class Pair:
    """An SR and an HR image at x4, and what the reference implementations say of them."""

    name: str
    sr: Pixels
    evidence: Evidence
    values: Mapping[str, float]
    image: Mapping[str, Any] = field(default_factory=dict)  # of the HR image: no-reference scores, diversity, ..
    digests: tuple[tuple[Pixels, str], ...] = ()

    def __str__(self) -> str:
        return self.name


def evidence_of(sr: Pixels, hr: Pixels, lr: Pixels | None = None) -> Evidence:
    """Evidence of 8-bit images at x4."""
    return Evidence((to_rgb(sr) / 255,), 4, hr, None if lr is None else to_rgb(lr) / 255)


def _crops() -> dict[str, Pixels]:
    return {
        "coffee": data.coffee()[0:400, 0:600],
        "astronaut": data.astronaut(),
        "chelsea": data.chelsea()[0:300, 0:448],
    }


@lru_cache(maxsize=1)
def photographs() -> tuple[Pair, ...]:
    """Three photographs that come with scikit-image: enlarged by MATLAB's bicubic, with and without noise."""
    stored = json.loads((GOLDEN / "scikit_image_pairs.json").read_text())
    pairs = []
    for name, crop in _crops().items():
        hr = np.ascontiguousarray(crop)
        values = stored[f"skimage/{name}"]
        lr = imresize(hr, 1 / 4)
        bicubic = imresize(lr, size=hr.shape[:2])
        rng = np.random.Generator(np.random.PCG64(7))
        noisy = np.clip(np.round(bicubic + rng.normal(0, 6, bicubic.shape)), 0, 255).astype(np.uint8)
        for kind, sr in {"bicubic": bicubic, NOISE: noisy}.items():
            digests = values["sha256_pixels"]
            made = ((hr, digests["hr"]), (lr, digests["lr"]), (sr, digests["bicubic" if sr is bicubic else "noise"]))
            pairs.append(Pair(f"{name}/{kind}", sr, evidence_of(sr, hr, lr), values[kind], values, made))
    return tuple(pairs)


@lru_cache(maxsize=1)
def real_pairs() -> tuple[Pair, ...]:
    """Images of Set5, Set14 and BSD100; RRDB_PSNR's output where its PNG lies next to the data."""
    if "HCFLOW_DATA" not in os.environ:
        pytest.skip("needs HCFLOW_DATA with Set5, Set14 and BSD100")
    root = Path(os.environ["HCFLOW_DATA"])
    pictures = root.parent / "golden/metrics/images"
    pairs = []
    for name, stored in json.loads((GOLDEN / "real_pairs.json").read_text())["pairs"].items():
        dataset, image = name.split("/")
        hr = mod_crop(read_image(root / dataset / "HR" / f"{image}.png"), 4)
        lr = imresize(hr, 1 / 4)
        made = {"bicubic": imresize(lr, size=hr.shape[:2])}
        if (picture := pictures / f"{dataset}_{image}_RRDB_PSNR.png").is_file():
            made["RRDB_PSNR"] = read_image(picture)
        for kind, sr in made.items():
            pairs.append(Pair(f"{name}/{kind}", sr, evidence_of(sr, hr, lr), stored["degraded"][kind], stored))
    return tuple(pairs)
