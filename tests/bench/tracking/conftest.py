"""An empty MLflow database, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tracking.store import make_database


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    make_database(path)
    return path
