"""The same numbers on a GPU as on the CPU: `pytest -m cuda`; where there is no GPU, the CPU stands for it.

Tolerances: float32 convolutions of a GPU add in another order, so that results of unit size differ by some 1e-6 per
layer; 1e-4 leaves room for the dozens of layers. TF32 would differ by 1e-3 and must be off.
"""

import numpy as np
import pytest
import torch
from tiny import SIZES, images, model
from training_tools import tiny_recipe

from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from hcflow.folded.decoder import fold
from hcflow.images.matlab_resize import imresize
from hcflow.train.data import Batch
from hcflow.train.processes import Processes
from hcflow.train.session import new_model
from hcflow.train.stage import ComputeOptions, StageTrainer

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
TAU = 0.2
"""Low: random weights of eight scales amplify some latents at 0.8 beyond float32."""
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, no_gpu])]
pytestmark = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture(autouse=True)
def no_tf32():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_encode_and_decode(device, name):
    here = model(name, torch.float32)
    there = model(name, torch.float32).to(device)
    hr, lr = images(here.config, height=8 * here.config.scale, width=8 * here.config.scale, dtype=torch.float32)
    expected, got = here.encode(hr, lr), there.encode(hr.to(device), lr.to(device))
    for one, other in zip((expected.log_det, *expected.latents), (got.log_det, *got.latents), strict=True):
        assert other.device.type == device
        torch.testing.assert_close(other.cpu(), one, **TOLERANCE)
    latents = [torch.randn(2, *shape) for shape in here.latent_shapes(8, 8)]
    expected_sr = here.decode(lr, TAU, latents=latents)
    got_sr = there.decode(lr.to(device), TAU, latents=[z.to(device) for z in latents])
    torch.testing.assert_close(got_sr.cpu(), expected_sr, **TOLERANCE)


@pytest.mark.parametrize("name", ["sr_x4", "sr_x8", "rescale_x4"])
@torch.inference_mode()
def test_folded_decoder(device, name):
    here = model(name, torch.float32)
    lr = images(here.config, height=8 * here.config.scale, width=8 * here.config.scale, dtype=torch.float32)[1]
    latents = [torch.randn(2, *shape) for shape in here.latent_shapes(8, 8)]
    expected = fold(here).decode(lr, TAU, latents=latents)
    got = fold(here.to(device)).decode(lr.to(device), TAU, latents=[z.to(device) for z in latents])
    torch.testing.assert_close(got.cpu() / expected.std(), expected / expected.std(), **TOLERANCE)


@pytest.mark.parametrize("scale", [0.25, 1 / 3, 2.0])
def test_imresize_and_the_metrics_of_it(device, scale):
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 48, 60), dtype=np.uint8))
    got = imresize(image.to(device), scale).cpu()
    expected = imresize(image, scale)
    assert torch.equal(got, expected)  # 8 bit: not a single value may be another
    pair = [one.permute(1, 2, 0).numpy().astype(np.float64) for one in (got, expected)]
    assert psnr(*pair) == np.inf
    assert ssim(*pair) == pytest.approx(1)


@pytest.mark.parametrize("name", ["sr_x4+", "rescale_x4"])
def test_training_steps(device, name):
    """Noise comes from the device's own generators, so that losses agree as two draws do; they fall on both."""
    recipe = tiny_recipe(name, 30)
    rng = np.random.default_rng(0)
    hr = torch.from_numpy(rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8))
    batch = Batch(hr, imresize(hr, 0.25), (0, 1, 2, 3))
    losses = {}
    for where in ("cpu", device):
        network = new_model(recipe, 0).to(where).train()
        trainer = StageTrainer(network, recipe.stages[-1], ComputeOptions(), Processes(0, 1, torch.device(where)))
        steps = [trainer.iterate(batch, iteration) for iteration in range(12)]
        assert not any(bool(flag) for _, skipped in steps for flag in skipped)
        losses[where] = [float(values["pixel_hr"]) for values, _ in steps]
    assert losses[device] == pytest.approx(losses["cpu"], rel=0.2)


def test_likelihood_of_a_first_step(device):
    """Without noise that differs between devices: the nll of one batch, and its gradient norm."""
    found = []
    for where in ("cpu", device):
        network = new_model(tiny_recipe("sr_x4", 1), 0).to(where)
        hr, lr = images(network.config, height=32, width=32, dtype=torch.float32)
        network.train().encode(hr.to(where), lr.to(where))  # initialises the ActNorms
        log_p = network.log_likelihood(hr.to(where), lr.to(where), noise=torch.full_like(hr, 0.5).to(where))
        (-log_p.mean() / hr[0].numel()).backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        found.append((float(log_p.detach().mean()), float(norm)))
    assert found[1] == pytest.approx(found[0], rel=1e-4)
