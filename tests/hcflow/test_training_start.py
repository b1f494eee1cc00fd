"""The first training step of the released networks: ActNorm initialisation from data, loss and gradient norm."""

import math

import pytest
import torch
from golden_files import untrained

from hcflow.errors import HCFlowError
from hcflow.flow.actnorm import ActNorm
from hcflow.model import bits_per_pixel, quantise
from hcflow.official import key_map

CLIP_VALUE = 5


def gradient_norm(model):
    gradients = [parameter.grad.clamp(-CLIP_VALUE, CLIP_VALUE) for parameter in model.parameters()]
    return math.sqrt(sum(float(gradient.double().square().sum()) for gradient in gradients))


def check_initialisation(model, golden):
    official = key_map(model.config, [name for name, _ in model.named_parameters()])
    parameters = {official[name]: parameter for name, parameter in model.named_parameters()}
    initial = {key.removeprefix("after_init/"): value for key, value in golden.items() if key.startswith("after_init/")}
    assert initial
    for key, expected in initial.items():
        # 1e-5 of what is normalised to unit scale; the rest of the error is the 1e-6 inside the logarithm
        torch.testing.assert_close(parameters[key].detach().flatten(), expected, atol=1e-5, rtol=1e-5, msg=key)


@pytest.mark.parametrize("name", ["train_sr_x4_nll", "train_sr_x8_nll"])
def test_first_step_of_super_resolution(name):
    model, golden = untrained(name)
    hr = golden["hr"]
    log_p = model.log_likelihood(hr, golden["lr"], noise=golden["dequant_noise"][0])
    check_initialisation(model, golden)
    nll = bits_per_pixel(log_p, hr.shape[-2] * hr.shape[-1]).mean()
    assert float(nll.detach()) == pytest.approx(float(golden["hist/nll"][0]), rel=1e-5)
    nll.backward()
    assert gradient_norm(model) == pytest.approx(float(golden["hist/gnorm_nll"][0]), rel=1e-4)


def test_first_step_of_rescaling():
    model, golden = untrained("train_rescale_x4")
    encoded = model.encode(golden["hr"])
    check_initialisation(model, golden)
    y = encoded.lr.clamp(0, 1)
    latents = [golden[f"eps_level{level}"][0] for level in (1, 2)]
    hr = model.decode(quantise(y), 1.0, latents=latents).clamp(0, 1)
    losses = {
        "pixel_hr": (hr - golden["hr"]).abs().mean(),
        "pixel_lr": (y - golden["lr"]).square().mean(),
        "latent": sum(z.square().sum() for z in encoded.latents) / sum(z.numel() for z in encoded.latents),
    }
    for key, loss in losses.items():
        assert float(loss.detach()) == pytest.approx(float(golden[f"hist/{key}"][0]), rel=1e-5), key
    (losses["pixel_hr"] + 0.05 * losses["pixel_lr"] + 1e-5 * losses["latent"]).backward()
    assert gradient_norm(model) == pytest.approx(float(golden["hist/gnorm"][0]), rel=1e-4)


def test_actnorm_initialises_once_and_only_from_training_batches():
    actnorm = ActNorm(3)
    x = 5 + 3 * torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(actnorm.eval()(x)[0], x)
    with pytest.raises(HCFlowError, match="run one encode first"):
        actnorm.train().inverse(x)
    y, _ = actnorm(x)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    before = actnorm.bias.detach().clone()
    actnorm(x + 1)
    assert torch.equal(actnorm.bias, before)
    again = ActNorm(3)
    again.load_state_dict(actnorm.state_dict())
    again(x + 1)
    assert torch.equal(again.bias, before)
