"""Training images: the cache of decoded images, and the importer of .pklv4 files."""
