"""Any of pyiqa's metrics: `pyiqa:dists`, `pyiqa:musiq`; and pyiqa kept from downloading.

pyiqa downloads its weights into its own cache when a metric is first built. Here they come from one folder per
metric, $HCFLOW_WEIGHTS/pyiqa/NAME/, and from nowhere else: whatever is in that folder is part of a value's digest,
and a file that is missing is one line that says where to put it. pyiqa's licence is PolyForm Noncommercial 1.0.0.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import BenchError
from bench.metrics.metric import Choice, Evidence, Metric, NotApplicable, Score, Scorer, Variant, choice_of
from bench.registry import unknown
from hcflow.images.io import Pixels, to_rgb

if TYPE_CHECKING:
    import torch

TERMS = "pyiqa is PolyForm Noncommercial 1.0.0: not for commercial use"
_OF_SETS = ("fid", "inception_score")  # they compare sets of images, not images
_BUILDING = threading.Lock()  # what is patched while a metric is built belongs to the whole process


def member(name: str) -> Metric:
    """The metric that pyiqa calls `name`; pyiqa itself is not imported before the metric is opened.

    Raises:
        BenchError: pyiqa is missing, has no such metric, or it is one of sets of images.
    """
    known = {key: entry for key, entry in _table().items() if not key.startswith(_OF_SETS)}
    if name not in known:
        raise unknown("metric", name, known, " of pyiqa")
    entry = known[name]
    what = "with HR" if entry.get("metric_mode") == "FR" else "without HR"
    text = f"pyiqa's {name}, {what}, on the SR image rounded to 8 bits, RGB, no crop, float32"
    return Metric(
        name=f"pyiqa:{name}",
        title=name,
        direction="lower" if entry.get("lower_better") else "higher",
        decimals=4,
        parse=choice_of(Choice("rgb,crop0,u8", text)),
        known=("rgb,crop0,u8",),
        open=_Opener(name, entry.get("metric_mode") == "FR"),
        module=__name__,
        packages=("pyiqa", "torch", "torchvision", "timm"),
        files=lambda _: files(name),
        terms=TERMS,
    )


def folder(name: str) -> Path:
    """The folder with the files of one of pyiqa's metrics."""
    from bench.roots import weights_root

    return weights_root() / "pyiqa" / name


def files(name: str) -> tuple[Path, ...]:
    """The files that are there now."""
    return tuple(sorted(path for path in folder(name).rglob("*") if path.is_file()))


def fetch(name: str) -> tuple[Path, ...]:
    """Let pyiqa download what one of its metrics needs, into the folder of that metric; returns its files."""
    import torch

    member(name)
    folder(name).mkdir(parents=True, exist_ok=True)
    with local_only(folder(name), f"pyiqa:{name}", download=True):
        _network(name, torch.device("cpu"))
    return files(name)


class _Opener:
    """The `open` of such a metric."""

    def __init__(self, name: str, with_hr: bool) -> None:
        self.name, self.with_hr = name, with_hr

    def __call__(self, variant: Variant, files: Sequence[Path], device: torch.device) -> Scorer:
        import torch

        with local_only(folder(self.name), f"pyiqa:{self.name}"):
            network = _network(self.name, device)

        def score(evidence: Evidence) -> Score:
            with torch.inference_mode():
                others = [_tensor(to_rgb(evidence.reference), device)] if self.with_hr else []
                draws = (_tensor(to_rgb(image), device) for image in evidence.eight_bits())
                values = [float(network(draw, *others)) for draw in draws]
            return values if all(np.isfinite(values)) else NotApplicable(f"pyiqa's {self.name} has no value for it")

        return score


def _network(name: str, device: torch.device) -> torch.nn.Module:
    from pyiqa.models.inference_model import InferenceModel  # type: ignore[import-untyped,unused-ignore]
    from pyiqa.utils import get_root_logger

    get_root_logger().setLevel("WARNING")
    network: torch.nn.Module = InferenceModel(name, device=device)
    return network.eval().requires_grad_(False)


def _tensor(rgb: Pixels, device: torch.device) -> torch.Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W) in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].to(device, torch.float32) / 255


def architecture(name: str) -> Callable[..., Any]:
    """One of pyiqa's networks by the name of its class."""
    module = importlib.import_module(f"pyiqa.archs.{name.lower()}_arch")
    found: Callable[..., Any] = getattr(module, name)
    return found


