"""Every transform and every whole network, in float64: inverse, log-determinant, gradients, save and load."""

import copy
import math

import pytest
import torch
from tiny import SIZES, images, model, randomise

from bench.methods.networks import irn
from hcflow.errors import InputError
from hcflow.flow.actnorm import ActNorm
from hcflow.flow.coupling import AdditiveCoupling, AffineCoupling, sigmoid_log_scale, tanh_log_scale
from hcflow.flow.gaussian import ConditionalGaussian, standard_normal_log_prob
from hcflow.flow.invconv import InvertibleConv
from hcflow.flow.squeeze import HaarSqueeze, PixelSqueeze
from hcflow.flow.transform import Compose
from hcflow.level import Level
from hcflow.model import LOG_SIGMA_LR, HCFlow, quantise
from hcflow.nets.subnets import FCN, DenseBlock, Interleaved, ZeroSubnet
from hcflow.srflow.model import coupled_step


def gaussian(context, bounded):
    return ConditionalGaussian(4, ZeroSubnet(context, 8) if context else None, bounded)


# name: (build(context channels), channels, takes a context: True, False or always)
TRANSFORMS = {
    "actnorm": (lambda c: ActNorm(4), 4, False),
    "invconv": (lambda c: InvertibleConv(5), 5, False),
    "pixel squeeze": (lambda c: PixelSqueeze(), 3, False),
    "haar squeeze": (lambda c: HaarSqueeze(), 3, False),
    "affine, FCN": (lambda c: AffineCoupling(FCN(2 + c, 6, 4), 2), 5, True),
    "affine, dense": (lambda c: AffineCoupling(DenseBlock(3 + c, 4, 3), 3), 5, True),
    "additive": (lambda c: AdditiveCoupling(DenseBlock(2 + c, 3, 3), 3), 5, True),
    "affine, scaled by a sigmoid": (lambda c: AffineCoupling(FCN(2 + c, 6, 4), 2, sigmoid_log_scale), 5, True),
    "affine, scaled first": (
        lambda c: AffineCoupling(
            Interleaved(DenseBlock(3 + c, 2, 3), DenseBlock(3 + c, 2, 3)), 3, tanh_log_scale, scale_first=True
        ),
        5,
        True,
    ),
    "gaussian": (lambda c: gaussian(c, bounded=False), 4, True),
    "bounded gaussian": (lambda c: gaussian(c, bounded=True), 4, True),
    "composed step": (
        lambda c: Compose(ActNorm(5), InvertibleConv(5), AffineCoupling(FCN(2 + c, 6, 4), 2)),
        5,
        True,
    ),
    "seeing the context alone": (lambda c: AffineCoupling(FCN(c, 10, 4), 0, sigmoid_log_scale), 5, "always"),
    "SRFlow step": (lambda c: coupled_step(5, c, 4), 5, "always"),
    "IRN step": (lambda c: irn.step(5, 3), 5, False),
    "IRN": (lambda c: irn.IRN((1,), 3), 3, False),
    "main level, SR": (lambda c: Level(SIZES["sr_x4"], 2).flow, 6, False),
    "main level, rescaling": (lambda c: Level(SIZES["rescale_x4"], 1).flow, 3, False),
}
CASES = [
    (name, context)
    for name, (_, _, takes) in TRANSFORMS.items()
    for context in {True: (False, True), False: (False,), "always": (True,)}[takes]
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}{' with context' if case[1] else ''}")
def case(request):
    name, with_context = request.param
    build, channels, _ = TRANSFORMS[name]
    transform = randomise(build(3 if with_context else 0).double()).eval()
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(2, channels, 4, 2, generator=generator, dtype=torch.float64)
    c = torch.randn(2, 3, 4, 2, generator=generator, dtype=torch.float64) if with_context else None
    return transform, x, c


