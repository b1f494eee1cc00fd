"""HCFlow: hierarchical conditional flow for image super-resolution and rescaling (ICCV 2021)."""
