"""IRN, SRFlow, CAR and TAD & TAU as methods: draws, own LR images, tiles, sizes, files. Tiny networks."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from srflow_tiny import srflow as tiny_srflow
from tiny import randomise

from bench.errors import BenchError
from bench.methods import car, irn, srflow, tad_tau
from bench.methods.networks.car import KernelNetwork
from bench.methods.networks.drawing import in_tiles, noise
from bench.methods.networks.edsr import EDSR
from bench.methods.networks.irn import IRN, haar_weights, official_keys
from bench.methods.networks.tad_tau import TADTAU
from hcflow.srflow import official

CPU = torch.device("cpu")


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def lr_image(height, width, seed=0):
    return torch.from_numpy(image(height, width, seed).transpose(2, 0, 1).copy()).float() / 255


def irn_file(folder):
    network = randomise(IRN((1, 1), 4), scale=0.05)
    state = {official_keys(network)[name]: value for name, value in network.named_parameters()}
    torch.save(
        {"module." + key: value.detach() for key, value in (state | haar_weights((1, 1))).items()}, folder / "i.pth"
    )
    return folder / "i.pth"


def srflow_file(folder):
    torch.save(official.to_official(tiny_srflow(4, torch.float32)), folder / "s.pth")
    return folder / "s.pth"


def tad_file(folder):
    torch.manual_seed(0)
    torch.save(TADTAU().state_dict(), folder / "t.pth")
    return folder / "t.pth"


@pytest.fixture(params=["irn", "srflow", "car", "tad_tau"])
def method(request, tmp_path):
    if request.param == "irn":
        return irn.build(4, [irn_file(tmp_path)], CPU)
    if request.param == "srflow":
        return srflow.build(4, [srflow_file(tmp_path)], CPU)
    if request.param == "tad_tau":
        return tad_tau.build(4, [tad_file(tmp_path)], CPU)
    torch.manual_seed(0)
    return car.AdaptiveResampling(KernelNetwork(4), EDSR(4, 4, 1, rgb_range=1), CPU)


def test_every_draw_is_what_its_seed_alone_gives(method):
    lr = lr_image(7, 9)
    draws = method.restore(lr, 0.8, [5, 7, 11])
    assert draws.shape == (3, 3, 28, 36)
    for draw, seed in zip(draws, (5, 7, 11), strict=True):
        assert torch.equal(draw, method.restore(lr, 0.8, [seed])[0])
    if not isinstance(method, car.AdaptiveResampling | tad_tau.TaskAwareDownscaling):
        assert not torch.equal(draws[0], draws[1])
    zero = method.restore(lr, 0.0, [5, 7])
    assert torch.equal(zero[0], zero[1])
    assert method.parameters > 0


def test_a_rescaling_method_makes_eight_bits(method):
    if isinstance(method, srflow.SuperResolutionFlow):
        assert not hasattr(method, "downscale")
        return
    lr = method.downscale(image(20, 28))
    assert lr.shape == (3, 5, 7)
    torch.testing.assert_close(lr * 255, (lr * 255).round(), rtol=0, atol=1e-4)
    assert 0 <= lr.min() <= lr.max() <= 1


def test_a_plane_is_refused_in_one_line(method):
    with pytest.raises(BenchError, match="expected an RGB image"):
        method.restore(torch.zeros(1, 4, 4), 0.0, [0])


def test_irn_rounds_what_its_forward_pass_gives(tmp_path):
    method = irn.build(4, [irn_file(tmp_path)], CPU)
    own = method.encode_lr(image(16, 16), 3)
    assert torch.equal((own.clamp(0, 1) * 255).round() / 255, method.downscale(image(16, 16)))


def test_tiles_of_irn_with_their_margin_are_exact(tmp_path):
    """In float64, where rounding hides nothing; with a margin of 4 they are not."""
    method = irn.build(4, [irn_file(tmp_path)], CPU)
    method._network.double()
    lr = lr_image(80, 40)[None].double()
    latents = [noise([(45, 80, 40)], 1.0, 0)[0].double()]
    whole = in_tiles(method._run, lr, latents, 4, method._halo)
    tiled = in_tiles(method._run, lr, latents, 4, method._halo, max_pixels=1)
    assert method._halo < 48
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-11)
    narrow = in_tiles(method._run, lr, latents, 4, 4, max_pixels=1)
    assert (narrow - whole).abs().max() > 1e-8


def test_latents_of_every_size_are_cut_where_the_image_is():
    lr = torch.rand(1, 3, 70, 38)
    latents = [torch.rand(1, 3, 140, 76), torch.rand(1, 3, 35, 19)]

    def pointwise(part, cut):
        return sum(F.interpolate(x, (4 * part.shape[-2], 4 * part.shape[-1])) for x in (part, *cut))

    assert torch.equal(in_tiles(pointwise, lr, latents, 4, 6, max_pixels=1), pointwise(lr, latents)[0])


def test_srflow_says_how_likely_an_image_is(tmp_path):
    method = srflow.build(4, [srflow_file(tmp_path)], CPU)
    hr, lr = image(20, 28), lr_image(5, 7)
    bits = method.bits_per_pixel(hr, lr, 3)
    assert bits == method.bits_per_pixel(hr[:16, :24], lr[:, :4, :6], 3)
    assert bits != method.bits_per_pixel(hr, lr, 4)
    with pytest.raises(BenchError, match="8 pixels or more a side"):
        method.bits_per_pixel(hr[:4], lr[:, :1], 3)


@pytest.mark.parametrize("build", [irn.build, srflow.build, tad_tau.build])
def test_wrong_files_are_one_line(build, tmp_path):
    with pytest.raises(BenchError, match="expected 1 files of weights"):
        build(4, [], CPU)
    with pytest.raises(BenchError, match="does not exist"):
        build(4, [tmp_path / "missing.pth"], CPU)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(BenchError, match=r"other.pth: expected (keys of|the key)"):
        build(4, [tmp_path / "other.pth"], CPU)


def test_wrong_scales_and_precisions_are_one_line(tmp_path):
    with pytest.raises(BenchError, match="expected a network for x2, got one for x4"):
        irn.build(2, [irn_file(tmp_path)], CPU)
    with pytest.raises(BenchError, match="expected a network for x8, got one for x4"):
        srflow.build(8, [srflow_file(tmp_path)], CPU)
    with pytest.raises(BenchError, match="car: expected a scale of 2 or 4"):
        car.build(3, [], CPU)
    with pytest.raises(BenchError, match="expected 2 files of weights"):
        car.build(4, [], CPU)
    with pytest.raises(BenchError, match="expected fp32 or bf16, got 'fp16'"):
        srflow.build(4, [srflow_file(tmp_path)], CPU, "fp16")
