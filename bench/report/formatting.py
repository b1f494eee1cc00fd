"""Numbers, verdicts and names as every format prints them: plain text that a format escapes."""

from __future__ import annotations

import math
import re

from bench.records.estimates import Estimate, Verdict
from bench.records.tables import Cell
from bench.suites.suite import Row, Suite

SYMBOLS: dict[Verdict, str] = {
    "matches": "✓",
    "better": "▲",
    "differs": "✗",
    "partial": "◐",
    "no published value": "○",
    "not run": "–",
}
MEANINGS: dict[Verdict, str] = {
    "matches": "the published value when rounded or truncated to its digits, or within what the draws of a stochastic "
    "method leave open (twice the standard error of the difference) and what other machines were seen to change",
    "better": "further from the published value than digits, draws and machines explain, on the better side",
    "differs": "further from the published value than digits, draws and machines explain, on the worse side",
    "partial": "some images of the data set are not measured yet; never compared",
    "no published value": "the paper prints no value here, so there is nothing to compare with",
    "not run": "nothing was measured; the reason is given",
}
ARROWS = {"higher": "↑", "lower": "↓", "none": ""}


def heading(suite: Suite) -> str:
    """`Table 4` for the suite `table4`."""
    return re.sub(r"^table(\d+)$", r"Table \1", suite.name)


def source(suite: Suite) -> str:
    """Where the numbers were published, as a sentence; nothing for a suite of your own that names no source."""
    return f"Published in {suite.source}." if suite.source else ""


def description(suite: Suite, row: Row) -> list[str]:
    """What the paper says of a row beside its numbers, in the order of `suite.describe`."""
    line = suite.csv_line(row)
    return [re.sub("^[-_]?$", "–", line.get(name, "")) for name in suite.describe]


def number(value: float, decimals: int) -> str:
    """Fixed digits, a true minus sign, and ∞."""
    text = "∞" if math.isinf(value) else f"{abs(value):.{decimals}f}"
    return f"−{text}" if value < 0 and text.strip("0.") else text


def signed(value: float, decimals: int) -> str:
    """A difference: as `number`, with a plus sign."""
    text = number(value, decimals)
    return text if text.startswith("−") or not text.strip("0.") else f"+{text}"


def digits(cell: Cell) -> int:
    """Digits of a measured value where there is room: two more than the paper prints, so that rounding can be seen."""
    return min(cell.decimals + 2, 5)


def with_error(value: Estimate | None, decimals: int) -> str:
    """`28.4293 ± 1.8721`; the mean alone where there is no standard error, nothing where there is no value."""
    if value is None:
        return ""
    mean = number(value.mean, decimals)
    return mean if value.stderr is None else f"{mean} ± {number(value.stderr, decimals)}"


def images_of(cell: Cell) -> str:
    """`5 images`, or `3 of 5 images` for a partial cell."""
    n = cell.value.n if cell.value else 0
    if cell.verdict == "partial":
        return f"{n} of {cell.total} images"
    return "1 image" if n == 1 else f"{n} images"


def has_papers_protocol(cell: Cell) -> bool:
    """Whether its published value was made under another protocol than the table's."""
    return cell.protocol != cell.protocol_as_published


def name(cell: Cell) -> str:
    """`Bicubic, Set5, PSNR (Y)`."""
    return f"{cell.row}, {cell.dataset}, {cell.title}"


def infinity(cell: Cell) -> str:
    """`1 of 5 images identical` for an infinite mean, else nothing."""
    return f"{cell.value.infinite} of {cell.value.n} images identical" if cell.value and cell.value.infinite else ""


def duration(seconds: float) -> str:
    """`52 s`, `3 min 12 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
