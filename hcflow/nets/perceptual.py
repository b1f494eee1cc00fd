"""The features of the perceptual loss of HCFlow++: VGG19 up to conv5_4, before its ReLU (ESRGAN, section 3.2)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from hcflow.checks import check_image
from hcflow.errors import CheckpointError, InputError
from hcflow.files import digest_of, read_pickle

__all__ = ["VGG19_FILE", "VGG19_URL", "VGG19Features", "load_vgg19", "vgg19_needed"]

VGG19_FILE = "vgg19-dcbb9e9d.pth"
VGG19_URL = f"https://download.pytorch.org/models/{VGG19_FILE}"

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in [0, 1]
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels and convolutions between two poolings
_STRIDE = 2 ** (len(_BLOCKS) - 1)


class VGG19Features(nn.Module):
    """conv5_4((x - mean) / std) of VGG19 without its last ReLU, frozen: gradients reach x, never the weights.

    The weights are drawn at random; `load_vgg19` gives the trained ones. The layers of `features` have the numbers
    that torchvision gives them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        layers: list[nn.Module] = []
        before = 3
        for channels, count in _BLOCKS:
            for _ in range(count):
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers[:-2])  # neither conv5_4's ReLU nor the last pooling
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Map RGB images (N, 3, H, W) in [0, 1] to features (N, 512, H/16, W/16), sizes rounded down.

        Raises:
            InputError: not float RGB images, a side below 16 pixels, or values that are not finite.
        """
        check_image(x, "images of the perceptual loss")
        if min(x.shape[-2:]) < _STRIDE:
            raise InputError(
                f"expected images of the perceptual loss with sides of {_STRIDE} pixels or more, "
                f"got {x.shape[-2]}x{x.shape[-1]}"
            )
        return self.features((x - self.mean) / self.std)


def load_vgg19(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> VGG19Features:
    """Read torchvision's VGG19 weights, without running code and without torchvision.

    Args:
        path: vgg19-dcbb9e9d.pth; only its features up to conv5_4 are used.
        device: where the network goes.

    Raises:
        CheckpointError: no such file, not the digest that its name claims, damaged, unsafe, or of another network.
    """
    file = Path(path)
    if not file.is_file():
        raise vgg19_needed(f"{file}, which does not exist or is not a file")
    _check_digest(file)
    network = VGG19Features()
    names = [name for name, _ in network.named_parameters()]
    state = {key: value for key, value in read_pickle(file).items() if key.startswith("features.")}
    for name, parameter in network.named_parameters():
        _check_tensor(file, name, state.get(name), parameter)
    extra = next((key for key in state if key not in names), None)
    if extra is not None:
        raise CheckpointError(f"{file}: got the unexpected key {extra}; {_wanted()}")
    network.load_state_dict(state, strict=False)  # the file has no mean and std
    return network.to(device)


def vgg19_needed(got: str) -> CheckpointError:
    """The error of training with the perceptual loss without VGG19's weights; `got`: what there is instead."""
    return CheckpointError(
        f"expected torchvision's {VGG19_FILE} for the perceptual loss, got {got}; get it with "
        f"`python -m bench weights fetch VGG19` or from {VGG19_URL}, and give it with --vgg19 FILE"
    )


def _check_digest(file: Path) -> None:
    """Names of torchvision's files end in the first digits of their SHA-256."""
    claim = re.search(r"-([0-9a-f]{8})\.pth$", file.name)
    if claim is None:
        return
    digest = digest_of(file)
    if not digest.startswith(claim[1]):
        raise CheckpointError(
            f"{file}: expected a SHA-256 that starts with {claim[1]} as the name says, got {digest[:8]}; "
            f"the file is damaged or another one, get it again from {VGG19_URL}"
        )


def _check_tensor(file: Path, name: str, got: Tensor | None, expected: Tensor) -> None:
    if got is None:
        raise CheckpointError(f"{file}: expected the key {name}, which is missing; {_wanted()}")
    if got.shape != expected.shape:
        raise CheckpointError(
            f"{file}: expected {name} of shape {tuple(expected.shape)}, got {tuple(got.shape)}; {_wanted()}"
        )
    if not bool(torch.isfinite(got).all()):
        raise CheckpointError(f"{file}: expected finite weights, got NaN or infinity in {name}; get it again")


def _wanted() -> str:
    return f"give torchvision's {VGG19_FILE} (VGG19 without batch norm, {VGG19_URL})"
