"""Figures as PNG, SVG and PDF files, drawn by matplotlib (the extra `figures`)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.report.figures.per_image import Pair, Ranked
from bench.report.figures.series import Axis, Plot
from bench.report.figures.sheet import LINE, RESOLUTION, Bar, Page, Placed, Sheet, lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
_COLOURS = ("#1d4f91", "#b3541e", "#1a6a3a", "#8a3d80", "#7a5400", "#0f7480", "#a62b17", "#55564f")
_MARKS = "osD^vP"
_MAP = "magma"


def require() -> None:
    """Say in one line that matplotlib is missing, before anything is restored for a figure.

    Raises:
        BenchError: it is.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise BenchError(
            f"expected matplotlib, which draws the files, got none ({error}); pip install 'hcflow-bench[figures]'"
        ) from None


def colours() -> NDArray[np.uint8]:
    """The colours of a map, uint8 (256, 3), from dark to light."""
    from matplotlib import colormaps

    table = colormaps[_MAP](np.arange(256))[:, :3]
    return np.asarray(np.rint(255 * table), dtype=np.uint8)


def sheet(what: Sheet, suffix: str) -> bytes:
    """A sheet of pictures as a file."""
    page = lay_out(what)
    with _figure(page.width / 100, page.height / 100, placed=True) as figure:
        for thing in page.things:
            if thing.pixels is not None:
                _picture(figure, page, thing)
            else:
                _text(figure, page, thing)
        if page.bar is not None and what.bar is not None:
            _bar(figure, page, page.bar, what.bar)
        return _save(figure, suffix)


def plots(what: Sequence[Plot], suffix: str) -> bytes:
    """Plots beside each other: perception-distortion, or the curves of several metrics."""
    columns = min(2, len(what))
    rows = -(-len(what) // columns)
    with _figure(4.2 * columns, 3.3 * rows) as figure:
        for number, plot in enumerate(what):
            axes = figure.add_subplot(rows, columns, number + 1)
            for index, one in enumerate(plot.series):
                xs, ys = [p.x for p in one.points], [p.y for p in one.points]
                _line(axes, xs, ys, index, one.name, [p.partial for p in one.points])
                for point in one.points if plot.x is not None and one.draws else ():
                    label = f"τ={point.temperature:g}"
                    axes.annotate(label, (point.x, point.y), xytext=(5, 4), textcoords="offset points", fontsize=7)
            axes.set_xlabel("temperature τ" if plot.x is None else plot.x.label)
            axes.set_ylabel(plot.y.label)
            if number == 0:
                for text in axes.legend(frameon=False, fontsize=7).get_texts():
                    text.set_parse_math(False)
            partial = any(point.partial for one in plot.series for point in one.points)
            title = f"{plot.dataset}{' (hollow: some images only)' if partial else ''}"
            axes.set_title(title, loc="left", fontsize=9, parse_math=False)
        return _save(figure, suffix)


def pair(what: Pair, suffix: str) -> bytes:
    """Two rows image by image."""
    with _figure(4.6, 4.4) as figure:
        axes = figure.add_subplot()
        xs, ys = [a for _, a, _ in what.images], [b for _, _, b in what.images]
        low, high = min(xs + ys), max(xs + ys)
        axes.plot([low, high], [low, high], color="#777777", linewidth=0.8, linestyle="--")
        axes.scatter(xs, ys, s=16, color=_COLOURS[0], zorder=3)
        for image, a, b in sorted(what.images, key=lambda one: -abs(one[1] - one[2]))[:3]:
            axes.annotate(image, (a, b), xytext=(5, -3), textcoords="offset points", fontsize=7, parse_math=False)
        first, second = what.wins
        title = f"{what.dataset}: across better on {first}, up on {second} of {len(what.images)} images"
        axes.set_title(title, loc="left", fontsize=9, parse_math=False)
        axes.set_xlabel(_of(what.rows[0], what.axis), parse_math=False)
        axes.set_ylabel(_of(what.rows[1], what.axis), parse_math=False)
        axes.set_aspect("equal", adjustable="datalim")
        return _save(figure, suffix)


def spread(what: Sequence[Ranked], dataset: str, suffix: str) -> bytes:
    """Each row's values, a mark per image."""
    with _figure(6.2, 1.0 + 0.45 * len(what)) as figure:
        axes = figure.add_subplot()
        for number, one in enumerate(what):
            values = [value for _, value in one.images]
            axes.scatter(values, [number] * len(values), marker="|", s=90, color=_COLOURS[number % len(_COLOURS)])
            axes.scatter([one.mean], [number], marker="D", s=18, color="black", zorder=3)
        axes.set_yticks(range(len(what)), [one.row for one in what], parse_math=False)
        axes.set_ylim(len(what) - 0.5, -0.5)
        axes.set_xlabel(what[0].axis.label)
        axes.set_title(
            f"{dataset}: a bar is an image, the diamond their mean", loc="left", fontsize=9, parse_math=False
        )
        return _save(figure, suffix)


def _line(axes: Axes, xs: Sequence[float], ys: Sequence[float], index: int, name: str, partial: Sequence[bool]) -> None:
    colour, mark = _COLOURS[index % len(_COLOURS)], _MARKS[index % len(_MARKS)]
    axes.plot(xs, ys, color=colour, marker=mark, markersize=5, linewidth=1.2, label=name)
    hollow = [(x, y) for x, y, part in zip(xs, ys, partial, strict=True) if part]
    if hollow:
        across, up = [x for x, _ in hollow], [y for _, y in hollow]
        axes.scatter(across, up, marker=mark, s=25, facecolor="white", edgecolor=colour, zorder=4)


def _of(row: str, axis: Axis) -> str:
    return f"{row}: {', '.join(part for part in (axis.title, axis.unit) if part)}"


@contextmanager
def _figure(width: float, height: float, placed: bool = False) -> Iterator[Figure]:
    """A figure of so many inches that no settings of the user change; `placed`: everything on it has its place."""
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.size": 8,
                "font.family": "sans-serif",
                "font.sans-serif": ["DejaVu Sans"],
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "grid.color": "#dddddd",
                "grid.linewidth": 0.6,
                "axes.axisbelow": True,
                "pdf.fonttype": 42,
                "svg.hashsalt": "hcflow-bench",
            }
        )
        yield Figure(
            figsize=(width, height), dpi=RESOLUTION, facecolor="white", layout=None if placed else "constrained"
        )


