"""Images of any size through a network: padding, tiles and their seams, what a network sees."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from torch import nn

from bench.errors import BenchError
from bench.methods import edsr, lapsrn, pan, ranksrgan, rdn, rfanet, rlfn, srcnn, vapsr, vdsr
from bench.methods.networks.feedforward import OnLuma, OnRGB, rgb_to_ycbcr, ycbcr_to_rgb
from bench.methods.networks.inference import Runner, padded, reflected
from hcflow.images.matlab_resize import imresize

CPU = torch.device("cpu")
NETWORKS = {  # name -> (network, channels, scale)
    "srcnn": (lambda: srcnn.SRCNN("replicate"), 1, 1),
    "vdsr": (lambda: vdsr.VDSR(6), 1, 1),
    "lapsrn": (lambda: lapsrn.LapSRN(2, 6), 1, 4),
    "edsr": (lambda: edsr.EDSR(8, 3, 4, 1.0), 3, 4),
    "edsr x3": (lambda: edsr.EDSR(8, 2, 3, 1.0), 3, 3),
    "rdn": (lambda: rdn.RDN(8, 3, 2, 4, 2), 3, 2),
    "srresnet": (lambda: ranksrgan.SRResNet(8, 3, long_skip=True), 3, 4),
    "msrresnet": (lambda: ranksrgan.SRResNet(8, 3, long_skip=False), 3, 4),
    "pan": (lambda: pan.PAN(8, 4, 3), 3, 4),
    "vapsr": (lambda: vapsr.VapSR(8, 8, 2, 1), 3, 4),
}


def image(channels, height, width, seed=0):
    return torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed))


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval().requires_grad_(False)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pixel_depends_on_no_more_than_the_stated_reach(name):
    make, channels, scale = NETWORKS[name]
    network = seeded(make).double()
    side = 2 * network.reach + 9
    x = image(channels, side, side).double()[None].requires_grad_()
    centre = slice(scale * (side // 2), scale * (side // 2) + scale)
    network(x)[..., centre, centre].sum().backward()
    distance = (torch.arange(side) - side // 2).abs()
    seen = distance[(x.grad[0].abs().sum(0) > 0).any(0)].max()
    assert network.reach - 3 <= seen <= network.reach


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_with_all_that_a_pixel_sees_are_exact(name):
    make, channels, scale = NETWORKS[name]
    network = seeded(make)
    tile = -(-8 * network.reach // 3)
    runner = Runner(network, scale, CPU, reach=network.reach, tile=tile)
    assert runner.exact
    assert "exact" in runner.policy
    x = image(channels, tile + 7, tile + 3)
    whole = Runner(network, scale, CPU)(x)
    assert whole.shape == (channels, scale * (tile + 7), scale * (tile + 3))
    torch.testing.assert_close(runner(x), whole, rtol=0, atol=2e-5 * float(whole.abs().max()))


class Distant(nn.Module):
    """Each pixel plus a tenth of the mean, x2: it depends on the whole image."""

    def forward(self, x):
        return (x + 0.1 * x.mean((2, 3), keepdim=True)).repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_tiles_of_a_network_that_sees_everything_say_that_they_are_approximate():
    runner = Runner(Distant(), 2, CPU, max_pixels=128**2)
    assert (runner.side, runner.halo, runner.exact) == (64, 16, False)
    assert "margin of 16 input pixels (approximate" in runner.policy
    x = image(3, 70, 90)
    error = (runner(x) - Runner(Distant(), 2, CPU)(x)).abs()
    assert 0 < error.max() < 0.1 * x.std()


def test_images_up_to_2040x1356_are_computed_whole():
    sizes = []

    class Sizes(nn.Module):
        def forward(self, x):
            sizes.append(tuple(x.shape[-2:]))
            return x.repeat_interleave(4, 2).repeat_interleave(4, 3)

    runner = Runner(Sizes(), 4, CPU)
    runner(torch.zeros(1, 339, 510))
    assert sizes == [(339, 510)]
    sizes.clear()
    runner(torch.zeros(1, 600, 510))
    assert len(sizes) > 1
    assert max(height * width for height, width in sizes) * 16 <= 2**22


@pytest.mark.parametrize(("least", "multiple", "expected"), [(1, 8, (16, 8)), (15, 1, (15, 15)), (40, 16, (48, 48))])
def test_padding_reflects_as_often_as_it_takes(least, multiple, expected):
    x = image(3, 9, 5)
    got = padded(x[None], least, multiple)[0]
    assert got.shape[1:] == expected
    folds = [np.pad(np.arange(n), (0, m - n), mode="reflect") for n, m in zip((9, 5), expected, strict=True)]
    assert torch.equal(got, x[:, folds[0]][:, :, folds[1]])


def test_one_pixel_is_repeated():
    assert torch.equal(reflected(torch.ones(1, 1, 1, 1), 3, 4), torch.ones(1, 1, 3, 4))


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (17, 16)])
def test_networks_with_a_smallest_size_take_any(size):
    for network in (rlfn.RLFN(8, 4, 1, 4), rfanet.RFANet(8, 1)):
        runner = Runner(network.eval(), 4, CPU, least=15)
        assert runner(image(3, *size)).shape == (3, 4 * size[0], 4 * size[1])


def test_the_image_is_not_changed_even_by_a_network_that_changes_its_input():
    class Greedy(nn.Module):
        def forward(self, x):
            x *= 2
            return x

    x = image(3, 4, 4)
    kept = x.clone()
    Runner(Greedy(), 1, CPU)(x)
    assert torch.equal(x, kept)


def test_bf16_computes_in_bfloat16_and_gives_float32():
    class Seen(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            self.dtype = self.conv(x).dtype
            return x

    network = Seen().eval()
    assert Runner(network, 1, CPU, "bf16")(image(3, 8, 8)).dtype == torch.float32
    assert network.dtype == torch.bfloat16
    with pytest.raises(BenchError, match="precision: expected fp32, tf32, bf16, got 'fp8'"):
        Runner(network, 1, CPU, "fp8")


def test_ycbcr_is_that_of_scikit_image_and_is_undone():
    x = image(3, 5, 6).double()
    expected = rgb2ycbcr(x.permute(1, 2, 0).numpy()) / 255
    np.testing.assert_allclose(rgb_to_ycbcr(x).permute(1, 2, 0).numpy(), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(x)), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_luma_network_that_does_nothing_is_the_bicubic_enlargement(channels):
    method = OnLuma(Runner(nn.Identity(), 1, CPU), 0, 3, enlarged=True)
    lr = image(channels, 6, 7).double()
    draws = method.restore(lr, 0.0, [1, 2, 3])
    assert draws.shape == (3, channels, 18, 21)
    assert draws.dtype == torch.float64
    # the network's plane went through float32
    torch.testing.assert_close(draws[2], imresize(lr, size=(18, 21)), rtol=0, atol=1e-6)


def test_an_rgb_network_refuses_a_luma_plane():
    method = OnRGB(Runner(nn.Identity(), 1, CPU), 0)
    with pytest.raises(BenchError, match=r"expected an RGB image \(3, h, w\), got \(1, 4, 4\)"):
        method.restore(torch.zeros(1, 4, 4).double(), 0.0, [0])


def test_the_unit_of_values_is_255_where_a_network_says_so():
    class Add(nn.Module):
        def forward(self, x):
            return x + 51

    draws = OnRGB(Runner(Add(), 1, CPU), 0, unit=255.0).restore(torch.full((3, 2, 2), 0.5), 0.0, [0])
    torch.testing.assert_close(draws, torch.full((1, 3, 2, 2), 0.7))
