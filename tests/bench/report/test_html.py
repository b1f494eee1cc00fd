import json
from html.parser import HTMLParser

import pytest

from bench.records.tables import Image
from bench.report.grid import build_grid
from bench.report.html import render_html
from bench.runs.thumbnails import thumbnail_path
from bench.suites.reading import load_suite

VOID = {"meta", "img", "br", "wbr", "input"}
OURS = ("HCFlow (ours, 4200 steps)", "HCFlow small (ours, 1510 steps)")


class Page(HTMLParser):
    """A page as (tag, attributes, text) in document order; unbalanced tags are errors."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        element = (tag, {name: value or "" for name, value in attrs}, [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self._open:
            text.append(data)

    def all(self, tag, **wanted):
        return [
            (attributes, " ".join("".join(text).split()))
            for name, attributes, text in self.elements
            if name == tag and all(value in attributes.get(key, "").split() for key, value in wanted.items())
        ]

    @property
    def text(self):
        return " ".join("".join(self.elements[0][2]).split())

    @property
    def data(self):
        def refuse(constant):
            raise AssertionError(constant)

        (script,) = [text for name, attributes, text in self.elements if attributes.get("id") == "data"]
        return json.loads("".join(script), parse_constant=refuse)


def body(page, name):
    """What the row of that name is sorted by, measured."""
    found = [json.loads(a["data-measured"]) for a, _ in page.all("tbody") if "data-measured" in a]
    return next(keys for keys in found if keys[0] == name)


def picture(out, group, image, kind, content):
    path = thumbnail_path(out, group, image, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_an_empty_table_shows_every_row_published_value_and_reason(empty, tmp_path):
    page = Page(render_html(build_grid(empty), tmp_path))
    assert len(page.all("tbody")) == len(empty.suite.rows)
    assert not page.all("a", **{"class": "open"})
    for cell in empty.cells:
        assert cell.reason in page.text
        assert cell.published is None or cell.published in page.text
    assert page.data == {"pictures": [], "cells": [], "terms": ""}
    assert "No run has measured a value yet." in page.text


def test_nothing_is_loaded_from_elsewhere(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    for _, attributes, _ in page.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    policy = next(a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_every_link_has_its_target(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for attributes, _ in page.all("a")} <= set(ids)


def test_each_value_opens_its_cell_and_each_verdict_has_text(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    titles = [cell["title"] for cell in page.data["cells"]]
    opened = {(titles[int(a["data-cell"])], text) for a, text in page.all("a", **{"class": "open"})}
    assert opened == {
        ("Bicubic, Set5, PSNR (Y)", "28.44"),
        ("Bicubic, Set5, PSNR (Y)", "28.42✓matches"),
        ("Bicubic, Sample, PSNR (Y)", "28.44"),
        ("Bicubic, Sample, PSNR (Y)", "28.42○no published value"),
        ("RDN, Set5, PSNR (Y)", "29.00✗differs"),
        ("EDSR, Set5, PSNR (Y)", "∞▲better"),
        ("IRN, Set5, PSNR (Y)", "36.10◐partial"),
        ("HCFlow, Set5, PSNR (Y)", "37.00▲better"),
    }
    assert "1 of 5 images" in page.text
    assert "Published numbers do not apply to Sample" in page.text


def test_dialogs_hold_the_images_with_every_draw(mixed, tmp_path):
    cells = {cell["title"]: cell for cell in Page(render_html(build_grid(mixed), tmp_path)).data["cells"]}
    bicubic = cells["Bicubic, Set5, PSNR (Y)"]
    assert bicubic["images"][0] == ["baby", [[28.43, 28.43], [28.42, 28.42]], [None, None, None]]
    facts = dict(bicubic["facts"])
    assert facts["Paper"] == "28.42 dB"
    assert facts["Measured"] == "28.4400 ± 0.0100 dB (2 images; psnr@y,crop4,u8)"
    assert "grey=direct" in facts["Paper's protocol"]
    assert facts["Difference"] == "0.0000 dB"
    assert facts["Draws"].startswith("2 per image at temperature 0")
    assert cells["EDSR, Set5, PSNR (Y)"]["images"][0][1] == [["Infinity"]]
    assert dict(cells["IRN, Set5, PSNR (Y)"]["facts"])["Partial"] == "1 of 5 images"
    assert "Difference" not in dict(cells["IRN, Set5, PSNR (Y)"]["facts"])


def test_columns_sort_by_what_was_measured_or_by_the_paper_never_mixed(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    heads = [a for a, _ in page.all("button", **{"class": "sort"}) if a["data-kind"] == "number"]
    assert {a["data-best"] for a in heads} == {"descending"}
    assert body(page, "Bicubic")[1] == pytest.approx(28.44)
    assert body(page, "RCAN")[1] is None
    assert body(page, "EDSR")[1] == "Infinity"
    paper = {keys[0]: keys for keys in (json.loads(a["data-paper"]) for a, _ in page.all("tbody") if "data-paper" in a)}
    assert paper["RCAN"][1] == 32.63
    assert paper["RDN"][9] is None
    for attributes, _ in page.all("th"):
        assert attributes.get("aria-sort", "none") == "none"


def test_without_a_script_nothing_pretends_to_work(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    assert all("disabled" in a for a, _ in page.all("button", **{"class": "sort"}))
    (choice,) = page.all("fieldset")
    assert "hidden" in choice[0]
    ids = {a.get("id") for _, a, _ in page.elements}
    assert {a["href"][1:] for a, _ in page.all("a", **{"class": "open"})} <= ids


@pytest.mark.parametrize(
    ("rows", "datasets", "checked"), [(0, 5, None), (3, 1, True), (13, 2, True), (13, 3, False), (13, 5, None)]
)
def test_what_was_not_measured_can_be_hidden(table_maker, tmp_path, rows, datasets, checked):
    """The switch is there where it hides something, and on where less than half of the values were measured."""
    suite = load_suite("table4")
    images = {"images": [Image("a", (30.0,), (30.0,))]}
    plan = {
        (row.name, dataset, column.id): images
        for row in suite.rows[:rows]
        for dataset in suite.datasets[:datasets]
        for column in suite.columns
    }
    page = Page(render_html(build_grid(table_maker(suite, tmp_path, plan)), tmp_path))
    switches = [a for _, a, _ in page.elements if a.get("id") == "only-measured"]
    assert [("checked" in a) for a in switches] == ([] if checked is None else [checked])
    assert len(page.all("tbody", **{"class": "empty"})) == 13 - rows
    hidden = [a for a, _ in page.all("th", **{"class": "dataset"}) if "empty" in a["class"].split()]
    assert len(hidden) == (5 - datasets if rows else 5)


def test_a_table_that_a_phone_cuts_off_says_that_it_scrolls(empty, tmp_path):
    grid = build_grid(empty)
    assert "Scroll the table sideways for all columns" in Page(render_html(grid, tmp_path)).text


def test_own_rows_are_told_from_the_papers(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    names = [text for _, text in page.all("th", **{"class": "name"}) if "not in the paper" in text]
    assert names == [f"{name} not in the paper" for name in OURS]


def test_best_values_are_bold_and_second_ones_underlined(mixed, tmp_path):
    page = Page(render_html(build_grid(mixed), tmp_path))
    grid = page.text[: page.text.index("How to read this")]
    assert "∞" in [text for _, text in page.all("b")]
    assert "37.00" in [text for _, text in page.all("u")]
    assert "36.29" in [text for _, text in page.all("b")]
    assert "37.00" in grid


def test_commands_are_code(mixed, table_maker, tmp_path):
    command = "python -m bench weights fetch X"
    plan = {("RDN", "Set5", "psnr_y"): {"reason": f"needs weights X: {command}"}}
    page = Page(render_html(build_grid(table_maker(load_suite("table4"), tmp_path, plan)), tmp_path))
    assert command in [text for _, text in page.all("code")]


def test_files_beside_it_are_linked_where_it_is_told_of_them(mixed, tmp_path):
    grid = build_grid(mixed)
    assert not Page(render_html(grid, tmp_path)).all("nav")
    page = Page(render_html(grid, tmp_path, files=("index.html", "a b.md")))
    assert [(a["href"], text) for a, text in page.all("a") if not a["href"].startswith("#")] == [
        ("index.html", "All tables"),
        ("a%20b.md", "a b.md"),
    ]


def test_lower_is_better_is_said(table_maker, tmp_path):
    page = Page(render_html(build_grid(table_maker(load_suite("table2"), tmp_path)), tmp_path))
    best = {text: a["data-best"] for a, text in page.all("button", **{"class": "sort"})}
    assert best["LPIPS"] == "ascending"
    assert best["PSNR (RGB)"] == "descending"
    assert "lower is better" in page.text


def test_thumbnails_are_embedded_once(mixed, tmp_path):
    picture(tmp_path, "Set5", "baby", "hr", b"hr")
    picture(tmp_path, "Set5", "baby-x4", "lr", b"lr")
    picture(tmp_path, "key", "baby", "sr", b"sr")
    data = Page(render_html(build_grid(mixed), tmp_path, "embed")).data
    assert len(data["pictures"]) == 3
    assert all(uri.startswith("data:image/webp;base64,") for uri in data["pictures"])
    assert data["cells"][0]["images"][0][2] == [0, 1, 2]
    assert data["cells"][0]["images"][1][2] == [None, None, None]


def test_thumbnails_can_be_left_out(mixed, tmp_path):
    picture(tmp_path, "Set5", "baby", "hr", b"hr")
    data = Page(render_html(build_grid(mixed), tmp_path, "none")).data
    assert data["pictures"] == []
    assert data["cells"][0]["images"][0][2] == [None, None, None]
    assert "do not allow copies" in data["terms"]


def test_hostile_names_stay_text(hostile, tmp_path):
    page = Page(render_html(build_grid(hostile), tmp_path))
    name = hostile.suite.rows[0].name
    assert not page.all("img")
    assert len(page.all("script")) == 2
    assert not [a for _, a, _ in page.elements if any(key.startswith("on") for key in a)]
    assert page.data["cells"][0]["images"][0][0] == name
    assert body(page, name)[1] == pytest.approx(28.42)
    assert " ".join(name.split()) in page.text


def test_every_line_of_the_grid_is_as_wide_as_its_head(mixed, tmp_path):
    text = render_html(build_grid(mixed), tmp_path)
    page = Page(text[text.index('<table class="grid"') : text.index("</table>") + len("</table>")])
    values = len(mixed.datasets) * len(mixed.suite.columns)
    width, line = 0, []
    for tag, attributes, _ in page.elements:
        if tag == "tr":
            line.append(width)
            width = 0
        elif tag == "td" and attributes.get("class", "").split()[:1] != ["description"]:
            width += int(attributes.get("colspan", 1))
    assert set(line[3:]) | {width} == {0, values}
