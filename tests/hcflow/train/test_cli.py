"""python -m hcflow train: what a user types, and what the files and messages are."""

import errno
import json
import subprocess
import sys

import pytest
from tiny import SIZES

import hcflow
from hcflow.__main__ import main
from hcflow.images.io import read_image, write_png
from hcflow.train.folder import held


class Plugin:
    """Scores that only a test would give."""

    def __init__(self, pictures):
        self.pictures = pictures

    def images(self, name):
        if name == "Gone":
            raise ValueError("Gone: expected a data set, got none; fetch it")
        return sorted(self.pictures.glob("*.png")) if name == "Sample" else None

    def score(self, sr, hr, scale):
        assert sr.shape == hr.shape
        return {"psnr_y": 100.0 - abs(sr.astype(float) - hr).mean(), "ssim_y": 0.5}

    def lr_psnr(self, lr, expected):
        assert lr.shape == expected.shape
        return 40.0

    def open_log(self, folder):
        from hcflow.train.observers import JsonLog

        (folder / "second").mkdir(exist_ok=True)
        return JsonLog(folder / "second")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs `train` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, plugin=None):
        monkeypatch.setattr("hcflow.train.observers.load_plugin", lambda: plugin)
        return main(["train", "--recipe", "rescale_x4", "--device", "cpu", *map(str, arguments)])

    return run


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """The recipes' networks, tiny."""
    from dataclasses import replace

    from hcflow.train import recipes

    tiny = {
        name: replace(one, network=SIZES.get(name.rstrip("+"), one.network)) for name, one in recipes.RECIPES.items()
    }
    for name, one in tiny.items():
        monkeypatch.setitem(recipes.RECIPES, name, one)


def test_smoke_on_sample_writes_saves_weights_log_and_pictures(command, pictures, tmp_path, capsys):
    plugin = Plugin(pictures)
    assert (
        command("--budget", "smoke", "--validate", "Sample", "--validate-images", 2, "--log-every", 4, plugin=plugin)
        == 0
    )
    folder = tmp_path / "runs" / "rescale_x4-smoke"
    out, err = capsys.readouterr()
    assert out == "runs/rescale_x4-smoke/weights/last.safetensors\n"
    assert "12 steps on 6 images, cpu, fp32, into runs/rescale_x4-smoke" in err
    assert "it/s" in err
    assert hcflow.load(folder / "weights" / "last.safetensors").config == SIZES["rescale_x4"]
    assert hcflow.load(folder / "weights" / "best.safetensors").config == SIZES["rescale_x4"]
    for log in (folder / "log.jsonl", folder / "second" / "log.jsonl"):
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert entries[0]["event"] == "start"
        assert entries[0]["parameters"]["precision"] == "fp32"
        assert len(entries[0]["parameters"]["data_sha256"]) == 64
        assert [entry["step"] for entry in entries if "pixel_hr" in entry] == [4, 8, 12]
        scores = next(entry for entry in entries if "validation_psnr_y_tau1" in entry)
        assert scores["validation_lr_psnr"] == 40.0
        assert {"validation_psnr_y_tau0", "validation_ssim_y_tau1", "validation_inverse_error"} <= set(scores)
        assert entries[-1]["event"] == "finished"
    grid = read_image(next((folder / "samples").glob("samples-*.png")))
    assert grid.shape == (2 * 128, 4 * 128, 3)


def test_the_same_command_again_does_nothing_more_and_restart_begins_anew(command, pictures, tmp_path, capsys):
    arguments = ("--budget", "smoke", "--data", pictures)
    assert command(*arguments) == 0
    capsys.readouterr()
    assert command(*arguments) == 0
    assert "all steps are done; --restart" in capsys.readouterr().err
    assert command(*arguments, "--seed", 1, "--set", "patch=16") == 2
    assert "those of another (stages.0.patch: 32 there, 16 here; seed: 0 there, 1 here); use" in one_line_error(capsys)
    assert command(*arguments, "--seed", 1, "--restart") == 0


