"""A results folder is portable: it renders the same where its suite is missing or another."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables_helper import TABLE4, measured

from bench.__main__ import main
from bench.datasets import manifest
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.records.journal import Journal, load_journals
from bench.records.tables import build_table
from bench.records.texts import suite_in, tables_in, texts_of
from bench.runs.recording import manifest_in, recorded_texts
from bench.suites import published, reading
from bench.suites.reading import read_suite
from bench.tracking.tables import Tracker

MINE = """
title = "Mine"
scale = 4
datasets = ["MySet"]
published = "mine.csv"
columns = [{ id = "psnr_y", measure = "psnr@y,crop4,u8" }]
rows = [{ name = "Bicubic", method = "bicubic", key = { method = "Bicubic" } }]
"""
MY_SET = """
title = "Mine"
licence = "CC0"
terms = "none"
sources = [{ kind = "package", package = "skimage", member = "data" }]
images = [{ file = "chelsea.png", width = 451, height = 300 }]
"""
FORMATS = ("text", "json", "md", "tex")


def with_texts(journal: Journal, texts: dict[str, object]) -> None:
    journal.texts = texts
    journal.save()


def shown(out: Path, capsys: pytest.CaptureFixture[str], *what: str) -> dict[str, str]:
    found = {}
    for name in FORMATS:
        assert main(["show", *what, "--out", str(out), "--format", name]) == 0
        found[name] = capsys.readouterr().out
    assert main(["report", *what, "--out", str(out)]) == 0  # beside the records, for it may link to pictures there
    found["html"] = (out / "mine.html").read_text()
    capsys.readouterr()
    return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a suite of one's own, its CSV file and data set, and a results folder made with them."""
    monkeypatch.setattr(Tracker, "_guard", lambda *_: None)
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine.toml").write_text(MINE)
    (home / "mine.csv").write_text("method,MySet_psnr_y\nBicubic,28.53\n")
    (home / "MySet.toml").write_text(MY_SET)
    assert main(["run", "--suite", str(home / "mine.toml"), "--out", str(home / "results")]) == 0
    return home


def test_a_suite_of_your_own_moves_with_the_folder(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    before = shown(home / "results", capsys, "--suite", str(home / "mine.toml"))
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", home / "results")
    shutil.rmtree(home)
    reading.read_suite.cache_clear()
    published.csv_of.cache_clear()
    monkeypatch.setattr(manifest, "_search", [])
    load_manifest.cache_clear()
    there = tmp_path / "elsewhere"
    shutil.unpack_archive(packed, there)
    assert tables_in(there) == ["mine"]
    assert main(["show", "--table", "mine", "--out", str(there)]) == 0
    said = capsys.readouterr()
    assert f"note: mine: shown as its newest run in {there} recorded it" in said.err
    assert "28.53" in said.out
    assert "data:image/webp" in before["html"]
    assert shown(there, capsys, "--table", "mine") == before
    monkeypatch.chdir(there)
    assert shown(there, capsys, "--suite", "mine.toml") == before  # the file is missing, the name is known
    assert main(["report", "--out", str(there), "--to", str(tmp_path / "site")]) == 0
    assert (tmp_path / "site" / "mine.json").is_file()
    assert main(["verify", str(there)]) == 0  # suite and data set are those of the journal


def test_published_values_are_those_of_the_run_where_the_installed_ones_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = measured(tmp_path, "RRDB", {"a": [32.0]})
    texts = texts_of(TABLE4)
    older = {**texts, "published": texts["published"].replace("32.62", "31.62")}
    with_texts(journal, older)
    known = suite_in(tmp_path, "4")
    assert build_table(known.suite, tmp_path).cell("EDSR", "Set5", "psnr_y").published == "31.62"
    assert "table4: shown as its newest run" in known.note
    assert known.note.endswith("since the suite that is installed here is another one")
    assert main(["show", "--table", "4", "--out", str(tmp_path)]) == 0
    assert known.note in capsys.readouterr().err


def test_the_installed_suite_is_used_where_it_is_the_same_or_nothing_was_recorded(tmp_path: Path) -> None:
    journal = measured(tmp_path, "RRDB", {"a": [32.0]})  # as earlier versions wrote it
    assert "texts" in json.loads(journal.path.read_text())
    assert suite_in(tmp_path, "table4").note == ""
    with_texts(journal, texts_of(TABLE4))
    known = suite_in(tmp_path, "table4")
    assert (known.note, known.suite) == ("", TABLE4)


def test_journals_of_earlier_versions_have_no_texts(tmp_path: Path) -> None:
    journal = measured(tmp_path, "RRDB", {"a": [32.0]})
    content = json.loads(journal.path.read_text())
    del content["texts"]
    journal.path.write_text(json.dumps(content))
    assert load_journals(tmp_path)[0].texts == {}
    assert tables_in(tmp_path) == ["table4"]


@pytest.mark.parametrize("texts", [["suite"], {"suite": 1}, {"manifests": ["Set5"]}, {"manifests": {"Set5": None}}])
def test_a_journal_with_other_texts_is_set_aside(
    tmp_path: Path, texts: object, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = measured(tmp_path, "RRDB", {"a": [32.0]})
    with_texts(journal, texts)  # type: ignore[arg-type]
    assert load_journals(tmp_path) == []
    assert "expected a journal, got other types" in capsys.readouterr().err


def test_a_recorded_suite_that_means_nothing_here_is_one_line(tmp_path: Path) -> None:
    journal = measured(tmp_path, "RRDB", {"a": [32.0]})
    with_texts(journal, {"suite": "title = 1"})
    with pytest.raises(BenchError, match="the suite table4 that was recorded: "):
        suite_in(tmp_path, "4")


def test_manifests_are_recorded_as_they_are(tmp_path: Path) -> None:
    journal = measured(tmp_path, "RRDB", {"a": [32.0]})
    with_texts(journal, recorded_texts(TABLE4, ["Set5", "Set5"]))
    assert manifest_in(journal, "Set5") == load_manifest("Set5")
    assert manifest_in(journal, "Set14") == load_manifest("Set14")  # not recorded: the installed one
    with_texts(journal, {"manifests": {"Set5": "images = 1"}})
    with pytest.raises(BenchError, match=r"Set5 as .* recorded it"):
        manifest_in(journal, "Set5")


def test_a_suite_without_a_file_of_published_values(tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(MINE.replace('published = "mine.csv"\n', "").replace(', key = { method = "Bicubic" }', ""))
    assert texts_of(read_suite(path)) == {"suite": path.read_text()}
