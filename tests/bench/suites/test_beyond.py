"""The rows beyond the paper, and how table 4's copied rows were made."""

import csv

import pytest

from bench.methods.method import METHODS
from bench.suites.reading import SUITES, load_suite
from bench.suites.suite import measures_of
from bench.weights.entries import weight_names

BEYOND = load_suite("beyond")


def test_every_published_line_is_a_row():
    with (SUITES / "published" / "beyond.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["method"] for line in lines] == [
        "VDSR", "LapSRN", "IMDN", "PAN", "RLFN", "VapSR", "VapSR-S", "DCTLSA", "RRDB (DF2K)", "SwinIR",
    ]  # fmt: skip
    assert sorted(row.key["method"] for row in BEYOND.rows) == sorted(line["method"] for line in lines)
    reached = sum(
        BEYOND.published_value(row, dataset, column) is not None
        for row in BEYOND.rows
        for dataset in BEYOND.datasets
        for column in BEYOND.columns
    )
    assert reached == sum(value != "" for line in lines for name, value in line.items() if name.endswith("_y"))


@pytest.mark.parametrize("row", BEYOND.rows, ids=lambda row: row.name)
def test_every_row_has_a_method_and_weights(row):
    entry = METHODS.find(row.method)
    assert 4 in entry.scales
    assert set(row.needs) <= set(weight_names())
    assert BEYOND.csv_line(row)["params"]


@pytest.mark.parametrize("row", load_suite("table4").select(["SRCNN"]) + BEYOND.rows[:2], ids=lambda row: row.name)
def test_luma_networks_are_judged_on_the_luma_plane_too(row):
    suite = load_suite("table4") if row.name == "SRCNN" else BEYOND
    for column in suite.columns:
        common, published = measures_of(row, column)
        assert common.variant.id == "y,crop4,u8"
        assert published.variant.id == "y8,crop4,u8,grey=direct,work=y"
