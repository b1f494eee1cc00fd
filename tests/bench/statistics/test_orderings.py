"""Which rows of a table are put in order, and over which images; from records as runs leave them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tables_helper import PIXELS, SERIES, label, measured, trained

from bench.cli.options import suite_of
from bench.errors import BenchError
from bench.records.journal import Entry, Journal, Restored
from bench.records.store import Writer
from bench.records.tables import Table, build_table
from bench.report.grid import build_grid
from bench.statistics.agreement import agreement
from bench.statistics.orderings import chosen, orderings_of, published_row, remarks
from bench.statistics.series import Ordering, Series
from bench.suites.suite import Row

PSNR = "psnr_rgb_tau0"
PAPER = {"case1": 4.76, "case2": 28.73, "case3": 28.71, "case4": 18.95, "case5": 28.60, "HCFlow": 28.71}
BETTER = [20.0, 31.0, 30.0, 24.0, 29.0, 30.5]  # of these cases, here


def values(mean: float, images: int = 6) -> list[list[float]]:
    """Of images that differ by more than the cases do."""
    return [[mean + 3 * math.sin(number)] for number in range(images)]


def train_all(out: Path, means: Sequence[float] = BETTER, column: str = PSNR, **changes: object) -> None:
    for case, mean in zip(PAPER, means, strict=False):
        trained(out, case, {column: values(mean)}, **changes)  # type: ignore[arg-type]


def table_of(out: Path, table: str | None = "1", file: Path | None = None) -> Table:
    return build_table(suite_of(table, file, out), out)


def the_one(out: Path) -> Ordering:
    (series,) = orderings_of(table_of(out))
    (ordering,) = series.orderings
    return ordering


def by_names(ordering: Ordering) -> Mapping[tuple[str, str], str]:
    names = [member.name for member in ordering.members]
    return {(names[pair.better], names[pair.worse]): pair.answer for pair in ordering.result.pairs}


def test_rows_that_were_trained_here_stand_for_those_of_the_paper(tmp_path: Path) -> None:
    """The paper prints table 1 for DIV2K alone: that order is looked for on Set5."""
    train_all(tmp_path)
    (series,) = orderings_of(table_of(tmp_path))
    assert series.name == SERIES
    assert [(m.row, m.name, m.seed) for m in series.members] == [(label(case), case, 0) for case in PAPER]
    (one,) = series.orderings
    assert (one.cell.dataset, one.cell.column, one.printed_on) == ("Set5", PSNR, "DIV2K")
    assert one.result.tau == pytest.approx(stats.kendalltau(list(PAPER.values()), BETTER).statistic, abs=1e-12)
    arrays = np.array([[draws[0] for draws in values(mean)] for mean in BETTER])
    assert one.result == agreement(list(PAPER.values()), arrays, "higher")
    assert (len(one.result.pairs), one.result.tied, one.result.n) == (14, 1, 6)  # case3 and HCFlow are printed as equal
    assert set(by_names(one).values()) == {"holds"}
    assert (series.pairs, series.tied, series.count("holds")) == (14, 1, 14)
    assert (one.noise, one.left_out) == ((), ())


def test_a_row_is_left_out_where_it_has_no_whole_finite_value(tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:4])
    trained(tmp_path, "case5", {PSNR: [[math.inf], *values(29.0)[1:]]})
    trained(tmp_path, "HCFlow", {PSNR: values(30.5)}, total=7)
    one = the_one(tmp_path)
    assert [member.name for member in one.members] == ["case1", "case2", "case3", "case4"]
    assert one.left_out == ((label("case5"), "infinite"), (label("HCFlow"), "6 of 7 images"))


def test_a_row_without_a_published_value_is_left_out(tmp_path: Path) -> None:
    """The paper has no LR-PSNR of cases 1 and 2."""
    train_all(tmp_path, column="lr_psnr")
    one = the_one(tmp_path)
    assert [member.name for member in one.members] == ["case3", "case4", "case5", "HCFlow"]
    assert [name for name, why in one.left_out if why == "no value is published"] == [label("case1"), label("case2")]


@pytest.mark.parametrize("rows", [0, 2, 3])
def test_two_rows_are_no_order(rows: int, tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:rows])
    assert len(orderings_of(table_of(tmp_path))) == (rows == 3)


def test_an_image_counts_with_the_mean_of_its_draws_where_all_rows_have_its_pixels(tmp_path: Path) -> None:
    draws = {"case1": [[3.0, 5.0], [7.0, 9.0]], "case2": [[1.0], [2.0]], "case5": [[5.0, 5.0], [1.0, 2.0]]}
    for case, one in draws.items():
        trained(tmp_path, case, {"lpips_tau0.9": one}, pixels={"image000": "1" * 64})
    found = the_one(tmp_path)
    assert found.result == agreement([0.863, 0.123, 0.126], np.array([[4.0, 8.0], [1.0, 2.0], [5.0, 1.5]]), "lower")
    assert found.result.n == 2
    trained(tmp_path, "case5", {"lpips_tau0.9": draws["case5"]})  # its first image has other pixels now
    other = the_one(tmp_path)
    assert other.result == agreement([0.863, 0.123, 0.126], np.array([[8.0], [2.0], [1.5]]), "lower")
    assert (other.result.n, other.cell.total, other.result.why) == (1, 2, "an interval needs at least 3 images")


def test_rows_of_other_images_do_not_stop_the_rest(tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:5])
    trained(tmp_path, "HCFlow", {PSNR: values(30.0)}, pixels={f"image{n:03}": "1" * 64 for n in range(6)})
    one = the_one(tmp_path)
    assert [member.name for member in one.members] == list(PAPER)[:5]
    assert one.left_out == ((label("HCFlow"), "other images than the rest"),)
    assert one.result.n == 6


def test_seeds_tell_the_noise_of_training(tmp_path: Path) -> None:
    train_all(tmp_path)
    for case, seed, mean in (("case5", 1, 29.4), ("case2", 1, 30.2), ("case2", 2, 31.1)):
        trained(tmp_path, case, {PSNR: values(mean)}, seed=seed)
    one = the_one(tmp_path)
    assert [member.row for member in one.members] == [label(case) for case in PAPER]  # seed 0 of each
    differences = {(noise.name, noise.seeds): noise.difference for noise in one.noise}
    expected = {("case5", (0, 1)): 0.4, ("case2", (0, 1)): -0.8, ("case2", (0, 2)): 0.1, ("case2", (1, 2)): 0.9}
    assert differences == {key: pytest.approx(value) for key, value in expected.items()}
    assert one.largest_noise == pytest.approx(0.9)
    assert one.mean_noise == pytest.approx((0.4 + 0.8 + 0.1 + 0.9) / 4)
    measured_here = dict(zip(PAPER, BETTER, strict=True))
    for (better, worse), answer in by_names(one).items():
        close = abs(measured_here[better] - measured_here[worse]) < 0.9
        assert answer == ("within noise" if close else "holds")
    assert list(by_names(one).values()).count("within noise") == 1  # case2 and HCFlow, 0.5 apart
    (series,) = orderings_of(table_of(tmp_path))
    assert series.seeds == {"case2": {0, 1, 2}, "case5": {0, 1}}


def test_the_lowest_seed_that_is_whole_is_put_in_order(tmp_path: Path) -> None:
    for seed in (2, 1):
        train_all(tmp_path, [mean + seed for mean in BETTER[:3]], seed=seed)
    trained(tmp_path, "case2", {PSNR: values(31.0)}, total=9)
    one = the_one(tmp_path)
    assert {member.seed for member in one.members} == {1}
    assert one.left_out == ((label("case2"), "6 of 9 images"),)
    assert [noise.difference for noise in one.noise] == pytest.approx([1.0] * 3)


def test_a_seed_on_other_images_is_no_noise(tmp_path: Path) -> None:
    train_all(tmp_path)
    trained(tmp_path, "case5", {PSNR: values(25.0)}, seed=1, pixels={"image002": "1" * 64})
    one = the_one(tmp_path)
    assert one.noise == ()
    assert one.left_out == ((label("case5", 1), "other images than the rest"),)


def test_one_image_with_other_pixels_in_one_row_costs_that_row_not_the_image(tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:5])
    trained(tmp_path, "HCFlow", {PSNR: values(30.5)}, pixels={"image002": "1" * 64})
    one = the_one(tmp_path)
    assert [member.name for member in one.members] == list(PAPER)[:5]
    assert one.left_out == ((label("HCFlow"), "other images than the rest"),)
    assert (one.result.n, one.cell.total) == (6, 6)


def test_a_row_whose_lowest_seed_has_other_images_is_put_in_order_with_the_next(tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:4])
    other = {f"image{n:03}": "1" * 64 for n in range(6)}
    trained(tmp_path, "case5", {PSNR: values(20.0)}, pixels=other)
    for seed, mean in ((1, 29.0), (2, 29.5)):
        trained(tmp_path, "case5", {PSNR: values(mean)}, seed=seed)
    one = the_one(tmp_path)
    assert [(member.name, member.seed) for member in one.members][-1] == ("case5", 1)
    assert [(noise.name, noise.seeds) for noise in one.noise] == [("case5", (1, 2))]
    assert one.largest_noise == pytest.approx(0.5)
    assert one.left_out == ((label("case5"), "other images than the rest"),)


def test_only_rows_that_are_compared_tell_noise(tmp_path: Path) -> None:
    """All trainings of case 5 are on other images."""
    train_all(tmp_path, BETTER[:4])
    other = {f"image{n:03}": "1" * 64 for n in range(6)}
    for seed, mean in ((0, 20.0), (1, 29.0)):
        trained(tmp_path, "case5", {PSNR: values(mean)}, seed=seed, pixels=other)
    one = the_one(tmp_path)
    assert (one.noise, len(one.members)) == ((), 4)
    assert {name for name, _ in one.left_out} == {label("case5"), label("case5", 1)}


def test_a_second_row_of_one_seed_is_no_noise_of_training(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    rows = {"A": 28, "B": 29, "C": 30}
    text = MINE + "".join(
        MINE_ROW.format(name=name, more=f'published = {{ Set5_psnr_y = "{value}" }}') for name, value in rows.items()
    )
    extra = [("A1", "A", 1), ("A2", "A", 1), ("B1", "B", 1), ("C1", "C", 1), ("C2", "C", 2)]
    for name, beside, seed in extra:
        text += MINE_ROW.format(name=name, more=f'beside = "{beside}"\nseries = "mine"\nseed = {seed}')
    file.write_text(text)
    measure_mine(tmp_path, {name: 30.0 + number for number, (name, *_) in enumerate(extra)})
    (mine,) = orderings_of(table_of(tmp_path, None, file))
    (one,) = mine.orderings
    assert [member.row for member in one.members] == ["A1", "B1", "C1"]
    assert one.left_out == (("A2", "a second row of seed 1"),)
    assert [(noise.name, noise.seeds) for noise in one.noise] == [("C", (1, 2))]


@pytest.mark.parametrize("more", [False, True])
def test_where_a_column_is_printed_is_told_by_all_rows_of_the_table(more: bool, tmp_path: Path) -> None:
    """The series' rows are printed on Set5 alone; where the column is printed for Set14, too, there is no order."""
    text = MINE.replace('["Set5"]', '["Set5", "Set14", "BSD100"]')
    for name, value in {"A": 28, "B": 29, "C": 30}.items():
        text += MINE_ROW.format(name=name, more=f'published = {{ Set5_psnr_y = "{value}" }}')
        text += MINE_ROW.format(name=f"{name} (mine)", more=f'beside = "{name}"\nseries = "mine"')
    text += MINE_ROW.format(name="D", more='published = { Set14_psnr_y = "31" }') if more else ""
    file = tmp_path / "mine.toml"
    file.write_text(text)
    measure_mine(tmp_path, {f"{name} (mine)": 30.0 for name in "ABC"}, "BSD100")
    found = [
        (s.name, one.cell.dataset, one.printed_on)
        for s in orderings_of(table_of(tmp_path, None, file))
        for one in s.orderings
    ]
    assert found == ([] if more else [("mine", "BSD100", "Set5")])


