"""What the methods make of files: containers, wrappers, MATLAB's order, and files that do not fit."""

import pickle

import numpy as np
import pytest
import scipy.io
import scipy.ndimage
import torch
from spandrel.architectures.SwinIR import SwinIR
from torch import nn

from bench.errors import BenchError
from bench.methods import dctlsa, edsr, imdn, lapsrn, rdn, spandrel, srcnn, vapsr, vdsr
from bench.methods.method import METHODS, build_method
from bench.methods.networks.state import filled, read_state

CPU = torch.device("cpu")
OWN = ["edsr", "imdn", "lapsrn", "pan", "ranksrgan", "rdn", "rfanet", "rlfn", "srcnn", "vapsr", "vdsr"]
THROUGH_SPANDREL = ["dctlsa", "esrgan", "rcan", "rrdb", "spandrel", "swinir"]


def state_of(network, seed=0):
    """Random weights for a network, by key."""
    rng = np.random.default_rng(seed)
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    return {
        key: torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) / max(1, np.prod(shape[1:])) ** 0.5
        for key, shape in shapes.items()
    }


@pytest.mark.parametrize("name", [*OWN, *THROUGH_SPANDREL, "onnx"])
def test_every_system_is_registered_under_the_name_of_its_file(name):
    entry = METHODS.find(name)
    assert (entry.name, entry.kind, entry.stochastic) == (name, "SR", False)
    assert entry.module == f"bench.methods.{name}"
    assert entry.title
    assert entry.paper
    assert entry.tiling


@pytest.mark.parametrize("name", [*OWN, *THROUGH_SPANDREL, "onnx"])
def test_files_that_are_missing_or_foreign_are_one_line(name, tmp_path):
    entry = METHODS.find(name)
    scale = entry.scales[0] if entry.scales else 4
    foreign = tmp_path / "foreign.pth"
    torch.save({"some.other.weight": torch.zeros(3, 3)}, foreign)
    for files, message in (
        ([], "expected one file of weights, got 0"),
        ([tmp_path / "none.pth"], "none.pth, which does not exist"),
        ([foreign], "foreign.pth: expected"),
    ):
        with pytest.raises(BenchError, match=message) as caught:
            build_method(entry, scale, {}, files, CPU)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrapped", [lambda s: {"params": {}, "params_ema": s}, lambda s: {"state_dict": s}])
def test_wrappers_and_prefixes_are_taken_off(wrapped, tmp_path):
    state = state_of(srcnn.SRCNN("zeros"))
    torch.save(wrapped({f"module.{key}": value for key, value in state.items()}), tmp_path / "weights.pth")
    got = read_state(tmp_path / "weights.pth")
    assert list(got) == list(state)
    assert all(torch.equal(got[key], state[key]) for key in state)


def test_a_pickle_that_asks_for_code_is_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "weights.pth").write_bytes(pickle.dumps({"weight": Harm()}, protocol=2))
    with pytest.raises(
        BenchError, match=r"weights.pth: expected plain tensors, got a file that is damaged or asks for"
    ):
        spandrel.describe(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("conv2.bias"), r"expected conv2.bias of shape \(32,\), got none"),
        (lambda s: s.update({"conv2.bias": torch.zeros(5)}), r"expected conv2.bias .* got one of shape \(5,\)"),
        (lambda s: s.update({"conv4.bias": torch.zeros(5)}), "expected no key 'conv4.bias'"),
        (lambda s: s["conv1.bias"].fill_(float("nan")), "expected finite weights, got NaN or infinity in 'conv1.bias'"),
    ],
)
def test_the_first_key_that_does_not_fit_is_named(change, message, tmp_path):
    state = state_of(srcnn.SRCNN("zeros"))
    change(state)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(BenchError, match=message):
        srcnn.build(4, [tmp_path / "weights.pth"], CPU)


@pytest.mark.parametrize(
    ("module", "network", "scale"),
    [(edsr, edsr.EDSR(8, 1, 2, 1.0), 2), (imdn, imdn.IMDN(16, 1, 3), 3), (vapsr, vapsr.VapSR(8, 8, 1, 2), 4)],
)
def test_sizes_and_the_scale_are_told_from_the_weights(module, network, scale, tmp_path):
    torch.save(state_of(network), tmp_path / "weights.pth")
    method = module.build(scale, [tmp_path / "weights.pth"], CPU)
    assert method.restore(torch.rand(3, 9, 11), 0.0, [0]).shape == (1, 3, 9 * scale, 11 * scale)
    with pytest.raises(BenchError, match=f"expected a network for x8, got one for x{scale}"):
        module.build(8, [tmp_path / "weights.pth"], CPU)


def test_half_precision_weights_are_computed_with_in_float32():
    state = {key: value.half() for key, value in state_of(srcnn.SRCNN("zeros")).items()}
    network = filled(lambda _: srcnn.SRCNN("zeros"), state, "test")
    assert network.conv1.weight.dtype == torch.float32


