"""The MLflow mirror: what it writes, that twice is once, and that a server that dies costs no result."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from bench.__main__ import main
from bench.datasets.manifest import load_manifest
from bench.records.journal import Entry, Journal, Restored, load_journals, this_process
from bench.records.store import Writer
from bench.records.tables import build_table
from bench.runs.thumbnails import save_thumbnails
from bench.suites.reading import load_suite
from bench.tracking import cells as told
from bench.tracking.store import MlflowStore
from bench.tracking.tables import Tracker

NAMES = ["Bicubic", "Bicubic on Set14", "Bicubic on Set5", "table4 2026-01-01T00:00:00.000+00:00"]
PROVENANCE = {
    "commit": "0123456789abcdef", "dirty": True, "device": "cpu", "processor": "a processor",
    "versions": {"torch": "2.15.0"},
}  # fmt: skip


COMMON, PAPERS = "y,crop4,u8", "y8,crop4,u8,grey=direct,work=y,range=studio"
BEGAN = "2026-01-01T00:00:00.000+00:00"
ENDED = "2026-01-01T00:01:00.000+00:00"


def bicubic(out: Path, run: str, dataset: str, value: float, metrics: tuple[str, ...] = ("psnr", "ssim")) -> Entry:
    """The bicubic row measured on one image of a data set."""
    restored = []
    for protocol in (COMMON, PAPERS):
        measures = {f"{metric}@{protocol}": f"{metric} {protocol}" for metric in metrics}
        specification = {
            "draws": 1, "protocol": protocol, "dataset": dataset, "method": "bicubic", "scale": 4, "weights": [],
            "precision": "fp32", "settings": {"arithmetic": "double"},
        }  # fmt: skip
        with Writer(out, run, specification) as writer:
            writer.append("baby", "0" * 64, {f"{m} {protocol}": (value,) for m in metrics}, {"seconds": 0.25})
            restored.append(Restored(writer.restoration, 0.0, 1, measures, deterministic=True))
    return Entry(
        "Bicubic", dataset, "done", total=5, restored=tuple(restored), pixels={"baby": "0" * 64}, computed=1,
        started="2026-01-01T00:00:10.000+00:00", finished="2026-01-01T00:00:40.000+00:00",
    )  # fmt: skip


def new_journal(out: Path, run: str = "run1", **changes: object) -> Journal:
    """A run of two rows on data sets and one that did not run; ended, unless changes say otherwise."""
    about = {"finished": ENDED, "seconds": 60.0, **changes}
    journal = Journal(out, run, "table4", BEGAN, {}, PROVENANCE, **about)  # type: ignore[arg-type]
    journal.note(bicubic(out, run, "Set5", 28.5))
    journal.note(bicubic(out, run, "Set14", math.inf, ("psnr",)))
    journal.note(Entry("RRDB", "Set5", "not run", "needs weights"))
    return journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A finished run of three cells: one measured, one with an infinite value, one not run."""
    return new_journal(tmp_path)


