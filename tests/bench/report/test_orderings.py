"""Whether the published orderings hold, as each format says it; from records as runs leave them."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

from tables_helper import label, measured, trained

from bench.cli.options import suite_of
from bench.cli.terminal import in_blocks
from bench.records.tables import Table, build_table
from bench.report import orderings, write_reports
from bench.report.grid import build_grid
from bench.report.html import render_html
from bench.report.latex import render_latex
from bench.report.markdown import render_markdown, render_series
from bench.report.text import render_text
from bench.statistics.orderings import orderings_of

MEANS = {"case1": 10.0, "case2": 27.0, "case3": 26.0, "case4": 20.0, "case5": 26.1, "HCFlow": 26.5}


def values(mean: float, images: int) -> list[list[float]]:
    return [[mean + number % 5] for number in range(images)]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Table 1 in the small: PSNR on Set5 and Set14, two seeds of case 2; case 5 is above case 3, against the paper."""
    for dataset, images in (("Set5", 6), ("Set14", 14)):
        for case, mean in MEANS.items():
            trained(tmp_path, case, {"psnr_rgb_tau0": values(mean, images)}, dataset=dataset)
        trained(tmp_path, "case2", {"psnr_rgb_tau0": values(27.05, images)}, seed=1, dataset=dataset)
    return build_table(suite_of("1", None, tmp_path), tmp_path)


@pytest.fixture
def few(tmp_path: Path) -> Table:
    """Two rows of table 4: no order."""
    for row in ("Bicubic", "RRDB"):
        measured(tmp_path, row, {"a": [28.0], "b": [29.0], "c": [30.0]})
    return build_table(suite_of("4", None, tmp_path), tmp_path)


