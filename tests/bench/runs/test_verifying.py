"""Verify against a run of today, against numbers that were changed, and against other code."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

from tables_helper import measured

from bench.__main__ import main
from bench.errors import BenchError
from bench.metrics.metric import NotApplicable
from bench.runs import specifications, verifying
from bench.runs.images import Job
from bench.runs.verifying import agreement
from bench.suites.suite import Row, Suite
from bench.tracking.tables import Tracker

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bicubic on one photograph, measured once."""
    out = tmp_path_factory.mktemp("verify") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tracker, "_guard", lambda *_: None)
        assert (
            main(
                ["run", "--table", "4", "--method", "Bicubic", "--dataset", "Sample", "--limit", "1", "--out", str(out)]
            )
            == 0
        )
    return out


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    shutil.copytree(results, tmp_path / "results")
    return tmp_path / "results"


def verify(out: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[dict[str, object]]]:
    code = main(["verify", str(out), "--format", "json", *options])
    said = capsys.readouterr().out
    return code, json.loads(said) if said else []


def change(out: Path, by: Callable[[float], object]) -> None:
    """Change every recorded number."""
    for path in (out / "records").rglob("*.jsonl"):
        head, *lines = path.read_text().splitlines()
        records = [json.loads(line) for line in lines]
        for record in records:
            record["values"] = {digest: [by(value) for value in values] for digest, values in record["values"].items()}
        path.write_text("".join(f"{line}\n" for line in (head, *map(json.dumps, records))))


def edit(out: Path, by: Callable[[dict[str, Any]], object]) -> None:
    """Change every journal."""
    for path in (out / "runs").glob("*.json"):
        journal = json.loads(path.read_text())
        by(journal)
        path.write_text(json.dumps(journal))


def snapshot(out: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(out.rglob("*")) if p.is_file()}


