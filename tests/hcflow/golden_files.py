"""The golden files: tensors of the released networks, and the rule that regenerates their weights."""

import json
from pathlib import Path

import numpy as np
import torch

from hcflow.checkpoint import from_official
from hcflow.flow.actnorm import ActNorm
from hcflow.nets.rrdb import Conditioner
from hcflow.nets.subnets import DenseBlock, ZeroConv
from hcflow.official import haar_weights, infer_config

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def read(name):
    """Return (description, arrays) of one golden file."""
    description = json.loads((GOLDEN / f"{name}.json").read_text())
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return description, {key: arrays[key] for key in arrays}


def weights(description):
    """Official state dict from the seed and the shapes in key order."""
    rng = np.random.Generator(np.random.PCG64(description["seed"]))
    shapes = {key: tuple(shape) for key, shape in description["shapes"].items()}
    haar = haar_weights(infer_config(shapes)) if any("haar" in key for key in shapes) else {}
    state = {}
    for key, shape in shapes.items():
        if key in haar:
            state[key] = haar[key]
            continue
        x = rng.standard_normal(shape)
        if key.endswith("permute.weight"):
            x = np.linalg.qr(x)[0]
        elif key.endswith((".logs", ".bias")):
            x = 0.05 * x
        else:
            x = x * 0.5 / np.sqrt(np.prod(shape[1:]))
        state[key] = torch.from_numpy(x.astype(np.float32))
    return state


def ruled_weights(description, kept):
    """State dict of a network of baselines/ by its own rule: `gain`, `kept` keys as given, float32.

    The first values that the description stores prove that the weights are the right ones.
    """
    rng = np.random.Generator(np.random.PCG64(description["seed"]))
    state = {}
    override = description.get("rule_override", {"keys": ()})
    for key, shape in description["shapes"].items():
        if key in description["kept"]:
            state[key] = kept[key]
            continue
        x = rng.standard_normal(shape)
        if key.endswith((".bias", ".logs")) or len(shape) < 2 or ".actnorm." in key:
            x = 0.05 * x
        elif len(shape) == 2 and shape[0] == shape[1]:
            x = np.linalg.qr(x)[0]
        else:
            x = x * description["gain"] / np.sqrt(np.prod(shape[1:]))
        if key in override["keys"]:
            x = x + override["add"]
        state[key] = torch.from_numpy(x.astype(np.float32))
    for key, first in description["weight_probe_first4"].items():
        assert state[key].flatten()[:4].tolist() == first, key
    return state


def smooth_image(side=256):
    """A photograph-like image (1, 3, side, side): shading, edges and texture, 8 bit."""
    y, x = np.mgrid[0:side, 0:side] / side
    texture = 0.08 * np.sin(40 * x * (1 + y)) + 0.05 * np.random.default_rng(0).standard_normal((side, side))
    disc = 0.2 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1)
    planes = [0.5 + 0.3 * np.sin(3 * x + k) * np.cos(2 * y) + disc + texture for k in range(3)]
    return torch.from_numpy((np.clip(planes, 0, 1) * 255).round() / 255).float()[None]


@torch.no_grad()
def trained_scale(model, hr=None):
    """Give golden weights the scale of trained ones, in place.

    Convolutions of the conditioners are shrunk to the scale at which training starts them (the golden rule's are five
    times larger and make the conditioner explode), ActNorms are initialised from an image as training does, and the
    zero-initialised convolutions, which move features of unit spread, get outputs of spread 0.25.
    """
    model.train()

    def to_spread(conv, _, output):
        factor = 0.25 / output.std()
        conv.logs.add_(factor.log() / 3)
        return output * factor

    hooks = []
    for module in model.modules():
        if isinstance(module, ActNorm):
            module.initialised.fill_(False)
        if isinstance(module, Conditioner):
            for block in module.modules():
                if isinstance(block, DenseBlock):
                    for conv in block.convs:
                        conv.weight.mul_(0.2)
        if isinstance(module, ZeroConv):
            hooks.append(module.register_forward_hook(to_spread))
    hr = smooth_image(128) if hr is None else hr
    model.encode(model.dequantise(hr, generator=torch.Generator().manual_seed(0)))
    for hook in hooks:
        hook.remove()
    return model.eval()


def untrained(name):
    """The golden weights with every ActNorm at zero and not initialised, in training mode."""
    description, arrays = read(name)
    model = from_official(weights(description)).train()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, ActNorm):
                module.bias.zero_()
                module.logs.zero_()
                module.initialised.fill_(False)
    return model, {key: torch.from_numpy(value) for key, value in arrays.items()}