def _save(figure: Figure, suffix: str) -> bytes:
    """The file; the same figure gives the same bytes."""
    stamps: dict[str, dict[str, Any]] = {
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
        ".png": {"Software": None},
    }
    data = io.BytesIO()
    figure.savefig(data, format=suffix.removeprefix("."), dpi=RESOLUTION, metadata=stamps[suffix])
    return data.getvalue()


def _picture(figure: Figure, page: Page, thing: Placed) -> None:
    from matplotlib.patches import Rectangle

    axes = figure.add_axes(_place(page, thing.left, thing.top, thing.width, thing.height))
    axes.set_axis_off()
    assert thing.pixels is not None
    axes.imshow(thing.pixels, interpolation="none", aspect="auto")
    if thing.box is not None:
        left, top, width, height = thing.box
        at = (left / page.width, 1 - (top + height) / page.height)
        size = (width / page.width, height / page.height)
        for colour, wide in (("white", 2.4), ("#d62718", 1.2)):
            figure.add_artist(
                Rectangle(at, *size, fill=False, edgecolor=colour, linewidth=wide, transform=figure.transFigure)
            )


def _text(figure: Figure, page: Page, thing: Placed) -> None:
    x, y = thing.left / page.width, 1 - thing.top / page.height
    weight = "bold" if thing.bold else "normal"
    figure.text(x, y, thing.text, va="top", ha="left", fontsize=6.5, fontweight=weight, parse_math=False)


def _bar(figure: Figure, page: Page, at: Placed, bar: Bar) -> None:
    axes = figure.add_axes(_place(page, at.left, at.top, at.width, at.height))
    axes.imshow(colours()[None], aspect="auto", extent=(0.0, bar.largest, 0.0, 1.0))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.tick_params(labelsize=6.5, length=2)
    below = 1 - (at.top + at.height + 1.7 * LINE) / page.height
    figure.text(at.left / page.width, below, bar.title, va="top", ha="left", fontsize=6.5)


def _place(page: Page, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Units to what matplotlib takes: parts of the figure, from its lower left corner."""
    return left / page.width, 1 - (top + height) / page.height, width / page.width, height / page.height
