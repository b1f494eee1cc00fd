"""Any architecture that spandrel recognises (https://github.com/chaiNNer-org/spandrel) from one file of weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale, placed
from bench.methods.networks.feedforward import OnRGB
from bench.methods.networks.inference import TILING, Runner
from bench.methods.networks.state import one_file, read_state

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor


def build(
    scale: int,
    weights: Sequence[Path],
    device: torch.device,
    precision: str = "fp32",
    architecture: str | None = None,
) -> OnRGB:
    """The method; the architecture is inferred from the keys.

    Args:
        scale: that the network must have.
        weights: one file, .pth, .pt or .safetensors, read without running code.
        device: where it runs.
        precision: "fp32" or "bf16".
        architecture: spandrel's id of the one that it must be, such as "ESRGAN"; any where None.

    Raises:
        BenchError: not one file, no architecture that spandrel knows, another than asked for, another scale, not RGB,
            or values that are not finite.
    """
    file = one_file("spandrel", weights)
    descriptor = describe(file)
    got = descriptor.architecture.id
    if architecture is not None and got != architecture:
        raise BenchError(f"{file}: expected a network of the architecture {architecture}, got {got}")
    check_scale(file, scale, descriptor.scale)
    channels = (descriptor.input_channels, descriptor.output_channels)
    if channels != (3, 3):
        raise BenchError(f"{file}: expected a network from RGB to RGB, got {channels[0]} to {channels[1]} channels")
    if precision == "bf16" and not descriptor.supports_bfloat16:
        raise BenchError(f"{file}: expected precision fp32, got bf16, which spandrel's {got} does not support")
    placed(descriptor.model, device)
    size = descriptor.size_requirements
    least, multiple = max(1, size.minimum), size.multiple_of
    run = Runner(descriptor, scale, device, precision, least=least, multiple=multiple)
    parameters = sum(parameter.numel() for parameter in descriptor.model.parameters())
    return OnRGB(run, parameters)


def describe(file: Path) -> ImageModelDescriptor:
    """What spandrel makes of a file.

    Raises:
        BenchError: no state dict, or of no architecture that maps an image to an image.
    """
    # seconds to import, and nobody who only lists the methods should wait for them
    from spandrel import MAIN_REGISTRY, ImageModelDescriptor, UnsupportedModelError, canonicalize_state_dict

    state = canonicalize_state_dict(read_state(file))
    try:
        descriptor = MAIN_REGISTRY.load(state)
    except UnsupportedModelError:
        raise BenchError(
            f"{file}: expected a network that spandrel knows, got keys such as {next(iter(state))!r}; "
            "use its own method, or module:object"
        ) from None
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise BenchError(f"{file}: expected weights that fit a known network, got others ({reason})") from None
    if not isinstance(descriptor, ImageModelDescriptor):
        raise BenchError(f"{file}: expected a network for whole images, got one for masked images")
    return descriptor


METHOD = MethodEntry(
    name="spandrel",
    title="spandrel",
    kind="SR",
    scales=(),
    stochastic=False,
    paper="40 architectures",
    build=build,
    module=__name__,
    packages=("spandrel",),
    tiling=TILING,
)
