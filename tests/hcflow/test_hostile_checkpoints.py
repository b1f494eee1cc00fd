"""Checkpoints made to do harm: one line, quickly, in bounded memory."""

import json
import os
import struct
import time
import zipfile

import pytest
import torch
from golden_files import read, weights
from safetensors.torch import save as to_safetensors
from tiny import model

import hcflow
from hcflow.checkpoint import read_notes
from hcflow.errors import CheckpointError


@pytest.fixture(scope="module")
def state():
    return weights(read("sr_x4_tiny")[0])


@pytest.fixture(scope="module")
def own():
    return {key: value.contiguous() for key, value in model("sr_x4", torch.float32).state_dict().items()}


@pytest.fixture(scope="module", autouse=True)
def warm(tmp_path_factory, state):
    """What PyTorch imports when it first builds a network without weights is not counted."""
    path = tmp_path_factory.mktemp("warm") / "a.pth"
    torch.save(state, path)
    hcflow.load(path)


def refused(path, message):
    started = time.process_time()
    with pytest.raises(CheckpointError, match=message) as caught:
        hcflow.load(path)
    assert time.process_time() - started < 10  # a second here, on an idle machine
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def config(**changes):
    return json.dumps(json.loads(model("sr_x4").config.to_json()) | changes)


CONDITIONER = json.loads(model("sr_x4").config.to_json())["conditioner"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (config(K=10**9), "expected K >= 1 and <= 1024, got 1000000000"),
        (config(K=1000), "expected tensors for K = 1000 as in the metadata, got 2"),
        (config(P=1000), "expected tensors for P = 1000"),
        (config(L=64), "expected L >= 1 and <= 8, got 64"),
        (config(L=8), "expected tensors for L = 8 as in the metadata, got 2"),
        (config(width=2**62), "expected width >= 1 and <= 4096"),
        (config(width=4096), r"expected levels.0.* of shape \(4096"),
        (config(conditioner=CONDITIONER | {"features": 0}), "expected conditioner.features >= 1"),
        (config(conditioner=CONDITIONER | {"blocks": [256, 1]}), r"expected tensors for conditioner.blocks\[0\] = 256"),
        (config(temperature=float("nan")), "expected temperature >= 0 and <= 10, got nan"),
        (config(q=10**30), "a number of more than 20 digits"),
        ('{"K": ' + "9" * 5000 + "}", "not JSON"),
        ("[" * 30000, "not JSON"),
        (" " * 10**6, "expected a configuration of at most 65536 characters"),
        ("null", "expected an object, got NoneType"),
    ],
)
def test_configurations_that_ask_for_too_much(own, tmp_path, text, message):
    (tmp_path / "a.safetensors").write_bytes(to_safetensors(own, {"hcflow_config": text}))
    refused(tmp_path / "a.safetensors", message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(3, 3).to_sparse(), "got a sparse tensor"),
        (torch.empty(3, 3, device="meta"), "got a tensor without data"),
        (torch.quantize_per_tensor(torch.zeros(3, 3), 1.0, 0, torch.qint8), "got a quantised tensor"),
        (torch.zeros(3, 3, dtype=torch.complex64), "got complex numbers"),
        (torch.zeros(1).expand(10**6, 10**6), "got a tensor that repeats its numbers"),
    ],
    ids=["sparse", "meta", "quantised", "complex", "expanded"],
)
def test_tensors_of_other_kinds(state, tmp_path, value, message):
    torch.save(state | {"flow.layers.1.actnorm.bias": value}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", message)


@pytest.mark.parametrize("key", ["a\nb", "x" * 5000, "\x1b[2J", "flow.layers." + "9" * 5000 + ".actnorm.bias"])
def test_names_of_tensors_do_not_reach_the_terminal_raw(state, tmp_path, key):
    torch.save(state | {key: torch.zeros(1)}, tmp_path / "a.pth")
    assert "\x1b" not in refused(tmp_path / "a.pth", "expected")


@pytest.mark.parametrize("shape", [(), (0, 3, 3, 3), (2**20, 0)])
def test_shapes_that_no_network_has(state, tmp_path, shape):
    for key in ("flow.level0_condFlow.conv_first.weight", "flow.layers.1.affine.f.conv1.weight"):
        torch.save(state | {key: torch.zeros(shape)}, tmp_path / "a.pth")
        refused(tmp_path / "a.pth", "expected")


def test_integers_as_weights(own, tmp_path):
    key = next(key for key in own if key.endswith("conv1.weight"))
    for other in (own[key].int(), own[key].to(torch.complex64)):
        data = to_safetensors(own | {key: other}, {"hcflow_config": model("sr_x4").config.to_json()})
        (tmp_path / "a.safetensors").write_bytes(data)
        refused(tmp_path / "a.safetensors", "expected floating-point numbers in")


def test_a_zip_that_grows(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as whole, zipfile.ZipFile(tmp_path / "b.pth", "w", 8) as small:
        for member in whole.infolist():
            data = whole.read(member)
            small.writestr(member.filename, bytes(2**24) if member.filename.endswith("/data/0") else data)
    assert (tmp_path / "b.pth").stat().st_size < 2**21
    refused(tmp_path / "b.pth", "got compressed members of")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_empty_files(tmp_path, name):
    (tmp_path / name).touch()
    refused(tmp_path / name, "got an empty file")
    assert read_notes(tmp_path / name) == {}


def test_headers_longer_than_the_file(tmp_path):
    for length in (2**63, 2**40, 100_000_001, 9):
        (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", length) + b"{")
        refused(tmp_path / "a.safetensors", "got a damaged one")


@pytest.mark.parametrize("layout", ["own", "official"])
def test_file_names_that_are_not_utf_8(own, state, tmp_path, layout):
    path = tmp_path / os.fsdecode(b"\xff")
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    if layout == "own":
        path.write_bytes(to_safetensors(own, {"hcflow_config": model("sr_x4").config.to_json(), "note.a": "b"}))
        assert read_notes(path) == {"a": "b"}
    else:
        with path.open("wb") as file:
            torch.save(state, file)
    assert hcflow.load(path).config.L == 2


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "is not a file")
