"""The example of docs/metrics.md runs, through `module:object` and through an entry point."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from scoring import score

from bench.metrics.metric import METRICS, Evidence, metric

DOCS = Path(__file__).parents[3] / "docs/metrics.md"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    (tmp_path / "mae.py").write_text(code[1], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mae", raising=False)
    metric.cache_clear()


def check(measure: str) -> None:
    hr = np.full((4, 4, 3), 51, np.uint8)
    assert score(measure, Evidence((np.full((4, 4, 3), 0.5),), 4, hr)) == pytest.approx(0.3)


@pytest.mark.usefixtures("example")
def test_by_module_and_object() -> None:
    check("mae:METRIC@rgb")


@pytest.mark.usefixtures("example")
def test_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("mae", "mae:METRIC", METRICS.group)
    monkeypatch.setattr(metadata, "entry_points", lambda group: (point,) if group == METRICS.group else ())
    try:
        check("mae@rgb")
    finally:
        metric.cache_clear()


def test_every_metric_is_on_the_page() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name in METRICS.names():
        assert f"`{name}`" in text, name
        for variant in metric(name).known:
            assert variant in text or variant.startswith(("alex,", "y,crop0")), (name, variant)
