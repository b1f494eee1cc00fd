"""Thousands of damaged recipes and settings: a recipe or one line, never another exception or much memory."""

import json
import random
import resource
import sys

import pytest

from hcflow.errors import ConfigError
from hcflow.train.recipe import Recipe, Stage
from hcflow.train.recipes import RECIPES, recipe

pytestmark = pytest.mark.slow

MOST_MEMORY = 2**28
LONGEST = 7000  # of a message: a key or a value, and the choices
VALUES = [
    *(
        "true",
        "null",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "-1",
        "0",
        "1.5",
        '"x"',
        "[]",
        "{}",
        "[1]",
        "[0.9, 1]",
    ),
    *("9" * 5000, "[" * 5000, "[" * 30 + "]" * 30, "2" * 30, '"' + "x" * 5000 + '"', '"\\u0000"', "a\nb", "ü", ""),
    *("{nll = 1}", '{"nll": 1}', "1e-4", "96", "[[1]]", "1979-05-27", "0x10", "[inf]", "[-5]", "18446744073709551616"),
]
FILE = """name = "mine"
preset = "case5"

[[stages]]
name = "nll"
losses = { nll = 1.0 }
iterations = 100
learning_rate = 1e-4
halve_at = [50]
hour = 10
"""
KEYS = [
    *Stage.__dataclass_fields__,
    "losses.nll",
    "losses.nnl",
    "init",
    "pacth",
    "",
    ".",
    "losses",
    "a" * 3000,
    "\n",
    "ü",
]


@pytest.fixture(autouse=True)
def _bounded():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < MOST_MEMORY


def outcome(make):
    """Whether a recipe came of it; else the error was one line of bounded length."""
    try:
        assert isinstance(make(), Recipe)
    except ConfigError as error:
        message = str(error)
    else:
        return True
    assert message
    assert "\n" not in message
    assert len(message) < LONGEST
    return False


def test_settings():
    rng = random.Random(21)
    results = []
    for _ in range(2500):
        settings = [f"{rng.choice(KEYS)}={rng.choice(VALUES)}" for _ in range(rng.choice((1, 1, 2, 3)))]
        if rng.random() < 0.1:
            settings.append(rng.choice(("patch", "=", "=1", "patch==3", "a.b.c.d=1")))
        results.append(outcome(lambda settings=settings: RECIPES["sr_x4+"].with_settings(settings)))
    assert 20 < sum(results) < 2300


def test_files(tmp_path):
    rng = random.Random(22)
    path = tmp_path / "mine.toml"
    lines = FILE.splitlines()
    results = []
    for case in range(2500):
        some = list(lines)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(some))
            key, equals, _ = some[at].partition(" = ")
            kind = rng.randrange(4)
            if kind == 0 and equals:
                some[at] = f"{key} = {rng.choice(VALUES)}"
            elif kind == 1:
                some.insert(at, f"{rng.choice(KEYS) or 'x'} = {rng.choice(VALUES)}")
            elif kind == 2:
                del some[at]
            else:
                some.insert(at, rng.choice(["[[stages]]", "[network]", "[stages.losses]", json.dumps({"a": 1}), "= 1"]))
            if not some:
                some = list(lines)
        data = "\n".join(some).encode()
        if case % 3 == 0:
            data = bytearray(data)
            for _ in range(rng.randint(1, 5)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data))
        results.append(outcome(lambda: recipe(str(path))))
    assert 20 < sum(results) < 2300
