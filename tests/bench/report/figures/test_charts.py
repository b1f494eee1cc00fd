"""Charts as SVG: well-formed, accessible, at the right places, and with their values as a table."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from bench.records.tables import Image
from bench.report.figures import charts
from bench.suites.reading import load_suite

HOSTILE = r"""<img src=x onerror=alert(1)>|a`b*c_d[e](f)</script><!-- & % $ # { } ~ ^ \ "q" 'r'"""


def parsed(markup):
    """The chart as a tree; what HTML allows and XML does not is not in it."""
    return ElementTree.fromstring(f"<div>{markup}</div>")


def many(count: int, first: float) -> list[Image]:
    return [Image(f"im{number}", (first + number,), (first + number,)) for number in range(count)]


@pytest.fixture
def table(table_maker, tmp_path):
    plan = {}
    for number, row in enumerate(("Bicubic", "RRDB", "HCFlow tau=0", "HCFlow tau=0.9")):
        plan[row, "DIV2K", "psnr_rgb"] = {"images": many(4, 25.0 + number)}
        plan[row, "DIV2K", "lpips"] = {"images": many(4, 0.5 - 0.1 * number)}
    return table_maker(load_suite("table2"), tmp_path, plan)


def places(tree) -> dict[str, tuple[float, float]]:
    """What each mark says -> where it is: the middle of its shape."""
    found = {}
    for mark in tree.iter("g"):
        if "mark" in mark.get("class", "").split():
            shape = next(one for one in mark.iter("path") if one.get("class") == "reach").get("d")
            x, y = re.match(r"M(-?[\d.]+) (-?[\d.]+)", shape).groups()
            found[mark.find("title").text] = (float(x) + 9, float(y))
    return found


def test_points_stand_where_their_values_are(table):
    tree = parsed(charts.perception_distortion(table, "DIV2K"))
    found = places(tree)
    assert sorted(found) == [
        "Bicubic: PSNR (RGB) 26.50 dB, LPIPS 2.000 (4 images)",
        "HCFlow, τ=0.9: PSNR (RGB) 29.50 dB, LPIPS 1.700 (4 images)",
        "HCFlow, τ=0: PSNR (RGB) 28.50 dB, LPIPS 1.800 (4 images)",
        "RRDB: PSNR (RGB) 27.50 dB, LPIPS 1.900 (4 images)",
    ]
    by_psnr = [found[said] for said in sorted(found, key=lambda said: float(said.split("(RGB) ")[1].split()[0]))]
    across, up = [x for x, _ in by_psnr], [y for _, y in by_psnr]
    steps = [b - a for a, b in itertools.pairwise(across)]
    assert steps == pytest.approx([steps[0]] * 3, abs=0.11)
    assert steps[0] > 0
    assert up == sorted(up)  # a lower LPIPS is lower in the chart


def test_every_chart_has_a_title_and_a_description_of_its_own(table):
    tree = parsed(charts.section(table))
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    drawings = [one for one in tree.iter("svg") if one.get("role") == "group"]
    assert len(drawings) == 3  # perception-distortion, the best two rows, the images of each row
    for drawing in drawings:
        title, about = drawing.get("aria-labelledby").split()
        assert drawing.find("title").get("id") == title
        assert drawing.find("desc").get("id") == about
        assert "PSNR" in drawing.find("title").text + drawing.find("desc").text
    for mark in tree.iter("g"):
        if mark.get("tabindex"):
            assert mark.get("aria-label") == mark.find("title").text


def test_the_values_stand_in_a_table(table):
    tree = parsed(charts.scatter(table, "DIV2K", "psnr_rgb", ("Bicubic", "RRDB")))
    rows = [[cell.text for cell in row] for row in tree.iter("tr")]
    assert rows[0] == ["Image", "Bicubic", "RRDB", "Second − first"]
    assert rows[1] == ["im0", "25.00 dB", "26.00 dB", "+1.00 dB"]
    assert len(rows) == 5
    assert "Bicubic is better on 0, RRDB on 4 of 4 images" in "".join(tree.itertext())


def test_the_worst_and_the_best_image_of_each_row_are_named(table):
    text = " ".join(parsed(charts.spread(table, "DIV2K", "lpips")).itertext())
    assert "im3 (3.400)" in text  # the worst of RRDB, since lower is better
    assert "im0 (0.400)" in text


def test_curves_need_three_temperatures_in_a_report(table, table_maker, tmp_path):
    assert charts.temperature(table, "DIV2K") == ""


def test_the_keyboard_does_not_stop_at_many_marks(table_maker, tmp_path):
    plan = {(row, "Set5", "psnr_y"): {"images": many(count, 20.0)} for row, count in (("Bicubic", 25), ("RRDB", 25))}
    table = table_maker(load_suite("table4"), tmp_path, plan)
    tree = parsed(charts.scatter(table, "Set5", "psnr_y"))
    assert not [one for one in tree.iter("g") if one.get("tabindex")]
    assert len(places(tree)) == 25


def test_hostile_names_stay_text(table_maker, tmp_path):
    from dataclasses import replace

    suite = load_suite("table2")
    suite = replace(suite, rows=(replace(suite.rows[0], name=HOSTILE), *suite.rows[1:]), datasets=(HOSTILE,))
    bad = [Image(f"{HOSTILE}{number}", (20.0 + number,), (20.0 + number,)) for number in range(3)]
    plan = {(row, HOSTILE, column): {"images": bad} for row in (HOSTILE, "RRDB") for column in ("psnr_rgb", "lpips")}
    markup = charts.section(table_maker(suite, tmp_path, plan))
    tree = parsed(markup)
    assert not list(tree.iter("img"))
    assert not list(tree.iter("script"))
    assert HOSTILE in "".join(tree.itertext())


def test_nothing_measured_draws_nothing(empty):
    assert charts.section(empty) == ""


def test_partial_values_are_hollow_and_infinite_ones_are_said(table_maker, tmp_path):
    plan = {
        ("Bicubic", "DIV2K", "psnr_rgb"): {"images": many(2, 25.0), "total": 5},
        ("Bicubic", "DIV2K", "lpips"): {"images": many(2, 0.2), "total": 5},
        ("RRDB", "DIV2K", "psnr_rgb"): {"images": many(2, 26.0)},
        ("RRDB", "DIV2K", "lpips"): {"images": many(2, 0.1)},
        ("EDSR", "DIV2K", "psnr_rgb"): {"images": [Image("im0", (float("inf"),), (float("inf"),))]},
        ("EDSR", "DIV2K", "lpips"): {"images": [Image("im0", (0.0,), (0.0,))]},
    }
    tree = parsed(charts.perception_distortion(table_maker(load_suite("table2"), tmp_path, plan), "DIV2K"))
    kinds = {one.get("aria-label").split(":")[0]: one.get("class").split() for one in tree.iter("g") if one.get("role")}
    assert "hollow" in kinds["Bicubic"]
    assert "full" in kinds["RRDB"]
    text = "".join(tree.itertext())
    assert "Hollow: not all images are measured" in text
    assert "Not drawn: EDSR: infinite." in text
