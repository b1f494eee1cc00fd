"""RRDB, the generator of ESRGAN trained for PSNR (Wang et al., ECCVW 2018), through spandrel.

Reads RRDB_PSNR_x4.pth (xinntao/ESRGAN) and SRFlow's RRDB_CelebA_8X.pth, in any of the layouts that spandrel knows.
"""

from __future__ import annotations

from functools import partial

from bench.methods.method import MethodEntry
from bench.methods.networks.inference import TILING
from bench.methods.spandrel import build

METHOD = MethodEntry(
    name="rrdb",
    title="RRDB",
    kind="SR",
    scales=(4, 8),
    stochastic=False,
    paper="ECCVW 2018",
    build=partial(build, architecture="ESRGAN"),
    module=__name__,
    packages=("spandrel",),
    tiling=TILING,
)