class Page(HTMLParser):
    """Elements with their attributes and the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_summary_counts_what_holds(table: Table) -> None:
    (series,) = orderings_of(table)
    assert orderings.summary(series) == (
        "Of 28 orderings 26 hold, 2 are reversed, 0 are undecided, 0 are within the noise of training; "
        "2 are printed as equal and not judged."
    )
    assert orderings.name(table.suite, series) == "Trained here: small, 3,000 steps"
    line = dict(zip(orderings.heads(series), orderings.lines(series)[0], strict=True))
    assert (line["Metric"], line["Data set"], line["Rows"], line["Images"]) == ("PSNR (RGB), τ=0 ↑", "Set14", "6", "14")
    assert (line["Tau-b"], line["95 % interval"]) == ("0.83", "0.83 to 0.83")  # (13 - 1) / sqrt(14 * 15)
    assert (line["Hold"], line["Reversed"], line["Tied in print"]) == ("13", "1", "1")
    assert line["Noise of training"] == "0.0500 (largest 0.0500)"
    pairs = [pair.texts for pair in orderings.pair_lines(series, held=False)]
    assert [pair[6:] for pair in pairs] == [("0.0001", "0.00 %"), ("0.0312", "0.00 %")]  # 2 / 2**14, 2 / 2**6
    (pair,) = {pair[2:6] for pair in pairs}
    assert pair == ("case3 > case5", "✗ reversed", "+0.11", "−0.1000")


def test_what_is_printed_elsewhere_and_few_images_are_said(table: Table) -> None:
    (series,) = orderings_of(table)
    text = " ".join(orderings.notes(table.suite, series))
    assert "The paper's order is that on DIV2K." in text
    assert "seeds of case2: 0, 1" in text
    assert "a hint only: Set5 (6)." in text
    assert "smallest possible p" not in text


def test_five_images_decide_nothing_and_the_notes_say_so(tmp_path: Path) -> None:
    for row, mean in (("Bicubic", 28.0), ("SRCNN", 30.0), ("RRDB", 32.0)):
        measured(tmp_path, row, {str(n): [mean + n] for n in range(5)})
    table = build_table(suite_of("4", None, tmp_path), tmp_path)
    (series,) = orderings_of(table)
    assert orderings.summary(series) == "Of 3 orderings 0 hold, 0 are reversed, 3 are undecided."
    assert [pair.texts[6:] for pair in orderings.pair_lines(series)] == [("0.0625", "100.00 %")] * 3
    assert "Set5: with 5 images the smallest possible p is 0.0625, so that no order can be decided." in orderings.notes(
        table.suite, series
    )


def test_why_it_proves_less_than_the_papers_table(table: Table) -> None:
    (series,) = orderings_of(table)
    assert orderings.caveat(table.suite, series) == (
        "This proves less than the published table: the networks have a seventh to a twentieth of the paper's "
        "parameters, training was much shorter than the paper's, the training images may be others, the test images "
        "are others, and 1 of the 6 rows has several seeds, the others one. An ordering that does not show here may "
        "appear at full size, and one that shows here may not."
    )


def test_the_page_has_a_section_that_can_be_read_without_seeing_it(table: Table, tmp_path: Path) -> None:
    page = render_html(build_grid(table), tmp_path)
    start = page.index('<section class="orderings">')
    section = Page(page[start : page.index("</section>", start)])
    assert "Do the paper's orderings hold?" in section.text
    assert "This proves less than the published table" in section.text
    tags = [tag for tag, _ in section.elements]
    assert tags.count("table") == tags.count("caption") == 2
    assert tags.count("details") == 1
    scopes = [attributes.get("scope") for tag, attributes in section.elements if tag == "th"]
    assert set(scopes) == {"col", "row"}
    assert scopes.count("row") == 2 + 28
    regions = [attributes for _, attributes in section.elements if attributes.get("role") == "region"]
    ids = {attributes.get("id") for _, attributes in section.elements}
    assert all(one["tabindex"] == "0" and one["aria-labelledby"] in ids for one in regions)
    assert section.text.count("✗ reversed") == 2


def test_markdown_has_both_tables(table: Table) -> None:
    text = render_series(table.suite, orderings_of(table))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines[:4]}) == 1
    assert any("✗ reversed" in line and "case3" in line and "case5" in line for line in lines)
    assert text.strip() in render_markdown(build_grid(table))


def test_the_terminal_has_a_few_lines(table: Table) -> None:
    text = render_text(build_grid(table))
    start = text.index("Do the paper's orderings hold?")
    lines = text[start : text.index("python -m bench orderings --table 1")].splitlines()
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 80
    joined = " ".join(" ".join(lines).split())
    assert "Of 28 orderings 26 hold, 2 are reversed" in joined
    assert "PSNR (RGB), τ=0: Set14 0.83 (0.83 to 0.83), Set5 0.83 (0.83 to 0.83)" in joined
    assert "proves less than the published table" in joined


def test_latex_has_it_among_the_notes(table: Table) -> None:
    grid = build_grid(table)
    assert "Of 28 orderings 26 hold" in render_latex(grid)
    assert "orderings" not in render_latex(grid, "compact")


def test_an_order_that_is_printed_for_another_data_set_is_never_shown_without_saying_so(table: Table) -> None:
    grid = build_grid(table)
    for text in (render_text(grid), render_latex(grid), render_markdown(grid)):
        assert "order is that on DIV2K." in " ".join(text.split())


def test_latex_has_no_blank_where_there_is_no_caveat(tmp_path: Path) -> None:
    for row, mean in (("Bicubic", 28.0), ("SRCNN", 30.0), ("RRDB", 32.0)):
        measured(tmp_path, row, {str(n): [mean + n] for n in range(6)})
    text = render_latex(build_grid(build_table(suite_of("4", None, tmp_path), tmp_path)))
    assert "Rows of the paper: Of 3 orderings" in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert re.search(r"Set5 1\.00 \(1\.00 to 1\.00\)\.(\S|$)", text, re.M)


def test_a_series_that_nobody_trained_here_is_a_series(table: Table) -> None:
    (series,) = orderings_of(table)
    own, mine = replace(table.suite, name="mine"), replace(series, name="fast")
    for suite, one in ((own, series), (own, mine), (table.suite, mine)):
        assert orderings.name(suite, one) == f"Series: {one.name}"
        assert orderings.caveat(suite, one) == ""
    assert orderings.name(own, replace(series, name="")) == "Published rows"
    full = orderings.caveat(table.suite, replace(series, name="paper, 300,000 steps"))
    assert "parameters" not in full
    assert "shorter" not in full
    assert full.startswith("This proves less")
    text = render_text(replace(build_grid(table), orderings=(mine,)))
    assert "proves less" not in text
    assert "proves less" not in render_html(replace(build_grid(table), orderings=(mine,)), Path())


def test_orderings_of_an_earlier_report_do_not_stay(table: Table, tmp_path: Path) -> None:
    to = tmp_path / "to"
    write_reports(build_grid(table), tmp_path, to)
    nothing = replace(build_grid(table), orderings=())
    assert "table1.orderings.json" in [path.name for path in write_reports(nothing, tmp_path, to)]
    assert json.loads((to / "table1.orderings.json").read_text()) == {"table": "table1", "series": []}
    assert "orderings.json" not in (to / "table1.html").read_text()


def test_two_blocks_of_80_columns_have_every_pair(table: Table) -> None:
    """The order is in the first."""
    (series,) = orderings_of(table)
    pairs = [pair.texts for pair in orderings.pair_lines(series)]
    blocks = in_blocks(orderings.PAIR_HEADS, pairs, 80, fixed=3)
    assert [[str(column.header) for column in block.columns] for block in blocks] == [
        ["Metric", "Data set", "Printed order", "Order", "In print"],
        ["Metric", "Data set", "Printed order", "Measured", "p", "Share"],
    ]


def test_the_file_for_programs_has_all_of_it(table: Table, tmp_path: Path) -> None:
    written = write_reports(build_grid(table), tmp_path, tmp_path / "to")
    assert [path.name for path in written] == [
        "table1.orderings.json", "table1.json", "table1.md", "table1.html", "table1.tex",
    ]  # fmt: skip
    content = json.loads(written[0].read_text())
    (series,) = content["series"]
    assert (content["table"], series["series"], len(series["orderings"])) == ("table1", "small, 3,000 steps", 2)
    one = series["orderings"][0]
    assert one["tau_b"] == pytest.approx(12 / (14 * 15) ** 0.5)
    assert (one["dataset"], one["metric"], one["printed_on"]) == ("Set14", "psnr_rgb_tau0", "DIV2K")
    assert one["noise_largest"] == pytest.approx(0.05)
    (reversed_,) = [pair for pair in one["pairs"] if pair["order"] == "reversed"]
    assert (reversed_["better"], reversed_["worse"]) == (label("case3"), label("case5"))
    assert (reversed_["published"], reversed_["measured"]) == (0.11, pytest.approx(-0.1))
    assert isinstance(json.loads((tmp_path / "to" / "table1.json").read_text()), list)  # one object per cell, as ever
    assert 'href="table1.orderings.json"' in (tmp_path / "to" / "table1.html").read_text()


def test_nothing_is_said_where_there_is_nothing_to_say(few: Table, tmp_path: Path) -> None:
    grid = build_grid(few)
    assert grid.orderings == ()
    for text in (render_html(grid, tmp_path), render_markdown(grid), render_text(grid), render_latex(grid)):
        assert "orderings" not in re.sub(r"<(style|script).*?</\1>", "", text, flags=re.S)
    assert [path.suffix for path in write_reports(grid, tmp_path, tmp_path / "to")] == [".json", ".md", ".html", ".tex"]
    assert not (tmp_path / "to" / "table4.orderings.json").exists()


def test_rows_of_the_paper_have_no_caveat(tmp_path: Path) -> None:
    for row, mean in (("Bicubic", 28.0), ("SRCNN", 30.0), ("RRDB", 32.0), ("RDN", 31.0)):
        total = {"total": 9} if row == "RDN" else {}
        measured(tmp_path, row, {str(n): [mean + n] for n in range(6)}, **total)
    table = build_table(suite_of("4", None, tmp_path), tmp_path)
    (series,) = orderings_of(table)
    assert orderings.caveat(table.suite, series) == ""
    assert orderings.name(table.suite, series) == "Rows of the paper"
    assert orderings.summary(series) == "Of 3 orderings 3 hold, 0 are reversed, 0 are undecided."
    assert orderings.notes(table.suite, series)[-1] == "Left out: RDN (6 of 9 images)."
    assert "Noise of training" not in orderings.heads(series)
