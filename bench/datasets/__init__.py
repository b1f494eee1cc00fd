"""The data sets: manifests, the images that are present, downloads and imports."""
