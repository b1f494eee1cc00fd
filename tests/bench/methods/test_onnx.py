"""Exported networks: what is checked before they run, tiles of fixed sizes, luma."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from bench.errors import BenchError
from bench.methods.onnx import build

CPU = torch.device("cpu")


def export(path, scale=2, channels=3, size=("h", "w"), gain=1.0, shape=None):
    """A 3x3 box filter and a pixel shuffle: (1, C, h, w) to (1, C, scale*h, scale*w)."""
    weight = np.zeros((channels * scale**2, channels, 3, 3), dtype=np.float32)
    for output in range(len(weight)):
        weight[output, output // scale**2] = gain / 9
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["features"], ["result"], blocksize=scale, mode="CRD"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape or [1, channels, *size])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1, channels, "H", "W"])
    graph = helper.make_graph(nodes, "box", [image], [result], [numpy_helper.from_array(weight, "weight")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path, torch.from_numpy(weight)


def box(x, weight, scale):
    return torch.nn.functional.pixel_shuffle(torch.nn.functional.conv2d(x[None], weight, padding=1), scale)[0]


@pytest.mark.parametrize("channels", [3, 1])
def test_a_network_of_free_size(tmp_path, channels):
    file, weight = export(tmp_path / "box.onnx", 3, channels)
    method = build(3, [file], CPU)
    assert method.parameters == weight.numel()
    lr = torch.rand(channels, 7, 10)
    draws = method.restore(lr, 0.5, [1, 2])
    assert draws.shape == (2, channels, 21, 30)
    torch.testing.assert_close(draws[1].float(), box(lr, weight, 3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(5, 40), (33, 16), (16, 16), (3, 3)])
def test_a_network_of_fixed_size_sees_tiles_that_are_filled_by_reflection(tmp_path, size):
    file, weight = export(tmp_path / "box.onnx", size=(16, 16))
    method = build(2, [file], CPU)
    assert "16x16 input pixels, else tiles with a margin of 4" in method.tiling
    lr = torch.rand(3, *size)
    got, expected = method.restore(lr, 0.0, [0])[0], box(lr, weight, 2)
    assert got.shape == (3, 2 * size[0], 2 * size[1])
    inside = (slice(None), slice(2, -2), slice(2, -2))  # at the border the network sees the reflection, not zeros
    torch.testing.assert_close(got[inside], expected[inside], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("made", "scale", "message"),
    [
        ({"scale": 3}, 2, "expected a network for x2, got one for x3"),
        ({"shape": [1, "h", "w", 3]}, 2, r"expected one input \(1, 3 or 1, height, width\), got image"),
        ({"gain": 255.0}, 2, "expected values in"),
    ],
)
def test_a_network_that_does_not_fit_is_one_line(tmp_path, made, scale, message):
    file, _ = export(tmp_path / "box.onnx", **made)
    with pytest.raises(BenchError, match=message) as caught:
        build(scale, [file], CPU)
    assert "\n" not in str(caught.value)


def test_other_files_devices_and_precisions_are_one_line(tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(BenchError, match=r"other.onnx: expected an ONNX network, got a damaged or foreign file"):
        build(2, [tmp_path / "other.onnx"], CPU)
    with pytest.raises(BenchError, match="expected an onnxruntime for meta, got one with"):
        build(2, [tmp_path / "other.onnx"], torch.device("meta"))
    with pytest.raises(BenchError, match="expected precision fp32"):
        build(2, [tmp_path / "other.onnx"], CPU, "bf16")
