"""python -m hcflow train."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hcflow.cli.entry import loading, subparser
from hcflow.cli.watching import terminal_watcher
from hcflow.errors import HCFlowError, InputError
from hcflow.images.io import ImageError
from hcflow.train.recipe import BUDGETS
from hcflow.train.recipes import RECIPES, recipe

if TYPE_CHECKING:
    from hcflow.train.observers import Plugin

__all__ = ["add_parsers"]

_PATIENCE = 5  # seconds; torchrun looks after its processes every tenth of a second

_DESCRIPTION = """\
Train a network by one of the paper's recipes, or by your own. The run lives in a folder: saves, weights, log and sample
pictures. Ctrl-C, SIGTERM and kill -9 lose no more than the steps since the last save; the same command resumes it.

Recipes: {recipes}; or a TOML file with `preset` (or `network`) and `stages`.
Budgets: smoke, a dozen steps on tiny crops, to check that everything works; small, half an hour to two hours on two CPU
cores (recipes that end in _small); hour, what one data-centre GPU does in about an hour; paper, the full schedule.
"""
_EXAMPLES = """\
examples:
  python -m hcflow train --recipe rescale_x4 --budget smoke
  python -m hcflow train --recipe rescale_x4_small --budget small --data data/T91 data/BSDS400 --validate data/Set5
  python -m hcflow train --recipe sr_x4 --budget paper --data data/DF2K --validate data/DIV2K --precision bf16
  python -m hcflow train --recipe sr_x4++ --budget paper --data data/DF2K --vgg19 vgg19-dcbb9e9d.pth \\
      --init runs/sr_x4-paper/weights/best.safetensors
  python -m hcflow train --recipe sr_x4 --budget hour --data data/DF2K --set patch=128 --set losses.nll=1
  python -m hcflow train --recipe sr_x8 --budget paper --data faces/ --processes 8
  torchrun --nnodes 2 --nproc-per-node 8 -m hcflow train --recipe sr_x8 --budget paper --data faces/
  python -m hcflow train --recipe sr_x8 --budget paper --data faces/ --executor slurm --nodes 2 --gpus 8

A recipe with several stages (sr_x4+, sr_x4++, sr_x8+, sr_x8++) trains them one after the other; with --init, only the
last. Data sets are folders of images (or with a folder HR in them), or names that an installed plug-in knows, such as
Sample."""


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train`."""
    description = _DESCRIPTION.format(recipes=", ".join(RECIPES))
    parser = subparser(commands, "train", "Train a network.", _EXAMPLES, description)
    parser.add_argument("--recipe", required=True, metavar="NAME", help="what to train, see above")
    parser.add_argument("--budget", choices=BUDGETS, default="paper", help="how long (default: paper)")
    parser.add_argument("--data", nargs="+", default=[], metavar="DIR", help="training images (smoke: Sample)")
    parser.add_argument("--validate", nargs="+", default=[], metavar="DIR", help="images to score now and then")
    parser.add_argument("--validate-images", type=int, default=10, metavar="N", help="first N of them (default: 10)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/RECIPE-BUDGET)")
    parser.add_argument("--restart", action="store_true", help="delete what an earlier run left there")
    parser.add_argument("--init", type=Path, metavar="FILE", help="start the last stage from these weights")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the last stage")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights, crops and noise (default: 0)")
    parser.add_argument("--vgg19", type=Path, metavar="FILE", help="torchvision's vgg19-dcbb9e9d.pth, for ++")
    _add_compute(parser)
    _add_intervals(parser)
    _add_jobs(parser)
    parser.set_defaults(run=_train_in_processes)


