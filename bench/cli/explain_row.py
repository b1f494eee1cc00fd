"""python -m bench explain --table N --row NAME --dataset NAME ...: which recipe reproduces a published row."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.cli.explain import counted
from bench.cli.options import named_suite
from bench.errors import BenchError
from hcflow.cli.entry import say

if TYPE_CHECKING:
    from bench.datasets.manifest import Manifest
    from bench.runs.explaining import Printed
    from bench.runs.recipes import Recipe
    from bench.runs.searching import Explanation, Found, Values
    from bench.suites.suite import Row, Suite

_WIDTH = 80
_NEAREST = 3


def explain_row(args: argparse.Namespace) -> int:
    """Print the recipes that reproduce every published digit."""
    from bench.methods.method import METHODS
    from bench.runs.planning import why_not
    from bench.runs.precision import arithmetic
    from bench.runs.provenance import choose_device
    from bench.runs.searching import explain

    suite = named_suite(args.table, args.suite)
    rows = suite.select([args.row])
    if len(rows) != 1:
        raise BenchError(f"--row: expected one row, got {', '.join(row.name for row in rows)}; name one of them")
    row = rows[0]
    if reason := why_not(row):
        raise BenchError(f"{suite.name}, {row.name}: {reason}")
    chosen = [_present(suite, name) for name in dict.fromkeys(args.dataset)]
    others = _others(args, suite, row)
    with arithmetic(row.precision):
        found = explain(suite, row, METHODS.find(row.method), chosen, others, choose_device(args.device), say)
    names = [manifest.name for manifest in chosen]
    if args.format == "json":
        print(_json(suite, row, names, found), end="")
    else:
        print("\n".join(_lines(suite, row, names, [one.name for one in others], found)))
    return 0


def _present(suite: Suite, name: str) -> Manifest:
    """A data set of the table, all of whose images are present."""
    from bench.datasets import local
    from bench.datasets.manifest import load_manifest
    from bench.registry import unknown

    if name not in suite.datasets:
        raise unknown("data set", name, suite.datasets, f" in {suite.name}")
    local.require_data_root()
    manifest = load_manifest(name)
    state = local.presence(manifest).state
    if state != "present":
        raise BenchError(f"expected all images of {name}, got {state} data: {local.how_to_get(manifest)}")
    return manifest


def _others(args: argparse.Namespace, suite: Suite, row: Row) -> list[Manifest]:
    """The sets to check the result on: those asked for, else all present ones with published values."""
    from bench.runs.searching import columns_of

    wanted = list(dict.fromkeys(args.hold_out))
    if wanted == ["none"]:
        return []
    if both := set(wanted) & set(args.dataset):
        raise BenchError(f"--hold-out: expected other sets than --dataset, got {', '.join(sorted(both))} in both")
    if wanted:
        return [_present(suite, name) for name in wanted]
    found = []
    for name in suite.datasets:
        numbers = [suite.published_value(row, name, column) for column in columns_of(suite, row)]
        if name not in args.dataset and any(numbers):
            try:
                found.append(_present(suite, name))
            except BenchError as error:
                say(f"held out: {error}")
    return found


def _json(suite: Suite, row: Row, names: Sequence[str], found: Explanation) -> str:
    from bench import jsons

    def values(of: Values) -> dict[str, dict[str, float]]:
        nested: dict[str, dict[str, float]] = {}
        for (dataset, metric), value in of.items():
            nested.setdefault(dataset, {})[metric] = value
        return nested

    def plain(one: Found) -> jsons.Json:
        return {**recipe(one.recipe), "values": values(one.values), "printed": sorted(one.rules), "holds": one.holds}

    def recipe(one: Recipe) -> jsons.Json:
        return {"protocol": one.protocol.id, "settings": dict(one.settings)}

    published: dict[str, dict[str, str]] = {}
    for (dataset, metric), printed in found.published.items():
        published.setdefault(dataset, {})[metric] = printed.text
    content = {
        "table": suite.name,
        "row": row.name,
        "datasets": list(names),
        "published": published,
        "tried": found.tried,
        "distinct": found.distinct,
        "expected_by_chance": found.by_chance,
        "impossible": dict(found.impossible),
        "fits": [plain(one) for one in found.fits],
        "nearest": [{**recipe(one), "values": values(of)} for one, of in found.nearest[:_NEAREST]],
    }
    return jsons.dumps(content, indent=1) + "\n"


def _lines(suite: Suite, row: Row, names: Sequence[str], others: Sequence[str], found: Explanation) -> Iterator[str]:
    published = {key: printed.text for key, printed in found.published.items()}
    yield f"{suite.name}, {row.name}, as published"
    yield from _wrapped(_numbers(published, names))
    yield ""
    yield from counted(found.tried, found.distinct, len(found.fits), found.by_chance)
    for why, count in found.impossible.items():
        yield from textwrap.wrap(f"{count} more could not be tried: {why}", _WIDTH)
    for number, same in enumerate(_alike(found.fits), 1):
        one = same[0]
        yield f"\n{number:3}  {one.recipe.id}"
        yield from (f"     the same numbers: {other.recipe.id}" for other in same[1:])
        if number == 1:
            verdicts = "; ".join(
                [one.recipe.protocol.describe(), *(f"{name}: {value}" for name, value in one.recipe.settings)]
            )
            yield from _wrapped([verdicts], " ")
        numbers = _numbers(_shown(one.values, found.published), names)
        yield from _wrapped([*numbers, f"({' or '.join(sorted(one.rules))})"])
        for name, holds in one.holds.items():
            text = _numbers(_shown(one.values, found.published), [name])[0]
            yield from _wrapped([f"not chosen on {text}: {'holds' if holds else 'does not hold'}"], " ")
    if not found.fits:
        yield f"\nThe nearest {min(_NEAREST, len(found.nearest))}:"
        for recipe, values in found.nearest[:_NEAREST]:
            yield f"\n     {recipe.id}"
            yield from _wrapped(_numbers(_shown(values, found.published), names))
    elif not others:
        yield "\nNothing was held out: no other data set of this row is present, or none was asked for."


def _alike(fits: Sequence[Found]) -> list[list[Found]]:
    """Those that give the same numbers together, in the order of the best."""
    groups: dict[object, list[Found]] = {}
    for one in fits:
        groups.setdefault(tuple(round(value, 9) for value in one.values.values()), []).append(one)
    return list(groups.values())


def _numbers(values: Mapping[tuple[str, str], str], names: Sequence[str]) -> list[str]:
    """`Set5 28.42 / 0.8104`, one for each data set."""
    return [f"{name} {' / '.join(text for (dataset, _), text in values.items() if dataset == name)}" for name in names]


def _shown(values: Values, published: Mapping[tuple[str, str], Printed]) -> dict[tuple[str, str], str]:
    """With two digits more than are printed."""
    return {key: f"{value:.{max(0, -_exponent(published[key])) + 2}f}" for key, value in values.items()}


def _exponent(printed: Printed) -> int:
    from bench.records.estimates import decimal

    return int(decimal(printed.text).as_tuple().exponent)


def _wrapped(parts: Sequence[str], glue: str = "   ") -> list[str]:
    """Indented lines of at most 80 columns."""
    return textwrap.wrap(
        glue.join(parts), _WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 5, break_on_hyphens=False
    )
