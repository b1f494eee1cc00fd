"""Which crops a step sees follows from seed and step alone, and HR and LR crops show the same place."""

import time

import numpy as np
import pytest
import torch

from hcflow.data.cache import image_files, open_cache
from hcflow.errors import InputError
from hcflow.images.io import ImageError, read_image, write_png
from hcflow.images.matlab_resize import imresize, mod_crop
from hcflow.train.data import Patches, prefetched
from hcflow.train.noise import Noise, seed_of


def test_cache_holds_the_images_and_their_bicubic_lr(pictures, cache):
    for index, file in enumerate(image_files(pictures)):
        hr = mod_crop(read_image(file), 4)
        assert cache.names[index] == file.name
        assert np.array_equal(cache.hr(index), hr)
        assert np.array_equal(cache.lr(index), imresize(hr, 0.25))


def test_cache_is_made_once_and_again_when_a_file_changes(pictures, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for file in image_files(pictures):
        (folder / file.name).write_bytes(file.read_bytes())
    calls = []
    first = open_cache(image_files(folder), 4, tmp_path / "c", lambda done, total: calls.append((done, total)))
    assert calls == [(i, 6) for i in range(1, 7)]
    again = open_cache(image_files(folder), 4, tmp_path / "c", lambda *_: pytest.fail("decoded again"))
    assert again.digest == first.digest
    write_png(folder / "0.png", np.zeros((40, 40, 3), np.uint8))
    assert open_cache(image_files(folder), 4, tmp_path / "c").digest != first.digest
    assert not [path for path in (tmp_path / "c").iterdir() if path.name.endswith(".part")]


def test_digest_is_of_the_pixels_not_of_the_place(pictures, tmp_path, cache):
    folder = tmp_path / "HR"
    folder.mkdir()
    for file in image_files(pictures):
        (folder / file.name).write_bytes(file.read_bytes())
    assert open_cache(image_files(tmp_path), 4, tmp_path / "c").digest == cache.digest


def test_bad_folders_and_files_are_one_line(tmp_path):
    with pytest.raises(InputError, match="does not exist; check the path"):
        image_files(tmp_path / "none")
    with pytest.raises(InputError, match=r"expected images \(.png"):
        image_files(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(ImageError, match=r"broken.png: expected"):
        open_cache(image_files(tmp_path), 4, tmp_path / "c")
    assert not [path for path in (tmp_path / "c").iterdir() if path.is_dir()]
    with pytest.raises(InputError, match="at least one image"):
        open_cache([], 4, tmp_path / "c")


def test_a_damaged_cache_is_refused(cache, tmp_path, pictures):
    pixels = next((tmp_path / "decoded").glob("*/pixels.bin"))
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"damaged one .* delete it"):
        open_cache(image_files(pictures), 4, tmp_path / "decoded")


@pytest.mark.parametrize("augment", ["flip", "flip and rotate"])
def test_lr_crops_show_the_same_place(tmp_path, augment):
    """In an image whose 4x4 blocks are flat and random, an LR pixel is far nearer to its own block than to the next."""
    rng = np.random.default_rng(1)
    blocks = rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)
    write_png(tmp_path / "blocks.png", blocks.repeat(4, 0).repeat(4, 1))
    cache = open_cache(image_files(tmp_path), 4, tmp_path / "c")
    orientations = set()
    for step in range(16):
        batch = Patches(cache, 32, 4, seed=3, augment=augment).at(step)
        means = torch.nn.functional.avg_pool2d(batch.hr.float(), 4)
        lr = batch.lr.float()
        here = (means - lr).abs().mean((1, 2, 3))  # not 0, because bicubic overshoots
        aside = [
            (means[..., 1:] - lr[..., :-1]).abs().mean((1, 2, 3)),
            (means[:, :, 1:] - lr[:, :, :-1]).abs().mean((1, 2, 3)),
        ]
        assert here.max() < torch.stack(aside).min() / 2
        orientations |= {tuple(image[0].flatten()[:3].tolist()) for image in batch.hr}
    assert len(orientations) > 16


