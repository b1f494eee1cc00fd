"""Several processes do what one does with the joined batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1]


WORKER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tools!r})
import torch
torch.set_num_threads(1)
from training_tools import Recorder, tiny_recipe
from hcflow.data.cache import image_files, open_cache
from hcflow.train.data import Patches, prefetched
from hcflow.train.processes import joined
from hcflow.train.session import new_model
from hcflow.train.stage import ComputeOptions
from hcflow.train.settings import Intervals, TrainerSettings
from hcflow.train.trainer import Trainer
cache = open_cache(image_files(Path({pictures!r})), 4, Path({folder!r}) / "decoded")
with joined("cpu") as processes:
    def batches(stage, seed, start, stop):
        share = (processes.rank, processes.world)
        return prefetched(Patches(cache, stage.patch, stage.batch, seed, stage.augment, *share), start, stop, pin=False)
    assert processes.agree(-1)
    assert processes.agree(processes.rank) == (processes.world == 1)
    watcher = Recorder()
    folder = Path({folder!r}) / f"run{{processes.world}}-{accumulate}"
    recipe = tiny_recipe({recipe!r}, 4)
    compute = ComputeOptions(accumulate={accumulate})
    settings = TrainerSettings(recipe, folder, compute, Intervals(1, 2, 0), digest=cache.digest)
    trainer = Trainer(settings, new_model(recipe, 0), batches, processes, watcher)
    trainer.resume()
    assert trainer.run() == "finished"
    weights = float(sum(p.double().abs().sum() for p in trainer.model.parameters()))
    Path({folder!r}, f"result-{{processes.world}}-{{processes.rank}}.json").write_text(
        json.dumps([[v for v in watcher.values], weights]))
"""


def launch(code, world, port):
    """Start the processes of a run as torchrun does, and wait for them."""
    workers = []
    for rank in range(world):
        environment = os.environ | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        workers.append(subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes))
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "accumulate"), [("sr_x4+", 1), ("rescale_x4", 2)])
def test_two_processes_have_the_losses_of_one_with_the_joined_batch(recipe, accumulate, cache, pictures, tmp_path):
    code = WORKER.format(
        tools=str(TOOLS), pictures=str(pictures), folder=str(tmp_path), recipe=recipe, accumulate=accumulate
    )
    launch(code, 1, free_port())
    launch(code, 2, free_port())
    one, first, second = (json.loads((tmp_path / f"result-{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    assert first[1] == second[1]  # all processes end with the same weights
    assert first[1] == pytest.approx(one[1], rel=1e-6)
    assert len(first[0]) == len(one[0])
    for (_, mine), (_, other), (_, joined) in zip(first[0], second[0], one[0], strict=True):
        for name in ("nll", "pixel_hr", "pixel_lr", "latent"):
            if name in joined:
                assert mine[name] == other[name] == pytest.approx(joined[name], rel=1e-4), name
        assert mine["gradient_norm" if "gradient_norm" in joined else "gradient_norm_nll"] == pytest.approx(
            joined["gradient_norm" if "gradient_norm" in joined else "gradient_norm_nll"], rel=1e-3
        )


TROUBLE = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tools!r})
import torch
torch.set_num_threads(1)
from training_tools import Recorder, tiny_recipe
from hcflow.data.cache import image_files, open_cache
from hcflow.train.data import Patches, prefetched
from hcflow.train.processes import joined
from hcflow.train.session import new_model
from hcflow.train.settings import Intervals, TrainerSettings
from hcflow.train.trainer import Trainer
from hcflow.train.update import Updater
from hcflow.train.validation import ValidationResult
cache = open_cache(image_files(Path({pictures!r})), 4, Path({folder!r}) / "decoded")
calls = []
step = Updater.step
def spoilt(self, loss, learning_rate):
    calls.append(1)
    bad = processes.rank == 1 and 7 < len(calls) <= 20  # one process's trouble is everybody's
    return step(self, loss * float("nan") if bad else loss, learning_rate)
Updater.step = spoilt
class Judge:
    errors = [0.0, 0.0, 1e3, 0.0, 0.0, 0.0]
    def __call__(self, model):
        return ValidationResult({{"inverse_error": self.errors.pop(0)}}, {{}}, 30.0, "images")
with joined("cpu") as processes:
    def batches(stage, seed, start, stop):
        share = (processes.rank, processes.world)
        return prefetched(Patches(cache, stage.patch, stage.batch, seed, stage.augment, *share), start, stop, pin=False)
    watcher = Recorder()
    recipe = tiny_recipe("rescale_x4", 50, batch=2, patch=16)
    settings = TrainerSettings(recipe, Path({folder!r}) / "run", intervals=Intervals(5, 2, 10), digest=cache.digest)
    trainer = Trainer(settings, new_model(recipe, 0), batches, processes, watcher, validation=Judge())
    trainer.resume()
    original = trainer._is_time_to_stop
    def stopping(iteration):
        trainer._stop.asked = processes.rank == 1 and iteration >= 35
        return original(iteration)
    trainer._is_time_to_stop = stopping
    ending = trainer.run()
    weights = float(sum(p.double().abs().sum() for p in trainer.model.parameters()))
    returns = [line.split(",")[0] for line in watcher.lines if "back at step" in line]
    Path({folder!r}, f"trouble-{{processes.rank}}.json").write_text(
        json.dumps([ending, trainer.position.step, returns, weights]))
"""


@pytest.mark.slow
def test_trouble_of_one_process_takes_all_back_together(pictures, tmp_path):
    launch(TROUBLE.format(tools=str(TOOLS), pictures=str(pictures), folder=str(tmp_path)), 2, free_port())
    first, second = (json.loads((tmp_path / f"trouble-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    ending, step, returns, _ = first
    assert (ending, step) == ("stopped", 40)  # agreed on at every tenth step
    assert returns == [f"steps kept failing: back at step {step}" for step in (6, 10)]
