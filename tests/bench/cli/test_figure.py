"""bench figure as its users see it: files and captions, refusals in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.__main__ import main
from bench.tracking.tables import Tracker


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bicubic on all images of Sample, the first of them kept."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tracker, "_guard", lambda *_: None)
        command = ["run", "--table", "4", "--method", "Bicubic", "--dataset", "Sample", "--out", str(folder)]
        assert main([*command, "--limit", "1", "--keep-images"]) == 0
        assert main(command) == 0
    return folder


def figure(out: Path, *arguments: object) -> int:
    return main(["figure", *map(str, arguments), "--out", str(out)])


def test_a_comparison_with_its_caption(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "six.png"
    assert figure(out, 6, "--image", "coffee", "--region", "0,8,64,32", "--to", target) == 0
    assert str(target) in capsys.readouterr().out
    assert np.asarray(Image.open(target)).std() > 10
    caption = target.with_suffix(".txt").read_text()
    assert "Part: 0,8,64,32" in caption
    assert "Bicubic, coffee: kept by a run" in caption
    assert "PSNR (Y) equals the record's" in caption


def test_what_was_not_kept_is_restored(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "six.svg"
    assert figure(out, 6, "--image", "chelsea", "--to", target, "--quiet") == 0
    caption = target.with_suffix(".txt").read_text()
    assert "restored now with the same weights and seeds (the record's own digest)" in caption
    assert "differs most" in caption


def test_nothing_is_overwritten_unasked(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "spread.png"
    caption = target.with_suffix(".txt")
    caption.write_text("mine")
    assert figure(out, "spread", "--table", 4, "--to", target) == 2
    assert "which exists; --overwrite replaces it" in capsys.readouterr().err
    assert caption.read_text() == "mine"
    assert not target.exists()
    assert figure(out, "spread", "--table", 4, "--to", target, "--overwrite") == 0
    assert "Bicubic: worst astronaut (26.84 dB), best chelsea (31.47 dB), mean 28.53 dB" in caption.read_text()
    assert figure(out, "spread", "--table", 4, "--to", target) == 2


def test_the_worst_images_are_named(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "worst.png"
    assert figure(out, "worst", "--table", 4, "--count", 1, "--metric", "ssim_y", "--to", target, "--quiet") == 0
    assert "The worst images of Bicubic by ssim_y" in target.with_suffix(".txt").read_text()


def test_files_go_into_the_results_where_no_other_place_is_named(out: Path) -> None:
    assert figure(out, "best", "--table", 4, "--count", 1, "--region", "whole", "--quiet") == 0
    assert (out / "figures" / "best-table4-Sample.png").is_file()
    assert (out / "figures" / "best-table4-Sample.txt").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scatter"], "expected --table N or --suite FILE, got neither"),
        (["scatter", "--table", "4"], "expected two rows with results on Sample"),
        (["scatter", "--table", "4", "--row", "Bicubic"], "expected two rows for a scatter, got 1"),
        (["scatter", "--table", "4", "--row", "Bicubic", "RRDB"], "expected results of RRDB on Sample, got none"),
        (["perception-distortion", "--table", "4"], "expected rows with PSNR and LPIPS at one temperature"),
        (["temperature", "--table", "4"], "expected a row with results at two temperatures"),
        (["deviation", "--table", "4"], "expected a row with several draws on Sample, got none"),
        (["deviation", "--table", "4", "--row", "Bicubic"], "expected rows with two draws or more, got Bicubic"),
        (["6", "--dataset", "Set5"], "Set5"),
        (["6", "--image", "cofee"], "did you mean coffee?"),
        (["6", "--region", "9,9,9"], "--region: expected X,Y,W,H"),
        (["6", "--image", "coffee", "--region", "599,0,64,64"], "expected a part of 600x400 pixels"),
        (["6", "--row", "RRDB"], "needs weights RRDB_PSNR_x4"),
        (["6", "--metric", "pnsr"], "psnr_y"),
        (["6", "--to", "six.jpg"], "--to: expected FILE.png, FILE.svg, FILE.pdf, got six.jpg"),
        (["4"], "expected records of table2, got none"),
    ],
)
def test_bad_input_is_one_line(
    out: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = arguments if "--to" in arguments else [*arguments, "--to", str(tmp_path / "x.png")]
    assert figure(out, *arguments, "--quiet") == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_lists_the_choices(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        figure(out, 7)
    assert stop.value.code == 2
    assert "perception-distortion" in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert figure(out, 6, "--to", tmp_path / "six.png") == 2
    assert "pip install 'hcflow-bench[figures]'" in capsys.readouterr().err


def test_there_must_be_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert figure(tmp_path / "nowhere", 6) == 2
    assert "expected a folder of records, got none" in capsys.readouterr().err
