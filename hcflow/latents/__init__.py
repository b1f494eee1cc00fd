"""Latents to keep and to edit: encode an image, interpolate, exchange, standardise, decode (SRFlow, section 4)."""
