"""The suites: every name in them resolves, and the paper's numbers are where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.datasets.manifest import manifest_names
from bench.errors import BenchError
from bench.methods.method import METHODS
from bench.runs.planning import passes
from bench.suites import suite as suites
from bench.suites.suite import load_suite, measures_of, suite_names
from bench.weights import entries as weights

ALL = [load_suite(name) for name in suite_names()]


def test_the_four_tables_are_there() -> None:
    assert [suite.name for suite in ALL] == ["table1", "table2", "table3", "table4"]
    assert [sum(bool(row.key) for row in suite.rows) for suite in ALL] == [6, 11, 9, 11]  # the paper's
    assert [[row.name for row in suite.rows if not row.key] for suite in ALL] == [
        [],
        [],
        [],
        ["HCFlow (ours, 6000 steps)"],
    ]


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_every_name_resolves(suite: suites.Suite) -> None:
    for name in (*suite.datasets, suite.fallback):
        assert name in manifest_names()
    for row in suite.rows:
        assert suite.csv_line(row)
        for need in row.needs:
            assert need in weights.weight_names()
        assert row.method in METHODS or row.needs
        if row.method in METHODS:
            assert passes(suite, row)


@pytest.mark.parametrize("suite", ALL, ids=lambda suite: suite.name)
def test_every_published_number_is_reachable(suite: suites.Suite) -> None:
    """As many numbers through rows and columns as the CSV file holds, so none is lost to a misspelt column."""
    reached = sum(
        suite.published_value(row, dataset, column) is not None
        for row in suite.rows
        for dataset in suite.datasets
        for column in suite.columns
    )
    descriptive = {*suite.describe, *suite.rows[0].key}
    held = sum(
        value.strip() not in ("", "-", "_")
        for row in suite.rows
        for name, value in suite.csv_line(row).items()
        if name not in descriptive
    )
    assert reached == held


def test_published_digits_are_kept_as_printed() -> None:
    table4 = ALL[3]
    bicubic, column = table4.rows[0], table4.columns[1]
    assert table4.published_value(bicubic, "Set5", column) == "0.8104"
    rdn = table4.select(["RDN"])[0]
    assert table4.published_value(rdn, "Set5", column) == "0.8990"
    assert table4.published_value(rdn, "DIV2K", column) is None
    assert table4.published_value(bicubic, "Sample", column) is None


def test_the_copied_row_is_judged_under_its_own_protocol() -> None:
    table4 = ALL[3]
    common, as_published = measures_of(table4.rows[0], table4.columns[0])
    assert common == "psnr@y,crop4,u8"
    assert as_published == "psnr@y8,crop4,u8,grey=direct,work=y,range=studio"
    one, other = passes(table4, table4.rows[0])
    assert (one.settings, other.settings) == ({}, {"arithmetic": "double"})
    assert [measure.metric for measure in one.measures] == ["psnr", "ssim"]


def test_rows_are_chosen_by_name_or_method_in_any_case() -> None:
    table2 = ALL[1]
    assert [row.name for row in table2.select(["bicubic"])] == ["Bicubic"]
    assert [row.name for row in table2.select(["srflow"])] == ["SRFlow tau=0", "SRFlow tau=0.9"]
    assert table2.select([]) == table2.rows
    with pytest.raises(BenchError, match=r"expected a method in table2 of Bicubic.* got 'bicubik'; did you mean"):
        table2.select(["bicubik"])


def test_an_unknown_table_lists_the_choices() -> None:
    with pytest.raises(BenchError, match="expected a table of 1, 2, 3, 4; got '7'"):
        load_suite("table7")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("draws = 5", "draws = 5\ndrawz = 5", "expected a key in table4 of name, .* got 'drawz'; did you mean draws?"),
        ("scale = 4\n", "", "expected the key 'scale', got none"),
        ("psnr@y,crop4,u8", "psrn@y,crop4,u8", "expected a metric in table4 of psnr, .* got 'psrn'; did you mean psnr"),
        ("psnr@y,crop4,u8", "psnr@z,crop4,u8", "expected one of rgb, y, y8, got 'z'"),
    ],
)
def test_a_mistake_in_a_suite_is_an_error_that_helps(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (suites.SUITES / "table4.toml").read_text()
    assert old in text
    (tmp_path / "table4.toml").write_text(text.replace(old, new))
    monkeypatch.setattr(suites, "SUITES", tmp_path)
    with pytest.raises(BenchError, match=message):
        load_suite("table4")
