import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from bench.report.grid import build_grid
from bench.report.markdown import code, escape, render_markdown


def tables(text: str) -> list[list[list[str]]]:
    """The pipe tables of a document, as lists of rows of cells."""
    found: list[list[list[str]]] = []
    previous = ""
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [part.strip() for part in re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]]
            found[-1].append(cells) if previous.startswith("|") else found.append([cells])
        previous = line
    return found


class Page(HTMLParser):
    """What a reader of the rendered document gets: its tags and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def row(grid, name):
    return next(line for line in grid if line[0] == name)


def test_the_grid_has_a_column_for_everything_and_a_row_for_every_method(empty):
    (grid,) = tables(render_markdown(build_grid(empty)))
    width = 1 + len(empty.suite.describe) + len(empty.datasets) * len(empty.suite.columns)
    assert {len(line) for line in grid} == {width}
    assert [line[0] for line in grid[2:]] == [escape(row.name) for row in empty.suite.rows]


def test_an_empty_table_has_published_values_reasons_and_says_that_no_run_measured(empty):
    text = render_markdown(build_grid(empty))
    for cell in empty.cells:
        assert cell.published is None or f"({cell.published})" in text
    for reason in build_grid(empty).reasons:
        assert escape(reason.where) in text
    assert "No run has measured a value yet." in text


def test_every_pipe_table_is_rectangular(mixed):
    for grid in tables(render_markdown(build_grid(mixed))):
        assert len({len(line) for line in grid}) == 1


def test_cells_of_every_kind(mixed):
    grid, details, *_ = tables(render_markdown(build_grid(mixed)))
    place = next(
        index for index, head in enumerate(grid[0]) if head == "Set5<br>PSNR&nbsp;(Y)<br>dB&nbsp;↑ <sup>a</sup>"
    )
    assert row(grid, "Bicubic")[place] == "28.44"
    own = next(line for line in grid if line[0].startswith("Bicubic,<br>paper's&nbsp;protocol"))
    assert own[place] == "28.42&nbsp;✓<br>(28.42)"
    assert row(grid, "RDN")[place] == "29.00&nbsp;✗<br>(32.47)"
    assert row(grid, "EDSR")[place] == "**∞**&nbsp;▲<br>(32.62)"
    assert row(grid, "IRN")[place] == "36.10&nbsp;◐<br>1&nbsp;of&nbsp;5&nbsp;images<br>(36.19)"
    assert re.fullmatch(r"–<sup>\d+</sup><br>\(32\.63\)", row(grid, "RCAN")[place])
    assert len(details) == 2 + sum(cell.value is not None for cell in mixed.cells)


def test_a_detail_line_says_everything(mixed):
    _, details, *_ = tables(render_markdown(build_grid(mixed)))
    bicubic, sample = ([part.replace("&nbsp;", " ") for part in line] for line in details if line[0] == "Bicubic")
    assert bicubic[1:4] == ["Set5", "PSNR (Y) dB ↑", "28.42"]
    assert bicubic[4:6] == ["28.4400 ± 0.0100 <sup>a</sup>", "28.4200 ± 0.0000 <sup>b</sup>"]
    assert bicubic[6:] == ["0.0000", "✓ matches", "2 images"]
    assert sample[1] == "Sample"
    assert sample[6:8] == ["–", "○ no published value"]
    assert row(details, "IRN")[6:] == ["–", "◐&nbsp;partial", "1&nbsp;of&nbsp;5&nbsp;images"]


def test_hostile_names_stay_text(hostile):
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(render_markdown(build_grid(hostile))))
    blocks = {"h2", "h3", "p", "br", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.tags <= blocks | {"sup", "strong", "code"}
    name = " ".join(hostile.suite.rows[0].name.split())
    assert f"Table 4: {name}" in page.text
    assert page.text.count(name) > 5


@pytest.mark.parametrize("character", list(r"\`*_[]|#$~"))
def test_markup_is_escaped(character):
    assert escape(f"a{character}b") == f"a\\{character}b"


def test_html_and_line_breaks_are_escaped():
    assert escape("a<b>\n&c") == "a&lt;b&gt; &amp;c"
    assert code("a`b|c\nd") == r"`a'b\|c d`"