def test_srcnn_of_matlab_correlates_with_the_edge_repeated(tmp_path):
    """The container as MATLAB's code reads it: each column a window, read down its columns first."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((81, 64)) / 81, rng.standard_normal((64, 25, 32)) / 400
    third, biases = rng.standard_normal((32, 25)) / 100, [rng.standard_normal(n) / 9 for n in (64, 32, 1)]
    names = {f"biases_conv{n}": bias[:, None] for n, bias in enumerate(biases, 1)}
    content = {"weights_conv1": first, "weights_conv2": second, "weights_conv3": third, **names}
    scipy.io.savemat(tmp_path / "x1.mat", content)
    plane = rng.random((12, 14))

    def correlate(image, window, side):
        return scipy.ndimage.correlate(image, window.reshape(side, side, order="F"), mode="nearest")

    one = [np.maximum(correlate(plane, first[:, k], 9) + biases[0][k], 0) for k in range(64)]
    two = [
        np.maximum(sum(correlate(one[i], second[i, :, k], 5) for i in range(64)) + biases[1][k], 0) for k in range(32)
    ]
    expected = sum(correlate(two[i], third[i], 5) for i in range(32)) + biases[2][0]
    method = srcnn.build(1, [tmp_path / "x1.mat"], CPU)
    got = method.restore(torch.from_numpy(plane)[None], 0.0, [0])[0, 0].numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def matlab_filters(state, key):
    """(row, column, input, output) of a filter; (row, column, output, input) of a transposed one, as torch swaps them."""
    return state[key].numpy().transpose(2, 3, 1, 0)


def test_vdsr_of_matlab(tmp_path):
    state = state_of(vdsr.VDSR())
    filters, biases = np.empty(20, dtype=object), np.empty(20, dtype=object)
    for n in range(20):
        filters[n], biases[n] = matlab_filters(state, f"layers.{n}.weight"), state[f"layers.{n}.bias"].numpy()
    scipy.io.savemat(tmp_path / "vdsr.mat", {"model": {"weight": filters, "bias": biases}})
    got = vdsr.from_matlab(tmp_path / "vdsr.mat")
    assert list(got) == list(state)
    assert all(torch.equal(got[key], state[key]) for key in state)


def test_lapsrn_of_matlab_counts_levels_down(tmp_path):
    network = lapsrn.LapSRN(2)
    state = state_of(network)
    params = []
    for key, value in state.items():
        part, kind = key.rsplit(".", 1)
        _, *rest = part.split(".")
        if not rest:
            name = "input_conv"
        else:
            name = f"level{2 - int(rest[0])}_" + {"convs": "conv", "residual": "residual_conv"}.get(rest[1], rest[1])
            name += str(int(rest[2]) + 1) if len(rest) > 2 else ""
        value = matlab_filters(state, key) if kind == "weight" else value.numpy()
        params.append({"name": f"{name}_{kind[0].replace('w', 'f')}", "value": value})
    scipy.io.savemat(tmp_path / "LapSRN_x4.mat", {"net": {"params": params}})
    got = lapsrn.from_matlab(tmp_path / "LapSRN_x4.mat")
    assert got.keys() == state.keys()
    assert all(torch.equal(got[key], state[key]) for key in state)
    assert lapsrn.build(4, [tmp_path / "LapSRN_x4.mat"], CPU).parameters == 814_242
    with pytest.raises(BenchError, match="expected a network for x8, got one for x4"):
        lapsrn.build(8, [tmp_path / "LapSRN_x4.mat"], CPU)


def test_matlab_files_of_others_are_one_line(tmp_path):
    scipy.io.savemat(tmp_path / "other.mat", {"something": np.zeros(3)})
    for module in (srcnn, vdsr, lapsrn):
        with pytest.raises(BenchError, match=r"other.mat: expected (the variable weights_conv1|a struct)"):
            module.build(4, [tmp_path / "other.mat"], CPU)


def test_a_lua_file_of_rdn_is_refused_in_words(tmp_path):
    with pytest.raises(BenchError, match="got a Lua Torch file, which nothing reads safely"):
        rdn.build(4, [tmp_path / "RDN_BIX4.t7"], CPU)


@pytest.fixture
def swinir(tmp_path):
    sizes = {"img_size": 16, "window_size": 8, "depths": [2], "num_heads": [2], "embed_dim": 12, "mlp_ratio": 2}
    network = SwinIR(upscale=2, in_chans=3, upsampler="pixelshuffle", resi_connection="1conv", **sizes)
    torch.save({"params": network.state_dict()}, tmp_path / "SwinIR.pth")
    return network.eval(), tmp_path / "SwinIR.pth"


def test_spandrel_takes_sizes_that_no_window_divides(swinir):
    network, file = swinir
    method = spandrel.build(2, [file], CPU)
    lr = torch.rand(3, 13, 9, generator=torch.Generator().manual_seed(0))
    got = method.restore(lr, 0.0, [0, 0])
    assert got.shape == (2, 3, 26, 18)
    whole = nn.functional.pad(lr[None], (0, 7, 0, 3), mode="reflect")
    with torch.inference_mode():
        expected = network(whole)[0, :, :26, :18].clamp(0, 1)
    torch.testing.assert_close(got[0], expected, rtol=0, atol=1e-5)


def test_spandrel_checks_scale_and_architecture(swinir):
    _, file = swinir
    with pytest.raises(BenchError, match=r"SwinIR.pth: expected a network for x4, got one for x2"):
        spandrel.build(4, [file], CPU)
    with pytest.raises(BenchError, match="expected a network of the architecture DCTLSA, got SwinIR"):
        dctlsa.METHOD.build(2, [file], CPU)
