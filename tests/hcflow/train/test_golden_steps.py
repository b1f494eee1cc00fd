"""Five optimiser steps of the released trainer: losses, gradient norms and what the weights became."""

import pytest
import torch
from golden_files import read, untrained

from hcflow.official import key_map
from hcflow.train.data import Batch
from hcflow.train.processes import Processes
from hcflow.train.recipe import Losses, Stage
from hcflow.train.stage import ComputeOptions, StageTrainer

STEPS = 5
LOSSES = {
    "train_sr_x4_nll": Losses(nll=1.0),
    "train_sr_x8_nll": Losses(nll=1.0),
    "train_sr_x4_nll_pixel": Losses(nll=2e-3, pixel_hr=1.0),
    "train_rescale_x4": Losses(pixel_hr=1.0, pixel_lr=0.05, latent=1e-5),
}


class GoldenNoise:
    """The noise of one step, from the file, as often as it is asked for: initialising the ActNorms asks first."""

    def __init__(self, golden, step):
        self.golden, self.step = golden, step
        self.levels = sorted((key for key in golden if key.startswith("eps_level")), key=lambda key: int(key[-1]))

    def uniform(self, shape):
        noise = self.golden["dequant_noise"][self.step]
        assert noise.shape[1:] == torch.Size(shape)
        return noise

    def normal(self, shape):
        return next(z for z in (self.golden[key][self.step] for key in self.levels) if z.shape[1:] == torch.Size(shape))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("compute", [ComputeOptions(), ComputeOptions(recompute=True)], ids=["plain", "recomputing"])
def test_five_steps(name, compute, monkeypatch):
    model, golden = untrained(name)
    description, _ = read(name)
    stage = Stage(
        "golden", LOSSES[name], STEPS, description["lr"], (), STEPS, batch=4, patch=32,
        betas=tuple(description["betas"]), clip_value=description["clip_value"], clip_norm=description["clip_norm"],
    )  # fmt: skip
    trainer = StageTrainer(model, stage, compute, Processes(0, 1, torch.device("cpu")))
    hr, lr = ((golden[key] * 255).round().to(torch.uint8) for key in ("hr", "lr"))
    got = []
    for step in range(STEPS):
        monkeypatch.setattr("hcflow.train.stage.Noise", lambda seeds, device, step=step: GoldenNoise(golden, step))
        values, skipped = trainer.iterate(Batch(hr, lr, (0,) * 4), step)
        assert not any(map(bool, skipped))
        got.append({key: float(value) for key, value in values.items()})
    names = {"gnorm": "gradient_norm", "gnorm_nll": "gradient_norm", "gnorm_pixel": "gradient_norm_pixel"}
    if name == "train_sr_x4_nll_pixel":
        names["gnorm_nll"] = "gradient_norm_nll"
    for key in (key.removeprefix("hist/") for key in golden if key.startswith("hist/")):
        expected = golden[f"hist/{key}"].tolist()
        assert [one[names.get(key, key)] for one in got] == pytest.approx(expected, rel=1e-4), key
    official = key_map(model.config, [name for name, _ in model.named_parameters()])
    means = {official[name]: float(p.detach().double().abs().mean()) for name, p in model.named_parameters()}
    for key, expected in zip(description["shapes"], golden["final/abs_mean"].tolist(), strict=True):
        if not key.endswith("haar_weights"):
            assert means[key] == pytest.approx(expected, rel=1e-4, abs=0), key
