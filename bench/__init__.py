"""The benchmark harness: runs the paper's tables and reports for every cell whether the measured number agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from bench.records.frames import Results

__all__ = ["load"]


def load(*folders: str | Path, trust: bool = False) -> Results:
    """The results in folders that `bench run` wrote, as pandas frames: `.cells`, `.images`, `.draws`.

    See docs/analysis.md. Nothing is measured.

    Args:
        folders: they are.
        trust: also look up rows and columns that name a module (`module:object`), which runs its code: see
            docs/results.md.

    Raises:
        BenchError: a folder is missing, or has no records.
    """
    from bench.records import frames  # pandas takes a while: `import bench` does not

    return frames.load(*folders, trust=trust)
