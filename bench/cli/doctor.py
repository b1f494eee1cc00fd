"""python -m bench doctor: what this machine has, and what is missing."""

from __future__ import annotations

import argparse
import importlib
from importlib import metadata
from typing import TYPE_CHECKING

from hcflow.cli.entry import loading, subparser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.suites.suite import Suite

_STYLES = {"present": "green", "shipped": "green", "missing": "red"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = subparser(
        commands,
        "doctor",
        "check this machine",
        description="Print versions, device, data sets and weights that runs on this machine would use, what each is "
        "needed for, and what keeps a table from running. "
        "Exit code 2 if something is broken (not if something is missing).",
    )
    parser.set_defaults(run=_doctor)


def installed() -> set[str]:
    """Names of the installed packages."""
    return {(distribution.metadata["Name"] or "").lower() for distribution in metadata.distributions()}


def problems() -> list[str]:
    """What would break runs on this machine, each with its remedy."""
    cv2 = sorted(name for name in installed() if name.startswith("opencv-") and "python" in name)
    found = []
    if len(cv2) > 1:
        found.append(f"{' and '.join(cv2)} overwrite each other; uninstall both, then install opencv-python-headless")
    try:
        importlib.import_module("torchvision")
    except Exception as error:  # a torchvision of another torch fails with RuntimeError, ImportError or OSError
        found.append(f"torchvision does not fit torch ({str(error).splitlines()[0]}); reinstall both")
    return found


def shortcomings(suites: Sequence[Suite]) -> list[str]:
    """For each table, what keeps it from running on the paper's data sets, or its rows from running at all."""
    from bench.datasets.local import how_to_get, presence
    from bench.datasets.manifest import load_manifest
    from bench.weights.entries import state, weight_entries

    found = []
    for suite in suites:
        missing = [m for m in map(load_manifest, suite.datasets) if presence(m).state != "present"]
        if missing:
            first = min(missing, key=lambda m: len(m.images))
            which = "none" if len(missing) == len(suite.datasets) else f"only {len(suite.datasets) - len(missing)}"
            names = ", ".join(manifest.name for manifest in missing)
            found.append(
                f"{suite.name} can run on {which} of its {len(suite.datasets)} data sets in full; missing: {names}; "
                f"first: {how_to_get(first)}"
            )
        needed = {name for row in suite.rows for name in row.needs if name in weight_entries()}
        lacking = [name for name in sorted(needed) if state(weight_entries()[name]) not in ("present", "shipped")]
        if lacking:
            found.append(
                f"{suite.name} lacks {len(lacking)} of {len(needed)} files of weights: python -m bench weights list"
            )
    return found


def _doctor(args: argparse.Namespace) -> int:
    from rich.markup import escape

    from bench.cli.terminal import console
    from bench.suites.reading import load_suite, suite_names

    loading()
    suites = [load_suite(name) for name in suite_names()]
    _print_machine()
    _print_data(suites)
    _print_weights()
    wrong, lacking = problems(), shortcomings(suites)
    screen = console()
    for problem in wrong:
        screen.print(escape(f"problem: {problem}"), soft_wrap=True)  # a command in it can be copied
    for shortcoming in lacking:
        screen.print(escape(f"missing: {shortcoming}"), soft_wrap=True)
    if not wrong:
        print("the installation is fine" + ("" if lacking else ", and nothing is missing"))
    return 2 if wrong else 0


def _print_machine() -> None:
    from rich.markup import escape

    from bench.cli.terminal import console, grid
    from bench.runs.provenance import choose_device, provenance

    machine = provenance(choose_device("auto"))
    table = grid("machine", "")
    for key in ("commit", "dirty", "python", "platform", "device", "processor", "threads"):
        table.add_row(key, escape(str(machine[key])))
    for name, version in machine["versions"].items():
        table.add_row(name, version)
    console().print(table)


def _print_data(suites: Sequence[Suite]) -> None:
    from bench.cli.terminal import console, grid, one_line_each
    from bench.datasets.local import presence
    from bench.datasets.manifest import load_manifest, manifest_names
    from bench.roots import data_root

    table = grid("data", "state", "images", "needed by", title=f"in {data_root()}")
    for name in manifest_names():
        here = presence(load_manifest(name))
        users = [suite.name for suite in suites if name in suite.datasets]
        fallback = any(name == suite.fallback for suite in suites)
        needed = ", ".join(users) or ("every table, where its own are missing" if fallback else "")
        count = f"{len(here.present)}/{len(here.present) + len(here.missing)}"
        state = f"[{_STYLES.get(here.state, 'yellow')}]{here.state}[/]"
        table.add_row(name, state, count, needed or "training, your own runs")
    console().print(one_line_each(table))


def _print_weights() -> None:
    from rich.markup import escape

    from bench.cli.terminal import console, grid, one_line_each
    from bench.roots import weights_root
    from bench.weights.entries import state, weight_entries

    table = grid("weights", "state", "needed by", title=f"in {weights_root()}")
    for name, entry in weight_entries().items():
        word = state(entry)
        table.add_row(escape(name), f"[{_STYLES.get(word, 'yellow')}]{word}[/]", escape(entry.used_by))
    console().print(one_line_each(table))
