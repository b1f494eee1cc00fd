"""The loop: resuming bit for bit, and saves of other runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_tools import ONE, Recorder, assert_same, make_trainer, parameters_of, tiny_recipe

from hcflow.checkpoint import load
from hcflow.errors import CheckpointError
from hcflow.train.session import new_model
from hcflow.train.settings import Intervals, TrainerSettings
from hcflow.train.stage import ComputeOptions
from hcflow.train.state import States
from hcflow.train.trainer import Trainer

TOOLS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["rescale_x4", "sr_x4", "sr_x4+"])
def test_stopping_and_going_on_changes_no_bit(name, cache, tmp_path):
    recipe = tiny_recipe(name, 10)
    straight, _ = make_trainer(recipe, cache, tmp_path / "straight")
    assert straight.run() == "finished"
    resumes = 0
    for _ in range(10):
        part, _ = make_trainer(recipe, cache, tmp_path / "parts", intervals=Intervals(3, 4, 0))
        part.resume()
        original = part._meter.add

        def add(values, skipped, part=part, original=original):
            original(values, skipped)
            part._stop.asked = part.position.step % 7 == 6  # asks to stop after every seventh step

        part._meter.add = add
        if part.run() == "finished":
            break
        resumes += 1
    assert resumes >= 1
    assert part.position.step == straight.position.step == 10 * len(recipe.stages)
    assert_same(parameters_of(part), parameters_of(straight))


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tools!r})
from training_tools import make_trainer, tiny_recipe
from hcflow.data.cache import image_files, open_cache
from hcflow.train.settings import Intervals
cache = open_cache(image_files(Path({pictures!r})), 4, Path({folder!r}) / "decoded")
trainer, _ = make_trainer(tiny_recipe("rescale_x4", 20), cache, Path({folder!r}) / "run", intervals=Intervals(5, 5, 0))
trainer.resume()
kill_at = int(sys.argv[1])
add = trainer._meter.add
def adding(values, skipped):
    add(values, skipped)
    if trainer.position.step + 1 == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
trainer._meter.add = adding
print(trainer.run(), trainer.position.step)
"""


@pytest.mark.slow
def test_kill_9_and_going_on_gives_the_same_weights(cache, pictures, tmp_path):
    straight, _ = make_trainer(tiny_recipe("rescale_x4", 20), cache, tmp_path / "straight")
    straight.run()
    code = SCRIPT.format(tools=str(TOOLS), pictures=str(pictures), folder=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", code, "13"], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in States(tmp_path / "run").paths()] == [
        "step-00000005.safetensors",
        "step-00000010.safetensors",
    ]
    done = subprocess.run([sys.executable, "-c", code, "0"], capture_output=True, text=True, check=False)
    assert done.stdout == "finished 20\n", done.stderr
    assert_same(dict(load(tmp_path / "run" / "weights" / "last.safetensors").state_dict()), parameters_of(straight))


def test_a_damaged_newest_save_costs_only_the_steps_since_the_one_before(cache, tmp_path):
    recipe = tiny_recipe("rescale_x4", 10)
    straight, _ = make_trainer(recipe, cache, tmp_path)
    straight.run()
    newest = States(tmp_path).paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    again, watcher = make_trainer(recipe, cache, tmp_path)
    assert again.resume().path.name == "step-00000005.safetensors"
    assert any("going back to the save before it" in line for line in watcher.lines)
    again.run()
    assert_same(parameters_of(again), parameters_of(straight))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda arguments: arguments | {"recipe": tiny_recipe("rescale_x4", 11)},
            ".*stages.0.iterations: 2 there, 11 here",
        ),
        (lambda arguments: arguments | {"seed": 1}, "seed: 0 there, 1 here"),
        (lambda arguments: arguments | {"initial": "abc"}, "initial weights: new ones there, abc here"),
        (lambda arguments: arguments | {"digest": "other"}, "training images: .* there, other here"),
    ],
)
def test_saves_of_another_run_are_refused(cache, tmp_path, change, message):
    make_trainer(tiny_recipe("rescale_x4", 2), cache, tmp_path)[0].run()
    arguments = change({"recipe": tiny_recipe("rescale_x4", 2), "seed": 0, "digest": cache.digest})
    settings = TrainerSettings(folder=tmp_path, **arguments)
    trainer = Trainer(settings, new_model(settings.recipe, 0), lambda *_: (), ONE, Recorder())
    with pytest.raises(CheckpointError, match=rf"saves of this run, got those of another \({message}\); .*--restart"):
        trainer.resume()


def test_the_end_is_saved_after_its_weights(cache, tmp_path, monkeypatch):
    trainer, _ = make_trainer(tiny_recipe("rescale_x4", 2), cache, tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(States, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert_same(dict(load(tmp_path / "weights" / "last.safetensors").state_dict()), parameters_of(trainer))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_save_and_stop(cache, tmp_path, number):
    trainer, watcher = make_trainer(tiny_recipe("rescale_x4", 1000), cache, tmp_path, intervals=Intervals(0, 0, 0))
    handler = signal.getsignal(number)
    original = trainer._meter.add

    def add(values, skipped):
        original(values, skipped)
        if trainer.position.step == 3:
            os.kill(os.getpid(), number)

    trainer._meter.add = add
    assert trainer.run() == "stopped"
    assert signal.getsignal(number) is handler
    assert States(tmp_path).latest(pytest.fail).position.step == trainer.position.step
    assert trainer.position.step in (4, 5)
    assert "stopping after this step; the run can be resumed" in watcher.lines


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
@pytest.mark.parametrize("before", [True, False])
def test_a_run_leaves_the_settings_of_the_process_as_they_were(precision, before, cache, tmp_path):
    cudnn = torch.backends.cudnn
    original, during = cudnn.allow_tf32, []
    try:
        cudnn.allow_tf32 = before
        trainer, _ = make_trainer(tiny_recipe("rescale_x4", 2), cache, tmp_path, compute=ComputeOptions(precision))
        add = trainer._meter.add
        trainer._meter.add = lambda *args: (during.append(cudnn.allow_tf32), add(*args))
        assert trainer.run() == "finished"
        assert set(during) == {precision == "tf32"}
        assert cudnn.allow_tf32 == before
    finally:
        cudnn.allow_tf32 = original
