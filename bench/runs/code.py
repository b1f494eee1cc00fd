"""Which code can change a number: a module, and all that it imports inside this project; read, not listed by hand."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import util
from pathlib import Path

_OURS = ("hcflow", "bench")


@lru_cache(maxsize=256)
def code_digest(*modules: str) -> str:
    """SHA-256 over the source of modules and of everything that they import inside hcflow and bench.

    A module of another package (a plug-in) counts with its own source, and with what it imports of ours.
    """
    digest = hashlib.sha256()
    for name, source in sorted((name, _source(name)) for name in closure(modules)):
        digest.update(f"{name}\0".encode() + source + b"\0")
    return digest.hexdigest()


def closure(modules: Iterable[str]) -> set[str]:
    """The modules and everything that they import inside hcflow and bench, wherever the import statement stands.

    Imports for type checkers alone (`if TYPE_CHECKING:`) change no number and do not count.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return found


@lru_cache(maxsize=512)
def _imports(module: str) -> tuple[str, ...]:
    path = _path(module)
    if path is None:
        return ()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in _statements(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        else:
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return tuple(sorted(name for name in names if name.partition(".")[0] in _OURS and _path(name) is not None))


def _statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _statements(other)
        else:
            yield from _statements(node)


def _source(module: str) -> bytes:
    path = _path(module)
    return path.read_bytes().replace(b"\r\n", b"\n") if path is not None else b""


@lru_cache(maxsize=512)
def _path(module: str) -> Path | None:
    """The file of a module; None for what is none (a class, a function) or is not written in Python."""
    try:
        spec = util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    origin = Path(spec.origin) if spec is not None and spec.origin else None
    return origin if origin is not None and origin.suffix == ".py" else None
