"""python -m hcflow latents encode, decode, interpolate, transfer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hcflow.cli.entry import loading, subparser
from hcflow.errors import InputError

if TYPE_CHECKING:
    from hcflow.latents.point import Flow, Point

__all__ = ["add_parsers"]

_EXAMPLES = """examples:
  python -m hcflow latents encode cat.png -o cat.safetensors --checkpoint FILE
  python -m hcflow latents decode cat.safetensors -o soft.png --checkpoint FILE --temperature 0.5 0.9
  python -m hcflow latents interpolate cat.safetensors dog.safetensors -o between/ --checkpoint FILE --steps 5
  python -m hcflow latents transfer cat.safetensors dog.safetensors -o mixed.png --checkpoint FILE --region 64,32,128,96
  docs/latents.md shows what they do"""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `latents` and its sub-commands."""
    summary = "Encode images to latents, edit them, decode them: HCFlow and SRFlow."
    latents = subparser(commands, "latents", summary, _EXAMPLES)
    actions = latents.add_subparsers(dest="action", required=True, metavar="ACTION")

    encode = subparser(actions, "encode", "Write the latents of an HR image to a file.")
    encode.add_argument("input", type=Path, metavar="IMAGE", help="an opaque image of any size")
    _add_output(encode, "a .safetensors file", checkpoint_needed=True)
    encode.add_argument("--lr", type=Path, metavar="IMAGE", help="SRFlow: the LR image (default: bicubic)")
    encode.set_defaults(run=_encode)

    decode = subparser(actions, "decode", "Write the image of latents.")
    decode.add_argument("input", type=Path, metavar="LATENTS", help="a file that encode or transfer wrote")
    _add_output(decode, "a .png", checkpoint_needed=True)
    _add_temperature(decode)
    decode.add_argument("--seed", type=int, metavar="N", help="draw new latents, and keep the LR image alone")
    decode.set_defaults(run=_decode)

    interpolate = subparser(actions, "interpolate", "Write images between two points of one network, ends included.")
    interpolate.add_argument("inputs", type=Path, nargs=2, metavar="LATENTS", help="of two images of one size")
    _add_output(interpolate, "a folder", checkpoint_needed=True)
    interpolate.add_argument("--steps", type=int, default=5, metavar="N", help="images, 2 or more (default: 5)")
    interpolate.add_argument("--how", choices=("spherical", "linear"), default="spherical", help="(default: spherical)")
    _add_temperature(interpolate)
    interpolate.set_defaults(run=_interpolate)

    transfer = subparser(
        actions,
        "transfer",
        "Give a region of one image the latents of another.",
        "Without --with-lr the LR image stays that of the first: only what it lacks is exchanged.",
    )
    transfer.add_argument("inputs", type=Path, nargs=2, metavar="LATENTS", help="to change, and to take from")
    _add_output(transfer, "a .png, or .safetensors for the latents", checkpoint_needed=False)
    transfer.add_argument("--region", type=_region, metavar="X,Y,W,H", help="in HR pixels (default: everything)")
    transfer.add_argument("--levels", type=int, nargs="+", metavar="L", help="1 is the finest (default: all)")
    transfer.add_argument("--with-lr", action="store_true", help="take the LR image of the region along")
    transfer.add_argument(
        "--standardise",
        nargs="+",
        choices=("channel", "position"),
        default=(),
        help="then give the latents mean 0 and variance 1 per channel, per position, or both",
    )
    _add_temperature(transfer)
    transfer.set_defaults(run=_transfer)


def _add_output(parser: argparse.ArgumentParser, what: str, checkpoint_needed: bool) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=what)
    help_ = "HCFlow or SRFlow: official .pth, or a file that hcflow wrote"
    parser.add_argument("--checkpoint", type=Path, required=checkpoint_needed, metavar="FILE", help=help_)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT where it exists (never an input)")


def _add_temperature(parser: argparse.ArgumentParser) -> None:
    help_ = "multiply the latents: one number, or one per level, finest first (default: 1)"
    parser.add_argument("--temperature", type=float, nargs="+", default=(1.0,), metavar="T", help=help_)


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected X,Y,WIDTH,HEIGHT such as 64,32,128,96, got {text!r}") from None
    return x, y, width, height


