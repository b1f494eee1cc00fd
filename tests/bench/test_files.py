"""Folders to read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.files import require_folder


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    require_folder(tmp_path, "records")
    (tmp_path / "file").touch()
    for name, got in (("nowhere", "nothing"), ("file", "a file"), ("file/below", "nothing")):
        with pytest.raises(BenchError, match=rf"{name}: expected a folder with records, got {got} there; check --out$"):
            require_folder(tmp_path / name, "records")
