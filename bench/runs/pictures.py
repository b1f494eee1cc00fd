"""The images behind a table's numbers, for looking at: those that a run kept, else restored now in the same way.

Either way they are checked: they are scored again, and the scores compared with the records'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from bench.datasets import local
from bench.datasets.manifest import ImageEntry, Manifest
from bench.errors import BenchError
from bench.methods.method import METHODS, Method, build_method
from bench.metrics.metric import Evidence, Measure, NotApplicable
from bench.metrics.views import Values, eight_bits
from bench.records import store
from bench.records.tables import Cell, Table
from bench.runs.kept import KeptImages
from bench.runs.planning import FILES, Task, measure_faults, measure_files, tasks, weight_digests, weight_files, why_not
from bench.runs.precision import arithmetic
from bench.runs.restoration import Restored, Restorer, Seeds
from bench.runs.scoring import FAULTS, checked
from bench.runs.specifications import restoration_of
from bench.suites.suite import Row, Suite
from hcflow.images.io import Pixels, to_rgb
from hcflow.images.matlab_resize import imresize, mod_crop

_CHECKED = ("psnr", "ssim")
"""The metrics that a restored image is compared with its record by: quick, and sensitive to every pixel."""


@dataclass(frozen=True)
class Original:
    """An image of a data set, and what every row sees of it.

    Attributes:
        dataset: name.
        image: id.
        scale: HR size over LR size.
        hr: uint8 (H, W, 3), cropped to a multiple of the scale.
        lr: uint8 (h, w, 3): MATLAB's bicubic of it.
        bicubic: uint8 (H, W, 3): MATLAB's bicubic of that.
        pixels: digest of the HR pixels as they are read.
        grey: whether the data set says that it has one channel.
    """

    dataset: str
    image: str
    scale: int
    hr: Pixels
    lr: Pixels
    bicubic: Pixels
    pixels: str
    grey: bool

    @classmethod
    def read(cls, manifest: Manifest, entry: ImageEntry, scale: int) -> Original:
        """From the data set.

        Raises:
            BenchError, ImageError: it is not there, or is another image.
        """
        image = local.read_hr(manifest, entry)
        hr = mod_crop(to_rgb(image), scale)
        lr = imresize(hr, 1 / scale)
        grey = image.ndim == 2
        return cls(manifest.name, entry.id, scale, hr, lr, imresize(lr, scale), local.pixel_digest(image), grey)

    @property
    def reference(self) -> Pixels:
        """HR as metrics see it: one channel where the data set says so."""
        return self.hr[:, :, 0] if self.grey else self.hr


@dataclass(frozen=True)
class Picture:
    """What a row made of an image.

    Attributes:
        row: its name.
        draws: uint8 (H, W, 3), one or more.
        scores: column id -> a value per draw shown, from the records; measured now where there is no record.
        origin: kept by a run, or restored now.
        check: what came of comparing its scores with the record's.
        agrees: whether they agree in the printed digits; also where there was nothing to compare with.
        temperature: of the draws.
        stochastic: whether the row draws.
        own_lr: whether it restores an LR image that it made itself.
        values: the draws in [0, 1], not rounded where they were restored now.
    """

    row: str
    draws: tuple[Pixels, ...]
    scores: Mapping[str, tuple[float, ...]]
    origin: str
    check: str
    agrees: bool
    temperature: float
    stochastic: bool
    own_lr: bool = False
    values: tuple[Values, ...] = field(repr=False, default=())


@dataclass
class Gallery:
    """The pictures of a table's rows; a method is built once however many images it restores.

    Attributes:
        table: with the records' values.
        out: results folder.
        device: where methods work.
    """

    table: Table
    out: Path
    device: torch.device
    _methods: dict[str, Method] = field(default_factory=dict)

    def picture(self, row: Row, original: Original, draws: int) -> Picture:
        """What a row made of an image, as many draws as it has, `draws` at most.

        Raises:
            BenchError: it was not kept and cannot be restored here, or the record is of another image.
        """
        cell = self._cell(row, original.dataset)
        recorded = self._recorded(cell, original)
        kept = KeptImages(self.out, cell.key).load(original.image, original.pixels, []) if cell.key else None
        task = self._task(row, cell)
        stochastic = task.draws > 1 or task.temperature > 0
        if kept is not None:
            restored, origin = kept, f"kept by a run, images/{cell.key[:12]}"
        else:
            restored, origin = self._restore(row, task, cell, original, min(draws, task.draws))
        shown = restored.draws[:draws]
        found = self._scores(cell, original, restored, shown)
        scores, check, agrees = _compared(self._columns(cell), recorded, found, len(shown))
        pixels = tuple(to_rgb(eight_bits(draw)) for draw in shown)
        return Picture(
            row.name, pixels, scores, origin, check, agrees, task.temperature, stochastic, restored.makes_lr, shown
        )

    def _cell(self, row: Row, dataset: str) -> Cell:
        """The row's first cell with a value, else its first."""
        cells = self._columns_of(row.name, dataset)
        return next((cell for cell in cells if cell.key), cells[0])

    def _columns(self, cell: Cell) -> list[Cell]:
        """The cells of the row on the data set whose values are of the same restoration."""
        return [one for one in self._columns_of(cell.row, cell.dataset) if one.key == cell.key]

    def _columns_of(self, row: str, dataset: str) -> list[Cell]:
        if dataset not in self.table.datasets:
            raise BenchError(f"expected a data set with results ({', '.join(self.table.datasets)}), got {dataset}")
        return [self.table.cell(row, dataset, column.id) for column in self.table.suite.columns]

    def _recorded(self, cell: Cell, original: Original) -> dict[str, tuple[float, ...]]:
        """Column id -> the recorded value per draw of this image."""
        if not cell.key:
            return {}
        known = store.read(self.out, cell.key).get(original.image)
        if known is not None and known.pixels != original.pixels:
            raise BenchError(
                f"expected the image {original.image} of {original.dataset} that was measured, got other pixels; "
                "run the table again"
            )
        values = {}
        for one in self._columns(cell):
            image = next((image for image in one.images if image.id == original.image), None)
            if image is not None:
                values[one.column] = image.common
        return values

    def _task(self, row: Row, cell: Cell) -> Task:
        """How the row is restored under the table's common protocol."""
        if row.method == FILES:
            measure = Measure.parse(cell.protocol)
            return Task(row.settings, measure.variant.input, cell.temperature, 1, (measure,))
        suite, entry = self.table.suite, METHODS.find(row.method)
        wanted = cell.temperature if entry.stochastic else 0.0
        return next(
            task
            for task in tasks(suite, row, entry)
            if task.temperature == wanted and cell.protocol in {measure.id for measure in task.measures}
        )

    def _restore(self, row: Row, task: Task, cell: Cell, original: Original, draws: int) -> tuple[Restored, str]:
        if reason := why_not(row):
            raise BenchError(f"{row.name}: no restored image was kept, and it cannot be restored now: {reason}")
        suite, entry = self.table.suite, METHODS.find(row.method)
        made = restoration_of(suite, row, entry, task, original.dataset, weight_digests(row), self.device)
        same = store.digest_of(made) == cell.key
        restorer = Restorer(
            self._method(row, task, suite), suite.scale, task.input, task.temperature, draws, self.device,
            not entry.stochastic,
        )  # fmt: skip
        seeds = Seeds(suite.name, entry.name, original.image, task.temperature)
        with arithmetic(row.precision):
            restored = restorer.restore(original.reference, seeds, frozenset())
        which = "the record's own digest" if same else "other code, versions or device than the record's"
        return restored, f"restored now with the same weights and seeds ({which if cell.key else 'no record'})"

    def _method(self, row: Row, task: Task, suite: Suite) -> Method:
        if row.name not in self._methods:
            entry = METHODS.find(row.method)
            self._methods[row.name] = build_method(
                entry, suite.scale, task.settings, weight_files(row), self.device, row.precision
            )
        return self._methods[row.name]

    def _scores(
        self, cell: Cell, original: Original, restored: Restored, shown: Sequence[Values]
    ) -> dict[str, tuple[float, ...]]:
        """Column id -> the value per draw, measured now: what is quick, or everything where there is no record."""
        evidence = Evidence(tuple(shown), original.scale, original.reference, restored.lr, None, restored.facts)
        found = {}
        for one in self._columns(cell):
            measure = Measure.parse(one.protocol)
            quick = measure.metric in _CHECKED and measure.of.eight_bit(measure.variant)
            if not (quick or not cell.key) or measure.of.needs or measure_faults([measure]):
                continue
            try:
                value = checked(measure.open(measure_files(measure), self.device)(evidence), evidence)
            except FAULTS:
                continue  # too small for it, for example: then it has no record either
            if not isinstance(value, NotApplicable):
                found[one.column] = value
        return found


def _compared(
    cells: Sequence[Cell], recorded: Mapping[str, tuple[float, ...]], found: Mapping[str, tuple[float, ...]], draws: int
) -> tuple[dict[str, tuple[float, ...]], str, bool]:
    """(scores to show, what the comparison said, whether they agree in the printed digits)."""
    if not recorded:
        return dict(found), "no record to compare with: scored now", True
    scores = {name: values[:draws] if len(values) > 1 else values for name, values in recorded.items()}
    both = [cell for cell in cells if cell.column in found and cell.column in recorded]
    if not both:
        return scores, "not compared: no PSNR or SSIM in the records", True
    said, agrees = [], True
    for cell in both:
        off = max(_off(a, b) for a, b in zip(scores[cell.column], found[cell.column], strict=False))
        right = off <= 0.5 * 10**-cell.decimals
        agrees = agrees and right
        exactly = "equals the record's" if off == 0 else f"off the record's by {off:.2g}"
        said.append(f"{cell.title} {exactly}" + ("" if right else ", which shows in its digits"))
    return scores, "; ".join(said), agrees


def _off(a: float, b: float) -> float:
    return 0.0 if a == b else float(np.abs(np.float64(a) - np.float64(b)))
