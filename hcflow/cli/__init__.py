"""The sub-commands of `python -m hcflow`."""
