"""python -m hcflow, as people call it."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from golden_files import read, weights
from PIL import Image

from hcflow.__main__ import main
from hcflow.images.io import read_image, write_png
from hcflow.images.photo import Original, write_photo
from hcflow.trained import RESCALING_X4, SR_X4, SR_X4_TEMPERATURE


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
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "HCFlow for super-resolution x4"
    assert "layout       official, sizes that were not published" in out
    assert main(["info", "--json", checkpoints["rescale"]]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["squeeze"] == "haar"


def test_export_there_and_back(checkpoints, tmp_path, capsys):
    assert main(["export", checkpoints["sr"], "-o", str(tmp_path / "a.safetensors")]) == 0
    assert main(["export", str(tmp_path / "a.safetensors"), "-o", str(tmp_path / "b.pth")]) == 0
    assert main(["export", checkpoints["sr"], "-o", str(tmp_path / "a.safetensors")]) == 2
    assert "which exists; use --overwrite" in capsys.readouterr().err
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


def restored(picture, tmp_path, checkpoints, *more, small="small.png"):
    common = ["--checkpoint", checkpoints["rescale"]]
    assert main(["downscale", str(picture), "-o", str(tmp_path / small), *common]) == 0
    return main(["restore", str(tmp_path / small), "-o", str(tmp_path / "back.png"), *common, *more])


@pytest.mark.parametrize("small", ["small.png", "small.webp", "small.tif"])
def test_restore_gives_the_size_of_the_original(checkpoints, picture, tmp_path, capsys, small):
    assert restored(picture, tmp_path, checkpoints, small=small) == 0
    assert read_image(tmp_path / small).shape == (3, 4, 3)
    assert read_image(tmp_path / "back.png").shape == (10, 13, 3)
    assert restored(picture, tmp_path, checkpoints, "--size", "20x10", "--overwrite", small=f"2{small}") == 2
    assert "expected --size between 13x9 and 16x12, got 20x10" in capsys.readouterr().err
    assert restored(picture, tmp_path, checkpoints, "--size", "16x9", "--overwrite", small=f"3{small}") == 0
    assert read_image(tmp_path / "back.png").shape == (9, 16, 3)


def test_a_small_image_that_was_changed_is_not_cropped(checkpoints, picture, tmp_path, capsys):
    common = ["--checkpoint", checkpoints["rescale"]]
    write_photo(tmp_path / "small.png", read_image(picture), original=Original(13, 10, False))
    assert main(["restore", str(tmp_path / "small.png"), "-o", str(tmp_path / "back.png"), *common]) == 0
    assert "not cropped: it was changed since it was made of 13x10 pixels" in capsys.readouterr().err
    assert read_image(tmp_path / "back.png").shape == (40, 52, 3)


def test_grey_images_keep_what_the_network_put_into_colours(checkpoints, tmp_path):
    write_png(tmp_path / "in.png", np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8))
    assert restored(tmp_path / "in.png", tmp_path, checkpoints) == 0
    small = read_image(tmp_path / "small.png")
    assert small.ndim == 3
    assert (small != small.mean(2, keepdims=True)).any()
    assert read_image(tmp_path / "back.png").shape == (12, 12)


def test_a_grey_image_is_restored_as_well_as_a_coloured_one(tmp_path):
    """With the shipped network: the small image of a grey original has colours, and they are worth decibels."""
    y, x = np.mgrid[0:64, 0:64] / 64
    grey = np.uint8(127 + 60 * np.sin(40 * x * (1 + y)) + 40 * np.cos(30 * y))
    write_png(tmp_path / "in.png", grey)
    write_png(tmp_path / "rgb.png", np.dstack([grey] * 3))
    (tmp_path / "rgb").mkdir()
    checkpoint = {"rescale": str(RESCALING_X4)}
    decibels = []
    for source, folder in ((tmp_path / "in.png", tmp_path), (tmp_path / "rgb.png", tmp_path / "rgb")):
        assert restored(source, folder, checkpoint, "--temperature", "0") == 0
        back = read_image(folder / "back.png").astype(float)
        decibels.append(-10 * np.log10(np.mean((back / 255 - read_image(source) / 255) ** 2)))
    assert decibels[0] >= decibels[1]  # the mean of three channels is no worse than they are


def test_nothing_is_overwritten_unasked(checkpoints, picture, tmp_path, capsys):
    before = picture.read_bytes()
    assert upscale(tmp_path, tmp_path, checkpoints, "--overwrite") == 2
    assert "expected an output that is not an input" in capsys.readouterr().err
    assert upscale(picture, tmp_path / "out", checkpoints) == 0
    (tmp_path / "link.png").symlink_to(picture)
    assert upscale(picture, tmp_path / "link.png", checkpoints, "--overwrite") == 2
    assert picture.read_bytes() == before

    first = (tmp_path / "out/in.png").read_bytes()
    assert upscale(picture, tmp_path / "out", checkpoints, "--seed", "1") == 2
    assert "use --overwrite to replace them or --skip-existing" in capsys.readouterr().err
    assert upscale(picture, tmp_path / "out", checkpoints, "--seed", "1", "--skip-existing") == 0
    assert (tmp_path / "out/in.png").read_bytes() == first
    assert upscale(picture, tmp_path / "out", checkpoints, "--seed", "1", "--overwrite") == 0
    assert (tmp_path / "out/in.png").read_bytes() != first


def test_a_folder_is_worked_through_whatever_is_in_it(checkpoints, picture, tmp_path, capsys):
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.png").write_bytes(picture.read_bytes()[:200])
    Image.new("CMYK", (4, 4)).save(source / "b.jpg")
    os.mkfifo(source / "c.png")
    for name in ("d.png", "e.png"):
        (source / name).write_bytes(picture.read_bytes())
    assert upscale(source, tmp_path / "out", checkpoints) == 2
    out, error = capsys.readouterr()
    assert out.splitlines() == [str(tmp_path / "out" / name) for name in ("d.png", "e.png")]
    lines = error.splitlines()
    assert "upscale: 2 of 5 images done, 3 skipped:" in lines
    assert [line.split(":")[1].strip() for line in lines[-3:]] == [str(source / n) for n in ("a.png", "b.jpg", "c.png")]

    assert upscale(source, tmp_path / "strict", checkpoints, "--strict") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {source}/a.png: expected a readable image")
    assert list((tmp_path / "strict").iterdir()) == []


def test_quiet_and_verbose(checkpoints, picture, tmp_path, capsys):
    assert upscale(picture, tmp_path / "1.png", checkpoints, "--quiet") == 0
    assert capsys.readouterr() == (f"{tmp_path / '1.png'}\n", "")
    assert upscale(picture, tmp_path / "2.png", checkpoints, "--verbose") == 0
    assert f"{picture}: whole image" in capsys.readouterr().err
    assert upscale(picture, tmp_path / "2.png", checkpoints, "--verbose") == 2
    assert "Traceback" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("hcflow-bench ")


def test_formats_by_suffix_and_by_option(checkpoints, picture, tmp_path):
    for name in ("a.jpg", "a.webp", "a.tif", "a.png"):
        assert upscale(picture, tmp_path / name, checkpoints, "--temperature", "0") == 0
        with Image.open(tmp_path / name) as image:
            assert image.format == {"jpg": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:].upper())
    assert upscale(picture, tmp_path / "out", checkpoints, "--format", "webp") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["in.webp"]


def test_weights_that_overflow_are_an_error_and_no_black_image(checkpoints, picture, tmp_path, capsys):
    state = torch.load(checkpoints["sr"], weights_only=True)
    for key in state:
        if key.endswith("actnorm.logs"):
            state[key].fill_(-60.0)
    torch.save(state, tmp_path / "large.pth")
    assert upscale(picture, tmp_path / "out.png", {"sr": str(tmp_path / "large.pth")}) == 2
    assert "expected finite pixels from decoding at temperature 0.9, got NaN or infinity" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


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
        (["upscale", "IN", "-o", "o.gif", "--checkpoint", "SR"], "a .png, .jpg, .webp or .tif as output, got o.gif"),
        (["upscale", "IN", "-o", "o.png", "--format", "webp", "--checkpoint", "SR"], "ends in .webp for --format webp"),
        (["downscale", "IN", "-o", "o.jpg", "--checkpoint", "RESCALE"], "JPEG changes the pixels that restore needs"),
        (["upscale", "IN", "-o", "IN", "--overwrite", "--checkpoint", "SR"], "expected an output that is not an input"),
        (["upscale", "FOLDER", "-o", "o.png", "--checkpoint", "SR"], "expected a folder as output for a folder"),
        (["upscale", "IN", "-o", "FILE/", "--checkpoint", "SR"], "which is a file; choose another name"),
        (["upscale", "IN", "-o", "FILE/o.png", "--checkpoint", "SR"], "expected a folder that can be made"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--temperature", "1e30"], "and <= 10, got 1e+30"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--temperature", "nan"], "and <= 10, got nan"),
        (["upscale", "IN", "-o", "o.png", "--checkpoint", "SR", "--seed", str(2**70)], "--seed of 64 bits"),
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
    (tmp_path / "file").write_text("text")
    known = {"IN": str(picture), "EMPTY": "empty", "SR": checkpoints["sr"], "RESCALE": checkpoints["rescale"]}
    known |= {"FOLDER": str(tmp_path), "FILE/": "file/", "FILE/o.png": "file/o.png"}
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


@pytest.mark.parametrize("program", ["hcflow", "bench"])
def test_the_list_of_commands_needs_no_library(program):
    code = f"import sys; from {program}.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "{'torch', 'numpy', 'PIL', 'rich', 'scipy', 'pandas', 'mlflow'}"
    done = subprocess.run(
        [sys.executable, "-c", code + f"assert not {heavy} & sys.modules.keys()"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "COMMAND --help` explains a command" in done.stdout


@pytest.mark.parametrize("program", ["hcflow", "bench"])
def test_every_command_is_there_and_takes_quiet_and_verbose(program, capsys):
    module = import_module(f"{program}.__main__")

    def options(*command):
        with pytest.raises(SystemExit) as ended:
            module.main([*command, "--help"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    for command in module.COMMANDS:
        shown = options(command)
        assert "--quiet" in shown
        assert "--verbose" in shown
        if command in ("data", "weights", "latents"):
            listed = re.findall(r"^    (\w[\w-]*)(?: |$)", shown, re.MULTILINE)
            assert len(listed) >= 4
            for action in listed:
                assert "--quiet" in options(command, action)


def test_an_error_is_one_printable_line_of_bounded_length(checkpoints, tmp_path, capsys):
    assert main(["info", str(tmp_path / "a\nb\x1b[31m.pth")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a\\nb\\x1b[31m.pth, which does not exist" in error
    assert main(["train", "--recipe", "rescale_x4", "--budget", "smoke", "--set", "p" * 9000 + "=1"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert len(error) < 2100
    assert "unknown key 'ppp" in error
    assert "choose from" in error


@pytest.mark.parametrize(
    ("program", "arguments", "expected"),
    [
        ("hcflow", ["upscal"], "error: COMMAND: expected one of upscale, downscale, restore, "),
        ("hcflow", ["upscal"], ", got 'upscal'; did you mean upscale? `python -m hcflow --help` explains\n"),
        ("bench", ["shwo"], ", got 'shwo'; did you mean show? `python -m bench --help` explains\n"),
        ("bench", ["show", "--table", "4", "--format", "jsn"], "--format: expected one of text, json"),
        ("bench", ["weights", "lst"], "ACTION: expected one of list, show, import, fetch"),
        ("bench", ["run"], "error: one of the arguments --table"),
        ("hcflow", [], "error: the following arguments are required: COMMAND; `python -m hcflow --help` explains\n"),
        ("hcflow", ["restore", "a", "-o", "b", "--checkpoint", "c", "--size", "x"], "expected WIDTHxHEIGHT such as"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_with_a_suggestion(program, arguments, expected, capsys):
    with pytest.raises(SystemExit) as ended:
        import_module(f"{program}.__main__").main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("command", "size"), [("upscale", (32, 48)), ("downscale", (2, 3)), ("restore", (32, 48))])
def test_without_a_checkpoint_the_shipped_network_is_used(command, size, tmp_path, capsys):
    write_png(tmp_path / "in.png", np.full((8, 12, 3), 90, np.uint8))
    assert main([command, str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png")]) == 0
    assert f"{command}: HCFlow_" in capsys.readouterr().err
    assert read_image(tmp_path / "out.png").shape == (*size, 3)


def test_the_shipped_upscaler_has_a_temperature_of_its_own(tmp_path):
    write_png(tmp_path / "in.png", np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    for name, options in (("default", ()), ("same", ("--temperature", str(SR_X4_TEMPERATURE))),
                          ("other", ("--checkpoint", str(SR_X4), "--temperature", "0.9"))):  # fmt: skip
        assert main(["upscale", str(tmp_path / "in.png"), "-o", str(tmp_path / f"{name}.png"), *options]) == 0
    default, same, other = (read_image(tmp_path / f"{name}.png") for name in ("default", "same", "other"))
    assert (default == same).all()
    assert (default != other).any()
