"""Restored images that are kept (`--keep-images`), so that another measure needs no second restoration.

OUT/images/<restoration>/<image>.png, <image>-<draw>.png    to look at, 8 bits
OUT/images/<restoration>/<image>.safetensors                LR images, facts, and the draws themselves in float where a
                                                            measure needs more than 8 bits
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from bench import jsons
from bench.files import write_atomically
from bench.metrics.metric import Measure
from bench.metrics.views import Values, to_bytes
from bench.runs.kept_files import HEADER
from bench.runs.restoration import Restored


class KeptImages:
    """The kept images of one restoration."""

    def __init__(self, out: Path, restoration: str) -> None:
        self._folder = out / "images" / restoration

    def save(self, image: str, pixels: str, restored: Restored, measures: Iterable[Measure]) -> None:
        """Keep what was made of an image.

        Args:
            image: its id.
            pixels: digest of its HR pixels.
            restored: what was made of it.
            measures: that are taken of it now; they decide whether 8 bits are enough.

        Raises:
            StorageError: it cannot be written.
        """
        arrays = {"lr": restored.lr}
        if restored.own_lr is not None:
            arrays["own_lr"] = restored.own_lr
        if not all(_eight_bit(measure) for measure in measures):
            arrays["draws"] = np.stack(restored.draws)
        header = {
            "pixels": pixels,
            "draws": len(restored.draws),
            "makes_lr": restored.makes_lr,
            "how": restored.how,
            "facts": {name: jsons.number(value) for name, value in restored.facts.items()},
        }
        for number, draw in enumerate(restored.draws):
            write_atomically(self._png(image, number, len(restored.draws)), _png(draw))
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_atomically(self._file(image), to_safetensors(contiguous, {HEADER: jsons.dumps(header)}))

    def load(self, image: str, pixels: str, measures: Iterable[Measure]) -> Restored | None:
        """What was kept of an image, if it is enough for the measures; None where it must be restored again."""
        if not self._file(image).is_file():
            return None
        try:
            with safe_open(self._file(image), framework="np") as stream:
                header = jsons.loads(stream.metadata()[HEADER])
                arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - no mapping
            if header["pixels"] != pixels:
                return None
            return self._restored(image, header, arrays, list(measures))
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            return None  # damaged: it is restored and kept anew

    def _restored(
        self, image: str, header: Mapping[str, object], arrays: Mapping[str, Values], measures: list[Measure]
    ) -> Restored | None:
        if any("own_lr" in measure.of.needs for measure in measures) and "own_lr" not in arrays:
            return None
        if any("bits_per_pixel" in measure.of.needs for measure in measures):
            return None
        facts = header["facts"]
        if not isinstance(facts, dict) or not isinstance(header["draws"], int):
            raise TypeError("expected facts")
        if "draws" in arrays:
            draws = tuple(arrays["draws"])
        elif all(_eight_bit(measure) for measure in measures):
            files = [self._png(image, number, header["draws"]) for number in range(header["draws"])]
            draws = tuple(np.asarray(Image.open(path)).astype(np.float64) / 255.0 for path in files)
        else:
            return None
        numbers = {str(name): float(value) for name, value in facts.items()}
        return Restored(
            draws, arrays["lr"], arrays.get("own_lr"), numbers, str(header["how"]), header["makes_lr"] is True
        )

    def _file(self, image: str) -> Path:
        return self._folder / f"{image}.safetensors"

    def _png(self, image: str, number: int, draws: int) -> Path:
        return self._folder / (f"{image}.png" if draws == 1 else f"{image}-{number}.png")


def _eight_bit(measure: Measure) -> bool:
    return measure.of.eight_bit(measure.variant)


def _png(draw: Values) -> bytes:
    data = io.BytesIO()
    Image.fromarray(to_bytes(draw, "u8").astype(np.uint8)).save(data, format="PNG")
    return data.getvalue()
