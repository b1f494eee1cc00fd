"""SRFlow as a whole, in float64 at tiny sizes: inverse, likelihood, sizes, files."""

import math

import pytest
import torch
from srflow_tiny import TINY, pair, srflow

from hcflow.errors import CheckpointError, ConfigError, InputError
from hcflow.srflow import official
from hcflow.srflow.config import SRFLOW_PRESETS, SRFlowConfig
from hcflow.srflow.model import SRFlow


def flat(model, hr, lr):
    return torch.cat([z.flatten() for z in model.encode(hr, lr).latents])


@pytest.mark.parametrize("scale", [2, 4, 8])
@torch.no_grad()
def test_decoding_inverts_encoding(scale):
    model = srflow(scale)
    hr, lr = pair(scale)
    encoded = model.encode(hr, lr)
    assert [tuple(z.shape[1:]) for z in encoded.latents] == model.latent_shapes(*lr.shape[-2:])
    torch.testing.assert_close(model.decode(lr, 1.0, latents=encoded.latents), hr, rtol=0, atol=1e-9)


def test_the_likelihood_is_the_change_of_variables():
    model = srflow(4)
    hr, lr = pair(4, n=1, height=2, width=2)
    noise = torch.rand(hr.shape, generator=torch.Generator().manual_seed(5), dtype=hr.dtype)
    x = hr + (noise - 0.5) / 32
    jacobian = torch.autograd.functional.jacobian(lambda v: flat(model, v, lr), x).reshape(x.numel(), x.numel())
    log_det = torch.linalg.slogdet(jacobian).logabsdet
    torch.testing.assert_close(model.encode(x, lr).log_det[0], log_det, rtol=0, atol=1e-8)
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = log_det + normal.log_prob(flat(model, x, lr)).sum() - hr.shape[-1] * hr.shape[-2] * math.log(32)
    torch.testing.assert_close(model.log_likelihood(hr, lr, noise=noise)[0], expected, rtol=1e-10, atol=1e-8)


@torch.no_grad()
def test_a_draw_does_not_depend_on_how_many_there_are():
    model = srflow(4)
    _, lr = pair(4)
    three = model.decode(lr, 0.9, generator=torch.Generator().manual_seed(3), samples=3)
    one = model.decode(lr, 0.9, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(three[:, 0], one, rtol=0, atol=1e-12)
    assert not torch.allclose(three[:, 0], three[:, 1])


@torch.no_grad()
def test_odd_sizes_are_padded_by_reflection_and_cropped():
    model = srflow(4)
    _, lr = pair(4, height=5, width=7)
    padded = torch.nn.functional.pad(lr, (0, 1, 0, 1), mode="reflect")
    expected = model.decode(padded, 0.0)[..., :20, :28]
    assert torch.equal(model.decode(lr, 0.0), expected)
    with pytest.raises(InputError, match="expected an LR image of two pixels or more"):
        model.decode(lr[..., :1, :], 0.0)


@torch.no_grad()
def test_an_official_file_comes_back_as_it_was(tmp_path):
    model = srflow(4, torch.float32)
    torch.save({f"module.{key}": value for key, value in official.to_official(model).items()}, tmp_path / "a.pth")
    loaded = official.load(tmp_path / "a.pth")
    assert loaded.config == TINY
    _, lr = pair(4, dtype=torch.float32)
    assert torch.equal(loaded.decode(lr, 0.0), model.decode(lr, 0.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("RRDB.trunk_conv.bias"), "expected the key RRDB.trunk_conv.bias, which is missing"),
        (lambda s: s.update(extra=torch.zeros(1)), "got the unexpected key extra"),
        (
            lambda s: s["RRDB.conv_first.bias"].fill_(math.nan),
            "expected finite weights, got NaN or infinity in RRDB",
        ),
        (lambda s: s.clear() or s.update(a=torch.zeros(1)), "expected keys of an SRFlow network"),
    ],
)
def test_a_wrong_file_is_one_line(change, message):
    state = {key: value.clone() for key, value in official.to_official(srflow(4, torch.float32)).items()}
    change(state)
    with pytest.raises(CheckpointError, match=message):
        official.from_official(state, "file.pth")


def test_published_networks_have_the_published_parameters():
    counts = {}
    for name, config in SRFLOW_PRESETS.items():
        with torch.device("meta"):
            counts[name] = sum(parameter.numel() for parameter in SRFlow(config).parameters())
    assert counts == {"srflow_x4": 39_541_811, "srflow_x8": 40_030_531}
    assert [config.stacked for config in SRFLOW_PRESETS.values()] == [(1, 8, 15, 22), (1, 3, 5, 7)]


def test_wrong_sizes_are_one_line():
    model = srflow(4)
    hr, lr = pair(4)
    with pytest.raises(InputError, match="divisible by 8"):
        model.encode(hr[..., :12], lr[..., :3])
    with pytest.raises(InputError, match="expected lr of shape"):
        model.encode(hr, lr[..., :3])
    with pytest.raises(ConfigError, match="expected a scale of 2, 4, 8"):
        SRFlowConfig(scale=3)