def runs(out: Path, uri: str | None = None) -> tuple[MlflowClient, dict[str, object]]:
    """All runs of the experiment by name."""
    client = MlflowClient(uri or f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("table4")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    return client, {run.info.run_name: run for run in found}


def test_what_was_tried_again_is_there_once_and_in_the_table(tmp_path: Path) -> None:
    """After --retry-failed, or another part of a shared run, a row on a data set has another state."""
    journal = new_journal(tmp_path)
    journal.note(replace(bicubic(tmp_path, "run1", "Set5", 27.5), state="failed", reason="killed"))
    Tracker(tmp_path).mirror(journal)
    later = "2026-01-01T00:05:00.000+00:00"
    journal.note(replace(bicubic(tmp_path, "run1b", "Set5", 26.5), finished=later))
    for _ in range(2):
        tracker = Tracker(tmp_path)
        tracker.mirror(journal)
        assert tracker.failure is None
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("table4")
    found = client.search_runs([experiment.experiment_id])
    assert sorted(run.info.run_name for run in found) == NAMES
    one = next(run for run in found if run.info.run_name == "Bicubic on Set5")
    assert (one.info.status, one.data.tags["state"], one.data.metrics["psnr_y"]) == ("FINISHED", "done", 26.5)
    parent = next(run for run in found if run.info.run_name == NAMES[3])
    table = json.loads(Path(client.download_artifacts(parent.info.run_id, "cells.json", str(tmp_path))).read_text())
    lines = [dict(zip(table["columns"], line, strict=True)) for line in table["data"]]
    psnr = [line for line in lines if line["data set"] == "Set5" and line["metric"].startswith("PSNR")]
    assert [line["common protocol"].startswith("26.5") for line in psnr] == [True]


def test_a_run_has_a_run_per_row_and_one_per_cell_side_by_side(tmp_path: Path, journal: Journal) -> None:
    tracker = Tracker(tmp_path)
    tracker.mirror(journal)
    table = tmp_path / "table4.html"
    table.write_text("<table>")
    tracker.attach(journal, [table], {"spread-Set5.png": b"PNG"})
    tracker.mirror(journal)  # twice is once
    assert tracker.failure is None
    client, found = runs(tmp_path)
    assert sorted(found) == NAMES
    parent, cell = found[NAMES[3]], found["Bicubic on Set5"]
    assert not any("mlflow.parentRunId" in run.data.tags for run in found.values())  # charts leave nested runs out
    assert [found[name].data.tags["kind"] for name in NAMES] == ["row", "cell", "cell", "reproduction"]
    assert {run.data.tags["reproduction"] for run in found.values()} == {"run1"}
    assert cell.data.tags["mlflow.source.git.commit"] == "0123456789abcdef"
    assert cell.data.metrics == {
        "psnr_y": 28.5, "images/psnr_y": 1.0, "papers_protocol/psnr_y": 28.5, "published/psnr_y": 28.42,
        "ssim_y": 28.5, "images/ssim_y": 1.0, "papers_protocol/ssim_y": 28.5, "published/ssim_y": 0.8104,
        "seconds_per_image": 0.25,
    }  # fmt: skip
    row = found["Bicubic"]
    assert (row.data.metrics, row.data.params) == ({"Set5/psnr_y": 28.5, "Set5/ssim_y": 28.5}, {"row": "Bicubic"})
    assert (row.info.status, parent.data.metrics) == ("FINISHED", {})
    digest = load_manifest("Set5").digest[:32]
    assert cell.data.params == {
        "row": "Bicubic", "dataset": "Set5", "table": "table4", "method": "bicubic", "scale": "4", "temperature": "0",
        "draws": "1", "precision": "fp32", "weights_digest": "none", "data_digest": digest,
        "protocol": f"psnr@{COMMON}; ssim@{COMMON}", "papers_protocol": f"psnr@{PAPERS}; ssim@{PAPERS}",
        "setting.arithmetic": "double",
    }  # fmt: skip
    tags = {"row": "Bicubic", "dataset": "Set5", "table": "table4", "verdict": "partial"}
    assert tags.items() <= cell.data.tags.items()
    assert cell.data.tags["verdict/psnr_y"] == "partial: 1 of 5 images"
    assert [run.info.end_time - run.info.start_time for run in (cell, row, parent)] == [30_000, 30_000, 60_000]
    assert [(one.dataset.name, one.dataset.digest) for one in cell.inputs.dataset_inputs] == [("Set5", digest)]
    assert (cell.data.tags["dataset"], cell.data.tags["dataset.digest"]) == ("Set5", digest)
    assert (parent.info.status, parent.data.tags["rows.not_run"]) == ("FINISHED", "1")
    files = [file.path for file in client.list_artifacts(parent.info.run_id, "tables")]
    assert files == ["tables/table4.html"]
    figures = [file.path for file in client.list_artifacts(parent.info.run_id, "figures")]
    assert figures == ["figures/spread-Set5.png"]
    assert "| Bicubic | Set5 | PSNR (Y) | 28.42 | 28.5000 |" in parent.data.tags["mlflow.note.content"]
    address = f"#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}/artifacts/tables/table4.html"
    assert all(f"[The whole report]({address})" in run.data.tags["mlflow.note.content"] for run in found.values())
    table_file = Path(client.download_artifacts(parent.info.run_id, "cells.json", str(tmp_path)))
    assert [line[:3] for line in json.loads(table_file.read_text())["data"]] == [
        ["Bicubic", "Set5", "PSNR (Y)"], ["Bicubic", "Set5", "SSIM (Y)"], ["Bicubic", "Set14", "PSNR (Y)"],
    ]  # fmt: skip
    path = client.download_artifacts(cell.info.run_id, "per_image.csv", str(tmp_path))
    assert Path(path).read_text().splitlines()[1] == 'baby,"psnr@y,crop4,u8",0.0,0,28.5'


def test_infinity_and_missing_values_do_not_reach_the_store(tmp_path: Path, journal: Journal) -> None:
    Tracker(tmp_path).mirror(journal)
    _, found = runs(tmp_path)
    cell = found["Bicubic on Set14"]
    assert cell.data.metrics == {"images/psnr_y": 1.0, "published/psnr_y": 26.0, "seconds_per_image": 0.25}  # no SSIM
    assert cell.data.tags["infinite/psnr_y"] == "the mean is infinite: 1 images have an infinite value"


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
    said = capsys.readouterr().err
    assert (
        said == f"warning: no MLflow at http://127.0.0.1:{port} (Connection refused); results are kept in {tmp_path}\n"
    )
    assert "Connection refused" not in tracker.summary()  # said once
    assert f"python -m bench track --out {tmp_path}" in tracker.summary()
    assert main(["track", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: MLflow at http://127.0.0.1:{port}: expected an answer, got Connection refused;")
    assert said.count("\n") == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert main(["track", "--out", str(tmp_path)]) == 0
    assert len(runs(tmp_path)[1]) == 4


def test_what_a_dying_server_got_half_of_is_made_again(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = told.per_image

    def dies(cells: object) -> str:
        raise ConnectionError("gone")

    monkeypatch.setattr(told, "per_image", dies)
    tracker = Tracker(tmp_path)
    tracker.mirror(journal)
    assert tracker.failure == "ConnectionError: gone"
    monkeypatch.setattr(told, "per_image", real)
    assert main(["track", "--out", str(tmp_path)]) == 0
    client, found = runs(tmp_path)
    assert sorted(found) == NAMES
    experiment = client.get_experiment_by_name("table4")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 4
    assert all("bench.key" in run.data.tags for name, run in found.items() if name.startswith("Bicubic on"))


def in_another_process(function, *arguments) -> object:  # type: ignore[no-untyped-def]
    """Run it in a process that is gone afterwards."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(function, arguments)


def test_a_run_that_was_killed_does_not_stay_running(tmp_path: Path) -> None:
    gone = in_another_process(this_process)
    live = new_journal(tmp_path, "run1", finished=None, seconds=None, process=this_process())
    Tracker(tmp_path).mirror(live)
    _, found = runs(tmp_path)
    assert found[NAMES[3]].info.status == "RUNNING"
    live.process = gone
    live.save()  # as if it had been killed after its second row
    later = Journal.begin(tmp_path, "table4", {}, PROVENANCE)
    tracker = Tracker(tmp_path)
    tracker.mirror(later)
    assert tracker.failure is None
    _, found = runs(tmp_path)
    assert len(found) == 5
    parent = found[NAMES[3]]
    assert (parent.info.status, parent.info.end_time) == ("KILLED", found["Bicubic on Set5"].info.end_time)
    assert found[f"table4 {later.started}"].info.status == "RUNNING"


def test_what_a_live_run_is_writing_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        other = {**this_process(), "pid": sleeper.pid, "since": ""}
        live = new_journal(tmp_path, "run1", finished=None, seconds=None, process=other)
        tracker = Tracker(tmp_path)
        tracker.mirror(live)
        client, found = runs(tmp_path)
        half = found["Bicubic on Set5"].info.run_id
        client.delete_tag(half, "bench.key")
        client.set_tag(half, "bench.writer", json.dumps(other))
        assert main(["track", "--out", str(tmp_path)]) == 0
        assert "0 runs in" in capsys.readouterr().out
        assert client.get_run(half).info.lifecycle_stage == "active"
        Tracker(tmp_path).mirror(live)  # even by somebody who does not know that he should not
        assert client.get_run(half).info.lifecycle_stage == "active"
    finally:
        sleeper.kill()
        sleeper.wait()
    Tracker(tmp_path).mirror(live)
    assert client.get_run(half).info.lifecycle_stage == "deleted"


def test_names_that_mlflow_refuses_are_made_fit() -> None:
    assert told.key("HCFlow (ours, 4200 steps)") == "HCFlow ours 4200 steps"
    assert told.key("SRFlow tau=0.9") == "SRFlow tau 0.9"
    assert told.key("niqe@live") == "niqe live"
    assert told.key("a/../b ") == "a .. b"
    assert told.key("(!)") == "unnamed"


def test_the_link_opens_the_list_of_runs(tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker(tmp_path)
    tracker.mirror(journal)
    _, found = runs(tmp_path)
    experiment = found[NAMES[3]].info.experiment_id
    end = f"/#/experiments/{experiment}/runs?workflowType=machine_learning"
    assert f"then open http://127.0.0.1:5000{end} (copied in " in tracker.summary()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:secret@host/")
    assert MlflowStore(tmp_path).link("7") == "https://host/#/experiments/7/runs?workflowType=machine_learning"


def test_a_description_fits_into_a_tag(tmp_path: Path, journal: Journal) -> None:
    cells = list(build_table(load_suite("4"), tmp_path).cells)
    measured = [cell for cell in cells if cell.value is not None]
    text = told.description(load_suite("4"), measured * 60, "#/report")
    assert len(text) < 7500
    assert "more: see the artifact cells.json" in text
    assert "Nothing was measured" in told.description(load_suite("4"), [], "#/report")


def test_runs_that_an_earlier_version_nested_are_freed(tmp_path: Path, journal: Journal) -> None:
    Tracker(tmp_path).mirror(journal)
    client, found = runs(tmp_path)
    cell = found["Bicubic on Set5"].info.run_id
    client.set_tag(cell, "mlflow.parentRunId", found[NAMES[3]].info.run_id)
    client.delete_tag(cell, "kind")
    client.delete_run(found["Bicubic"].info.run_id)  # that version made none for rows
    Tracker(tmp_path).mirror(journal)
    tags = client.get_run(cell).data.tags
    assert ("mlflow.parentRunId" in tags, tags["kind"]) == (False, "cell")
    client, again = runs(tmp_path)
    assert sorted(again) == NAMES
    assert again["Bicubic"].data.metrics == {"Set5/psnr_y": 28.5, "Set5/ssim_y": 28.5}


def test_the_searches_of_the_docs(tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/results.md shows these."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")  # for mlflow.search_runs
    Tracker(tmp_path).mirror(journal)
    text = (Path(__file__).resolve().parents[3] / "docs/results.md").read_text(encoding="utf-8")
    searches = [line.strip() for line in text.splitlines() if line.startswith("    ") and "kind = '" in line]
    assert len(searches) == 2
    client, _ = runs(tmp_path)
    experiment = client.get_experiment_by_name("table4")
    assert experiment is not None
    names = [[r.info.run_name for r in client.search_runs([experiment.experiment_id], s)] for s in searches]
    assert names == [["Bicubic on Set5"], ["Bicubic"]]
    (query,) = re.findall(r'filter_string="([^"]+)"', text)
    frame = mlflow.search_runs([experiment.experiment_id], query)
    assert list(frame["params.row"]) == ["Bicubic"]
    assert list(frame["metrics.psnr_y"]) == [28.5]
    for shown in re.findall(r"(?:print\(runs\[|drop_duplicates\()\[(.*?)\]", text):
        assert set(re.findall(r'"([^"]+)"', shown)) <= set(frame.columns)
    assert text.count("drop_duplicates([") == text.count("print(runs[[") == 1


def test_a_table_of_your_own_is_mirrored_by_what_its_journal_holds(tmp_path: Path) -> None:
    journal = new_journal(tmp_path)
    journal.table = "mine"
    text = (Path(told.__file__).parents[1] / "suites/table4.toml").read_text()
    journal.texts = {
        "suite": text,
        "published": (Path(told.__file__).parents[1] / "suites/published/table4.csv").read_text(),
    }
    journal.save()
    assert main(["track", "--out", str(tmp_path)]) == 0
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    names = [run.info.run_name for run in client.search_runs([experiment.experiment_id])]
    assert sorted(names) == [*NAMES[:3], "mine 2026-01-01T00:00:00.000+00:00"]


def test_samples_are_artifacts_where_there_are_thumbnails(tmp_path: Path, journal: Journal) -> None:
    key = journal.entries[0].restored[0].digest
    pixels = np.zeros((8, 8, 3))
    save_thumbnails(tmp_path, key, "Set5", "baby", np.zeros((32, 32, 3), np.uint8), pixels, np.zeros((32, 32, 3)))
    Tracker(tmp_path).mirror(journal)
    client, found = runs(tmp_path)
    with_samples = found["Bicubic on Set5"].info.run_id
    assert [file.path for file in client.list_artifacts(with_samples, "samples")] == ["samples/baby.png"]
    assert client.list_artifacts(found["Bicubic on Set14"].info.run_id, "samples") == []
    path = client.download_artifacts(with_samples, "samples/baby.png", str(tmp_path))
    assert Image.open(path).size == (192 * 3 + 8, 192)  # LR, SR and HR


def test_mirroring_is_never_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run goes on while MLflow is slow, what came meanwhile is told at once, and the end waits and notes the time."""
    journal = Journal.begin(tmp_path, "table4", {}, PROVENANCE)
    told_of: list[int] = []
    go = threading.Event()

    def slow(self: Tracker, one: Journal) -> str:
        assert go.wait(20)
        told_of.append(len(one.entries))
        return "parent"

    monkeypatch.setattr(Tracker, "_mirror", slow)
    monkeypatch.setattr(Tracker, "_settle", lambda *_: None)
    tracker = Tracker(tmp_path)
    for number in range(5):
        journal.note(Entry("Bicubic", f"set {number}", "done"))
        tracker.later(journal)
    assert told_of == []
    go.set()
    tracker.attach(journal, [])
    assert told_of[-2:] == [5, 5]  # the newest state, and once more at the end
    assert len(told_of) <= 3
    assert tracker.failure is None
    assert load_journals(tmp_path)[0].mirrored.keys() == {"seconds", "waited"}


def test_nobody_is_told_that_mlflow_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    MlflowStore(tmp_path).client()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")  # the user turned it on
    MlflowStore(tmp_path).client()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"
