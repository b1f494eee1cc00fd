"""The paper's comparison figures as sheets: the parts of restored images beside each other, with their scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.metrics.psnr import psnr
from bench.metrics.views import Protocol, Values, views
from bench.report import formatting
from bench.report.figures.region import Region
from bench.report.figures.series import Axis
from bench.report.figures.sheet import Bar, Panel, Sheet, Strip
from hcflow.images.io import Pixels, to_rgb

if TYPE_CHECKING:
    from bench.runs.pictures import Original, Picture

_PREFERRED = ("psnr", "lpips", "ssim")


@dataclass(frozen=True)
class Scores:
    """Which numbers stand under a picture.

    Attributes:
        columns: column id -> what its values are; two at most.
        space: of the part's PSNR: rgb or y.
    """

    columns: Mapping[str, Axis]
    space: str

    @classmethod
    def of(cls, axes: Mapping[str, Axis], pictures: Iterable[Picture], wanted: Sequence[str] = ()) -> Scores:
        """Those of `wanted` columns, else of PSNR, LPIPS, SSIM the first two that a picture has.

        Args:
            axes: column id -> axis, of all columns of the table.
            pictures: that they stand under.
            wanted: column ids.
        """
        there = {name for picture in pictures for name in picture.scores}
        known = [name for name in axes if name in there]
        metric = {name: axes[name].protocol.partition("@")[0] for name in known}
        chosen = [name for name in known if name in wanted]
        if not wanted:
            chosen = [name for kind in _PREFERRED for name in known if metric[name] == kind]
        spaces = [axes[name].protocol.partition("@")[2] for name in axes if axes[name].protocol.startswith("psnr@")]
        space = "y" if spaces and spaces[0].startswith("y") else "rgb"
        return cls({name: axes[name] for name in (chosen if wanted else chosen[:2])}, space)

    def text(self, scores: Mapping[str, tuple[float, ...]], draw: int) -> str:
        """`28.35 dB / 0.0812` of a draw; a value that is one for all draws stands with each."""
        parts = []
        for name, axis in self.columns.items():
            values = scores.get(name)
            parts.append("–" if not values else axis.text(values[draw if len(values) > 1 else 0]))
        return " / ".join(parts)

    def part(self, sr: Pixels, original: Original, region: Region) -> str:
        """The PSNR of the part that is shown: 8 bits, no crop."""
        sr_part, hr_part = region.of(sr), region.of(original.hr)
        value = psnr(*views(sr_part / 255.0, hr_part, Protocol(self.space, 0, "u8")))
        return f"part {formatting.number(value, 2)} dB"

    def notes(self, parts: bool) -> Iterator[str]:
        """What the numbers are; `parts`: whether the pictures are parts of an image, with a score of their own."""
        whole = " / ".join(axis.title for axis in self.columns.values())
        space = "RGB" if self.space == "rgb" else "Y"
        said = [f"{whole} of the whole image"] if whole else []
        said += [f"part: PSNR ({space}) of the part that is shown"] if parts else []
        if said:
            yield f"Under each picture: {'; '.join(said)}."


def comparison(
    original: Original, pictures: Sequence[Picture], region: Region, scores: Scores, bicubic: bool = True
) -> Sheet:
    """LR, bicubic, each row's draws and HR: one part of an image (figures 4 to 6 of the paper).

    Args:
        original: the image.
        pictures: of the rows, in their order.
        region: the part that is shown.
        scores: see Scores.
        bicubic: whether to put MATLAB's bicubic in; False where it is one of the rows.
    """
    panels = [Panel(region.of_small(original.lr, original.scale), "LR", (f"1/{original.scale} of the size",))]
    if bicubic:
        part = () if _is_whole(original, region) else (scores.part(original.bicubic, original, region),)
        panels.append(Panel(region.of(original.bicubic), "Bicubic", part))
    for picture in pictures:
        panels += _panels(original, picture, region, scores)
    panels.append(Panel(region.of(original.hr), "HR"))
    strip = _with_overview(original, region, panels)
    return Sheet((strip,), (*scores.notes(strip.overview is not None), *_remarks(pictures)))


def extremes(
    chosen: Sequence[tuple[Original, Sequence[Picture], Region]], scores: Scores, kind: str, by: Axis, row: str
) -> Sheet:
    """The worst or best images of a row, one strip each: bicubic, the rows, HR.

    Args:
        chosen: image, pictures of the rows, and the part that is shown; in order.
        scores: see Scores.
        kind: worst or best.
        by: what the images are ranked by.
        row: whose images they are.
    """
    strips = []
    for original, pictures, region in chosen:
        part = () if _is_whole(original, region) else (scores.part(original.bicubic, original, region),)
        panels = [Panel(region.of(original.bicubic), "Bicubic", part)]
        for picture in pictures:
            panels += _panels(original, picture, region, scores)
        panels.append(Panel(region.of(original.hr), "HR"))
        strips.append(_with_overview(original, region, panels))
    title = f"The {kind} images of {row} by {by.title} ({by.protocol}); the part is where it differs most from HR."
    every = [picture for _, pictures, _ in chosen for picture in pictures]
    parts = any(strip.overview is not None for strip in strips)
    return Sheet(tuple(strips), (title, *scores.notes(parts), *_remarks(every)))


def deviation(draws: Sequence[Values]) -> NDArray[np.float64]:
    """Standard deviation of each pixel over draws (unbiased), mean over channels, on the 0..255 scale.

    Its mean over the image is the measure `diversity@rgb,crop0,float`.

    Args:
        draws: at least two, (H, W[, 3]) in [0, 1], not clipped.

    Returns:
        (H, W).
    """
    if len(draws) < 2:
        raise ValueError(f"expected at least two draws, got {len(draws)}")
    spread: NDArray[np.float64] = 255.0 * np.std(np.stack(draws).astype(np.float64), axis=0, ddof=1)
    return spread if spread.ndim == 2 else spread.mean(axis=2)


def deviations(original: Original, pictures: Sequence[Picture], colours: NDArray[np.uint8], region: Region) -> Sheet:
    """The first draw of each row beside the map of its standard deviation over draws.

    Args:
        original: the image.
        pictures: with two draws or more each.
        colours: uint8 (256, 3) of the map, from 0 to the largest value.
        region: the part that is shown.
    """
    maps = [deviation(picture.values) for picture in pictures]
    largest = max(0.1, math.ceil(10 * max(float(np.percentile(one, 99.5)) for one in maps)) / 10)
    panels = [Panel(region.of(original.hr), "HR")]
    for picture, values in zip(pictures, maps, strict=True):
        panels.append(Panel(region.of(picture.draws[0]), picture.row, ("draw 1",)))
        shown = colours[np.clip(np.rint(values / largest * 255), 0, 255).astype(np.uint8)]
        count = len(picture.values)
        mean = formatting.number(float(values.mean()), 2)
        panels.append(Panel(region.of(shown), "Standard deviation", (f"over {count} draws, mean {mean}",)))
    notes = (
        f"Standard deviation of each pixel over the draws at temperature {_temperatures(pictures)}, mean over RGB, "
        f"8-bit units; the mean is of the whole image. Values above {largest:.1f} have the last colour.",
        *_remarks(pictures),
    )
    return Sheet((_with_overview(original, region, panels),), notes, Bar(largest, "standard deviation, 0..255 scale"))


def caption(
    title: str,
    originals: Sequence[tuple[Original, Region]],
    pictures: Iterable[tuple[Original, Picture]],
    scores: Scores,
) -> str:
    """What a figure shows and where it comes from, for the file beside it."""
    lines = [title, ""]
    for original, region in originals:
        height, width = original.hr.shape[:2]
        lines.append(f"Image: {original.image} of {original.dataset}, {width}x{height} pixels, x{original.scale}")
        lines.append(f"Part: {region.text} (x, y, width, height in HR pixels; {region.found})")
    for axis in scores.columns.values():
        lines.append(f"Scores of whole images: {axis.title}, {axis.protocol}")
    space = f"psnr@{scores.space},crop0,u8"
    lines += [f"Score of the part: {space}", "LR and bicubic: MATLAB's imresize of HR", ""]
    for original, picture in pictures:
        tau = f" at temperature {picture.temperature:g}" if picture.stochastic else ""
        draws = f", {len(picture.draws)} draws{tau}" if len(picture.draws) > 1 else tau
        lines.append(f"{picture.row}, {original.image}{draws}: {picture.origin}; {picture.check}")
    return "\n".join(lines) + "\n"


def _panels(original: Original, picture: Picture, region: Region, scores: Scores) -> Iterator[Panel]:
    star = "" if picture.agrees else "*"
    for number, draw in enumerate(picture.draws):
        name = picture.row if len(picture.draws) == 1 else f"{picture.row}, draw {number + 1}"
        lines = [scores.text(picture.scores, number) + star] if scores.columns else []
        if not _is_whole(original, region):
            lines.append(scores.part(draw, original, region))
        yield Panel(region.of(draw), name, tuple(lines))


def _with_overview(original: Original, region: Region, panels: Sequence[Panel]) -> Strip:
    name = f"{original.dataset}, {original.image}"
    if _is_whole(original, region):
        return Strip(tuple(panels))
    return Strip(tuple(panels), Panel(to_rgb(original.hr), name, ("HR, the part is framed",)), region)


def _is_whole(original: Original, region: Region) -> bool:
    return (region.height, region.width) == original.hr.shape[:2]


def _remarks(pictures: Sequence[Picture]) -> Iterator[str]:
    """What is true of some pictures alone."""
    if own := dict.fromkeys(picture.row for picture in pictures if picture.own_lr):
        yield f"Restored from an LR image of its own making, not from the LR that is shown: {', '.join(own)}."
    if starred := dict.fromkeys(picture.row for picture in pictures if not picture.agrees):
        yield f"* The picture does not have the recorded score ({', '.join(starred)}): see the caption's file."


def _temperatures(pictures: Iterable[Picture]) -> str:
    return ", ".join(dict.fromkeys(f"{picture.temperature:g}" for picture in pictures))
