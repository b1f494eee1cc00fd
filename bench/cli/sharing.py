"""`bench run` in several processes: the options, a part of a run, and the side that submits and watches."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import one_of, positive
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.runs.estimates import Cost
    from bench.runs.runner import Outcome, Request
    from bench.runs.shards import Plan
    from bench.runs.submissions import Executor, PartProgress, Submission
    from bench.runs.watching import Picture
    from bench.suites.suite import Suite
    from hcflow.train.cluster import Options

_PROGRAM = "bench.__main__:main"  # what runs a part's command line
_PER_PROCESS = 4  # parts for each process, where nothing else is asked for: whoever is early does another
_LEAST = 20.0  # seconds: smaller parts would mostly load networks


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
    group.add_argument("--attach", action="store_true", help="watch what was submitted before")
    group.add_argument("--retry-failed", action="store_true", help="submit its failed parts again, and watch")
    group.add_argument("--shard", type=_fraction, metavar="K/N", help="do only the K-th of N parts, in this process")
    group.add_argument("--no-report", action="store_true", help="measure and record; no table, no MLflow")
    group.add_argument("--part", type=_part, help=argparse.SUPPRESS)  # ID:NUMBER, how a job is told what to do


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together.

    Raises:
        BenchError: one line that says which.
    """
    if args.part:
        return
    if sum(map(bool, (args.workers, args.executor, args.shard))) > 1:
        raise BenchError("expected one of --workers, --executor and --shard, got several")
    if not args.executor:
        given = [("--partition", args.partition), ("--gpus", args.gpus), ("--cpus", args.cpus), ("--slurm", args.slurm)]
        given += [("--max-jobs", args.max_jobs)]
        if names := [name for name, value in given if value]:
            raise BenchError(f"expected --executor with {names[0]}, got none; --executor slurm submits jobs")
    if args.shards and not (args.executor or args.workers):
        raise BenchError("expected --workers or --executor with --shards, got neither; --shard K/N does one part")
    if (args.budget or args.weights) and args.shard and args.ablation == "all":
        raise BenchError("expected --executor or --workers with --ablation all, got --shard")
    if args.no_report and (args.workers or args.executor):
        raise BenchError("expected --no-report with --shard or a plain run: whoever submits prints the table")


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


@contextmanager
def progress_of(args: argparse.Namespace) -> Iterator[PartProgress | None]:
    """Where a job notes how far it is, from its very beginning: it may train first. None for `--shard`."""
    from bench.errors import in_one_line
    from bench.runs import submissions

    if not args.part:
        yield None
        return
    name, number = args.part
    progress = _progress(args.out, name, number, len(submissions.load(args.out, name).images))
    try:
        yield progress
    except Exception as error:
        from bench.runs.executors import preempted

        if not preempted():
            progress.fail(in_one_line(error))
        raise


def do_part(args: argparse.Namespace, request: Request, progress: PartProgress | None) -> Outcome | None:
    """Do one part of a run in this process, and note how far it is; None where there are not so many parts."""
    from bench.runs import submissions
    from bench.runs.precision import arithmetic
    from bench.runs.runner import run

    submission, number = _part_to_do(args, request)
    count = len(submission.images)
    if number > count:
        return None
    share = submissions.share_of(request.out, submission.id, number, count)
    progress = progress or _progress(request.out, submission.id, number, count)
    with arithmetic(args.precision):
        outcome = run(replace(request, share=share), progress, lambda journal: None)
    progress.end()
    return outcome


def _progress(out: Path, submission: str, number: int, count: int) -> PartProgress:
    from bench.runs import executors, submissions
    from bench.runs.runner import Share

    job, log = executors.job_of_this_process()
    log = log or os.environ.get(submissions.LOG, "")
    return submissions.PartProgress(out, Share(submission, number, count, None), job, log)


def _part_to_do(args: argparse.Namespace, request: Request) -> tuple[Submission, int]:
    """The submission and the part of `--part`, or those of `--shard`, which are made by whoever comes first."""
    from bench.runs import submissions
    from bench.runs.shards import plan

    if args.part:
        return submissions.load(request.out, args.part[0]), args.part[1]
    number, count = args.shard
    costs = _costs(request)
    key = submissions.key_of(request, _images(costs))
    wanted = submissions.Submission(
        f"shards-{count}-{key}", request.suite.name, key, "other", tuple(args.arguments[:-1]), (), (), False
    )
    return submissions.agreed(request.out, wanted, lambda: plan(costs, count)), number


def planned(args: argparse.Namespace, request: Request) -> tuple[Plan, list[Cost]]:
    """The plan of `--workers` and `--executor`, and what it is made of."""
    from bench.runs.shards import plan

    costs = _costs(request)
    processes = args.workers or options_of(args).at_once
    parts = args.shards or _parts(costs, processes)
    return plan(costs, parts), costs


def _parts(costs: Sequence[Cost], processes: int) -> int:
    """Several for each process, unless that would make them too short; at least one for each process."""
    seconds = sum(cost.seconds for cost in costs) if any(cost.known for cost in costs) else float("inf")
    return max(processes, int(min(_PER_PROCESS * processes, seconds / _LEAST)))


def _costs(request: Request) -> list[Cost]:
    from bench.runs.estimates import costs
    from bench.runs.planning import datasets_of

    manifests, _ = datasets_of(request.suite, request.datasets)
    return costs(request.suite, request.rows, manifests, request.limit, request.out)


