"""python -m hcflow upscale, downscale, restore."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hcflow import trained
from hcflow.cli.batch import Job, Report, add_batch_arguments, plan_jobs, run_jobs
from hcflow.cli.common import add_model_arguments, announce, load_model, require_task
from hcflow.cli.entry import say, subparser
from hcflow.errors import InputError

if TYPE_CHECKING:
    from hcflow.images.photo import Photo
    from hcflow.model import Decoder

__all__ = ["add_parsers"]

_SIDE = 1024
"""Of the tiles that an image is downscaled in, in its pixels."""
_FILES = (
    "Reads PNG, JPEG, WebP, BMP and TIFF: grey, RGB, 16 bits (cut to 8), CMYK with a colour profile. All images of a\n"
    "folder are processed; those that fail are listed at the end, and the exit code is 2."
)
_DECODING = (
    "An image is decoded as a whole where it fits into memory, else in overlapping tiles (the same to rounding).\n"
    "Transparency is resized bicubically."
)


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `upscale`, `downscale` and `restore`."""
    upscale = subparser(
        commands,
        "upscale",
        "Super-resolve images; every draw is a different plausible HR image.",
        f"{_FILES}\n{_DECODING} Grey stays grey.\n"
        "Several draws are written as NAME_1.png, NAME_2.png, ... The k-th draw of a seed is always the same image.\n\n"
        "examples:\n"
        "  python -m hcflow upscale bird.png -o bird_x4.png\n"
        "  python -m hcflow upscale bird.png -o bird_x4.png --checkpoint SR_DF2K_X4_HCFlow++.pth\n"
        "  python -m hcflow upscale photos/ -o out/ --checkpoint sr.pth --samples 5 --seed 1 --precision bf16\n"
        "  --temperature 0 gives the image with the highest PSNR, 0.9 the paper's sharper results",
    )
    add_batch_arguments(upscale)
    add_model_arguments(upscale, trained.SR_X4)
    upscale.add_argument("--scale", type=int, metavar="N", help="check that the checkpoint has this scale")
    upscale.add_argument("--samples", type=int, default=1, metavar="N", help="draws per image (default: 1)")
    _add_sampling(upscale)
    upscale.set_defaults(run=_upscale)

    downscale = subparser(
        commands,
        "downscale",
        "Shrink images so that `restore` brings them back.",
        f"{_FILES}\n"
        "A size that the scale does not divide is padded by repeating the last pixels. The small image remembers the\n"
        "original's size, and whether it was grey: restore uses both. It is RGB, because its colours carry detail.\n\n"
        "examples:\n"
        "  python -m hcflow downscale photos/ -o small/\n"
        "  python -m hcflow downscale photos/ -o small/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth",
    )
    add_batch_arguments(downscale)
    add_model_arguments(downscale, trained.RESCALING_X4)
    downscale.set_defaults(run=_downscale)

    restore = subparser(
        commands,
        "restore",
        "Enlarge what `downscale` made.",
        f"{_FILES}\n{_DECODING}\nThe result has the size of the original, where the file remembers it.\n\n"
        "examples:\n"
        "  python -m hcflow restore small/ -o back/\n"
        "  python -m hcflow restore small/ -o back/ --checkpoint Rescaling_DF2K_X4_HCFlow.pth\n"
        "  python -m hcflow restore bird.png -o back.png --checkpoint r.pth --size 501x333",
    )
    add_batch_arguments(restore)
    add_model_arguments(restore, trained.RESCALING_X4)
    restore.add_argument("--size", type=_size, metavar="WxH", help="crop to this size instead of the remembered one")
    _add_sampling(restore)
    restore.set_defaults(run=_restore)


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="0 to 10 (default: the paper's; 0.2 for upscale with the network that comes with hcflow)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument(
        "--precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="bf16: networks in bfloat16, slightly different and, where the device supports it, faster (default: fp32)",
    )


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x") if len(part) < 10)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT such as 501x333, got {text!r}") from None
    return width, height


def _upscale(args: argparse.Namespace) -> int:
    if args.samples < 1:
        raise InputError(f"expected --samples >= 1, got {args.samples}")
    return _decode_files(args, args.samples, rescaling=False)


def _restore(args: argparse.Namespace) -> int:
    return _decode_files(args, 1, rescaling=True)


def _decode_files(args: argparse.Namespace, samples: int, rescaling: bool) -> int:
    if args.temperature is not None and not 0 <= args.temperature <= 10:
        raise InputError(f"expected --temperature >= 0 and <= 10, got {args.temperature}; published results use 0 to 1")
    if not -(2**63) <= args.seed < 2**64:
        raise InputError(f"expected a --seed of 64 bits, got {args.seed}")
    jobs = plan_jobs(args, samples)
    model = load_model(args)
    from hcflow.folded.decoder import fold

    require_task(model, rescaling, args.command)
    scale = model.config.scale
    if getattr(args, "scale", None) not in (None, scale):
        raise InputError(f"expected a checkpoint for --scale {args.scale}, got one for {scale}; use its scale")
    announce(args)
    decoder = fold(model, args.precision)
    reader = _Reader()

    def run(job: Job, report: Report) -> list[str]:
        photo = reader.read(job.source)
        crop = None
        if rescaling:
            crop = _crop(job.source, photo, args.size, scale)
        _decode_file(decoder, photo, job, args, crop, report)
        return [str(target) for target in job.targets]

    return run_jobs(args, jobs, run)


