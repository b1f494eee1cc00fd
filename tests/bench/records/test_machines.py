"""What other machines change counts towards a verdict, and what other code changes does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tables_helper import PIXELS, PROVENANCE, TABLE4

from bench.records.journal import Entry, Journal, Restored
from bench.records.store import Writer
from bench.records.tables import Cell, build_table

MEASURE = "psnr@y,crop4,u8"


def rrdb(out: Path, value: float, images: int = 5, **about: object) -> None:
    """A run of table 4's EDSR on Set5; the paper prints 32.62."""
    specification = {"draws": 1, "device": "cpu", "packages": {"torch": "2"}, "code": "a", **about}
    provenance = {**PROVENANCE, **{k: v for k, v in about.items() if k in ("commit", "dirty")}}
    for key in ("commit", "dirty"):
        specification.pop(key, None)
    journal = Journal.begin(out, "table4", {}, provenance)
    seen = dict.fromkeys([str(i) for i in range(images)], PIXELS)
    with Writer(out, journal.run, specification) as writer:
        for image in seen:
            writer.append(image, PIXELS, {f"psnr on {specification['device']}": (value,)}, {})
    measures = {MEASURE: f"psnr on {specification['device']}"}
    restored = Restored(writer.restoration, 0.0, 1, measures, deterministic=True)
    journal.note(Entry("EDSR", "Set5", "done", total=5, restored=(restored,), pixels=seen))
    journal.end(1.0)


def cell(out: Path) -> Cell:
    return build_table(TABLE4, out).cell("EDSR", "Set5", "psnr_y")


def test_the_same_code_on_another_device_is_allowed_for(tmp_path: Path) -> None:
    rrdb(tmp_path, 32.6151, device="cuda A GPU")
    rrdb(tmp_path, 32.6149)  # rounds to 32.61; the published 32.62 would need 32.615
    found = cell(tmp_path)
    assert found.published == "32.62"
    assert found.tolerance is not None
    assert found.tolerance.machines == pytest.approx(0.0002)
    assert found.verdict == "matches"
    assert str(found.tolerance) == "32.615 to 32.63 is printed so, ± 0.0002 for other machines"


@pytest.mark.parametrize(
    "about",
    [
        {"code": "b"},
        {"device": "cuda A GPU", "commit": "another"},
        {"device": "cuda A GPU", "dirty": True},
        {"device": "cuda A GPU", "images": 4},
        {"packages": {"torch": "2"}},  # the same restoration: nothing else
    ],
)
def test_what_is_no_other_machine_is_not(tmp_path: Path, about: dict[str, object]) -> None:
    rrdb(tmp_path, 32.5, **about)  # type: ignore[arg-type]
    rrdb(tmp_path, 32.6149)
    found = cell(tmp_path)
    assert found.tolerance is not None
    assert (found.tolerance.machines, found.verdict) == (0.0, "differs")
