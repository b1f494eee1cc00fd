"""Golden parity: tensors of the released networks, float32, within 1e-5 of each array's largest magnitude."""

import pytest
import torch
from golden_files import read, weights

from hcflow.checkpoint import from_official
from hcflow.config import PRESETS
from hcflow.model import HCFlow, bits_per_pixel, quantise

# A float64 recomputation of the golden arrays differs by at most 3.2e-6.
TOLERANCE = 1e-5
PARAMETERS = {"sr_x4": 23_232_539, "sr_x8": 27_017_723, "rescale_x4": 4_396_206}
NAMES = [f"{preset}_{size}" for preset in PRESETS for size in ("tiny", "full")]


@pytest.fixture(scope="module", params=NAMES)
def case(request):
    description, arrays = read(request.param)
    model = from_official(weights(description)).eval()
    return (
        request.param,
        model,
        {key: torch.from_numpy(value) for key, value in arrays.items() if value.ndim},
        arrays,
    )


def close(ours, golden):
    assert ours.shape == golden.shape
    assert (ours - golden).abs().max() <= TOLERANCE * golden.abs().max()


@pytest.mark.parametrize("name", PRESETS)
def test_parameter_counts_are_those_of_the_released_networks(name):
    with torch.device("meta"):
        model = HCFlow(PRESETS[name])
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


def test_full_size_goldens_are_recognised_as_their_preset(case):
    name, model, _, _ = case
    if name.endswith("_full"):
        assert model.config == PRESETS[name.removesuffix("_full")]


@torch.no_grad()
def test_encode(case):
    name, model, golden, _ = case
    x = model.dequantise(golden["hr"], golden.get("dequant_noise"))
    encoded = model.encode(x)
    close(encoded.lr, golden["lr_raw"])
    if name.startswith("sr"):
        close(quantise(encoded.lr), golden["lr_quantized"])
        close(model.log_prob_of_latents(encoded), golden["objective_without_lr_term"])
    else:
        close(encoded.lr.clamp(0, 1), golden["lr_clamped"])
        for level, z in enumerate(encoded.latents, 1):
            close(z, golden[f"z{level}"])


@torch.no_grad()
def test_bits_per_pixel(case):
    name, model, golden, arrays = case
    if name.startswith("rescale"):
        pytest.skip("rescaling has no likelihood")
    hr = golden["hr"]
    log_p = model.log_likelihood(hr, golden["lr"], noise=golden["dequant_noise"])
    bits = bits_per_pixel(log_p, hr.shape[-2] * hr.shape[-1]).mean()
    close(bits, torch.tensor(float(arrays["nll_bits_per_dim"])))


@torch.no_grad()
def test_decode(case):
    _, model, golden, _ = case
    latents = [golden[f"eps_level{level}"] for level in range(1, model.config.L + 1)]
    for key in (key for key in golden if key.startswith("sr_tau")):
        close(model.decode(golden["lr"], float(key.removeprefix("sr_tau")), latents=latents), golden[key])
