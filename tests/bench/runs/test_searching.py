"""The recipe that made a row's numbers is found, on small images; on the real sets, those of table 4."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest, load_manifest
from bench.methods.method import METHODS, MethodEntry, build_method
from bench.metrics.metric import Measure
from bench.runs.recipes import Kitchen, Recipe, measured, recipes
from bench.runs.restoration import Restorer, Seeds
from bench.runs.searching import Explanation, explain
from bench.suites.reading import load_suite, parse_suite
from bench.suites.suite import Row, Suite

CPU = torch.device("cpu")
SAMPLE = load_manifest("Sample")
CHOSEN = replace(SAMPLE, name="Chosen")
HELD = replace(SAMPLE, name="Held", images=SAMPLE.images[:1])
PHOTOGRAPH = data.astronaut()
IMAGES = {
    "Chosen": [PHOTOGRAPH[100:148, 180:240], PHOTOGRAPH[:44, :52, 0], PHOTOGRAPH[300:361, 50:100]],
    "Held": [PHOTOGRAPH[200:260, 180:240]],
}
SUITE = """
title = "Made up"
scale = 4
datasets = ["Chosen", "Held"]
[[columns]]
id = "psnr"
measure = "psnr@y,crop4,u8"
[[columns]]
id = "ssim"
measure = "ssim@y,crop4,u8"
[[rows]]
name = "Bicubic"
method = "bicubic"
"""


@pytest.fixture(autouse=True)
def _small_images(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    def read(manifest: Manifest, entry: ImageEntry) -> np.ndarray:
        return IMAGES[manifest.name][manifest.images.index(entry)]

    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(local, "read_hr", read)


def mean(measure: str, manifest: Manifest, arithmetic: str = "uint8") -> float:
    """A value of the bicubic row, made as a run makes it."""
    one = Measure.parse(measure)
    method = build_method(METHODS.find("bicubic"), 4, {"arithmetic": arithmetic}, [], CPU)
    restorer = Restorer(method, 4, one.variant.input, 0.0, 1, CPU, True)
    values = []
    for hr in IMAGES[manifest.name]:
        cropped = hr[: len(hr) // 4 * 4, : hr.shape[1] // 4 * 4]
        made = restorer.restore(hr, Seeds("s", "bicubic", "x", 0.0), frozenset())
        values += one.open([], CPU)(made.evidence(cropped, 4))  # type: ignore[operator]
    return sum(values) / len(values)


def suite(**published: str) -> Suite:
    lines = [f'{name} = "{text}"' for name, text in published.items()]
    return parse_suite("made_up", "\n".join([SUITE, "[rows.published]", *lines]), local.Path())


def explained(suite: Suite, entry: MethodEntry | None = None) -> Explanation:
    row = suite.rows[0]
    return explain(suite, row, entry or METHODS.find(row.method), [CHOSEN], [HELD], CPU, lambda _: None)


@pytest.mark.parametrize(
    ("variant", "arithmetic"),
    [("y8,crop4,u8,grey=direct,work=y,range=studio", "double"), ("y,crop0,trunc8,pad=replicate", "uint8")],
)
def test_the_recipe_is_found_and_holds_elsewhere(variant: str, arithmetic: str) -> None:
    numbers = {
        f"{manifest.name}_{metric}": f"{mean(f'{metric}@{variant}', manifest, arithmetic):.{digits}f}"
        for manifest in (CHOSEN, HELD)
        for metric, digits in (("psnr", 3), ("ssim", 5))
    }
    found = explained(suite(**numbers))
    assert found.tried == 324
    fits = {one.recipe.id: one for one in found.fits}
    wanted = variant if arithmetic == "uint8" else f"{variant} arithmetic={arithmetic}"
    assert "rounded" in fits[wanted].rules
    assert fits[wanted].holds == {"Held": True}
    assert len(fits) <= 4
    assert found.by_chance < 3
    wrong = {**numbers, "Held_psnr": f"{float(numbers['Held_psnr']) + 0.5:.3f}"}
    assert not any(one.holds["Held"] for one in explained(suite(**wrong)).fits)


def test_a_number_that_no_recipe_made_is_not_found() -> None:
    found = explained(suite(Chosen_psnr="60.00", Chosen_ssim="0.9000"))
    assert found.fits == ()
    assert len(found.nearest) == found.tried == 324


def test_every_recipe_is_what_a_run_measures() -> None:
    """Shared restorations and views change no number."""
    table = suite()
    kitchen = Kitchen(table, table.rows[0], METHODS.find("bicubic"), CPU)
    every = recipes(table, table.rows[0], kitchen.entry)
    assert len(set(every)) == len(every) == 324
    for metric in ("psnr", "ssim"):
        for recipe, value in list(measured(kitchen, CHOSEN, every[::4], metric).items())[::7]:
            arithmetic = str(dict(recipe.settings).get("arithmetic", "uint8"))
            expected = mean(f"{metric}@{recipe.protocol.id}", CHOSEN, arithmetic)
            assert value == pytest.approx(expected, abs=1e-12), recipe.id


def test_what_a_method_cannot_take_is_said() -> None:
    class RGBAlone:
        def restore(self, lr, temperature, seeds):
            from bench.errors import BenchError

            if len(lr) != 3:
                raise BenchError("expected an RGB image")
            return lr.repeat_interleave(4, 1).repeat_interleave(4, 2).expand(len(seeds), -1, -1, -1)

    def build(scale, weights=(), device=None, precision="fp32"):
        return RGBAlone()

    entry = replace(METHODS.find("bicubic"), build=build)
    found = explained(suite(Chosen_psnr="60.00"), entry)
    assert found.tried == 90
    assert found.impossible == {"expected an RGB image": 72}


def _best(row: str, *names: str, others: tuple[str, ...] = ()) -> Explanation:
    table = load_suite("4")
    (chosen,) = table.select([row])
    sets = ([load_manifest(name) for name in group] for group in (names, others))
    if any(local.presence(load_manifest(name)).state != "present" for name in (*names, *others)):
        pytest.skip("needs the data sets")
    return explain(table, chosen, METHODS.find(chosen.method), *sets, CPU, lambda _: None)


@pytest.mark.slow
def test_the_bicubic_row_of_table_4() -> None:
    found = _best("Bicubic", "Set5", "Set14", others=("BSD100",))
    best = found.fits[0]
    assert best.recipe.id == "y8,crop4,u8,grey=direct,work=y,range=studio arithmetic=double"
    assert best.rules == {"rounded", "truncated"}
    assert best.holds == {"BSD100": True}
    assert len(found.fits) == 2
    assert found.by_chance < 1


@pytest.mark.slow
@pytest.mark.parametrize("row", ["SRCNN"])
def test_the_recipe_of_table_4_is_among_those_that_fit(row: str) -> None:
    table = load_suite("4")
    (chosen,) = table.select([row])
    _needs(chosen)
    fits = [one.recipe.protocol.id for one in _best(row, "Set5", "Set14").fits]
    assert chosen.as_published[0].variant in fits


def _needs(row: Row) -> None:
    from bench.runs.planning import why_not

    if reason := why_not(row):
        pytest.skip(reason)


def test_a_recipe_counts_its_departures() -> None:
    from bench.metrics.views import Protocol

    usual = Protocol.parse("y,crop4,u8")
    assert Recipe(usual).departures(usual) == 0
    assert Recipe(Protocol.parse("y8,crop4,u8,work=y")).departures(usual) == 1
    assert Recipe(Protocol.parse("y8,crop0,u8,pad=replicate"), (("arithmetic", "double"),)).departures(usual) == 4