def test_why_nothing_can_be_put_in_order_is_said_row_by_row(tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:2])
    trained(tmp_path, "case3", {PSNR: values(30.0)}, total=9)
    trained(tmp_path, "case4", {PSNR: [[math.inf], *values(24.0)[1:]]})
    trained(tmp_path, "case5", {PSNR: values(29.0)}, pixels={f"image{n:03}": "1" * 64 for n in range(6)})
    table = table_of(tmp_path)
    assert orderings_of(table) == ()
    with pytest.raises(BenchError) as caught:
        chosen((), table, ["Set5"], [PSNR])
    message = str(caught.value)
    assert f"6 of 9 images: {label('case3')}" in message
    assert f"infinite: {label('case4')}" in message
    assert f"other images than the rest: {label('case5')}" in message
    assert "\n" not in message


def test_rows_that_a_version_without_series_measured_are_not_lost_without_a_word(tmp_path: Path) -> None:
    for case, mean in zip(list(PAPER)[:3], BETTER, strict=False):
        trained(tmp_path, case, {PSNR: values(mean)}, series="", name=label(case))
    table = table_of(tmp_path)
    assert orderings_of(table) == ()
    again = "measured by a version without series"
    with pytest.raises(BenchError, match=f"{again}: .*case1.*case2.*case3.*--ablation all --budget small` again"):
        chosen((), table, [], [])
    (said,) = remarks(table)
    assert label("case3") in said
    assert "`python -m bench run --ablation all --budget small` again" in said
    assert said in build_grid(table).remarks
    train_all(tmp_path, BETTER[:3])
    assert remarks(table_of(tmp_path)) == []


