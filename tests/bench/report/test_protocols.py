"""A table whose columns have protocols of many kinds: every format says which is which, and no value stands twice."""

import re

from bench.report import notes
from bench.report.grid import build_grid
from bench.report.html import render_html
from bench.report.latex import render_latex
from bench.report.machine import render_json
from bench.report.markdown import render_markdown
from bench.report.text import render_text


def test_measures_share_a_footnote_only_where_its_words_are_true_of_both(many):
    assert [(note.mark, note.measures, note.rows) for note in notes.footnotes(many)] == [
        ("a", ("psnr@rgb,crop4,u8", "ssim@rgb,crop4,u8"), ()),
        ("b", ("first@matlab",), ()),
        ("c", ("second@matlab",), ()),
        ("d", ("count@all",), ()),
        ("e", ("psnr@y,crop4,u8",), ("Bicubic",)),
        ("f", ("first@live",), ("Bicubic",)),
    ]
    words = {note.mark: note.description for note in notes.footnotes(many)}
    assert (words["b"], words["c"]) == ("first calibrated by matlab", "second calibrated by matlab")


def test_markdown_shows_the_papers_protocol_where_it_is_another_and_nothing_twice(many):
    lines = [line for line in render_markdown(build_grid(many)).splitlines() if line.startswith("| Bicubic")][:2]
    common, own = ([part.strip() for part in line.split("|")[1:-1]] for line in lines)
    assert common[2:7] == [
        "27.10", "0.8000&nbsp;○", "5.1", "–<sup>1</sup>", "28.42&nbsp;○",
    ]  # fmt: skip
    assert own[0] == "Bicubic,<br>paper's&nbsp;protocol&nbsp;<sup>e, f</sup>"
    assert own[2:7] == [
        "28.42&nbsp;✓<br>(28.42)",
        "",
        "3.1&nbsp;◐<br>1&nbsp;of&nbsp;5&nbsp;images<br>(3.1)",
        "",
        "",
    ]


def test_latex_and_html_do_the_same(many, tmp_path):
    latex = render_latex(build_grid(many))
    line = next(line for line in latex.splitlines() if "protocol" in line and "textsuperscript{e, f}" in line)
    assert [bool(part.strip(" \\")) for part in line.split("&")[1:6]] == [True, False, True, False, False]
    page = render_html(build_grid(many), tmp_path)
    own = page[page.index('<tr class="papers-protocol">') :]
    own = own[: own.index("</tr>")]
    assert re.findall(r'href="#protocol-(\w)"', own) == ["e", "f"]
    assert own.count('class="open"') == 2


def test_a_temperature_that_the_column_sets_stands_in_its_head(many, tmp_path):
    for text in (
        render_markdown(build_grid(many)).replace("&nbsp;", " "),
        render_text(build_grid(many)),
        render_html(build_grid(many), tmp_path),
    ):
        assert "First, τ=0.9" in text
    latex = render_latex(build_grid(many)).splitlines()
    first = next(index for index, line in enumerate(latex) if "& First &" in line)
    assert latex[first].split("&").index(" First ") == latex[first + 1].split("&").index(r" $\tau$=0.9 ")


def test_a_fact_has_no_direction(many, tmp_path):
    assert not re.search("Count.{0,60}[↑↓]", render_text(build_grid(many)).replace("\n", "~"))
    assert "none is better" not in render_html(build_grid(many), tmp_path)


def test_text_names_the_measures_that_a_reason_is_about(many):
    text = " ".join(render_text(build_grid(many)).split())
    assert "partial Bicubic on Set5 (First, τ=0.9): 1 of 5 images; not applicable: too small" in text
    assert "Bicubic (Set5: Second): needs weights second" in text
    assert "Net (all data sets)" in text
    assert "Net, paper: Set5 First, τ=0.9 2.1; Set14 Second 7.5" in text
    assert "note: the paper counts another network" in text
    assert "paper's protocol for Bicubic: another calibration" in text


def test_no_format_says_as_published_to_a_reader(many, mixed, tmp_path):
    for table in (many, mixed):
        for render in (render_text, render_markdown, render_latex, lambda grid: render_html(grid, tmp_path)):
            assert "as published" not in render(build_grid(table)).casefold()


def test_json_names_the_runs_and_remarks(many):
    assert '"runs": [\n   "20260102T030405Z-abcdef"\n  ]' in render_json(build_grid(many))
    assert "the paper counts another network" in render_json(build_grid(many))


def test_a_table_of_your_own_names_no_source(protocols, table_maker, tmp_path):
    from dataclasses import replace

    rows = tuple(replace(row, published={}) for row in protocols.rows)
    table = table_maker(replace(protocols, source="", rows=rows), tmp_path)
    for text in (
        render_text(build_grid(table)),
        render_markdown(build_grid(table)),
        render_latex(build_grid(table)),
        render_html(build_grid(table), tmp_path),
    ):
        assert "Published in" not in text
        assert "The paper prints" not in text