def _encode(args: argparse.Namespace) -> int:
    loading()
    from hcflow.images.io import read_opaque
    from hcflow.images.tensors import to_tensor
    from hcflow.latents.point import encode, save

    sources = [args.input] + ([args.lr] if args.lr else [])
    _check_output(args, (".safetensors",), sources)
    images = [to_tensor(read_opaque(path)) for path in sources]
    model = _load(args)
    hr, *lr = (image.to(args.device) for image in images)
    save(encode(model, hr, *lr), args.output)
    print(args.output)
    return 0


def _decode(args: argparse.Namespace) -> int:
    loading()
    from hcflow.latents.edits import resample, tempered

    _check_output(args, (".png",), [args.input])
    (point,) = _read([args.input])
    if args.seed is not None:
        point = resample(point, args.seed)
    point = tempered(point, args.temperature)
    _write(_load(args), point, args.output, args.device)
    print(args.output)
    return 0


def _interpolate(args: argparse.Namespace) -> int:
    loading()
    from hcflow.latents.edits import interpolate, tempered

    if args.steps < 2:
        raise InputError(f"expected --steps >= 2, the ends among them, got {args.steps}")
    if args.output.suffix or (args.output.exists() and not args.output.is_dir()):
        raise InputError(f"expected a folder as output, got {args.output}")
    digits = len(str(args.steps))
    targets = [args.output / f"{k:0{digits}}.png" for k in range(1, args.steps + 1)]
    for target in targets:
        _check_free(target, args)
    a, b = _read(args.inputs)
    points = [tempered(interpolate(a, b, k / (args.steps - 1), args.how), args.temperature) for k in range(args.steps)]
    model = _load(args)
    args.output.mkdir(parents=True, exist_ok=True)
    for target, point in zip(targets, points, strict=True):
        _write(model, point, target, args.device)
        print(target)
    return 0


def _transfer(args: argparse.Namespace) -> int:
    loading()
    from hcflow.latents.edits import standardise, tempered, transfer
    from hcflow.latents.point import save

    _check_output(args, (".png", ".safetensors"), args.inputs)
    if args.output.suffix == ".png" and args.checkpoint is None:
        raise InputError("expected --checkpoint FILE to decode a .png, got none; or write .safetensors")
    target, source = _read(args.inputs)
    point = transfer(target, source, args.region, levels=args.levels, with_lr=args.with_lr)
    point = tempered(standardise(point, args.standardise), args.temperature)
    if args.output.suffix == ".png":
        _write(_load(args), point, args.output, args.device)
    else:
        save(point, args.output)
    print(args.output)
    return 0


def _load(args: argparse.Namespace) -> Flow:
    from hcflow.devices import choose_device
    from hcflow.latents.point import load_flow

    args.device = str(choose_device(args.device))
    return load_flow(args.checkpoint, args.device)


def _read(paths: Sequence[Path]) -> list[Point]:
    from hcflow.latents.point import load

    return [load(path) for path in paths]


def _write(model: Flow, point: Point, path: Path, device: str) -> None:
    from hcflow.images.io import write_png
    from hcflow.images.tensors import to_pixels
    from hcflow.latents.point import decode

    write_png(path, to_pixels(decode(model, point.to(device))[0]))


def _check_output(args: argparse.Namespace, suffixes: Sequence[str], inputs: Sequence[Path]) -> None:
    """Refuse an output that is an input, of another kind, in no folder, or that exists."""
    path: Path = args.output
    if path.suffix not in suffixes:
        raise InputError(f"expected an output that ends in {' or '.join(suffixes)}, got {path}")
    if not path.parent.is_dir():
        raise InputError(f"expected an existing folder for the output, got {path.parent}")
    if any(each.exists() and path.exists() and path.samefile(each) for each in inputs):
        raise InputError(f"expected an output beside the inputs, got {path}, which is one of them")
    _check_free(path, args)


def _check_free(path: Path, args: argparse.Namespace) -> None:
    if path.exists() and not args.overwrite:
        raise InputError(f"expected a new file as output, got {path}, which exists; --overwrite replaces it")
