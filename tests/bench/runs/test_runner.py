"""Running cells: caching, resuming after kill -9, problems of single images."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bench.datasets import local as data
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError, StorageError
from bench.methods.bicubic import Bicubic
from bench.methods.method import METHODS, MethodEntry
from bench.records.store import load_records
from bench.runs import runner
from bench.runs.inputs import draw_seed
from bench.runs.runner import Outcome, Request, run
from bench.suites.suite import load_suite

TABLE4 = load_suite("table4")
CPU = torch.device("cpu")


class Watcher:
    """Keeps what a run reports."""

    def __init__(self) -> None:
        self.images: list[tuple[str, bool]] = []
        self.problems: list[str] = []

    def cell(self, row: str, dataset: str, images: int, number: int, cells: int) -> None:
        """Nothing to keep."""

    def image(self, image: str, cached: bool) -> None:
        self.images.append((image, cached))

    def problem(self, message: str) -> None:
        self.problems.append(message)


def bicubic_on(out: Path, *datasets: str, limit: int | None = None) -> tuple[Outcome, Watcher]:
    watcher = Watcher()
    request = Request(TABLE4, TABLE4.select(["bicubic"]), datasets, limit, CPU, out)
    return run(request, watcher, lambda journal: None), watcher


def values(outcome: Outcome) -> dict[str, object]:
    (cell,) = (cell for cell in outcome.journal.cells if "key" in cell)
    return {record.image: record.values for record in load_records(outcome.journal.out, cell["key"])}


def test_sample_is_what_runs_where_nothing_else_is(tmp_path: Path) -> None:
    outcome, watcher = bicubic_on(tmp_path)
    assert outcome.fallback
    assert watcher.images == [(entry.id, False) for entry in load_manifest("Sample").images]
    measured = values(outcome)["coffee"]
    assert isinstance(measured, dict)
    # the stored value of the reference implementation; tests of the metrics hold all of them
    assert measured["psnr@y,crop4,u8 tau=0"] == [pytest.approx(27.29136398314435, abs=1e-6)]


def test_a_second_run_is_a_cache_hit_and_a_limit_shares_records(tmp_path: Path) -> None:
    bicubic_on(tmp_path, "Sample", limit=1)
    second, watcher = bicubic_on(tmp_path, "Sample")
    assert [cached for _, cached in watcher.images] == [True, False, False]
    third, watcher = bicubic_on(tmp_path, "Sample")
    assert all(cached for _, cached in watcher.images)
    assert third.journal.cells[0]["cached"] == 3
    assert values(second) == values(third)


@pytest.mark.parametrize(
    "change",
    [
        {"code_digest": lambda code: "other code"},
        {"versions": lambda: {"numpy": "0"}},
        {"passes": None},
        {"processor": None},
    ],
    ids=["code", "versions", "settings", "device"],
)
def test_what_can_change_a_number_changes_the_key(change: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    row, manifest = TABLE4.rows[0], load_manifest("Sample")
    request = Request(TABLE4, [row], (), None, CPU, Path())
    before = runner.specification(request, row, manifest)
    assert before == runner.specification(request, row, manifest)
    ((name, replacement),) = change.items()
    if name == "passes":
        other = runner.passes(TABLE4, row)
        other[0].settings["arithmetic"] = "double"
        monkeypatch.setattr(runner, "passes", lambda suite, row: other)
        after = runner.specification(request, row, manifest)
    elif name == "processor":
        monkeypatch.setattr(runner, "processor", lambda device: "a GPU")
        gpu = Request(TABLE4, [row], (), None, torch.device("cuda"), Path())
        after = runner.specification(gpu, row, manifest)
    else:
        monkeypatch.setattr(runner, name, replacement)
        after = runner.specification(request, row, manifest)
    assert after != before


def test_an_image_that_changed_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bicubic_on(tmp_path, "Sample")
    real = data.pixel_digest
    chelsea = next(entry for entry in load_manifest("Sample").images if entry.id == "chelsea")
    monkeypatch.setattr(data, "pixel_digest", lambda image: "changed" if real(image) == chelsea.sha256 else real(image))
    monkeypatch.setattr(data, "read_hr", _read_without_verifying(data.read_hr, real))
    _, watcher = bicubic_on(tmp_path, "Sample")
    assert {image for image, cached in watcher.images if not cached} == {"chelsea"}


def _read_without_verifying(read, digest):  # type: ignore[no-untyped-def]
    """`read_hr` verifies; here it must not see the pretended change."""

    def wrapped(manifest, entry):  # type: ignore[no-untyped-def]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data, "pixel_digest", digest)
            return read(manifest, entry)

    return wrapped


_DIES = """
import os, signal, sys
from bench.__main__ import main
from bench.methods.bicubic import Bicubic
real, calls = Bicubic.restore, []
def restore(self, *arguments):
    calls.append(1)
    if len(calls) == 4:  # two passes an image: in the middle of the second one
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments)
Bicubic.restore = restore
main(["run", "--table", "4", "--dataset", "Sample", "--method", "bicubic", "--out", sys.argv[1]])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_kill_9_loses_only_the_image_in_flight(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _DIES, tmp_path / "killed"], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    after, watcher = bicubic_on(tmp_path / "killed", "Sample")
    assert [cached for _, cached in watcher.images] == [True, False, False]
    straight, _ = bicubic_on(tmp_path / "straight", "Sample")
    assert values(after) == values(straight)


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_DATA" not in os.environ, reason="needs HCFLOW_DATA with BSD100")
def test_kill_9_in_the_middle_of_bsd100(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "run", "--table", "4", "--method", "bicubic", "--dataset", "BSD100"]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "killed")])
    deadline = time.monotonic() + 120
    lines = 0
    while lines < 30 and time.monotonic() < deadline:
        time.sleep(0.02)
        lines = sum(path.read_bytes().count(b"\n") for path in (tmp_path / "killed/records").glob("*.jsonl"))
    process.kill()
    process.wait()
    after, watcher = bicubic_on(tmp_path / "killed", "BSD100")
    cached = sum(cached for _, cached in watcher.images)
    assert 29 <= cached < 100
    assert len(watcher.images) == 100
    straight, _ = bicubic_on(tmp_path / "straight", "BSD100")
    assert values(after) == values(straight)