@contextmanager
def local_only(place: Path, who: str, *, download: bool = False) -> Iterator[None]:
    """While pyiqa builds a metric: every file comes from `place`, and this thread cannot reach the network.

    Args:
        place: folder of the files; pyiqa's own are in it, torchvision's and timm's in its `checkpoints`, CLIP's in its
            `clip`, those of the Hugging Face hub in its `huggingface`.
        who: the measure, for messages.
        download: let it download into `place` all the same.

    Raises:
        BenchError: pyiqa is not installed, or a file is missing: which, and where to put it.
    """
    _table()
    with _BUILDING, ExitStack() as stack:
        # pyiqa makes the folder where it looks: a metric without files leaves none behind
        used = place if place.is_dir() else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for target, value in _patches(used, place, who, download).items():
            stack.enter_context(_replaced(target, value))
        stack.enter_context(_cache_of_networks(str(used)))
        stack.enter_context(_tensors_alone())
        try:
            yield
        except BenchError:
            raise
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BenchError(f"{who}: expected pyiqa to build it from the files in {place}, got {reason}") from error


@contextmanager
def _replaced(target: str, value: object) -> Iterator[None]:
    """An attribute of a module that is replaced for a while."""
    name, _, attribute = target.rpartition(".")
    module = importlib.import_module(name)
    original = getattr(module, attribute)
    setattr(module, attribute, value)
    try:
        yield
    finally:
        setattr(module, attribute, original)


@contextmanager
def _cache_of_networks(used: str) -> Iterator[None]:
    """The folder where pyiqa looks, in those of its files that keep a copy of the name."""

    def holders() -> list[Any]:
        loaded = [module for name, module in sys.modules.items() if name.startswith("pyiqa.archs.")]
        return [module for module in loaded if hasattr(module, "DEFAULT_CACHE_DIR")]

    for module in holders():
        module.DEFAULT_CACHE_DIR = used
    try:
        yield
    finally:
        for module in holders():  # some may have been imported meanwhile
            module.DEFAULT_CACHE_DIR = None


@contextmanager
def _tensors_alone() -> Iterator[None]:
    """pyiqa reads pickles: only those that hold nothing but tensors."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _patches(used: Path, place: Path, who: str, download: bool) -> Mapping[str, object]:
    """What is replaced for a while."""
    try:
        importlib.import_module("pyiqa.utils.download_util")
    except ImportError as error:
        raise BenchError(f"{who}: expected pyiqa to be importable, got {error}; pip install pyiqa") from None
    places = {
        "pyiqa.utils.download_util.DEFAULT_CACHE_DIR": str(used),
        "torch.hub._hub_dir": str(used),
        "huggingface_hub.constants.HF_HUB_CACHE": str(used / "huggingface"),
    }
    if download:
        return places

    def refuse(url: str, file: str, *_: object, **__: object) -> None:
        wanted = place / Path(file).relative_to(used) if Path(file).is_relative_to(used) else Path(file)
        raise BenchError(f"{who}: needs {wanted.name}; {_fetchable(who)}get it from {url} and put it at {wanted}")

    return places | {
        "pyiqa.utils.download_util.download_url_to_file": refuse,
        "torch.hub.download_url_to_file": refuse,
        "huggingface_hub.constants.HF_HUB_OFFLINE": True,
        "socket.getaddrinfo": _cut_off(place, who),
    }


def _fetchable(who: str) -> str:
    """The first half of what to do about a missing file, where a command gets it."""
    return f"python -m bench weights fetch {who}, or " if who.startswith("pyiqa:") else ""


def _cut_off(place: Path, who: str) -> Callable[..., Any]:
    """`socket.getaddrinfo` that finds no host in this thread, and any host in the others."""
    thread, original = threading.get_ident(), socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (as the original)
        if threading.get_ident() == thread:
            raise BenchError(f"{who}: needs a file from {host}; {_fetchable(who)}put it below {place}")
        return original(host, *args, **kwargs)

    return getaddrinfo


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Mapping[str, Any]]:
    """pyiqa's own table of its metrics, read without importing pyiqa, which takes seconds."""
    spec = importlib.util.find_spec("pyiqa")
    places = list(spec.submodule_search_locations or ()) if spec else []
    file = Path(places[0], "default_model_configs.py") if places else None
    if file is None or not file.is_file():
        raise BenchError("expected the package pyiqa, got none; pip install pyiqa (PolyForm Noncommercial 1.0.0)")
    found = importlib.util.spec_from_file_location("_pyiqa_table", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    table: Mapping[str, Mapping[str, Any]] = module.DEFAULT_CONFIGS
    return table
