"""Makes comparison.webp: one photograph as LR, bicubic, restored by a shipped network, original.

    python docs/images/make_strip.py [CHECKPOINT]

The photograph is scikit-image's astronaut (NASA, public domain). A rescaling network restores the LR image that it made
itself, a super-resolution network the bicubic one; the PSNR on luma of the whole photograph is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import hcflow
from hcflow.images.color import luma
from hcflow.images.matlab_resize import imresize
from hcflow.images.tensors import to_pixels, to_tensor

HERE = Path(__file__).parent
DEFAULT = HERE.parents[1] / "hcflow/trained/HCFlow_rescaling_x4_ours.safetensors"
SCALE = 4
TOP, LEFT, SIDE = 20, 128, 192  # the crop that is shown
ZOOM = 256
GAP = 6


def panels(checkpoint: Path) -> list[np.ndarray]:
    """LR, bicubic, restored and original, each (512, 512, 3) uint8."""
    original = data.astronaut()
    small = imresize(original, 1 / SCALE)
    model = hcflow.load(checkpoint).eval()
    with torch.no_grad():
        hr = to_tensor(original)
        rescaling = model.config.q is None
        lr = model.downscale(hr) if rescaling else to_tensor(small)
        seed = torch.Generator().manual_seed(0)
        draw = hcflow.fold(model).decode(lr, temperature=1.0 if rescaling else 0.0, generator=seed)
        restored = to_pixels(draw[0])
    shown = to_pixels(lr[0]).repeat(SCALE, 0).repeat(SCALE, 1)
    return [shown, imresize(small, SCALE), restored, original]


def psnr(image: np.ndarray, original: np.ndarray) -> float:
    """On luma, 4 pixels cropped, as in table 4."""
    crop = (slice(SCALE, -SCALE), slice(SCALE, -SCALE))
    error = luma(image[crop]) - luma(original[crop])
    return float(20 * np.log10(255 / np.sqrt(np.mean(error**2))))


def main() -> None:
    """Write the strip and print the scores."""
    images = panels(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
    for name, image in zip(("bicubic", "restored"), images[1:3], strict=True):
        print(f"{name}: {psnr(image, images[3]):.2f} dB")
    strip = Image.new("RGB", (4 * ZOOM + 3 * GAP, ZOOM), "white")
    for place, image in enumerate(images):
        crop = Image.fromarray(image[TOP : TOP + SIDE, LEFT : LEFT + SIDE])
        strip.paste(crop.resize((ZOOM, ZOOM), Image.Resampling.LANCZOS), (place * (ZOOM + GAP), 0))
    strip.save(HERE / "comparison.webp", quality=92, method=6)


if __name__ == "__main__":
    main()
