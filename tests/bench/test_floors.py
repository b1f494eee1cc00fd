"""The harness is built in floors: an import only ever goes down (or stays in its room)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
FLOORS = [
    {"contents", "errors", "files", "jsons", "registry", "roots", "structured"},
    {"downloads", "metrics", "methods"},
    {"suites"},
    {"records"},
    {"datasets", "weights", "statistics"},
    {"runs"},
    {"report"},
    {"tracking"},
    {"training"},
    {"cli", "__main__"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def imports(path: Path) -> set[str]:
    """The rooms of bench that a file imports at any place, but for type checkers alone."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return {name.split(".")[1] for name in names if name.startswith("bench.")} & set(LEVEL)


@pytest.mark.parametrize("room", sorted(LEVEL))
def test_imports_go_down(room: str) -> None:
    files = list((BENCH / room).rglob("*.py")) or [BENCH / f"{room}.py"]
    upwards = {
        f"{path.relative_to(BENCH)} imports {other}"
        for path in files
        for other in imports(path)
        if LEVEL[other] > LEVEL[room] or (LEVEL[other] == LEVEL[room] and other != room and LEVEL[room] > 0)
    }
    assert not upwards


def test_every_room_has_its_floor() -> None:
    rooms = {path.stem for path in BENCH.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert rooms - {"__init__"} == set(LEVEL)


def test_the_model_does_not_know_the_harness() -> None:
    for path in BENCH.with_name("hcflow").rglob("*.py"):
        assert not imports(path), path
