"""Help is quick, tables fit the terminal, and what is piped is not padded."""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from bench.__main__ import COMMANDS, main
from bench.cli import doctor
from bench.cli.terminal import console, grid, in_blocks
from bench.datasets.manifest import manifest_names
from bench.records.journal import Entry, Journal, Restored
from bench.records.store import Writer
from bench.suites.reading import load_suite, suite_names
from bench.weights.entries import weight_names


def in_terminal(columns: int, *arguments: str, **environment: str) -> list[str]:
    """The lines that `python -m bench` writes on a terminal of that width, without colours."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    known = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = [sys.executable, "-m", "bench", *arguments]
    variables = {**known, "TERM": "xterm", **environment}
    process = subprocess.Popen(command, stdout=slave, stderr=slave, env=variables)
    os.close(slave)
    output = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the end, on Linux
            break
        if not piece:
            break
        output += piece
    assert process.wait() == 0
    os.close(master)
    return re.sub(r"\x1b\[[0-9;]*m", "", output.decode()).splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="needs pseudo-terminals")
@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", [("weights", "list"), ("data", "list")])
def test_tables_fit_the_terminal(columns: int, arguments: tuple[str, ...]) -> None:
    lines = in_terminal(columns, *arguments, HCFLOW_WEIGHTS="/nowhere", HCFLOW_DATA="/nowhere")
    assert max(map(len, lines)) <= columns
    names = weight_names() if arguments[0] == "weights" else manifest_names()
    for name in names:
        assert [len(line.split()) > 1 for line in lines if line.split()[:1] == [name]] == [True], name
    assert sum(bool(line.strip()) for line in lines) == len(names) + 4  # where, head, rule, how to get them


@pytest.mark.skipif(sys.platform != "linux", reason="needs pseudo-terminals")
@pytest.mark.parametrize("columns", [80, 160])
def test_a_table_of_results_fits_the_terminal(columns: int, tmp_path: Path) -> None:
    measures = {"psnr@y,crop4,u8": "psnr", "psnr@y8,crop4,u8,grey=direct,work=y,range=studio": "papers"}
    with Writer(tmp_path, "run", {"draws": 1}) as writer:
        for image in "abcde":
            writer.append(image, "0", {"psnr": (28.43,), "papers": (28.42,)}, {})
    journal = Journal.begin(tmp_path, "table4", {}, {"commit": "0" * 40, "device": "cpu", "processor": "a processor"})
    restored = Restored(writer.restoration, 0.0, 1, measures, deterministic=True)
    journal.note(Entry("Bicubic", "Set5", "done", total=5, restored=(restored,)))
    lines = in_terminal(columns, "show", "--table", "4", "--out", str(tmp_path))
    assert max(len(line) for line in lines if "python -m bench" not in line) <= columns
    (values,) = [line.split() for line in lines if "28.42 ± 0.00" in line]
    assert values[:3] == (["Set5", "PSNR", "(Y)"] if columns == 80 else ["Bicubic", "Set5", "PSNR"])


@pytest.mark.parametrize("arguments", [("weights", "list"), ("data", "list")])
def test_what_is_piped_is_neither_padded_nor_cut(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) < 150


def test_rules_are_short_where_lines_are_long(capsys: pytest.CaptureFixture[str]) -> None:
    table = grid("row", "what it needs", title="a table")
    table.add_row("a row", "word " * 100)
    console().print(table)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) > 400
    (rule,) = [line for line in lines if "─" in line]
    assert 60 < len(rule) <= 80


@pytest.mark.parametrize(("group", "name"), [("weights", "HCFlow_x4"), ("data", "Set5")])
def test_details_of_one(
    group: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    assert main([group, "show", name]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{name}\n")
    assert f"python -m bench {group} fetch {name}" in printed
    assert "licence: " in printed
    assert main([group, "show", name, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "missing"
    assert main([group, "show", name, "typo"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom bench.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'numpy', 'mlflow', 'rich', 'PIL', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_lists_need_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom bench.__main__ import main\n"
        "main(['weights', 'list'])\nmain(['data', 'list'])\n"
        "print(sorted({'torch', 'mlflow', 'scipy'} & set(sys.modules)))"
    )
    variables = {**os.environ, "HCFLOW_WEIGHTS": str(tmp_path), "HCFLOW_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    assert done.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--tabel", "4"), "unknown option --tabel; did you mean --table?"),
        (("run", "--table", "9"), "expected a table of beyond, 1, 2, 3, 4; got '9'"),
        (("run", "--table", "4", "--dataset", "Set6"), "did you mean Set5?"),
        (("run", "--ablation", "case9"), "did you mean case5?"),
        (("run", "--table", "4", "--weights", "/nowhere"), "expected a file of weights, got /nowhere"),
        (("run", "--suite", "/nowhere.toml"), "expected a suite's file (.toml), got /nowhere.toml"),
        (("score", "--sr", "/nowhere"), "--sr: expected a folder of images, got /nowhere"),
        (("score", "--sr", ".", "--dataset", "Set6"), "did you mean Set5?"),
    ],
)
def test_mistakes_are_told_before_pytorch_is_loaded(arguments: tuple[str, ...], message: str) -> None:
    code = (
        "import sys\nfrom bench.__main__ import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wide_table_is_printed_in_blocks() -> None:
    heads = ["data", "metric", *(f"column {number}" for number in range(9))]
    rows = [
        ["Set5", "PSNR [Y]", *("12.34" for _ in range(9))],
        ["BSD100", "SSIM", *("a longer text" for _ in range(9))],
    ]
    screen = Console(width=80, record=True, file=io.StringIO())
    tables = in_blocks(heads, rows, 80, fixed=2, title="A and B", last=["mean", "", *map(str, range(9))])
    assert len(tables) == 3
    for table in tables:
        screen.print(table)
    lines = screen.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert sum("Set5" in line for line in lines) == sum("PSNR [Y]" in line for line in lines) == 3  # nothing is folded
    assert sum(line.count("a longer text") for line in lines) == 9
    assert sum("A and B" in line for line in lines) == 1
    assert len(in_blocks(heads, rows, 1000, fixed=2)) == 1


@pytest.mark.parametrize("width", range(36, 44))
def test_a_table_that_just_fits_is_not_folded(width: int) -> None:
    heads = ["h" * 10, "i" * 9, "j" * 12]  # 39 columns with what lies between them, and a blank at the end
    screen = Console(width=width, record=True, file=io.StringIO())
    for table in in_blocks(heads, [["a", "b", "c"]], width):
        screen.print(table)
    lines = screen.export_text().splitlines()
    assert all(any(head in line for line in lines) for head in heads)
    assert max(map(len, lines)) <= width


def test_the_summaries_are_those_of_the_commands() -> None:
    for name, (module, summary) in COMMANDS.items():
        commands = argparse.ArgumentParser().add_subparsers()
        import_module(f"bench.cli.{module}").add_parser(commands)
        assert name in commands.choices
        helps = {action.dest: action.help for action in commands._choices_actions}
        assert helps[name] == summary


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert re.fullmatch(r"hcflow-bench (\d+\.\d+.*|\(a checkout that is not installed\))\n", capsys.readouterr().out)


@pytest.mark.parametrize("present", [False, True])
def test_doctor_says_what_could_not_run(
    present: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    monkeypatch.setattr(doctor, "problems", lambda: [])
    if present:  # as far as doctor looks: a file of each name
        folder = tmp_path / "Set5/HR"
        folder.mkdir(parents=True)
        for name in ("baby", "bird", "butterfly", "head", "woman"):
            (folder / f"{name}.png").touch()
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^ ?data +state +images +needed by$", printed, re.MULTILINE)
    assert re.search(r"^ ?weights +state +needed by$", printed, re.MULTILINE)
    assert re.search(r"^ ?Set5 .* table4$", printed, re.MULTILINE)
    which = "only 1" if present else "none"
    assert f"missing: table4 can run on {which} of its 5 data sets in full; missing: " in printed
    assert "missing: table4 lacks " in printed
    assert "nothing is" not in printed
    assert printed.endswith("the installation is fine\n")


def test_doctor_is_content_where_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.datasets import local
    from bench.weights import entries

    monkeypatch.setattr(local, "presence", lambda manifest: local.Presence(manifest.images, ()))
    monkeypatch.setattr(entries, "state", lambda entry: "present")
    assert doctor.shortcomings([load_suite(name) for name in suite_names()]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_80_columns(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([name, "--help"])
    prose = re.split(r"^examples?:$", capsys.readouterr().out, maxsplit=1, flags=re.MULTILINE)[0]
    assert [line for line in prose.splitlines() if len(line) > 80] == []
