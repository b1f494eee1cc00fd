"""ESRGAN (Wang et al., ECCVW 2018), through spandrel. Reads RRDB_ESRGAN_x4.pth (xinntao/ESRGAN)."""

from __future__ import annotations

from functools import partial

from bench.methods.method import MethodEntry
from bench.methods.networks.inference import TILING
from bench.methods.spandrel import build

METHOD = MethodEntry(
    name="esrgan",
    title="ESRGAN",
    kind="SR",
    scales=(4, 8),
    stochastic=False,
    paper="ECCVW 2018",
    build=partial(build, architecture="ESRGAN"),
    module=__name__,
    packages=("spandrel",),
    tiling=TILING,
)