def test_a_bad_image_costs_its_cell_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = data.read_hr

    def read(manifest, entry):  # type: ignore[no-untyped-def]
        if entry.id == "coffee":
            raise BenchError("expected a readable image, got a damaged one; replace it")
        return real(manifest, entry)

    monkeypatch.setattr(data, "read_hr", read)
    outcome, watcher = bicubic_on(tmp_path, "Sample")
    assert outcome.problems == 1
    (problem,) = watcher.problems
    assert problem.startswith("Sample/coffee: expected a readable image")
    assert len(values(outcome)) == 2
    assert outcome.journal.cells[0]["state"] == "failed"
    monkeypatch.undo()
    again, watcher = bicubic_on(tmp_path, "Sample")
    assert (again.problems, sum(cached for _, cached in watcher.images)) == (0, 2)


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda handle, written: len(written) // 2)
    with pytest.raises(StorageError, match="is the disk full"):
        bicubic_on(tmp_path, "Sample")


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = Bicubic.restore

    def restore(self, *arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Bicubic, "restore", restore)
    with pytest.raises(KeyboardInterrupt):
        bicubic_on(tmp_path, "Sample")
    monkeypatch.undo()
    _, watcher = bicubic_on(tmp_path, "Sample")
    assert [cached for _, cached in watcher.images] == [True, False, False]


@pytest.mark.parametrize(("result", "got"), [(torch.zeros(3, 5, 5), r"\(3, 5, 5\)"), (None, "not finite")])
def test_a_method_that_misbehaves_is_named(
    result: torch.Tensor | None, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(self, lr, temperature, seed):  # type: ignore[no-untyped-def]
        return torch.full((lr.shape[0], 4 * lr.shape[1], 4 * lr.shape[2]), torch.nan) if result is None else result

    monkeypatch.setattr(Bicubic, "restore", restore)
    _, watcher = bicubic_on(tmp_path, "Sample", limit=1)
    assert len(watcher.problems) == 1
    assert pytest.importorskip("re").search(
        f"bicubic: expected a finite image of shape .* got .*{got}", watcher.problems[0]
    )


def test_every_draw_is_kept_and_seeded_by_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    class Noise(Bicubic):
        def restore(self, lr: torch.Tensor, temperature: float, seed: int) -> torch.Tensor:
            seeds.append(seed)
            noise = torch.randn(3, 4 * lr.shape[1], 4 * lr.shape[2], generator=torch.Generator().manual_seed(seed))
            return super().restore(lr, temperature, seed) + 0.01 * temperature * noise

    monkeypatch.setitem(METHODS, "hcflow", MethodEntry(Noise, True, ()))
    row = TABLE4.select(["IRN"])[0]
    row = type(row)(**{**vars(row), "method": "hcflow", "needs": ()})
    request = Request(TABLE4, [row], ["Sample"], 1, CPU, tmp_path)
    outcome = run(request, Watcher(), lambda journal: None)
    ((draws, _),) = (tuple(measured.values()) for measured in values(outcome).values())
    assert len(draws) == len(set(draws)) == 5
    image = load_manifest("Sample").images[0].id
    assert seeds == [draw_seed("table4", "hcflow", image, 1.0, draw) for draw in range(5)]


def test_seeds_depend_on_each_of_their_parts() -> None:
    parts = ("table4", "hcflow", "baby", 0.9, 0)
    others = [("table2", *parts[1:]), ("table4", "irn", *parts[2:]), (*parts[:2], "bird", *parts[3:]),
              (*parts[:3], 0.8, 0), (*parts[:4], 1)]  # fmt: skip
    seeds = {draw_seed(*one) for one in [parts, *others]}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert draw_seed(*parts) == draw_seed(*parts)


def test_the_journal_says_what_ran_where(tmp_path: Path) -> None:
    outcome, _ = bicubic_on(tmp_path, "Sample", limit=1)
    content = json.loads(outcome.journal.path.read_text())
    assert content["command"] == {"rows": ["Bicubic"], "datasets": ["Sample"], "limit": 1}
    assert {"commit", "dirty", "versions", "device", "processor", "python"} <= set(content["provenance"])
    assert content["finished"]
    assert content["seconds"] > 0
