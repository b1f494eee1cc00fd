"""Any network exported to ONNX: (1, C, h, w) float in [0, 1] to (1, C, scale*h, scale*w), C being 3, or 1 for luma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.methods.method import MethodEntry
from bench.methods.networks.building import check_scale
from bench.methods.networks.feedforward import OnLuma, OnRGB
from bench.methods.networks.inference import TILING, Runner, reflected
from bench.methods.networks.state import one_file

_PROBE = 64
"""Side of the image that a network of any size is tried with."""
_TOLERANCE = 0.25
"""How far the mean of what a network makes of a grey ramp may be from the ramp's, in [0, 1]."""
_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}


@dataclass(frozen=True)
class Exported:
    """A session of onnxruntime as a function of tensors.

    Attributes:
        session: of onnxruntime.
        source: the file, for errors.
        channels: of the image, 3 or 1.
        size: (height, width) that it takes, None for a side that is free.
        dtype: of its input.
    """

    session: Any
    source: Path
    channels: int
    size: tuple[int | None, int | None]
    dtype: torch.dtype

    def __call__(self, x: Tensor) -> Tensor:
        """(1, C, h, w), at most as large as `size`, to (1, C, scale*h, scale*w); reflected where it is smaller."""
        height, width = x.shape[-2:]
        whole = reflected(x, self.size[0] or height, self.size[1] or width)
        feed = {self.session.get_inputs()[0].name: whole.to("cpu", self.dtype).contiguous().numpy()}
        try:
            result = torch.from_numpy(self.session.run(None, feed)[0]).float()
        except Exception as error:  # onnxruntime's errors have no common base class
            raise BenchError(
                f"{self.source}: onnxruntime could not run it on {tuple(whole.shape)}: {_line(error)}"
            ) from None
        if result.ndim != 4 or result.shape[:2] != (1, self.channels) or result.shape[2] % whole.shape[2]:
            raise BenchError(
                f"{self.source}: expected an output (1, {self.channels}, scale*h, scale*w) of {tuple(whole.shape)}, "
                f"got {tuple(result.shape)}"
            )
        scale = result.shape[2] // whole.shape[2]
        return result[:, :, : scale * height, : scale * width]


def build(
    scale: int, weights: Sequence[Path], device: torch.device, precision: str = "fp32", multiple: int = 1
) -> OnRGB | OnLuma:
    """The method.

    Args:
        scale: that the network must have.
        weights: one ONNX file.
        device: "cpu" or "cuda"; the latter needs onnxruntime-gpu.
        precision: "fp32" alone: what a network computes in is in its file.
        multiple: what the sides must be divisible by, where a network of any size requires it.

    Raises:
        BenchError: onnxruntime is missing or lacks the device, not one file, not an image network as described, one for
            another scale, or one that does not keep the brightness of an image in [0, 1].
    """
    if precision != "fp32":
        raise BenchError(f"onnx: expected precision fp32 (a network's own is in its file), got {precision!r}")
    file = one_file("onnx", weights)
    network = _open(file, device)
    tile = min((side for side in network.size if side is not None), default=None)
    _check(network, scale, tile or multiple * -(-_PROBE // multiple))
    run = Runner(network, scale, device, multiple=1 if tile else multiple, tile=tile)
    if network.channels == 1:
        return OnLuma(run, _parameters(file), scale, enlarged=False)
    return OnRGB(run, _parameters(file))


def _open(file: Path, device: torch.device) -> Exported:
    """A session with the provider of the device, its input checked."""
    try:
        import onnx  # noqa: F401 - needed by _parameters
        import onnxruntime
    except ImportError as error:
        raise BenchError(
            f"onnx: expected the package {error.name}, got none; pip install 'hcflow-bench[onnx]'"
        ) from None
    provider = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(device.type)
    if provider not in onnxruntime.get_available_providers():
        have = ", ".join(onnxruntime.get_available_providers())
        raise BenchError(f"onnx: expected an onnxruntime for {device.type}, got one with {have}; try --device cpu")
    if not file.is_file():
        raise BenchError(f"expected an ONNX file, got {file}, which does not exist or is not a file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=[provider])
    except Exception as error:  # onnxruntime's errors have no common base class
        raise BenchError(f"{file}: expected an ONNX network, got a damaged or foreign file ({_line(error)})") from None
    inputs = session.get_inputs()
    shape = [side if isinstance(side, int) else None for side in inputs[0].shape] if inputs else []
    if len(inputs) != 1 or len(shape) != 4 or shape[0] not in (1, None) or shape[1] not in (1, 3):
        got = "; ".join(f"{one.name} {one.shape}" for one in inputs)
        raise BenchError(f"{file}: expected one input (1, 3 or 1, height, width), got {got}")
    if inputs[0].type not in _TYPES:
        raise BenchError(f"{file}: expected a float input, got {inputs[0].type}")
    return Exported(session, file, shape[1], (shape[2], shape[3]), _TYPES[inputs[0].type])


def _check(network: Exported, scale: int, side: int) -> None:
    """Try it with a grey ramp: the scale, and the range of values, which no ONNX file states."""
    height, width = (given or side for given in network.size)
    ramp = torch.linspace(0.2, 0.8, width).expand(1, network.channels, height, width)
    result = network(ramp)
    check_scale(network.source, scale, result.shape[2] // height)
    if result.shape[3] != scale * width or not bool(torch.isfinite(result).all()):
        raise BenchError(f"{network.source}: expected a finite image of {scale}x, got {tuple(result.shape)}")
    if abs(float(result.mean()) - 0.5) > _TOLERANCE:
        raise BenchError(
            f"{network.source}: expected values in [0, 1], got mean {float(result.mean()):.3g} from an image of 0.5; "
            "export it with its scaling"
        )


def _parameters(file: Path) -> int:
    """How many numbers its initialisers hold."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return sum(prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in floats)


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().split("\n")[0]


METHOD = MethodEntry(
    name="onnx",
    title="ONNX",
    kind="SR",
    scales=(),
    stochastic=False,
    paper="any exported network",
    build=build,
    module=__name__,
    packages=("onnxruntime",),
    tiling=TILING,
)
