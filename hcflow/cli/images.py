"""python -m hcflow upscale, downscale, restore."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hcflow.cli.common import add_image_arguments, announce, jobs, load_model, progress_bar, require_task
from hcflow.cli.entry import subparser
from hcflow.errors import InputError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from hcflow.images.io import Pixels
    from hcflow.model import Decoder
    from hcflow.tiling import Progress

__all__ = ["add_parsers"]

_SIZES = "Large images are decoded in tiles with a 32 pixel margin."


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `upscale`, `downscale` and `restore`."""
    upscale = subparser(
        commands,
        "upscale",
        "Super-resolve images; every draw is a different plausible HR image.",
        f"{_SIZES} Grey stays grey; transparency is resized bicubically.\n"
        "Draws are written as NAME_1.png, NAME_2.png, .. The k-th draw of a seed is always the same image.\n\n"
        "examples:\n"
        "  python -m hcflow upscale bird.png -o bird_x4.png --checkpoint SR_DF2K_X4_HCFlow++.pth\n"
        "  python -m hcflow upscale photos/ -o out/ --checkpoint sr.pth --samples 5 --seed 1 --precision bf16\n"
        "  --temperature 0 gives the mean image (highest PSNR), 0.9 the published results",
    )
    add_image_arguments(upscale)
    upscale.add_argument("--scale", type=int, metavar="N", help="check that the checkpoint has this scale")
    upscale.add_argument("--samples", type=int, default=1, metavar="N", help="draws per image (default: 1)")
    _add_sampling(upscale)
    upscale.set_defaults(run=_upscale)

    downscale = subparser(
        commands,
        "downscale",
        "Shrink images so that `restore` brings them back.",
        "Sizes that the scale does not divide are padded at the right and bottom by repeating the last pixels;\n"
        "the size to give to restore is printed.\n\n"
        "example:\n  python -m hcflow downscale photos/ -o small/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth",
    )
    add_image_arguments(downscale)
    downscale.set_defaults(run=_downscale)

    restore = subparser(
        commands,
        "restore",
        "Enlarge what `downscale` made.",
        f"{_SIZES}\n\nexample:\n"
        "  python -m hcflow restore small/ -o back/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth\n"
        "  python -m hcflow restore bird.png -o back.png --checkpoint r.pth --size 501x333",
    )
    add_image_arguments(restore)
    restore.add_argument("--size", type=_size, metavar="WxH", help="crop the result to the original's size")
    _add_sampling(restore)
    restore.set_defaults(run=_restore)


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--temperature", type=float, metavar="T", help="default: that of the published results")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="bf16: networks in bfloat16, faster and slightly different (default: fp32)",
    )


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 501x333, got {text!r}") from None
    return width, height


def _upscale(args: argparse.Namespace) -> int:
    if args.samples < 1:
        raise InputError(f"expected --samples >= 1, got {args.samples}")
    _decode_files(args, args.samples, rescaling=False, crop=None)
    return 0


def _restore(args: argparse.Namespace) -> int:
    _decode_files(args, 1, rescaling=True, crop=args.size)
    return 0


def _decode_files(args: argparse.Namespace, samples: int, rescaling: bool, crop: tuple[int, int] | None) -> None:
    from hcflow.folded.decoder import fold
    from hcflow.images.io import read_image, write_png

    if args.temperature is not None and not 0 <= args.temperature < math.inf:
        raise InputError(f"expected --temperature >= 0, got {args.temperature}")
    plan = jobs(args.input, args.output, samples)
    model = load_model(args)
    require_task(model, rescaling, args.command)
    scale = model.config.scale
    if getattr(args, "scale", None) not in (None, scale):
        raise InputError(f"expected a checkpoint for --scale {args.scale}, got one for {scale}; use its scale")
    announce(args)
    decoder = fold(model, args.precision)
    with progress_bar() as bar:
        task = bar.add_task(args.command, total=len(plan))
        for source, targets in plan:
            image = read_image(source)
            if crop is not None:
                _check_crop(source, image, crop, scale)
            parts = bar.add_task(source.name, total=1)

            def report(done: int, of: int, parts: TaskID = parts) -> None:
                bar.update(parts, completed=done, total=of)

            results = _draws(decoder, image, args, samples, report)
            for target, result in zip(targets, results, strict=True):
                write_png(target, result if crop is None else result[: crop[1], : crop[0]])
            bar.remove_task(parts)
            bar.advance(task)
    for _, targets in plan:
        print(*targets, sep="\n")


def _draws(decoder: Decoder, image: Pixels, args: argparse.Namespace, samples: int, report: Progress) -> list[Pixels]:
    """Decode one image file's pixels; each image starts from the same seed."""
    import torch

    from hcflow.images.tensors import alpha_of, to_pixels, to_tensor
    from hcflow.tiling import decode_in_tiles

    tau = decoder.config.temperature if args.temperature is None else args.temperature
    generator = torch.Generator().manual_seed(args.seed)
    with torch.inference_mode():
        lr = to_tensor(image).to(args.device)
        hr = decode_in_tiles(decoder, lr, tau, generator, samples, progress=report)
    alpha = alpha_of(image, decoder.config.scale)
    return [to_pixels(draw, grey=image.ndim == 2, alpha=alpha) for draw in hr]


def _check_crop(source: Path, image: Pixels, crop: tuple[int, int], scale: int) -> None:
    width, height = crop
    full = (image.shape[1] * scale, image.shape[0] * scale)
    if not (full[0] - scale < width <= full[0] and full[1] - scale < height <= full[1]):
        raise InputError(
            f"{source}: expected --size between {full[0] - scale + 1}x{full[1] - scale + 1} and "
            f"{full[0]}x{full[1]}, got {width}x{height}; give the size that downscale printed"
        )


def _downscale(args: argparse.Namespace) -> int:
    import torch

    from hcflow.images.io import read_image, write_png
    from hcflow.images.tensors import alpha_of, to_pixels, to_tensor
    from hcflow.tiling import downscale_in_tiles

    plan = jobs(args.input, args.output)
    model = load_model(args)
    require_task(model, True, args.command)
    announce(args)
    scale = model.config.scale
    done: list[str] = []
    with progress_bar() as bar:
        for source, (target,) in bar.track(plan, description=args.command):
            image = read_image(source)
            height, width = image.shape[:2]
            padding = ((0, -height % scale), (0, -width % scale), (0, 0))[: image.ndim]
            padded = np.pad(image, padding, mode="edge")
            with torch.inference_mode():
                lr = downscale_in_tiles(model, to_tensor(padded).to(args.device))
            alpha = alpha_of(padded, 1 / scale)
            write_png(target, to_pixels(lr[0], grey=image.ndim == 2, alpha=alpha))
            note = f"  (padded; restore it with --size {width}x{height})" if padded.shape != image.shape else ""
            done.append(f"{target}{note}")
    print(*done, sep="\n")
    return 0
