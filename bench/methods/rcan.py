"""RCAN (Zhang et al., ECCV 2018), through spandrel. Reads RCAN_BIX4.pt (yulunzhang/RCAN, models_ECCV2018RCAN.zip)."""

from __future__ import annotations

from functools import partial

from bench.methods.method import MethodEntry
from bench.methods.networks.inference import TILING
from bench.methods.spandrel import build

METHOD = MethodEntry(
    name="rcan",
    title="RCAN",
    kind="SR",
    scales=(2, 3, 4, 8),
    stochastic=False,
    paper="ECCV 2018",
    build=partial(build, architecture="RCAN"),
    module=__name__,
    packages=("spandrel",),
    tiling=TILING,
)
