"""On which device tensors live, without a GPU: torch's fake tensors have a device and a shape, but no numbers.

An operation on tensors of two devices is an error there as it is on a GPU.
"""

from dataclasses import replace

import pytest
import torch
from tiny import SIZES
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from hcflow.checks import unchecked
from hcflow.flow.actnorm import ActNorm
from hcflow.model import HCFlow
from hcflow.train.data import Batch
from hcflow.train.processes import Processes
from hcflow.train.recipes import RECIPES
from hcflow.train.stage import ComputeOptions, StageTrainer

CUDA = torch.device("cuda")


class FakeNoise:
    """Generators exist on devices that exist."""

    def __init__(self, seeds, device):
        self.count, self.device = len(seeds), device

    def uniform(self, shape):
        return torch.rand(self.count, *shape, device=self.device)

    def normal(self, shape):
        return torch.randn(self.count, *shape, device=self.device)


def network(name):
    """A tiny one on the device, its ActNorms set up: whether they are is read from a tensor, which has no value."""
    with torch.device(CUDA):
        model = HCFlow(SIZES[name.rstrip("+")])
    for module in model.modules():
        if isinstance(module, ActNorm):
            module._known = True
    return model


@pytest.mark.parametrize("name", SIZES)
def test_encode_and_decode(name):
    with FakeTensorMode(), unchecked(), torch.no_grad():
        model = network(name).eval()
        scale = model.config.scale
        hr, lr = (torch.rand(2, 3, side, side, device=CUDA) for side in (8 * scale, 8))
        encoded = model.encode(hr, lr)
        outputs = [encoded.log_det, *encoded.latents]
        if encoded.lr is not None:
            outputs += [model.log_prob(encoded, lr)] if model.config.q else [encoded.lr]
        latents = [torch.randn(2, *shape, device=CUDA) for shape in model.latent_shapes(8, 8)]
        outputs.append(model.decode(lr, 0.9, latents=latents))
        assert outputs[-1].shape == hr.shape
        assert {tensor.device.type for tensor in outputs} == {"cuda"}


@pytest.mark.parametrize("name", ["sr_x4+", "sr_x4++", "rescale_x4"])
def test_a_training_step(name, monkeypatch):
    """All but the backward pass, which asks the driver: its gradients are made up, and the optimiser takes them."""
    stage = replace(RECIPES[name].stages[-1], batch=2, patch=32, discriminator_alone=0)
    batch = Batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, 3, 8, 8, dtype=torch.uint8), (0, 1))
    monkeypatch.setattr("hcflow.train.stage.Noise", FakeNoise)
    monkeypatch.setattr(nn.Module, "to", lambda self, *_, **__: self)  # exchanges data, which fake tensors lack

    def backward(loss):
        assert loss.device.type == "cuda"
        for parameter in (*model.parameters(), *(trainer.discriminator.parameters() if trainer.discriminator else ())):
            parameter.grad = torch.zeros_like(parameter)

    monkeypatch.setattr(torch.Tensor, "backward", backward)
    with FakeTensorMode(allow_non_fake_inputs=True):  # of the batch, which comes from the CPU
        with torch.device(CUDA):
            model = network(name).train()
            features = nn.Conv2d(3, 4, 3) if stage.losses.perceptual else None
            trainer = StageTrainer(model, stage, ComputeOptions(), Processes(0, 1, CUDA), features)
        for iteration in range(2):
            values, skipped = trainer.iterate(batch, iteration)
            assert {tensor.device.type for tensor in [*values.values(), *skipped]} == {"cuda"}
        assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}
