"""Tiles: a partition, and the same as the whole to rounding; plans that keep to the memory there is."""

import math
import sys
from dataclasses import replace

import pytest
import torch
from tiny import SIZES, images, model, randomise

from hcflow.config import PRESETS
from hcflow.errors import InputError
from hcflow.folded.decoder import fold
from hcflow.memory import UNKNOWN, free_bytes
from hcflow.planning import (
    BYTES_PER_PIXEL,
    KEPT_BYTES_PER_PIXEL,
    SHARE,
    SMALLEST_CORE,
    LevelPlan,
    Plan,
    plan_decode,
    receptive_fields,
)
from hcflow.tiling import decode_draws, decode_in_tiles, downscale_in_tiles, tiles


def seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(("height", "width", "side", "halo"), [(10, 7, 4, 2), (3, 9, 5, 0), (8, 8, 8, 3), (1, 5, 2, 1)])
def test_tiles_cover_every_pixel_once(height, width, side, halo):
    count = torch.zeros(height, width)
    image = torch.rand(height, width)
    copy = torch.zeros(height, width)
    for tile in tiles(height, width, side, halo):
        top, bottom, left, right = tile.core
        count[top:bottom, left:right] += 1
        tile.paste(copy, tile.of(image))
    assert (count == 1).all()
    assert torch.equal(copy, image)


@pytest.mark.parametrize("samples", [1, 2])
@torch.no_grad()
def test_an_image_that_fits_is_decoded_as_a_whole(samples):
    net = model("sr_x4", torch.float32)
    _, lr = images(net.config, n=1, height=32, width=48, dtype=torch.float32)
    expected = net.decode(lr, 0.9, generator=seeded(), samples=samples)[0]
    assert torch.equal(decode_in_tiles(net, lr, 0.9, seeded(), samples), expected)


@pytest.mark.parametrize("name", ["sr_x4", "rescale_x4"])
@torch.no_grad()
def test_downscaling_in_tiles_is_exact(name):
    net = model(name, torch.float32)
    hr, _ = images(net.config, n=1, height=200, width=132, dtype=torch.float32)
    steps = []
    tiled = downscale_in_tiles(net, hr, side=64, progress=lambda done, of: steps.append((done, of)))
    # convolutions of other sizes may add in another order
    torch.testing.assert_close(tiled, net.downscale(hr), atol=2e-6, rtol=2e-6)
    assert steps[-1] == (12, 12)


