"""Figures as files: exact pixels, the same bytes each time, one line where matplotlib is missing."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image as Picture

from bench.errors import BenchError
from bench.records.tables import Image
from bench.report.figures import files
from bench.report.figures.drawn import charts
from bench.report.figures.per_image import pair, ranked
from bench.report.figures.region import Region
from bench.report.figures.series import perception_distortion, temperature_curve
from bench.report.figures.sheet import Bar, Panel, Sheet, Strip, lay_out
from bench.suites.reading import load_suite

HOSTILE = r"""<img src=x onerror=alert(1)>|a`b*c_d[e](f)</script><!-- & % $ # { } ~ ^ \ "q" 'r'"""


BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
RNG = np.random.default_rng(2)


def sheet(name: str = "Net") -> Sheet:
    panels = tuple(Panel(RNG.integers(0, 256, (20, 30, 3), np.uint8), name, ("1.00 dB",)) for _ in range(3))
    overview = Panel(RNG.integers(0, 256, (60, 80, 3), np.uint8), "Set")
    return Sheet((Strip(panels, overview, Region(4, 4, 30, 20)),), (f"note {name}",), Bar(3.0, "deviation"))


def test_pictures_are_pixel_exact_in_png():
    asked = sheet()
    page = lay_out(asked)
    drawn = np.asarray(Picture.open(io.BytesIO(files.sheet(asked, ".png"))).convert("RGB"))
    parts = [thing for thing in page.things if thing.pixels is not None and thing.box is None]
    assert len(parts) == 3
    for part in parts:
        left, top = round(part.left * 2), round(part.top * 2)
        height, width = part.pixels.shape[:2]
        assert np.array_equal(drawn[top : top + height, left : left + width], part.pixels)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_a_sheet_is_the_same_file_each_time(suffix):
    asked = sheet()
    data = files.sheet(asked, suffix)
    assert data.startswith(BEGINS[suffix])
    assert files.sheet(asked, suffix) == data


def test_settings_of_the_user_change_nothing():
    import matplotlib as mpl

    asked = sheet()
    before = files.sheet(asked, ".png")
    with mpl.rc_context({"font.size": 30, "text.usetex": True, "savefig.bbox": "tight"}):
        assert files.sheet(asked, ".png") == before
        assert mpl.rcParams["font.size"] == 30


def test_names_are_text_and_never_formulas():
    assert files.sheet(sheet(f"{HOSTILE} $\\frac{{1}}$ $_$"), ".svg")


def images(*values: float) -> list[Image]:
    return [Image(f"im${number}$_", (value,), (value,)) for number, value in enumerate(values)]


@pytest.fixture
def table(table_maker, tmp_path):
    plan = {}
    for number, row in enumerate(("Bicubic", "HCFlow tau=0", "HCFlow tau=0.9")):
        plan[row, "DIV2K", "psnr_rgb"] = {"images": images(25.0 + number, 27.0), "total": 2 + number}
        plan[row, "DIV2K", "lpips"] = {"images": images(0.5, 0.1 * number), "total": 2 + number}
    return table_maker(load_suite("table2"), tmp_path, plan)


@pytest.mark.parametrize("suffix", files.SUFFIXES)
def test_charts_are_the_same_file_each_time(table, suffix):
    plot = perception_distortion(table, "DIV2K")
    curves = [temperature_curve(table, "DIV2K", metric) for metric in ("psnr", "lpips")]
    both = pair(table, "DIV2K", "psnr_rgb", ("Bicubic", "HCFlow tau=0"))
    for draw in (
        lambda: files.plots([plot], suffix),
        lambda: files.plots(curves, suffix),
        lambda: files.pair(both, suffix),
        lambda: files.spread(ranked(table, "DIV2K", "psnr_rgb"), "DIV2K", suffix),
    ):
        data = draw()
        assert data.startswith(BEGINS[suffix])
        assert draw() == data


def test_all_charts_of_a_table(table, monkeypatch):
    drawn = charts(table, ["DIV2K"])
    kinds = ("perception-distortion", "temperature", "spread")  # no scatter of two images
    assert set(drawn) == {f"{kind}-DIV2K.png" for kind in kinds}
    assert charts(table, ["Set5"]) == {}
    assert all(data.startswith(BEGINS[".png"]) for data in drawn.values())
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert charts(table, ["DIV2K"]) == {}


def test_the_svg_of_a_chart_says_its_names(table):
    text = files.plots([perception_distortion(table, "DIV2K")], ".svg").decode()
    assert "<!-- HCFlow -->" in text  # matplotlib draws letters as paths, and puts the text beside them
    assert "<!-- τ=0.9 -->" in text


def test_without_matplotlib_there_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match=r"expected matplotlib.*pip install 'hcflow-bench\[figures\]'"):
        files.sheet(sheet(), ".png")


def test_the_colours_of_a_map_go_from_dark_to_light():
    light = files.colours().astype(int).sum(axis=1)
    assert light[0] < 20
    assert light[-1] > 600
    assert (np.diff(light) >= -4).all()