def test_series_are_kept_apart_and_the_papers_own_rows_come_first(tmp_path: Path) -> None:
    train_all(tmp_path, BETTER[:3])
    train_all(tmp_path, BETTER[:4], series="hour, 9 steps")
    for row, mean in zip(("case3", "case4", "case5"), (30.0, 31.0, 29.0), strict=True):
        measured(tmp_path, row, {str(n): [mean + n] for n in range(6)}, dataset="DIV2K", column=PSNR, table="1")
    found = orderings_of(table_of(tmp_path))
    assert [(series.name, len(series.members)) for series in found] == [("", 3), (SERIES, 3), ("hour, 9 steps", 4)]
    assert (found[0].orderings[0].printed_on, found[0].orderings[0].cell.dataset) == ("DIV2K", "DIV2K")
    assert by_names(found[0].orderings[0])["case3", "case4"] == "reversed"


def test_a_table_that_prints_several_data_sets_has_no_order_for_another(tmp_path: Path) -> None:
    """Table 4 prints Set5, Set14 and so on: whose order would that of Sample be?"""
    for row, mean in (("Bicubic", 28.0), ("SRCNN", 30.0), ("RRDB", 32.0)):
        for dataset in ("Set5", "Sample"):
            measured(tmp_path, row, {str(n): [mean + n] for n in range(4)}, dataset=dataset)
    (series,) = orderings_of(table_of(tmp_path, "4"))
    assert [(one.cell.dataset, one.printed_on) for one in series.orderings] == [("Set5", "Set5")]


