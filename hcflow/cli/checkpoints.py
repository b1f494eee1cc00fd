"""python -m hcflow info, export."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from hcflow.cli.entry import subparser

__all__ = ["add_parsers"]


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `info` and `export`."""
    info = subparser(
        commands,
        "info",
        "Say what a checkpoint is: layout, preset, sizes, parameters.",
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
        "The ending of OUT decides.\n\nexamples:\n"
        "  python -m hcflow export run/best.safetensors -o best.pth      for the released code\n"
        "  python -m hcflow export SR_DF2K_X4_HCFlow.pth -o sr.safetensors\n"
        "  python -m hcflow export run/best.safetensors -o small.safetensors --half",
    )
    export.add_argument("file", type=Path, metavar="FILE", help="checkpoint to read")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=".pth or .safetensors")
    export.add_argument("--half", action="store_true", help="store float16 (.safetensors only)")
    export.set_defaults(run=_export)


def _info(args: argparse.Namespace) -> int:
    from hcflow.checkpoint import info

    found = info(args.file)
    if args.json:
        data = dataclasses.asdict(found) | {"path": str(found.path)}
        print(json.dumps(data))
        return 0
    name = found.preset or "sizes that were not published"
    print(f"{found.path}: {found.layout} layout, {name}")
    print(f"parameters   {found.parameters:,}")
    print(f"scale        x{found.config.scale}")
    print(f"ActNorm      {'initialised' if found.initialised else 'not initialised: never trained'}")
    for key, value in dataclasses.asdict(found.config).items():
        print(f"{key:<12} {value}")
    return 0


def _export(args: argparse.Namespace) -> int:
    from hcflow.checkpoint import export, load, save
    from hcflow.errors import InputError

    if args.output.suffix not in (".pth", ".safetensors"):
        raise InputError(f"expected an output that ends in .pth or .safetensors, got {args.output}")
    if not args.output.parent.is_dir():
        raise InputError(f"expected an existing folder for the output, got {args.output.parent}")
    if args.half and args.output.suffix == ".pth":
        raise InputError(
            f"expected a .safetensors output for --half, got {args.output}: the released code wants float32"
        )
    model = load(args.file)
    if args.output.suffix == ".pth":
        export(model, args.output)
    else:
        save(model, args.output, half=args.half)
    print(args.output)
    return 0
