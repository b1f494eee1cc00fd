"""MLflow's database is whole or absent, whatever is killed and however many start at once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from bench.errors import BenchError
from bench.tracking import store
from bench.tracking.store import MlflowStore, make_database, move_where_there_is_none

FORK = multiprocessing.get_context("fork") if hasattr(os, "fork") else None
needs_fork = pytest.mark.skipif(FORK is None, reason="this system has no fork")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which nothing was logged yet."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    make_database(path)
    return path


def usable(path: Path) -> bool:
    """Whether an experiment can be made in it."""
    client = MlflowClient(f"sqlite:///{path}")
    name = f"test {time.monotonic_ns()}"
    client.create_experiment(name, artifact_location=path.parent.as_uri())
    return client.get_experiment_by_name(name) is not None


def test_a_new_database_stands_alone(tmp_path: Path) -> None:
    make_database(tmp_path / "new" / "mlflow.db")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]
    with closing(sqlite3.connect(tmp_path / "new" / "mlflow.db")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert usable(tmp_path / "new" / "mlflow.db")


def test_a_journal_is_written_into_the_database_before_it_moves(tmp_path: Path) -> None:
    path = tmp_path / "part.db"
    writer = sqlite3.connect(path)
    writer.execute("pragma journal_mode = wal")
    writer.execute("create table t (x)")
    writer.execute("insert into t values (1)")
    writer.commit()
    assert (tmp_path / "part.db-wal").stat().st_size > 0
    copies = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    writer.close()  # which would do it, were the process not killed here
    for name, content in copies.items():
        (tmp_path / name).write_bytes(content)
    store._settle(path)
    assert [one.name for one in tmp_path.iterdir()] == ["part.db"]
    moved = path.rename(tmp_path / "moved.db")
    with closing(sqlite3.connect(moved)) as connection:
        assert connection.execute("select x from t").fetchone() == (1,)


def no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")  # what FAT says


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_is_moved_where_there_is_none(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("new")
    move_where_there_is_none(source, target)
    assert target.read_text() == "new"
    source.write_text("newer")
    target.unlink()
    target.write_text("somebody else's")
    move_where_there_is_none(source, target)
    assert target.read_text() == "somebody else's"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all, but long enough to be taken for one" * 20),
        lambda path: statements(path, "create table runs (x)"),
        lambda path: statements(path, "create table alembic_version (version_num)"),
        lambda path: statements(
            path,
            "create table alembic_version (version_num)",
            "insert into alembic_version values ('x')",
            "create table _alembic_tmp_runs (x)",
        ),
    ],
    ids=["empty", "foreign", "tables only", "no version", "a table under way"],
)
def test_a_half_made_one_is_recognised(make: object, tmp_path: Path) -> None:
    make(tmp_path / "mlflow.db")  # type: ignore[operator]
    with pytest.raises(BenchError, match=r"interrupted; delete it and run `python -m bench track --out"):
        make_database(tmp_path / "mlflow.db")


def statements(path: Path, *texts: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for text in texts:
            connection.execute(text)
        connection.commit()


def test_a_whole_one_is_taken_as_it_is(tmp_path: Path, empty_database: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(empty_database.read_bytes())
    before = path.stat().st_mtime_ns
    make_database(path)
    assert path.stat().st_mtime_ns == before


def open_store(out: Path) -> None:
    """What a first run does."""
    MlflowStore(out).experiment("table4")


@needs_fork
def test_of_two_first_runs_one_makes_it_and_both_use_it(tmp_path: Path) -> None:
    assert FORK is not None
    both = [FORK.Process(target=open_store, args=(tmp_path,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    names = [experiment.name for experiment in MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()]
    assert sorted(names) == ["Default", "table4"]
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def kill_after(out: Path, seconds: float) -> None:
    """Start a first run in a process of its own and kill it."""
    assert FORK is not None
    process = FORK.Process(target=open_store, args=(out,))
    process.start()
    time.sleep(seconds)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)


@needs_fork
def test_a_killed_maker_leaves_nothing_that_stops_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds in (0.3, 0.8):
        kill_after(tmp_path, seconds)
    open_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert usable(tmp_path / "mlflow.db")


@pytest.mark.slow
@needs_fork
def test_kills_at_random_moments(tmp_path: Path) -> None:
    """Eight series of up to four kills each, spread over the whole making of a database; then one run must succeed."""
    started = time.monotonic()
    open_store(tmp_path / "timed")
    takes = time.monotonic() - started
    moments = random.Random(0)
    for series in range(8):
        out = tmp_path / str(series)
        for _ in range(moments.randint(1, 4)):
            kill_after(out, moments.uniform(0, 1.2 * takes))
            assert not (out / "mlflow.db").exists() or usable(out / "mlflow.db")
        open_store(out)
        assert [path.name for path in out.iterdir() if path.name != "mlartifacts"] == ["mlflow.db"]
        assert usable(out / "mlflow.db")


def test_telemetry_is_off_before_mlflow_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "make_database", lambda path: None)
    for given, kept in ((None, "true"), ("false", "false")):
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", given or "")
        if given is None:
            monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
        MlflowStore(tmp_path).client()
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == kept


@pytest.mark.slow
def test_mlflow_agrees_that_telemetry_is_off(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bench.tracking.store import MlflowStore\n"
        "from unittest.mock import patch\n"
        "with patch('bench.tracking.store.make_database'): MlflowStore(Path(sys.argv[1])).client()\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled; print(is_telemetry_disabled())"
    )
    signs = ("CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "MLFLOW_DISABLE_TELEMETRY")
    plain = {name: value for name, value in os.environ.items() if name not in signs}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