def small_tiles(config, height, width):
    """Every level in tiles with cores of 32 pixels, and the halo that plans take."""
    L, fields = config.L, receptive_fields(config)
    levels = []
    for level in range(L, 0, -1):
        finer = 2 ** (L - level)
        halo = -(-fields[level - 1] // finer) * finer
        levels.append(LevelPlan(level, height * finer, width * finer, SMALLEST_CORE, halo))
    return Plan(1, 1, tuple(levels))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("fast", [False, True])
@torch.no_grad()
def test_tiles_equal_the_whole_to_rounding(name, fast):
    """Random weights hide nothing: no part of the network is at its initial zero."""
    net = randomise(model(name, torch.float32), scale=0.05)
    _, lr = images(net.config, n=1, height=320, width=160, dtype=torch.float32)
    plan = small_tiles(net.config, *lr.shape[-2:])
    assert not plan.whole
    decoder = fold(net) if fast else net
    expected = net.decode(lr, 0.9, generator=seeded())
    steps = []
    got = decode_in_tiles(decoder, lr, 0.9, seeded(), plan=plan, progress=lambda done, of: steps.append((done, of)))
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()
    assert steps == [(k, plan.steps) for k in range(1, plan.steps + 1)]
    narrow = replace(plan, levels=tuple(replace(level, halo=0) for level in plan.levels))
    seam = decode_in_tiles(decoder, lr, 0.9, seeded(), plan=narrow)
    assert (seam - expected).abs().max() > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("name", SIZES)
def test_the_halo_holds_all_that_a_pixel_depends_on(name):
    """Gradients of one pixel of y_{l-1} reach no further than the field that the plan takes."""
    net = model(name)
    for level, field in zip(net.levels, receptive_fields(net.config), strict=True):
        side, at = 2 * field + 9, field + 4
        shapes = (level.a_channels, level.y_channels, level.sees)
        z, y, sees = (torch.rand(1, c, side, side, generator=seeded(), dtype=torch.float64) for c in shapes)
        coarser = (level.phi.first.in_channels - level.sees) if level.phi else 0
        c_up = torch.rand(1, coarser, side, side, generator=seeded(), dtype=torch.float64)
        inputs = [x.requires_grad_() for x in (z, y, sees, c_up)]
        c = level.phi(torch.cat((sees, c_up), 1)) if level.phi else None
        level.generate(z, y, c)[0, :, 2 * at, 2 * at].sum().backward()
        reached = 0
        for x in inputs:
            if x.grad is not None and x.grad.abs().sum():
                rows, columns = x.grad.abs().sum((0, 1)).nonzero().T
                reached = max(reached, int((rows - at).abs().max()), int((columns - at).abs().max()))
        # zero gradients of ReLUs may hide the last pixels; a halo much too large would be waste
        assert field - 4 <= reached <= field


@pytest.mark.parametrize("samples", [1, 5])
@torch.no_grad()
def test_fewer_draws_at_once_change_no_bit(samples):
    net = fold(model("sr_x4", torch.float32))
    _, lr = images(net.config, n=1, height=32, width=48, dtype=torch.float32)
    expected = net.decode(lr, 0.9, generator=seeded(), samples=samples)[0]
    for draws in (1, 2, 5):
        free = math.ceil(draws * 32 * 48 * BYTES_PER_PIXEL / SHARE)
        plan = plan_decode(net.config, 8, 12, samples, free)
        assert plan.draws == min(draws, samples)
        assert plan.describe() == "whole image"
        calls = list(decode_draws(net, lr, 0.9, seeded(), samples, plan))
        assert [len(call) for call in calls][:-1] == [plan.draws] * (len(calls) - 1)
        assert torch.equal(torch.cat(calls), expected)


@pytest.mark.parametrize("name", ["sr_x4", "sr_x8", "rescale_x4"])
@pytest.mark.parametrize("samples", [1, 64])
def test_no_plan_takes_more_memory_than_there_is(name, samples):
    config = PRESETS[name]
    for free in (2**33, 2**34, 2**36):
        for height, width in ((32, 32), (510, 339), (1500, 700), (1, 10**5)):
            plan = plan_decode(config, height, width, samples, free)
            pixels = height * width * config.scale**2
            if plan.whole:
                assert plan.draws * pixels * BYTES_PER_PIXEL <= SHARE * free
                assert plan.calls == math.ceil(samples / plan.draws)
                continue
            assert plan.draws == 1
            assert pixels * BYTES_PER_PIXEL > SHARE * free
            for level in plan.levels:
                region = min(level.side + 2 * level.halo, level.height) * min(level.side + 2 * level.halo, level.width)
                assert 4 * region * BYTES_PER_PIXEL + pixels * KEPT_BYTES_PER_PIXEL <= SHARE * free
                assert level.tiles == 1 or level.halo >= receptive_fields(config)[level.level - 1]


def test_plans_of_the_published_networks():
    x4 = PRESETS["sr_x4"]
    # 2 + 15 (7 + 7) of the conditioner, 1 of the Gaussian, 2 (13 + 13) of the steps
    assert receptive_fields(x4) == (265, 265)
    assert receptive_fields(PRESETS["rescale_x4"]) == (100, 100)
    assert plan_decode(x4, 339, 510, 1, 2**33).describe() == "whole image"
    tiled = plan_decode(x4, 339, 510, 1, 3 * 2**30)
    assert tiled.describe() == "level 1 in 20 tiles, halo 133 LR pixels"
    with pytest.raises(InputError, match=r"expected \d\.\d GiB of free memory to decode 510x339 pixels .* got 1.0 GiB"):
        plan_decode(x4, 339, 510, 1, 2**30)
    with pytest.raises(InputError, match="at least 1"):
        plan_decode(x4, 0, 510, 1, 2**30)


def test_free_memory_is_what_the_system_and_the_container_leave(tmp_path):
    assert free_bytes("cpu", tmp_path) == UNKNOWN or sys.platform != "linux"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    assert free_bytes("cpu", tmp_path) == 2048 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    for name, text in {"max": "max", "current": "900000", "stat": "anon 5\ninactive_file 200000\n"}.items():
        (group / f"memory.{name}").write_text(text)
    assert free_bytes("cpu", tmp_path) == 2048 * 1024
    (group / "memory.max").write_text("1000000\n")
    assert free_bytes("cpu", tmp_path) == 300000
    assert 2**20 < free_bytes("cpu") < 2**50