def _decode_file(
    decoder: Decoder,
    photo: Photo,
    job: Job,
    args: argparse.Namespace,
    crop: tuple[int, int] | None,
    report: Report,
) -> None:
    """Decode one image and write its draws, a few at a time; each image starts from the same seed."""
    import torch

    from hcflow.checks import check_output
    from hcflow.cli.work import decoding
    from hcflow.images.photo import write_photo
    from hcflow.images.tensors import alpha_of, to_pixels, to_tensor
    from hcflow.memory import free_bytes
    from hcflow.planning import plan_decode
    from hcflow.tiling import decode_draws

    image = photo.pixels
    tau = _temperature(args, decoder)
    samples = len(job.targets)
    plan = plan_decode(decoder.config, image.shape[0], image.shape[1], samples, free_bytes(args.device))
    say(f"{job.source}: {plan.describe()}", detail=plan.whole)
    alpha = alpha_of(image, decoder.config.scale)
    grey = image.ndim == 2 or (photo.original is not None and photo.original.grey)
    targets = iter(job.targets)
    with torch.inference_mode(), decoding(decoder, plan, report):
        lr = to_tensor(image).to(args.device)
        generator = torch.Generator().manual_seed(args.seed)
        for draws in decode_draws(decoder, lr, tau, generator, samples, plan):
            check_output(draws, f"decoding at temperature {tau:g}")
            for draw in draws:
                result = to_pixels(draw, grey=grey, alpha=alpha)
                if crop is not None:
                    result = result[: crop[1], : crop[0]]
                target = next(targets)
                if not (args.skip_existing and target.exists()):
                    write_photo(target, result, args.format, profile=photo.profile)


def _temperature(args: argparse.Namespace, decoder: Decoder) -> float:
    if args.temperature is not None:
        return float(args.temperature)
    return trained.SR_X4_TEMPERATURE if args.checkpoint == trained.SR_X4 else decoder.config.temperature


def _crop(source: Path, photo: Photo, size: tuple[int, int] | None, scale: int) -> tuple[int, int] | None:
    """The original's width and height: as asked for, else as the file remembers it."""
    remembered = photo.original
    full = (photo.pixels.shape[1] * scale, photo.pixels.shape[0] * scale)

    def fits(size: tuple[int, int]) -> bool:
        return all(most - scale < side <= most for side, most in zip(size, full, strict=True))

    if size is not None:
        if not fits(size):
            raise InputError(
                f"{source}: expected --size between {full[0] - scale + 1}x{full[1] - scale + 1} and "
                f"{full[0]}x{full[1]}, got {size[0]}x{size[1]}; give the original's size"
            )
        return size
    if remembered is None:
        say(f"{source}: no mark of `downscale`: not cropped; for an ordinary small image, use `upscale`")
        return None
    if not fits((remembered.width, remembered.height)):
        say(f"{source}: not cropped: it was changed since it was made of {remembered.width}x{remembered.height} pixels")
        return None
    return remembered.width, remembered.height


def _downscale(args: argparse.Namespace) -> int:
    jobs = plan_jobs(args, lossless=True)
    model = load_model(args)
    import torch

    from hcflow.checks import check_output
    from hcflow.cli.work import downscaling
    from hcflow.images.photo import Original, write_photo
    from hcflow.images.tensors import alpha_of, to_pixels, to_tensor
    from hcflow.precision import strict
    from hcflow.tiling import downscale_in_tiles

    require_task(model, True, args.command)
    announce(args)
    scale = model.config.scale
    reader = _Reader()

    def run(job: Job, report: Report) -> list[str]:
        photo = reader.read(job.source)
        image = photo.pixels
        height, width = image.shape[:2]
        padding = ((0, -height % scale), (0, -width % scale), (0, 0))[: image.ndim]
        padded = np.pad(image, padding, mode="edge")
        tiles = -(-padded.shape[0] // _SIDE) * -(-padded.shape[1] // _SIDE)
        with torch.inference_mode(), strict(), downscaling(model, tiles, report):
            lr = downscale_in_tiles(model, to_tensor(padded).to(args.device), _SIDE)[0]
        check_output(lr, "downscaling")
        small = to_pixels(lr, alpha=alpha_of(padded, 1 / scale))
        write_photo(job.targets[0], small, args.format, Original(width, height, image.ndim == 2), photo.profile)
        return [str(job.targets[0])]

    return run_jobs(args, jobs, run)


class _Reader:
    """Reads images and reports each kind of conversion once."""

    def __init__(self) -> None:
        self._reported: set[str] = set()

    def read(self, source: Path) -> Photo:
        """`read_photo`."""
        from hcflow.images.photo import read_photo

        photo = read_photo(source)
        if photo.conversion is not None and photo.conversion not in self._reported:
            self._reported.add(photo.conversion)
            say(f"{source}: {photo.conversion} (reported once)")
        return photo
