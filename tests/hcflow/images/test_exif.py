"""EXIF blocks that are odd, and files with damage anywhere."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hcflow.images.io import ImageError, read_image

RGB = np.random.default_rng(3).integers(0, 256, (9, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("odd", [{0x0100: (2, 3)}, {0x010E: (11, 3)}, {0x011A: (2, 3)}], ids=["width", "text", "dpi"])
def test_odd_exif_tags_do_not_hide_the_orientation(tmp_path: Path, odd: dict[int, tuple[int, int]]) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(RGB).save(path, exif=_exif(odd | {0x0112: (3, 6)}))
    np.testing.assert_array_equal(read_image(path), np.rot90(RGB, -1))


def _exif(tags: dict[int, tuple[int, int]]) -> bytes:
    """An EXIF block of the tags {number: (type, value)}, whether they make sense or not."""
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in tags.items())
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


@pytest.mark.filterwarnings("ignore")  # Pillow's own remarks about what it skips
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp"])
def test_a_damaged_file_is_an_image_error_whatever_is_damaged(tmp_path: Path, suffix: str) -> None:
    path, rng = tmp_path / f"x.{suffix}", np.random.default_rng(8)
    exif = _exif({0x010E: (2, 9), 0x0112: (3, 6), 0x011A: (5, 40)})
    Image.fromarray(RGB).save(path, **({} if suffix == "bmp" else {"exif": exif}))
    whole = path.read_bytes()
    messages = []
    for _ in range(400):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 120), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert read_image(path).dtype == np.uint8
        except ImageError as error:
            messages.append(str(error))
    assert messages
    assert not any("\n" in message for message in messages)
