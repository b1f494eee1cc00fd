"""Small networks of every kind, and weights that leave nothing at its initial zero."""

from dataclasses import replace

import torch

from hcflow.config import CASES, PRESETS, ConditionerConfig
from hcflow.model import HCFlow

SIZES = {
    name: replace(
        config,
        K=2,
        P=2,
        width=4,
        conditional_width=4,
        conditioner=ConditionerConfig(4, 4, (1, 1), config.conditioner.output),
    )
    for name, config in (PRESETS | CASES).items()
}
"""Tiny configurations by the name of the preset or case they shrink."""


def randomise(module, seed=0, scale=0.1):
    """Give every parameter a random value: zero-initialised layers hide mistakes. 1x1 weights stay orthogonal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.ndim == 2:
                noise = torch.linalg.qr(noise)[0]
            else:
                noise = noise * (scale if parameter.ndim == 4 and "bias" not in name and "logs" not in name else 0.1)
            parameter.copy_(noise)
        for name, buffer in module.named_buffers():
            if name.endswith("initialised"):
                buffer.fill_(True)
    return module


def model(name, dtype=torch.float64, seed=0):
    """A tiny network of that preset or case, in evaluation mode."""
    return randomise(HCFlow(SIZES[name]).to(dtype), seed).eval()


def images(config, n=2, height=8, width=8, dtype=torch.float64, seed=1):
    """HR and LR images (N, 3, H, W) in [0, 1], the size given in units of the scale for LR."""
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(n, 3, height, width, generator=generator, dtype=dtype)
    s = config.scale
    return hr, torch.rand(n, 3, height // s, width // s, generator=generator, dtype=dtype)
