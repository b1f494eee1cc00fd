"""The viewer's data: what is embedded, what is linked, and what is left out."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from safetensors.numpy import save_file

from bench.datasets.manifest import load_manifest, manifest_names
from bench.records.tables import Image
from bench.report import viewer
from bench.report.viewer import Album, may_be_copied, viewer_data
from bench.runs.kept_files import HEADER, KeptFiles
from bench.runs.references import own_paths, shared_paths
from bench.suites.reading import load_suite

TEMPLATES = Path(viewer.__file__).parent / "templates"
PIXELS = "ab" * 32
RNG = np.random.default_rng(3)


def png(path: Path, shape: tuple[int, ...] = (16, 24, 3)) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, np.uint8)
    Picture.fromarray(pixels).save(path)
    return pixels


def keep(out: Path, key: str, image: str, draws: int, makes_lr: bool = False) -> list[np.ndarray]:
    """Kept files, and what is made of them, as a run and a first report leave them."""
    folder = out / "images" / key
    names = [f"{image}.png"] if draws == 1 else [f"{image}-{number}.png" for number in range(draws)]
    made = [png(folder / name) for name in names]
    header = {"pixels": PIXELS, "draws": draws, "makes_lr": makes_lr, "how": "", "facts": {}}
    save_file({"lr": np.zeros((4, 6, 3))}, folder / f"{image}.safetensors", {HEADER: json.dumps(header)})
    for path in own_paths(KeptFiles(tuple(folder / name for name in names), PIXELS, makes_lr), image).values():
        png(path)
    return made


@pytest.fixture
def table(table_maker, tmp_path):
    """Table 4 with Bicubic and a row of three draws on Sample and Set5; both kept."""
    suite = load_suite("table4")
    one, three = [Image("bird", (28.0,), (28.0,))], [Image("bird", (36.0, 36.1, 36.2), (36.0, 36.1, 36.2))]
    plan = {}
    for dataset in ("Set5", "Sample"):
        plan |= {("RRDB", dataset, "psnr_y"): {"images": one}, ("HCFlow", dataset, "psnr_y"): {"images": three}}
    made = table_maker(suite, tmp_path, plan, (*suite.datasets, "Sample"))
    from dataclasses import replace

    cells = tuple(replace(cell, key=f"{cell.row}-{cell.dataset}") if cell.key else cell for cell in made.cells)
    made = replace(made, cells=cells)
    for dataset in ("Set5", "Sample"):
        keep(tmp_path, f"RRDB-{dataset}", "bird", 1)
        keep(tmp_path, f"HCFlow-{dataset}", "bird", 3, makes_lr=True)
        for path in shared_paths(tmp_path, dataset, "bird", PIXELS, 4).values():
            png(path)
    return made


def test_the_layers_of_an_image_in_order_with_their_scores(table, tmp_path):
    data = viewer_data(table, tmp_path, tmp_path / "site")
    assert list(data["images"]) == ["Set5/bird", "Sample/bird"]
    shown = data["images"]["Set5/bird"]
    assert (shown["width"], shown["height"]) == (24, 16)
    assert [layer["name"] for layer in shown["layers"]] == [
        "LR (bicubic)",
        "Bicubic",
        "RRDB",
        "LR of HCFlow",
        "HCFlow, draw 1",
        "HCFlow, draw 2",
        "HCFlow, draw 3",
        "HCFlow, deviation over 3 draws",
        "HR",
    ]
    said = {layer["name"]: layer["said"] for layer in shown["layers"]}
    assert said["RRDB"] == "PSNR (Y) 28.00 dB"
    assert said["HCFlow, draw 2"] == "PSNR (Y) 36.10 dB"
    assert said["HR"] == ""
    assert [layer["name"] for layer in shown["layers"] if layer["sr"]] == [
        "RRDB",
        *(f"HCFlow, draw {n}" for n in (1, 2, 3)),
    ]


def test_only_what_may_be_passed_on_is_embedded(table, tmp_path):
    images = viewer_data(table, tmp_path, tmp_path / "site")["images"]
    for layer in images["Set5/bird"]["layers"]:
        assert layer["src"].startswith("../images/")
        assert (tmp_path / "site" / layer["src"]).resolve().is_file()
    for layer in images["Sample/bird"]["layers"]:
        kind, data = layer["src"].split(",", 1)
        assert kind == "data:image/webp;base64"
        assert Picture.open(io.BytesIO(base64.b64decode(data))).size in {(24, 16)}


def test_an_embedded_picture_is_the_picture(table, tmp_path):
    layer = viewer_data(table, tmp_path, tmp_path)["images"]["Sample/bird"]["layers"][2]
    shown = Picture.open(io.BytesIO(base64.b64decode(layer["src"].split(",")[1])))
    kept = Picture.open(tmp_path / "images/RRDB-Sample/bird.png")
    assert np.array_equal(np.asarray(shown.convert("RGB")), np.asarray(kept))


def test_the_switch(table, tmp_path):
    def sources(pictures):
        images = viewer_data(table, tmp_path, tmp_path, pictures)["images"]
        return {layer["src"][:5] == "data:" for image in images.values() for layer in image["layers"]}

    assert sources("embed") == {True}
    assert sources("link") == {False}
    assert viewer_data(table, tmp_path, tmp_path, "none") == {"images": {}}


def test_a_page_does_not_grow_without_end(table, tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "_BUDGET", 1)
    layers = viewer_data(table, tmp_path, tmp_path, "embed")["images"]["Set5/bird"]["layers"]
    assert [layer["src"][:5] == "data:" for layer in layers] == [True] + [False] * 8


def test_links_can_hold_any_name(tmp_path):
    path = tmp_path / "results/images/a b#c?d%/x.png"
    png(path)
    source = Album("link", tmp_path / "site").source(path, "Set5")
    assert source == "../results/images/a%20b%23c%3Fd%25/x.png"
    assert Album("none", tmp_path).source(path, "Set5") is None
    assert Album("embed", tmp_path).source(tmp_path / "gone.png", "Set5") is None


def test_without_kept_images_there_is_nothing_to_view(mixed, tmp_path):
    assert viewer_data(mixed, tmp_path, tmp_path) == {"images": {}}


def test_licences_decide_what_may_be_passed_on():
    assert [name for name in manifest_names() if may_be_copied(load_manifest(name))] == ["Sample"]


def test_the_script_finds_what_the_page_has():
    script = (TEMPLATES / "viewer.js").read_text(encoding="utf-8")
    page = (TEMPLATES / "viewer.html").read_text(encoding="utf-8")
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'getElementById\("([^"]+)"\)', script)) <= ids
    actions = set(re.findall(r'data-do="(\w+)"', page))
    listed = script.split("const actions = {")[1].split("\n  };")[0]
    assert actions == set(re.findall(r"^    (\w+)[:,]", listed, re.M))
