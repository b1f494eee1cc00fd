"""Running rows: caching by measure, resuming after kill -9, problems of single images and measures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.datasets import local
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError, StorageError
from bench.methods import method as methods
from bench.methods.bicubic import Bicubic
from bench.methods.method import MethodEntry
from bench.metrics import metric as metrics
from bench.metrics.metric import Choice, Evidence, Metric, NotApplicable, Score, choice_of
from bench.records import store
from bench.records.tables import build_table
from bench.runs.restoration import Seeds
from bench.runs.runner import Outcome, Request, run
from bench.suites.reading import load_suite
from bench.suites.suite import Row, Suite

TABLE4 = load_suite("4")
BICUBIC = TABLE4.select(["Bicubic"])
CPU = torch.device("cpu")
IMAGES = [entry.id for entry in load_manifest("Sample").images]


@dataclass
class Watcher:
    """Keeps what a run reports."""

    images: list[tuple[str, bool]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    planned: tuple[int, int] = (0, 0)

    def plan(self, rows: int, images: int) -> None:
        self.planned = rows, images

    def row(self, row: str, dataset: str, images: int) -> None:
        """Nothing to keep."""

    def image(self, image: str, cached: bool) -> None:
        self.images.append((image, cached))

    def problem(self, message: str) -> None:
        self.problems.append(message)

    @property
    def computed(self) -> list[str]:
        return [image for image, cached in self.images if not cached]


def measure(
    out: Path,
    suite: Suite = TABLE4,
    rows: Sequence[Row] = BICUBIC,
    datasets: Sequence[str] = ("Sample",),
    **options: object,
) -> tuple[Outcome, Watcher]:
    watcher = Watcher()
    request = Request(suite, rows, datasets, None, CPU, out)
    return run(replace(request, **options), watcher, lambda journal: None), watcher  # type: ignore[arg-type]


def values(out: Path, outcome: Outcome) -> dict[str, object]:
    """(restoration, image) -> values: the same numbers give the same."""
    found = {}
    for entry in outcome.journal.entries:
        for one in entry.restored:
            for image, known in store.read(out, one.digest).items():
                found[f"{one.digest} {image}"] = known.values
    return found


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let names mean metrics and methods of the test."""

    def add(*things: Metric | MethodEntry) -> None:
        for thing in things:
            registry = metrics.METRICS if isinstance(thing, Metric) else methods.METHODS
            real = type(registry).find

            def find(self, name, thing=thing, registry=registry, real=real):  # type: ignore[no-untyped-def]
                return thing if self is registry and name == thing.name else real(self, name)

            real_knows = type(registry).knows

            def knows(self, name, thing=thing, registry=registry, real=real_knows):  # type: ignore[no-untyped-def]
                return (self is registry and name == thing.name) or real(self, name)

            monkeypatch.setattr(type(registry), "find", find)
            monkeypatch.setattr(type(registry), "knows", knows)
            if isinstance(thing, Metric):
                metrics.metric.cache_clear()

    return add


def toy_metric(name: str, score: Callable[[Evidence], Score], **options: object) -> Metric:
    choice = Choice("v1", "a variant")
    about = {"title": name.upper(), "direction": "higher", "module": "bench.metrics.psnr", **options}
    return Metric(name=name, parse=choice_of(choice), known=("v1",), open=lambda *_: score, **about)  # type: ignore[arg-type]


def test_sample_is_what_runs_where_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path))
    outcome, watcher = measure(tmp_path / "out", datasets=())
    assert outcome.fallback
    assert watcher.images == [(image, False) for image in IMAGES]
    assert watcher.planned == (1, 3)
    cell = build_table(TABLE4, tmp_path / "out").cell("Bicubic", "Sample", "psnr_y")
    coffee = next(image for image in cell.images if image.id == "coffee")
    # the stored value of the reference implementation; tests of the metrics hold all of them
    assert coffee.common == (pytest.approx(27.29136398314435, abs=1e-6),)


