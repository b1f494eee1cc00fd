"""Tiles: a partition, exact for downscaling, with a small measured seam for decoding."""

import pytest
import torch
from golden_files import read, smooth_image, trained_scale, weights
from tiny import images, model

from hcflow.checkpoint import from_official
from hcflow.folded.decoder import fold
from hcflow.tiling import decode_in_tiles, downscale_in_tiles, tiles


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


@torch.no_grad()
def test_the_seam_of_decoding_in_tiles_is_invisible():
    """Tiles against the whole, at trained scale: below half an 8-bit step."""
    net = trained_scale(from_official(weights(read("rescale_x4_full")[0])))
    lr = net.downscale(smooth_image(256)).clamp(0, 1)
    lr = torch.cat((lr, lr.flip(3), lr), 3)[:, :, :48]  # no edge where a tile begins
    decoder = fold(net)
    whole = decode_in_tiles(decoder, lr, 1.0, seeded())
    parts = decode_in_tiles(decoder, lr, 1.0, seeded(), max_pixels=16 * 9000)  # cores of 32 pixels
    assert not torch.equal(whole, parts)
    difference = float((whole - parts).abs().max())
    print(f"seam: {difference:.1e}")
    assert difference < 0.5 / 255
