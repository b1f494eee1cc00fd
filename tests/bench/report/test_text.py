import re

import pytest
from rich.cells import cell_len

from bench.report.grid import build_grid
from bench.report.text import render_text


def table_of(text):
    """The lines of the table, without the rule."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("─"))
    end = next(index for index, line in enumerate(lines) if line.startswith("Values are means"))
    return [lines[start - 1], *(line for line in lines[start + 1 : end] if line)]


@pytest.mark.parametrize("width", [80, 100, 120])
def test_lines_fit_unless_they_are_commands(mixed, many, width):
    for table in (mixed, many):
        for line in render_text(build_grid(table), width=width).splitlines():
            assert cell_len(line) <= width or "python -m bench" in line, line


def test_commands_are_whole(tmp_path, table_maker):
    from bench.suites.reading import load_suite

    suite = load_suite("table4")
    command = "python -m bench run --table 4 --method 'A name that is as long as a name may ever be' --dataset Set5"
    plan = {("RDN", "Set5", "psnr_y"): {"reason": f"not run yet, and this takes a while: {command}"}}
    text = render_text(build_grid(table_maker(suite, tmp_path, plan)))
    assert any(line.strip() == command for line in text.splitlines())


def test_a_wide_terminal_shows_names_beside_their_values_and_a_narrow_one_above(mixed):
    wide = table_of(render_text(build_grid(mixed), width=200))
    assert wide[0].split()[:3] == ["row", "data", "metric"]
    assert re.fullmatch(
        r"Bicubic +Set5 +PSNR \(Y\) ↑ +28.42 +28.42 ± 0.00 +0.0000 +matches +28.4400 ± 0.0100 +2/2", wide[1]
    )
    narrow = table_of(render_text(build_grid(mixed), width=80))
    assert narrow[0].split()[:2] == ["data", "metric"]
    assert narrow[1] == "Bicubic"
    assert re.fullmatch(r"  Set5 +PSNR \(Y\) ↑ +28.42 +28.42 ± 0.00 +0.0000 +matches +28.4400( +2/2)?", narrow[2])
    assert sum(line == "Bicubic" for line in narrow) == 1


def test_a_table_of_one_protocol_has_one_measured_column(table_maker, tmp_path):
    from bench.records.tables import Image
    from bench.suites.reading import load_suite

    plan = {("RDN", "Set5", "psnr_y"): {"images": [Image("a", (32.47,), (32.47,))]}}
    head = table_of(render_text(build_grid(table_maker(load_suite("table4"), tmp_path, plan))))[0]
    assert head.split() == ["row", "data", "metric", "paper", "measured", "difference", "verdict", "images"]


def test_infinite_and_partial_values_are_explained(mixed):
    text = " ".join(render_text(build_grid(mixed)).split())
    assert "1 value is infinite" in text
    assert "partial IRN on Set5 (PSNR (Y)): 1 of 5 images" in text


def test_what_the_paper_prints_is_told_where_nothing_was_measured(empty):
    text = " ".join(render_text(build_grid(empty)).split())
    for row in build_grid(empty).rows:
        for cell in row.cells:
            assert cell.paper is None or cell.paper.text in text
    assert "not run" in text


def test_hostile_names_are_no_markup(hostile):
    text = "".join(render_text(build_grid(hostile), width=400).split())
    assert "".join(hostile.suite.rows[0].name.split()) in text


def test_colours_only_where_asked(mixed):
    assert "\x1b[" not in render_text(build_grid(mixed))
    assert "\x1b[32m" in render_text(build_grid(mixed), color=True)
