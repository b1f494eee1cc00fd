"""Results as frames: every number of the records is there, once, and `import bench` stays light."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables_helper import measured

import bench
from bench.__main__ import main
from bench.errors import BenchError
from bench.records.tables import build_table
from bench.suites.reading import load_suite

DRAWS = {"a": [30.0, 31.0], "b": [32.0, 35.0], "c": [29.0, 28.5]}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    measured(tmp_path / "results", "RRDB", DRAWS)
    measured(tmp_path / "results", "Bicubic", {"a": [20.0], "b": [math.inf]}, total=5)
    return tmp_path / "results"


def test_cells(out: Path) -> None:
    cells = bench.load(out).cells.set_index("row")
    rrdb, bicubic = cells.loc["RRDB"], cells.loc["Bicubic"]
    expected = build_table(load_suite("4"), out).cell("RRDB", "Set5", "psnr_y")
    assert expected.value is not None
    assert (rrdb["value"], rrdb["stderr"]) == (expected.value.mean, expected.value.stderr)
    assert rrdb["value"] == pytest.approx(np.mean([np.mean(draws) for draws in DRAWS.values()]))
    assert (rrdb["published"], rrdb["verdict"]) == (expected.published, "differs")
    assert rrdb["difference"] == pytest.approx(rrdb["value_as_published"] - float(rrdb["published"]))
    assert (rrdb["protocol"], rrdb["seconds"], rrdb["commit"]) == ("psnr@y,crop4,u8", 0.5, "0123456789abcdef")
    assert rrdb["versions"] == "torch=2 numpy=2 scikit-image=0"
    assert (bicubic["verdict"], bicubic["n"], bicubic["total"]) == ("partial", 2, 5)
    assert math.isinf(bicubic["value"])


def test_images_and_draws(out: Path) -> None:
    results = bench.load(str(out))
    draws = results.draws[results.draws["row"] == "RRDB"]
    assert {(line.image, line.draw): line.value for line in draws.itertuples()} == {
        (image, number): value for image, values in DRAWS.items() for number, value in enumerate(values)
    }
    images = results.images[results.images["row"] == "RRDB"].set_index("image")
    pd.testing.assert_series_equal(draws.groupby("image")["value"].mean(), images["value"], check_names=False)
    cells = results.cells.set_index("row")
    assert cells.loc["RRDB", "value"] == images["value"].mean()
    assert set(images["draws"]) == {2}


def test_several_folders(out: Path, tmp_path: Path) -> None:
    measured(tmp_path / "other", "RRDB", DRAWS)
    cells = bench.load(out, tmp_path / "other").cells
    assert sorted(zip(cells["folder"], cells["row"], strict=True)) == sorted(
        [(str(out), "RRDB"), (str(out), "Bicubic"), (str(tmp_path / "other"), "RRDB")]
    )


def test_nothing_to_load_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="expected a folder with records, got nothing there"):
        bench.load(tmp_path / "none")
    with pytest.raises(BenchError, match="expected records of a run, got none"):
        bench.load(tmp_path)
    with pytest.raises(BenchError, match="expected a results folder, got none"):
        bench.load()


def test_import_bench_is_light() -> None:
    code = "import sys, bench; print([m for m in ('pandas', 'numpy', 'torch', 'bench.records') if m in sys.modules])"
    root = Path(bench.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("frame", ["cells", "images", "draws"])
@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_files_have_the_frames(out: Path, tmp_path: Path, frame: str, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"there.{suffix}"
    assert main(["export", str(out), "--to", str(path), "--frame", frame]) == 0
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[suffix](path)
    expected = bench.load(out).frame(frame)
    assert list(read.columns) == list(expected.columns)
    assert [float(value) for value in read["value"]] == list(expected["value"])
    assert list(read["row"]) == list(expected["row"])


def test_a_file_is_not_overwritten_unasked(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("mine")
    assert main(["export", str(out), "--to", str(path)]) == 2
    assert "expected a new file, got one that is there; choose another, or add --replace" in capsys.readouterr().err
    assert path.read_text() == "mine"
    assert main(["export", str(out), "--to", str(path), "--replace"]) == 0
    assert path.read_text().startswith("folder,table,row,dataset,metric,protocol,temperature,")


def test_what_cannot_be_written_is_one_line(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", str(out), "--to", str(tmp_path / "there.xlsx")]) == 2
    assert "expected a file that ends in .csv, .parquet or .json" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", str(out), "--to", str(tmp_path / "there.parquet")]) == 2
    said = capsys.readouterr().err
    assert "expected the package pyarrow, got none; pip install 'hcflow-bench[parquet]'" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "there.parquet").exists()