def one_line_error(capsys):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "none"), "expected a folder of images, got none, which does not exist; check the path"),
        (("--data", "Gone"), "Gone: expected a data set, got none; fetch it"),
        (("--set", "pathc=3"), "unknown key 'pathc'; did you mean patch? choose from"),
        (
            ("--set", "patch=512"),
            "got none among 6 (the largest is 64x60); use larger images, or patches of 32 at most",
        ),
        (("--recipe", "sr_x5"), "unknown recipe 'sr_x5'; did you mean sr_x8? choose from sr_x4, sr_x4+"),
        (("--accumulate", "3"), "expected a batch that 1 process with --accumulate 3 can share equally, got 2"),
        (("--recipe", "sr_x4++", "--accumulate", "2"), "expected --accumulate 1 for the adversarial loss, got 2"),
        (("--accumulate", "0"), "expected --accumulate >= 1, got 0"),
        (("--save-every", "-1"), "expected --save-every >= 0, got -1"),
        (("--precision", "tf32"), "expected --precision fp32 or bf16 on a CPU, got tf32"),
        (("--data", __file__), "which is a file; check the path"),
        (("--device", "cuda:99"), "expected auto, cpu, cuda[:N] or mps of this machine, got 'cuda:99'"),
        (("--init", "none.pth"), "expected a checkpoint file, got none.pth"),
        (("--vgg19", "none.pth"), "expected torchvision's vgg19-dcbb9e9d.pth for the perceptual loss, got none.pth"),
        (("--budget", "paper"), "expected training images, got none; give folders with --data DIR"),
    ],
)
def test_mistakes_are_one_line(command, pictures, capsys, arguments, message):
    assert command("--budget", "smoke", *arguments, plugin=Plugin(pictures)) == 2
    assert message in one_line_error(capsys)


def test_weights_of_another_preset_are_refused(command, pictures, tmp_path, capsys):
    hcflow.save(hcflow.HCFlow(SIZES["sr_x8"]), tmp_path / "other.safetensors")
    assert command("--budget", "smoke", "--data", pictures, "--init", "other.safetensors") == 2
    assert "other.safetensors: expected weights of the network of rescale_x4, got L = 3" in one_line_error(capsys)


def test_weights_of_the_preset_are_a_start_that_keeps_its_actnorms(command, pictures, tmp_path):
    assert command("--budget", "smoke", "--data", pictures, "--out", "first") == 0
    weights = "first/weights/last.safetensors"
    settings = ("--set", "learning_rate=1e-12", "--out", "second")
    assert command("--budget", "smoke", "--data", pictures, "--init", weights, *settings) == 0
    first, second = (hcflow.load(tmp_path / name / "weights" / "last.safetensors") for name in ("first", "second"))
    for got, expected in zip(second.parameters(), first.parameters(), strict=True):
        assert float((got - expected).detach().abs().max()) < 1e-9


def test_images_smaller_than_a_patch_are_left_out_with_one_line(command, pictures, tmp_path, capsys):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for file in pictures.glob("*.png"):
        (folder / file.name).write_bytes(file.read_bytes())
    write_png(folder / "small.png", read_image(folder / "0.png")[:20])
    assert command("--budget", "smoke", "--data", folder) == 0
    assert "leaving out 1 of 7 images, smaller than 32x32" in capsys.readouterr().err


def test_restart_deletes_what_a_run_wrote_and_nothing_else(command, pictures, tmp_path):
    folder = tmp_path / "run"
    theirs = [folder / name for name in ("weights/mine.pth", "samples/notes.txt", "state/step-1.txt", "paper.pdf")]
    for file in theirs:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    arguments = ("--budget", "smoke", "--data", pictures, "--out", "run")
    assert command(*arguments) == 0
    cut_short = folder / "state" / ".step-00000004.safetensors-abc"  # as kill -9 leaves it
    cut_short.touch()
    assert command(*arguments, "--restart", "--set", "iterations=2") == 0
    assert [path.name for path in (folder / "state").glob("*.safetensors")] == ["step-00000002.safetensors"]
    assert not cut_short.exists()
    assert [json.loads(line).get("event") for line in (folder / "log.jsonl").read_text().splitlines()].count(
        "start"
    ) == 1
    assert [file.read_text() for file in theirs] == 4 * ["mine"]


def test_restart_of_something_wrong_deletes_nothing(command, pictures, tmp_path):
    arguments = ("--budget", "smoke", "--data", pictures, "--out", "run")
    assert command(*arguments) == 0
    before = sorted(tmp_path.glob("run/**/*"))
    for wrong in (("--set", "patch=512"), ("--init", "none.pth"), ("--vgg19", "none.pth"), ("--validate", "none")):
        assert command(*arguments, "--restart", *wrong) == 2
    assert sorted(tmp_path.glob("run/**/*")) == before


