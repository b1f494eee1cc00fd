"""Images that another program restored, scored like the tables: folders of SR, HR and LR images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bench.datasets import local
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError, in_one_line
from bench.metrics.metric import Evidence, Measure, NotApplicable, Scorer
from bench.records import store
from bench.records.journal import Entry, Journal, Restored, now
from bench.runs.planning import FILES, measure_files
from bench.runs.provenance import provenance
from bench.runs.recording import recorded_texts
from bench.runs.scoring import FAULTS, checked
from bench.runs.specifications import measure_digest
from bench.runs.thumbnails import save_thumbnails
from bench.suites.suite import Row, Suite
from hcflow.images.io import SUFFIXES, Pixels, read_opaque, to_rgb
from hcflow.images.matlab_resize import mod_crop


@dataclass(frozen=True)
class Scored:
    """One image: its values by measure, in the order of the measures, or why there is none.

    Attributes:
        image: name.
        values: measure id -> one value per draw, one value, or why there is none.
        evidence: what was scored.
        pixels: digest of the HR image; empty where there is none.
        note: what was done to make the images comparable; else empty.
    """

    image: str
    values: Mapping[str, store.Values]
    evidence: Evidence
    pixels: str
    note: str


@dataclass(frozen=True)
class Folders:
    """Where the images are.

    Attributes:
        sr: folders of SR images; several are several draws of the same images.
        hr: folder of HR images; None where there is none.
        lr: folder of the LR images that were restored; None where it is not known.
        dataset: in place of `hr`: a data set that is present.
        scale: HR size over LR size.
    """

    sr: Sequence[Path]
    hr: Path | None
    lr: Path | None
    dataset: str
    scale: int

    def names(self) -> list[str]:
        """The images, by the names of their files.

        Raises:
            BenchError: a folder is missing or empty, or the names do not agree.
        """
        names = sorted(_images(self.sr[0], "--sr"))
        folders = [(folder, "--sr") for folder in self.sr[1:]]
        folders += [(folder, option) for folder, option in ((self.hr, "--hr"), (self.lr, "--lr")) if folder is not None]
        for folder, option in folders:
            _same(self.sr[0], set(names), folder, set(_images(folder, option)), option)
        if self.dataset:
            known = {entry.id for entry in load_manifest(self.dataset).images}
            _same(self.sr[0], set(names), Path(self.dataset), known, "--dataset")
        return names

    def evidence(self, name: str) -> tuple[Evidence, str, str]:
        """(evidence, digest of the HR pixels, what was done to make the images comparable) of an image.

        HR is cropped (bottom, right) to a multiple of the scale, as for any benchmark, and so are SR images that have
        HR's own size.

        Raises:
            BenchError, ImageError: an image cannot be read, or the sizes do not agree.
        """
        draws = [to_rgb(read_opaque(_images(folder, "--sr")[name])) for folder in self.sr]
        original = self._hr(name)
        hr, draws, notes = comparable(original, draws, self.scale)
        lr = None if self.lr is None else to_rgb(read_opaque(_images(self.lr, "--lr")[name])) / 255.0
        facts = {"deterministic": 1.0} if len(draws) == 1 else {"deterministic": 0.0}
        values = tuple((draw / 255.0).astype(np.float64) for draw in draws)
        evidence = Evidence(values, self.scale, hr, lr, None, facts)
        return evidence, "" if original is None else local.pixel_digest(original), " ".join(notes)

    def _hr(self, name: str) -> Pixels | None:
        if self.dataset:
            manifest = load_manifest(self.dataset)
            return local.read_hr(manifest, next(entry for entry in manifest.images if entry.id == name))
        return None if self.hr is None else read_opaque(_images(self.hr, "--hr")[name])


def comparable(
    original: Pixels | None, draws: Sequence[Pixels], scale: int
) -> tuple[Pixels | None, list[Pixels], list[str]]:
    """(HR, draws, what was done): HR cropped to a multiple of the scale, and SR with it where it has HR's own size."""
    if original is None:
        return None, list(draws), []
    hr = mod_crop(original, scale)
    if hr.shape[:2] == original.shape[:2]:
        return hr, list(draws), []
    note = f"HR cropped from {_size(original)} to {_size(hr)}"
    if any(draw.shape[:2] != original.shape[:2] for draw in draws):
        return hr, list(draws), [note]
    return hr, [mod_crop(draw, scale) for draw in draws], [note, "and SR with it"]


