"""The MLflow mirror: what it writes, that twice is once, and that a server that dies costs no result."""

from __future__ import annotations

import math
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from bench.__main__ import main
from bench.datasets.manifest import load_manifest
from bench.records.store import CellFile, Journal, Record
from bench.tracking import tables as tracking
from bench.tracking.tables import Tracker

PROVENANCE = {
    "commit": "0123456789abcdef", "dirty": True, "device": "cpu", "processor": "a processor",
    "versions": {"torch": "2.15.0"},
}  # fmt: skip


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A finished run of three cells: one measured, one with an infinite value, one not run."""
    started = "2026-01-01T00:00:00+00:00"
    run = Journal(tmp_path, "run1", "table4", started, {}, PROVENANCE, finished=started, seconds=1.0)
    for dataset, value in (("Set5", 28.5), ("Set14", math.inf)):
        with CellFile(tmp_path, {"dataset": dataset}) as cell:
            names = ("psnr@y,crop4,u8", "psnr@y8,crop4,u8,grey=direct,work=y,range=studio")
            cell.append(Record("baby", "0" * 64, {f"{name} tau=0": [value] for name in names}, 0.1, "run1"))
            run.note(row="Bicubic", dataset=dataset, state="done", reason=None, key=cell.key, images=1)
    run.note(row="RRDB", dataset="Set5", state="not run", reason="needs weights")
    return run


def runs(out: Path, uri: str | None = None) -> tuple[MlflowClient, dict[str, object]]:
    """All runs of the experiment by name."""
    client = MlflowClient(uri or f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("table4")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    return client, {run.info.run_name: run for run in found}


def test_a_run_is_a_parent_with_a_nested_run_per_cell(tmp_path: Path, journal: Journal) -> None:
    tracker = Tracker(tmp_path)
    tracker.mirror(journal)
    table = tmp_path / "table4.html"
    table.write_text("<table>")
    tracker.attach(journal, [table])
    tracker.mirror(journal)  # twice is once
    assert tracker.failure is None
    client, found = runs(tmp_path)
    assert sorted(found) == ["Bicubic on Set14", "Bicubic on Set5", "table4 2026-01-01T00:00:00+00:00"]
    parent, cell = found["table4 2026-01-01T00:00:00+00:00"], found["Bicubic on Set5"]
    assert cell.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert cell.data.tags["mlflow.source.git.commit"] == "0123456789abcdef"
    assert cell.data.tags["psnr_y.protocol"] == "psnr@y,crop4,u8"
    assert cell.data.metrics["psnr_y"] == 28.5
    assert cell.data.params["method"] == "bicubic"
    digest = load_manifest("Set5").digest[:32]
    assert [(one.dataset.name, one.dataset.digest) for one in cell.inputs.dataset_inputs] == [("Set5", digest)]
    assert (cell.data.tags["dataset.name"], cell.data.tags["dataset.digest"]) == ("Set5", digest)
    assert (parent.info.status, parent.data.tags["cells.not_run"]) == ("FINISHED", "1")
    files = [file.path for file in client.list_artifacts(parent.info.run_id, "tables")]
    assert files == ["tables/table4.html"]
    path = client.download_artifacts(cell.info.run_id, "per_image.csv", str(tmp_path))
    assert Path(path).read_text().splitlines()[1] == 'baby,"psnr@y,crop4,u8",0.0,0,28.5'


def test_infinity_and_missing_values_do_not_reach_the_store(tmp_path: Path, journal: Journal) -> None:
    Tracker(tmp_path).mirror(journal)
    _, found = runs(tmp_path)
    cell = found["Bicubic on Set14"]
    assert cell.data.metrics == {"psnr_y.images": 1.0}  # SSIM is missing, PSNR and what follows from it infinite
    assert cell.data.tags["psnr_y.infinite"] == "the mean is infinite: 1 images are identical to HR"


def test_a_server_that_is_down_costs_one_warning(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = Tracker(tmp_path)
    tracker.mirror(journal)
    tracker.mirror(journal)
    assert capsys.readouterr().err.count("warning: MLflow at") == 1
    assert f"python -m bench track --out {tmp_path}" in tracker.summary()
    assert main(["track", "--out", str(tmp_path)]) == 2
    assert "expected an answer" in capsys.readouterr().err
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert main(["track", "--out", str(tmp_path)]) == 0
    assert len(runs(tmp_path)[1]) == 3


def test_what_a_dying_server_got_half_of_is_made_again(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tracking._per_image

    def dies(cells: object) -> str:
        raise ConnectionError("gone")

    monkeypatch.setattr(tracking, "_per_image", dies)
    tracker = Tracker(tmp_path)
    tracker.mirror(journal)
    assert tracker.failure == "ConnectionError: gone"
    monkeypatch.setattr(tracking, "_per_image", real)
    assert main(["track", "--out", str(tmp_path)]) == 0
    client, found = runs(tmp_path)
    assert sorted(found) == ["Bicubic on Set14", "Bicubic on Set5", "table4 2026-01-01T00:00:00+00:00"]
    experiment = client.get_experiment_by_name("table4")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 3
    assert all("bench.key" in run.data.tags for name, run in found.items() if name.startswith("Bicubic"))
