"""python -m bench explain: which protocol a published number was computed with."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_suite, add_table
from bench.errors import BenchError
from hcflow.cli.entry import loading, say, subparser

if TYPE_CHECKING:
    from bench.metrics.conventions import Convention
    from bench.metrics.metric import Evidence
    from bench.runs.explaining import Candidate, Printed, Search

_DESCRIPTION = """\
Compute every known variant of PSNR, SSIM and LPIPS for a pair of images or two folders, and say which papers and
libraries use each. With --published, list the variants that reproduce every published digit. With --table, run the
method of a row, also with every known way of making the LR image.
"""
_EXAMPLES = """\
examples:
  python -m bench explain butterfly_hr.png butterfly_sr.png
  python -m bench explain butterfly_hr.png butterfly_sr.png --published 28.42/0.8104
  python -m bench explain data/Set5/HR results/Set5 --published 28.42/0.8104     means over the images
  python -m bench explain data/Set5/HR results/Set5 --published /0.8104          SSIM alone
  python -m bench explain --table 4 --row Bicubic --dataset Set5 Set14
"""
_WIDTH = 80
_NEAREST = 3


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain`."""
    parser = subparser(
        commands, "explain", "find the protocol behind a published PSNR or SSIM", _EXAMPLES, _DESCRIPTION
    )
    parser.add_argument("hr", type=Path, nargs="?", metavar="HR", help="original image, or a folder of them")
    parser.add_argument("sr", type=Path, nargs="?", metavar="SR", help="restored image, or a folder of them")
    parser.add_argument("--published", metavar="P/S", help="printed PSNR/SSIM: 28.42/0.8104, 28.42 or /0.8104")
    row = parser.add_argument_group("a row of a table")
    which = row.add_mutually_exclusive_group()
    add_table(which)
    add_suite(which)
    row.add_argument("--row", metavar="NAME", help="such as Bicubic")
    row.add_argument("--dataset", nargs="+", action="extend", default=[], metavar="NAME", help=_DATASET)
    row.add_argument("--hold-out", nargs="+", action="extend", default=[], metavar="NAME", help=_HOLD_OUT)
    parser.add_argument("--scale", type=int, choices=range(1, 17), metavar="N", help="of a pair (default: 4)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")
    parser.set_defaults(run=_explain)


_DATASET = "data sets whose published values must be reproduced"
_HOLD_OUT = "data sets to check the result on, or `none` (default: all other data sets of the table that are present)"


def _explain(args: argparse.Namespace) -> int:
    loading()
    if args.table or args.suite:
        if args.hr is not None or args.published or args.scale or not args.row or not args.dataset:
            raise BenchError("expected --table N --row NAME --dataset NAME ..., without images, --scale or --published")
        from bench.cli.explain_row import explain_row

        return explain_row(args)
    if args.sr is None or args.row or args.dataset or args.hold_out:
        raise BenchError("expected HR SR, or --table N --row NAME --dataset NAME ...; see explain --help")
    names, evidence = _images(args.hr, args.sr, args.scale or 4)
    if args.published:
        return _search(args, names, evidence)
    if args.hr.is_dir():
        raise BenchError("expected --published PSNR/SSIM with folders; without it, give one pair of images")
    return _list(args, evidence(names[0]))


def _images(hr: Path, sr: Path, scale: int) -> tuple[list[str], Callable[[str], Evidence]]:
    """Names, and what is known of each."""
    from bench.runs.explaining import with_grey
    from bench.runs.folders import Folders, pair

    if hr.is_dir() != sr.is_dir():
        raise BenchError(f"expected two images or two folders, got {hr} and {sr}")
    if hr.is_dir():
        folders = Folders([sr], hr, None, "", scale)
        return folders.names(), lambda name: with_grey(folders.evidence(name)[0])
    evidence = with_grey(pair(hr, sr, scale))
    return [hr.stem], lambda _: evidence


def _search(args: argparse.Namespace, names: Sequence[str], evidence: Callable[[str], Evidence]) -> int:
    from bench.cli.terminal import tracked
    from bench.runs.explaining import means_over, parse_published, search

    published = parse_published(args.published)
    known, means = means_over(names, evidence, args.scale or 4, list(published), tracked)
    found = search(published, means, known)
    if not found.tried:
        raise BenchError("expected images that are large enough and not identical, got no finite value of any variant")
    if args.format == "json":
        print(_search_json(published, found, len(names)), end="")
    else:
        print("\n".join(_search_lines(published, found, len(names))))
    return 0


