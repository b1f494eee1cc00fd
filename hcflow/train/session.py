"""From settings to a run: opens what a trainer needs, on every process that takes part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from hcflow.checkpoint import load
from hcflow.config import preset_name
from hcflow.data.cache import ImageCache, image_files, open_cache
from hcflow.devices import choose_device
from hcflow.errors import CheckpointError, HCFlowError, InputError
from hcflow.files import digest_of
from hcflow.model import HCFlow
from hcflow.nets.perceptual import VGG19Features, load_vgg19, vgg19_needed
from hcflow.nets.subnets import widen_
from hcflow.train.data import Batch, Patches, prefetched
from hcflow.train.folder import clear, held, weights_file, write_weights
from hcflow.train.noise import seed_of
from hcflow.train.observers import JsonLog, Log, Logs, Plugin, RunInfo, RunStatus, Watcher
from hcflow.train.processes import Processes, joined
from hcflow.train.recipe import Recipe, Stage
from hcflow.train.settings import Intervals, TrainerSettings
from hcflow.train.stage import ComputeOptions, check_shares
from hcflow.train.state import States
from hcflow.train.trainer import Trainer
from hcflow.train.validation import Validation

__all__ = ["SessionWatcher", "Settings", "files_of", "is_finished", "new_model", "train"]


class SessionWatcher(Watcher, Protocol):
    """Also reports the images being decoded."""

    def decoding(self, done: int, total: int) -> None:
        """Images decoded into the cache so far."""


@dataclass(frozen=True)
class Settings:
    """A run.

    Attributes:
        name: of the run, for logs.
        recipe: what to train, already at its budget.
        folder: of the run's files.
        data: training images.
        validation: images to score; may be empty.
        compute: how the numbers are computed.
        intervals: when things are logged, saved, scored.
        device: see `joined`.
        seed: of weights, crops and noise.
        initial: weights to start from, or None for new ones.
        vgg19: torchvision's file, for the perceptual loss.
        cache: where decoded images are kept; None: in the user's cache.
        keep: saves to keep.
        restart: whether to delete what an earlier run left in the folder.
    """

    name: str
    recipe: Recipe
    folder: Path
    data: tuple[Path, ...]
    validation: tuple[Path, ...] = ()
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    intervals: Intervals = field(default_factory=Intervals)
    device: str = "auto"
    seed: int = 0
    initial: Path | None = None
    vgg19: Path | None = None
    cache: Path | None = None
    keep: int = 3
    restart: bool = False


def files_of(names: Iterable[str], plugin: Plugin | None) -> tuple[Path, ...]:
    """The images of folders, or of data sets that the plug-in knows by name.

    Raises:
        InputError: a folder that does not exist or holds no images, or a data set that is not present.
    """
    files: list[Path] = []
    for name in names:
        try:
            known = None if Path(name).is_dir() or plugin is None else plugin.images(name)
        except ValueError as error:  # the plug-in's own kind of bad input
            raise InputError(str(error)) from None
        files += image_files(Path(name)) if known is None else known
    return tuple(files)


def train(settings: Settings, watcher: SessionWatcher, plugin: Plugin | None) -> RunStatus:
    """Train, or resume training, until the recipe ends or somebody asks to stop.

    Raises:
        HCFlowError: bad input, saves of another run, no space, or training that diverges.
    """
    compute, stages = settings.compute, settings.recipe.stages
    if compute.precision == "tf32" and choose_device(settings.device).type == "cpu":
        raise InputError("expected --precision fp32 or bf16 on a CPU, got tf32, which GPUs have")
    if settings.initial is not None and settings.initial.resolve().is_relative_to(settings.folder.resolve()):
        raise InputError(
            f"expected --init outside of the folder that the run writes to, got {settings.initial}; give another --out"
        )
    with joined(settings.device) as processes, held(settings.folder) if processes.first else nullcontext():
        for stage in stages:
            check_shares(stage, compute, processes)
        features = _features(settings, processes)
        cache = _open_cache(settings, processes, watcher)
        watcher.say(_describe(settings, cache, processes))
        for stage in stages:
            _say_what_is_left_out(cache, stage, watcher)
        logs = Logs(_logs(settings.folder, plugin) if processes.first else [], watcher.say)
        trainer = _trainer(settings, processes, cache, features, logs, watcher, plugin)
        if settings.restart:  # only now, when nothing of what was asked for turned out to be wrong
            if processes.first:
                clear(settings.folder)
            processes.wait()
        saved = trainer.resume()
        if saved is not None and trainer.is_finished():
            if processes.first and not weights_file(settings.folder, "last").is_file():
                write_weights(settings.folder, "last", trainer.model)
            watcher.say(f"{settings.folder}: all steps are done; --restart deletes them and starts over")
            if not settings.validation:
                return "finished"
        elif saved is not None:
            watcher.say(f"resuming from {saved.path}")
        logs.start(_run_info(settings, cache, processes, saved.run if saved else {}))
        status: RunStatus = "failed"
        try:
            with _compiling(compute.compile, watcher):
                status = trainer.run()
        except KeyboardInterrupt:
            status = "stopped"
            raise
        finally:
            logs.end(status)
        return status


def _trainer(
    settings: Settings,
    processes: Processes,
    cache: ImageCache,
    features: VGG19Features | None,
    logs: Logs,
    watcher: Watcher,
    plugin: Plugin | None,
) -> Trainer:
    def batches(stage: Stage, seed: int, start: int, stop: int) -> Iterable[Batch]:
        share = (processes.rank, processes.world)
        patches = Patches(cache, stage.patch, stage.batch, seed, stage.augment, *share)
        return prefetched(patches, start, stop, pin=processes.device.type == "cuda")

    model = _model(settings)  # first: it says what is wrong with the weights to begin with
    run = TrainerSettings(
        settings.recipe,
        settings.folder,
        settings.compute,
        settings.intervals,
        settings.seed,
        cache.digest,
        digest_of(settings.initial) if settings.initial else "",
        settings.keep,
    )
    validation = Validation(settings.validation, plugin) if settings.validation else None
    return Trainer(run, model, batches, processes, watcher, features=features, validation=validation, logs=logs)


def is_finished(folder: Path, recipe: Recipe, seed: int) -> bool:
    """Whether the run in a folder has come to the end of this recipe with this seed."""
    try:
        saved = States(folder).latest(lambda _: None)
    except CheckpointError:
        return False
    if saved is None or saved.position.stage < len(recipe.stages):
        return False
    return (saved.identity.recipe, saved.identity.seed) == (recipe.to_json(), seed)


def new_model(recipe: Recipe, seed: int) -> HCFlow:
    """A network whose first weights follow from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of("weights", seed))
        model = HCFlow(recipe.network)
        if recipe.init == "wide":
            widen_(model)
        return model


