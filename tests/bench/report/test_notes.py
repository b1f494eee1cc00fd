import pytest

from bench.records.tables import Image
from bench.report import formatting, notes
from bench.suites.reading import load_suite


def test_every_protocol_of_every_table_is_described(empty):
    assert all(note.description for note in notes.footnotes(empty))


def test_every_measure_has_a_mark(empty):
    known = notes.footnotes(empty)
    for cell in empty.cells:
        assert notes.mark_of(known, cell.protocol)
        if formatting.has_papers_protocol(cell):
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
    assert reason.text == f"not run yet: bench run --dataset {' '.join(suite.datasets)}"
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


def test_a_reason_for_some_rows_names_them_in_its_command(tmp_path, table_maker):
    suite = load_suite("table4")
    text = "not run yet: python -m bench run --table 4 --method '{}'"
    plan = {
        (row.name, dataset, column.id): {"reason": text.format(row.name)}
        for row in suite.rows[1:3]
        for dataset in suite.datasets
        for column in suite.columns
    }
    known = {reason.text for reason in notes.reasons(table_maker(suite, tmp_path, plan))}
    assert text.format("SRCNN' 'RDN") in known


def test_measures_are_named_where_others_of_the_row_have_no_such_reason(many):
    known = {reason.text: reason.where for reason in notes.reasons(many)}
    assert known["needs weights second"] == "Bicubic (Set5: Second)"


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        (
            "not run yet: python -m bench run --table 4 --method 'TAD & TAU'",
            ["python -m bench run --table 4 --method 'TAD & TAU'"],
        ),
        ("needs weights X_x4: python -m bench weights fetch X_x4", ["python -m bench weights fetch X_x4"]),
        (
            "python -m bench run --ablation case1 --train-data DIR trains it, as does python -m hcflow train; then "
            "python -m bench weights import X FILE",
            [
                "python -m bench run --ablation case1 --train-data DIR",
                "python -m hcflow train",
                "python -m bench weights import X FILE",
            ],
        ),
        ("nothing to type", []),
    ],
)
def test_commands_are_found(text, commands):
    pieces = notes.segments(text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, command in pieces if command] == commands
