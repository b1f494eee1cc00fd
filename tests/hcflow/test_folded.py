"""The folded decoder: the same function in float32, a stated distance in bfloat16."""

import pytest
import torch
from golden_files import read, smooth_image, trained_scale, weights
from tiny import SIZES, images, model, randomise
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from hcflow.checkpoint import from_official
from hcflow.errors import ConfigError
from hcflow.flow import invconv
from hcflow.folded import dense
from hcflow.folded.decoder import fold
from hcflow.folded.dense import FoldedDense, runs_blocked
from hcflow.model import HCFlow
from hcflow.nets.subnets import DenseBlock


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("samples", [None, 3])
@torch.no_grad()
def test_same_output_in_float32(name, samples):
    net = model(name, torch.float32)
    _, lr = images(net.config, dtype=torch.float32)
    expected = net.decode(lr, 0.9, generator=seeded(), samples=samples)
    got = fold(net).decode(lr, 0.9, generator=seeded(), samples=samples)
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ["sr_x4_full", "rescale_x4_full", pytest.param("sr_x8_full", marks=pytest.mark.slow)])
@torch.no_grad()
def test_golden_parity(name):
    """The issue asks for 1e-4 of the released implementation; the goldens' own tolerance is 1e-5 and holds."""
    golden, arrays = read(name)
    decoder = fold(from_official(weights(golden)).eval())
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items() if value.ndim}
    latents = [tensors[f"eps_level{level}"] for level in range(1, decoder.config.L + 1)]
    for key in (key for key in tensors if key.startswith("sr_tau")):
        hr = decoder.decode(tensors["lr"], float(key.removeprefix("sr_tau")), latents=latents)
        assert (hr - tensors[key]).abs().max() <= 1e-5 * tensors[key].abs().max()


@pytest.mark.parametrize(("inputs", "growth", "outputs"), [(8, 4, 8), (3, 4, 5), (9, 4, 3), (4, 4, 4)])
@torch.no_grad()
def test_dense_blocks_without_concatenation(inputs, growth, outputs):
    block = randomise(DenseBlock(inputs, outputs, growth))
    x = torch.randn(1, inputs, 7, 5, generator=seeded())
    torch.testing.assert_close(FoldedDense(block, torch.float32, 0.2)(x), 0.2 * block(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_bf16_changes_decoded_images_little():
    """Far above the 25 to 35 dB at which methods are compared."""
    net = trained_scale(from_official(weights(read("rescale_x4_full")[0])))
    lr = net.downscale(smooth_image(128)).clamp(0, 1)
    one, other = (each.decode(lr, 1.0, generator=seeded()).clamp(0, 1) for each in (net, fold(net, "bf16")))
    decibels = -10 * float(torch.log10((one - other).square().mean()))
    print(f"bf16 against float32: {decibels:.1f} dB")
    assert decibels > 45


def test_wrong_precisions():
    net = model("sr_x4", torch.float32)
    with pytest.raises(ConfigError, match="unknown precision 'fp16'; choose from fp32, bf16"):
        fold(net, "fp16")
    with pytest.raises(ConfigError, match=r"expected a model in float32, got torch.float64"):
        fold(net.double())


@pytest.mark.parametrize("name", ["sr_x4", "rescale_x4"])
@torch.no_grad()
def test_decoding_without_the_fast_kernels(name, monkeypatch):
    """As on a GPU, or on a CPU that has no bfloat16: the same weights, in the order of the plain convolutions."""
    net = model(name, torch.float32)
    _, lr = images(net.config, dtype=torch.float32)
    expected = net.decode(lr, 0.9, generator=seeded())
    decoder = fold(net)
    monkeypatch.setattr(dense, "runs_blocked", lambda device, dtype: False)
    moved, plain = decoder.to("cpu"), fold(net)
    for each in (moved, plain):
        blocks = [part for part in each.modules() if isinstance(part, FoldedDense)]
        assert blocks
        assert not any(block.blocked for block in blocks)
        assert (each.decode(lr, 0.9, generator=seeded()) - expected).abs().max() < 1e-5 * expected.abs().max()
    monkeypatch.undo()
    assert (moved.to("cpu").decode(lr, 0.9, generator=seeded()) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_fast_kernels_are_used_where_pytorch_has_them(monkeypatch):
    cpu = torch.device("cpu")
    assert runs_blocked(cpu, torch.float32) == torch.backends.mkldnn.is_available()
    assert runs_blocked(cpu, torch.bfloat16) == torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert not runs_blocked(torch.device("cuda"), torch.float32)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not runs_blocked(cpu, torch.float32)


class NoFloat64(TorchDispatchMode):
    """As on Apple's GPUs."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for x in torch.utils._pytree.tree_leaves(out):
            assert not isinstance(x, torch.Tensor) or x.device.type == "cpu" or x.dtype != torch.float64, func
        return out


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@torch.no_grad()
def test_a_decoder_on_a_gpu_without_having_one(precision):
    """Every operation is there and every operand is on the device; numbers take a real one."""
    with FakeTensorMode(), torch.device("cuda"):
        net = HCFlow(SIZES["rescale_x4"]).eval()
        decoder = fold(net, precision)
        lr = torch.empty(1, 3, 4, 4)
        with NoFloat64():
            hr = decoder.decode(lr, 0.9, samples=2, generator=torch.Generator("cpu"))
    assert hr.shape == (1, 2, 3, 16, 16)
    assert hr.device.type == "cuda"


@torch.no_grad()
def test_the_flow_itself_on_a_gpu_without_float64(monkeypatch):
    monkeypatch.setattr(invconv, "WITHOUT_FLOAT64", ("cuda",))
    with FakeTensorMode(), torch.device("cuda"):
        net = HCFlow(SIZES["sr_x4"]).eval()
        with NoFloat64():
            encoded = net.encode(torch.empty(1, 3, 8, 8))
            hr = net.decode(encoded.lr, latents=encoded.latents)
    assert {encoded.log_det.device.type, hr.device.type} == {"cuda"}
