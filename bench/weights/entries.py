"""Weights as data (`weights.toml`): where the files are, and how they are verified.

$HCFLOW_WEIGHTS/<folder>/<file>      (else the user cache)
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from bench.contents import Contents, Kind, read_contents
from bench.downloads.digests import DigestRecord, file_digest
from bench.errors import BenchError
from bench.roots import weights_root
from bench.structured import build
from hcflow import trained

State = Literal["present", "shipped", "wrong file", "missing"]


@dataclass(frozen=True)
class WeightEntry:
    """One file of weights.

    Attributes:
        id: as named in suites and on the command line.
        file: below the root.
        used_by: method or metric.
        licence: of the file.
        urls: mirrors; empty where only a person can get it.
        sha256: whole digests that are accepted.
        sha256_prefix: starts of digests that are accepted, if what the file holds is right too.
        kind: what the file holds; "" where only its digest is checked.
        preset: name of the HCFlow configuration that it must be.
        scale: that an HCFlow network must have.
        task: that an HCFlow network must have.
        params: numbers of parameters, any of which is right; empty for any.
        variables: that a MATLAB file must have.
        note: what to know or to do.
        shipped: whether it is a part of this project (in `hcflow/trained`), not of the weights' root.
    """

    id: str
    file: str
    used_by: str
    licence: str
    urls: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    sha256_prefix: tuple[str, ...] = ()
    kind: Literal["hcflow", "tensors", "matlab", ""] = ""
    preset: str = ""
    scale: int | None = None
    task: Literal["super-resolution", "rescaling", ""] = ""
    params: tuple[int, ...] = ()
    variables: tuple[str, ...] = ()
    note: str = ""
    shipped: bool = False

    def accepts(self, digest: str) -> bool:
        """Whether a file with this digest may be the one; any may, where no digest is known."""
        known = (*self.sha256, *self.sha256_prefix)
        return not known or digest.startswith(known)

    @property
    def recognisable(self) -> bool:
        """Whether the right file can be recognised; it cannot where none was published."""
        return bool(self.shipped or self.sha256 or self.sha256_prefix or self.preset or self.params or self.variables)

    @property
    def path(self) -> Path:
        """Where it lies or would lie."""
        return (trained.FOLDER if self.shipped else weights_root()) / self.file

    @property
    def expectation(self) -> str:
        """What the file must hold, for messages."""
        if self.kind == "hcflow":
            counts = " or ".join(f"{count:,}" for count in self.params)
            return f"{self.preset or 'an HCFlow network'} (x{self.scale}, {self.task}, {counts} parameters)"
        if self.kind == "matlab":
            return f"MATLAB variables {', '.join(self.variables)}"
        return f"tensors with {' or '.join(f'{count:,}' for count in self.params)} numbers"

    def describes(self, found: Contents) -> bool:
        """Whether that is what the file must hold."""
        return (
            self.preset in ("", found.preset)
            and self.scale in (None, found.scale)
            and self.task in ("", found.task)
            and (not self.params or found.parameters in self.params)
            and set(self.variables) <= set(found.variables)
        )


@lru_cache(maxsize=1)
def weight_entries() -> dict[str, WeightEntry]:
    """All entries by id."""
    raw = tomllib.loads(Path(__file__).with_name("weights.toml").read_text(encoding="utf-8"))
    entries = [build(WeightEntry, entry, f"weights.toml, {entry.get('id')}") for entry in raw["weights"]]
    return {entry.id: entry for entry in entries}


def weight_names() -> list[str]:
    """Ids of all entries."""
    return list(weight_entries())


def weight_entry(name: str) -> WeightEntry:
    """The entry of that id, or of a file of your own (an absolute path); else an error with similar names."""
    if Path(name).is_absolute():
        return WeightEntry(name, name, "your own row", "that of its training", note="train it again")
    if name not in weight_entries():
        raise _unknown(name)
    return weight_entries()[name]


def _unknown(name: str) -> BenchError:
    """The error for an entry that does not exist: those of a similar name, since a list of all fills a screen."""
    folded = {one.casefold(): one for one in weight_names()}
    near = [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, n=3)]
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return BenchError(f"expected a weight entry, got {name[:40]!r}{hint} python -m bench weights list shows all")


def resolve(name: str) -> Path:
    """The file, after its digest was compared and, where that does not suffice, its contents.

    So a row of the paper only runs on the paper's weights, or on weights with the paper's architecture.

    Raises:
        BenchError: it is missing ("needs weights NAME" and how to get it) or is another file.
    """
    entry = weight_entry(name)
    if not entry.path.is_file():
        raise BenchError(f"needs weights {name}: {how_to_get(entry)}")
    if not Path(name).is_absolute():
        refuse_other(entry, entry.path, recorded_digests().read().get(name))
    return entry.path


def refuse_other(entry: WeightEntry, file: Path, recorded: str | None = None) -> str:
    """Compare a file with an entry; returns its SHA-256.

    Args:
        entry: what the file must be.
        file: anywhere.
        recorded: the digest that it had at the first download or import, where none is published.

    Raises:
        BenchError: it is another file.
    """
    digest = file_digest(file)
    remedy = "it is another file"
    if file == entry.path:
        remedy = f"replace it: {how_to_get(entry)}{'' if entry.shipped else ' --replace'}"
    if not entry.accepts(digest) or (recorded or digest) != digest:
        expected = recorded if entry.accepts(digest) else None
        shown = expected[:16] if expected else " or ".join(d[:16] for d in entry.sha256 + entry.sha256_prefix)
        raise BenchError(f"{file}: expected {entry.id} with SHA-256 {shown}, got {digest[:16]}; {remedy}")
    if digest in entry.sha256:
        return digest
    if not entry.recognisable:
        raise BenchError(f"{file}: expected no file for {entry.id}, which was never published; {entry.note}")
    if entry.kind and checked_digests().read().get(digest) != _question(entry):
        found = _contents(file, entry.kind, digest)
        if not entry.describes(found):
            raise BenchError(f"{file}: expected {entry.id}, {entry.expectation}, got {found}; {remedy}")
    return digest


@lru_cache(maxsize=64)
def _contents(file: Path, kind: Kind, digest: str) -> Contents:
    """Read a file once; the digest notices a change."""
    return read_contents(file, kind)


def remember_checked(entry: WeightEntry, digest: str) -> None:
    """Record that a file holds what it must, so that later runs need not load it to know."""
    if digest not in entry.sha256:
        checked_digests().remember({digest: _question(entry)})


def _question(entry: WeightEntry) -> str:
    """What was asked of the contents; another question is asked again."""
    return f"{entry.kind}: {entry.expectation}"


def weight_digest(name: str) -> str:
    """SHA-256 of the file."""
    return file_digest(weight_entry(name).path)


def state(entry: WeightEntry) -> State:
    """Whether the file is present and right, as a word or two."""
    if not entry.path.is_file():
        return "missing"
    try:
        resolve(entry.id)
    except BenchError:
        return "wrong file"
    return "shipped" if entry.shipped else "present"


def how_to_get(entry: WeightEntry) -> str:
    """The command that gets it, or what to do by hand."""
    if entry.shipped:
        return "it comes with this project: install or check it out again"
    if entry.urls:
        return f"python -m bench weights fetch {entry.id}"
    if not entry.recognisable:
        return entry.note
    return f"{entry.note}; then python -m bench weights import {entry.id} FILE"


def recorded_digests() -> DigestRecord:
    """Digests of files of which none is published, by the entry's id, as first downloaded or imported."""
    return DigestRecord(weights_root() / "digests.json", "ids")


def checked_digests() -> DigestRecord:
    """By digest: what the files were found to hold."""
    return DigestRecord(weights_root() / "checked.json", "digests")
