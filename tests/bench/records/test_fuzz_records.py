"""Thousands of damaged journals and records: one line per fault, never another exception or much memory."""

from __future__ import annotations

import copy
import json
import random
import resource
import sys
from pathlib import Path

import pytest

from bench.cli.options import suite_of
from bench.records.journal import load_journals
from bench.records.merging import reproductions
from bench.records.store import read
from bench.records.tables import build_table

sys.path.insert(0, str(Path(__file__).parent))
from tables_helper import bicubic, five

pytestmark = pytest.mark.slow

NUMBERS = [0, -1, 0.5, 2**31, 2**63, 2**64, 10**30, 10**400, float("nan"), float("inf"), 1e999]
TEXTS = ["", "nan", "inf", "a\nb", "\x1b[31m", "../../x", "\0", "x" * 5000, "psnr@y,crop4,u8", "Set5", "Bicubic"]
MOST_MEMORY = 2**29


def strange(rng: random.Random) -> object:
    """A value that hardly fits where it is put."""
    deep: object = 1
    for _ in range(rng.randint(1, 60)):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    return rng.choice([*NUMBERS, *TEXTS, True, None, [], {}, [3], [[]], {"a": 1}, [{}], [None], deep])


def changed(rng: random.Random, table: object) -> object:
    """The same data with a few values replaced, added or removed."""
    out = copy.deepcopy(table)
    for _ in range(rng.randint(1, 3)):
        node = out
        while isinstance(node, dict | list) and node:
            key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
            child = node[key]  # type: ignore[index]
            if isinstance(child, dict | list) and child and rng.random() < 0.8:
                node = child
                continue
            if rng.randrange(4) == 0:
                del node[key]  # type: ignore[arg-type]
            else:
                node[key] = strange(rng)  # type: ignore[index,assignment]
            break
    return out


def damaged(rng: random.Random, text: bytes) -> bytes:
    """The same bytes with some replaced, cut out or repeated."""
    out = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(out) or 1), rng.choice((1, 1, 4, 64))
        kind = rng.randrange(4)
        if kind == 0:
            out[at : at + length] = rng.randbytes(length)
        elif kind == 1:
            del out[at : at + length]
        elif kind == 2:
            out[at:at] = out[at : at + length] * rng.choice((2, 50))
        else:
            del out[at:]
    return bytes(out)


def show(out: Path, case: int) -> None:
    """What `bench show` does with a folder; a table takes long, so it is made of some."""
    for journal in load_journals(out):
        assert journal.alive in (True, False)
    reproductions(out)
    suite = suite_of("4", None, out)
    if case % 8 == 0:
        build_table(suite, out)


def whole(tmp_path: Path) -> tuple[Path, Path, list[Path]]:
    """A folder of results, its journal, and its records."""
    journal = bicubic(tmp_path, five(28.0))
    return tmp_path, journal.path, sorted((tmp_path / "records").rglob("*.jsonl"))


@pytest.fixture(autouse=True)
def _bounded() -> object:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < MOST_MEMORY


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The warnings; each is one printable line."""
    lines = capsys.readouterr().err.splitlines()
    for line in lines:
        assert line.startswith("warning: "), line
        assert line.isprintable(), repr(line)
        assert len(line) < 1500
    return lines


def test_journals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, (out, path, _) = random.Random(11), whole(tmp_path)
    content = json.loads(path.read_text())
    content["command"] = {"also": ["niqe@live"], "own_rows": [{"name": "Mine", "method": "bicubic"}], "rows": []}
    content["command"]["part"] = {"of": "shards-2-x", "number": 1, "count": 2}
    content["finished"] = None  # so that its process is looked for
    text = json.dumps(content).encode()
    warned = 0
    for case in range(1500):
        path.unlink()
        path = path.with_stem(f"{path.stem.partition('+')[0]}+{case}")  # a warning is given once per file
        named = {**content, "run": path.stem}
        data = json.dumps(changed(rng, named)).encode() if case % 3 else damaged(rng, text)
        path.write_bytes(data)
        show(out, case)
        warned += len(lines_of(capsys))
    assert warned > 300


def test_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, (out, _, paths) = random.Random(12), whole(tmp_path)
    path = paths[0]
    data = path.read_bytes()
    header, *lines = [json.loads(line) for line in data.splitlines()]
    warned = 0
    for case in range(1500):
        path.unlink()
        path = path.with_stem(f"{path.stem.partition('+')[0]}+{case}")
        if case % 3 == 0:
            path.write_bytes(damaged(rng, data))
        else:
            some = [changed(rng, header) if case % 3 == 1 and rng.random() < 0.3 else header]
            some += [changed(rng, line) for line in lines]
            path.write_text("".join(json.dumps(line) + "\n" for line in some))
        read(out, path.parent.name)
        show(out, case)
        warned += len(lines_of(capsys))
    assert warned > 300
