"""Tables for the renderers, built without records: a plan says what each cell of (row, data set) has."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.metrics.metric import METRICS, Choice, Metric, choice_of, metric
from bench.records.estimates import Estimate, decimals_of, verdict
from bench.records.journal import Journal
from bench.records.tables import Cell, Image, Table
from bench.registry import Registry
from bench.suites.reading import load_suite, parse_suite
from bench.suites.suite import Suite, measures_of, temperature_of

HOSTILE = r"""<img src=x onerror=alert(1)>|a`b*c_d[e](f)</script><!-- & % $ # { } ~ ^ \ "q" 'r'"""


def journal(suite: Suite, out, **changes) -> Journal:
    about = {
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": True,
        "python": "3.11.7",
        "versions": {"torch": "2.6.0", "numpy": "2.1.0"},
        "platform": "Linux",
        "device": "cpu",
        "processor": "Some CPU",
        "threads": 2,
    }
    command = {"rows": [], "datasets": [], "limit": None}
    run = Journal(out, "20260102T030405Z-abcdef", suite.name, "2026-01-02T03:04:05+00:00", command, about)
    run.seconds = 3725.0
    for key, value in changes.items():
        setattr(run, key, value)
    return run


def cell(suite: Suite, row, dataset: str, column, images=(), total=None, reason="", remarks=()) -> Cell:
    common, own = measures_of(row, column)
    published = suite.published_value(row, dataset, column)
    metric = common.of
    value = Estimate.of([image.common for image in images]) if images else None
    as_published = Estimate.of([image.as_published for image in images]) if images else None
    total = len(images) if total is None else total
    if value is None or as_published is None:
        decision = "not run"
    elif value.n < total:
        decision, reason = "partial", reason or f"{value.n} of {total} images"
    else:
        decision = verdict(as_published, published, metric.direction) if published else "no published value"
    compared = as_published and published and decision != "partial"
    return Cell(
        table=suite.name,
        row=row.name,
        dataset=dataset,
        column=column.id,
        title=column.title,
        unit=metric.unit,
        direction=metric.direction,
        decimals=decimals_of(published, metric.decimals),
        protocol=common.id,
        protocol_as_published=own.id,
        temperature=temperature_of(row, column),
        published=published,
        value=value,
        value_as_published=as_published,
        difference=as_published.mean - float(published) if compared else None,
        verdict=decision,
        reason=reason if images else reason or f"needs weights {', '.join(row.needs) or 'none'}",
        remarks=tuple(remarks),
        total=total,
        key="key" if images else "",
        images=tuple(images),
        runs=frozenset({"20260102T030405Z-abcdef"} if images else ()),
    )


def table_of(suite: Suite, out, plan=None, datasets=None) -> Table:
    """`plan`: (row, data set, column) -> keywords of `cell`; every other cell is not run."""
    plan, datasets = plan or {}, datasets or suite.datasets
    cells = tuple(
        cell(suite, row, dataset, column, **plan.get((row.name, dataset, column.id), {}))
        for row in suite.rows
        for dataset in datasets
        for column in suite.columns
    )
    measured = any(one.value for one in cells)
    return Table(suite, tuple(datasets), cells, (journal(suite, out),) if measured else ())


PROTOCOLS = """
title = "Many protocols"
source = "a paper, table 9"
scale = 4
datasets = ["Set5", "Set14"]
describe = ["params"]
columns = [
  { id = "psnr_rgb", measure = "psnr@rgb,crop4,u8" },
  { id = "ssim_rgb", measure = "ssim@rgb,crop4,u8" },
  { id = "first", measure = "first@matlab", temperature = 0.9 },
  { id = "second", measure = "second@matlab" },
  { id = "count", measure = "count@all" },
]
[[rows]]
name = "Bicubic"
method = "bicubic"
describe = { params = "-" }
published = { Set5_psnr_rgb = "28.42", Set5_first = "3.1" }
as_published = [
  { metrics = ["psnr"], variant = "y,crop4,u8", note = "copied from older papers" },
  { metrics = ["first"], variant = "live", note = "another calibration" },
]

[[rows]]
name = "Net"
method = "net"
describe = { params = "1M" }
published = { Set5_first = "2.1", Set14_second = "7.5" }
"""


def fake_metric(name: str) -> Metric:
    """A metric that is never opened, with variants of its own words, for tables of more metrics than PSNR and SSIM."""
    choices = [Choice(one, f"{name} calibrated by {one}") for one in ("matlab", "live", "all")]
    direction = {"first": "lower", "count": "none"}.get(name, "higher")
    known = tuple(choice.id for choice in choices)
    return Metric(name, name.capitalize(), direction, choice_of(*choices), known, refuse_to_open, __name__)


def refuse_to_open(*_: object):
    raise AssertionError("a report opens no metric")


@pytest.fixture
def protocols(monkeypatch, tmp_path) -> Suite:
    """A table of four metrics with protocols of different kinds, a fact without direction, and two rows."""
    fakes = {name: fake_metric(name) for name in ("first", "second", "count")}
    real = METRICS.find
    monkeypatch.setattr(Registry, "find", lambda self, name: fakes.get(name) or real(name))
    metric.cache_clear()
    yield parse_suite("many", PROTOCOLS, tmp_path)
    metric.cache_clear()


@pytest.fixture
def many(protocols, tmp_path) -> Table:
    """That table with the first row measured on Set5, and one measure of it on a part of the images."""
    two = [Image("baby", (28.4,), (28.4,)), Image("bird", (28.44,), (28.44,))]
    other = [Image("baby", (5.0, 5.2), (3.0, 3.2))]
    plan = {
        ("Bicubic", "Set5", "psnr_rgb"): {
            "images": [Image("baby", (27.0,), (28.42,)), Image("bird", (27.2,), (28.42,))]
        },
        ("Bicubic", "Set5", "ssim_rgb"): {"images": [Image("baby", (0.8,), (0.8,))]},
        ("Bicubic", "Set5", "first"): {
            "images": other,
            "total": 5,
            "reason": "1 of 5 images; not applicable: too small",
        },
        ("Bicubic", "Set5", "second"): {"reason": "needs weights second"},
        ("Bicubic", "Set5", "count"): {"images": two, "remarks": ["the paper counts another network"]},
    }
    return table_of(protocols, tmp_path, plan)


@pytest.fixture(params=["table1", "table2", "table3", "table4"])
def empty(request, tmp_path) -> Table:
    """Each of the paper's tables with nothing measured."""
    return table_of(load_suite(request.param), tmp_path)


@pytest.fixture
def mixed(tmp_path) -> Table:
    """Table 4 with a cell of every kind, and the Sample beside the paper's data sets."""
    suite = load_suite("table4")
    near = [Image("baby", (28.43, 28.43), (28.42, 28.42)), Image("bird", (28.45, 28.45), (28.42, 28.42))]
    plan = {
        ("Bicubic", "Set5", "psnr_y"): {"images": near},
        ("Bicubic", "Sample", "psnr_y"): {"images": near},
        ("RDN", "Set5", "psnr_y"): {"images": [Image("baby", (29.0,), (29.0,))]},
        ("EDSR", "Set5", "psnr_y"): {
            "images": [Image("baby", (math.inf,), (math.inf,)), Image("bird", (30.0,), (30.0,))]
        },
        ("IRN", "Set5", "psnr_y"): {"images": [Image("baby", (36.0, 36.2), (36.0, 36.2))], "total": 5},
        ("HCFlow", "Set5", "psnr_y"): {"images": [Image("baby", (36.9, 37.1), (36.9, 37.1))]},
    }
    return table_of(suite, tmp_path, plan, (*suite.datasets, "Sample"))


@pytest.fixture
def hostile(tmp_path) -> Table:
    """Names, reasons and provenance that try to be markup."""
    suite = load_suite("table4")
    rows = (replace(suite.rows[0], name=HOSTILE), *suite.rows[1:])
    suite = replace(suite, title=HOSTILE, source=HOSTILE, rows=rows, datasets=("Set5", f"D {HOSTILE}"))
    plan = {
        (HOSTILE, "Set5", "psnr_y"): {"images": [Image(HOSTILE, (28.42,), (28.42,))]},
        ("RDN", "Set5", "psnr_y"): {"reason": HOSTILE},
    }
    table = table_of(suite, tmp_path, plan)
    about = {"commit": HOSTILE, "dirty": None, "versions": {HOSTILE: "1"}, "processor": HOSTILE}
    return replace(table, runs=(journal(suite, tmp_path, run=HOSTILE, provenance=about),))


@pytest.fixture
def table_maker():
    """`table_of`, for a test with a plan of its own."""
    return table_of
