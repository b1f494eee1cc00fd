"""Tables for the renderers, built without records: a plan says what each cell of (row, data set) has."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.records.store import Journal
from bench.records.tables import Cell, Estimate, Image, Table, decimals_of, verdict
from bench.suites.suite import Suite, load_suite, measures_of, temperature_of

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


def cell(suite: Suite, row, dataset: str, column, images=(), total=None, reason="") -> Cell:
    common, own = measures_of(row, column)
    published = suite.published_value(row, dataset, column)
    metric = column.metric
    direction = "lower" if metric in ("lpips", "niqe", "brisque") else "higher"
    value = Estimate.of([image.common for image in images]) if images else None
    as_published = Estimate.of([image.as_published for image in images]) if images else None
    total = len(images) if total is None else total
    if value is None or as_published is None:
        decision = "not run"
    elif value.n < total:
        decision, reason = "partial", reason or f"{value.n} of {total} images"
    else:
        decision = verdict(as_published, published, direction) if published else "no published value"
    compared = as_published and published and decision != "partial"
    return Cell(
        table=suite.name,
        row=row.name,
        dataset=dataset,
        column=column.id,
        title=metric.upper(),
        unit="dB" if metric == "psnr" else "",
        direction=direction,
        decimals=decimals_of(published, 2),
        protocol=common,
        protocol_as_published=own,
        temperature=temperature_of(row, column),
        published=published,
        value=value,
        value_as_published=as_published,
        difference=as_published.mean - float(published) if compared else None,
        verdict=decision,
        reason=reason if images else reason or f"needs weights {', '.join(row.needs) or 'none'}",
        total=total,
        key="key" if images else "",
        images=tuple(images),
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
        ("SRCNN", "Set5", "psnr_y"): {"images": [Image("baby", (29.0,), (29.0,))]},
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
        ("SRCNN", "Set5", "psnr_y"): {"reason": HOSTILE},
    }
    table = table_of(suite, tmp_path, plan)
    about = {"commit": HOSTILE, "dirty": None, "versions": {HOSTILE: "1"}, "processor": HOSTILE}
    return replace(table, runs=(journal(suite, tmp_path, run=HOSTILE, provenance=about),))


@pytest.fixture
def table_maker():
    """`table_of`, for a test with a plan of its own."""
    return table_of