MINE = """
title = "Mine"
scale = 4
datasets = ["Set5"]
draws = 1
columns = [{ id = "psnr_y", measure = "psnr@y,crop4,u8" }, { id = "params", measure = "parameters@all" }]
"""
MINE_ROW = """
[[rows]]
name = "{name}"
method = "bicubic"
{more}
"""


def measure_mine(out: Path, means: Mapping[str, float], dataset: str = "Set5") -> None:
    """A run of rows of `mine.toml` over six images."""
    journal = Journal.begin(out, "mine", {}, {})
    for name, mean in means.items():
        with Writer(out, journal.run, {"draws": 1, "row": name, "dataset": dataset}) as writer:
            for image in range(6):
                value = {"psnr": (mean + image / 10,), "count": (1.0,)}
                writer.append(str(image), PIXELS, value, {"seconds": 0.1})
        measures = {"psnr@y,crop4,u8": "psnr", "parameters@all": "count"}
        restored = (Restored(writer.restoration, 0.0, 1, measures, deterministic=True),)
        journal.note(Entry(name, dataset, "done", total=6, restored=restored))
    journal.end(1.0)


def test_a_table_of_your_own_with_published_values_in_it(tmp_path: Path) -> None:
    rows = {"A": "28.0", "B": "29.0", "C": "30.0"}
    text = MINE + "".join(
        MINE_ROW.format(name=name, more=f'published = {{ Set5_psnr_y = "{value}", Set5_params = "1" }}')
        for name, value in rows.items()
    )
    text += "".join(MINE_ROW.format(name=f"{name} (mine)", more=f'beside = "{name}"\nseries = "mine"') for name in rows)
    text += MINE_ROW.format(name="D (mine)", more='beside = "nobody"\nseries = "mine"')
    text += MINE_ROW.format(name="E (mine)", more='beside = "E (mine)"\nseries = "mine"')
    text += MINE_ROW.format(name="F", more="")
    file = tmp_path / "mine.toml"
    file.write_text(text)
    names = (*rows, *(f"{row} (mine)" for row in rows), "F")
    measure_mine(tmp_path, dict(zip(names, (28, 30, 29, 31, 32, 33, 34), strict=True)))
    own, mine = orderings_of(table_of(tmp_path, None, file))
    assert [one.cell.column for one in own.orderings] == ["psnr_y"]  # of a fact, neither more nor less is better
    assert by_names(own.orderings[0]) == {("C", "B"): "reversed", ("C", "A"): "holds", ("B", "A"): "holds"}
    assert [member.row for member in mine.members] == ["A (mine)", "B (mine)", "C (mine)"]
    assert set(by_names(mine.orderings[0]).values()) == {"holds"}