def test_rotation_reaches_all_eight_orientations_and_flip_two(tmp_path):
    picture = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3) % 251
    write_png(tmp_path / "one.png", picture.astype(np.uint8))
    cache = open_cache(image_files(tmp_path), 4, tmp_path / "c")
    for augment, count in (("flip", 2), ("flip and rotate", 8)):
        patches = Patches(cache, 32, 8, seed=0, augment=augment)
        seen = {image.numpy().tobytes() for step in range(12) for image in patches.at(step).hr.contiguous()}
        assert len(seen) == count


def test_every_image_comes_once_in_a_pass(cache):
    patches = Patches(cache, 32, 2, seed=5)
    images = []

    class Spy:
        sizes, scale = cache.sizes, cache.scale
        hr = staticmethod(lambda index: images.append(index) or cache.hr(index))
        lr = staticmethod(cache.lr)

    patches._cache = Spy
    for step in range(6):
        patches.at(step)
    assert sorted(images[:6]) == sorted(images[6:]) == list(range(6))
    assert images[:6] != images[6:]


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_batch_of_one(cache, world):
    whole = Patches(cache, 32, 8, seed=7).at(3)
    for rank in range(world):
        part = Patches(cache, 32, 8, 7, rank=rank, world=world).at(3)
        assert torch.equal(part.hr, whole.hr[rank::world])
        assert torch.equal(part.lr, whole.lr[rank::world])
        assert part.seeds == whole.seeds[rank::world]
    with pytest.raises(InputError, match="3 processes can share, got 8"):
        Patches(cache, 32, 8, 7, rank=0, world=3)


def test_prefetching_changes_nothing_and_starts_anywhere(cache):
    patches = Patches(cache, 32, 2, seed=7)
    for step, batch in zip(range(4, 9), prefetched(patches, 4, 9, pin=False), strict=True):
        assert torch.equal(batch.hr, patches.at(step).hr)
    assert not torch.equal(patches.at(0).hr, patches.at(1).hr)
    assert not torch.equal(patches.at(0).hr, Patches(cache, 32, 2, seed=8).at(0).hr)


def test_images_smaller_than_a_patch_are_left_out(cache):
    patches = Patches(cache, 48, 2, seed=0)
    assert patches.too_small == sum(min(size) < 48 for size in cache.sizes) == 2
    with pytest.raises(InputError, match=r"at least 96x96, got none among 6 \(the largest is 64x60\)"):
        Patches(cache, 96, 2, seed=0)


def test_noise_belongs_to_the_image_not_to_the_process():
    seeds = [seed_of("noise", i) for i in range(4)]
    cpu = torch.device("cpu")
    whole = Noise(seeds, cpu)
    whole_draws = whole.uniform((3, 5, 5)), whole.normal((2, 4, 4))
    part = Noise(seeds[1::2], cpu)
    assert torch.equal(part.uniform((3, 5, 5)), whole_draws[0][1::2])
    assert torch.equal(part.normal((2, 4, 4)), whole_draws[1][1::2])
    assert float(whole_draws[0].min()) >= 0
    assert float(whole_draws[0].max()) < 1
    assert len({float(x) for x in whole_draws[0][:, 0, 0, 0]}) == 4


def test_loading_is_hidden_behind_the_steps(cache):
    """The loader makes the next batches while a step computes: after a pause they are there at once."""
    patches = Patches(cache, 32, 4, seed=0)
    made = []
    at = patches.at
    patches.at = lambda step: made.append(step) or at(step)
    batches = prefetched(patches, 0, 100, pin=False)
    next(batches)
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert made[:4] == [0, 1, 2, 3]
    batches.close()


def test_what_a_killed_process_left_of_a_cache_is_in_nobodys_way(pictures, tmp_path):
    files = image_files(pictures)
    open_cache(files, 4, tmp_path / "c")
    folder = next(path for path in (tmp_path / "c").iterdir() if path.is_dir())
    (folder / "index.json").unlink()  # a folder without its index
    (folder.parent / f".{folder.name}.part").mkdir()
    (folder.parent / f".{folder.name}.part" / "pixels.bin").write_bytes(b"half of it")
    assert len(open_cache(files, 4, tmp_path / "c").names) == len(files)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
