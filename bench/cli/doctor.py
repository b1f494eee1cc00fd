"""python -m bench doctor: what this machine has, and what is missing."""

from __future__ import annotations

import argparse
import importlib
from importlib import metadata

import torch
from rich.markup import escape

from bench.cli.terminal import console, grid
from bench.datasets import local as data
from bench.datasets.manifest import load_manifest, manifest_names
from bench.runs.provenance import choose_device, provenance
from hcflow.cli.entry import subparser


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = subparser(
        commands,
        "doctor",
        "check this machine",
        description="Print versions, device, data sets and weights that runs on this machine would use, and warn of "
        "what breaks them. Exit code 2 if something does.",
    )
    parser.set_defaults(run=_doctor)


def installed() -> set[str]:
    """Names of the installed packages."""
    return {(distribution.metadata["Name"] or "").lower() for distribution in metadata.distributions()}


def problems() -> list[str]:
    """What breaks runs on this machine, each with its mend."""
    cv2 = sorted(name for name in installed() if name.startswith("opencv-") and "python" in name)
    found = []
    if len(cv2) > 1:
        found.append(f"{' and '.join(cv2)} overwrite each other; uninstall both, then install opencv-python-headless")
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # a torchvision of another torch fails with RuntimeError, ImportError or OSError
        found.append(
            f"torchvision does not fit torch {torch.__version__} ({str(error).splitlines()[0]}); reinstall both"
        )
    return found


def _doctor(args: argparse.Namespace) -> int:
    out = console()
    about = provenance(choose_device("auto"))
    table = grid("", "")
    for key in ("commit", "dirty", "python", "platform", "device", "processor", "threads"):
        table.add_row(key, escape(str(about[key])))
    for name, version in about["versions"].items():
        table.add_row(name, version)
    table.add_row("data root", str(data.data_root()))
    for name in manifest_names():
        table.add_row(f"data {name}", data.presence(load_manifest(name)).state)
    out.print(table)
    wrong = problems()
    for problem in wrong:
        out.print(f"problem: {problem}", markup=False)
    if not wrong:
        out.print("nothing is wrong")
    return 2 if wrong else 0
