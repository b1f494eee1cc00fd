"""How fast a training step is, and how much memory it takes, in each mode: every mode in a process of its own."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hcflow.data.cache import image_files, open_cache
from hcflow.errors import InputError
from hcflow.images.io import write_png
from hcflow.nets.dense import convolve
from hcflow.train.data import Batch, Patches, prefetched
from hcflow.train.processes import joined
from hcflow.train.recipe import Recipe
from hcflow.train.session import new_model
from hcflow.train.stage import PRECISIONS, ComputeOptions, Precision, StageTrainer, numeric_mode

__all__ = ["Timing", "convolution_peak", "measure", "modes_for"]


@dataclass(frozen=True)
class Timing:
    """One mode.

    Attributes:
        compute: of the mode.
        seconds: of each step, the images being there already.
        with_loader: of each step, the loader running beside it.
        peak_mib: most memory allocated on the GPU, or resident in the process.
        images: per step.
        threads: of the CPU.
        gigaflop: that the convolutions and matrix products of a step compute, recomputation included.
        peak: GFLOP/s of the fastest 3x3 convolution on this device in this precision.
    """

    compute: ComputeOptions
    seconds: tuple[float, ...]
    with_loader: tuple[float, ...]
    peak_mib: float
    images: int
    threads: int
    gigaflop: float
    peak: float

    @property
    def share(self) -> float:
        """Part of the peak that a step reaches, in percent."""
        return 100 * self.gigaflop / self.median / self.peak

    @property
    def median(self) -> float:
        """Seconds per step."""
        return statistics.median(self.seconds)

    @property
    def loader_ratio(self) -> float:
        """Step time with the loader over that without."""
        return statistics.median(self.with_loader) / self.median


def modes_for(device: str, compiled: bool, wanted: Sequence[Precision] | None = None) -> list[ComputeOptions]:
    """The modes that make sense on a kind of device.

    Args:
        device: cpu, cuda or mps.
        compiled: also with torch.compile.
        wanted: only these precisions; None: all.

    Raises:
        InputError: none of them makes sense there.
    """
    sensible = tuple(one for one in PRECISIONS if one != "tf32" or device == "cuda")
    precisions = tuple(one for one in sensible if wanted is None or one in wanted)
    if not precisions:
        raise InputError(
            f"--precision: expected one of {', '.join(sensible)} on {device}, got {' '.join(wanted or ())}"
        )
    modes = [ComputeOptions(precision, recompute) for recompute in (False, True) for precision in precisions]
    return modes + [replace(mode, compile=True) for mode in modes[: len(precisions)] if compiled]


def measure(
    recipe: Recipe, modes: Iterable[ComputeOptions], device: str, steps: int, folder: Path | None = None
) -> Iterator[Timing]:
    """Time the last stage of a recipe.

    Args:
        recipe: its batch and patch are used.
        modes: the modes, one after the other.
        device: see `joined`.
        steps: timed ones, after three that warm up.
        folder: images for the loader; None: made-up ones.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="hcflow-") as place:
        images = folder or _made_up(Path(place), recipe.stages[-1].patch)
        for compute in modes:
            mine, theirs = context.Pipe(duplex=False)
            arguments = (theirs, recipe, compute, device, steps, images, Path(place) / "cache")
            process = context.Process(target=_work, args=arguments)
            process.start()
            theirs.close()
            try:
                yield mine.recv()
            except EOFError:
                process.join()
                raise RuntimeError(f"the benchmark of {compute} ended with exit code {process.exitcode}") from None
            process.join()


def _work(
    out: Connection, recipe: Recipe, compute: ComputeOptions, device: str, steps: int, images: Path, cache: Path
) -> None:
    """Measure one mode and send its Timing."""
    with joined(device) as processes, numeric_mode(compute.precision):
        stage = recipe.stages[-1]
        model = new_model(recipe, 0).to(processes.device).train()
        trainer = StageTrainer(model, stage, compute, processes)
        patches = Patches(open_cache(image_files(images), recipe.network.scale, cache), stage.patch, stage.batch, 0)
        pin = processes.device.type == "cuda"
        fixed = patches.at(0).pinned() if pin else patches.at(0)
        _time(trainer, [fixed])
        with FlopCounterMode(display=False) as counter:
            _time(trainer, [fixed])
        _time(trainer, [fixed])
        if pin:
            torch.cuda.reset_peak_memory_stats(processes.device)
        # by turns, so that whatever else the machine does meets both
        alone: list[float] = []
        loaded: list[float] = []
        batches = prefetched(patches, 0, steps, pin)
        for _ in range(steps):
            alone += _time(trainer, [fixed])
            loaded += _time(trainer, batches, 1)
        if pin:
            peak = torch.cuda.max_memory_allocated(processes.device) / 2**20
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        best = convolution_peak(processes.device, compute.precision, steps)
        count = counter.get_total_flops() / 1e9
        threads = torch.get_num_threads()
        out.send(Timing(compute, tuple(alone), tuple(loaded), peak, stage.batch, threads, count, best))


@torch.no_grad()
def convolution_peak(device: torch.device, precision: Precision, repeats: int) -> float:
    """GFLOP/s of the fastest of some 3x3 convolutions at 128x128 pixels, TF32 as it is set.

    Args:
        device: to measure.
        precision: of the numbers; bf16, or float32 in any mode.
        repeats: of each convolution; the fastest counts.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    images = 1 if device.type == "cpu" else 16
    best = 0.0
    for inputs, outputs in ((64, 64), (128, 64), (192, 64), (64, 192), (128, 128)):
        x = torch.randn(images, inputs, 128, 128, device=device, dtype=dtype)
        weight = torch.randn(outputs, inputs, 3, 3, device=device, dtype=dtype)
        x, weight = (one.contiguous(memory_format=torch.channels_last) for one in (x, weight))
        for _ in range(repeats + 2):  # two warm up
            started = time.perf_counter()
            convolve(x, weight)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = max(best, 2e-9 * images * 9 * inputs * outputs * 128**2 / (time.perf_counter() - started))
    return best


def _time(trainer: StageTrainer, batches: Iterable[Batch], count: int | None = None) -> list[float]:
    """Seconds of each step, fetching the batch included."""
    device = trainer.processes.device
    seconds: list[float] = []
    source = iter(batches)
    while count is None or len(seconds) < count:
        started = time.perf_counter()
        batch = next(source, None)
        if batch is None:
            break
        trainer.iterate(batch, trainer.stage.iterations - 1)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return seconds


def _made_up(place: Path, patch: int) -> Path:
    """Photograph-sized noise: what is in the images changes no time."""
    folder = place / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    side = max(512, 2 * patch)
    for number in range(8):
        write_png(folder / f"{number}.png", rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    return folder
