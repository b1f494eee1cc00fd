"""A site of a table of DIV2K's size, from simulated records: what it weighs. Its time to open is in docs/results.md."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "records"))

from tables_helper import PIXELS, PROVENANCE

from bench.__main__ import main
from bench.records.journal import Entry, Journal, Restored
from bench.records.store import Writer
from bench.runs.thumbnails import save_thumbnails
from bench.suites.reading import load_suite
from bench.suites.suite import measures_of, temperature_of

pytestmark = pytest.mark.slow
ROWS, IMAGES, DRAWS = 10, 100, 5


def simulate(out: Path) -> None:
    """Records of 10 rows of table 2, with 100 images and 5 draws, and their thumbnails, as runs leave them."""
    from skimage import data

    suite = load_suite("2")
    rng = np.random.default_rng(0)
    photographs = [data.astronaut(), data.coffee(), data.chelsea()]
    names = [f"{number:04d}" for number in range(801, 801 + IMAGES)]
    for row in [row for row in suite.rows if row.temperature > 0][:3] + [
        row for row in suite.rows if row.temperature == 0
    ][: ROWS - 3]:
        draws = DRAWS if row.temperature else 1
        columns = [column for column in suite.columns if temperature_of(row, column) == row.temperature]
        digests = {measure.id: measure.id for column in columns for measure in measures_of(row, column)}
        journal = Journal.begin(out, suite.name, {}, PROVENANCE)
        with Writer(out, journal.run, {"draws": draws, "row": row.name, "dataset": "DIV2K"}) as writer:
            for name in names:
                values = {digest: tuple(rng.uniform(20, 30, draws)) for digest in digests.values()}
                for digest in values:
                    if digest.startswith("diversity"):
                        values[digest] = values[digest][:1]
                writer.append(name, PIXELS, values, {"seconds": 0.5})
        restored = Restored(writer.restoration, row.temperature, draws, digests, draws == 1)
        pixels = dict.fromkeys(names, PIXELS)
        journal.note(Entry(row.name, "DIV2K", "done", total=IMAGES, restored=(restored,), pixels=pixels))
        journal.end(1.0)
        for number, name in enumerate(names):
            image = np.roll(photographs[number % 3][:296, :400], 4 * number, axis=1)
            small = image[::4, ::4] / 255.0
            save_thumbnails(out, writer.restoration, "DIV2K", name, image, small, image / 255.0)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "results"
    simulate(folder)
    return folder


@pytest.mark.parametrize("pictures", ["embed", "link"])
def test_a_site_of_div2ks_size_stays_small(out: Path, tmp_path: Path, pictures: str) -> None:
    site = tmp_path / "site"
    assert main(["report", "--out", str(out), "--to", str(site), "--pictures", pictures]) == 0
    page = (site / "table2.html").read_text()
    assert "0801" in page
    assert "0900" in page
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 20_000_000
    assert ("data:image" in page) == (pictures == "embed")
    assert page.count(".webp") > 100 or pictures == "embed"
