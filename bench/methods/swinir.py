"""SwinIR (Liang et al., ICCVW 2021), through spandrel.

Reads 001_classicalSR_DF2K_s64w8_SwinIR-M_x4.pth (JingyunLiang/SwinIR, release v0.0).
"""

from __future__ import annotations

from functools import partial

from bench.methods.method import MethodEntry
from bench.methods.networks.inference import TILING
from bench.methods.spandrel import build

METHOD = MethodEntry(
    name="swinir",
    title="SwinIR",
    kind="SR",
    scales=(2, 3, 4, 8),
    stochastic=False,
    paper="ICCVW 2021",
    build=partial(build, architecture="SwinIR"),
    module=__name__,
    packages=("spandrel",),
    tiling=TILING,
)