def _features(settings: Settings, processes: Processes) -> VGG19Features | None:
    """The network of the perceptual loss, where any stage has that: asked for now rather than after other stages."""
    if settings.vgg19 is not None:
        return load_vgg19(settings.vgg19, processes.device)
    if any(stage.losses.perceptual for stage in settings.recipe.stages):
        raise vgg19_needed("none")
    return None


@contextmanager
def _compiling(asked: bool, watcher: Watcher) -> Iterator[None]:
    """Say that torch.compile takes its time, and where it fails, why in one line."""
    if not asked:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException

    watcher.say("torch.compile builds the networks during the first steps, which takes minutes")
    try:
        yield
    except TorchDynamoException as error:
        reason = str(error).strip().split("\n")[0]
        raise HCFlowError(
            f"expected torch.compile to build the networks, got: {reason}; install a C++ compiler if that is what is "
            "missing (CXX names it), or leave out --compile"
        ) from None


def _open_cache(settings: Settings, processes: Processes, watcher: SessionWatcher) -> ImageCache:
    """The first process makes the cache, the others then find it."""
    arguments = (settings.data, settings.recipe.network.scale, settings.cache)
    cache = open_cache(*arguments, watcher.decoding) if processes.first else None
    processes.wait()
    return cache or open_cache(*arguments)


def _say_what_is_left_out(cache: ImageCache, stage: Stage, watcher: Watcher) -> None:
    small = Patches(cache, stage.patch, stage.batch, 0).too_small
    if small:
        watcher.say(f"leaving out {small} of {len(cache.sizes)} images, smaller than {stage.patch}x{stage.patch}")


def _model(settings: Settings) -> HCFlow:
    if settings.initial is None:
        return new_model(settings.recipe, settings.seed)
    model = load(settings.initial)
    if model.config != settings.recipe.network:
        expected = preset_name(settings.recipe.network) or f"the network of {settings.recipe.name}"
        got = preset_name(model.config) or f"L = {model.config.L}, K = {model.config.K}, P = {model.config.P}"
        raise CheckpointError(f"{settings.initial}: expected weights of {expected}, got {got}; use another recipe")
    return model


def _logs(folder: Path, plugin: Plugin | None) -> list[Log]:
    return [JsonLog(folder), *([] if plugin is None else [plugin.open_log(folder)])]


def _describe(settings: Settings, cache: ImageCache, processes: Processes) -> str:
    shared = f" x {processes.world}" if processes.world > 1 else ""
    steps = " + ".join(f"{stage.iterations:,}" for stage in settings.recipe.stages)
    images = "1 image" if len(cache.sizes) == 1 else f"{len(cache.sizes)} images"
    return (
        f"{settings.name}: {steps} steps on {images}, {processes.device}{shared}, "
        f"{settings.compute.precision}, into {settings.folder}"
    )


def _run_info(settings: Settings, cache: ImageCache, processes: Processes, resumed: dict[str, str]) -> RunInfo:
    stage, compute = settings.recipe.stages[-1], settings.compute
    parameters: dict[str, str | int | float] = {
        "recipe": settings.recipe.name,
        "stages": ", ".join(one.name for one in settings.recipe.stages),
        "iterations": sum(one.iterations for one in settings.recipe.stages),
        "batch": stage.batch,
        "patch": stage.patch,
        "learning_rate": stage.learning_rate,
        "update": stage.update,
        "precision": compute.precision,
        "recompute": str(compute.recompute),
        "compile": str(compute.compile),
        "accumulate": compute.accumulate,
        "device": str(processes.device),
        "processes": processes.world,
        "seed": settings.seed,
        "images": len(cache.sizes),
        "data_sha256": cache.digest,
        "initial": str(settings.initial or "new weights"),
    }
    names = "".join(
        f"{name} {width}x{height}\n" for name, (height, width) in zip(cache.names, cache.sizes, strict=True)
    )
    files = {"recipe.json": settings.recipe.to_json(), "images.txt": f"sha256 {cache.digest}\n{names}"}
    return RunInfo(settings.name, settings.folder, parameters, files, resumed)
