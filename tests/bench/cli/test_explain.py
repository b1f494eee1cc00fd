"""explain: the variant that made a number is found, and a number that none made is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from bench.__main__ import main
from bench.metrics.metric import Evidence, Measure
from bench.runs.folders import pair
from hcflow.images.io import write_png

RNG = np.random.default_rng(9)
PHOTOGRAPH = data.astronaut()[100:202, 180:285]
Pair = tuple[Path, Path]


def write(folder: Path, name: str, hr: np.ndarray) -> Pair:
    """(HR, SR): an original and a noisy copy of the part that a benchmark uses."""
    noise = RNG.normal(0, 9, hr.shape)
    sr = np.clip(hr + noise, 0, 255).astype(np.uint8)
    paths = folder / "hr" / f"{name}.png", folder / "sr" / f"{name}.png"
    for path, image in zip(paths, (hr, sr[: len(sr) // 4 * 4, : sr.shape[1] // 4 * 4]), strict=True):
        path.parent.mkdir(exist_ok=True)
        write_png(path, image)
    return paths


def value(measure: str, evidence: Evidence) -> float:
    scores = Measure.parse(measure).open([], None)(evidence)  # type: ignore[arg-type]
    assert isinstance(scores, list)
    return scores[0]


def explain(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main(["explain", *map(str, arguments), "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


def test_every_variant_of_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = write(tmp_path, "a", PHOTOGRAPH)
    assert main(["explain", *map(str, pair)]) == 0
    out, err = capsys.readouterr()
    for variant in ("rgb,crop4,u8", "rgb,crop0,u8", "y,crop4,u8", "y8,crop0,u8"):
        assert variant in out
    assert "grey=direct" not in out
    assert "HCFlow (table 4), IRN" in " ".join(out.split())
    assert "LPIPS left out: measure" in err or "needs weights LPIPS_alex" in err
    assert max(map(len, out.splitlines())) <= 80
    write(tmp_path, "a", PHOTOGRAPH[..., 0])
    assert main(["explain", *map(str, pair)]) == 0
    out = capsys.readouterr().out
    assert "y,crop4,u8,grey=direct" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("measure", ["psnr@y8,crop4,u8", "psnr@rgb,crop10,u8"])
def test_the_variant_that_made_a_number_is_found(
    measure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = write(tmp_path, "a", PHOTOGRAPH)
    other = measure.replace("psnr", "ssim")
    evidence = pair(*paths, 4)
    psnr, ssim = (value(one, evidence) for one in (measure, other))
    found = explain(capsys, *paths, "--published", f"{psnr:.4f}/{ssim:.6f}")
    fits = [set(fit["variants"]) for fit in found["fits"]]
    assert {measure, other} in fits
    assert len(fits) < found["tried"] / 20
    assert found["fits"][0]["variants"][measure.replace("psnr", "psnr")] == pytest.approx(psnr, abs=1e-9)
    alone = explain(capsys, *paths, "--published", f"/{ssim:.6f}")
    assert [other] in [list(fit["variants"]) for fit in alone["fits"]]


def test_a_number_that_no_variant_made_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write(tmp_path, "a", PHOTOGRAPH)
    psnr = value("psnr@y,crop4,u8", pair(*paths, 4))
    found = explain(capsys, *paths, "--published", f"{psnr + 7:.4f}")
    assert found["fits"] == []
    assert len(found["nearest"]) == 3
    assert main(["explain", *map(str, paths), "--published", f"{psnr + 7:.4f}"]) == 0
    printed = capsys.readouterr().out
    assert "0 reproduce every printed digit" in " ".join(printed.split())
    assert "The nearest 3" in printed


def test_folders_are_means_over_their_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [write(tmp_path, "a", PHOTOGRAPH), write(tmp_path, "b", PHOTOGRAPH[:40, :44, 0])]
    evidence = [pair(*paths, 4) for paths in pairs]
    name = "psnr@y,crop4,u8,grey=direct"
    mean = sum(value(name, one) for one in evidence) / 2
    found = explain(capsys, tmp_path / "hr", tmp_path / "sr", "--published", f"{mean:.4f}")
    assert found["images"] == 2
    fit = next(fit for fit in found["fits"] if name in fit["variants"])
    assert fit["variants"][name] == pytest.approx(mean, abs=1e-9)
    assert fit["used_by"] == ["older MATLAB scripts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hr/a.png", "sr/a.png", "--published", "x"], "--published: expected a published number, got 'x'"),
        (["hr/a.png", "sr/a.png", "--published", "/"], "expected PSNR/SSIM such as 28.42/0.8104"),
        (["hr/a.png", "sr/a.png", "--published", "1/2/3"], "expected PSNR/SSIM such as 28.42/0.8104"),
        (["hr/a.png"], "expected HR SR, or --table N --row NAME"),
        (["hr", "sr/a.png"], "expected two images or two folders"),
        (["hr", "sr"], "expected --published PSNR/SSIM with folders"),
        (["hr/a.png", "small.png"], "expected SR and HR of one size, got 8x8 and 104x100"),
        (["hr/a.png", "hr/a.png", "--published", "30"], "large enough and not identical"),
        (["--table", "4"], "expected --table N --row NAME --dataset NAME"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path, "a", PHOTOGRAPH)
    write_png(tmp_path / "small.png", PHOTOGRAPH[:8, :8])
    monkeypatch.chdir(tmp_path)
    assert main(["explain", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
