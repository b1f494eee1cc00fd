"""Where a run stands: one safetensors file per save, of which the last few are kept."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from hcflow.atomic import replacing, write_atomically
from hcflow.errors import CheckpointError, ConfigError
from hcflow.files import SAVE_KEY
from hcflow.structured import build
from hcflow.train.folder import space_for

__all__ = ["Identity", "Position", "Saved", "States"]

_NAME = re.compile(r"step-(\d{8})\.safetensors")


@dataclass(frozen=True)
class Position:
    """Where a run stands.

    Attributes:
        stage: index into the recipe's stages.
        iteration: steps done in this stage.
        step: steps done in all stages.
        backoffs: how often the stage went back to a save because steps kept failing.
    """

    stage: int = 0
    iteration: int = 0
    step: int = 0
    backoffs: int = 0


@dataclass(frozen=True)
class Identity:
    """What makes a run another run.

    Attributes:
        recipe: `Recipe.to_json`.
        seed: of weights, crops and noise.
        digest: of the training images.
        initial: digest of the weights it began with; empty for new ones.
    """

    recipe: str
    seed: int = 0
    digest: str = ""
    initial: str = ""

    def differences(self, other: Identity) -> list[str]:
        """What is not the same in the other, there, as in this, here, one line each."""
        mine, theirs = self._flat(), other._flat()
        return [
            f"{key}: {theirs.get(key, 'nothing')} there, {mine.get(key, 'nothing')} here"
            for key in {**theirs, **mine}
            if theirs.get(key) != mine.get(key)
        ]

    def _flat(self) -> dict[str, object]:
        rest = {
            "seed": self.seed,
            "training images": self.digest[:12] or "none",
            "initial weights": self.initial[:12] or "new ones",
        }
        return dict(_leaves(json.loads(self.recipe))) | rest


@dataclass(frozen=True)
class Saved:
    """A save that was read back.

    Attributes:
        path: its file.
        position: where the run stood.
        tensors: weights, optimiser and discriminator state, by name.
        identity: of the run.
        run: what the observers need to resume (such as a run id).
    """

    path: Path
    position: Position
    tensors: dict[str, Tensor]
    identity: Identity
    run: dict[str, str]


class OtherVersionError(CheckpointError):
    """A save is whole, but this version cannot resume it."""


class States:
    """The saves of one run, in its folder `state`, and which of them was the last to pass a validation."""

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder = folder / "state"
        self.keep = keep
        self._marker = self.folder / "validated"

    def save(
        self, position: Position, tensors: Mapping[str, Tensor], identity: Identity, run: Mapping[str, str]
    ) -> Path:
        """Write a save, then remove all but the newest `keep` and the validated one; also any that lies ahead of it.

        Raises:
            OutOfSpaceError: the disk is full or the folder cannot be written; earlier saves are as they were.
        """
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        metadata = {"position": asdict(position), "identity": asdict(identity), "run": dict(run)}
        text = json.dumps({**metadata, "sha256": _digest(plain)})
        path = self._path(position.step)
        size = f"{sum(value.nbytes for value in plain.values()) >> 20} MiB"
        last = self.paths()[-1:]
        kept = f"{last[0]} is kept: " if last else "nothing had been saved before: "
        with space_for(path, size, kept):
            if self.validated() is None:  # the save that it meant is gone, and this is another one
                self._marker.unlink(missing_ok=True)
            with replacing(path) as part:
                save_file(plain, part, {SAVE_KEY: text})
        steps = [_step(one) for one in self.paths()]
        past = [step for step in steps if step < position.step]
        ahead = [step for step in steps if step > position.step]  # damaged, or of a way that was given up
        old = past[: max(0, len(past) + 1 - self.keep)]
        for step in [*(step for step in old if step != self.validated()), *ahead]:
            self._path(step).unlink(missing_ok=True)
        return path

    def validated(self) -> int | None:
        """The steps of the save that was the last to pass a validation, if it is still there."""
        try:
            step = int(self._marker.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        return step if self._path(step).is_file() else None

    def mark_validated(self, step: int) -> None:
        """Note that the save after so many steps passed a validation; where there is none, the mark stays as it is."""
        if not self._path(step).is_file():
            return
        with space_for(self._marker, "a few bytes"):
            write_atomically(self._marker, str(step).encode("ascii"))

    def drop_since_validated(self, step: int) -> None:
        """After a failed validation: remove the saves since the last one that passed, and that of the step itself.

        Where none passed, the oldest of the others is left.
        """
        validated = self.validated()
        later = [path for path in self.paths() if validated is None or _step(path) > validated]
        for path in later[1:] if validated is None else later:
            path.unlink()
        self._path(step).unlink(missing_ok=True)

    def drop_from(self, step: int) -> None:
        """Remove the saves of that step and of later ones, but never the oldest of all."""
        for path in self.paths()[1:]:
            if _step(path) >= step:
                path.unlink()

    def paths(self) -> list[Path]:
        """The saves, oldest first."""
        return sorted(path for path in self.folder.glob("step-*.safetensors") if _NAME.fullmatch(path.name))

    def latest(self, warn: Callable[[str], None]) -> Saved | None:
        """The newest save that is whole, or None where there is none; `warn` is told of every damaged one.

        Raises:
            CheckpointError: there are saves, but all are damaged; or the newest is of another version.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                return _read(path)
            except OtherVersionError:
                raise
            except CheckpointError as error:
                warn(f"{error}; going back to the save before it" if path != paths[0] else str(error))
        if paths:
            raise CheckpointError(
                f"{self.folder}: expected a save to resume from, got only damaged ones; --restart deletes them and "
                "begins anew (a copy of weights/last.safetensors, if that is whole, can be the start: --init)"
            )
        return None

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _leaves(data: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Numbers, texts and lists of them in JSON data, under keys such as stages.0.patch."""
    if isinstance(data, dict) or (isinstance(data, list) and any(isinstance(item, dict) for item in data)):
        for name, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, data


def _read(path: Path) -> Saved:
    try:
        with safetensors.safe_open(str(path), framework="pt") as stream:
            metadata = json.loads((stream.metadata() or {}).get(SAVE_KEY, "null"))
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(f"{path}: expected a complete save, got a damaged one ({error})") from None
    if not isinstance(metadata, dict) or metadata.get("sha256") != _digest(tensors):
        raise CheckpointError(f"{path}: expected the tensors that were saved, got others")
    try:
        position = build(Position, metadata["position"], str(path))
        identity = build(Identity, metadata["identity"], str(path))
    except (KeyError, ConfigError) as error:
        raise OtherVersionError(
            f"{path}: expected a save of this version, got one of another ({error}); finish the run with the version "
            "that began it, or use another --out, or --restart to start over"
        ) from None
    run = {str(key): str(value) for key, value in metadata.get("run", {}).items()}
    return Saved(path, position, tensors, identity, run)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}\0{tuple(tensors[name].shape)}\0".encode())
        digest.update(tensors[name].flatten().view(_bytes(tensors[name])).numpy().data)
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> torch.dtype:
    return tensor.dtype if tensor.dtype == torch.bool else torch.uint8
