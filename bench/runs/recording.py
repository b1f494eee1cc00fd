"""The texts that a run was made with, for its journal: so its folder can be moved to where they are missing."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable

from bench.datasets import manifest
from bench.datasets.manifest import Manifest, load_manifest, parse_manifest
from bench.errors import BenchError
from bench.jsons import Json
from bench.records.journal import Journal
from bench.records.texts import texts_of
from bench.suites.suite import Suite


def recorded_texts(suite: Suite, datasets: Iterable[str]) -> Json:
    """Suite, published values and manifests as they are here and now."""
    manifests = {name: manifest._find(name).read_text(encoding="utf-8") for name in dict.fromkeys(datasets)}
    return {**texts_of(suite), "manifests": manifests}


def manifest_in(journal: Journal, name: str) -> Manifest:
    """A data set as it was when a run was made, or the installed one where the run's journal does not have it.

    Raises:
        BenchError: it is neither recorded nor installed, or means nothing to this version.
    """
    text = journal.texts.get("manifests", {}).get(name)
    if text is None:
        return load_manifest(name)
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{journal.path}: expected the manifest of {name}, got a mistake: {error}") from None
    return parse_manifest(name, raw, f"{name} as {journal.run} recorded it")