def _add_compute(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("speed and memory (the result stays the same up to rounding)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    group.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32", help="of the networks")
    group.add_argument("--recompute", action="store_true", help="less memory: compute parts again going backwards")
    group.add_argument("--compile", action="store_true", help="torch.compile the networks")
    group.add_argument("--accumulate", type=int, default=1, metavar="N", help="cut each batch into N parts")
    group.add_argument("--processes", type=int, default=1, metavar="N", help="share each batch, one GPU or core each")
    group.add_argument("--cache", type=Path, metavar="DIR", help="where decoded images are kept")


def _add_intervals(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("every so many steps (0: never)")
    group.add_argument("--log-every", type=int, default=50, metavar="N", help="numbers (default: 50)")
    group.add_argument("--save-every", type=int, default=1000, metavar="N", help="saves (default: 1000)")
    group.add_argument("--validate-every", type=int, default=1000, metavar="N", help="validation (default: 1000)")
    group.add_argument("--keep", type=int, default=3, metavar="N", help="saves to keep (default: 3)")


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("as a job, which is requeued from its last checkpoint (docs/cluster.md)")
    kinds = ("process", "slurm", "local")
    group.add_argument("--executor", choices=kinds, default="process", help="where it runs (default: this process)")
    group.add_argument("--nodes", type=int, default=1, metavar="N", help="(default: 1)")
    group.add_argument("--gpus", type=int, default=0, metavar="N", help="of each node (default: none)")
    group.add_argument("--cpus", type=int, default=0, metavar="N", help="of each node")
    group.add_argument("--partition", default="", metavar="P", help="of Slurm")
    group.add_argument("--time", default="24:00:00", metavar="TIME", help="until it is requeued (default: 24:00:00)")
    group.add_argument("--slurm", action="append", default=[], metavar="KEY=VALUE", help="any other option of sbatch")


def _submit(args: argparse.Namespace) -> int:
    """Hand the training to a scheduler, and say where to look."""
    from hcflow.train.cluster import Options, minutes, submit_training

    if args.restart or args.processes != 1:
        got = "--restart, which would begin anew each time; give another --out" if args.restart else "--processes"
        raise InputError(f"expected a run that can be requeued with --executor, got {got}")
    if min(args.nodes - 1, args.gpus, args.cpus) < 0:
        raise InputError(f"expected --nodes >= 1, --gpus and --cpus >= 0, got {args.nodes}, {args.gpus}, {args.cpus}")
    if wrong := [text for text in args.slurm if not re.fullmatch(r"[\w-]+=.*", text)]:
        raise InputError(f"expected --slurm KEY=VALUE, such as --slurm account=NAME, got {wrong[0]!r}")
    more = dict(text.split("=", 1) for text in args.slurm)
    options = Options(args.partition, args.gpus, args.nodes, args.cpus, minutes(args.time), 1, more)
    chosen = recipe(args.recipe).at(args.budget)  # what is wrong with it is better said now
    folder = args.out or Path("runs") / f"{Path(args.recipe).stem}-{args.budget}"
    kind: Literal["slurm", "local"] = "slurm" if args.executor == "slurm" else "local"
    job, log = submit_training(kind, args.arguments, folder, options)
    print(f"job {job}: {chosen.name} into {folder}; its log: {log}", file=sys.stderr)
    look = f"squeue -j {job}; to stop it: scancel {job}" if kind == "slurm" else f"kill {job} stops it"
    print(f"{look}; what it saved is kept, and the same command resumes it", file=sys.stderr)
    print(job)
    return 0


def _train_in_processes(args: argparse.Namespace) -> int:
    """Train in this process, or in several that it starts, or as a job."""
    if args.executor != "process":
        return _submit(args)
    if args.processes < 1:
        raise InputError(f"expected --processes >= 1, got {args.processes}")
    if args.processes == 1:
        return _train_or_leave_the_message_to_the_first(args)
    if "RANK" in os.environ:
        raise InputError("expected either torchrun or --processes, got both; leave out --processes")
    from hcflow.train.launch import launch

    plain = argparse.Namespace(**{k: v for k, v in vars(args).items() if k not in ("run", "command_parser")})
    return launch(partial(_train_or_print, plain), args.processes)


def _train_or_print(args: argparse.Namespace) -> int:
    """Train in a process that `launch` started, which has to print its own errors."""
    try:
        return _train_or_leave_the_message_to_the_first(args)
    except (HCFlowError, ImageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _train_or_leave_the_message_to_the_first(args: argparse.Namespace) -> int:
    """Train; of several processes, the first alone reports what all of them find wrong.

    The others are ended as soon as one has failed. So an error of another process is reported only if that process is
    still there after a while: then the first has not met it.
    """
    try:
        return _train(args)
    except (HCFlowError, ImageError, OSError):
        if os.environ.get("RANK", "0") != "0":
            time.sleep(_PATIENCE)
        raise


def _train(args: argparse.Namespace) -> int:
    quiet = getattr(args, "quiet", False)  # in processes of --processes, too
    chosen = recipe(args.recipe).at(args.budget)  # a name that does not exist is told before PyTorch is loaded
    if not quiet:
        loading()
    from hcflow.train.folder import weights_file
    from hcflow.train.observers import load_plugin
    from hcflow.train.session import Settings, files_of, train
    from hcflow.train.settings import Intervals
    from hcflow.train.stage import ComputeOptions

    smallest = dict.fromkeys(("validate_images", "accumulate", "keep"), 1)
    smallest |= dict.fromkeys(("log_every", "save_every", "validate_every"), 0)
    for name, least in smallest.items():
        if getattr(args, name) < least:
            raise InputError(f"expected --{name.replace('_', '-')} >= {least}, got {getattr(args, name)}")
    if args.init:
        chosen = chosen.last_stage_only()
    name = f"{Path(args.recipe).stem}-{args.budget}"
    plugin = load_plugin()
    settings = Settings(
        name,
        chosen.with_settings(args.set),
        args.out or Path("runs") / name,
        files_of(args.data or _default_data(args, plugin), plugin),
        files_of(args.validate, plugin)[: args.validate_images],
        ComputeOptions(args.precision, args.recompute, args.compile, args.accumulate),
        Intervals(args.log_every, args.save_every, args.validate_every),
        args.device,
        args.seed,
        args.init,
        args.vgg19,
        args.cache,
        args.keep,
        args.restart,
    )
    silent = quiet or os.environ.get("RANK", "0") != "0"  # one of torchrun's processes speaks for all
    with terminal_watcher(silent) as watcher:
        status = train(settings, watcher, plugin)
        if status == "stopped":
            watcher.say(f"stopped and saved in {settings.folder}; the same command resumes it")
    if status == "finished" and os.environ.get("RANK", "0") == "0":
        last, best = (weights_file(settings.folder, name) for name in ("last", "best"))
        use = f"{'restore' if chosen.network.q is None else 'upscale'} IMAGES -o DIR"
        weights = best if best.is_file() else last
        if not silent:
            print(f"finished; use it with `python -m hcflow {use} --checkpoint {weights}`", file=sys.stderr)
        print(last)
    return 0 if status == "finished" else 130


def _default_data(args: argparse.Namespace, plugin: Plugin | None) -> list[str]:
    """Sample for a smoke test where a plug-in brings it; anything longer needs --data."""
    if args.budget == "smoke" and plugin is not None:
        return ["Sample"]
    raise InputError("expected training images, got none; give folders with --data DIR")
