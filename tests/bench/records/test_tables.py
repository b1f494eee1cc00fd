"""The way from records to cells."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables_helper import COMMON, PAPERS, TABLE4, bicubic, five, not_run

from bench.metrics.metric import NotApplicable
from bench.records.store import Writer
from bench.records.tables import Cell, build_table
from bench.report.grid import build_grid
from bench.report.lacking import as_of_now
from bench.report.machine import render_json
from bench.report.text import render_text
from bench.suites.suite import Note


def psnr(out: Path, dataset: str = "Set5", row: str = "Bicubic") -> Cell:
    return build_table(TABLE4, out).cell(row, dataset, "psnr_y")


def test_a_cell_compares_like_with_like(tmp_path: Path) -> None:
    bicubic(tmp_path, five((28.9, 28.42)))
    cell = psnr(tmp_path)
    assert cell.value is not None
    assert (cell.value.mean, cell.published, cell.verdict) == (pytest.approx(28.9), "28.42", "matches")
    assert cell.difference == pytest.approx(0, abs=1e-9)
    assert (cell.protocol, cell.protocol_as_published) == (f"psnr@{COMMON}", f"psnr@{PAPERS}")


def test_part_of_a_data_set_is_never_compared(tmp_path: Path) -> None:
    bicubic(tmp_path, {"a": 28.42})
    cell = psnr(tmp_path)
    assert (cell.verdict, cell.reason, cell.difference) == ("partial", "1 of 5 images", None)


def test_a_problem_is_the_reason(tmp_path: Path) -> None:
    bicubic(tmp_path, {"a": 28.42}, state="failed", reason="Set5/baby: damaged")
    assert psnr(tmp_path).reason == "Set5/baby: damaged"


def test_cells_without_records_say_why(tmp_path: Path) -> None:
    not_run(tmp_path, "needs data Set5")
    assert (psnr(tmp_path).verdict, psnr(tmp_path).reason) == ("not run", "needs data Set5")
    never = psnr(tmp_path, row="RRDB")
    assert never.reason == "not run yet: python -m bench run --table 4 --method 'RRDB'"


def test_what_was_missing_then_and_is_here_now_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reason(row: str) -> str:
        return as_of_now(build_table(TABLE4, tmp_path)).cell(row, "Set5", "psnr_y").reason

    ours = "HCFlow (ours, 4200 steps)"
    not_run(tmp_path, "needs data Set5")
    assert reason("Bicubic").startswith("needs data Set5: python -m bench data fetch")
    assert reason(ours).startswith("needs data Set5: ")  # told by this machine, not by a run
    assert reason("RRDB").startswith("needs weights RRDB_PSNR_x4: by hand")
    for name in ("baby", "bird", "butterfly", "head", "woman"):
        path = tmp_path / "data/Set5/HR" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "data"))
    command = "python -m bench run --table 4 --method"
    assert reason("Bicubic") == f"not run since its files are here: {command} 'Bicubic'"
    assert reason(ours) == f"not run yet: {command} '{ours}'"
    not_run(tmp_path, "an error of the method")
    assert reason("Bicubic") == "an error of the method"


def test_the_newest_measurement_counts_and_outlives_a_later_absence(tmp_path: Path) -> None:
    bicubic(tmp_path, five(27.0), code="old")
    bicubic(tmp_path, five(28.42), code="new")
    not_run(tmp_path, "needs data Set5")
    assert psnr(tmp_path).verdict == "matches"


def test_a_line_that_stands_twice_is_counted_once(tmp_path: Path) -> None:
    """Defect: a duplicated record line made 6 images of 5, and a wrong mean."""
    bicubic(tmp_path, {"a": 27.0, "b": 28.0})
    for path in tmp_path.glob("records/*/*.jsonl"):
        line = path.read_bytes().splitlines(keepends=True)[1]
        path.write_bytes(path.read_bytes() + line)
    cell = psnr(tmp_path)
    assert cell.value is not None
    assert (cell.value.n, cell.value.mean) == (2, 27.5)


def test_an_image_whose_pixels_changed_is_not_averaged_with_what_it_was(tmp_path: Path) -> None:
    """Defect: `37.60, 3/100` where a clean folder gives `37.46, 2/100`."""
    first = bicubic(tmp_path, {"a": 40.0, "b": 30.0})
    for restored in first.entries[0].restored:
        specification = json.loads(
            next(tmp_path.glob(f"records/{restored.digest}/*.jsonl")).read_text().splitlines()[0]
        )["specification"]
        with Writer(tmp_path, "20990101", specification) as writer:
            writer.append("a", "1" * 64, dict.fromkeys(restored.measures.values(), (20.0,)), {})
    cell = psnr(tmp_path)  # the journal knows which pixels its run saw
    assert cell.value is not None
    assert (cell.value.n, cell.value.mean) == (2, 35.0)
    first.note(replace(first.entries[0], pixels={}))  # while a run has not said, the newest count
    cell = psnr(tmp_path)
    assert cell.value is not None
    assert (cell.value.n, cell.value.mean) == (2, 25.0)


def test_a_quick_look_after_a_change_of_code_does_not_hide_a_complete_cell(tmp_path: Path) -> None:
    complete = bicubic(tmp_path, five(28.42), code="old")
    bicubic(tmp_path, {"0": 28.0}, code="new")
    cell = psnr(tmp_path)
    assert (cell.verdict, cell.value and cell.value.n) == ("matches", 5)
    assert cell.remarks == (f"measured by the run {complete.run} (commit 0123456789ab); later runs cover fewer images",)
    bicubic(tmp_path, five(28.42), code="new")
    assert psnr(tmp_path).remarks == ()


def test_of_partial_cells_the_fuller_one_is_shown(tmp_path: Path) -> None:
    bicubic(tmp_path, {"0": 28.0, "1": 28.0, "2": 28.0}, code="old")
    bicubic(tmp_path, {"0": 27.0}, code="new")
    value = psnr(tmp_path).value
    assert value is not None
    assert (value.n, value.mean) == (3, 28.0)


def test_an_infinite_value_downwards_is_worse(tmp_path: Path) -> None:
    """Defect: -inf became +inf, and "better"."""
    bicubic(tmp_path, {**five(28.42), "0": -math.inf})
    assert psnr(tmp_path).verdict == "differs"
    assert json.loads(render_json(build_grid(build_table(TABLE4, tmp_path))))[0]["value"] == "-inf"


def test_what_does_not_apply_is_no_number_and_says_why(tmp_path: Path) -> None:
    bicubic(tmp_path, five(NotApplicable("too small")))
    assert (psnr(tmp_path).verdict, psnr(tmp_path).reason) == ("not run", "not applicable: too small")
    bicubic(tmp_path, {**five(28.42), "0": NotApplicable("too small")}, code="other")
    cell = psnr(tmp_path)
    assert (cell.verdict, cell.reason) == ("partial", "4 of 5 images; not applicable: too small")


def test_a_measure_that_cannot_be_taken_says_why(tmp_path: Path) -> None:
    bicubic(tmp_path, {}, missing={f"psnr@{COMMON}": "needs weights X: python -m bench weights fetch X"})
    assert psnr(tmp_path).reason == "needs weights X: python -m bench weights fetch X"


def test_anomalies_of_the_paper_are_remarks_at_their_cells(tmp_path: Path) -> None:
    note = Note("the digits were swapped", rows=("Bicubic",), columns=("ssim_y",), datasets=("Set5",))
    table = build_table(replace(TABLE4, notes=(note,)), tmp_path)
    assert table.cell("Bicubic", "Set5", "ssim_y").remarks == ("the digits were swapped",)
    assert table.cell("Bicubic", "Set5", "psnr_y").remarks == ()
    assert table.cell("Bicubic", "Set14", "ssim_y").remarks == ()


def test_a_damaged_journal_or_record_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bicubic(tmp_path, five(28.42))
    (tmp_path / "runs" / "20000101.json").write_text('{"cells": [}')
    path = next(tmp_path.glob("records/*/*.jsonl"))
    path.with_name("20000101.jsonl").write_bytes(b"\xff\xfe\n")
    assert psnr(tmp_path).verdict == "matches"
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_other_data_sets_have_no_published_value(tmp_path: Path) -> None:
    bicubic(tmp_path, {"a": 28.42, "b": 28.42, "c": 28.42}, dataset="Sample", total=3)
    cell = psnr(tmp_path, "Sample")
    assert (cell.verdict, cell.published, cell.difference) == ("no published value", None, None)
    assert build_table(TABLE4, tmp_path).datasets == (*TABLE4.datasets, "Sample")
    text = " ".join(render_text(build_grid(build_table(TABLE4, tmp_path))).split())
    assert "Sample is not one of the paper's data sets: published numbers do not apply to it." in text


def test_json_has_one_object_per_cell_with_the_promised_fields(tmp_path: Path) -> None:
    bicubic(tmp_path, {**five((28.9, 28.42)), "4": (math.inf, 28.42)})
    cells = json.loads(render_json(build_grid(build_table(TABLE4, tmp_path))), parse_constant=pytest.fail)
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
    bicubic(tmp_path, five((28.9, 28.42)))
    text = " ".join(render_text(build_grid(build_table(TABLE4, tmp_path))).split())
    for part in ("28.42 ± 0.00", "matches", f"psnr@{PAPERS}, ", "BT.601", "0123456789ab", "RFANet", "(all data sets)"):
        assert part in text
