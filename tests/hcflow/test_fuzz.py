"""Thousands of damaged images and checkpoints: one line or a result, never another exception or much memory."""

import random
import resource
import sys

import numpy as np
import pytest
import torch
from golden_files import read, weights
from PIL import Image
from safetensors.torch import save as to_safetensors
from tiny import model

import hcflow
from hcflow.errors import HCFlowError
from hcflow.images.io import ImageError, read_image
from hcflow.images.photo import Original, read_photo, write_photo

pytestmark = pytest.mark.slow

CASES = 1000  # of each kind of file
MOST_MEMORY = 2**31
"""What reading any of them may add to the peak: images are refused above 0.5 GiB of pixels, and copied a few times."""


def mutate(rng, data):
    """Damage a file: bytes replaced, cut out, repeated, or the end missing; mostly where its headers are."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if not data:
            break
        at = rng.randrange(min(len(data), rng.choice((64, 512, len(data)))))
        length = rng.choice((1, 1, 2, 4, 8, 64))
        kind = rng.randrange(6)
        if kind < 3:
            values = (rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))) for _ in range(length))
            data[at : at + length] = bytes(values)
        elif kind == 3:
            del data[at : at + length]
        elif kind == 4:
            data[at:at] = data[at : at + length] * rng.choice((1, 2, 100))
        else:
            del data[rng.randrange(len(data)) :]
    return bytes(data)


def peak():
    """Of this process so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def survive(path, seed, whole, readers, errors):
    """Every mutation gives a result or one line."""
    rng, before, messages = random.Random(seed), peak(), []
    for _ in range(CASES):
        path.write_bytes(mutate(rng, whole))
        for reader in readers:
            try:
                reader(path)
            except errors as error:
                messages.append(str(error))
    assert len(messages) > CASES // 4  # or the mutations do nothing
    assert not [message for message in messages if "\n" in message or len(message) > 1000]
    assert peak() - before < MOST_MEMORY


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif", "bmp", "png16", "palette"])
def test_images(tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8)
    whole = tmp_path / f"whole.{kind}"
    if kind in ("png", "jpg", "webp", "tif"):
        write_photo(whole, pixels, original=Original(17, 24, True))
    elif kind == "bmp":
        Image.fromarray(pixels).save(whole)
    elif kind == "png16":
        Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257).save(whole, format="PNG")
    else:
        Image.fromarray(pixels).quantize(16).save(whole, format="PNG", transparency=3)
    survive(tmp_path / "a", 1, whole.read_bytes(), (read_image, read_photo), ImageError)


@pytest.mark.parametrize("layout", ["zip", "legacy", "own", "metadata"])
def test_checkpoints(tmp_path, layout):
    whole = tmp_path / "whole"
    net = model("rescale_x4", torch.float32)
    if layout in ("zip", "legacy"):
        state = weights(read("rescale_x4_tiny")[0])
        torch.save(state, whole, _use_new_zipfile_serialization=layout == "zip")
        survive(tmp_path / "a", 2, whole.read_bytes(), (hcflow.load,), HCFlowError)
        return
    state = {key: value.contiguous() for key, value in net.state_dict().items()}
    if layout == "own":
        whole = to_safetensors(state, {"hcflow_config": net.config.to_json()})
        survive(tmp_path / "a", 3, whole, (hcflow.load,), HCFlowError)
        return

    def reader(path):
        text = path.read_bytes().decode("utf-8", "replace")
        path.write_bytes(to_safetensors(state, {"hcflow_config": text}))
        hcflow.load(path)

    survive(tmp_path / "a", 4, net.config.to_json().encode(), (reader,), HCFlowError)
