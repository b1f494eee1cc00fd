"""Five steps of an HCFlow++ stage in float64, against the released trainer's rules written down once more."""

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny import SIZES, images, randomise
from torch import nn
from training_tools import ONE

from hcflow.model import HCFlow
from hcflow.train.data import Batch
from hcflow.train.recipe import Losses, Stage
from hcflow.train.stage import ComputeOptions, StageTrainer

STEPS, TAU = 5, 0.9
STAGE = Stage(
    "++", Losses(nll=2e-3, pixel_hr=1.0, perceptual=5e-2, gan=5e-1), STEPS, 1e-3, (4,), batch=2, patch=32,
    temperature=TAU, discriminator_learning_rate=4e-3, discriminator_alone=1, clip_value=0.2, clip_norm=0.5,
)  # fmt: skip


class FixedNoise:
    """The same draws whenever they are asked for, as every group of an iteration gets them."""

    def __init__(self, step):
        self.step = step

    def _generator(self, shape):
        return torch.Generator().manual_seed(1000 * self.step + sum(shape))

    def uniform(self, shape):
        return torch.rand(2, *shape, generator=self._generator(shape), dtype=torch.float64)

    def normal(self, shape):
        return torch.randn(2, *shape, generator=self._generator(shape), dtype=torch.float64)


def small_discriminator(patch):
    """Stands for the VGG-style one: batch norm, one logit."""
    layers = (nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 3, 2), nn.BatchNorm2d(4))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 7 * 7, 1)).double()


def setting(monkeypatch):
    """A trainer, and what the reference needs: copies of its networks, and the images."""
    torch.manual_seed(0)
    model = randomise(HCFlow(SIZES["sr_x4"]).double()).train()
    features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)).double()  # stands for VGG19
    monkeypatch.setattr("hcflow.train.stage.Discriminator", small_discriminator)
    trainer = StageTrainer(model, STAGE, ComputeOptions(), ONE, features)
    hr, lr = images(model.config, height=32, width=32)
    return trainer, copy.deepcopy(model), copy.deepcopy(trainer.discriminator), features, hr, lr


def ours(trainer, hr, lr, monkeypatch):
    """Losses of each step as the trainer takes it."""
    empty = Batch(torch.zeros(2, dtype=torch.uint8), torch.zeros(2, dtype=torch.uint8), (0, 0))
    for step in range(STEPS):
        monkeypatch.setattr(trainer, "_on_device", lambda batch, step=step: (hr, lr, FixedNoise(step)))
        values, skipped = trainer.iterate(empty, step)
        assert not any(map(bool, skipped))
        yield {key: float(value) for key, value in values.items() if not key.startswith("gradient_norm")}


def reference(model, discriminator, features, hr, lr):
    """The released step: nll, pixel, then perceptual + GAN, then the discriminator on that same draw."""
    adam = torch.optim.Adam(model.parameters(), betas=STAGE.betas)
    adam_d = torch.optim.Adam(discriminator.parameters(), betas=STAGE.betas)
    shapes = model.latent_shapes(*lr.shape[-2:])
    for number in range(1, STEPS + 1):
        noise = FixedNoise(number - 1)
        factor = 0.5 if number >= 4 else 1.0  # the milestone step itself already runs at half
        adam.param_groups[0]["lr"] = factor * 1e-3
        adam_d.param_groups[0]["lr"] = factor * 4e-3
        losses = {}

        def nll(losses=losses, noise=noise):
            log_p = model.log_likelihood(hr, lr, noise=noise.uniform(hr.shape[1:]))
            losses["nll"] = (-log_p / (hr.shape[-1] * hr.shape[-2] * torch.tensor(2.0).double().log())).mean()
            return 2e-3 * losses["nll"]

        def pixel(losses=losses, noise=noise):
            sr = model.decode(lr, 0.0, latents=[noise.normal(shape) for shape in shapes])
            losses["pixel_hr"] = (sr.clamp(0, 1) - hr).abs().mean()
            return losses["pixel_hr"]

        def adversarial(losses=losses, noise=noise):
            losses["draw"] = draw(noise)
            losses["perceptual"] = (features(losses["draw"]) - features(hr)).abs().mean()
            losses["gan"] = F.softplus(-discriminator(losses["draw"])).mean()
            return 5e-2 * losses["perceptual"] + 5e-1 * losses["gan"]

        def draw(noise):
            return model.decode(lr, TAU, latents=[noise.normal(shape) for shape in shapes]).clamp(0, 1)

        if number > 1:  # after the steps of the discriminator alone
            for group in (nll, pixel, adversarial):
                adam.zero_grad()
                group().backward()
                nn.utils.clip_grad_value_(model.parameters(), 0.2)
                nn.utils.clip_grad_norm_(model.parameters(), 0.5)
                adam.step()
        fake = (losses.pop("draw") if number > 1 else draw(noise)).detach()
        real, fake = discriminator(hr), discriminator(fake)
        adam_d.zero_grad()
        losses["discriminator"] = F.softplus(-real).mean() + F.softplus(fake).mean()
        losses["discriminator"].backward()
        adam_d.step()  # not clipped
        yield {key: float(value.detach()) for key, value in losses.items()}


def test_five_steps_follow_the_released_rules(monkeypatch):
    trainer, model, discriminator, features, hr, lr = setting(monkeypatch)
    expected = list(reference(model, discriminator, features, hr, lr))
    for got, wanted in zip(ours(trainer, hr, lr, monkeypatch), expected, strict=True):
        assert got == pytest.approx(wanted, rel=1e-9)
    # A step of Adam is g / sqrt(v): where a gradient is nothing but rounding, its direction is, too. 1e-6 is a
    # thousandth of one step; a rule that is left out moves whole steps.
    for one, other in ((trainer.model, model), (trainer.discriminator, discriminator)):
        for (name, got), wanted in zip(one.named_parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6, msg=name)
