"""Plans: every image in exactly one part, parts of equal length, and the same plan for all who share it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.runs import submissions
from bench.runs.estimates import Cost
from bench.runs.shards import Plan, makespan, plan
from bench.runs.submissions import Submission

START = 2.0


def covered(made: Plan) -> list[tuple[str, str, str]]:
    return [(s.row, s.dataset, image) for part in made.parts for s in part for image in made.ids(s)]


def costs_of(rows: dict[str, float], sizes: dict[str, list[int]]) -> list[Cost]:
    """Rows with seconds per megapixel, data sets with pixels per image."""
    return [
        Cost(row, dataset, f"{dataset}-{i}", rate * pixels / 1e6, False, True)
        for row, rate in rows.items()
        for dataset, images in sizes.items()
        for i, pixels in enumerate(images)
    ]


@pytest.fixture(scope="module")
def table4() -> list[Cost]:
    """BSD100 as it is, Urban100 as its sizes are: 1024 by 564 to 1024; rows that differ by 400 in speed."""
    bsd = [(entry.width or 0) * (entry.height or 0) for entry in load_manifest("BSD100").images]
    generator = random.Random(0)
    urban = [1024 * generator.choice([564, 620, 680, 768, 768, 1024]) for _ in range(100)]
    rows = {"Bicubic": 0.3, "RRDB": 25.0, "HCFlow": 120.0}
    return costs_of(rows, {"BSD100": bsd, "Urban100": urban})


@settings(max_examples=200, deadline=None)
@example([(0, seconds) for seconds in (0.1, 0.9, 0.6, 0.2, 0.5)], 1)  # their sum depends on the order, by an ulp
@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 100)), min_size=1, max_size=12),
    st.integers(1, 12),
)
def test_every_image_is_in_exactly_one_part(images: list[tuple[int, float]], parts: int) -> None:
    images.sort(key=lambda one: one[0])
    costs = [Cost(f"row{row}", "Set", str(i), seconds, False, True) for i, (row, seconds) in enumerate(images)]
    made = plan(costs, parts, START)
    assert sorted(covered(made)) == sorted((cost.row, cost.dataset, cost.image) for cost in costs)
    assert len(made.parts) == min(parts, len(costs))
    assert all(made.parts)
    assert made.seconds() == sorted(made.seconds(), reverse=True)


def test_no_part_exceeds_its_fair_share_by_more_than_an_image(table4: list[Cost]) -> None:
    longest = max(cost.seconds for cost in table4)
    for parts in (2, 8, 32, 64):
        made = plan(table4, parts, START)
        fair = sum(cost.seconds for cost in table4) / parts
        assert max(made.seconds()) <= fair + longest + 6 * START


@pytest.mark.parametrize(("processes", "lost"), [(1, 0.01), (2, 0.02), (8, 0.05), (20, 0.09), (64, 0.25)])
def test_the_last_finisher_waits_for_no_long_shard(table4: list[Cost], processes: int, lost: float) -> None:
    """Simulated: images take what was estimated, give or take a quarter, and each process takes the next part.

    `lost` is how much longer it takes than the sum over the processes; with 64 of them an image of Urban100 is a fair
    share of the work, and nobody cuts images.
    """
    made = plan(table4, 4 * processes, START)
    generator = random.Random(1)
    real = {(c.row, c.dataset, c.image): c.seconds * generator.uniform(0.75, 1.25) for c in table4}
    seconds = [
        sum(START + sum(real[s.row, s.dataset, image] for image in made.ids(s)) for s in part) for part in made.parts
    ]
    assert makespan(seconds, processes) <= (1 + lost) * sum(seconds) / processes


def test_sizes_count_where_nothing_was_measured(table4: list[Cost]) -> None:
    """A quarter of the images has three quarters of the pixels: cutting by number would double the time."""
    blind = [replace(cost, seconds=cost.seconds / 120.0, known=False) for cost in table4 if cost.row == "HCFlow"]
    made = plan(blind, 8, 0.0)
    assert not made.measured
    assert max(made.seconds()) <= 1.1 * sum(made.seconds()) / 8
    by_number = [sum(cost.seconds for cost in blind[i : i + 25]) for i in range(0, 200, 25)]
    assert max(by_number) > 1.5 * sum(by_number) / 8


def test_the_first_to_come_makes_the_plan(tmp_path: Path) -> None:
    """Estimates change while parts are measured; who comes later must not cut anew."""
    early = plan(costs_of({"A": 1.0}, {"Set": [1000] * 8}), 4)
    late = plan(costs_of({"A": 1.0}, {"Set": [1000, 9000] * 4}), 4)
    assert early != late
    wanted = Submission("shards-4-x", "table4", "x", "other", (), (), (), False)
    first = submissions.agreed(tmp_path, wanted, lambda: early)
    second = submissions.agreed(tmp_path, wanted, lambda: late)
    assert first == second
    assert submissions.load_plan(tmp_path, "shards-4-x") == early
    shares = [submissions.share_of(tmp_path, "shards-4-x", part, 4) for part in first.parts]
    images = [image for share in shares for ids in (share.images or {}).values() for image in ids]
    assert sorted(images) == sorted(f"Set-{i}" for i in range(8))
    with pytest.raises(BenchError, match="expected a part from 1 to 4, got 9"):
        submissions.share_of(tmp_path, "shards-4-x", 9, 4)


def test_damaged_submissions_are_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = Submission("good", "table4", "x", "slurm", ("run",), (3,), (1.0,), True)
    submissions.create(tmp_path, good, None)
    (tmp_path / "jobs/bad").mkdir()
    (tmp_path / "jobs/bad/submission.json").write_text('{"id": 3}')
    assert submissions.load_all(tmp_path) == [good]
    assert "bad/submission.json: expected a submission, got" in capsys.readouterr().err
