"""The suites: every name in them resolves, and the paper's numbers are where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.datasets.manifest import manifest_names
from bench.errors import BenchError
from bench.methods.method import METHODS
from bench.runs.planning import tasks
from bench.suites.reading import load_suite, parse_suite, read_suite, suite_names
from bench.suites.suite import Suite, measures_of
from bench.weights import entries as weights

ALL = [load_suite(name) for name in suite_names()]
TABLE2, TABLE4 = load_suite("2"), load_suite("4")


def test_the_four_tables_are_there() -> None:
    assert [suite.name for suite in ALL] == ["beyond", "table1", "table2", "table3", "table4"]
    assert [sum(bool(row.key) for row in suite.rows) for suite in ALL[1:]] == [6, 11, 9, 11]  # the paper's
    assert sum(len([*filter(None, values(suite))]) for suite in ALL[1:]) == 275


def values(suite: Suite) -> list[str | None]:
    """Every published number of a table."""
    return [
        suite.published_value(row, dataset, column)
        for row in suite.rows
        for dataset in suite.datasets
        for column in suite.columns
    ]


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_every_name_resolves(suite: Suite) -> None:
    for name in (*suite.datasets, suite.fallback):
        assert name in manifest_names()
    for row in suite.rows:
        assert suite.csv_line(row)
        for need in row.needs:
            assert need in weights.weight_names()
        assert tasks(suite, row, METHODS.find(row.method))


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_every_published_number_is_reachable(suite: Suite) -> None:
    """As many numbers through rows and columns as the CSV file holds, so none is lost to a misspelt column."""
    reached = sum(value is not None for value in values(suite))
    descriptive = {*suite.describe, *suite.rows[0].key, "paper", "training", "source"}
    held = sum(
        value.strip() not in ("", "-", "_")
        for row in suite.rows
        for name, value in suite.csv_line(row).items()
        if name not in descriptive
    )
    assert reached == held


def test_published_digits_are_kept_as_printed() -> None:
    table4 = TABLE4
    bicubic, column = table4.rows[0], table4.columns[1]
    assert table4.published_value(bicubic, "Set5", column) == "0.8104"
    rdn = table4.select(["RDN"])[0]
    assert table4.published_value(rdn, "Set5", column) == "0.8990"
    assert table4.published_value(rdn, "DIV2K", column) is None
    assert table4.published_value(bicubic, "Sample", column) is None


def test_the_copied_row_is_judged_under_its_own_protocol() -> None:
    table4 = TABLE4
    common, as_published = measures_of(table4.rows[0], table4.columns[0])
    assert common.id == "psnr@y,crop4,u8"
    assert as_published.id == "psnr@y8,crop4,u8,grey=direct,work=y,range=studio"
    one, other = tasks(table4, table4.rows[0], METHODS.find("bicubic"))
    assert (one.settings, other.settings) == ({}, {"arithmetic": "double"})
    assert (one.input.work, other.input.work) == ("rgb", "y")
    assert [measure.metric for measure in one.measures] == ["psnr", "ssim"]


def test_as_published_is_per_metric() -> None:
    text = MINE.replace(
        "[[notes]]", '[[rows.as_published]]\nmetrics = ["ssim"]\nvariant = "rgb,crop4,u8"\nnote = "n"\n[[notes]]'
    )
    suite = parse_suite("mine", text, Path())
    psnr, ssim = (measures_of(suite.rows[-1], column) for column in suite.columns)
    assert psnr[0] == psnr[1]
    assert (ssim[0].id, ssim[1].id) == ("ssim@y,crop4,u8", "ssim@rgb,crop4,u8")


def test_rows_are_chosen_by_name_or_method_in_any_case() -> None:
    table2 = TABLE2
    assert [row.name for row in table2.select(["bicubic"])] == ["Bicubic"]
    assert [row.name for row in table2.select(["srflow"])] == ["SRFlow tau=0", "SRFlow tau=0.9"]
    assert [row.name for row in TABLE4.select(["HCFlow"])] == ["HCFlow"]
    assert len(TABLE4.select(["hcflow"])) > 1
    assert table2.select([]) == table2.rows
    with pytest.raises(BenchError, match=r"expected a method in table2 of Bicubic.* got 'bicubik'; did you mean"):
        table2.select(["bicubik"])


def test_an_unknown_table_lists_the_choices() -> None:
    with pytest.raises(BenchError, match=r"expected a table of .*1, 2, 3, 4; got '7'"):
        load_suite("7")


MINE = """
title = "A table of mine"
scale = 4
datasets = ["Sample"]
draws = 3

