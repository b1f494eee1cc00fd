"""Invertible layers: every one is a `Transform` with `forward`, `inverse` and an exact log-determinant."""
