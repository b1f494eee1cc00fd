"""The example of docs/methods.md is a method."""

import re
from pathlib import Path

import torch

from bench.methods.method import METHODS, build_method

PAGE = (Path(__file__).parents[3] / "docs" / "methods.md").read_text(encoding="utf-8")


def test_the_example_is_a_method_of_twenty_lines(tmp_path, monkeypatch):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 20
    (tmp_path / "nearest_of_the_docs.py").write_text(example)
    monkeypatch.syspath_prepend(str(tmp_path))
    method = build_method(METHODS.find("nearest_of_the_docs:METHOD"), 3, {}, [], torch.device("cpu"))
    lr = torch.rand(3, 4, 5)
    draws = method.restore(lr, 0.0, [1, 2])
    assert draws.shape == (2, 3, 12, 15)
    assert torch.equal(draws[1], lr.repeat_interleave(3, 1).repeat_interleave(3, 2))


def test_the_page_has_every_method_of_this_project():
    for name in METHODS.names():
        entry = METHODS.find(name)
        if entry.module.startswith("bench.methods.") and entry.tiling and not entry.stochastic and entry.kind == "SR":
            assert f"`{name}`" in PAGE, name