def test_a_second_run_finds_what_the_first_measured(tmp_path: Path) -> None:
    measure(tmp_path, limit=1)
    second, watcher = measure(tmp_path)
    assert [cached for _, cached in watcher.images] == [True, False, False]
    third, watcher = measure(tmp_path)
    assert all(cached for _, cached in watcher.images)
    assert (third.journal.entries[0].cached, third.journal.entries[0].computed) == (3, 0)
    assert values(tmp_path, second) == values(tmp_path, third)


def test_another_measure_computes_that_measure_alone(tmp_path: Path, register: Callable[..., None]) -> None:
    seen: list[str] = []

    def score(evidence: Evidence) -> Score:
        seen.append("scored")
        return [float(np.mean(draw)) for draw in evidence.draws]

    register(toy_metric("toy", score))
    measure(tmp_path)
    wide = TABLE4.with_columns(["toy@v1"])
    measure(tmp_path, suite=wide)
    lines = [json.loads(line) for path in tmp_path.glob("records/*/*.jsonl") for line in path.read_text().splitlines()]
    counts = sorted(len(line["values"]) for line in lines if "values" in line)
    assert counts == [1] * 3 + [2] * 6  # the new measure alone; PSNR and SSIM of two restorations
    assert len(seen) == 3
    measure(tmp_path, suite=wide)
    assert len(seen) == 3


