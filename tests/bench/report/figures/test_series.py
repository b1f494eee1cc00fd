"""What charts show: networks over temperatures, images ranked, two rows on the images that both have."""

from __future__ import annotations

import math

import pytest

from bench.errors import BenchError
from bench.records.tables import Image
from bench.report.figures.per_image import best_pair, pair, quality, ranked
from bench.report.figures.series import column_of, measured_datasets, perception_distortion, temperature_curve
from bench.suites.reading import load_suite

SMALL = "HCFlow small (ours, 1510 steps)"


def images(*values: float) -> list[Image]:
    return [Image(f"im{number}", (value,), (value,)) for number, value in enumerate(values)]


@pytest.fixture
def table(table_maker, tmp_path):
    """Table 2 with Bicubic, and one network at two temperatures, of which the second has an image less."""
    plan = {
        ("Bicubic", "DIV2K", "psnr_rgb"): {"images": images(26.0, 27.0)},
        ("Bicubic", "DIV2K", "lpips"): {"images": images(0.5, 0.3)},
        (f"{SMALL} tau=0", "DIV2K", "psnr_rgb"): {"images": images(28.0, 29.0)},
        (f"{SMALL} tau=0", "DIV2K", "lpips"): {"images": images(0.2, 0.4)},
        (f"{SMALL} tau=0.9", "DIV2K", "psnr_rgb"): {"images": images(25.0), "total": 2},
        (f"{SMALL} tau=0.9", "DIV2K", "lpips"): {"images": images(0.1), "total": 2},
        ("RRDB", "DIV2K", "psnr_rgb"): {"images": images(30.0, 20.0)},
        ("EDSR", "DIV2K", "psnr_rgb"): {"images": images(math.inf, 30.0)},
        ("EDSR", "DIV2K", "lpips"): {"images": images(0.0, 0.1)},
    }
    return table_maker(load_suite("table2"), tmp_path, plan)


def test_rows_of_one_network_are_one_series_by_temperature(table):
    plot = perception_distortion(table, "DIV2K")
    points = {one.name: [(p.temperature, p.x, p.y, p.images, p.partial) for p in one.points] for one in plot.series}
    assert points == {
        "Bicubic": [(0.0, 26.5, pytest.approx(0.4), "2 images", False)],
        SMALL: [
            (0.0, 28.5, pytest.approx(0.3), "2 images", False),
            (0.9, 25.0, pytest.approx(0.1), "1 of 2 images", True),
        ],
    }
    assert plot.left_out == ("EDSR: infinite",)  # RRDB has no LPIPS: no point of it
    assert (plot.x.protocol, plot.y.protocol) == ("psnr@rgb,crop4,u8", "lpips@alex,rgb,crop0,float")
    assert plot.x.label == "PSNR (RGB), dB, higher is better"
    assert [one.draws for one in plot.series] == [False, True]


def test_a_temperature_curve_needs_two_temperatures(table):
    plot = temperature_curve(table, "DIV2K", "psnr")
    assert [(one.name, [(p.x, p.y) for p in one.points]) for one in plot.series] == [
        (SMALL, [(0.0, 28.5), (0.9, 25.0)])
    ]
    assert plot.x is None
    assert temperature_curve(table, "DIV2K", "diversity") is None


def test_nothing_measured_gives_nothing(empty):
    for dataset in empty.datasets:
        assert perception_distortion(empty, dataset) is None
        assert temperature_curve(empty, dataset, "psnr") is None
        assert ranked(empty, dataset, empty.suite.columns[0].id) == []
        assert best_pair(empty, dataset, empty.suite.columns[0].id) is None
    assert measured_datasets(empty) == []


def test_images_are_ranked_worst_first_whichever_way_is_better(table):
    by_psnr = {one.row: [image for image, _ in one.images] for one in ranked(table, "DIV2K", "psnr_rgb")}
    assert by_psnr["RRDB"] == ["im1", "im0"]
    by_lpips = {one.row: [image for image, _ in one.images] for one in ranked(table, "DIV2K", "lpips")}
    assert by_lpips["Bicubic"] == ["im0", "im1"]
    edsr = next(one for one in ranked(table, "DIV2K", "psnr_rgb") if one.row == "EDSR")
    assert (edsr.images, edsr.left_out, edsr.mean) == ((("im1", 30.0),), 1, 30.0)


def test_two_rows_meet_on_the_images_that_both_have(table):
    found = pair(table, "DIV2K", "psnr_rgb", ("Bicubic", "RRDB"))
    assert found.images == (("im0", 26.0, 30.0), ("im1", 27.0, 20.0))
    assert found.wins == (1, 1)
    lower = pair(table, "DIV2K", "lpips", ("Bicubic", f"{SMALL} tau=0"))
    assert lower.wins == (1, 1)
    assert pair(table, "DIV2K", "psnr_rgb", ("Bicubic", "EDSR")).left_out == 1


def test_the_best_pair_is_of_the_two_best_rows_with_enough_images(table):
    assert best_pair(table, "DIV2K", "psnr_rgb", 2).rows == (f"{SMALL} tau=0", "Bicubic")
    assert best_pair(table, "DIV2K", "lpips", 1).rows == ("EDSR", f"{SMALL} tau=0")  # tau=0.9 has one image
    assert best_pair(table, "DIV2K", "psnr_rgb", 3) is None


def test_other_hr_pixels_are_no_pair(table_maker, tmp_path):
    def of(pixels: str, first: float) -> list[Image]:
        return [Image(f"im{i}", (first + i,), (first + i,), pixels if i else "same") for i in range(3)]

    plan = {
        ("Bicubic", "DIV2K", "psnr_rgb"): {"images": of("a", 26.0)},
        ("EDSR", "DIV2K", "psnr_rgb"): {"images": of("a", 28.0)},
        ("RRDB", "DIV2K", "psnr_rgb"): {"images": of("b", 30.0)},
    }
    table = table_maker(load_suite("table2"), tmp_path, plan)
    found = pair(table, "DIV2K", "psnr_rgb", ("Bicubic", "RRDB"))
    assert ([image for image, _, _ in found.images], found.other) == (["im0"], 2)
    assert best_pair(table, "DIV2K", "psnr_rgb", 3).rows == ("EDSR", "Bicubic")


def test_rows_of_the_whole_data_set_are_above_others(table):
    by_lpips = sorted(ranked(table, "DIV2K", "lpips"), key=quality, reverse=True)
    assert [one.row for one in by_lpips] == ["EDSR", f"{SMALL} tau=0", "Bicubic", f"{SMALL} tau=0.9"]


@pytest.mark.parametrize(
    ("rows", "column", "dataset", "message"),
    [
        (("Bicubic", "RRDB"), "lpips", "DIV2K", "expected results of RRDB on DIV2K, got none"),
        (("Bicubic", "nobody"), "psnr_rgb", "DIV2K", "nobody"),
        (("Bicubic", "RRDB"), "psnr_rgb", "Set99", "Set99"),
    ],
)
def test_what_is_not_there_is_said(table, rows, column, dataset, message):
    with pytest.raises(BenchError, match=message):
        pair(table, dataset, column, rows)


def test_a_column_is_named_by_its_id_or_its_metric(table):
    assert column_of(table).id == "psnr_rgb"
    assert column_of(table, "lpips").id == "lpips"
    assert column_of(table, "psnr").id == "psnr_rgb"
    with pytest.raises(BenchError, match="psnr_rgb"):
        column_of(table, "pnsr")
