"""Hard inputs: right answers or one clear error."""

import copy

import numpy as np
import pytest
import torch
from golden_files import read, smooth_image, trained_scale, weights
from tiny import SIZES, images, model

from hcflow.checkpoint import from_official
from hcflow.errors import InputError, SingularWeightError
from hcflow.flow.invconv import InvertibleConv
from hcflow.folded.decoder import fold

NAMES = ["sr_x4", "sr_x8", "rescale_x4"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 1.0])
@torch.no_grad()
def test_black_and_white_images(name, value):
    net = model(name)
    hr = torch.full((1, 3, 16, 16), value, dtype=torch.float64)
    encoded = net.encode(hr)
    torch.testing.assert_close(net.decode(encoded.lr, 1.0, latents=encoded.latents), hr, atol=1e-9, rtol=0)
    assert torch.isfinite(net.log_likelihood(hr, torch.full_like(encoded.lr, value), generator=seeded())).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5)])
@torch.no_grad()
def test_lr_images_of_any_size(name, size):
    net = model(name)
    s = net.config.scale
    lr = torch.rand(1, 3, *size, generator=seeded(), dtype=torch.float64)
    hr = net.decode(lr, 0.9, generator=seeded())
    assert hr.shape == (1, 3, size[0] * s, size[1] * s)
    if net.config.lr_in_latent:
        torch.testing.assert_close(net.encode(hr).lr, lr, atol=1e-9, rtol=0)
        torch.testing.assert_close(net.downscale(hr), lr, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(name):
    net = model(name)
    hr, lr = images(net.config, n=17)
    log_p = net.log_likelihood(hr, lr, noise=torch.zeros_like(hr))
    latents = [
        torch.randn(17, *shape, generator=seeded(), dtype=lr.dtype) for shape in net.latent_shapes(*lr.shape[2:])
    ]
    out = net.decode(lr, 0.9, latents=latents)
    for i in (0, 16):
        one = slice(i, i + 1)
        alone = net.log_likelihood(hr[one], lr[one], noise=torch.zeros_like(hr[one]))
        torch.testing.assert_close(alone, log_p[one], rtol=1e-12, atol=0)
        alone = net.decode(lr[one], 0.9, latents=[z[one] for z in latents])
        torch.testing.assert_close(alone, out[one], atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_draws_of_one_call_are_those_of_single_calls(name):
    net = model(name)
    _, lr = images(net.config, n=2)
    together = net.decode(lr, [0.0, 0.5, 1.0], generator=seeded(), samples=3)
    generator = seeded()
    for k, tau in enumerate((0.0, 0.5, 1.0)):
        torch.testing.assert_close(net.decode(lr, tau, generator=generator), together[:, k], atol=1e-9, rtol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(bad):
    net = model("sr_x4")
    hr, lr = images(net.config)
    hr[0, 0, 0, 0] = lr[0, 0, 0, 0] = bad
    for call in (lambda: net.encode(hr), lambda: net.decode(lr, 0.9), lambda: net.downscale(hr)):
        with pytest.raises(InputError, match="finite values, got NaN or infinity"):
            call()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 8, 9), "divisible by 4, got 8x9; crop it"),
        ((1, 1, 8, 8), r"shape \(N, 3, H, W\), none of them 0, got \(1, 1, 8, 8\)"),
        ((3, 8, 8), r"shape \(N, 3, H, W\)"),
        ((0, 3, 8, 8), "none of them 0"),
        ((1, 3, 0, 8), "none of them 0"),
    ],
)
def test_wrong_hr_shapes(shape, message):
    with pytest.raises(InputError, match=message):
        model("sr_x4").encode(torch.zeros(shape, dtype=torch.float64))


def test_wrong_arguments():
    net = model("sr_x4")
    hr, lr = images(net.config)
    for message, call in {
        "as floats in": lambda: net.decode(torch.zeros(1, 3, 4, 4, dtype=torch.uint8)),
        "temperatures >= 0": lambda: net.decode(lr, -1.0),
        "samples >= 1": lambda: net.decode(lr, 0.9, samples=0),
        "one temperature or 2": lambda: net.decode(lr, [0.1, 0.2, 0.3], samples=2),
        "expected latents z_1 .. z_2": lambda: net.decode(lr, 1.0, latents=[lr]),
        "expected noise of shape": lambda: net.log_likelihood(hr, lr, noise=lr),
        "expected lr of shape": lambda: net.log_likelihood(hr, hr, generator=seeded()),
        "conditioned on, got none": lambda: model("case2").encode(hr),
        "got one without": lambda: model("case1").downscale(hr),
    }.items():
        with pytest.raises(InputError, match=message):
            call()


