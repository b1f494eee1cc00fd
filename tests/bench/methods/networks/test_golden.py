"""Other papers' networks against reference outputs of their authors' code, from a file of weights to an image."""

from functools import partial

import numpy as np
import pytest
import torch
from golden_files import GOLDEN, read, ruled_weights

from bench.methods import edsr, ranksrgan, rdn, rfanet, spandrel, srcnn
from bench.methods.networks.state import count

CPU = torch.device("cpu")
MEAN = torch.tensor((0.4488, 0.4371, 0.4040))
METHODS = {
    "edsr_baseline_x4": (edsr.build, 255),
    "rdn_x4": (rdn.build, 255),
    "rcan_x4": (partial(spandrel.build, architecture="RCAN"), 255),
    "ranksrgan_srresnet_x4": (ranksrgan.build, 1),
    "msrresnet_x4": (ranksrgan.build, 1),
    "rrdb_esrgan_x4": (partial(spandrel.build, architecture="ESRGAN"), 1),
    "edsr_x4": (edsr.build, 255),
}
LARGE = ["edsr_x4"]


def golden(name):
    """The description, the arrays and the state dict of a golden file."""
    description, arrays = read(f"baselines/{name}")
    identity = torch.eye(3)[:, :, None, None]
    kept = {"sub_mean.weight": identity, "sub_mean.bias": -255 * MEAN, "add_mean.weight": identity}
    return description, arrays, ruled_weights(description, kept | {"add_mean.bias": 255 * MEAN})


def assert_close(got, expected):
    """Within 1e-4 of the range of the reference: ten times what its own rounding amounts to."""
    expected = torch.from_numpy(expected)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4 * float(expected.max() - expected.min()))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in METHODS])
def test_a_file_of_weights_gives_the_authors_image(name, tmp_path):
    description, arrays, state = golden(name)
    build, unit = METHODS[name]
    file = tmp_path / "weights.pth"
    torch.save({f"module.{key}": value for key, value in state.items()}, file)
    method = build(4, [file], CPU)
    assert method.parameters == description["params_total"]
    draws = method.restore(torch.from_numpy(arrays["lr"])[0], 0.7, [3, 4])
    assert draws.shape == (2, 3, 96, 128)
    assert torch.equal(draws[0], draws[1])
    if name != "rrdb_esrgan_x4":
        assert_close(draws[0], arrays["out"][0] / unit)
        return
    assert_close(draws[0], arrays["out"][0].clip(0, 1))  # spandrel clips
    with torch.inference_mode():
        assert_close(spandrel.describe(file).model.eval()(torch.from_numpy(arrays["lr"])), arrays["out"])


def test_srcnn(tmp_path):
    description, arrays, state = golden("srcnn_955")
    torch.save(state, tmp_path / "srcnn_x4.pth")
    method = srcnn.build(4, [tmp_path / "srcnn_x4.pth"], CPU)
    assert method.parameters == description["params_total"] == 57_281
    network = srcnn.SRCNN("zeros")
    network.load_state_dict(state)
    with torch.inference_mode():
        assert_close(network(torch.from_numpy(arrays["y_bicubic"])), arrays["out"])


def test_the_attention_of_rfanet():
    description, arrays, state = golden("rfanet_esa_block")
    attention = rfanet.ESA(64)
    attention.load_state_dict(state)
    assert count(attention) == description["params_total"]
    rng = np.random.Generator(np.random.PCG64(description["seed"] + 1))
    x = torch.from_numpy(rng.standard_normal((1, 64, 24, 32)).astype(np.float32))
    with torch.inference_mode():
        assert_close(attention(x), arrays["out"])


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: edsr.EDSR(256, 32, 2, 0.1), 40_729_627),
        (lambda: edsr.EDSR(256, 32, 3, 0.1), 43_680_027),
        (lambda: edsr.EDSR(256, 32, 4, 0.1), 43_089_947),
        (lambda: edsr.EDSR(64, 16, 2, 1.0), 1_369_883),
        (lambda: edsr.EDSR(64, 16, 3, 1.0), 1_554_523),
        (lambda: rdn.RDN(64, 16, 8, 64, 2), 22_123_395),
        (lambda: rdn.RDN(64, 16, 8, 64, 3), 22_308_035),
        (lambda: rdn.RDN(64, 16, 8, 64, 4), 22_271_107),
        (rfanet.RFANet, 11_093_635),
    ],
)
def test_numbers_of_parameters(network, parameters):
    with torch.device("meta"):
        made = network()
        assert count(made) == parameters
        shapes = {key: tuple(value.shape) for key, value in made.state_dict().items()}
        assert {key: tuple(value.shape) for key, value in type(made).of(shapes).state_dict().items()} == shapes


def test_the_golden_files_are_small():
    assert max(path.stat().st_size for path in (GOLDEN / "baselines").iterdir()) < 300_000
