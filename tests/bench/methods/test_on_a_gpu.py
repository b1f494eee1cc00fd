"""Every other system with its tensors on a GPU, without one: torch's fake tensors have a device and a shape only.

An operation on tensors of two devices is an error there as it is on a GPU. HCFlow has the like in tests/hcflow.
"""

import numpy as np
import pytest
import torch
from srflow_tiny import TINY
from torch._subclasses.fake_tensor import FakeTensorMode

from bench.methods import car, imdn, irn, lapsrn, pan, ranksrgan, rdn, rfanet, rlfn, srcnn, srflow, tad_tau, vapsr, vdsr
from bench.methods.networks import drawing
from bench.methods.networks.building import on_luma, on_rgb
from bench.methods.networks.car import KernelNetwork
from bench.methods.networks.edsr import EDSR
from bench.methods.networks.irn import IRN
from bench.methods.networks.tad_tau import TADTAU
from hcflow.checks import unchecked
from hcflow.srflow.model import SRFlow

CUDA = torch.device("cuda")
RGB = {
    "edsr": lambda: EDSR(4, 4, 2, 0.1),
    "imdn": lambda: imdn.IMDN(64, 2, 4),
    "pan": lambda: pan.PAN(40, 24, 2),
    "ranksrgan": lambda: ranksrgan.SRResNet(4, 2, True),
    "rdn": lambda: rdn.RDN(4, 2, 2, 4, 4),
    "rfanet": lambda: rfanet.RFANet(64, 2, 4),
    "rlfn": lambda: rlfn.RLFN(52, 16, 2, 4),
    "vapsr": lambda: vapsr.VapSR(48, 64, 2, 1),
}
LUMA = {"lapsrn": lambda: lapsrn.LapSRN(2), "srcnn": lambda: srcnn.SRCNN("zeros"), "vdsr": lambda: vdsr.VDSR()}
FLOWS = {
    "car": lambda: car.AdaptiveResampling(KernelNetwork(4), EDSR(4, 4, 2, 1.0), CUDA),
    "irn": lambda: irn.InvertibleRescaling(IRN((1, 1), 4), CUDA),
    "srflow": lambda: srflow.SuperResolutionFlow(SRFlow(TINY).eval(), CUDA),
    "tad_tau": lambda: tad_tau.TaskAwareDownscaling(TADTAU(), 4, CUDA),
}


@pytest.fixture(autouse=True)
def weights_stay(monkeypatch):
    """Fake weights cannot be moved, so they begin on the device, see `made`."""
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_, **__: self)


def made(build):
    """A network or a method whose weights are on the device."""
    with torch.device(CUDA):
        return build()


def restored(method, channels=3):
    return method.restore(torch.rand(channels, 16, 20), 0.9, [1, 2])


@pytest.mark.parametrize("name", RGB)
def test_rgb_networks(name):
    with FakeTensorMode(allow_non_fake_inputs=True):
        sr = restored(on_rgb(made(RGB[name]), 4, CUDA, "fp32", least=16))
    assert sr.shape == (2, 3, 64, 80)
    assert sr.device.type == "cuda"


@pytest.mark.parametrize("name", LUMA)
def test_luma_networks(name):
    """What lies around them, colours and bicubic enlargement, stays in float64 on the CPU."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        method = on_luma(made(LUMA[name]), 4, CUDA, "fp32", enlarged=name != "lapsrn")
        planes = [restored(method, channels) for channels in (1, 3)]
    assert [sr.shape for sr in planes] == [(2, 1, 64, 80), (2, 3, 64, 80)]
    assert {(sr.device.type, sr.dtype) for sr in planes} == {("cpu", torch.float64)}


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("tiled", [False, True])
def test_flows_and_rescaling_networks(name, tiled, monkeypatch):
    if tiled:
        monkeypatch.setattr(drawing.in_tiles, "__defaults__", (64,))
    # the last step of `downscale`, to numpy, needs numbers
    monkeypatch.setattr(drawing, "to_pixels", lambda lr: np.zeros((*lr.shape[1:], 3), np.uint8))
    hr = np.zeros((64, 80, 3), np.uint8)
    with FakeTensorMode(allow_non_fake_inputs=True), unchecked():
        method = made(FLOWS[name])
        sr = restored(method)
        own = [
            getattr(method, name)(hr, *seed)
            for name, seed in (("downscale", ()), ("encode_lr", (1,)))
            if hasattr(method, name)
        ]
    assert sr.shape == (2, 3, 64, 80)
    assert [lr.shape[-2:] for lr in own] == [(16, 20)] * len(own)
