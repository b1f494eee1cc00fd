"""python -m hcflow, as people call it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from golden_files import read, weights

from hcflow.__main__ import main
from hcflow.images.io import read_image, write_png


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    for name in ("sr_x4_tiny", "rescale_x4_tiny"):
        torch.save(weights(read(name)[0]), folder / f"{name}.pth")
    return {"sr": str(folder / "sr_x4_tiny.pth"), "rescale": str(folder / "rescale_x4_tiny.pth")}


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (10, 13, 3), dtype=np.uint8)
    write_png(tmp_path / "in.png", pixels)
    return tmp_path / "in.png"


def upscale(source, output, checkpoints, *more):
    return main(["upscale", str(source), "-o", str(output), "--checkpoint", checkpoints["sr"], *more])


def test_info(checkpoints, capsys):
    assert main(["info", checkpoints["sr"]]) == 0
    assert "official layout, sizes that were not published" in capsys.readouterr().out
    assert main(["info", "--json", checkpoints["rescale"]]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["squeeze"] == "haar"


def test_export_there_and_back(checkpoints, tmp_path, capsys):
    assert main(["export", checkpoints["sr"], "-o", str(tmp_path / "a.safetensors")]) == 0
    assert main(["export", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "b.pth")]) == 0
    one, other = (torch.load(path, weights_only=True) for path in (checkpoints["sr"], tmp_path / "b.pth"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_upscale_one_image(checkpoints, picture, tmp_path, capsys):
    assert upscale(picture, tmp_path / "out.png", checkpoints, "--scale", "4", "--seed", "3") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out.png'}\n"
    assert read_image(tmp_path / "out.png").shape == (40, 52, 3)


def test_draws_do_not_depend_on_their_number(checkpoints, picture, tmp_path):
    assert upscale(picture, tmp_path / "five", checkpoints, "--samples", "5", "--temperature", "0.9") == 0
    assert upscale(picture, tmp_path / "two", checkpoints, "--samples", "2", "--temperature", "0.9") == 0
    assert sorted(path.name for path in (tmp_path / "five").iterdir()) == [f"in_{k}.png" for k in range(1, 6)]
    for k in (1, 2):
        assert np.array_equal(*(read_image(tmp_path / run / f"in_{k}.png") for run in ("five", "two")))
    assert not np.array_equal(*(read_image(tmp_path / "five" / f"in_{k}.png") for k in (1, 2)))


def test_grey_and_alpha_in_a_folder(checkpoints, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    rng = np.random.default_rng(0)
    write_png(source / "grey.png", rng.integers(0, 256, (6, 7), dtype=np.uint8))
    write_png(source / "alpha.png", rng.integers(0, 256, (6, 7, 4), dtype=np.uint8))
    assert upscale(source, tmp_path / "out", checkpoints, "--precision", "bf16") == 0
    assert read_image(tmp_path / "out" / "grey.png").shape == (24, 28)
    assert read_image(tmp_path / "out" / "alpha.png").shape == (24, 28, 4)


def test_downscale_and_restore_a_size_that_4_does_not_divide(checkpoints, picture, tmp_path, capsys):
    common = ["--checkpoint", checkpoints["rescale"]]
    assert main(["downscale", str(picture), "-o", str(tmp_path / "small.png"), *common]) == 0
    assert "restore it with --size 13x10" in capsys.readouterr().out
    assert read_image(tmp_path / "small.png").shape == (3, 4, 3)
    back = ["restore", str(tmp_path / "small.png"), "-o", str(tmp_path / "back.png"), *common]
    assert main([*back, "--size", "13x10"]) == 0
    assert read_image(tmp_path / "back.png").shape == (10, 13, 3)
    assert main([*back, "--size", "20x10"]) == 2
    assert "expected --size between 13x9 and 16x12, got 20x10" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upscale", "nothing.png", "-o", "o.png", "--checkpoint", "SR"], "got nothing.png, which does not exist"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "no.pth"], "expected a checkpoint file, got no.pth"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "RESCALE"], "expected a super-resolution checkpoint"),
        (["restore", "IN", "-o", "o.png", "--checkpoint", "SR"], "expected a rescaling checkpoint for restore"),
        (
            ["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--scale", "8"],
            "checkpoint for --scale 8, got one for 4",
        ),
        (["upscale", "IN", "-o", "o.jpg", "--checkpoint", "SR"], "for one image, a .png as output, got o.jpg"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--samples", "0"], "expected --samples >= 1"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--temperature", "-1"], "expected --temperature >= 0"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--device", "tpu9"], "try --device cpu"),
        (["upscale", "EMPTY", "-o", "out", "--checkpoint", "SR"], "expected images"),
        (["info", "IN"], "expected a"),
        (["export", "SR", "-o", "o.onnx"], "ends in .pth or .safetensors"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, checkpoints, picture, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    known = {"IN": str(picture), "EMPTY": "empty", "SR": checkpoints["sr"], "RESCALE": checkpoints["rescale"]}
    assert main([known.get(argument, argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("o.*"))


def test_help_is_quick_and_teaches():
    code = "import sys; from hcflow.__main__ import main\ntry: main(['upscale', '--help'])\nexcept SystemExit: pass\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "assert 'torch' not in sys.modules"], capture_output=True, text=True, check=True
    )
    assert "examples:" in done.stdout
