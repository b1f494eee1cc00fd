"""Makes the pictures of docs/latents.md with the commands that stand there.

python docs/images/make_latents.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

from hcflow.trained import RESCALING_X4

HERE = Path(__file__).parent
GAP = 6
FACE = "96,32,96,112"


def main() -> None:
    """Write the three strips."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        Image.fromarray(data.astronaut()[20:276, 90:378]).save(folder / "astronaut.png")
        Image.fromarray(data.chelsea()[20:276, 80:368]).save(folder / "cat.png")

        def latents(*arguments: str) -> None:
            command = (sys.executable, "-m", "hcflow", "latents", *arguments, "--checkpoint", str(RESCALING_X4))
            subprocess.run(command, cwd=folder, check=True)

        for name in ("astronaut", "cat"):
            latents("encode", f"{name}.png", "-o", f"{name}.safetensors")
        latents("decode", "astronaut.safetensors", "-o", "own.png")
        latents("decode", "astronaut.safetensors", "-o", "mode.png", "--temperature", "0")
        latents("decode", "astronaut.safetensors", "-o", "coarse.png", "--temperature", "0", "1")
        for tau in ("1", "2"):
            latents("decode", "astronaut.safetensors", "-o", f"draw{tau}.png", "--seed", "0", "--temperature", tau)
        latents("interpolate", "astronaut.safetensors", "cat.safetensors", "-o", "between", "--steps", "5")
        for name, options in (("fur", ()), ("patch", ("--region", FACE)), ("face", ("--region", FACE, "--with-lr"))):
            latents("transfer", "astronaut.safetensors", "cat.safetensors", "-o", f"{name}.png", *options)

        single = [folder / f"{name}.png" for name in ("own", "mode", "coarse", "draw1", "draw2")]
        _strip("temperature", single)
        _strip("interpolate", sorted((folder / "between").iterdir()))
        _strip("transfer", [folder / f"{name}.png" for name in ("astronaut", "cat", "fur", "patch", "face")])


def _strip(name: str, files: list[Path]) -> None:
    pictures = [Image.open(file).convert("RGB") for file in files]
    width, height = pictures[0].size
    strip = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, height), "white")
    for place, picture in enumerate(pictures):
        strip.paste(picture, (place * (width + GAP), 0))
    strip.save(HERE / f"latents-{name}.webp", quality=88, method=6)


if __name__ == "__main__":
    main()