def test_names_choose_data_sets_and_metrics(tmp_path: Path) -> None:
    train_all(tmp_path)
    train_all(tmp_path, dataset="Set14")
    train_all(tmp_path, column="ssim_rgb_tau0", means=[mean / 100 for mean in BETTER], series="hour, 9 steps")
    table = table_of(tmp_path)
    found = orderings_of(table)

    def places(several: Sequence[Series]) -> list[tuple[str, str]]:
        return [(one.cell.dataset, one.cell.column) for series in several for one in series.orderings]

    assert len(places(found)) == 3
    assert places(chosen(found, table, ["Set14"], [])) == [("Set14", PSNR)]
    assert places(chosen(found, table, [], ["ssim_rgb_tau0"])) == [("Set5", "ssim_rgb_tau0")]
    assert chosen(found, table, [], []) == list(found)
    for datasets, metrics, message in (
        (["Set6"], [], "data set"),
        ([], ["psnr"], "metric"),
        (["Set14"], ["lr_psnr"], "at least 3 rows .* on Set14, lr_"),
    ):
        with pytest.raises(BenchError, match=message):
            chosen(found, table, datasets, metrics)


def test_a_row_that_stands_beside_another_own_row_is_followed(tmp_path: Path) -> None:
    """As one in another precision does."""
    train_all(tmp_path, BETTER[:1])
    table = table_of(tmp_path)
    second = Row("again", "hcflow", beside=label("case1"), series="small, 3,000 steps, bf16")
    found = published_row(table, second)
    assert found is not None
    assert found.name == "case1"
    assert published_row(table, Row("alone", "hcflow", beside="case1")) is None
