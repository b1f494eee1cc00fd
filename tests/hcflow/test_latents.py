"""Latents: what must hold exactly, for HCFlow and SRFlow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from srflow_tiny import srflow
from tiny import model

from hcflow import checkpoint
from hcflow.__main__ import main
from hcflow.errors import CheckpointError, InputError
from hcflow.images.io import read_image, write_png
from hcflow.latents.edits import interpolate, resample, standardise, tempered, transfer
from hcflow.latents.point import decode, digest, encode, load, load_flow, save
from hcflow.srflow import official

NETWORKS = {
    "sr_x4": lambda dtype: model("sr_x4", dtype),
    "rescale_x4": lambda dtype: model("rescale_x4", dtype),
    "srflow": lambda dtype: srflow(4, dtype),
}
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}


def image(height=24, width=32, seed=1, dtype=torch.float64):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(params=NETWORKS)
def net(request):
    return NETWORKS[request.param](torch.float64)


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(24, 32), (21, 30)])
def test_encode_then_decode_is_the_identity(name, dtype, size):
    net, hr = NETWORKS[name](dtype), image(*size, dtype=dtype)
    torch.testing.assert_close(decode(net, encode(net, hr)), hr, rtol=0, atol=ROUNDING[dtype])


@pytest.mark.parametrize("how", ["spherical", "linear"])
def test_interpolation_starts_and_ends_where_it_should(net, how):
    a, b = encode(net, image(seed=1)), encode(net, image(seed=2))
    for t, end in ((0, a), (1, b)):
        point = interpolate(a, b, t, how)
        for got, expected in zip((point.lr, *point.latents), (end.lr, *end.latents), strict=True):
            assert torch.equal(got, expected)
    middle = interpolate(a, b, 0.5, how)
    assert not torch.equal(middle.latents[0], a.latents[0])


def test_spherical_interpolation_keeps_to_the_sphere(net):
    a, b = (resample(encode(net, image()), seed) for seed in (1, 2))
    middle = interpolate(a, b, 0.5)
    for x, y, z in zip(a.latents, b.latents, middle.latents, strict=True):
        torch.testing.assert_close(z.norm(), (x.norm() + y.norm()) / 2)
        assert (0.5 * x + 0.5 * y).norm() < z.norm()
    same = interpolate(a, a, 0.3)
    torch.testing.assert_close(same.latents[0], a.latents[0])


@pytest.mark.parametrize("name", ["sr_x4", "rescale_x4"])
@pytest.mark.parametrize("region", [None, (8, 4, 16, 12)])
def test_a_transfer_keeps_the_lr_image(name, region):
    """HCFlow is a bijection with the LR image in it: encoding the result finds that LR image again."""
    net = NETWORKS[name](torch.float64)
    target, source = encode(net, image(seed=1)), encode(net, image(seed=2))
    result = decode(net, transfer(target, source, region))
    assert (result - image(seed=1)).abs().max() > 1e-3
    torch.testing.assert_close(encode(net, result).lr, target.lr, rtol=0, atol=1e-9)


def test_a_transfer_takes_the_region_the_levels_and_nothing_else(net):
    target, source = encode(net, image(seed=1)), encode(net, image(seed=2))
    point = transfer(target, source, (8, 8, 16, 8), levels=[1])
    z, of, to = point.latents[0], source.latents[0], target.latents[0]
    assert torch.equal(z[..., 4:8, 4:12], of[..., 4:8, 4:12])
    outside = torch.ones(z.shape[-2:], dtype=torch.bool)
    outside[4:8, 4:12] = False
    assert torch.equal(z[..., outside], to[..., outside])
    assert torch.equal(point.latents[1], target.latents[1])
    everything = transfer(target, source, with_lr=True)
    torch.testing.assert_close(decode(net, everything), image(seed=2), rtol=0, atol=1e-9)


def test_standardised_latents_have_the_statistics_of_the_prior(net):
    point = encode(net, image())
    for z in standardise(point, ["channel"]).latents:
        torch.testing.assert_close(z.mean((2, 3)), torch.zeros_like(z.mean((2, 3))), rtol=0, atol=1e-9)
        torch.testing.assert_close(z.square().mean((2, 3)), torch.ones_like(z.mean((2, 3))), rtol=0, atol=1e-5)
    for z in standardise(point, ["channel", "position"]).latents:
        torch.testing.assert_close(z.mean(1), torch.zeros_like(z.mean(1)), rtol=0, atol=1e-9)
        torch.testing.assert_close(z.square().mean(1), torch.ones_like(z.mean(1)), rtol=0, atol=1e-3)


def test_temperature_per_level_and_new_draws(net):
    point = encode(net, image())
    warm = tempered(point, [0.5, 2.0])
    assert torch.equal(warm.latents[1], 2 * point.latents[1])
    assert warm.temperature == (0.5, 2.0)
    assert tempered(warm, [0.5]).temperature == (0.25, 1.0)
    drawn = decode(net, tempered(resample(point, 3), [0.7]))
    expected = net.decode(point.lr, 0.7, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(drawn, expected[..., :24, :32], rtol=0, atol=1e-12)


def test_files_keep_everything(net, tmp_path):
    point = tempered(encode(net, image(21, 30)), [0.5, 0.25])
    save(point, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert replace(again, lr=point.lr, latents=point.latents) == point
    assert all(torch.equal(a, b) for a, b in zip((again.lr, *again.latents), (point.lr, *point.latents), strict=True))


def test_wrong_points_are_one_line(net, tmp_path):
    point, other = encode(net, image()), encode(net, image(32, 32))
    for call, message in (
        (lambda: decode(net, replace(point, network="0" * 64)), "expected latents of this network"),
        (lambda: interpolate(point, other, 0.5), "expected images of one size, got 32x24 and 32x32"),
        (lambda: interpolate(point, replace(point, network="x"), 0.5), "expected latents of one network"),
        (lambda: interpolate(point, point, 0.5, "cubic"), "expected spherical or linear"),
        (lambda: transfer(point, point, (0, 0, 10, 8)), "expected a region of multiples of"),
        (lambda: transfer(point, point, (0, 0, 64, 8)), "expected a region inside of 32x24"),
        (lambda: transfer(point, point, levels=[3]), "expected levels between 1 and 2"),
        (lambda: tempered(point, [1.0, 1.0, 1.0]), "expected one temperature or 2"),
        (lambda: tempered(point, [-1.0]), "expected temperatures >= 0"),
        (lambda: standardise(point, ["image"]), "expected statistics over channel or position"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    (tmp_path / "a.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="expected latents that"):
        load(tmp_path / "a.safetensors")


def test_a_network_without_its_lr_image_has_no_latents_of_images():
    with pytest.raises(InputError, match="expected a network that makes its LR image itself"):
        encode(model("case2"), image())
    with pytest.raises(InputError, match="expected no LR image for HCFlow"):
        encode(model("sr_x4"), image(), image(6, 8))


@pytest.fixture(params=["rescale_x4", "srflow"])
def files(request, tmp_path):
    """A checkpoint and two images."""
    net = NETWORKS[request.param](torch.float32)
    if request.param == "srflow":
        torch.save(official.to_official(net), tmp_path / "net.pth")
    else:
        checkpoint.save(net, tmp_path / "net.pth")
    for seed, name in enumerate(("a", "b")):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        write_png(tmp_path / f"{name}.png", pixels)
    return tmp_path


def run(folder, action, *args):
    return main(["latents", action, *(str(folder / arg) if "." in str(arg) else str(arg) for arg in args)])


def test_the_commands(files, capsys):
    net = ("--checkpoint", "net.pth")
    for name in ("a", "b"):
        assert run(files, "encode", f"{name}.png", "-o", f"{name}.safetensors", *net) == 0
    assert load(files / "a.safetensors").network == digest(load_flow(files / "net.pth"))
    assert run(files, "decode", "a.safetensors", "-o", "back.png", *net) == 0
    assert np.array_equal(read_image(files / "back.png"), read_image(files / "a.png"))
    both = ("a.safetensors", "b.safetensors")
    assert run(files, "interpolate", *both, "-o", files / "steps", *net, "--steps", 2) == 0
    for k, name in ((1, "a"), (2, "b")):
        assert np.array_equal(read_image(files / "steps" / f"{k}.png"), read_image(files / f"{name}.png"))
    assert run(files, "transfer", *both, "-o", "all.safetensors", "--with-lr") == 0
    assert run(files, "decode", "all.safetensors", "-o", "all.png", *net) == 0
    assert np.array_equal(read_image(files / "all.png"), read_image(files / "b.png"))
    assert capsys.readouterr().err == ""

    before = (files / "a.safetensors").read_bytes()
    for args, message in (
        (("decode", "a.safetensors", "-o", "back.png", *net), "expected a new file as output"),
        (("transfer", *both, "-o", "a.safetensors", "--overwrite"), "which is one of them"),
        (("transfer", *both, "-o", "x.png"), "expected --checkpoint FILE"),
        (("decode", "a.png", "-o", "x.png", *net), "expected latents that"),
        (("encode", "a.png", "-o", "x.png", *net), "expected an output that ends in .safetensors"),
        (("interpolate", *both, "-o", files / "more", *net, "--steps", 1), "expected --steps >= 2"),
    ):
        assert run(files, *args) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert (files / "a.safetensors").read_bytes() == before