def _search_json(published: Mapping[str, Printed], found: Search, images: int) -> str:
    from bench import jsons

    def plain(one: Candidate) -> jsons.Json:
        values = dict(zip(one.ids, one.values, strict=True))
        return {"variants": values, "printed": sorted(one.rules), "text": one.text, "used_by": list(one.used_by)}

    return (
        jsons.dumps(
            {
                "published": {name: one.text for name, one in published.items()},
                "images": images,
                "tried": found.tried,
                "distinct": found.distinct,
                "expected_by_chance": found.by_chance,
                "fits": [plain(one) for one in found.fits],
                "nearest": [plain(one) for one in found.nearest[:_NEAREST]],
            },
            indent=1,
        )
        + "\n"
    )


def counted(tried: int, distinct: int, fits: int, by_chance: float) -> Iterator[str]:
    """How many were tried, how many fit, and how many would by chance."""
    yield from textwrap.wrap(
        f"{tried} variants tried, {distinct} of them with distinct values; {fits} "
        f"{'reproduces' if fits == 1 else 'reproduce'} every printed digit. By chance alone, about "
        f"{by_chance:.2g} of them would.",
        _WIDTH,
    )


def _search_lines(published: Mapping[str, Printed], found: Search, images: int) -> Iterator[str]:
    over = f", mean of {images} images" if images > 1 else ""
    yield f"published: {' / '.join(f'{name.upper()} {one.text}' for name, one in published.items())}{over}"
    yield from counted(found.tried, found.distinct, len(found.fits), found.by_chance)
    for number, one in enumerate(found.fits, 1):
        yield f"\n{number:3}  {_values(published, one)}  ({' or '.join(sorted(one.rules))})"
        yield from _indented(one)
    if not found.fits:
        yield f"\nThe nearest {min(_NEAREST, len(found.nearest))}:"
        for one in found.nearest[:_NEAREST]:
            yield f"\n     {_values(published, one)}"
            yield from _indented(one)


def _values(published: Mapping[str, Printed], one: Candidate) -> str:
    """With two digits more than are printed."""
    places = [max(0, round(-math.log10(printed.unit))) + 2 for printed in published.values()]
    return " / ".join(f"{value:.{digits}f}" for value, digits in zip(one.values, places, strict=True))


def _indented(one: Candidate) -> Iterator[str]:
    for text in one.ids:
        yield f"     {text}"
    yield from textwrap.wrap(one.text, _WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5)
    if one.used_by:
        yield f"     used by {', '.join(one.used_by)}"


def _list(args: argparse.Namespace, evidence: Evidence) -> int:
    from bench.cli.terminal import tracked
    from bench.metrics.conventions import conventions

    known = [*conventions(args.scale or 4, grey=evidence.reference.ndim == 2), *_lpips(args.device)]
    values = {one.id: one.value(evidence) for one in tracked(known, "variants")}
    if not any(math.isfinite(value) or value == math.inf for value in values.values()):
        raise BenchError("expected a larger image, got one that is too small for every variant")
    if args.format == "json":
        print(_list_json(known, values), end="")
    else:
        print("\n".join(_list_lines(known, values)))
    return 0


def _lpips(device: str) -> list[Convention]:
    """Those of LPIPS, where its weights and packages are present."""
    from bench.metrics.metric import Measure
    from bench.runs.planning import measure_files

    try:
        files = measure_files(Measure.parse("lpips"))
    except BenchError as error:
        say(f"LPIPS left out: {error}")
        return []
    from bench.metrics.conventions import lpips_conventions
    from bench.runs.provenance import choose_device

    return lpips_conventions(files, choose_device(device))


def _list_json(known: Sequence[Convention], values: Mapping[str, float]) -> str:
    from bench import jsons

    variants = [
        {
            "id": one.id,
            "metric": one.metric,
            "value": jsons.number_or_null(values[one.id]),
            "text": one.text,
            "used_by": list(one.used_by),
        }
        for one in known
    ]
    return jsons.dumps({"variants": variants}, indent=1) + "\n"


def _list_lines(known: Sequence[Convention], values: Mapping[str, float]) -> Iterator[str]:
    used = [one for one in known if one.used_by]
    width = max(len(one.id) for one in known)
    for title, rows in (("Used by", used), ("Others", [one for one in known if not one.used_by])):
        yield f"{'variant':{width}}  {'value':>8}  {title.lower() if rows is used else ''}".rstrip()
        for one in rows:
            value = values[one.id]
            shown = "n/a" if math.isnan(value) else f"{value:.{2 if one.metric == 'psnr' else 4}f}"
            lines = textwrap.wrap(", ".join(one.used_by), _WIDTH - width - 12) or [""]
            yield f"{one.id:{width}}  {shown:>8}  {lines[0]}".rstrip()
            yield from (" " * (width + 12) + line for line in lines[1:])
        if rows is used:
            yield ""
