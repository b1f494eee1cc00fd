"""What stands in one place of a grid: a number, or a gap and why."""

from __future__ import annotations

from dataclasses import dataclass

from bench.records.estimates import Verdict
from bench.report.notes import Reason
from bench.report.ranking import Rank

Key = float | str | None  # what a column is sorted by: a number, "Infinity" or "-Infinity"; None comes last


@dataclass(frozen=True)
class Number:
    """One number, as every format prints it.

    Attributes:
        text: with the digits that the paper prints.
        exact: with two digits more; the same as `text` for what the paper prints.
        error: standard error over images, with the digits of `text`; empty where there is none.
        exact_error: the same with the digits of `exact`.
        key: what it is sorted by; only numbers of one kind of line are compared.
        mark: letter of the footnote with its protocol; empty for what the paper prints.
        verdict: of the cell, where this is the number that is compared; else None.
        note: `3 of 5 images` where only a part was measured.
        opens: number of its cell in `Grid.measured`; None for what the paper prints.
        rank: best or second best of its column, among numbers of its kind of line.
        tied: whether another number of the column has the same rank.
        not_worse: whether it is not significantly worse than the best of its column, see `Grid.ties`.
    """

    text: str
    exact: str
    error: str = ""
    exact_error: str = ""
    key: Key = None
    mark: str = ""
    verdict: Verdict | None = None
    note: str = ""
    opens: int | None = None
    rank: Rank = ""
    tied: bool = False
    not_worse: bool = False

    @property
    def bold(self) -> bool:
        """Whether it is set in bold."""
        return self.rank == "best" or self.not_worse

    @property
    def with_error(self) -> str:
        """`28.4293 ± 1.8721`; the mean alone where there is no standard error."""
        return f"{self.exact} ± {self.exact_error}" if self.error else self.exact

    @property
    def short(self) -> str:
        """`28.43 ± 1.87`: the same with the digits that the paper prints."""
        return f"{self.text} ± {self.error}" if self.error else self.text


@dataclass(frozen=True)
class Gap:
    """Places of the measured line that have no value for one reason: neighbours of a data set, or the whole line.

    Attributes:
        reason: why.
        span: places that it covers.
        text: `not run`; with the reason where it is that of a whole row.
    """

    reason: Reason
    span: int
    text: str
