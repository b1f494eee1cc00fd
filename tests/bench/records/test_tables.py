"""Estimates, verdicts, and the way from records to cells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.records.store import CellFile, Journal, Record
from bench.records.tables import Cell, Estimate, Verdict, build_table, verdict
from bench.report.machine import render_json
from bench.report.text import render_text
from bench.suites.suite import load_suite

TABLE4 = load_suite("table4")
COMMON, LEGACY = "y,crop4,u8", "y8,crop4,u8,grey=direct,work=y,range=studio"
PROVENANCE = {
    "commit": "0123456789abcdef", "dirty": False, "device": "cpu", "processor": "a processor",
    "versions": {"torch": "2", "numpy": "2", "scikit-image": "0"},
}  # fmt: skip


def exactly(mean: float, draw_stderr: float = 0.0) -> Estimate:
    return Estimate(mean, None, 5, draw_stderr, 0)


def record(image: str, common: float, legacy: float | None = None) -> Record:
    other = common if legacy is None else legacy
    values = {f"{m}@{p} tau=0": [v] for m in ("psnr", "ssim") for p, v in ((COMMON, common), (LEGACY, other))}
    return Record(image, "0" * 64, values, 0.1, "run1")


def store(out: Path, records: Iterable[Record], run: str = "run1", dataset: str = "Set5", **entry: object) -> None:
    """A run that measured (or did not measure) the bicubic row on a data set."""
    about = {"row": "Bicubic", "dataset": dataset, "state": "done", "reason": None, **entry}
    if records:
        with CellFile(out, {"test": run, "dataset": dataset}) as cell:
            for one in records:
                cell.append(one)
            about |= {"key": cell.key, "images": entry.get("images", 5)}
    Journal(out, run, "table4", "2026-01-01T00:00:00+00:00", {}, PROVENANCE, [about], seconds=1.0).save()


def psnr(out: Path, dataset: str = "Set5", row: str = "Bicubic") -> Cell:
    return build_table(TABLE4, out).cell(row, dataset, "psnr_y")


def test_estimate_of_draws() -> None:
    estimate = Estimate.of([[1.0, 3.0], [5.0, 5.0]])
    assert (estimate.mean, estimate.n, estimate.infinite) == (3.5, 2, 0)
    assert estimate.stderr == pytest.approx(1.5)  # of the image means 2 and 5
    assert estimate.draw_stderr == pytest.approx(math.sqrt(2 / 2) / 2)  # variance 2 over 2 draws, over 2 images
    assert Estimate.of([[7.0]]).stderr is None


def test_an_infinite_value_makes_the_mean_infinite_and_is_counted() -> None:
    estimate = Estimate.of([[30.0], [math.inf]])
    assert (estimate.mean, estimate.stderr, estimate.infinite) == (math.inf, None, 1)


@pytest.mark.parametrize(
    ("mean", "published", "direction", "expected"),
    [
        (28.4211, "28.42", "higher", "matches"),
        (28.4249999, "28.42", "higher", "matches"),
        (28.415, "28.42", "higher", "matches"),  # rounds half up
        (28.429, "28.42", "higher", "matches"),  # its digits were truncated
        (28.431, "28.42", "higher", "better"),
        (28.4149, "28.42", "higher", "differs"),
        (0.81040, "0.8104", "higher", "matches"),
        (0.8103, "0.8104", "higher", "differs"),
        (0.120, "0.123", "lower", "better"),
        (0.130, "0.123", "lower", "differs"),
        (math.inf, "28.42", "higher", "better"),
        (5.04, "5", "higher", "matches"),
    ],
)
def test_verdicts(mean: float, published: str, direction: str, expected: Verdict) -> None:
    assert verdict(exactly(mean), published, direction) == expected


def test_a_stochastic_value_matches_within_what_its_draws_leave_open() -> None:
    assert verdict(exactly(27.10, 0.05), "27.02", "higher") == "matches"
    assert verdict(exactly(27.10, 0.01), "27.02", "higher") == "better"


def test_a_cell_compares_like_with_like(tmp_path: Path) -> None:
    store(tmp_path, [record(str(i), 28.9, 28.42) for i in range(5)])
    cell = psnr(tmp_path)
    assert cell.value is not None
    assert (cell.value.mean, cell.published, cell.verdict) == (pytest.approx(28.9), "28.42", "matches")
    assert cell.difference == pytest.approx(0, abs=1e-9)
    assert (cell.protocol, cell.protocol_as_published) == (f"psnr@{COMMON}", f"psnr@{LEGACY}")


def test_part_of_a_data_set_is_never_compared(tmp_path: Path) -> None:
    store(tmp_path, [record("a", 28.42)])
    cell = psnr(tmp_path)
    assert (cell.verdict, cell.reason, cell.difference) == ("partial", "1 of 5 images", None)


def test_a_problem_is_the_reason(tmp_path: Path) -> None:
    store(tmp_path, [record("a", 28.42)], state="failed", reason="Set5/baby: damaged")
    assert psnr(tmp_path).reason == "Set5/baby: damaged"


def test_cells_without_records_say_why(tmp_path: Path) -> None:
    store(tmp_path, [], state="not run", reason="needs data Set5")
    assert (psnr(tmp_path).verdict, psnr(tmp_path).reason) == ("not run", "needs data Set5")
    never = psnr(tmp_path, row="RRDB")
    assert never.reason == "not run yet: python -m bench run --table 4 --method 'RRDB'"


def test_the_newest_measurement_counts_and_outlives_a_later_absence(tmp_path: Path) -> None:
    store(tmp_path, [record(str(i), 27.0) for i in range(5)], "run1")
    store(tmp_path, [record(str(i), 28.42) for i in range(5)], "run2")
    store(tmp_path, [], "run3", state="not run", reason="needs data Set5")
    assert psnr(tmp_path).verdict == "matches"


def test_other_data_sets_have_no_published_value(tmp_path: Path) -> None:
    store(tmp_path, [record(str(i), 28.42) for i in range(3)], dataset="Sample", images=3)
    cell = psnr(tmp_path, "Sample")
    assert (cell.verdict, cell.published, cell.difference) == ("no published value", None, None)
    assert build_table(TABLE4, tmp_path).datasets == (*TABLE4.datasets, "Sample")
    text = render_text(build_table(TABLE4, tmp_path))
    assert "Sample is not one of the paper's data sets: published numbers do not apply to it." in text


def test_json_has_one_object_per_cell_with_the_promised_fields(tmp_path: Path) -> None:
    store(tmp_path, [*(record(str(i), 28.9, 28.42) for i in range(4)), record("4", math.inf, 28.42)])
    cells = json.loads(render_json(build_table(TABLE4, tmp_path)), parse_constant=pytest.fail)
    assert len(cells) == len(TABLE4.rows) * 5 * 2
    promised = {
        "table", "row", "dataset", "metric", "value", "stderr", "n", "published", "value_as_published", "difference",
        "verdict", "protocol",
    }  # fmt: skip
    assert all(promised <= set(cell) for cell in cells)
    first = cells[0]
    assert (first["table"], first["row"], first["dataset"], first["metric"]) == ("table4", "Bicubic", "Set5", "psnr_y")
    assert (first["value"], first["published"], first["n"]) == ("inf", 28.42, 5)
    assert first["value_as_published"] == pytest.approx(28.42)
    assert cells[-1]["value"] is None


def test_text_names_every_protocol_and_every_reason(tmp_path: Path) -> None:
    store(tmp_path, [record(str(i), 28.9, 28.42) for i in range(5)])
    text = render_text(build_table(TABLE4, tmp_path))
    for part in ("28.42 ± 0.00", "matches", f"{LEGACY}: ", "BT.601", "0123456789ab", "RFANet on Set5, Set14"):
        assert part in text