[[columns]]
id = "p"
measure = "psnr@y,crop4,u8"

[[columns]]
id = "s"
measure = "ssim"

[[rows]]
name = "Bicubic"
method = "bicubic"
published = { Sample_p = "27.29" }

[[notes]]
text = "a note"
"""


def test_a_suite_of_your_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    suite = read_suite(tmp_path / "mine.toml")
    assert [column.measure.id for column in suite.columns] == ["psnr@y,crop4,u8", "ssim@y,crop4,u8"]
    assert suite.published_value(suite.rows[0], "Sample", suite.columns[0]) == "27.29"
    assert suite.published_value(suite.rows[0], "Sample", suite.columns[1]) is None
    (tmp_path / "values.csv").write_text("method,Sample_p\nBicubic,28.1\n")
    text = MINE.replace("draws = 3", 'published = "values.csv"').replace(
        'published = { Sample_p = "27.29" }', 'key = { method = "Bicubic" }'
    )
    suite = parse_suite("mine", text, tmp_path)
    assert suite.published_value(suite.rows[0], "Sample", suite.columns[0]) == "28.1"
    assert suite.draws == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('method = "bicubic"', 'method = "bicubic"\nseries = "a\\u001bb"', "without control characters, got a\\?b"),
        ('method = "bicubic"', 'method = "bicubic"\nseed = -1', "expected a seed from 0, got -1"),
        ("draws = 3", "draws = 3\ndrawz = 5", "unknown key 'drawz'; did you mean draws"),
        ("scale = 4\n", "", "expected the key 'scale', which is missing"),
        ("draws = 3", "draws = 0", "expected 1 to 1000 draws, got 0"),
        ("draws = 3", "draws = true", "expected int, got True"),
        ("scale = 4", "scale = 0", "expected a scale of 1 to 16, got 0"),
        ("scale = 4", 'scale = "4"', "expected int, got '4'"),
        ("psnr@y,crop4,u8", "psrn@y,crop4,u8", "expected a metric of .* got 'psrn'; did you mean psnr"),
        ("psnr@y,crop4,u8", "psnr@z,crop4,u8", "expected one of rgb, y, y8, got 'z'"),
        ('method = "bicubic"', 'method = "bicubic"\ntemperature = "0.9"', "expected float, got '0.9'"),
        ('method = "bicubic"', 'method = "bicubic"\ntemperature = nan', "expected temperatures of 0 to 10"),
        ('method = "bicubic"', 'method = "bicubic"\ntemperature = -1', "expected temperatures of 0 to 10"),
        ("[[notes]]", '[[rows]]\nname = "Bicubic"\nmethod = "bicubic"\n[[notes]]', "every row once, got Bicubic twice"),
        ('id = "s"', 'id = "p"', "every column once, got p twice"),
        ('["Sample"]', '["Sample", "Sample"]', "every data set once, got Sample twice"),
        ("draws = 3", 'published = "../../etc/passwd"', "published to be a plain file name"),
        ("draws = 3", 'published = "none.csv"', ""),
        ("draws = 3", 'published_column = "{data}"', "expected {dataset} and {column} in published_column"),
        ("published = {", 'key = { method = "x" }\npublished = {', "a key needs `published`"),
        ("title =", "title", "expected valid TOML, got an error"),
        (
            "[[notes]]",
            '[[rows.as_published]]\nmetrics = ["lpips"]\nvariant = "x"\nnote = ""\n[[notes]]',
            "expected a metric",
        ),
        ("draws = 3", "draws = " + "[" * 2000 + "]" * 2000, ""),
    ],
)
def test_a_mistake_in_a_suite_is_one_line_that_helps(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in MINE
    (tmp_path / "mine.toml").write_text(MINE.replace(old, new, 1))
    if not message:
        message = "mine|none.csv"
    if "none.csv" in new:
        read_suite(tmp_path / "mine.toml")  # no row refers to it
        return
    with pytest.raises(BenchError, match=message) as raised:
        read_suite(tmp_path / "mine.toml")
    assert "\n" not in str(raised.value)
