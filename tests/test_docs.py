"""The documents: every command runs or is at least understood, every link leads somewhere, every example is right.

How a fenced block of README.md and docs/*.md is marked says what becomes of it; readers do not see the marks:

    ```sh test          its commands run here, with the Sample set and the weights that ship, without network
    ```sh slow          the same, but they take long: only in the slow tests
    ```sh               needs a download, a GPU or your own files: its commands are parsed, not run
    ```toml file=NAME   a file that later commands of the page use
    ```toml recipe      a recipe for `train`
    ```python test      runs in the same folder

The commands of a page run one after the other in one folder, as a reader would type them.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
import pytest
from PIL import Image

import bench.__main__ as bench_program
import hcflow.__main__ as hcflow_program
from bench.downloads import archive, http
from bench.tracking.tables import Tracker
from bench.weights.entries import weight_names

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = {"bench": bench_program, "hcflow": hcflow_program}


@dataclass(frozen=True)
class Block:
    """A fenced block: `sh test` is the language sh with the mark test."""

    language: str
    mark: str
    text: str

    def commands(self) -> Iterator[str]:
        """Its lines, continued lines as one, without comments and empty ones."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                yield line


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^ *```(\w*) ?([^\n]*)\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.S | re.M)
    return [Block(*one) for one in found]


def of_pages(*marks: str) -> list[Path]:
    return [page for page in PAGES if any(b.mark in marks for b in blocks(page) if b.language in ("sh", "python"))]


def name_of(page: Path) -> str:
    return page.name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a reader has: the weights and the records that ship, and some images."""
    rng = np.random.default_rng(0)
    smooth = np.asarray(Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((96, 72)))
    noisy = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).round().astype(np.uint8)
    for name, image in {
        "photo": smooth, "original": smooth, "result": noisy, "photos/one": smooth, "photos/two": noisy,
        "my/originals/a": smooth, "my/originals/b": noisy, "my/results/a": noisy, "my/results/b": smooth,
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "hcflow").mkdir()
    (tmp_path / "hcflow/trained").symlink_to(ROOT / "hcflow/trained")
    (tmp_path / "reports").symlink_to(ROOT / "reports")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HCFLOW_OFFLINE", "1")
    monkeypatch.delenv("HCFLOW_DATA", raising=False)
    monkeypatch.delenv("HCFLOW_WEIGHTS", raising=False)
    return tmp_path


def run_page(page: Path, marks: Sequence[str]) -> None:
    """Run what is marked so, in order; the files of a page are written first."""
    variables: dict[str, str] = {}
    for block in blocks(page):
        if block.mark.startswith("file="):
            Path(block.mark.removeprefix("file=")).write_text(block.text, encoding="utf-8")
    for block in blocks(page):
        if block.mark not in marks:
            continue
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), {})
            continue
        for line in block.commands():
            if assignment := re.fullmatch(r"(\w+)=(\S+)\s*(?:#.*)?", line):
                variables[assignment[1]] = assignment[2]
                continue
            words = shlex.split(Template(line).substitute(variables), comments=True)
            assert words[:2] == ["python", "-m"], f"{page.name}: this test cannot run {line!r}"
            assert PROGRAMS[words[2]].main(words[3:]) == 0, f"{page.name}: {line}"


@pytest.mark.parametrize("page", of_pages("test"), ids=name_of)
@pytest.mark.usefixtures("folder")
def test_commands(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tracker, "_guard", lambda *_: None)  # MLflow has tests of its own; its database takes seconds
    run_page(page, ("test",))


@pytest.mark.slow
@pytest.mark.parametrize("page", of_pages("slow"), ids=name_of)
@pytest.mark.usefixtures("folder")
def test_slow_commands(page: Path) -> None:
    run_page(page, ("test", "slow"))


def parsed_only(parser: argparse.ArgumentParser, argv: Sequence[str] | None, *_: object) -> int:
    parser.parse_args(argv)
    return 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_other_commands_are_understood(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in PROGRAMS.values():
        monkeypatch.setattr(program, "run_command", parsed_only)
    for block in blocks(page):
        if block.language not in ("sh", ""):
            continue
        for line in block.commands():
            if not line.startswith(("python", "torchrun")):
                continue
            words = [word.rstrip("&") for word in shlex.split(line, comments=True) if word != "&"]
            for name, program in PROGRAMS.items():
                if words[:3] == ["python", "-m", name] or (words[0] == "torchrun" and f"-m {name}" in line):
                    try:
                        program.main(words[words.index("-m") + 2 :])
                    except SystemExit:
                        pytest.fail(f"{page.name}: {line}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_is_reachable_and_its_sessions_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"nox -s (\w+)", text)) <= sessions
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert page.name == "README.md" or f"docs/{page.name}" in readme


def test_recipes() -> None:
    from hcflow.train.recipes import recipe

    found = [block for page in PAGES for block in blocks(page) if (block.language, block.mark) == ("toml", "recipe")]
    assert found
    for block in found:
        path = Path(os.environ["XDG_CACHE_HOME"]).parent / "mine.toml"  # the test's own folder, see conftest.py
        path.write_text(block.text, encoding="utf-8")
        assert recipe(str(path)).stages


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_pictures_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs/images").glob("*.webp")}
    assert "comparison.webp" in sizes
    assert max(sizes.values()) < 150_000


def test_the_numbers_of_data_and_weights_are_those_of_the_code() -> None:
    text = (ROOT / "docs/data-and-weights.md").read_text(encoding="utf-8")
    assert f"nothing for {http.TIMEOUT:.0f} seconds" in text
    assert f"more than {http.ANSWER:.0f} seconds to send its headers" in text
    assert f"{http.SLOWEST} bytes per second over {http.WINDOW:.0f} seconds" in text.replace("\n  ", " ")
    assert f"of up to {http.LONGEST_PAUSE:.0f} seconds" in text
    assert f"({archive._DIRECTORY >> 20} MB)" in text
    assert set(re.findall(r"\b\w+_x[48]\w*", text)) <= set(weight_names())
