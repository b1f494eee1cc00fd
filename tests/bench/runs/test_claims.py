"""Images that a process works on are its own, wherever they would be recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.errors import BenchError
from bench.records.journal import load_journals
from bench.runs import runner
from bench.runs.claims import Claims
from bench.suites.reading import load_suite


def test_an_image_is_claimed_in_every_folder(tmp_path: Path) -> None:
    """Another row may share but one of the restorations, and not the first."""
    a, b, c = (tmp_path / name for name in "abc")
    mine, other, third = Claims(b, a), Claims(c, b), Claims(c)
    assert mine.take("1")
    assert not other.take("1")
    assert third.take("1")  # what the other got before it was refused is free again
    third.release("1")
    assert other.take("2")
    mine.release("1")
    assert other.take("1")
    other.close()
    assert not list(tmp_path.glob("*/.*"))


def test_a_row_claims_all_of_its_restorations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bicubic is restored under the common protocol and as published; another run may ask for the second alone."""
    asked: list[Path] = []

    def claims(*folders: Path) -> Claims:
        asked.extend(folders)
        raise BenchError("enough")

    monkeypatch.setattr(runner, "Claims", claims)
    suite = load_suite("4")
    request = runner.Request(suite, suite.select(["Bicubic"]), ["Sample"], 1, torch.device("cpu"), tmp_path)
    with pytest.raises(BenchError, match="enough"):
        runner.run(request, Nobody(), lambda journal: None)
    (noted,) = load_journals(tmp_path)[0].entries
    assert [path.name for path in asked] == [one.digest for one in noted.restored]
    assert len(set(asked)) == 2


class Nobody:
    """Watches nothing."""

    def plan(self, rows: int, images: int) -> None:
        """Not kept."""

    def row(self, row: str, dataset: str, images: int) -> None:
        """Not kept."""

    def image(self, image: str, cached: bool) -> None:
        """Not kept."""

    def problem(self, message: str) -> None:
        """Not kept."""
