"""What is reported while an image is decoded or downscaled, and that reporting changes nothing."""

import pytest
import torch
from tiny import SIZES, images, model

from hcflow.cli.work import decoding, downscaling
from hcflow.config import CASES, PRESETS
from hcflow.folded.decoder import fold
from hcflow.planning import LevelPlan, Plan, plan_decode
from hcflow.tiling import decode_draws, downscale_in_tiles


def in_tiles(config, height, width, samples, side):
    sizes = [(level, height * 2 ** (config.L - level), width * 2 ** (config.L - level)) for level in (2, 1)]
    levels = tuple(LevelPlan(level, h, w, max(h, w) if level == 2 else side, 4) for level, h, w in sizes)
    return Plan(samples, 1, levels)


def decoded(net, lr, plan, reports=None):
    generator = torch.Generator().manual_seed(0)
    if reports is None:
        return torch.cat(list(decode_draws(net, lr, 0.9, generator, plan.samples, plan)))
    with decoding(net, plan, lambda done, of: reports.append((done, of))):
        return torch.cat(list(decode_draws(net, lr, 0.9, generator, plan.samples, plan)))


@pytest.mark.parametrize("name", [*PRESETS, *CASES])
@pytest.mark.parametrize("draws", [1, 3])
@torch.no_grad()
def test_a_whole_image_is_reported_part_by_part_to_its_end(name, draws):
    net = fold(model(name, torch.float32))
    lr = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(1))
    plan = Plan(3, draws, plan_decode(net.config, 12, 10, 3, 2**34).levels)
    reports = []
    assert torch.equal(decoded(net, lr, plan, reports), decoded(net, lr, plan))
    assert reports == sorted(set(reports))
    assert reports[-1] == (1000, 1000)
    assert len(reports) > 10
    count = len(reports)
    decoded(net, lr, plan)
    assert len(reports) == count  # nothing is left in the decoder


@pytest.mark.parametrize("name", ["sr_x4", "rescale_x4"])
@torch.no_grad()
def test_tiles_are_reported_to_their_end(name):
    net = fold(model(name, torch.float32))
    lr = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(1))
    reports = []
    decoded(net, lr, in_tiles(SIZES[name], 12, 10, 2, 8), reports)
    assert reports == sorted(set(reports))
    assert reports[-1] == (1000, 1000)


@torch.no_grad()
def test_one_tile_of_downscaling_is_reported_part_by_part():
    net = model("rescale_x4", torch.float32)
    hr, _ = images(net.config, n=1, height=40, width=24, dtype=torch.float32)
    for side, tiles in ((64, 1), (16, 6)):
        reports = []
        with downscaling(net, tiles, lambda done, of, reports=reports: reports.append((done, of))):
            lr = downscale_in_tiles(net, hr, side)
        assert torch.equal(lr, downscale_in_tiles(net, hr, side))
        assert reports == sorted(set(reports))
        assert reports[-1][1] == 1000
        assert len(reports) >= 4
    assert reports[-1][0] == 1000  # where tiles are cut at the image's edge, they take less than counted