def _images(costs: Sequence[Cost]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for cost in costs:
        found.setdefault(cost.dataset, {})[cost.image] = None
    return {dataset: list(images) for dataset, images in found.items()}


def distribute(args: argparse.Namespace, request: Request) -> Picture | None:
    """Have the parts of a run done by others, and watch; None where there is nothing to do."""
    from bench.runs import submissions

    plan, costs = planned(args, request)
    if not costs:
        return None
    key = submissions.key_of(request, _images(costs))
    submission = submissions.Submission(
        submissions.new_id(), request.suite.name, key, _executor(args), tuple(args.arguments), tuple(plan.counts()),
        tuple(plan.seconds()), plan.measured,
    )  # fmt: skip
    return _start(args, submission, plan)


def distribute_cases(args: argparse.Namespace, suite: Suite) -> Picture:
    """Train and measure the cases of table 1 side by side: a part is a case."""
    from bench.records.store import digest_of
    from bench.runs import submissions
    from bench.training.ablation import ROWS

    cases = ROWS if args.ablation == "all" else [row.name for row in suite.select([args.ablation])]
    key = digest_of({"cases": list(cases), "budget": args.budget, "data": args.train_data})[:16]
    submission = submissions.Submission(
        submissions.new_id(), suite.name, key, _executor(args), tuple(args.arguments), (0,) * len(cases),
        (1.0,) * len(cases), False, tuple(("--ablation", case) for case in cases),
    )  # fmt: skip
    return _start(args, submission, None)


def again(args: argparse.Namespace, table: str) -> Picture:
    """`--attach` and `--retry-failed`: watch what was submitted before, or submit what failed of it again."""
    from bench.cli.watching import PictureView, how_to_go_on
    from bench.records.journal import this_process
    from bench.runs import executors, submissions
    from bench.runs.watching import Watch

    found = [one for one in submissions.load_all(args.out) if one.table == table and one.executor != "other"]
    if not found:
        raise BenchError(f"{args.out}: expected submitted jobs of {table}, got none; leave out --attach")
    submission = found[-1]
    if args.retry_failed:
        failed = [part.number for part in Watch(args.out, submission).settled().failed]
        if failed:
            with executors.exclusively(args.out):
                submissions.forget(args.out, submission.id, failed)
                if submission.executor != "workers":
                    submission = executors.submit(args.out, submission, failed, options_of(args), _PROGRAM)
            if submission.executor == "workers":
                submission = replace(submission, process=this_process())
                submissions.save(args.out, submission)
                return _work(args, submission, failed)
    with PictureView(submission) as view, how_to_go_on(submission, args.out):
        return Watch(args.out, submission).follow(view.show)


def _executor(args: argparse.Namespace) -> Executor:
    if args.workers:
        return "workers"
    return "slurm" if args.executor == "slurm" else "local"


def _start(args: argparse.Namespace, submission: Submission, plan: Plan | None) -> Picture:
    """Submit, unless the same thing is on its way already, and watch."""
    from bench.cli.watching import PictureView, how_to_go_on
    from bench.runs import executors, submissions
    from bench.runs.watching import Watch

    options = None if args.workers else options_of(args)
    with executors.exclusively(args.out):
        _refuse_twice(args.out, submission)
        submissions.create(args.out, submission, plan)
        if options is not None:
            kept: dict[str, str | int] = {"at_once": options.at_once, "gpus": options.gpus, "minutes": options.minutes}
            try:
                submission = executors.submit(
                    args.out, replace(submission, options=kept), submission.parts, options, _PROGRAM
                )
            except BenchError:  # there are no jobs: nothing to attach to
                shutil.rmtree(submissions.folder_of(args.out, submission.id), ignore_errors=True)
                raise
    if options is None:
        return _work(args, submission, submission.parts)
    with PictureView(submission) as view, how_to_go_on(submission, args.out):
        return Watch(args.out, submission).follow(view.show)


def _refuse_twice(out: Path, wanted: Submission) -> None:
    from bench.runs import submissions
    from bench.runs.watching import Watch

    for other in submissions.load_all(out):
        if other.key == wanted.key and other.executor != "other":
            picture = Watch(out, other).settled()
            if not picture.finished:
                done = picture.count("done")
                raise BenchError(
                    f"expected no other run of the same in {out}, got {other.id} ({done} of {len(other.images)} parts "
                    "done); watch it with --attach, or end it: python -m bench jobs --cancel"
                )


def _work(args: argparse.Namespace, submission: Submission, parts: Sequence[int]) -> Picture:
    from bench.cli.watching import PictureView
    from bench.runs.watching import Watch
    from bench.runs.workers import run_parts

    watch = Watch(args.out, submission)
    count = args.workers or 1
    with PictureView(submission) as view:
        view.show(watch.look())
        run_parts(args.out, submission, parts, count, args.device, lambda: view.show(watch.look()), _PROGRAM)
        picture = watch.look()
        view.show(picture)
    return picture


def _fraction(text: str) -> tuple[int, int]:
    number, slash, count = text.partition("/")
    if not slash or not 1 <= positive(number) <= positive(count):
        raise argparse.ArgumentTypeError(f"expected K/N, the K-th of N parts such as 3/8, got {text[:40]!r}")
    return positive(number), positive(count)


def _part(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition(":")
    return name, positive(number)
