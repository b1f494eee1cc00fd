"""The records that an entry of a journal stands for: those of the pixels that its run saw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.records import store
from bench.records.journal import Entry


def seen(out: Path, digest: str, entry: Entry) -> Mapping[str, store.Merged]:
    """The images of a restoration with the pixels that the run saw; while it has not seen one, the newest.

    A run that was killed never noted its pixels, and its records count all the same.
    """
    newest = store.read(out, digest)
    wanted = {image: known.pixels for image, known in newest.items()} | entry.pixels
    return store.read(out, digest, wanted)