def test_a_metric_that_changed_discards_no_other(
    tmp_path: Path, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = TABLE4.with_columns(["toy@v1"])
    register(toy_metric("toy", lambda evidence: 1.0))
    measure(tmp_path, suite=suite)
    register(toy_metric("toy", lambda evidence: 2.0, module="bench.metrics.ssim"))
    suite = TABLE4.with_columns(["toy@v1"])
    measure(tmp_path, suite=suite)
    lines = [json.loads(line) for path in tmp_path.glob("records/*/*.jsonl") for line in path.read_text().splitlines()]
    assert sorted(len(line["values"]) for line in lines if "values" in line) == [1] * 3 + [2] * 3 + [3] * 3
    cell = build_table(suite, tmp_path).cell("Bicubic", "Sample", "toy@v1")
    assert cell.value is not None
    assert cell.value.mean == 2.0


def test_kept_images_are_not_restored_again(
    tmp_path: Path, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    register(
        toy_metric(
            "eight", lambda e: [float(np.rint(np.float64(d) * 255).mean()) for d in e.draws], eight_bit=lambda _: True
        ),
        toy_metric("exact", lambda e: [float(np.mean(d)) for d in e.draws]),
    )
    measure(tmp_path, keep_images=True)
    assert len(list(tmp_path.glob("images/*/*.png"))) == 6
    straight, _ = measure(tmp_path / "straight", suite=TABLE4.with_columns(["eight@v1"]))
    real, calls = Bicubic.restore, []

    def restore(self, *arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        return real(self, *arguments)

    monkeypatch.setattr(Bicubic, "restore", restore)
    wide, _ = measure(tmp_path, suite=TABLE4.with_columns(["eight@v1"]))
    assert not calls
    assert values(tmp_path, wide) == values(tmp_path / "straight", straight)
    measure(tmp_path, suite=TABLE4.with_columns(["exact@v1"]), keep_images=True)
    assert len(calls) == 3  # 8 bits are not enough for it
    measure(tmp_path, suite=TABLE4.with_columns(["exact@v1", "eight@v1"]))
    assert len(calls) == 3


def test_an_image_that_changed_is_measured_again_and_the_old_value_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through build_table: the mean of a clean folder, not of both values."""
    manifest = load_manifest("Sample")
    unknown = replace(manifest, images=tuple(replace(entry, sha256=None) for entry in manifest.images))
    monkeypatch.setattr("bench.runs.planning.load_manifest", lambda name: unknown)
    measure(tmp_path / "a")
    real = local.read_hr

    def changed(manifest, entry):  # type: ignore[no-untyped-def]
        image = real(manifest, entry)
        return 255 - image // 2 if entry.id == "chelsea" else image

    monkeypatch.setattr(local, "read_hr", changed)
    _, watcher = measure(tmp_path / "a")
    assert watcher.computed == ["chelsea"]
    measure(tmp_path / "clean")
    cells = [build_table(TABLE4, tmp_path / name).cell("Bicubic", "Sample", "psnr_y") for name in ("a", "clean")]
    assert cells[0].value == cells[1].value
    monkeypatch.setattr(local, "read_hr", real)  # and back again, where the records are older
    measure(tmp_path / "a")
    measure(tmp_path / "clean2")
    cells = [build_table(TABLE4, tmp_path / name).cell("Bicubic", "Sample", "psnr_y") for name in ("a", "clean2")]
    assert cells[0].value == cells[1].value


_DIES = """
import os, signal, sys
from bench.__main__ import main
from bench.methods.bicubic import Bicubic
real, calls = Bicubic.restore, []
def restore(self, *arguments):
    calls.append(1)
    if len(calls) == 4:  # two restorations an image: in the middle of the second one
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments)
Bicubic.restore = restore
main(["run", "--table", "4", "--dataset", "Sample", "--method", "bicubic", "--out", sys.argv[1]])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_kill_9_loses_only_the_image_in_flight(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", _DIES, tmp_path / "killed"], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    after, watcher = measure(tmp_path / "killed")
    assert [cached for _, cached in watcher.images] == [True, False, False]
    straight, _ = measure(tmp_path / "straight")
    assert values(tmp_path / "killed", after) == values(tmp_path / "straight", straight)


def test_two_processes_fill_one_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "run", "--table", "4", "--method", "Bicubic", "--dataset", "Sample"]
    started = [subprocess.Popen([*command, "--out", str(tmp_path / "both")], stdout=-3, stderr=-3) for _ in range(2)]
    assert [process.wait(900) for process in started] == [0, 0]
    measure(tmp_path / "one")
    tables = [build_table(TABLE4, tmp_path / name) for name in ("both", "one")]
    assert [cell.value for cell in tables[0].cells] == [cell.value for cell in tables[1].cells]


def test_a_bad_image_costs_itself_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = local.read_hr

    def read(manifest, entry):  # type: ignore[no-untyped-def]
        if entry.id == "coffee":
            raise BenchError("expected a readable image, got a damaged one; replace it")
        return real(manifest, entry)

    monkeypatch.setattr(local, "read_hr", read)
    outcome, watcher = measure(tmp_path)
    assert len(outcome.problems) == 1
    assert watcher.problems == ["Bicubic on Sample/coffee: expected a readable image, got a damaged one; replace it"]
    assert (outcome.journal.entries[0].state, outcome.journal.entries[0].computed) == ("failed", 2)
    monkeypatch.undo()
    again, watcher = measure(tmp_path)
    assert (again.problems, watcher.computed) == ((), ["coffee"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB\nmore"), "CUDA out of memory. Tried"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "can't allocate memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("a kernel failed"), "RuntimeError: a kernel failed"),
    ],
)
def test_an_error_of_the_method_is_one_problem(
    error: Exception, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Bicubic.restore, []

    def restore(self, *arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 3:  # of the second image
            raise error
        return real(self, *arguments)

    monkeypatch.setattr(Bicubic, "restore", restore)
    outcome, watcher = measure(tmp_path)
    assert len(watcher.problems) == 1
    assert said in watcher.problems[0]
    assert "\n" not in watcher.problems[0]
    assert outcome.journal.entries[0].computed == 2


def test_an_error_of_a_metric_is_one_problem_and_the_other_measures_are_kept(
    tmp_path: Path, register: Callable[..., None]
) -> None:
    def score(evidence: Evidence) -> Score:
        if evidence.reference.shape[1] == 600:  # coffee
            raise RuntimeError("the window does not fit")
        return 1.0

    register(toy_metric("toy", score))
    outcome, watcher = measure(tmp_path, suite=TABLE4.with_columns(["toy"]))
    assert watcher.problems == ["Bicubic on Sample/coffee: toy@v1: RuntimeError: the window does not fit"]
    table = build_table(TABLE4.with_columns(["toy"]), tmp_path)
    assert table.cell("Bicubic", "Sample", "psnr_y").value is not None
    toy = table.cell("Bicubic", "Sample", "toy@v1")
    assert (toy.verdict, toy.value and toy.value.n) == ("partial", 2)
    assert len(outcome.problems) == 1


@pytest.mark.parametrize("score", [float("nan"), [1.0, 2.0, 3.0], []])
def test_a_metric_that_gives_no_number_is_named(score: Score, tmp_path: Path, register: Callable[..., None]) -> None:
    register(toy_metric("toy", lambda evidence: score))
    _, watcher = measure(tmp_path, suite=TABLE4.with_columns(["toy"]), limit=1)
    assert len(watcher.problems) == 1
    assert "toy@v1: expected one number" in watcher.problems[0]


def test_a_metric_that_does_not_apply_is_no_problem(tmp_path: Path, register: Callable[..., None]) -> None:
    register(toy_metric("toy", lambda evidence: NotApplicable("under 96 pixels")))
    outcome, watcher = measure(tmp_path, suite=TABLE4.with_columns(["toy"]))
    assert not outcome.problems
    cell = build_table(TABLE4.with_columns(["toy"]), tmp_path).cell("Bicubic", "Sample", "toy@v1")
    assert cell.reason == "not applicable: under 96 pixels"
    assert watcher.computed == IMAGES
    _, watcher = measure(tmp_path, suite=TABLE4.with_columns(["toy"]))
    assert not watcher.computed  # that is known now


def test_a_metric_without_its_weights_is_a_reason_and_the_rest_runs(
    tmp_path: Path, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCFLOW_WEIGHTS", str(tmp_path))
    register(toy_metric("toy", lambda evidence: 1.0, weights=lambda _: ("LPIPS_alex",)))
    outcome, _ = measure(tmp_path / "out", suite=TABLE4.with_columns(["toy"]))
    assert not outcome.problems
    table = build_table(TABLE4.with_columns(["toy"]), tmp_path / "out")
    assert table.cell("Bicubic", "Sample", "psnr_y").value is not None
    assert table.cell("Bicubic", "Sample", "toy@v1").reason.startswith("needs weights LPIPS_alex: python -m bench wei")


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda handle, written: len(written) // 2)
    with pytest.raises(StorageError, match="is the disk full"):
        measure(tmp_path)


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = Bicubic.restore

    def restore(self, *arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Bicubic, "restore", restore)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path)
    monkeypatch.undo()
    cell = build_table(TABLE4, tmp_path).cell("Bicubic", "Sample", "psnr_y")
    assert cell.value is not None  # of a run that has not ended
    _, watcher = measure(tmp_path)
    assert next(cached for _, cached in watcher.images)
    assert len(watcher.computed) <= 2


@pytest.mark.parametrize(("result", "got"), [(torch.zeros(1, 3, 5, 5), r"(1, 3, 5, 5)"), (None, "not finite")])
def test_a_method_that_misbehaves_is_named(
    result: torch.Tensor | None, got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore(self, lr, temperature, seeds):  # type: ignore[no-untyped-def]
        return torch.full((1, lr.shape[0], 4 * lr.shape[1], 4 * lr.shape[2]), torch.nan) if result is None else result

    monkeypatch.setattr(Bicubic, "restore", restore)
    _, watcher = measure(tmp_path, limit=1)
    assert len(watcher.problems) == 1
    assert "expected finite images of shape (1, " in watcher.problems[0]
    assert got in watcher.problems[0]


class Noise(Bicubic):
    """Draws."""

    seeds: list[int] = []  # noqa: RUF012 - shared with the test

    def restore(self, lr: torch.Tensor, temperature: float, seeds: Sequence[int]) -> torch.Tensor:
        Noise.seeds += seeds
        size = (3, 4 * lr.shape[1], 4 * lr.shape[2])
        noise = torch.stack([torch.randn(size, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
        return super().restore(lr, temperature, seeds) + 0.01 * temperature * noise


def noise_entry(**options: object) -> MethodEntry:
    about = {"title": "Noise", "kind": "SR", "scales": (), "paper": "", "module": "bench.methods.bicubic", **options}
    return MethodEntry(name="noise", stochastic=True, build=lambda scale, **_: Noise(scale), **about)  # type: ignore[arg-type]


def test_every_draw_is_kept_and_seeded_by_what_it_is(tmp_path: Path, register: Callable[..., None]) -> None:
    register(noise_entry())
    Noise.seeds.clear()
    row = Row("Noise", "noise", temperature=1.0)
    suite = replace(TABLE4, rows=(row,))
    measure(tmp_path, suite=suite, rows=[row], limit=1)
    (image,) = build_table(suite, tmp_path).cell("Noise", "Sample", "psnr_y").images
    assert len(image.common) == len(set(image.common)) == 5
    seeds = Seeds("table4", "noise", IMAGES[0], 1.0)
    assert Noise.seeds == [seeds.draw(number) for number in range(5)]


def test_a_column_may_set_its_own_temperature_and_zero_is_one_draw(
    tmp_path: Path, register: Callable[..., None]
) -> None:
    register(noise_entry())
    row = Row("Noise", "noise", temperature=0.0)
    columns = (TABLE4.columns[0], replace(TABLE4.columns[1], temperature=0.5))
    suite = replace(TABLE4, rows=(row,), columns=columns)
    measure(tmp_path, suite=suite, rows=[row], limit=1)
    table = build_table(suite, tmp_path)
    psnr, ssim = (table.cell("Noise", "Sample", column.id) for column in columns)
    assert (len(psnr.images[0].common), psnr.temperature) == (1, 0.0)
    assert (len(ssim.images[0].common), ssim.temperature) == (5, 0.5)
    assert psnr.key != ssim.key


def test_metrics_see_what_they_ask_for(tmp_path: Path, register: Callable[..., None]) -> None:
    seen: list[Evidence] = []

    class Flow(Noise):
        parameters = 7
        how = "2 tiles"

        def encode_lr(self, hr, seed):  # type: ignore[no-untyped-def]
            self.asked = seed
            return torch.full((3, hr.shape[0] // 4, hr.shape[1] // 4), 0.25)

        def bits_per_pixel(self, hr, lr, seed):  # type: ignore[no-untyped-def]
            assert lr.shape == (3, hr.shape[0] // 4, hr.shape[1] // 4)
            return 3.5

    def score(evidence: Evidence) -> Score:
        seen.append(evidence)
        return 1.0

    needs = frozenset({"own_lr", "bits_per_pixel"})
    register(
        replace(noise_entry(), build=lambda scale, **_: Flow(scale)),
        toy_metric("toy", score, needs=needs),
        toy_metric("plain", score),
    )
    row = Row("Noise", "noise", temperature=0.7)
    for name in ("plain", "toy"):
        suite = replace(TABLE4, rows=(row,), columns=()).with_columns([name])
        measure(tmp_path / name, suite=suite, rows=[row], limit=1)
    plain, toy = seen
    assert plain.own_lr is None
    assert "bits_per_pixel" not in plain.facts
    assert toy.own_lr is not None
    assert float(toy.own_lr.mean()) == 0.25
    assert {"seconds", "parameters", "bits_per_pixel", "deterministic"} <= toy.facts.keys()
    assert (toy.facts["parameters"], toy.facts["bits_per_pixel"], toy.facts["deterministic"]) == (7.0, 3.5, 0.0)
    assert len(toy.draws) == 5
    assert toy.bicubic_lr.shape == (100, 150, 3)
    cell = build_table(suite, tmp_path / "toy").cell("Noise", "Sample", "toy@v1")
    assert cell.remarks == ("large images were restored in parts: 2 tiles",)


def test_seeds_depend_on_each_of_their_parts() -> None:
    parts = ("table4", "hcflow", "baby", 0.9)
    others = [("table2", *parts[1:]), ("table4", "irn", *parts[2:]), (*parts[:2], "bird", 0.9), (*parts[:3], 0.8)]
    seeds = {Seeds(*one).draw(0) for one in [parts, *others]} | {Seeds(*parts).draw(1), Seeds(*parts).encode}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert Seeds(*parts).encode == Seeds(*parts[:3], 0.0).encode


def test_weights_that_do_not_fit_are_one_problem_for_all_images(tmp_path: Path, register: Callable[..., None]) -> None:
    def build(scale: int, **_: object) -> Bicubic:
        raise BenchError("expected a network for x4, got one for x8")

    register(replace(noise_entry(), build=build))
    row = Row("Noise", "noise")
    _, watcher = measure(tmp_path, suite=replace(TABLE4, rows=(row,)), rows=[row])
    assert watcher.problems == [f"Noise on Sample/{IMAGES[0]}: expected a network for x4, got one for x8"]


def test_rows_that_cannot_run_are_not_counted(tmp_path: Path) -> None:
    rows = TABLE4.select(["Bicubic", "TAD & TAU"])
    outcome, watcher = measure(tmp_path, rows=rows, limit=1)
    assert watcher.planned == (1, 1)
    assert outcome.ran == 1
    entry = next(entry for entry in outcome.journal.entries if entry.row == "TAD & TAU")
    assert entry.state == "not run"
    assert entry.reason


def test_the_journal_says_what_ran_where(tmp_path: Path) -> None:
    outcome, _ = measure(tmp_path, limit=1)
    content = json.loads(outcome.journal.path.read_text())
    assert content["command"] == {
        "rows": ["Bicubic"], "datasets": ["Sample"], "limit": 1, "also": [], "own_rows": [],
    }  # fmt: skip
    assert {"commit", "dirty", "versions", "device", "processor", "python"} <= set(content["provenance"])
    assert content["finished"]
    assert content["seconds"] > 0
    assert content["entries"][0]["finished"] >= content["entries"][0]["started"]
    assert set(content["entries"][0]["pixels"]) == {IMAGES[0]}


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_DATA" not in os.environ, reason="needs HCFLOW_DATA with BSD100")
def test_fifty_kills_inside_the_measuring_of_bsd100(tmp_path: Path) -> None:
    """Nothing is lost or measured twice, wherever the kill strikes."""
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "bench", "run", "--table", "4", "--method", "Bicubic", "--dataset", "BSD100"]

    def lines() -> int:
        return sum(path.read_bytes().count(b"\n") - 1 for path in out.glob("records/*/*.jsonl"))

    for kill in range(50):
        process = subprocess.Popen([*command, "--out", str(out)], stdout=-3, stderr=-3)
        before, deadline = lines(), time.monotonic() + 120
        while lines() < before + 2 + kill % 3 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.003 * (kill % 7))
        process.kill()
        process.wait()
    after, _ = measure(out, datasets=["BSD100"])
    straight, _ = measure(tmp_path / "straight", datasets=["BSD100"])
    assert values(out, after) == values(tmp_path / "straight", straight)
    seen = [
        (record.image, digest)
        for entry in after.journal.entries
        for one in entry.restored
        for record in store.records(out, one.digest)
        for digest in record.values
    ]
    assert len(seen) == len(set(seen)) == 100 * 4  # no measure of an image was recorded twice
