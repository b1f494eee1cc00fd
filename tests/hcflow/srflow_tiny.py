"""A small SRFlow, and weights that leave nothing at its initial zero."""

from dataclasses import replace

import torch
from tiny import randomise

from hcflow.srflow.config import SRFlowConfig
from hcflow.srflow.model import SRFlow

TINY = replace(SRFlowConfig(), blocks=5, features=4, growth=4, K=2, plain_steps=1, hidden=4, head=3)


def srflow(scale=4, dtype=torch.float64, seed=0):
    """A tiny network in evaluation mode."""
    return randomise(SRFlow(replace(TINY, scale=scale)).to(dtype), seed).eval()


def pair(scale=4, n=2, height=4, width=6, dtype=torch.float64):
    """HR and LR images; the size is that of LR."""
    generator = torch.Generator().manual_seed(1)
    hr = torch.rand(n, 3, scale * height, scale * width, generator=generator, dtype=dtype)
    return hr, torch.rand(n, 3, height, width, generator=generator, dtype=dtype)
