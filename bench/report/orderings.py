"""Whether the published orderings hold, in words and lines: what every format draws of `bench.statistics.orderings`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.records.estimates import decimals_of
from bench.report import formatting
from bench.report.parts import Grid
from bench.statistics.agreement import ANSWERS, Answer, Pair
from bench.statistics.paired import EXACT, LEVEL, RESAMPLES, smallest_p
from bench.statistics.series import Member, Ordering, Series, difference
from bench.suites.reading import option_of
from bench.suites.suite import Suite

SIGNS: dict[Answer, str] = {"holds": "✓", "reversed": "✗", "undecided": "?", "within noise": "≈"}
PAIR_HEADS = ("Metric", "Data set", "Printed order", "Order", "In print", "Measured", "p", "Share")
"""The first three describe a pair; `Share` is that of the resamples which have the printed order."""
_ONE_SEED = "every row has one seed"
_FEW = 10  # images below which an interval is a hint only


@dataclass(frozen=True)
class PairLine:
    """Two rows on a data set and column; `texts` are below `PAIR_HEADS`."""

    answer: Answer
    texts: tuple[str, ...]


def heading(suite: Suite) -> str:
    """The title of the section."""
    whose = "paper's" if _of_the_paper(suite) else "published"
    return f"Do the {whose} orderings hold?"


def name(suite: Suite, series: Series) -> str:
    """What a series is called: `Rows of the paper`, or `Trained here: small, 3,000 steps`; `Series: NAME` of others."""
    if series.name:
        return f"{'Trained here' if _budget(suite, series) else 'Series'}: {series.name}"
    return "Rows of the paper" if _of_the_paper(suite) else "Published rows"


def how_to_read() -> str:
    """What the numbers are, in a few sentences."""
    return (
        "Kendall's tau-b compares the order of the measured means (common protocol) with that of the published values: "
        "1 is the same order, 0 is none, −1 the opposite one. Its 95 % interval is a percentile bootstrap over the "
        f"images ({RESAMPLES:,} resamples, the same images for all rows), a hint only where these are few. Two rows "
        "that are printed as different are compared by the two-sided paired permutation test that sets values in bold "
        f"(exact up to {EXACT} images). The order holds where p is at most {LEVEL:g} and the measured difference has "
        "the printed sign, is reversed where p is as small and the sign is the other one, and is undecided where p is "
        "larger. The share of the resamples with the printed order decides nothing. Each pair is judged for itself, "
        "without a correction for their number."
    )


def summary(series: Series) -> str:
    """`Of 146 orderings 122 hold, 0 are reversed, 24 are undecided.`"""
    counts = {answer: series.count(answer) for answer in ANSWERS}
    one = series.pairs == 1
    text = f"Of {series.pairs} ordering{'' if one else 's'} {counts['holds']} {_plural(counts['holds'], 'hold')}, "
    text += f"{counts['reversed']} {_be(counts['reversed'])} reversed, "
    text += f"{counts['undecided']} {_be(counts['undecided'])} undecided"
    if series.seeds:
        text += f", {counts['within noise']} {_be(counts['within noise'])} within the noise of training"
    tied = series.tied
    return f"{text}{f'; {tied} {_be(tied)} printed as equal and not judged' if tied else ''}."


def heads(series: Series) -> list[str]:
    """Of `lines`; the first two describe a line."""
    noise = ["Within noise", "Noise of training"] if series.seeds else []
    return [
        "Metric", "Data set", "Rows", "Tau-b", "95 % interval", "Hold", "Reversed", "Undecided", *noise,
        "Tied in print", "Images",
    ]  # fmt: skip


def lines(series: Series) -> list[list[str]]:
    """One line for each column and data set, in the order of the columns."""
    return [_line(series, one) for one in in_order(series)]


def in_order(series: Series) -> list[Ordering]:
    """By column, then by data set: so that the data sets of a column can be compared."""
    columns = list(dict.fromkeys(one.cell.column for one in series.orderings))
    return sorted(series.orderings, key=lambda one: columns.index(one.cell.column))


def _line(series: Series, one: Ordering) -> list[str]:
    result, digits = one.result, formatting.digits(one.cell)
    noise = []
    if series.seeds:
        known = f"{formatting.number(one.mean_noise, digits)} (largest {formatting.number(one.largest_noise, digits)})"
        noise = [str(result.count("within noise")), known if one.noise else "–"]
    counts = [str(result.count(answer)) for answer in ("holds", "reversed", "undecided")]
    return [
        _title(one), one.cell.dataset, str(len(one.members)), tau(one), interval(one) or "–", *counts, *noise,
        str(result.tied), images(one),
    ]  # fmt: skip


def tau(one: Ordering) -> str:
    """`0.84`, or a dash."""
    return "–" if one.result.tau is None else formatting.number(one.result.tau, 2)


def interval(one: Ordering) -> str:
    """`0.76 to 0.98`; empty where there is none."""
    low, high = one.result.low, one.result.high
    if low is None or high is None:
        return ""
    return f"{formatting.number(low, 2)} to {formatting.number(high, 2)}"


def images(one: Ordering) -> str:
    """`5`, or `4 of 5` where not all rows have the same ones."""
    return str(one.result.n) if one.result.n == one.cell.total else f"{one.result.n} of {one.cell.total}"


def in_brief(series: Series) -> list[str]:
    """`PSNR (Y): Set5 1.00 (0.79 to 1.00), Set14 0.84`, one for each column."""
    found: dict[str, list[str]] = {}
    for one in in_order(series):
        ends = f" ({interval(one)})" if interval(one) else ""
        found.setdefault(one.cell.title, []).append(f"{one.cell.dataset} {tau(one)}{ends}")
    return [f"{title}: {', '.join(texts)}" for title, texts in found.items()]


def pair_lines(series: Series, held: bool = True) -> list[PairLine]:
    """All pairs that are printed as different, or with `held` false those whose order does not hold."""
    return [
        PairLine(pair.answer, _pair(one, pair))
        for one in in_order(series)
        for pair in one.result.pairs
        if held or pair.answer != "holds"
    ]


def _pair(one: Ordering, pair: Pair) -> tuple[str, ...]:
    printed = difference(one.members, pair.better, pair.worse)
    digits = max(decimals_of(one.members[index].printed, 0) for index in (pair.better, pair.worse))
    return (
        _title(one), one.cell.dataset, f"{shown(one.members[pair.better])} > {shown(one.members[pair.worse])}",
        f"{SIGNS[pair.answer]} {pair.answer}",
        formatting.signed(float(printed), digits), formatting.signed(pair.measured, formatting.digits(one.cell)),
        f"{pair.p:.4f}", "–" if pair.share is None else f"{100 * pair.share:.2f} %",
    )  # fmt: skip


def shown(member: Member) -> str:
    """How a row is called among those of its series."""
    return f"{member.name}, seed {member.seed}" if member.seed else member.name


def notes(suite: Suite, series: Series) -> list[str]:
    """What a reader has to know of a series: where its order is printed, and what is missing."""
    found = []
    found += _elsewhere(suite, series)
    if series.seeds:
        runs = "; ".join(f"{case}: {', '.join(map(str, sorted(seeds)))}" for case, seeds in series.seeds.items())
        found.append(
            f"Noise of training: the mean and the largest difference between two seeds of one row (seeds of {runs}), a "
            "rough guess from so few. Two rows that are closer than the largest are within noise, whatever the images "
            "say. Rows with several seeds are put in order with the lowest on these images."
        )
    found += (
        ["Where values are printed as equal, tau-b stays below 1 even if all the rest agrees."] if series.tied else []
    )
    found += _few(series)
    found += [f"{_where(one)}: {one.result.why}." for one in series.orderings if one.result.why]
    left_out = _left_out(series)
    return found + ([f"Left out: {', '.join(left_out)}."] if left_out else [])


def _elsewhere(suite: Suite, series: Series) -> list[str]:
    """`The paper's order is that on DIV2K.`, where the test images are others than those that it is printed for."""
    printed = {one.printed_on: None for one in series.orderings if one.printed_on != one.cell.dataset}
    whose = "The paper's order" if _of_the_paper(suite) else "The published order"
    return [f"{whose} is that on {dataset}." for dataset in printed]


def _few(series: Series) -> list[str]:
    """Where images are too few for a pair to be decided at all, and where for an interval."""
    few = {(one.cell.dataset, one.result.n): None for one in series.orderings if one.result.n < _FEW}
    found = [
        f"{dataset}: with {images} image{'' if images == 1 else 's'} the smallest possible p is "
        f"{smallest_p(images):g}, so that no order can be decided."
        for dataset, images in few
        if smallest_p(images) > LEVEL
    ]
    names = ", ".join(f"{dataset} ({images})" for dataset, images in few)
    return [*found, f"With so few images intervals and shares are a hint only: {names}."] if few else []


def caveat(suite: Suite, series: Series) -> str:
    """Why the order of the paper's cases as trained here proves less than the published table; empty for others."""
    budget = _budget(suite, series)
    if not budget:
        return ""
    facts = ["the networks have a seventh to a twentieth of the paper's parameters"] if budget == "small" else []
    facts += ["training was much shorter than the paper's"] if budget != "paper" else []
    facts += ["the training images may be others"]
    facts += (
        ["the test images are others"] if any(one.printed_on != one.cell.dataset for one in series.orderings) else []
    )
    rows, several = len({member.name for member in series.members}), len(series.seeds)
    have = "has" if several == 1 else "have"
    facts += [f"{several} of the {rows} rows {have} several seeds, the others one" if several else _ONE_SEED]
    return (
        f"This proves less than the published table: {', '.join(facts[:-1])}, and {facts[-1]}. "
        "An ordering that does not show here may appear at full size, and one that shows here may not."
    )