@torch.no_grad()
def test_inverse(case):
    transform, x, c = case
    y, log_det = transform(x, c)
    back, log_det_back = transform.inverse(y, c)
    torch.testing.assert_close(back, x, atol=1e-9, rtol=0)
    torch.testing.assert_close(log_det_back, -log_det, atol=1e-9, rtol=0)
    assert log_det.shape == (len(x),)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_log_det_is_that_of_the_jacobian(case, direction):
    transform, x, c = case
    if direction == "inverse":
        x = transform(x, c)[0].detach()
    function = getattr(transform, direction)
    for i in range(len(x)):
        one, seen = x[i : i + 1], None if c is None else c[i : i + 1]
        jacobian = torch.autograd.functional.jacobian(lambda v, seen=seen: function(v, seen)[0].flatten(), one)
        expected = torch.linalg.slogdet(jacobian.reshape(one.numel(), one.numel())).logabsdet
        torch.testing.assert_close(function(one, seen)[1][0], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_reach_every_parameter_and_the_context(case, direction):
    transform, x, c = case
    if direction == "inverse":
        x = transform(x, c)[0].detach()
    x.requires_grad_()
    if c is not None:
        c.requires_grad_()
    y, log_det = getattr(transform, direction)(x, c)
    (y.square().sum() + log_det.sum()).backward()
    for name, parameter in transform.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert c is None or c.grad.abs().sum() > 0


@torch.no_grad()
def test_copies_and_reloaded_weights_compute_the_same(case):
    transform, x, c = case
    expected = transform(x, c)[0]
    assert torch.equal(copy.deepcopy(transform)(x, c)[0], expected)
    other = randomise(copy.deepcopy(transform), seed=9)
    other.load_state_dict(transform.state_dict())
    assert torch.equal(other(x, c)[0], expected)


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_networks_invert(name):
    net = model(name)
    hr, lr = images(net.config, height=16, width=24)
    encoded = net.encode(hr, lr)
    start = lr if encoded.lr is None or net.config.deepest_condition == "given" else encoded.lr
    if net.config.deepest_condition == "given" and encoded.lr is not None:
        # the latent y_L is not the given image here: decoding sets y_L to the given image (case 3)
        again = net.encode(net.decode(lr, 1.0, latents=encoded.latents), lr)
        torch.testing.assert_close(again.lr, lr, atol=1e-9, rtol=0)
        for z, expected in zip(again.latents, encoded.latents, strict=True):
            torch.testing.assert_close(z, expected, atol=1e-9, rtol=0)
        return
    torch.testing.assert_close(net.decode(start, 1.0, latents=encoded.latents), hr, atol=1e-9, rtol=0)


def flat(net, hr, lr):
    encoded = net.encode(hr, lr)
    parts = [*([] if encoded.lr is None else [encoded.lr]), *encoded.latents]
    return torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize("name", SIZES)
def test_log_det_is_that_of_the_jacobian_and_log_likelihood_the_change_of_variables(name):
    """log p by brute force: the density of the latents under independent Gaussians, times |det J|, per 1/q cell."""
    net = model(name)
    config = net.config
    hr, lr = images(config, n=1)
    noise = torch.rand(hr.shape, generator=torch.Generator().manual_seed(5), dtype=hr.dtype)
    x = hr if config.q is None else hr + noise / config.q
    jacobian = torch.autograd.functional.jacobian(lambda v: flat(net, v, lr), x).reshape(x.numel(), x.numel())
    log_det = torch.linalg.slogdet(jacobian).logabsdet
    encoded = net.encode(x, lr)
    torch.testing.assert_close(encoded.log_det[0], log_det, atol=1e-8, rtol=0)
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = log_det + sum(normal.log_prob(z).sum() for z in encoded.latents)
    if encoded.lr is not None:
        expected = (
            expected + torch.distributions.Normal(quantise(encoded.lr), math.exp(LOG_SIGMA_LR)).log_prob(lr).sum()
        )
    if config.q is not None:
        expected = expected - hr.shape[-1] * hr.shape[-2] * math.log(config.q)
    got = net.log_likelihood(hr, lr, noise=noise)
    torch.testing.assert_close(got[0], expected, rtol=1e-10, atol=1e-8)


def test_a_density_that_integrates_to_one():
    """Importance sampling of the tiniest flow: the mean of p(x)/g(x) over x ~ g is 1 within 5 standard errors."""
    torch.manual_seed(0)
    step = randomise(
        Compose(
            ActNorm(2), InvertibleConv(2), AffineCoupling(FCN(1, 2, 4), 1), ConditionalGaussian(2, None, False)
        ).double()
    ).eval()
    x = 2 * torch.randn(200_000, 2, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        z, log_det = step(x)
        log_g = torch.distributions.Normal(0.0, 2.0).log_prob(x).flatten(1).sum(1)
        weight = (standard_normal_log_prob(z) + log_det - log_g).exp()
    assert abs(weight.mean() - 1) < 5 * weight.std() / math.sqrt(len(weight))


@pytest.mark.parametrize("name", SIZES)
def test_gradients_of_the_likelihood_and_of_a_decode_reach_every_parameter(name):
    net = model(name)
    hr, lr = images(net.config)
    loss = -net.log_likelihood(hr, lr, generator=torch.Generator().manual_seed(0)).mean()
    loss = loss + net.decode(lr, 0.5, generator=torch.Generator().manual_seed(0)).square().sum()
    loss.backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", ["rescale_x4", "sr_x4", "sr_x8", "case4", "case5"])
@torch.no_grad()
def test_encoding_and_decoding_together_is_one_after_the_other(name):
    """Also where conditioners see coarser levels (sr_x4, sr_x8), or there are none (case4)."""
    net = model(name)
    hr, lr = images(net.config, height=16, width=24)
    latents = [torch.randn(len(hr), *shape, dtype=hr.dtype) for shape in net.latent_shapes(*lr.shape[-2:])]
    encoded, image = net.encode_and_decode(hr, latents, quantise)
    expected = net.encode(hr)
    torch.testing.assert_close(encoded.lr, expected.lr, rtol=0, atol=1e-12)
    torch.testing.assert_close(encoded.log_det, expected.log_det, rtol=0, atol=1e-9)
    for got, wanted in zip(encoded.latents, expected.latents, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(image, net.decode(quantise(expected.lr), 1.0, latents=latents), rtol=0, atol=1e-11)
    with pytest.raises(InputError, match="expected a network whose encoding and decoding see the same"):
        model("case3").encode_and_decode(hr, latents, quantise)


def test_hcflow_is_what_its_docstring_says():
    net = HCFlow(SIZES["sr_x8"])
    assert [level.y_channels for level in net.levels] == [6, 12, 3]
    assert [level.a_channels for level in net.levels] == [6, 12, 45]
    assert net.latent_shapes(5, 7) == [(6, 20, 28), (12, 10, 14), (45, 5, 7)]
