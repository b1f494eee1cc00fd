"""Makes comparison.webp: one photograph as LR, bicubic, by the two networks that ship, and the original.

    python docs/images/make_strip.py

The photograph is scikit-image's astronaut (NASA, public domain). The rescaling network restores the LR image that it
made itself, the super-resolution network enlarges the bicubic one; the PSNR on luma of the whole photograph is printed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import hcflow
from hcflow.images.color import luma
from hcflow.images.matlab_resize import imresize
from hcflow.images.tensors import to_pixels, to_tensor
from hcflow.trained import RESCALING_X4, SR_X4, SR_X4_TEMPERATURE

HERE = Path(__file__).parent
SCALE = 4
TOP, LEFT, SIDE = 20, 136, 176  # the crop that is shown
ZOOM = 208
GAP = 6


def decoded(checkpoint: Path, original: np.ndarray, temperature: float) -> np.ndarray:
    """What a network makes of the LR image: a rescaling network of its own, a super-resolution network of bicubic's."""
    model = hcflow.load(checkpoint).eval()
    with torch.no_grad():
        hr = to_tensor(original)
        lr = model.downscale(hr) if model.config.q is None else to_tensor(imresize(original, 1 / SCALE))
        seed = torch.Generator().manual_seed(0)
        draw = hcflow.fold(model).decode(lr, temperature=temperature, generator=seed)
    return to_pixels(draw[0])


def psnr(image: np.ndarray, original: np.ndarray) -> float:
    """On luma, 4 pixels cropped, as in table 4."""
    crop = (slice(SCALE, -SCALE), slice(SCALE, -SCALE))
    error = luma(image[crop]) - luma(original[crop])
    return float(20 * np.log10(255 / np.sqrt(np.mean(error**2))))


def main() -> None:
    """Write the strip and print the scores."""
    original = data.astronaut()
    small = imresize(original, 1 / SCALE)
    images = [
        small.repeat(SCALE, 0).repeat(SCALE, 1),
        imresize(small, SCALE),
        decoded(SR_X4, original, SR_X4_TEMPERATURE),
        decoded(RESCALING_X4, original, 1.0),
        original,
    ]
    for name, image in zip(("bicubic", "upscaled", "restored"), images[1:4], strict=True):
        print(f"{name}: {psnr(image, original):.2f} dB")
    strip = Image.new("RGB", (len(images) * (ZOOM + GAP) - GAP, ZOOM), "white")
    for place, image in enumerate(images):
        crop = Image.fromarray(image[TOP : TOP + SIDE, LEFT : LEFT + SIDE])
        strip.paste(crop.resize((ZOOM, ZOOM), Image.Resampling.LANCZOS), (place * (ZOOM + GAP), 0))
    strip.save(HERE / "comparison.webp", quality=92, method=6)


if __name__ == "__main__":
    main()
