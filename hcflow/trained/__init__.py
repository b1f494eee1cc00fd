"""Networks that ship with the project, for images without a download: small ones, trained with it; cards beside them.

They are not the paper's networks. `hcflow upscale`, `downscale` and `restore` use them where no checkpoint is named.
"""

from pathlib import Path

FOLDER = Path(__file__).parent

SR_X4 = FOLDER / "HCFlow_x4_small_ours.safetensors"
"""Super-resolution x4."""

SR_X4_TEMPERATURE = 0.2
"""At which its results look best: at 0 they are smooth, far above they are grainy."""

RESCALING_X4 = FOLDER / "HCFlow_rescaling_x4_ours.safetensors"
"""Rescaling x4."""
