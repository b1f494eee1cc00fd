"""The golden files: tensors of the released networks, and the rule that regenerates their weights."""

import json
from pathlib import Path

import numpy as np
import torch

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
