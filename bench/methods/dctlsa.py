"""DCTLSA (Zeng et al., IEEE TIM 2023), through spandrel. Reads X4.pt (zengkun301/DCTLSA, folder pretrained)."""

from __future__ import annotations

from functools import partial

from bench.methods.method import MethodEntry
from bench.methods.networks.inference import TILING
from bench.methods.spandrel import build

METHOD = MethodEntry(
    name="dctlsa",
    title="DCTLSA",
    kind="SR",
    scales=(4,),
    stochastic=False,
    paper="IEEE TIM 2023",
    build=partial(build, architecture="DCTLSA"),
    module=__name__,
    packages=("spandrel",),
    tiling=TILING,
)
