import math

import pytest

from bench.records.estimates import Estimate
from bench.records.tables import Image
from bench.report import notes, words
from bench.suites.suite import load_suite


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(28.4249, 2, "28.42"), (-3.5, 1, "−3.5"), (math.inf, 2, "∞"), (-math.inf, 2, "−∞"), (-0.001, 2, "0.00")],
)
def test_number(value, decimals, expected):
    assert words.number(value, decimals) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0031, "+0.003"), (-0.0031, "−0.003"), (0.0001, "0.000"), (math.inf, "+∞")]
)
def test_signed(value, expected):
    assert words.signed(value, 3) == expected


def test_a_single_image_has_no_standard_error():
    assert words.with_error(Estimate.of([[28.4]]), 2) == "28.40"
    assert words.with_error(Estimate.of([[28.0], [30.0]]), 2) == "29.00 ± 1.00"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(3.21, "3.2 s"), (52.4, "52 s"), (192, "3 min 12 s"), (7500, "2 h 05 min")]
)
def test_duration(seconds, expected):
    assert words.duration(seconds) == expected


def test_every_protocol_of_every_table_is_described_in_words(empty):
    assert all(note.words for note in notes.footnotes(empty))


def test_every_measure_has_a_mark(empty):
    known = notes.footnotes(empty)
    for cell in empty.cells:
        assert notes.mark_of(known, cell.protocol)
        if words.has_own_protocol(cell):
            assert notes.mark_of(known, cell.protocol_as_published, cell.row)


def test_rows_with_a_protocol_of_their_own_say_why(mixed):
    why = {note.rows: note.why for note in notes.footnotes(mixed)}
    published = {row.name: one.note for row in load_suite("table4").rows for one in row.as_published}
    assert why == {(): "", **{(name,): note for name, note in published.items()}}


def test_each_cell_that_was_not_run_has_one_reason(mixed):
    known = notes.reasons(mixed)
    not_run = [cell for cell in mixed.cells if cell.verdict == "not run"]
    assert sum(len(reason.places) for reason in known) == len(not_run)
    for cell in not_run:
        assert notes.reason_of(cell, known).text == cell.reason


def test_a_reason_that_differs_only_in_names_is_said_once(tmp_path, table_maker):
    suite = load_suite("table4")
    text = "not run yet: bench run --method '{}' --dataset {}"
    plan = {
        (row.name, dataset, column.id): {"reason": text.format(row.name, dataset)}
        for row in suite.rows
        for dataset in suite.datasets
        for column in suite.columns
    }
    (reason,) = notes.reasons(table_maker(suite, tmp_path, plan))
    assert reason.text == text.format("METHOD", "DATASET")
    assert reason.where == ", ".join(row.name for row in suite.rows) + " (all data sets)"


def test_summary_counts_what_is_compared(mixed):
    text = notes.summary(mixed)
    assert "prints 99 values" in text
    assert "4 of them can be compared: 1 matches, 2 are better, 1 differs. 1 is partial. 94 were not run." in text
    assert "1 measured value has no published counterpart" in text
    assert "Published numbers do not apply to Sample" in text


def test_summary_of_an_empty_table(empty):
    assert "None of them was measured." in notes.summary(empty)


def test_remarks_say_what_infinity_does_to_the_mean(mixed):
    assert any("EDSR, Set5, PSNR (Y): 1 of 2 images identical" in text for text in notes.remarks(mixed))


def test_remarks_say_why_images_are_missing(tmp_path, table_maker):
    images = [Image("a", (28.0,), (28.0,))]
    plan = {
        ("SRCNN", "Set5", column): {"images": images, "total": 5, "reason": "Set5/b: not a PNG file"}
        for column in ("psnr_y", "ssim_y")
    }
    remarks = notes.remarks(table_maker(load_suite("table4"), tmp_path, plan))
    assert remarks[1:] == ["Not every image could be measured (SRCNN on Set5: Set5/b: not a PNG file)."]


def test_provenance_is_complete(mixed):
    facts = dict(notes.provenance(mixed.runs[0]))
    assert facts["Commit"].endswith(", with uncommitted changes")
    assert facts["Device"] == "cpu: Some CPU"
    assert facts["Versions"] == "Python 3.11.7, torch 2.6.0, numpy 2.1.0"
    assert facts["Wall time"] == "1 h 02 min"
    assert {"Run", "Date"} <= facts.keys()
