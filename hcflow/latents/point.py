"""A point of the latent space: from an image, to an image, to a file and back.

HCFlow and SRFlow alike: a point is an LR image and z_1 .. z_L, finest first. HCFlow makes its LR image in encoding;
SRFlow is given one. Images are encoded as they are, without dequantisation noise, so that decoding gives them back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import safetensors
import torch
import torch.nn.functional as F
from safetensors.torch import save as to_safetensors
from torch import Tensor

from hcflow import checkpoint
from hcflow.atomic import write_atomically
from hcflow.errors import CheckpointError, InputError
from hcflow.files import is_safetensors, read_pickle
from hcflow.images.matlab_resize import imresize
from hcflow.model import HCFlow
from hcflow.srflow import official
from hcflow.srflow.model import SRFlow

__all__ = ["Flow", "Point", "decode", "digest", "encode", "load", "load_flow", "save"]

Flow: TypeAlias = HCFlow | SRFlow
_METADATA = "hcflow_latents"


@dataclass(frozen=True)
class Point:
    """Where an image lies in the latent space of one network."""

    lr: Tensor
    """(1, 3, h, w), neither clamped nor quantised."""
    latents: tuple[Tensor, ...]
    """z_1 .. z_L, finest first, (1, C_l, H_l, W_l)."""
    size: tuple[int, int]
    """Height and width of the image; the latents are those of an image padded to what the network takes."""
    scale: int
    """Ratio of the padded image's side to the LR image's."""
    network: str
    """`digest` of the network."""
    temperature: tuple[float, ...]
    """What z_1 .. z_L have been multiplied with since they were encoded or drawn."""

    def to(self, device: str | torch.device) -> Point:
        """The same point on another device."""
        return replace(self, lr=self.lr.to(device), latents=tuple(z.to(device) for z in self.latents))


def load_flow(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Flow:
    """Read a checkpoint of HCFlow or SRFlow into a model in evaluation mode; raises CheckpointError."""
    file = Path(path)
    if not file.is_file() or is_safetensors(file):
        return checkpoint.load(file, device)
    state = read_pickle(file)
    build: Callable[..., Flow] = official.from_official if official.is_srflow(state) else checkpoint.from_official
    return build(state, str(file)).to(device).eval()


def digest(model: Flow) -> str:
    """SHA-256 of a network's weights by name, whatever file they came from."""
    sha = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        sha.update(f"{name} {tuple(value.shape)}".encode())
        sha.update(value.detach().cpu().to(torch.float32).contiguous().numpy().tobytes())
    return sha.hexdigest()


@torch.no_grad()
def encode(model: Flow, hr: Tensor, lr: Tensor | None = None) -> Point:
    """Map one image to its latents.

    Args:
        model: in evaluation mode.
        hr: (1, 3, H, W) in [0, 1], of any size: it is padded by repeating its last row and column.
        lr: SRFlow's LR image (1, 3, h, w) of the padded image; made by MATLAB's bicubic, in 8 bits, where not given.

    Raises:
        InputError: a network that is no bijection of images alone (Table 1), an LR image for HCFlow, wrong shapes.
    """
    if hr.ndim != 4 or len(hr) != 1:
        raise InputError(f"expected one image of shape (1, 3, H, W), got {tuple(hr.shape)}")
    height, width = hr.shape[-2:]
    multiple = model.config.multiple if isinstance(model, SRFlow) else model.config.scale
    padded = F.pad(hr, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    if isinstance(model, SRFlow):
        lr = _bicubic(padded, model.config.scale) if lr is None else lr
        encoded = model.encode(padded, lr)
    else:
        if lr is not None:
            raise InputError("expected no LR image for HCFlow, which makes its own; leave it out")
        if not model.config.lr_in_latent or model.config.deepest_condition == "given":
            raise InputError("expected a network that makes its LR image itself, got one that is given it (Table 1)")
        encoded = model.encode(padded)
        assert encoded.lr is not None
        lr = encoded.lr
    temperature = (1.0,) * len(encoded.latents)
    return Point(lr, encoded.latents, (height, width), model.config.scale, digest(model), temperature)


@torch.no_grad()
def decode(model: Flow, point: Point) -> Tensor:
    """The image (1, 3, H, W) of a point, not clamped.

    Raises:
        InputError: a point of another network.
    """
    network = digest(model)
    if point.network != network:
        raise InputError(
            f"expected latents of this network ({network[:12]}), got those of {point.network[:12]}; "
            "use the checkpoint that they were encoded with"
        )
    hr = model.decode(point.lr, 1.0, latents=point.latents)
    return hr[..., : point.size[0], : point.size[1]]


def save(point: Point, path: Path) -> None:
    """Write a safetensors file: lr, z1 .. zL, and in its metadata the network's digest, sizes and temperatures."""
    tensors = {"lr": point.lr} | {f"z{level}": z for level, z in enumerate(point.latents, 1)}
    notes = {
        "network": point.network,
        "size": point.size,
        "scale": point.scale,
        "temperature": point.temperature,
    }
    metadata = {_METADATA: json.dumps(notes), "format": "pt"}
    data = to_safetensors({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, metadata)
    write_atomically(path, data)


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Point:
    """Read what `save` wrote.

    Raises:
        CheckpointError: no such file, a damaged one, or one of another kind.
    """
    try:
        with safetensors.safe_open(os.fspath(path), framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {key: stream.get_tensor(key).to(device) for key in stream.keys()}  # noqa: SIM118 - not a dict
        notes = json.loads(metadata[_METADATA])
        lr, latents = tensors.pop("lr"), tuple(tensors[f"z{level}"] for level in range(1, len(tensors) + 1))
        height, width = (int(side) for side in notes["size"])
        temperature = tuple(float(tau) for tau in notes["temperature"])
        return Point(lr, latents, (height, width), int(notes["scale"]), str(notes["network"]), temperature)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected latents that `python -m hcflow latents encode` wrote, got another or a damaged file "
            f"({type(error).__name__})"
        ) from None


def _bicubic(hr: Tensor, scale: int) -> Tensor:
    pixels = (hr[0].clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    return (imresize(pixels, 1 / scale).to(hr.dtype) / 255)[None].to(hr.device)
