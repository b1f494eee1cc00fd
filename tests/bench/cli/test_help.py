"""Help texts and messages name documents that exist."""

from __future__ import annotations

import re
from pathlib import Path

import bench
from bench.__main__ import COMMANDS

ROOT = Path(bench.__file__).parents[1]


def test_documents_that_texts_name_exist() -> None:
    places = {
        (path.relative_to(ROOT), name)
        for package in ("bench", "hcflow")
        for path in (ROOT / package).rglob("*.py")
        for name in re.findall(r"\bdocs/[\w./-]*?\.md\b", path.read_text(encoding="utf-8"))
    }
    assert len(places) > len(COMMANDS) // 2
    assert [(str(path), name) for path, name in sorted(places) if not (ROOT / name).is_file()] == []
