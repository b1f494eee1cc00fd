"""The options of `bench run` for several processes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bench.cli.options import one_of, positive
from bench.errors import BenchError

if TYPE_CHECKING:
    from hcflow.train.cluster import Options


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """Add the options of several processes."""
    group = parser.add_argument_group("several processes and machines (docs/cluster.md)")
    group.add_argument("--workers", type=positive, metavar="N", help="N processes on this machine")
    group.add_argument("--executor", type=one_of("slurm", "local"), help="submit jobs: to Slurm, or on this machine")
    group.add_argument("--partition", default="", metavar="P", help="of Slurm")
    group.add_argument("--gpus", type=int, default=0, metavar="N", help="for each job (default: none)")
    group.add_argument("--cpus", type=positive, metavar="N", help="for each job")
    group.add_argument("--time", default="2:00:00", metavar="TIME", help="before a job is requeued (default: 2:00:00)")
    group.add_argument("--max-jobs", type=positive, metavar="N", help="jobs at a time (default: 20; local: 2)")
    group.add_argument("--slurm", action="append", default=[], metavar="KEY=VALUE", help="any other option of sbatch")
    group.add_argument("--shards", type=positive, metavar="N", help="cut the run into N parts (default: by its length)")
    group.add_argument("--attach", action="store_true", help="watch an earlier submission")
    group.add_argument("--retry-failed", action="store_true", help="resubmit its failed parts, and watch")
    group.add_argument("--shard", type=_fraction, metavar="K/N", help="do only the K-th of N parts, in this process")
    group.add_argument("--no-report", action="store_true", help="measure and record; no table, no MLflow")
    group.add_argument("--part", type=_part, help=argparse.SUPPRESS)  # ID:NUMBER, the part of a job


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        BenchError: one line that says which.
    """
    if args.part:
        return
    if sum(map(bool, (args.workers, args.executor, args.shard))) > 1:
        raise BenchError("expected one of --workers, --executor and --shard, got several")
    if (args.attach or args.retry_failed) and args.shard:
        raise BenchError("expected --attach and --retry-failed without --shard: run that command again instead")
    if args.retry_failed and not (args.executor or args.workers):
        raise BenchError("expected --workers or --executor with --retry-failed, as it was submitted, got neither")
    if not args.executor:
        given = [("--partition", args.partition), ("--gpus", args.gpus), ("--cpus", args.cpus), ("--slurm", args.slurm)]
        given += [("--max-jobs", args.max_jobs)]
        if names := [name for name, value in given if value]:
            raise BenchError(f"expected --executor with {names[0]}, got none; --executor slurm submits jobs")
    if args.shards and not (args.executor or args.workers):
        raise BenchError("expected --workers or --executor with --shards, got neither; --shard K/N does one part")
    if (args.budget or args.weights) and args.shard and args.ablation == "all":
        raise BenchError("expected --executor or --workers with --ablation all, got --shard")
    if args.shard and len(seeds_of(args)) > 1:
        raise BenchError("expected --executor or --workers with several seeds, got --shard")
    if args.no_report and (args.workers or args.executor):
        raise BenchError("expected --no-report with --shard or a plain run: the submitting command prints the table")


def seeds_of(args: argparse.Namespace) -> list[int]:
    """The seeds of `--seed`, each once; 0 where none is given. A part trains with its own, which it was given last."""
    given: list[list[int]] = args.seed[-1:] if args.part else args.seed
    return list(dict.fromkeys(seed for seeds in given for seed in seeds)) or [0]


def options_of(args: argparse.Namespace) -> Options:
    """What a scheduler is asked for."""
    from hcflow.errors import HCFlowError
    from hcflow.train.cluster import Options, minutes

    more = dict(text.partition("=")[::2] for text in args.slurm)
    if wrong := [text for text in args.slurm if not text.partition("=")[0] or "=" not in text]:
        raise BenchError(f"expected --slurm KEY=VALUE, such as --slurm account=NAME, got {wrong[0]!r}")
    if args.gpus < 0:
        raise BenchError(f"expected --gpus >= 0, got {args.gpus}")
    at_once = args.max_jobs or (2 if args.executor == "local" else 20)
    try:
        return Options(args.partition, args.gpus, 1, args.cpus or 0, minutes(args.time), at_once, more)
    except HCFlowError as error:
        raise BenchError(f"--time: {error}") from None


def _fraction(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not slash or not 1 <= positive(number) <= positive(count):
        raise argparse.ArgumentTypeError(f"expected K/N, the K-th of N parts such as 3/8, got {text[:40]!r}")
    return positive(number), positive(count)


def _part(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition(":")
    return name, positive(number)
