import json
import re
from dataclasses import replace

import pytest

from bench.records.journal import Entry, this_process
from bench.records.tables import Image
from bench.report.grid import build_grid
from bench.report.site import command_for, coverage_of, render_index, write_site
from bench.report.viewer import _BUDGET
from bench.runs.thumbnails import thumbnail_path
from bench.suites.reading import load_suite

ONE = {"images": [Image("baby", (28.42,), (28.42,))]}
MOST = 20 * 1024**2  # bytes of a site
THUMBNAIL = 10_000  # bytes; those of photographs are 4,000 to 9,000


@pytest.fixture
def tables(mixed, table_maker, tmp_path):
    """Table 2 with nothing measured, and table 4 with a cell of every kind."""
    return [table_maker(load_suite("table2"), tmp_path), mixed]


@pytest.fixture
def run(mixed):
    entries = [Entry("Bicubic", "Set5", "done"), Entry("RDN", "Set5", "not run"), Entry("IRN", "Set5", "running")]
    stopped = {**this_process(), "boot": "before the machine was started anew"}
    return replace(mixed.runs[0], entries=entries, process=stopped)


def links(page):
    return [link for link in re.findall(r'href="([^"]*)"', page) if not link.startswith("#")]


def test_coverage_counts_what_the_paper_prints(mixed):
    coverage = coverage_of(build_grid(mixed))
    assert (coverage.printed, coverage.measured, coverage.beyond) == (99, 5, 1)
    assert coverage.verdicts == {"matches": 1, "differs": 1, "better": 2, "partial": 1}
    assert coverage.holds == 3
    assert coverage.share("better") == pytest.approx(200 / 99)
    both = coverage + coverage
    assert (both.printed, both.measured, both.holds, both.beyond) == (198, 10, 6, 2)


def test_a_table_that_prints_nothing_has_no_share(protocols, table_maker, tmp_path):
    rows = tuple(replace(row, published={}) for row in protocols.rows)
    assert coverage_of(build_grid(table_maker(replace(protocols, rows=rows), tmp_path))).share("matches") == 0


def test_the_index_says_what_is_measured_what_holds_and_what_is_missing(tables, run):
    text = " ".join(re.sub(r"<[^>]*>", " ", render_index(tables, [run])).split())
    assert "The tables print 180 values. 5 of them were measured: 3 hold (match, or are better), 1 differ, 1 is" in text
    assert "5 of 99" in text
    assert "0 of 81" in text
    assert "python -m bench run --table 2 --fetch" in text
    assert "python -m bench run --table 4 --fetch" in text
    assert "1 done, 1 not run, 1 interrupted" in text
    for reason in build_grid(tables[1]).reasons:
        assert reason.text.replace("'", "&#39;") in text


def test_the_site_has_a_page_for_each_table_with_runs_and_relative_links(tables, run, tmp_path):
    target = tmp_path / "site"
    written = write_site(tables, [run], tmp_path, target)
    names = {f"table4.{suffix}" for suffix in ("html", "md", "tex", "json", "orderings.json")} | {"index.html"}
    assert {path.name for path in written} == names == {path.name for path in target.iterdir()}
    for path in target.glob("*.html"):
        for link in links(path.read_text(encoding="utf-8")):
            assert (target / link).is_file(), link
    assert "table4.html" in links((target / "index.html").read_text(encoding="utf-8"))
    assert "index.html" in links((target / "table4.html").read_text(encoding="utf-8"))


def test_pages_ask_for_nothing_from_elsewhere(tables, run, tmp_path):
    write_site(tables, [run], tmp_path, tmp_path / "site")
    for path in (tmp_path / "site").glob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert "default-src 'none'" in page
        assert not re.search(r'(src|href|action)="?(https?:)?//', page)
        assert not re.search(r"url\(|@import", page)


def test_files_of_other_names_are_left_as_they_are(tables, run, tmp_path):
    target = tmp_path / "site"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    write_site(tables, [run], tmp_path, target)
    assert (target / "mine.txt").read_text() == "mine"


def test_the_style_of_the_latex_files(tables, run, tmp_path):
    write_site(tables, [run], tmp_path, tmp_path / "site", style="compact")
    assert r"\begin{table}" in (tmp_path / "site/table4.tex").read_text(encoding="utf-8")


def test_hostile_names_stay_text(hostile, run):
    hostile_run = replace(run, run="<b>", provenance={"commit": "<i>", "processor": "<u>"})
    page = render_index([hostile], [hostile_run])
    assert not re.search(r"<(img|i|b|u)[ >]", page)
    assert "<script" not in page


def test_an_index_without_runs(tables):
    assert "None yet." in render_index(tables, [])


@pytest.mark.parametrize(("name", "command"), [("table4", "--table 4"), ("beyond", "--table beyond")])
def test_the_command_for_everything(name, command, table_maker, tmp_path):
    grid = build_grid(table_maker(load_suite(name), tmp_path))
    assert command_for(grid) == f"python -m bench run {command} --fetch"


def test_the_command_for_a_table_of_your_own(protocols, table_maker, tmp_path):
    grid = build_grid(table_maker(replace(protocols, source=""), tmp_path))
    assert command_for(grid) == "python -m bench run --suite many.toml --fetch"


@pytest.mark.slow
def test_a_site_of_a_large_table_stays_small(table_maker, tmp_path):
    """10 rows, 100 images, 5 draws, 8 metrics, a thumbnail of every image: simulated."""
    suite = load_suite("table2")
    suite = replace(suite, rows=suite.rows[:10])
    draws = [tuple(28 + (7 * image + draw) % 11 / 10 + 0.123456 for draw in range(5)) for image in range(100)]
    images = [Image(f"{801 + index:04}", values, values) for index, values in enumerate(draws)]
    places = [(row.name, "DIV2K", column.id) for row in suite.rows for column in suite.columns]
    table = table_maker(suite, tmp_path, {place: {"images": images} for place in places})
    table = replace(table, cells=tuple(replace(cell, key=cell.row) for cell in table.cells))
    for image in images:
        own = [(row.name, image.id, "sr") for row in suite.rows]
        for group, name, kind in (*own, ("DIV2K", image.id, "hr"), ("DIV2K", f"{image.id}-x4", "lr")):
            path = thumbnail_path(tmp_path, group, name, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(THUMBNAIL))
    target = tmp_path / "site"
    write_site([table], list(table.runs), tmp_path, target, pictures="embed")
    page = (target / "table2.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))
    assert len(data["pictures"]) == 1200
    embedded = [picture for picture in data["pictures"] if picture.startswith("data:")]
    assert sum(map(len, embedded)) >= _BUDGET  # as much as a page ever embeds: one of links would be small anyway
    assert len(data["cells"]) == 80
    assert sum(path.stat().st_size for path in target.iterdir()) < MOST
