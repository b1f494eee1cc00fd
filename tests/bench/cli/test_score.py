"""score and doctor: the metrics for images of one's own, and what is wrong with a machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import main
from bench.cli import doctor
from hcflow.images.io import write_png

RNG = np.random.default_rng(9)
HR = RNG.integers(0, 256, (42, 45, 3), dtype=np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(SR, HR) folders with two images: one equal, one 2 levels off everywhere."""
    for name in ("sr", "hr"):
        (tmp_path / name).mkdir()
    hr = np.clip(HR, 2, 250).astype(np.uint8)
    for name, offset in (("a", 0), ("b", 2)):
        write_png(tmp_path / "hr" / f"{name}.png", hr)
        write_png(tmp_path / "sr" / f"{name}.png", (hr + offset)[:40, :44])
    return tmp_path / "sr", tmp_path / "hr"


def test_a_folder_is_scored_like_a_table(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    sr, hr = folders
    arguments = ["score", "--sr", str(sr), "--hr", str(hr)]
    assert main([*arguments, "--format", "json"]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    expected = 20 * np.log10(255 / 2)
    assert result["images"]["a"]["psnr@rgb,crop4,u8"] == "inf"
    assert result["images"]["b"]["psnr@rgb,crop4,u8"] == pytest.approx(expected)
    assert result["mean"]["psnr@rgb,crop4,u8"] == {"value": "inf", "stderr": None, "n": 2}
    assert main([*arguments, "--measure", "psnr@rgb,crop0,u8"]) == 0
    assert f"{expected:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sr, hr: (sr / "a.png").unlink(), "got 1 missing, 0 extra (a has no SR image)"),
        (lambda sr, hr: (hr / "a.png").unlink(), "got 0 missing, 1 extra (a has no HR image)"),
        (lambda sr, hr: write_png(sr / "a.png", HR[:41]), "expected SR and HR of one size, got 45x41 and 44x40"),
        (lambda sr, hr: [write_png(d / "a.png", HR[:8, :8]) for d in (sr, hr)], "expected an image larger than 8x8"),
        (lambda sr, hr: (sr / "a.bmp").write_bytes(b""), "expected one image of each name"),
    ],
)
def test_folders_that_do_not_fit(
    change: object, message: str, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    change(*folders)  # type: ignore[operator]
    assert main(["score", "--sr", str(folders[0]), "--hr", str(folders[1])]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--sr", str(tmp_path / "x"), "--hr", str(tmp_path)]) == 2
    assert "expected" in capsys.readouterr().err


def test_doctor_finds_two_cv2_wheels(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    both = {"opencv-python", "opencv-python-headless"}
    monkeypatch.setattr(doctor, "installed", lambda: both)
    assert main(["doctor"]) == 2
    assert "opencv-python and opencv-python-headless overwrite each other" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "installed", lambda: both - {"opencv-python"})
    assert main(["doctor"]) == 0
    assert "the installation is fine" in capsys.readouterr().out
