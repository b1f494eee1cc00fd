"""Validation: whole images that it does not train on, restored and scored; and pictures of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hcflow.errors import HCFlowError, InputError
from hcflow.images.io import Pixels, read_opaque, to_rgb
from hcflow.images.matlab_resize import imresize, mod_crop
from hcflow.images.tensors import to_pixels, to_tensor
from hcflow.model import HCFlow
from hcflow.tiling import decode_in_tiles, downscale_in_tiles
from hcflow.train.noise import seed_of
from hcflow.train.observers import Plugin

__all__ = ["Validation", "ValidationResult"]

_GRID_IMAGES, _GRID_SIDE = 4, 128  # rows of the picture, and the HR side of its crops
_PROBE = 64  # side of the crop that the inverse is checked on


@dataclass(frozen=True)
class ValidationResult:
    """What a validation found.

    Attributes:
        scores: means over the images, by name.
        grids: pictures by name.
        best_by: what chooses the best weights: PSNR (Y) at tau 0, or for rescaling at its own temperature; None
            where nothing scores.
        images: SHA-256 of the images: scores of other ones do not compare.
    """

    scores: dict[str, float]
    grids: dict[str, Pixels]
    best_by: float | None
    images: str


class Validation:
    """Scores of a fixed list of images.

    Super-resolution restores the bicubic LR image, rescaling the 8-bit LR image that it makes itself; at
    temperature 0 and at the one of the published results.
    """

    def __init__(self, files: Sequence[Path], plugin: Plugin | None) -> None:
        self._images = [to_rgb(read_opaque(file)) for file in files]
        self._plugin = plugin
        self._digest = hashlib.sha256(
            b"".join(repr(one.shape).encode() + one.tobytes() for one in self._images)
        ).hexdigest()

    def __len__(self) -> int:
        return len(self._images)

    @torch.no_grad()
    def __call__(self, model: HCFlow) -> ValidationResult:
        """Score a model, which is left as it was."""
        training = model.training
        model.eval()
        try:
            rows = [self._image(model, mod_crop(image, model.config.scale), i) for i, image in enumerate(self._images)]
        except HCFlowError:
            raise
        except ValueError as error:  # the plug-in's own kind of bad input
            raise InputError(f"validation: {error}") from None
        finally:
            model.train(training)
        names = rows[0][0].keys() if rows else ()
        scores = {name: float(np.mean([row[0][name] for row in rows])) for name in names}
        chooses = 0.0 if model.config.q is not None else model.config.temperature
        pictures = np.concatenate([row[1] for row in rows[:_GRID_IMAGES]])
        return ValidationResult(scores, {"samples": pictures}, scores.get(f"psnr_y_tau{chooses:g}"), self._digest)

    def _image(self, model: HCFlow, hr: Pixels, index: int) -> tuple[dict[str, float], Pixels]:
        """Scores of one image, and its row HR | LR | tau 0 | tau."""
        device = next(model.parameters()).device
        scale, tau = model.config.scale, model.config.temperature
        given = np.asarray(imresize(hr, 1 / scale), dtype=np.uint8)
        x = to_tensor(hr).to(device)
        encoded = None
        if model.config.lr_in_latent:
            encoded = to_pixels(downscale_in_tiles(model, self._noised(model, x))[0])
        lr = encoded if encoded is not None and model.config.q is None else given
        scores = self._inverse(model, x)
        pictures = [hr, lr.repeat(scale, 0).repeat(scale, 1)]
        for temperature in (0.0, tau):
            generator = torch.Generator(device).manual_seed(seed_of("validation", index))
            draw = decode_in_tiles(model, to_tensor(lr).to(device), temperature, generator)[0]
            pictures.append(to_pixels(draw))
            if self._plugin:
                named = self._plugin.score(pictures[-1], hr, scale)
                scores |= {f"{name}_tau{temperature:g}": value for name, value in named.items()}
        if self._plugin and encoded is not None:
            scores["lr_psnr"] = self._plugin.lr_psnr(encoded, given)
        return scores, _row(pictures)

    def _inverse(self, model: HCFlow, x: torch.Tensor) -> dict[str, float]:
        """Largest error of decoding what was encoded, on a crop; the log-determinant there, per pixel."""
        side = min(_PROBE, *x.shape[-2:]) // model.config.scale * model.config.scale
        crop = x[..., :side, :side]
        given = torch.nn.functional.avg_pool2d(crop, model.config.scale)
        encoded = model.encode(crop, given)
        back = model.decode(given if encoded.lr is None else encoded.lr, 1.0, latents=encoded.latents)
        log_det = float(encoded.log_det) / (side * side)
        return {"inverse_error": float((back - crop).abs().max()), "log_det_per_pixel": log_det}

    @staticmethod
    def _noised(model: HCFlow, x: torch.Tensor) -> torch.Tensor:
        """With dequantisation noise, as LR-PSNR is defined for super-resolution."""
        return model.dequantise(x, generator=torch.Generator(x.device).manual_seed(0))


def _row(pictures: Sequence[Pixels]) -> Pixels:
    """Centre crops of one size, side by side, on white where an image is smaller."""
    cells = []
    for picture in pictures:
        top, left = (max(0, (length - _GRID_SIDE) // 2) for length in picture.shape[:2])
        crop = picture[top : top + _GRID_SIDE, left : left + _GRID_SIDE]
        cell = np.full((_GRID_SIDE, _GRID_SIDE, 3), 255, dtype=np.uint8)
        cell[: crop.shape[0], : crop.shape[1]] = crop
        cells.append(cell)
    return np.concatenate(cells, axis=1)