def test_what_was_just_measured_is_identical_and_the_folder_stays_as_it_was(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(results)
    code, checks = verify(results, capsys)
    assert code == 0
    assert {(check["status"], *check["changed"]) for check in checks} == {("identical",)}  # type: ignore[misc]
    assert len(checks) == 4  # PSNR and SSIM under two protocols
    assert snapshot(results) == before
    assert main(["verify", str(results)]) == 0
    assert (
        "4 numbers: 4 identical, 0 within half a unit of the last printed digit, 0 different, 0 not checked"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("by", "code", "status"),
    [(lambda v: v + 1e-9, 0, "same digits"), (lambda v: v + 1, 1, "different"), (lambda _: "inf", 1, "different")],
)
def test_changed_numbers_are_found(
    copy: Path, capsys: pytest.CaptureFixture[str], by: Callable[[float], object], code: int, status: str
) -> None:
    change(copy, by)
    found, checks = verify(copy, capsys)
    assert (found, {check["status"] for check in checks}) == (code, {status})
    assert all("was recorded, got" in str(check["reason"]) for check in checks)


def test_code_that_changed_since_is_said_where_the_numbers_agree(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specifications, "code_digest", lambda *_: "another")
    code, checks = verify(copy, capsys)
    assert code == 0
    assert {(check["status"], *check["changed"]) for check in checks} == {("identical", "code", "measure")}  # type: ignore[misc]
    assert main(["verify", str(copy)]) == 0
    assert "changed: code, measure" in capsys.readouterr().out


def test_it_computes_with_as_many_threads_as_the_run_had(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (copy / "runs").glob("*.json"):
        journal = json.loads(path.read_text())
        journal["provenance"]["threads"] = 3
        path.write_text(json.dumps(journal))
    seen = []
    measure = verifying._Place._measure

    def watched(self: verifying._Place, *arguments: object) -> object:
        seen.append(torch.get_num_threads())
        return measure(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(verifying._Place, "_measure", watched)
    before = torch.get_num_threads()
    assert verify(copy, capsys)[0] == 0
    assert (seen, torch.get_num_threads()) == ([3], before)


def test_what_cannot_be_measured_here_is_said(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(copy, "Bicubic", {"baby": [28.0]})
    measured(copy, "RRDB", {"baby": [32.0]})
    code, checks = verify(copy, capsys)
    assert code == 0
    reasons = {str(check["reason"]) for check in checks if check["status"] == "not checked"}
    assert {reason.partition(":")[0] for reason in reasons} == {"needs data Set5", "needs weights RRDB_PSNR_x4"}
    assert sum(check["status"] == "identical" for check in checks) == 4


def test_nothing_that_can_be_measured_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert "expected a folder with records, got nothing there" in capsys.readouterr().err
    assert main(["verify", str(tmp_path)]) == 2
    assert "expected records of a run, got none" in capsys.readouterr().err
    measured(tmp_path, "Bicubic", {"baby": [28.0]})
    assert main(["verify", str(tmp_path)]) == 2
    assert "expected something that can be measured here, got: needs data Set5" in capsys.readouterr().err
    assert main(["verify", str(tmp_path), "--sample", "all"]) == 2
    assert "expected a share such as 5%" in capsys.readouterr().err


def test_agreement() -> None:
    no, also_no = NotApplicable("because"), NotApplicable("other words")
    assert agreement((1.0, 2.0), (1.0, 2.0), 2)[0] == "identical"
    assert agreement((math.inf,), (math.inf,), 2)[0] == "identical"
    assert agreement(no, also_no, 2)[0] == "identical"
    assert agreement((1.0, 2.0), (1.0, 2.004), 2) == ("same digits", "draw 1: 2.0 was recorded, got 2.004")
    assert agreement((1.0, math.inf), (1.0, 2.0), 2)[0] == "different"
    assert agreement((1.0,), no, 2)[0] == "different"
    assert agreement((1.0,), (1.0, 1.0), 2)[0] == "different"
    assert agreement((28.42,), (28.4251,), 2)[0] == "different"


@pytest.fixture(scope="module")
def in_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bicubic on the three photographs, by two processes."""
    out = tmp_path_factory.mktemp("verify") / "shared"
    command = ["run", "--table", "4", "--method", "Bicubic", "--dataset", "Sample", "--out", str(out), "--no-report"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tracker, "_guard", lambda *_: None)
        assert [main([*command, "--shard", f"{number}/2"]) for number in (1, 2)] == [0, 0]
    return out


def test_all_parts_of_a_shared_run_are_sampled(in_parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checks = verify(in_parts, capsys, "--sample", "100%")
    assert code == 0
    assert {check["status"] for check in checks} == {"identical"}
    assert len({check["image"] for check in checks}) == 3


def test_a_run_that_was_killed_is_checked(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(copy, lambda journal: journal["entries"][0].update(state="running", pixels={}))
    edit(copy, lambda journal: journal.update(finished=None))
    code, checks = verify(copy, capsys)
    assert (code, {check["status"] for check in checks}, len(checks)) == (0, {"identical"}, 4)
    change(copy, lambda value: value + 1)
    assert verify(copy, capsys)[0] == 1


def test_other_pixels_are_not_compared(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (copy / "records").rglob("*.jsonl"):
        head, *lines = path.read_text().splitlines()
        records = [json.dumps({**json.loads(line), "pixels": "0" * 64}) for line in lines]
        path.write_text("".join(f"{line}\n" for line in (head, *records)))
    edit(copy, lambda journal: journal["entries"][0].update(pixels={}))
    assert main(["verify", str(copy)]) == 2
    assert "its HR pixels are not those that were measured" in capsys.readouterr().err


def test_nothing_comparable_is_said(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The journal names measures that no record has a value of."""

    def rename(journal: dict[str, Any]) -> None:
        for one in journal["entries"][0]["restored"]:
            one["measures"] = dict.fromkeys(one["measures"], "0" * 64)

    edit(copy, rename)
    assert main(["verify", str(copy)]) == 2
    assert "its records have no value of a measure that the run names" in capsys.readouterr().err


def test_no_check_at_all_is_one_line(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "verify", lambda *_: [])
    assert main(["verify", str(copy)]) == 2
    assert "expected something that can be measured here, got: no image in the sample" in capsys.readouterr().err


def test_a_bad_row_does_not_end_it(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(copy, "RRDB", {"baby": [32.0]})
    of = verifying.Job.of

    def failing(suite: Suite, row: Row, *rest: Any) -> list[Job]:
        if row.name == "RRDB":
            raise BenchError("expected other weights, got these")
        return of(suite, row, *rest)

    monkeypatch.setattr(verifying, "why_not", lambda *_: "")
    monkeypatch.setattr(verifying.Job, "of", failing)
    code, checks = verify(copy, capsys)
    assert code == 0
    assert [check["reason"] for check in checks if check["row"] == "RRDB"] == ["expected other weights, got these"]
    assert sum(check["status"] == "identical" for check in checks) == 4


@pytest.mark.slow
@pytest.mark.skipif(
    not (os.environ.get("HCFLOW_DATA") and os.environ.get("HCFLOW_WEIGHTS")), reason="needs the data sets and weights"
)
def test_the_projects_own_records_hold() -> None:
    """One image of every row and data set that was published with this project, in a process with their two threads."""
    command = [sys.executable, "-m", "bench", "verify", "reports", "--sample", "1%", "--format", "json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    checks = json.loads(done.stdout)
    assert not [check for check in checks if check["status"] == "different"]
    assert done.returncode == 0
    assert sum(check["status"] != "not checked" for check in checks) >= 10
