import math

import pytest

from bench.records.tables import Image
from bench.report.grid import build_grid, plain
from bench.report.slots import Gap, Number
from bench.suites.reading import load_suite


def row(grid, name):
    return next(row for row in grid.rows if row.name == name)


def line(grid, name, kind):
    return next(line for line in row(grid, name).lines if line.kind == kind)


def test_every_place_is_drawn_once(mixed):
    grid = build_grid(mixed)
    assert [cell.source for cell in grid.cells] == list(mixed.cells)
    for one in grid.rows:
        for drawn in one.lines:
            spans = (slot.span if isinstance(slot, Gap) else 1 for slot in drawn.slots)
            assert sum(spans) == len(grid.heads) == len(one.cells)


def test_cells_with_a_value_are_numbered_in_order(mixed):
    grid = build_grid(mixed)
    assert [cell.number for cell in grid.measured] == list(range(6))
    assert [cell.source for cell in grid.measured] == [cell for cell in mixed.cells if cell.value]
    for cell in grid.measured:
        assert {number.opens for number in (cell.measured, cell.papers_protocol) if number} == {cell.number}


def test_only_the_compared_number_has_the_verdict(mixed):
    grid = build_grid(mixed)
    bicubic = row(grid, "Bicubic").cells[0]
    assert (bicubic.measured.text, bicubic.measured.verdict) == ("28.44", None)
    assert (bicubic.papers_protocol.text, bicubic.papers_protocol.verdict) == ("28.42", "matches")
    assert bicubic.compared is bicubic.papers_protocol
    rdn = row(grid, "RDN").cells[0]
    assert (rdn.papers_protocol, rdn.measured.verdict) == (None, "differs")
    assert rdn.compared is rdn.measured
    assert row(grid, "IRN").cells[0].measured.note == "1 of 5 images"


def test_a_row_has_the_lines_that_it_needs(mixed):
    grid = build_grid(mixed)
    assert [drawn.label for drawn in row(grid, "Bicubic").lines] == ["measured", "paper's protocol", "paper"]
    assert [drawn.label for drawn in row(grid, "RDN").lines] == ["measured", "paper"]
    assert [drawn.label for drawn in row(grid, "HCFlow (ours, 4200 steps)").lines] == ["measured"]
    assert line(grid, "Bicubic", "papers_protocol").marks == ("b",)


def test_neighbours_without_a_value_share_a_gap_for_each_reason(many):
    slots = line(build_grid(many), "Bicubic", "measured").slots
    assert [type(slot) for slot in slots[:5]] == [Number, Number, Number, Gap, Number]
    assert (slots[3].reason.text, slots[3].span, slots[3].text) == ("needs weights second", 1, "not run")
    (whole,) = line(build_grid(many), "Net", "measured").slots
    assert (whole.span, whole.text) == (10, "not run: needs weights none")


def test_rows_of_the_paper_and_ours(mixed, many, protocols, table_maker, tmp_path):
    assert [one.name for one in build_grid(mixed).rows if one.ours] == [
        "HCFlow (ours, 4200 steps)",
        "HCFlow small (ours, 1510 steps)",
    ]
    assert not any(one.ours for one in build_grid(many).rows)


def test_measured_and_published_values_are_sorted_apart(mixed):
    grid = build_grid(mixed)
    bicubic, edsr, rcan = (row(grid, name) for name in ("Bicubic", "EDSR", "RCAN"))
    assert bicubic.keys("measured")[:2] == ("Bicubic", pytest.approx(28.44))
    assert bicubic.keys("paper")[:2] == ("Bicubic", 28.42)
    assert edsr.keys("measured")[1] == "Infinity"
    assert rcan.keys("measured") == ("RCAN", *[None] * 12)
    assert rcan.keys("paper")[1] == 32.63


def test_best_and_second_are_of_what_was_measured_whole_and_of_the_paper_apart(mixed):
    grid = build_grid(mixed)
    measured = {one.name: one.cells[0].measured.rank for one in grid.rows if one.cells[0].measured}
    assert measured == {"Bicubic": "", "RDN": "", "EDSR": "best", "IRN": "", "HCFlow": "second"}
    paper = {one.name: one.cells[0].paper.rank for one in grid.rows if one.cells[0].paper and one.cells[0].paper.rank}
    assert paper == {"HCFlow": "best", "IRN": "second"}


def test_what_reads_the_same_is_tied(table_maker, tmp_path):
    plan = {
        (name, "Set5", "psnr_y"): {"images": [Image("a", (value,), (value,))]}
        for name, value in (("RDN", 32.471), ("EDSR", 32.469), ("RCAN", 30.0))
    }
    grid = build_grid(table_maker(load_suite("table4"), tmp_path, plan))
    first = {one.name: one.cells[0].measured for one in grid.rows if one.cells[0].measured}
    assert [(number.rank, number.tied) for number in first.values()] == [("best", True), ("best", True), ("", False)]


def test_what_is_not_significantly_worse_is_bold(mixed):
    place = ("RDN", "Set5", "psnr_y")
    plainly, tested = build_grid(mixed), build_grid(mixed, frozenset({place}))
    assert not row(plainly, "RDN").cells[0].measured.bold
    rdn = row(tested, "RDN").cells[0].measured
    assert (rdn.bold, rdn.rank, rdn.not_worse) == (True, "", True)
    assert not row(tested, "RDN").cells[0].paper.not_worse
    assert tested.ties == {place}


def test_digits_and_errors(mixed):
    number = row(build_grid(mixed), "Bicubic").cells[0].measured
    assert (number.text, number.exact, number.error, number.exact_error) == ("28.44", "28.4400", "0.01", "0.0100")
    assert (number.short, number.with_error) == ("28.44 ± 0.01", "28.4400 ± 0.0100")
    one = row(build_grid(mixed), "RDN").cells[0].measured
    assert (one.short, one.with_error) == ("29.00", "29.0000")


def test_heads_say_which_way_is_better(empty):
    grid = build_grid(empty)
    for head in grid.heads:
        assert head.best_first == ("ascending" if head.direction == "lower" else "descending")
        assert head.mark
    assert [group.in_paper for group in grid.groups] == [True] * len(grid.groups)


@pytest.mark.parametrize(
    ("value", "key"), [(1.5, 1.5), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, None)]
)
def test_keys_for_a_script(value, key):
    assert plain(value) == key
