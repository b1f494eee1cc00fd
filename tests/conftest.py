"""Fixtures that several tests share."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# the same examples in every run, however slow the machine
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes, a core for each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent / "hcflow"))  # for the helper modules there: tiny, golden_files, ..


@pytest.fixture
def golden() -> Path:
    """Folder of the stored reference values."""
    return Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Seed what is loaded, so that no test depends on which ran before it; fixtures of a module seed themselves."""
    random.seed(0)
    if "numpy" in sys.modules:  # not imported for this: some tests are about what need not be loaded
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _no_surprises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """No test writes to the user's cache or to a real tracking server; only slow ones see the real data sets."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.delenv("HCFLOW_DATA", raising=False)
        monkeypatch.delenv("HCFLOW_WEIGHTS", raising=False)


@pytest.fixture(scope="session")
def database_copies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """In place of `bench.tracking.store._make`, which takes MLflow seconds: what it made once, copied."""
    from bench.tracking import store

    make, template = store._make, tmp_path_factory.mktemp("database") / "mlflow.db"

    def copy(path: Path) -> None:
        if not template.exists():
            make(template)
        shutil.copy(template, path)

    return copy


@pytest.fixture(autouse=True)
def _quick_databases(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, database_copies: Callable[[Path], None]
) -> None:
    if request.path.name != "test_store.py":  # which is about the making itself
        monkeypatch.setattr("bench.tracking.store._make", database_copies)
