"""The data sets: manifests, the images at hand, getting them."""
