"""Which numbers are paired, and what is said where none are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables_helper import measured

from bench.errors import BenchError
from bench.statistics.paired import compare
from bench.statistics.pairing import find_systems, pairings

A = {"a": [30.0], "b": [31.0], "c": [32.0], "d": [29.0]}
B = {"a": [29.0], "b": [31.5], "c": [30.0], "e": [1.0]}


def both(out: Path) -> None:
    measured(out, "RRDB", A)
    measured(out, "EDSR", B)


def test_images_that_both_have_are_paired(tmp_path: Path) -> None:
    both(tmp_path)
    (one,) = pairings(*find_systems(["RRDB", "edsr"], tmp_path), metrics=["psnr_y"])
    assert one.result == compare([[30.0], [31.0], [32.0]], [[29.0], [31.5], [30.0]], "higher")
    assert (one.only_a, one.only_b, one.other) == (1, 1, 0)
    assert one.result.difference == pytest.approx(2.5 / 3)
    assert (one.result.better, one.result.worse) == (2, 1)


def test_draws_of_an_image_belong_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    draws = {name: rng.normal(30, 1, 5).tolist() for name in "abcde"}
    measured(tmp_path, "RRDB", draws)
    measured(tmp_path, "EDSR", {name: [29.0] for name in "abcde"})
    (one,) = pairings(*find_systems(["RRDB", "EDSR"], tmp_path))
    assert one.result.draws
    assert one.result.difference == pytest.approx(np.mean([np.mean(x) for x in draws.values()]) - 29)


def test_images_with_other_pixels_are_not_the_same_image(tmp_path: Path) -> None:
    measured(tmp_path, "RRDB", A)
    measured(tmp_path, "EDSR", A, pixels={"a": "1" * 64})
    (one,) = pairings(*find_systems(["RRDB", "EDSR"], tmp_path))
    assert (one.result.n, one.other) == (3, 1)


def test_rows_of_two_folders(tmp_path: Path) -> None:
    measured(tmp_path / "old", "RRDB", A)
    measured(tmp_path / "new", "RRDB", {name: [value + 1 for value in draws] for name, draws in A.items()})
    (one,) = pairings(*find_systems([f"{tmp_path}/new:RRDB", f"{tmp_path}/old:RRDB"], tmp_path / "nowhere"))
    assert one.result.difference == pytest.approx(1)


def test_several_tests_are_corrected_together(tmp_path: Path) -> None:
    for dataset, gain in (("Set5", 1.0), ("Set14", 0.0)):
        measured(tmp_path, "RRDB", {str(i): [30 + gain + 0.01 * i] for i in range(8)}, dataset)
        measured(tmp_path, "EDSR", {str(i): [30 + 0.07 * (i % 2)] for i in range(8)}, dataset)
    found = pairings(*find_systems(["RRDB", "EDSR"], tmp_path))
    assert [one.a.dataset for one in found] == ["Set5", "Set14"]
    assert found[0].result.p == pytest.approx(2 / 2**8)
    assert found[0].p_holm == pytest.approx(2 * 2 / 2**8)
    assert found[1].p_holm == found[1].result.p


@pytest.mark.parametrize(
    ("texts", "datasets", "metrics", "said"),
    [
        (["RRDB", "SRCNN"], [], [], "psnr_y on Set5: expected images that both have, got 4 images of RRDB and 0"),
        (["RRDB", "EDSR"], ["Set14"], [], "psnr_y on Set14: expected images that both have"),
        (["RRDB", "EDSR"], ["Set5"], ["ssim_y"], "ssim_y on Set5: expected images that both have"),
        (["RRDB", "EDSR"], ["Mars"], [], "expected a data set in table4 of Set5, "),
        (["RRDB", "EDSR"], [], ["lpips"], "expected a metric in table4 of psnr_y, ssim_y; got 'lpips'"),
        (["RRDB", "Nobody"], [], [], "; got 'Nobody'"),
    ],
)
def test_nothing_to_pair_is_one_line(
    tmp_path: Path, texts: list[str], datasets: list[str], metrics: list[str], said: str
) -> None:
    both(tmp_path)
    with pytest.raises(BenchError) as raised:
        pairings(*find_systems(texts, tmp_path), datasets, metrics)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_row_that_two_tables_have(tmp_path: Path) -> None:
    for row in ("Bicubic", "SRFlow tau=0.9"):
        measured(tmp_path, row, A, "DIV2K", "psnr_rgb", "2") if row == "Bicubic" else None
    measured(tmp_path, "Bicubic", A)
    with pytest.raises(BenchError, match="expected one table with both rows, got table2, table4; choose with --table"):
        find_systems(["Bicubic", "Bicubic"], tmp_path)
    assert find_systems(["Bicubic", "Bicubic"], tmp_path, "4")[0].table.suite.name == "table4"
    with pytest.raises(BenchError, match=r"expected a row in table4 of Bicubic, .*got 'Bicubix'; did you mean Bicubic"):
        find_systems(["Bicubix", "Bicubic"], tmp_path, "4")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected a folder of records, got none"):
        find_systems(["a", "b"], tmp_path / "none")
    with pytest.raises(BenchError, match="got no table of both"):
        find_systems(["a", "b"], tmp_path)
