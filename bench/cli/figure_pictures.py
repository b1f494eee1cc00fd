"""The figures of `bench figure` that show images: which rows, which image, which part of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.errors import BenchError
from hcflow.cli.entry import loading, say

if TYPE_CHECKING:
    from bench.datasets.manifest import ImageEntry, Manifest
    from bench.records.tables import Table
    from bench.report.figures.comparison import Scores
    from bench.report.figures.region import Region
    from bench.report.figures.sheet import Sheet
    from bench.runs.pictures import Gallery, Original, Picture
    from bench.suites.suite import Row

_MOST = 1000  # draws: all that a row has


def pictures(args: argparse.Namespace, table: Table, dataset: str, suffix: str) -> tuple[bytes, str]:
    """The file and the text of its caption."""
    loading()
    from bench.datasets.manifest import load_manifest
    from bench.report.figures import files
    from bench.report.figures.comparison import caption
    from bench.runs.pictures import Gallery
    from bench.runs.provenance import choose_device

    gallery = Gallery(table, args.out, choose_device(args.device))
    make = {"worst": _extremes, "best": _extremes, "deviation": _deviation}.get(args.kind, _comparison)
    sheet, title, shown, scores = make(args, gallery, load_manifest(dataset))
    for _, of, _ in shown:
        for picture in of:
            if not picture.agrees:
                say(f"warning: {picture.row}: {picture.origin}; {picture.check}")
    originals = [(original, region) for original, _, region in shown]
    all_of = [(original, picture) for original, of, _ in shown for picture in of]
    return files.sheet(sheet, suffix), caption(title, originals, all_of, scores)


Made = tuple["Sheet", str, list[tuple["Original", list["Picture"], "Region"]], "Scores"]


def _comparison(args: argparse.Namespace, gallery: Gallery, manifest: Manifest) -> Made:
    from bench.report.figures.comparison import comparison
    from bench.report.figures.region import where_they_differ, whole

    rows = _rows(args, gallery.table, manifest.name)
    original = _original(args, gallery, manifest, rows)
    made = _pictures(args, gallery, original, rows, args.draws or 1)
    region = _given(args, original)
    if region is None and args.kind == "5":
        region = whole(original.hr)
    if region is None:
        compared = [picture.draws[0] for picture in made]
        region = where_they_differ(compared if len(compared) > 1 else [*compared, original.bicubic], original.scale)
    scores = _scores(args, gallery.table, made)
    own = any(row.method == "bicubic" for row in rows)
    title = f"Figure {args.kind}: {gallery.table.suite.title}"
    sheet = comparison(original, made, region, scores, bicubic=not own)
    return sheet, title, [(original, made, region)], scores


def _extremes(args: argparse.Namespace, gallery: Gallery, manifest: Manifest) -> Made:
    from bench.report.figures import per_image, series
    from bench.report.figures.comparison import extremes
    from bench.report.figures.region import where_they_differ

    table = gallery.table
    column = series.column_of(table, args.metric).id
    rows = list(table.suite.select(args.row)) if args.row else []
    ranked = per_image.ranked(table, manifest.name, column, [rows[0].name] if rows else [])
    if not ranked:
        raise BenchError(f"expected a row with finite values of {column} on {manifest.name}, got none; run it first")
    top = ranked[0] if rows else max(ranked, key=per_image.quality)
    rows = rows or [row for row in table.suite.rows if row.name == top.row]
    images = [image for image, _ in (top.images if args.kind == "worst" else tuple(reversed(top.images)))]
    chosen = []
    for image in images[: args.count]:
        original = _read(gallery, manifest, image)
        made = _pictures(args, gallery, original, rows, 1)
        seen = [made[0].draws[0], original.hr]
        region = _given(args, original) or where_they_differ(seen, original.scale, f"{made[0].row} and HR")
        chosen.append((original, made, region))
    scores = _scores(args, table, [picture for _, made, _ in chosen for picture in made])
    sheet = extremes(chosen, scores, args.kind, top.axis, top.row)
    return sheet, f"The {args.kind} images of {top.row} by {column}", list(chosen), scores


def _deviation(args: argparse.Namespace, gallery: Gallery, manifest: Manifest) -> Made:
    from bench.report.figures import files
    from bench.report.figures.comparison import deviations
    from bench.report.figures.region import whole

    rows = [row for row in _rows(args, gallery.table, manifest.name) if args.row or row.temperature > 0]
    if not rows:
        raise BenchError(
            f"expected a row with several draws on {manifest.name}, got none; run one at a temperature > 0"
        )
    original = _original(args, gallery, manifest, rows)
    made = _pictures(args, gallery, original, rows, args.draws or _MOST)
    single = [picture.row for picture in made if len(picture.draws) < 2]
    if single and args.row:
        raise BenchError(f"expected rows with two draws or more, got {', '.join(single)}; choose others with --row")
    made = [picture for picture in made if len(picture.draws) > 1]
    if not made:
        raise BenchError(
            f"expected a row with several draws on {manifest.name}, got none; run one at a temperature > 0"
        )
    region = _given(args, original) or whole(original.hr)
    sheet = deviations(original, made, files.colours(), region)
    return sheet, "Standard deviation over draws", [(original, made, region)], _scores(args, gallery.table, made)


def _rows(args: argparse.Namespace, table: Table, dataset: str) -> list[Row]:
    """The rows that were named; else those with results."""
    if args.row:
        return list(table.suite.select(args.row))
    measured = {cell.row for cell in table.cells if cell.dataset == dataset and cell.value is not None}
    return [row for row in table.suite.rows if row.name in measured]


def _original(args: argparse.Namespace, gallery: Gallery, manifest: Manifest, rows: Sequence[Row]) -> Original:
    """The image that was named; else the first that most of the rows have."""
    if args.image:
        return _read(gallery, manifest, args.image)
    names = {row.name for row in rows}
    cells = [cell for cell in gallery.table.cells if cell.row in names and cell.dataset == manifest.name]
    have = {cell.row: {image.id for image in cell.images} for cell in cells if cell.images}
    entry = max(manifest.images, key=lambda entry: sum(entry.id in images for images in have.values()))
    return _read(gallery, manifest, entry.id)


def _read(gallery: Gallery, manifest: Manifest, image: str) -> Original:
    from bench.registry import unknown
    from bench.runs.pictures import Original

    entry: ImageEntry | None = next((entry for entry in manifest.images if entry.id == image), None)
    if entry is None:
        raise unknown("image", image, [entry.id for entry in manifest.images], f" in {manifest.name}")
    return Original.read(manifest, entry, gallery.table.suite.scale)


def _pictures(
    args: argparse.Namespace, gallery: Gallery, original: Original, rows: Sequence[Row], draws: int
) -> list[Picture]:
    """What each row made of an image; rows that cannot show it are left out with a line, unless they were named."""
    made = []
    for row in rows:
        try:
            made.append(gallery.picture(row, original, draws))
        except BenchError as error:
            if args.row:
                raise
            say(f"left out: {error}")
            continue
        say(f"{row.name}, {original.image}: {made[-1].origin}; {made[-1].check}")
    if not made:
        raise BenchError(f"expected a row with an image to show of {original.image}, got none; run with --keep-images")
    return made


def _given(args: argparse.Namespace, original: Original) -> Region | None:
    from bench.report.figures.region import Region, whole

    if args.region is None:
        return None
    return whole(original.hr) if args.region == "whole" else Region.parse(args.region).within(original.hr)


def _scores(args: argparse.Namespace, table: Table, made: Sequence[Picture]) -> Scores:
    """The scores under the pictures: of the column that was named, else of the first that say most."""
    from bench.report.figures.comparison import Scores
    from bench.report.figures.series import Axis, column_of

    axes = {cell.column: Axis.of(cell) for cell in reversed(table.cells)}
    axes = {column.id: axes[column.id] for column in table.suite.columns}
    return Scores.of(axes, made, [column_of(table, args.metric).id] if args.metric else [])
