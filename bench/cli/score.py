"""python -m bench score and explain: the tables' metrics for images of your own."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.markup import escape

from bench.cli.terminal import console, grid
from bench.errors import BenchError
from bench.metrics.metric import Evidence, Measure
from bench.records.estimates import Estimate
from bench.report.text import format_estimate
from hcflow.cli.entry import subparser
from hcflow.images.io import SUFFIXES, read_opaque, to_rgb
from hcflow.images.matlab_resize import mod_crop

_SPACES = ("rgb", "y")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `score` and `explain`."""
    score = subparser(
        commands,
        "score",
        "score a folder of images",
        "example:\n  python -m bench score --sr results/Set5 --hr data/Set5/HR --format json",
        description="Score SR images against the HR images of the same name, as the tables do. HR images are cropped "
        "(bottom, right) to a multiple of the scale, as the SR images of a benchmark are.",
    )
    score.add_argument("--sr", type=Path, required=True, metavar="DIR", help="SR images")
    score.add_argument("--hr", type=Path, required=True, metavar="DIR", help="HR images, with the same names")
    score.add_argument(
        "--measure", nargs="+", metavar="ID", help="such as psnr@y,crop4,u8 (default: PSNR, SSIM; RGB, Y)"
    )
    score.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")
    _add_scale(score)
    score.set_defaults(run=_score)
    explain = subparser(
        commands,
        "explain",
        "one pair of images under every known protocol",
        "example:\n  python -m bench explain butterfly_hr.png butterfly_sr.png",
        description="Print what is called PSNR and SSIM elsewhere: one pair of images under every protocol variant.",
    )
    explain.add_argument("hr", type=Path, metavar="HR")
    explain.add_argument("sr", type=Path, metavar="SR")
    _add_scale(explain)
    explain.set_defaults(run=_explain)


def score_pair(sr: Path, hr: Path, measures: Sequence[Measure], scale: int) -> list[float]:
    """The measures of one pair of files."""
    reference, image = mod_crop(read_opaque(hr), scale), to_rgb(read_opaque(sr)) / 255.0
    values = []
    evidence = Evidence((image,), scale, reference)
    for measure in measures:
        try:
            score = measure.open([], torch.device("cpu"))(evidence)
            assert isinstance(score, list)
            values.append(score[0])
        except BenchError as error:
            raise BenchError(f"{sr} and {hr}: {error}") from None
    return values


def match_names(sr: Path, hr: Path) -> list[tuple[str, Path, Path]]:
    """(name, SR file, HR file) of two folders; every HR image needs exactly one SR image of its name."""
    folders = {"--sr": _images(sr, "--sr"), "--hr": _images(hr, "--hr")}
    missing = sorted(folders["--hr"].keys() - folders["--sr"].keys())
    extra = sorted(folders["--sr"].keys() - folders["--hr"].keys())
    if missing or extra:
        what = f"{missing[0]} has no SR image" if missing else f"{extra[0]} has no HR image"
        raise BenchError(
            f"{sr}: expected the image names of {hr}, got {len(missing)} missing, {len(extra)} extra ({what})"
        )
    return [(name, folders["--sr"][name], path) for name, path in sorted(folders["--hr"].items())]


def _score(args: argparse.Namespace) -> int:
    default = [f"{metric}@{space},crop{args.scale},u8" for space in _SPACES for metric in ("psnr", "ssim")]
    measures = [Measure.parse(text) for text in args.measure or default]
    rows = [(name, score_pair(sr, hr, measures, args.scale)) for name, sr, hr in match_names(args.sr, args.hr)]
    means = [Estimate.of([[values[i]] for _, values in rows]) for i in range(len(measures))]
    if args.format == "json":
        print(json.dumps(_as_json(rows, measures, means), indent=1, allow_nan=False))
        return 0
    table = grid("image", *(escape(measure.id) for measure in measures))
    decimals = [measure.of.decimals for measure in measures]
    for name, values in rows:
        table.add_row(escape(name), *(f"{value:.{places}f}" for value, places in zip(values, decimals, strict=True)))
    table.add_section()
    cells = (format_estimate(mean, places) for mean, places in zip(means, decimals, strict=True))
    table.add_row(f"mean of {len(rows)}", *cells)
    console().print(table)
    return 0


def _explain(args: argparse.Namespace) -> int:
    variants = [
        f"{space},crop{crop},u8{grey}"
        for space in ("rgb", "y", "y8")
        for crop in dict.fromkeys((args.scale, 0))
        for grey in (("", ",grey=direct") if space != "rgb" and read_opaque(args.hr).ndim == 2 else ("",))
    ]
    table = grid("protocol", "PSNR in dB", "SSIM", "in words")
    for variant in variants:
        measures = [Measure.parse(f"{metric}@{variant}") for metric in ("psnr", "ssim")]
        values = score_pair(args.sr, args.hr, measures, args.scale)
        table.add_row(variant, f"{values[0]:.4f}", f"{values[1]:.5f}", measures[0].variant.describe())
    console().print(table)
    return 0


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=int, choices=range(1, 17), default=4, metavar="N", help="(default: 4)")


def _images(folder: Path, option: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise BenchError(f"{option}: expected a folder of images, got {folder}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if path.stem in found:
                raise BenchError(
                    f"{folder}: expected one image of each name, got {found[path.stem].name} and {path.name}"
                )
            found[path.stem] = path
    if not found:
        raise BenchError(f"{option}: expected PNG, BMP, JPEG or WebP images, got none in {folder}")
    return found


def _as_json(
    rows: Sequence[tuple[str, Sequence[float]]], measures: Sequence[Measure], means: Sequence[Estimate]
) -> dict[str, object]:
    def number(value: float) -> float | str:
        return value if math.isfinite(value) else str(value)

    ids = [measure.id for measure in measures]
    return {
        "images": {name: dict(zip(ids, map(number, values), strict=True)) for name, values in rows},
        "mean": {i: {"value": number(m.mean), "stderr": m.stderr, "n": m.n} for i, m in zip(ids, means, strict=True)},
    }
