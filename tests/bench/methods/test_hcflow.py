"""HCFlow as a row: its own LR images, seeded draws, weights that ship, rows that the paper does not have."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import model

from bench.__main__ import main
from bench.errors import BenchError
from bench.methods.hcflow import METHOD, Rescaling, SuperResolution
from bench.methods.method import Downscaler, Encoder, Likelihood, build_method
from bench.records import store
from bench.records.journal import Entry, Restored
from bench.records.tables import Table, build_table, cells_of
from bench.report.grid import build_grid
from bench.report.html import render_html
from bench.report.latex import render_latex
from bench.report.machine import render_json
from bench.report.markdown import render_markdown
from bench.report.text import render_text
from bench.runs import runner
from bench.runs.code import closure
from bench.runs.images import Job
from bench.runs.thumbnails import lr_path
from bench.suites import reading
from bench.suites.reading import load_suite
from bench.suites.suite import Row
from bench.weights import entries as weights
from bench.weights.acquire import import_file
from bench.weights.entries import WeightEntry, weight_entries
from hcflow import trained
from hcflow.checkpoint import save
from hcflow.images.tensors import to_pixels, to_tensor
from hcflow.model import bits_per_pixel, quantise

CPU = torch.device("cpu")


def tiny(preset):
    """A small network with weights that do something."""
    return model(preset, torch.float32)


@pytest.fixture
def checkpoint(tmp_path):
    def make(preset):
        path = tmp_path / f"{preset}.safetensors"
        save(tiny(preset), path)
        return path

    return make


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 24, 3), dtype=np.uint8)


def test_rescaling_makes_its_own_8_bit_lr_and_restores_it(checkpoint, picture):
    method = build_method(METHOD, 4, {"task": "rescaling"}, [checkpoint("rescale_x4")], CPU)
    assert isinstance(method, Rescaling)
    assert isinstance(method, Downscaler)
    network = tiny("rescale_x4")
    with torch.no_grad():
        expected_lr = quantise(network.downscale(to_tensor(picture)))
        lr = method.downscale(picture)
        torch.testing.assert_close(lr[None], expected_lr, rtol=0, atol=1e-6)
        expected = network.decode(lr[None], 1.0, generator=torch.Generator().manual_seed(5))[0]
    (draw,) = method.restore(lr, 1.0, [5])
    torch.testing.assert_close(draw, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(quantise(method.encode_lr(picture, 0)), lr, rtol=0, atol=0)


def test_super_resolution_restores_the_lr_it_is_given(checkpoint):
    method = build_method(METHOD, 4, {}, [checkpoint("sr_x4")], CPU)
    assert isinstance(method, SuperResolution)
    assert not isinstance(method, Downscaler)
    lr = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    draws = method.restore(lr, 0.9, [1, 1, 2])
    assert draws.shape == (3, 3, 20, 28)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    one_by_one = torch.cat([method.restore(lr, 0.9, [seed]) for seed in (1, 1, 2)])
    assert torch.equal(draws, one_by_one)  # bit for bit
    mode = method.restore(lr, 0.0, [1, 2])
    assert torch.equal(mode[0], mode[1])


def test_super_resolution_encodes_with_its_own_noise_and_says_how_likely_an_image_is(checkpoint, picture):
    method = build_method(METHOD, 4, {}, [checkpoint("sr_x4")], CPU)
    assert isinstance(method, Encoder)
    assert isinstance(method, Likelihood)
    own = [method.encode_lr(picture, seed) for seed in (1, 1, 2)]
    assert own[0].shape == (3, 10, 6)
    assert torch.equal(own[0], own[1])
    assert not torch.equal(own[0], own[2])
    network = tiny("sr_x4")
    lr = to_tensor(picture[::4, ::4].copy())
    with torch.no_grad():
        noise = torch.Generator().manual_seed(7)
        expected = bits_per_pixel(network.log_likelihood(to_tensor(picture), lr, generator=noise), picture.size // 3)
    assert method.bits_per_pixel(picture, lr[0], 7) == pytest.approx(float(expected), rel=1e-5)


def test_weights_that_do_not_fit_are_one_line(checkpoint, tmp_path):
    with pytest.raises(BenchError, match=r"expected a network for x4, got one for x8"):
        build_method(METHOD, 4, {}, [checkpoint("sr_x8")], CPU)
    with pytest.raises(BenchError, match="expected a network for super-resolution, got one for rescaling"):
        build_method(METHOD, 4, {}, [checkpoint("rescale_x4")], CPU)
    (tmp_path / "foreign.pth").write_bytes(b"nothing")
    with pytest.raises(BenchError, match=r"foreign.pth: expected a checkpoint .* got a file of another kind"):
        build_method(METHOD, 4, {}, [tmp_path / "foreign.pth"], CPU)
    with pytest.raises(BenchError, match="expected one file of weights, got 2"):
        build_method(METHOD, 4, {}, [tmp_path / "a", tmp_path / "b"], CPU)
    singular = tiny("sr_x4")
    with torch.no_grad():
        next(parameter for parameter in singular.parameters() if parameter.ndim == 2).zero_()
    save(singular, tmp_path / "singular.safetensors")
    with pytest.raises(BenchError, match=r"singular.safetensors: expected a 1x1 convolution with condition number"):
        build_method(METHOD, 4, {}, [tmp_path / "singular.safetensors"], CPU)


@pytest.fixture
def trained_row(checkpoint, tmp_path, monkeypatch):
    """Table 4 with one more row, whose weights ship."""
    path = checkpoint("rescale_x4")
    monkeypatch.setattr(trained, "FOLDER", tmp_path)
    entry = WeightEntry("tiny", path.name, "test", "none", shipped=True)
    monkeypatch.setattr(weights, "weight_entries", lambda: {"tiny": entry})
    describe = {"downscaling": "HCFlow", "upscaling": "HCFlow", "params": "0.01M"}
    settings = {"task": "rescaling"}
    row = Row("HCFlow (ours, 3 steps)", "hcflow", settings, describe=describe, needs=("tiny",), temperature=1.0)
    whole = load_suite("table4")
    table = replace(whole, rows=(whole.rows[0], whole.rows[-1], row))
    return table, row, path


class Quiet:
    def plan(self, *_):
        pass

    def row(self, *_):
        pass

    def image(self, *_):
        pass

    def problem(self, message):
        raise AssertionError(message)


def test_a_row_of_ours_is_measured_and_has_no_published_value(trained_row, tmp_path):
    table, row, _ = trained_row
    request = runner.Request(table, [row], ["Sample"], 1, CPU, tmp_path / "out")
    outcome = runner.run(request, Quiet(), lambda _: None)
    assert outcome.problems == ()
    built = build_table(table, tmp_path / "out")
    cell = built.cell(row.name, "Sample", "psnr_y")
    assert cell.verdict == "partial"
    assert cell.published is None
    assert len(cell.images[0].common) == 5  # draws
    assert len(set(cell.images[0].common)) == 5
    assert (cell.protocol, cell.temperature) == ("psnr@y,crop4,u8", 1.0)
    grid = build_grid(built)
    for text in (render_text(grid), render_markdown(grid), render_latex(grid)):
        assert "ours, 3 steps" in text
    assert "0.01M" in render_markdown(build_grid(built))
    again = runner.run(request, Quiet(), lambda _: None)
    (entry,) = again.journal.entries
    assert (entry.cached, entry.computed) == (1, 0)


def test_each_row_shows_the_lr_that_it_restored(trained_row, tmp_path):
    table, row, _ = trained_row
    out = tmp_path / "out"

    def lr_of(one):
        request = runner.Request(table, [one], ["Sample"], 1, CPU, out)
        runner.run(request, Quiet(), lambda _: None)
        cell = build_table(table, out).cell(one.name, "Sample", "psnr_y")
        return lr_path(out, cell.key, "Sample", cell.images[0].id, 4)

    bicubic = lr_of(table.rows[0])
    before = bicubic.read_bytes()
    own = lr_of(row)
    assert bicubic.read_bytes() == before
    assert own != bicubic
    assert own.read_bytes() != before


def test_the_digest_covers_how_a_file_becomes_weights():
    needed = {"hcflow.checkpoint", "hcflow.official", "hcflow.files", "hcflow.model", "hcflow.folded.decoder"}
    assert needed <= closure([METHOD.module])


def test_every_format_says_that_there_is_no_published_value(trained_row, tmp_path):
    table, row, _ = trained_row
    column = table.columns[0]
    out = tmp_path / "out"
    with store.Writer(out, "run", {"draws": 2}) as writer:
        writer.append("a", "0", {"digest": (30.0, 30.2)}, {})
    restored = Restored(writer.restoration, 1.0, 2, {column.measure.id: "digest"})
    cell = cells_of(table, row, out, Entry(row.name, "Set5", "done", total=1, restored=(restored,)))[0]
    assert (cell.verdict, cell.published, cell.difference) == ("no published value", None, None)
    built = Table(table, table.datasets, _with(table, cell, out), ())
    data = next(c for c in json.loads(render_json(build_grid(built))) if (c["row"], c["dataset"]) == (row.name, "Set5"))
    assert (data["published"], data["difference"], data["verdict"]) == (None, None, "no published value")
    assert data["value"] == pytest.approx(30.1)

    def line(text):
        return next(line for line in reversed(text.splitlines()) if row.name in line and "30.10" in line)

    assert line(render_text(build_grid(built), width=200)).split() == [
        *row.name.split(), "Set5", "PSNR", "(Y)", "↑", "-", "30.10", "no", "published", "value", "1/1",
    ]  # fmt: skip
    assert "| – | 30.1000&nbsp;<sup>a</sup> | the same | – | ○&nbsp;no&nbsp;published&nbsp;value |" in line(
        render_markdown(build_grid(built))
    )
    latex = render_latex(build_grid(built))
    assert r"params 0.01M" in latex
    assert r"measured & 30.1000\rlap{$^{\circ}$} &" in latex
    page = render_html(build_grid(built), tmp_path)
    assert '"facts":[["Paper","no value"],["Measured","30.1000 dB' in page
    sign = '<span class="symbol no-published-value" aria-hidden="true">○</span>'
    assert f'30.10{sign}<span class="hidden">no published value</span>' in page


def _with(table, measured, out):
    """Every cell of a table, of which one is measured."""
    cells = [
        cell
        for row in table.rows
        for dataset in table.datasets
        for cell in cells_of(table, row, out, Entry(row.name, dataset, "not run", "not run"))
    ]
    place = (measured.row, measured.dataset, measured.column)
    return tuple(measured if (c.row, c.dataset, c.column) == place else c for c in cells)


def test_other_weights_are_another_restoration(trained_row, tmp_path):
    table, row, path = trained_row

    def restorations():
        jobs = Job.of(table, row, "Sample", set(), CPU, tmp_path / "out", "run")
        return [job.writer.restoration for job in jobs]

    before = restorations()
    assert restorations() == before
    changed = tiny("rescale_x4")
    with torch.no_grad():
        next(changed.parameters()).add_(1e-3)
    save(changed, path)
    assert not set(before) & set(restorations())


def test_weights_that_do_not_fit_are_one_problem_for_all_images(trained_row, tmp_path):
    table, row, path = trained_row
    save(tiny("sr_x8"), path)
    problems = []

    class Listener(Quiet):
        def problem(self, message):
            problems.append(message)

    request = runner.Request(table, [row], ["Sample"], None, CPU, tmp_path / "out")
    assert len(runner.run(request, Listener(), lambda _: None).problems) == 1
    assert len(problems) == 1
    assert "expected a network for x4, got one for x8" in problems[0]


def test_what_ships_is_whole_and_what_it_says():
    for entry in weight_entries().values():
        if entry.shipped:
            assert entry.sha256
            assert weights.resolve(entry.id) == entry.path
            with pytest.raises(BenchError, match="come with this project"):
                import_file(entry.id, entry.path)


def test_rows_without_a_line_in_the_paper_describe_themselves():
    for name in reading.suite_names():
        table = load_suite(name)
        for row in table.rows:
            assert bool(row.key) != bool(row.describe), row.name
            assert set(table.describe) <= set(table.csv_line(row))


def test_the_command_line_lists_what_ships(capsys):
    assert main(["weights", "list", "--format", "json"]) == 0
    states = {entry["id"]: entry["state"] for entry in json.loads(capsys.readouterr().out)}
    assert {states[entry.id] for entry in weight_entries().values() if entry.shipped} <= {"shipped"}


def test_pixels_survive_the_way_to_the_network_and_back(picture):
    assert np.array_equal(to_pixels(to_tensor(picture)[0]), picture)