def text_lines(grid: Grid) -> list[str]:
    """A few lines for each series, for a terminal; indented ones belong to the series above."""
    suite, found = grid.table.suite, []
    for series in grid.orderings:
        found.append(f"{name(suite, series)} ({len(series.members)}). {summary(series)}")
        found += [f"  {text}" for text in (*in_brief(series), *_elsewhere(suite, series))]
        if caveat(suite, series):
            found.append("  It proves less than the published table: docs/analysis.md says why.")
    return found


def paragraph(suite: Suite, series: Series) -> str:
    """All but the tables, as running text."""
    brief = f"Kendall's tau-b with its 95 % interval: {'; '.join(in_brief(series))}."
    texts = [f"{name(suite, series)}: {summary(series)}", brief, *_elsewhere(suite, series), caveat(suite, series)]
    return " ".join(filter(None, texts))


def command(suite: Suite) -> str:
    """What prints the pairs."""
    return f"python -m bench orderings {option_of(suite)}"


def _of_the_paper(suite: Suite) -> bool:
    return formatting.heading(suite) != suite.name


def _budget(suite: Suite, series: Series) -> str:
    """With which budget the cases of the paper's table were trained here; empty for any other series."""
    known = re.match(r"(smoke|small|hour|paper), ", series.name) if _of_the_paper(suite) else None
    return known[1] if known else ""


def _title(one: Ordering) -> str:
    return f"{one.cell.title} {formatting.ARROWS[one.cell.direction]}"


def _where(one: Ordering) -> str:
    return f"{one.cell.title} on {one.cell.dataset}"


def _left_out(series: Series) -> list[str]:
    """`DCTLSA (no value is published)`, with the places where it is not so everywhere."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in series.orderings:
        for row, why in one.left_out:
            places.setdefault((row, why), []).append(_where(one))
    found = []
    for (row, why), where in places.items():
        only = "" if len(where) == len(series.orderings) else f": {'; '.join(where)}"
        found.append(f"{row} ({why}{only})")
    return found


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _plural(count: int, verb: str) -> str:
    return f"{verb}s" if count == 1 else verb
