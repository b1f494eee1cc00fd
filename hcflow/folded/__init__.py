"""The decoder rewritten for speed: the same function of (LR image, latents), with constants folded away."""
