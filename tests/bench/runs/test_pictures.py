"""The images behind a table's numbers: kept ones, restored ones, and that they are those that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.methods import method as methods
from bench.methods.method import MethodEntry
from bench.records.journal import Journal
from bench.records.tables import Table, build_table
from bench.runs.kept_files import kept_files
from bench.runs.pictures import Gallery, Original
from bench.runs.references import WHITE, own_paths, write_references
from bench.runs.runner import Request, run
from bench.suites.reading import parse_suite
from bench.suites.suite import Row, Suite
from hcflow.images.matlab_resize import imresize

CPU = torch.device("cpu")
SUITE = """
title = "Toys"
scale = 4
datasets = ["Sample"]
draws = 3
columns = [
  { id = "psnr_rgb", measure = "psnr@rgb,crop4,u8" },
  { id = "diversity", measure = "diversity@rgb,crop0,float" },
]
[[rows]]
name = "Bicubic"
method = "bicubic"
[[rows]]
name = "Toy"
method = "toy"
temperature = 0.5
"""


class Toy:
    """Nearest neighbours with noise of the seeds: a method that draws, and is quick."""

    restored = 0

    def restore(self, lr: torch.Tensor, temperature: float, seeds: Sequence[int]) -> torch.Tensor:
        Toy.restored += 1
        large = lr.repeat_interleave(4, 1).repeat_interleave(4, 2)
        noise = [torch.randn(large.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack([large + 0.1 * temperature * one for one in noise])


class Quiet:
    """Watches nothing."""

    def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
        return lambda *_: None


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Suite:
    toy = MethodEntry("toy", "Toy", "SR", (4,), True, "", lambda scale, **_: Toy(), "bench.methods.bicubic")
    real, knows = type(methods.METHODS).find, type(methods.METHODS).knows
    monkeypatch.setattr(
        type(methods.METHODS),
        "find",
        lambda self, name: toy if self is methods.METHODS and name == "toy" else real(self, name),
    )
    monkeypatch.setattr(type(methods.METHODS), "knows", lambda self, name: name == "toy" or knows(self, name))
    monkeypatch.setattr(Toy, "restored", 0)
    return parse_suite("toys", SUITE, tmp_path)


def measured(suite: Suite, out: Path, keep: bool, rows: Sequence[Row] = ()) -> Table:
    run(Request(suite, rows or suite.rows, ["Sample"], 1, CPU, out, keep_images=keep), Quiet(), _nothing)
    return build_table(suite, out)


def _nothing(journal: Journal) -> None:
    """No row is tracked."""


@pytest.fixture
def original() -> Original:
    manifest = load_manifest("Sample")
    return Original.read(manifest, manifest.images[0], 4)


def test_what_every_row_sees(original: Original) -> None:
    assert original.hr.shape == (400, 600, 3)
    assert np.array_equal(original.lr, imresize(original.hr, 1 / 4))
    assert np.array_equal(original.bicubic, imresize(original.lr, 4))
    assert original.reference is original.hr
    assert replace(original, grey=True).reference.shape == (400, 600)


def test_kept_images_are_shown_and_agree_with_their_records(suite: Suite, tmp_path: Path, original: Original) -> None:
    table = measured(suite, tmp_path, keep=True)
    before = Toy.restored
    picture = Gallery(table, tmp_path, CPU).picture(suite.rows[1], original, 2)
    assert Toy.restored == before
    assert picture.origin.startswith("kept by a run, images/")
    assert picture.check == "PSNR (RGB) equals the record's"
    assert (picture.agrees, picture.stochastic, picture.temperature, picture.own_lr) == (True, True, 0.5, False)
    recorded = table.cell("Toy", "Sample", "psnr_rgb").images[0].common
    assert picture.scores["psnr_rgb"] == recorded[:2]
    assert len(picture.scores["diversity"]) == 1
    key = table.cell("Toy", "Sample", "psnr_rgb").key
    for number, draw in enumerate(picture.draws):
        assert np.array_equal(draw, np.asarray(Image.open(tmp_path / "images" / key / f"coffee-{number}.png")))


def test_what_was_not_kept_is_restored_as_it_was(suite: Suite, tmp_path: Path, original: Original) -> None:
    kept = measured(suite, tmp_path / "kept", keep=True)
    table = measured(suite, tmp_path / "plain", keep=False)
    shown = Gallery(kept, tmp_path / "kept", CPU).picture(suite.rows[1], original, 3)
    picture = Gallery(table, tmp_path / "plain", CPU).picture(suite.rows[1], original, 2)
    assert picture.origin == "restored now with the same weights and seeds (the record's own digest)"
    assert picture.check == "PSNR (RGB) equals the record's"
    assert len(picture.draws) == 2
    for mine, theirs in zip(picture.draws, shown.draws, strict=False):
        assert np.array_equal(mine, theirs)


def test_an_image_that_is_not_the_measured_one_is_noticed(suite: Suite, tmp_path: Path, original: Original) -> None:
    table = measured(suite, tmp_path, keep=True)
    path = tmp_path / "images" / table.cell("Bicubic", "Sample", "psnr_rgb").key / "coffee.safetensors"
    with safe_open(path, framework="np") as stream:
        about, arrays = stream.metadata(), {name: stream.get_tensor(name) for name in ("lr", "draws")}
    arrays["draws"][0, 100:140, 100:140] = 0.0
    save_file(arrays, path, about)
    picture = Gallery(table, tmp_path, CPU).picture(suite.rows[0], original, 1)
    assert not picture.agrees
    assert "which shows in its digits" in picture.check
    assert picture.scores["psnr_rgb"] == table.cell("Bicubic", "Sample", "psnr_rgb").images[0].common


def test_a_row_without_a_record_is_restored_and_scored_now(suite: Suite, tmp_path: Path, original: Original) -> None:
    table = measured(suite, tmp_path, keep=False, rows=suite.rows[:1])
    picture = Gallery(table, tmp_path, CPU).picture(suite.rows[1], original, 2)
    assert picture.origin == "restored now with the same weights and seeds (no record)"
    assert picture.check == "no record to compare with: scored now"
    full = measured(suite, tmp_path / "full", keep=False)
    assert picture.scores["psnr_rgb"] == full.cell("Toy", "Sample", "psnr_rgb").images[0].common[:2]


def test_records_of_other_pixels_are_refused(suite: Suite, tmp_path: Path, original: Original) -> None:
    table = measured(suite, tmp_path, keep=True)
    with pytest.raises(BenchError, match="expected the image coffee of Sample that was measured, got other pixels"):
        Gallery(table, tmp_path, CPU).picture(suite.rows[0], replace(original, pixels="0" * 64), 1)


def test_a_row_that_cannot_be_shown_says_why(suite: Suite, tmp_path: Path, original: Original) -> None:
    table = measured(suite, tmp_path, keep=False)
    row = replace(suite.rows[0], files=(str(tmp_path / "gone.pth"),))
    with pytest.raises(BenchError, match="no restored image was kept, and it cannot be restored now: needs weights"):
        Gallery(table, tmp_path, CPU).picture(row, original, 1)


def test_kept_files_are_found_and_damaged_ones_are_not(suite: Suite, tmp_path: Path) -> None:
    table = measured(suite, tmp_path, keep=True)
    key = table.cell("Toy", "Sample", "psnr_rgb").key
    files = kept_files(tmp_path, key, "coffee")
    assert files is not None
    assert [path.name for path in files.draws] == ["coffee-0.png", "coffee-1.png", "coffee-2.png"]
    assert files.makes_lr is False
    assert kept_files(tmp_path, key, "chelsea") is None
    assert kept_files(tmp_path, "", "coffee") is None
    files.draws[2].unlink()
    assert kept_files(tmp_path, key, "coffee") is None
    (tmp_path / "images" / key / "coffee.safetensors").write_bytes(b"no tensors")
    assert kept_files(tmp_path, key, "coffee") is None


def test_references_are_made_beside_kept_images(suite: Suite, tmp_path: Path, original: Original) -> None:
    table = measured(suite, tmp_path, keep=True)
    key = table.cell("Toy", "Sample", "psnr_rgb").key
    files = kept_files(tmp_path, key, "coffee")
    assert files is not None
    paths = write_references(tmp_path, "Sample", "coffee", 4, {key: files})
    for kind, expected in {"hr": original.hr, "lr": original.lr, "bicubic": original.bicubic}.items():
        assert np.array_equal(np.asarray(Image.open(paths[kind])), expected)
    own = own_paths(files, "coffee")
    assert list(own) == ["deviation"]
    level = np.asarray(Image.open(own["deviation"])).astype(float).mean() * WHITE / 255
    diversity = table.cell("Toy", "Sample", "diversity").images[0].common[0]
    assert level == pytest.approx(diversity, abs=WHITE / 255 / 2 + 0.02)  # rounded to 256 levels; few are above white


def test_references_of_another_image_are_not_made(suite: Suite, tmp_path: Path) -> None:
    table = measured(suite, tmp_path, keep=True)
    key = table.cell("Bicubic", "Sample", "psnr_rgb").key
    files = kept_files(tmp_path, key, "coffee")
    assert files is not None
    assert write_references(tmp_path, "Sample", "coffee", 4, {key: replace(files, pixels="0" * 64)}) == {}
    assert write_references(tmp_path, "Gone", "coffee", 4, {key: files}) == {}
