"""python -m hcflow info, export."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow.cli.entry import loading, subparser

if TYPE_CHECKING:
    from hcflow.checkpoint import CheckpointInfo

__all__ = ["add_parsers"]


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `info` and `export`."""
    info = subparser(
        commands,
        "info",
        "Show what a checkpoint is: task, layout, preset, sizes, parameters.",
        "examples:\n"
        "  python -m hcflow info SR_DF2K_X4_HCFlow++.pth\n"
        "  python -m hcflow info --json run/best.safetensors",
    )
    info.add_argument("file", type=Path, metavar="FILE", help="official .pth, or a file that hcflow wrote")
    info.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    info.set_defaults(run=_info)
    export = subparser(
        commands,
        "export",
        "Convert a checkpoint between the official layout (.pth) and our own (.safetensors).",
        "The suffix of OUT decides.\n\nexamples:\n"
        "  python -m hcflow export run/best.safetensors -o best.pth      for the released code\n"
        "  python -m hcflow export SR_DF2K_X4_HCFlow.pth -o sr.safetensors\n"
        "  python -m hcflow export run/best.safetensors -o small.safetensors --half",
    )
    export.add_argument("file", type=Path, metavar="FILE", help="checkpoint to read")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".pth or .safetensors")
    export.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    export.add_argument("--half", action="store_true", help="store float16 (.safetensors only)")
    export.set_defaults(run=_export)


def _info(args: argparse.Namespace) -> int:
    loading()
    from hcflow.checkpoint import info

    found = info(args.file)
    if args.json:
        data = dataclasses.asdict(found) | {"path": str(found.path)}
        print(json.dumps(data))
        return 0
    print("\n".join(_lines(found)))
    return 0


def _lines(found: CheckpointInfo) -> list[str]:
    """What a checkpoint is, task first, for people."""
    config = found.config
    task = "super-resolution" if config.q is not None else "rescaling"
    size = f"preset {found.preset}" if found.preset else "sizes that were not published"
    conditioner = config.conditioner
    condition = {"latent": "y_L", "given": "the given LR image", "nothing": "nothing"}[config.deepest_condition]
    noise = "none" if config.q is None else f"U(0, 1)/{config.q}"
    rows = [
        ("file", str(found.path)),
        ("layout", f"{found.layout}, {size}"),
        ("parameters", f"{found.parameters:,}"),
        ("trained", "yes" if found.initialised else "no: its ActNorms have never seen data"),
        ("levels", f"L = {config.L}, with K = {config.K} flow steps and P = {config.P} conditional flow steps each"),
        ("squeeze", config.squeeze),
        ("coupling", f"{config.coupling}, {config.width} hidden channels; conditional: {config.conditional_width}"),
        (
            "conditioner",
            f"{conditioner.blocks[0]} + {conditioner.blocks[1]} RRDBs of {conditioner.features} channels, growth "
            f"{conditioner.growth}, output {conditioner.output}",
        ),
        ("sees", f"{condition} at level {config.L}{', and all coarser conditions' if config.hierarchical else ''}"),
        ("LR image", "in the latent" if config.lr_in_latent else "not in the latent"),
        ("sigma", config.sigma),
        ("noise", noise),
        ("temperature", f"{config.temperature:g}"),
    ]
    return [f"HCFlow for {task} x{config.scale}", *(f"{name:<12} {text}" for name, text in rows)]


def _export(args: argparse.Namespace) -> int:
    loading()
    from hcflow.checkpoint import export, load, save
    from hcflow.errors import InputError

    if args.output.suffix not in (".pth", ".safetensors"):
        raise InputError(f"expected an output that ends in .pth or .safetensors, got {args.output}")
    if not args.output.parent.is_dir():
        raise InputError(f"expected an existing folder for the output, got {args.output.parent}")
    if args.half and args.output.suffix == ".pth":
        raise InputError(
            f"expected a .safetensors output for --half, got {args.output}: the released code needs float32"
        )
    if args.output.exists() and (not args.overwrite or args.output.samefile(args.file)):
        raise InputError(f"expected a new output, got {args.output}, which exists; use --overwrite or another name")
    model = load(args.file)
    if args.output.suffix == ".pth":
        export(model, args.output)
    else:
        save(model, args.output, half=args.half)
    print(args.output)
    return 0
