"""Makes records and journals as runs leave them, without running anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType

from bench.metrics.metric import NotApplicable
from bench.records.journal import Entry, Journal, Restored, State
from bench.records.store import Values, Writer
from bench.suites.reading import load_suite
from bench.suites.suite import Row, measures_of

TABLE4 = load_suite("4")
COMMON, PAPERS = "y,crop4,u8", "y8,crop4,u8,grey=direct,work=y,range=studio"
PROVENANCE = {
    "commit": "0123456789abcdef", "dirty": False, "device": "cpu", "processor": "a processor",
    "versions": {"torch": "2", "numpy": "2", "scikit-image": "0"},
}  # fmt: skip
PIXELS = "0" * 64

Pair = tuple[float, float] | float | NotApplicable


def bicubic(out: Path, values: Mapping[str, Pair], dataset: str = "Set5", code: str = "", **entry: object) -> Journal:
    """A run that measured the bicubic row: image -> (value under the common protocol, under the paper's)."""
    journal = Journal.begin(out, "table4", {}, PROVENANCE)
    restored = []
    for index, protocol in enumerate((COMMON, PAPERS)):
        measures = {f"{metric}@{protocol}": f"{metric}-{protocol}" for metric in ("psnr", "ssim")}
        with Writer(out, journal.run, {"draws": 1, "protocol": protocol, "dataset": dataset, "code": code}) as writer:
            for image, pair in values.items():
                one: Values = (
                    pair if isinstance(pair, NotApplicable) else (pair[index] if isinstance(pair, tuple) else pair,)
                )
                writer.append(image, PIXELS, dict.fromkeys(measures.values(), one), {"seconds": 0.1})
            restored.append(Restored(writer.restoration, 0.0, 1, measures, deterministic=True))
    pixels = dict.fromkeys(values, PIXELS)
    state: State = "done"
    note = Entry("Bicubic", dataset, state, total=5, restored=tuple(restored), pixels=pixels)
    journal.note(replace(note, **entry))  # type: ignore[arg-type]
    journal.end(1.0)
    return journal


def as_part(journal: Journal, number: int, count: int = 2, of: str = "shards-2-x", **changes: object) -> Journal:
    """The same run as a part of a shared one, with other attributes of its journal."""
    journal.command = {**journal.command, "part": {"of": of, "number": number, "count": count}}
    for name, value in changes.items():
        setattr(journal, name, value)
    journal.save()
    return journal


def not_run(out: Path, reason: str, dataset: str = "Set5") -> None:
    """A run that could not measure the row."""
    journal = Journal.begin(out, "table4", {}, PROVENANCE)
    journal.note(Entry("Bicubic", dataset, "not run", reason))
    journal.end(0.1)


def five(value: Pair) -> dict[str, Pair]:
    """The same value for each of five images."""
    return {str(number): value for number in range(5)}


def images(names: Sequence[str], value: Pair) -> dict[str, Pair]:
    """The same value for each of the images."""
    return dict.fromkeys(names, value)


def measured(
    out: Path,
    row: str,
    values: Mapping[str, Sequence[float]],
    dataset: str = "Set5",
    column: str = "psnr_y",
    table: str = "4",
    pixels: Mapping[str, str] = MappingProxyType({}),
    **entry: object,
) -> Journal:
    """A run that measured one column of a row: image -> one value per draw, the same under both protocols."""
    suite = load_suite(table)
    known = next(one for one in suite.rows if one.name == row)
    measures = measures_of(known, next(one for one in suite.columns if one.id == column))
    digests = {measure.id: f"digest of {measure.id}" for measure in measures}
    draws = max(len(one) for one in values.values())
    seen = {image: pixels.get(image, PIXELS) for image in values}
    journal = Journal.begin(out, suite.name, {}, PROVENANCE)
    with Writer(out, journal.run, {"draws": draws, "row": row, "dataset": dataset}) as writer:
        for image, one in values.items():
            writer.append(image, seen[image], dict.fromkeys(digests.values(), tuple(one)), {"seconds": 0.5})
    restored = (Restored(writer.restoration, known.temperature, draws, digests, draws == 1),)
    done = Entry(row, dataset, "done", total=len(values), restored=restored, pixels=seen)
    journal.note(replace(done, **entry))  # type: ignore[arg-type]
    journal.end(1.0)
    return journal


SERIES = "small, 3,000 steps"


def label(case: str, seed: int = 0, series: str = SERIES) -> str:
    """The name of a row that was trained here."""
    return f"{case} (ours, {series}{f', seed {seed}' if seed else ''})"


def trained(
    out: Path,
    case: str,
    columns: Mapping[str, Sequence[Sequence[float]]],
    seed: int = 0,
    dataset: str = "Set5",
    pixels: Mapping[str, str] = MappingProxyType({}),
    series: str = SERIES,
    name: str = "",
    **entry: object,
) -> None:
    """A run that measured a row of table 1 that was trained here: column -> draws of each image."""
    suite = load_suite("1")
    row = Row(name or label(case, seed, series), "hcflow", beside=case, series=series, seed=seed)
    journal = Journal.begin(out, suite.name, {"own_rows": [asdict(row)]}, PROVENANCE)
    names = [f"image{number:03}" for number in range(max(map(len, columns.values())))]
    seen = {name: pixels.get(name, PIXELS) for name in names}
    restored = []
    for column in suite.columns:
        values = columns.get(column.id)
        if values is None:
            continue
        draws = max(map(len, values))
        about = {"draws": draws, "row": row.name, "dataset": dataset, "column": column.id}
        with Writer(out, journal.run, about) as writer:
            for name, one in zip(names, values, strict=False):
                writer.append(name, seen[name], {f"digest of {column.id}": tuple(one)}, {"seconds": 0.5})
        measures = {column.measure.id: f"digest of {column.id}"}
        temperature = column.temperature or 0.0
        restored.append(Restored(writer.restoration, temperature, draws, measures, deterministic=False))
    done = Entry(row.name, dataset, "done", total=len(names), restored=tuple(restored), pixels=seen)
    journal.note(replace(done, **entry))  # type: ignore[arg-type]
    journal.end(1.0)
