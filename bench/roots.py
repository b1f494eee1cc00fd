"""Where files that are not part of the project lie."""

from __future__ import annotations

import os
from pathlib import Path

from hcflow.files import user_cache


def weights_root() -> Path:
    """$HCFLOW_WEIGHTS, else a folder in the user's cache."""
    return Path(os.environ.get("HCFLOW_WEIGHTS") or user_cache() / "weights").expanduser()


def data_root() -> Path:
    """$HCFLOW_DATA, else a folder in the user's cache."""
    return Path(os.environ.get("HCFLOW_DATA") or user_cache() / "data").expanduser()
