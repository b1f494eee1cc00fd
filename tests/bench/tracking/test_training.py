"""What the benchmark adds to training: scores, data sets by name, and a log that survives stops and dead servers."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from bench.errors import BenchError
from bench.metrics.metric import Measure
from bench.runs.folders import Folders
from bench.runs.folders import score as score_folders
from bench.tracking.training import MlflowLog
from bench.training import plugin as training
from hcflow.images.io import Pixels, read_image, write_png
from hcflow.train.observers import GROUP, RunInfo

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def pair() -> tuple[Pixels, Pixels]:
    """An image and a noisy copy."""
    random = np.random.default_rng(0)
    hr = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    noise = random.integers(-20, 21, hr.shape)
    return np.clip(hr + noise, 0, 255).astype(np.uint8), hr


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def info(folder: Path, resumed: dict[str, str] | None = None, **parameters: str | int | float) -> RunInfo:
    return RunInfo("sr_x4-smoke", folder, {"batch": 2, **parameters}, {"recipe.json": "{}"}, resumed or {})


def the_run(out: Path) -> tuple[MlflowClient, Run]:
    """The only training run."""
    client = MlflowClient(f"sqlite:///{out / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("training")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    return client, run


def artifacts(client: MlflowClient, run: Run, folder: str) -> list[str]:
    return [file.path for file in client.list_artifacts(run.info.run_id, folder)]


def points(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]


@pytest.mark.parametrize("scale", [4, 8])
def test_scores_are_those_of_the_benchmark(tmp_path: Path, pair: tuple[Pixels, Pixels], scale: int) -> None:
    for name, image in zip(("sr", "hr"), pair, strict=True):
        (tmp_path / name).mkdir()
        write_png(tmp_path / name / "a.png", image)
    names = [(metric, space) for metric in ("psnr", "ssim") for space in ("y", "rgb")]
    measures = [Measure.parse(f"{metric}@{space},crop{scale},u8") for metric, space in names]
    folders = Folders([tmp_path / "sr"], tmp_path / "hr", None, "", scale)
    (scored,) = score_folders(folders, measures, torch.device("cpu"))
    expected = [scored.values[measure.id][0] for measure in measures]
    assert training.score(*pair, scale) == {f"{m}_{s}": value for (m, s), value in zip(names, expected, strict=True)}


def test_lr_psnr_is_rgb_without_a_crop(tmp_path: Path, pair: tuple[Pixels, Pixels]) -> None:
    mse = float(np.mean((pair[0].astype(float) - pair[1].astype(float)) ** 2))
    assert training.lr_psnr(*pair) == pytest.approx(10 * math.log10(255**2 / mse), abs=1e-12)
    assert training.lr_psnr(pair[1], pair[1]) == math.inf


def test_images_too_small_for_ssim_are_an_error(pair: tuple[Pixels, Pixels]) -> None:
    with pytest.raises(ValueError, match="expected at least 11x11 pixels"):
        training.score(pair[0][:16, :16], pair[1][:16, :16], 4)


def test_the_sample_set_comes_with_a_package() -> None:
    paths = training.images("Sample")
    assert paths is not None
    assert [path.name for path in paths] == ["coffee.png", "astronaut.png", "chelsea.png"]
    assert all(read_image(path).ndim == 3 for path in paths)


@pytest.mark.parametrize("name", ["nothing", "sample", "", "../Sample", "datasets/Sample.toml"])
def test_unknown_names_are_left_to_others(name: str) -> None:
    assert training.images(name) is None


def test_missing_and_partial_sets_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    with pytest.raises(BenchError, match=r"^Set5: expected 5 images, got 0; get them: python -m bench data \w+ Set5"):
        training.images("Set5")
    (tmp_path / "Set5" / "HR").mkdir(parents=True)
    write_png(tmp_path / "Set5" / "HR" / "baby.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="expected 5 images, got 1"):
        training.images("Set5")
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(BenchError, match="HCFLOW_DATA: expected a folder"):
        training.images("Set5")


def test_a_run_is_mirrored(tmp_path: Path, pair: tuple[Pixels, Pixels], capfd: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "best.safetensors"
    log = MlflowLog(tmp_path / "run", tmp_path)
    log.start(info(tmp_path / "run", device="cpu"))
    log.metrics(10, {"loss": 1.5, "psnr_y_tau0.9": math.inf, "other": math.nan})
    log.metrics(20, {"loss": 1.25})
    log.images(20, {"samples.png": pair[0]})
    for step, content in ((10, b"first"), (20, b"second")):
        weights.write_bytes(content)
        log.best(step, weights)
    client, run = the_run(tmp_path)
    assert (run.info.status, run.info.run_name) == ("RUNNING", "sr_x4-smoke")
    log.end("finished")
    client, run = the_run(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"batch": "2", "device": "cpu"}
    assert run.data.metrics == {"loss": 1.25}
    assert points(client, run, "loss") == [(10, 1.5), (20, 1.25)]
    assert {"bench.kind", "folder", "mlflow.source.git.commit", "version.torch"} <= run.data.tags.keys()
    assert run.data.tags["best.step"] == "20"
    assert artifacts(client, run, "weights") == ["weights/best.safetensors"]
    assert artifacts(client, run, "samples") == ["samples/samples-00000020.png"]
    assert {"recipe.json"} < {file.path for file in client.list_artifacts(run.info.run_id)}
    saved = tmp_path / "mlartifacts" / "training" / run.info.run_id / "artifacts"
    assert (saved / "weights" / "best.safetensors").read_bytes() == b"second"
    assert np.array_equal(read_image(saved / "samples" / "samples-00000020.png"), pair[0])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_resumed_run_goes_on_where_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = MlflowLog(tmp_path / "run", tmp_path)
    first.start(info(tmp_path / "run", device="cpu"))
    first.metrics(10, {"loss": 1.5})
    first.metrics(20, {"loss": 1.25, "seconds": 3.0})
    memory = first.memory()
    assert memory["mlflow_uri"] == f"sqlite:///{tmp_path / 'mlflow.db'}"
    first.end("stopped")
    assert the_run(tmp_path)[1].info.status == "KILLED"

    second = MlflowLog(tmp_path / "run", tmp_path)
    second.start(info(tmp_path / "run", resumed=dict(memory), device="cpu:0", workers=2))
    second.metrics(20, {"loss": 1.25, "seconds": 4.0})  # since the last save: the loss repeats, the time does not
    second.metrics(30, {"loss": 1.0})
    client, run = the_run(tmp_path)
    assert (run.info.status, run.info.run_id) == ("RUNNING", memory["mlflow_run_id"])
    assert second.memory() == memory
    assert points(client, run, "loss") == [(10, 1.5), (20, 1.25), (30, 1.0)]
    assert sorted(points(client, run, "seconds")) == [(20, 3.0), (20, 4.0)]
    assert run.data.metrics == {"loss": 1.0, "seconds": 4.0}
    assert run.data.params == {"batch": "2", "device": "cpu", "workers": "2"}
    assert run.data.tags["resumed.device"] == "cpu:0"
    second.end("failed")
    assert the_run(tmp_path)[1].info.status == "FAILED"
    assert capfd.readouterr().err == ""


def test_a_run_that_the_server_lost_is_made_anew(tmp_path: Path) -> None:
    lost = "0" * 32
    for _ in range(2):  # never there; there, but deleted
        log = MlflowLog(tmp_path / "run", tmp_path)
        log.start(info(tmp_path / "run", resumed={"mlflow_run_id": lost}))
        client, run = the_run(tmp_path)
        assert run.info.run_id == log.memory()["mlflow_run_id"] != lost
        lost = run.info.run_id
        client.delete_run(lost)


def test_a_dead_server_costs_one_warning(
    tmp_path: Path, pair: tuple[Pixels, Pixels], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    resumed = {"mlflow_run_id": "1" * 32, "mlflow_uri": "somewhere", "other": "log"}
    log = MlflowLog(tmp_path / "run", tmp_path)
    started = time.monotonic()
    log.start(info(tmp_path / "run", resumed=resumed))
    for step in range(200):
        log.metrics(step, {"loss": 1.0})
    log.images(1, {"samples.png": pair[0]})
    log.best(1, tmp_path / "best.safetensors")
    assert log.memory() == {"mlflow_run_id": "1" * 32, "mlflow_uri": "somewhere"}  # it may be back after a resume
    log.end("finished")
    assert time.monotonic() - started < 100
    error = capfd.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith("warning: MLflow at http://127.0.0.1:9 may miss some of the run")
    assert str(tmp_path / "run" / "log.jsonl") in error
    assert "secret" not in error
    assert not list(tmp_path.iterdir())


def test_a_server_that_hangs_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as mute:  # connects, never answers
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        log = MlflowLog(tmp_path / "run", tmp_path)
        log.start(info(tmp_path / "run"))
        started = time.monotonic()
        for step in range(1000):
            log.metrics(step, {"loss": 1.0})
        assert time.monotonic() - started < 60  # a second for each, if it were asked each time
        log.end("finished")
    assert capfd.readouterr().err.count("warning") == 1


@pytest.mark.slow
def test_what_was_missed_is_caught_up_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = MlflowLog(tmp_path / "run", tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(log._store, "experiment", lambda name: (_ for _ in ()).throw(OSError("disk full")))
        log.start(info(tmp_path / "run"))
        log.metrics(10, {"loss": 1.5})
        weights = tmp_path / "best.safetensors"
        weights.write_bytes(b"x")
        log.best(10, weights)
    log.metrics(20, {"loss": 1.25})  # still left alone
    assert log.memory() == {}
    monkeypatch.setattr(log, "_again", 0.0)
    log.metrics(30, {"loss": 1.0, "a bad name!": 1.0})  # refused for good: must not keep the rest waiting
    log.metrics(40, {"loss": 0.5})
    log.end("finished")
    client, run = the_run(tmp_path)
    assert run.info.status == "FINISHED"
    assert points(client, run, "loss") == [(10, 1.5), (20, 1.25), (40, 0.5)]
    assert artifacts(client, run, "weights") == ["weights/best.safetensors"]
    assert capfd.readouterr().err.count("warning: MLflow at") == 1


def test_runs_are_browsed_where_the_tables_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        log = training.open_log(tmp_path / name)
        log.start(info(tmp_path / name))
        log.end("finished")
    client = MlflowClient(f"sqlite:///{tmp_path / 'results' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("training")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]


def test_the_entry_point_is_the_plug_in() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][GROUP]
    plugin = EntryPoint("bench", declared["bench"], GROUP).load()
    assert all(callable(getattr(plugin, name)) for name in ("images", "score", "lr_psnr", "open_log"))


def test_importing_the_plug_in_does_not_import_what_only_some_need() -> None:
    code = "import sys, bench.training; print([name for name in ('mlflow', 'pyiqa', 'lpips') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