def pair(hr: Path, sr: Path, scale: int) -> Evidence:
    """What is known of one image and its original, made comparable as `Folders` does.

    Raises:
        BenchError, ImageError: an image cannot be read, or the sizes do not agree.
    """
    original, draws, _ = comparable(read_opaque(hr), [to_rgb(read_opaque(sr))], scale)
    if original is not None and original.shape[:2] != draws[0].shape[:2]:
        raise BenchError(f"expected SR and HR of one size, got {_size(draws[0])} and {_size(original)}; check {sr}")
    return Evidence(((draws[0] / 255.0).astype(np.float64),), scale, original)


def score(folders: Folders, measures: Sequence[Measure], device: torch.device) -> Iterator[Scored]:
    """The measures of each image.

    Raises:
        BenchError: the folders do not fit together, or a measure's weights are missing; a measure that fails for one
            image is NotApplicable there.
    """
    names = folders.names()
    scorers = {measure: measure.open(measure_files(measure), device) for measure in measures}
    for name in names:
        evidence, pixels, note = folders.evidence(name)
        try:
            values = {measure.id: _value(scorer, evidence) for measure, scorer in scorers.items()}
        except BenchError as error:
            raise BenchError(f"{folders.sr[0]}, {name}: {error}") from None
        yield Scored(name, values, evidence, pixels, note)


def _value(scorer: Scorer, evidence: Evidence) -> store.Values:
    try:
        return checked(scorer(evidence), evidence)
    except BenchError:
        raise
    except FAULTS as error:
        return NotApplicable(in_one_line(error))


def record(suite: Suite, name: str, folders: Folders, scored: Sequence[Scored], device: torch.device, out: Path) -> Row:
    """Keep scores as a row of a table, as if a run had made them; returns the row.

    Args:
        suite: the table, with the columns that were measured.
        name: of the row.
        folders: where the images are; their data set must be given.
        scored: see Scored.
        device: that the measures were taken on.
        out: results folder.
    """
    row = Row(name, FILES, describe=dict.fromkeys(suite.describe, ""))
    digests = {
        path.name: local.pixel_digest(to_rgb(read_opaque(path)))
        for folder in folders.sr
        for path in _images(folder, "--sr").values()
    }
    specification = {
        "suite": suite.name, "method": FILES, "images": digests, "draws": len(folders.sr), "dataset": folders.dataset,
    }  # fmt: skip
    taken = {measure for one in scored for measure in one.values}
    measures = {text: measure_digest(Measure.parse(text), device) for text in sorted(taken)}
    command = {"rows": [name], "datasets": [folders.dataset], "limit": None, "also": [], "own_rows": [_json(row)]}
    texts = recorded_texts(suite, [folders.dataset])
    journal = Journal.begin(out, suite.name, command, provenance(device), texts)
    with store.Writer(out, journal.run, specification) as writer:
        for one in scored:
            values = {measures[text]: value for text, value in one.values.items()}
            writer.append(one.image, one.pixels, values, one.evidence.facts)
            lr = one.evidence.lr if one.evidence.lr is not None else one.evidence.bicubic_lr / 255.0
            place = (out, writer.restoration, folders.dataset, one.image)
            save_thumbnails(*place, one.evidence.reference, lr, one.evidence.draws[0])
    entry = Entry(
        name, folders.dataset, "done", total=len(load_manifest(folders.dataset).images),
        restored=(Restored(writer.restoration, 0.0, len(folders.sr), measures, deterministic=True),),
        pixels={one.image: one.pixels for one in scored}, computed=len(scored), started=journal.started, finished=now(),
    )  # fmt: skip
    journal.note(entry)
    journal.end(0.0)
    return row


def _json(row: Row) -> dict[str, object]:
    return {"name": row.name, "method": row.method, "describe": row.describe}


def _images(folder: Path, option: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise BenchError(f"{option}: expected a folder of images, got {folder}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                names = f"{found[path.stem].name} and {path.name}"
                raise BenchError(f"{folder}: expected one image of each name, got {names}")
            found[path.stem] = path
    if not found:
        raise BenchError(f"{option}: expected images ({', '.join(SUFFIXES)}), got none in {folder}")
    return found


def _same(sr: Path, names: set[str], other: Path, others: set[str], option: str) -> None:
    missing, extra = sorted(others - names), sorted(names - others)
    if missing or extra:
        kind = "LR" if option == "--lr" else "SR" if option == "--sr" else "HR"
        what = f"{missing[0]} has no SR image" if missing else f"{extra[0]} has no {kind} image"
        too = f", {extra[0]} is extra" if missing and extra else ""
        raise BenchError(
            f"{sr}: expected the image names of {other}, got {len(missing)} missing, {len(extra)} extra ({what}{too}); "
            "give both files one name"
        )


def _size(image: Pixels) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