def with_condition_number(condition, dtype=torch.float32):
    conv = InvertibleConv(6)
    u, _, v = torch.linalg.svd(torch.randn(6, 6, generator=seeded(), dtype=torch.float64))
    singular = torch.logspace(0, -float(np.log10(condition)), 6, dtype=torch.float64)
    conv.weight.data = (u @ torch.diag(singular) @ v).to(dtype)
    return conv


@torch.no_grad()
def test_ill_conditioned_1x1_convolutions_invert_as_well_as_float32_can():
    for condition in (1e1, 1e3):
        conv = with_condition_number(condition)
        x = torch.randn(1, 6, 8, 8, generator=seeded())
        back, _ = conv.inverse(conv(x)[0])
        # rounding of y, of W and of W^-1, each amplified by at most the condition number
        assert (back - x).abs().max() < 10 * condition * torch.finfo(torch.float32).eps * x.abs().max()


@pytest.mark.parametrize("condition", [1e6, 1e12, float("inf")])
def test_nearly_singular_1x1_convolutions_are_refused(condition):
    conv = with_condition_number(condition)
    if condition == float("inf"):
        conv.weight.data.zero_()
    with pytest.raises(SingularWeightError, match="condition number below"):
        conv.inverse(torch.zeros(1, 6, 2, 2))


@pytest.mark.parametrize("name", [pytest.param("sr_x4_full", marks=pytest.mark.slow), "rescale_x4_full"])
@torch.no_grad()
def test_float32_round_trip_of_full_networks(name):
    net = trained_scale(from_official(weights(read(name)[0])))
    hr = smooth_image()
    encoded = net.encode(hr)
    error = float((net.decode(encoded.lr, 1.0, latents=encoded.latents) - hr).abs().max())
    print(f"{name}: float32 round trip error {error:.1e}")
    assert error < 1e-4


@pytest.mark.slow
def test_torch_export_and_compile_of_decode():
    net = model("sr_x4", torch.float32)
    _, lr = images(net.config, dtype=torch.float32)
    latents = tuple(torch.randn(2, *shape, generator=seeded()) for shape in net.latent_shapes(*lr.shape[2:]))
    with torch.no_grad():
        expected = net(lr, *latents)
        exported = torch.export.export(net, (lr, *latents)).module()
        torch.testing.assert_close(exported(lr, *latents), expected, atol=1e-5, rtol=1e-5)
        compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(lr, *latents), expected, atol=1e-5, rtol=1e-5)


def test_deepcopy_of_models_and_folded_decoders():
    net = model("sr_x4", torch.float32)
    _, lr = images(net.config, dtype=torch.float32)
    for each in (net, fold(net), fold(net, "bf16")):
        with torch.no_grad():
            draws = [one.decode(lr, 0.9, generator=seeded()) for one in (each, copy.deepcopy(each))]
        assert torch.equal(*draws)


@pytest.mark.parametrize(
    "tau",
    [np.float32(0.5), np.float64(0.5), torch.tensor(0.5), np.array(0.5), [torch.tensor(0.5)], torch.tensor([0.5])],
)
@torch.no_grad()
def test_temperatures_of_numpy_and_torch(tau):
    net = model("sr_x4")
    _, lr = images(net.config)
    assert torch.equal(net.decode(lr, tau, generator=seeded()), net.decode(lr, 0.5, generator=seeded()))


@pytest.mark.parametrize("tau", ["warm", 10.5, float("nan"), float("inf"), None.__class__, [[0.5]], torch.ones(2, 2)])
def test_temperatures_out_of_range_or_of_another_kind(tau):
    net = model("sr_x4")
    _, lr = images(net.config)
    with pytest.raises(InputError, match=r"expected a temperature|expected temperatures|one temperature or"):
        net.decode(lr, tau)