def test_a_run_that_is_finished_can_be_validated_later(command, pictures, tmp_path, capsys):
    arguments = ("--budget", "smoke", "--data", pictures, "--out", "run")
    plugin = Plugin(pictures)
    assert command(*arguments, plugin=plugin) == 0
    best = tmp_path / "run" / "weights" / "best.safetensors"
    assert not best.exists()
    assert command(*arguments, "--validate", "Sample", plugin=plugin) == 0
    assert best.exists()
    assert list((tmp_path / "run" / "samples").glob("*-00000012.png"))
    assert "--checkpoint run/weights/best.safetensors`" in capsys.readouterr().err


def test_weights_of_the_run_itself_are_no_start(command, pictures, tmp_path, capsys):
    arguments = ("--budget", "smoke", "--data", pictures, "--out", "run")
    assert command(*arguments) == 0
    weights = tmp_path / "run" / "weights" / "last.safetensors"
    assert command(*arguments, "--init", weights, "--restart") == 2
    assert "expected --init outside of the folder that the run writes to" in one_line_error(capsys)
    assert weights.exists()


def test_file_systems_without_locks_do(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", unknown)
    with held(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def test_only_one_process_trains_into_a_folder(command, pictures, tmp_path, capsys):
    arguments = ("--budget", "smoke", "--data", pictures, "--out", "run")
    with held(tmp_path / "run"):
        assert command(*arguments) == 2
    assert (
        one_line_error(capsys) == "error: run: another process is training into it; wait for it, or give another --out"
    )
    assert command(*arguments) == 0


@pytest.mark.parametrize(("out", "why"), [("file", "Not a directory"), ("file/run", "Not a directory")])
def test_a_folder_that_cannot_be_is_told_before_anything_is_decoded(command, pictures, tmp_path, capsys, out, why):
    (tmp_path / "file").touch()
    assert command("--budget", "smoke", "--data", pictures, "--out", out, "--cache", "decoded") == 2
    message = one_line_error(capsys)
    assert message.startswith(f"error: expected a folder to write the run into, got {out} (")
    assert message.endswith("; give another with --out")
    assert not (tmp_path / "decoded").exists()


def test_vgg19_is_asked_for_before_the_stages_that_do_without(command, pictures, capsys):
    assert command("--budget", "smoke", "--data", pictures, "--recipe", "sr_x4++") == 2
    message = one_line_error(capsys)
    assert "got none; get it with `python -m bench weights fetch VGG19` or from https://" in message


def test_a_save_is_no_checkpoint_but_says_where_one_is(command, pictures, tmp_path, capsys):
    assert command("--budget", "smoke", "--data", pictures, "--out", "run") == 0
    capsys.readouterr()
    assert main(["info", "run/state/step-00000012.safetensors"]) == 2
    assert "got a save that training resumes from; use run/weights/last.safetensors" in one_line_error(capsys)


def test_compilation_that_fails_is_one_line(command, pictures, monkeypatch, capsys):
    from torch._dynamo.exc import TorchDynamoException

    def fails(*_):
        raise TorchDynamoException("no working C++ compiler\n\na hundred lines of advice")

    monkeypatch.setattr("hcflow.train.trainer.Trainer.run", fails)
    assert command("--budget", "smoke", "--data", pictures, "--compile") == 2
    err = capsys.readouterr().err
    assert "takes minutes" in err
    assert err.splitlines()[-1].startswith("error: expected torch.compile to build the networks, got: no working C++")
    assert "advice" not in err


def test_misspelt_options_get_a_suggestion(command, capsys):
    assert command("--restrat") == 2
    assert one_line_error(capsys) == (
        "error: unknown option --restrat; did you mean --restart? `python -m hcflow train --help` lists them"
    )


def test_help_names_every_recipe_and_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert "sr_x4++" in text
    assert "case5" in text
    assert "--nproc-per-node 8 -m hcflow train" in text
    assert "--processes 8" in text


def test_training_needs_nothing_of_the_harness():
    """torch, numpy, safetensors and an image codec are enough on a GPU machine."""
    code = """
import sys
import hcflow.cli.train, hcflow.train.benchmark, hcflow.train.session
foreign = {"bench", "mlflow", "rich", "lpips", "pyiqa", "skimage", "scipy", "pandas", "cv2", "jinja2", "torchvision"}
print(sorted(foreign & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
