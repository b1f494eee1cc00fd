"""Every command of docs/data-and-weights.md that needs no network and no data runs; the others at least parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.downloads import archive, http
from bench.weights.entries import weight_names

DOCUMENT = (Path(__file__).parents[1] / "docs/data-and-weights.md").read_text(encoding="utf-8")
RUN = [line for block in re.findall(r"^```\n(.*?)^```", DOCUMENT, re.S | re.M) for line in block.splitlines()]
SHOWN = re.findall(r"^    (python -m bench .*)$", DOCUMENT, re.M)


@pytest.mark.parametrize("command", RUN)
def test_what_the_document_says_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "bench"]
    assert main(words[3:]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("command", SHOWN)
def test_what_the_document_shows_is_understood(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_OFFLINE", "1")
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    code = main(shlex.split(command.replace("~", str(tmp_path)))[3:])
    error = capsys.readouterr().err
    assert code == 0 or "offline: " in error or "check the path" in error
    assert "usage" not in error


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"nothing for {http.TIMEOUT:.0f} seconds" in DOCUMENT
    assert f"more than {http.ANSWER:.0f} seconds to send its headers" in DOCUMENT
    assert f"{http.SLOWEST} bytes per second over {http.WINDOW:.0f} seconds" in DOCUMENT.replace("\n  ", " ")
    assert f"of up to {http.LONGEST_PAUSE:.0f} seconds" in DOCUMENT
    assert f"({archive._DIRECTORY >> 20} MB)" in DOCUMENT
    assert set(re.findall(r"\b\w+_x[48]\w*", DOCUMENT)) <= set(weight_names())
