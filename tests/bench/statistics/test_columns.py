"""The best of a column against scipy, Holm by hand, and what is left out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tables_helper import TABLE4, measured

from bench.records.tables import build_table
from bench.report.grid import build_grid
from bench.statistics.columns import TEST, Best, best_of_columns, remark, ties_of
from bench.statistics.paired import LEVEL, RESAMPLES, holm, permutation_p, sign_flips, smallest_p
from bench.statistics.pairing import System, pairings


def of_scipy(differences: np.ndarray, patterns: int) -> float:
    found = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=patterns,
        random_state=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.pvalue)


def column(out: Path, dataset: str = "Set5") -> Best:
    return best_of_columns(build_table(TABLE4, out))[dataset, "psnr_y"]


def numbered(values: object) -> dict[str, list[float]]:
    return {f"{index:03}": [float(value)] for index, value in enumerate(np.asarray(values))}


@pytest.mark.parametrize("n", [2, 7, 14])
def test_many_exact_tests_at_once_are_scipys(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, (4, n))
    assert sign_flips(differences) == pytest.approx([of_scipy(one, 2**n) for one in differences])


def test_many_random_tests_at_once_are_scipys_up_to_chance() -> None:
    differences = np.random.default_rng(1).normal(0.2, 1, (4, 60))
    for ours, one in zip(sign_flips(differences), differences, strict=True):
        theirs = of_scipy(one, RESAMPLES)
        error = math.sqrt(max(ours, theirs) * 10 / 10_000)  # sd of either is below sqrt(2 p / 10,000), of a 2-sided p
        assert ours == pytest.approx(theirs, abs=4 * error)


def test_the_best_row_and_those_not_significantly_worse(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(28, 3, 20)
    rows = {"RRDB": base + 1, "EDSR": base + 1 + rng.normal(-0.01, 0.5, 20), "SRCNN": base + rng.normal(0, 0.2, 20)}
    for row, values in rows.items():
        measured(tmp_path, row, numbered(values))
    found = column(tmp_path)
    best = max(rows, key=lambda name: float(np.mean(rows[name])))
    others = [row for row in ("SRCNN", "EDSR", "RRDB") if row != best]  # as they stand in the table
    p = dict(zip(others, holm([permutation_p(rows[row] - rows[best])[0] for row in others]), strict=True))
    assert found.row == best
    assert found.p == pytest.approx(p, abs=0.05)
    assert set(found.not_worse) == {best} | {row for row in others if p[row] > LEVEL} == {"RRDB", "EDSR"}
    assert (found.n, found.decidable, found.bold) == (20, True, found.not_worse)


def test_five_images_decide_nothing(tmp_path: Path) -> None:
    measured(tmp_path, "RRDB", numbered([30, 31, 32, 33, 34]))
    measured(tmp_path, "Bicubic", numbered([20, 21, 22, 23, 24]))
    found = column(tmp_path)
    assert found.not_worse == ("Bicubic", "RRDB")
    assert found.p == {"Bicubic": 2 / 2**5}
    assert (found.decidable, found.bold) == (False, ("RRDB",))


def test_lower_is_better_where_the_metric_says_so(tmp_path: Path) -> None:
    suite_column = {"dataset": "DIV2K", "column": "lpips", "table": "2"}
    measured(tmp_path, "Bicubic", numbered([0.4, 0.5, 0.6]), **suite_column)
    measured(tmp_path, "EDSR", numbered([0.2, 0.3, 0.4]), **suite_column)
    from bench.suites.reading import load_suite

    assert best_of_columns(build_table(load_suite("2"), tmp_path))["DIV2K", "lpips"].row == "EDSR"


def test_partial_and_infinite_rows_are_left_out(tmp_path: Path) -> None:
    measured(tmp_path, "RRDB", numbered([30, 31, 32]))
    measured(tmp_path, "EDSR", numbered([29, 30, 31]))
    measured(tmp_path, "Bicubic", numbered([40, 41]), total=3)
    assert (column(tmp_path).row, column(tmp_path).left_out) == ("RRDB", ("Bicubic",))
    measured(tmp_path, "SRCNN", numbered([-math.inf, 1, 1]))
    assert (column(tmp_path).row, set(column(tmp_path).left_out)) == ("RRDB", {"Bicubic", "SRCNN"})
    measured(tmp_path, "RCAN", numbered([math.inf, 1, 1]))  # nothing finite is best beside it
    assert best_of_columns(build_table(TABLE4, tmp_path)) == {}


@pytest.mark.parametrize("seed", [3, 4])
def test_bold_and_compare_are_one_test(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.normal(28, 3, 20)
    measured(tmp_path, "RRDB", numbered(base + 0.3))
    measured(tmp_path, "EDSR", numbered(base + rng.normal(0, 0.5, 20)))
    table = build_table(TABLE4, tmp_path)
    found = column(tmp_path)
    (other,) = found.p
    a, b = (System(name, name, table) for name in (other, found.row))
    (one,) = pairings(a, b, ["Set5"], ["psnr_y"])
    assert found.p[other] == one.result.p


def test_the_smallest_p_of_random_patterns() -> None:
    """Nothing random comes as far as 60 differences of one sign."""
    assert sign_flips(np.linspace(1, 2, 60)[None]) == [1 / (RESAMPLES + 1)] == [smallest_p(60)]


def test_other_hr_pixels_are_not_compared_and_named(tmp_path: Path) -> None:
    """The best of all is the best, though more rows have the other pixels."""
    values = np.linspace(25, 30, 10)
    other = dict.fromkeys(numbered(values), "1" * 64)
    measured(tmp_path, "Bicubic", numbered(values), pixels=other)
    measured(tmp_path, "SRCNN", numbered(values + 1), pixels=other)
    measured(tmp_path, "EDSR", numbered(values + 2), pixels=other)
    measured(tmp_path, "RCAN", numbered(values + 4))
    measured(tmp_path, "RRDB", numbered(values + 5))
    found = column(tmp_path)
    assert (found.row, found.not_worse) == ("RRDB", ("RRDB",))
    assert set(found.p) == {"RCAN"}
    assert set(found.left_out) == set(found.other_images) == {"Bicubic", "SRCNN", "EDSR"}
    said = remark(best_of_columns(build_table(TABLE4, tmp_path)))
    assert all(f"{row} on Set5" in said for row in ("Bicubic", "SRCNN", "EDSR"))
    assert "RCAN" not in said
    measured(tmp_path, "HCFlow", numbered(values + 9), pixels=dict.fromkeys(other, "2" * 64))
    assert (column(tmp_path).row, column(tmp_path).bold, column(tmp_path).p) == ("HCFlow", ("HCFlow",), {})


def test_one_row_alone_is_not_the_best(tmp_path: Path) -> None:
    measured(tmp_path, "RRDB", numbered([30, 31, 32]))
    assert best_of_columns(build_table(TABLE4, tmp_path)) == {}


def test_reports_set_in_bold_what_is_not_significantly_worse(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(28, 3, 20)
    for row, gain in {"RRDB": 1.0, "EDSR": 1.0 - rng.normal(0.02, 0.5, 20), "SRCNN": 0.0}.items():
        measured(tmp_path, row, numbered(base + gain))
        measured(tmp_path, row, numbered((base + gain)[:5]), "Set14")
    grid = build_grid(build_table(TABLE4, tmp_path))
    bold = {
        (cell.source.row, cell.source.dataset)
        for cell in grid.measured
        if cell.measured is not None and cell.measured.bold
    }
    assert {place for place in bold if place[1] == "Set5"} == {("RRDB", "Set5"), ("EDSR", "Set5")}
    assert len([place for place in bold if place[1] == "Set14"]) == 1  # five images: the best alone
    assert {place[1] for place in grid.ties} == {"Set5"}
    assert grid.remarks[-1].startswith(f"Not significantly worse than the best of a column: {TEST}.")
    assert grid.remarks[-1].endswith("Too few images for any difference to be significant: Set14 (5 images).")


def test_nothing_is_said_of_tests_where_nothing_was_tested(tmp_path: Path) -> None:
    best = best_of_columns(build_table(TABLE4, tmp_path))
    assert (best, ties_of(best), remark(best)) == ({}, frozenset(), "")
