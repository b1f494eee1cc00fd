"""`bench run` in several processes: a part of a run, and the process that submits and watches."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.sharing_options import options_of, seeds_of
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.runs.estimates import Cost
    from bench.runs.progress import PartProgress
    from bench.runs.runner import Outcome, Request
    from bench.runs.shards import Plan
    from bench.runs.submissions import Executor, Submission
    from bench.runs.watching import Picture
    from bench.suites.suite import Suite

_PROGRAM = "bench.__main__:main"  # what runs a part's command line
_PER_PROCESS = 4  # parts for each process, by default: a process that is done early does another
_LEAST = 20.0  # seconds: smaller parts would mostly load networks


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
    from bench.runs.progress import PartProgress
    from bench.runs.runner import Share

    job, log = executors.job_of_this_process()
    log = log or os.environ.get(submissions.LOG, "")
    return PartProgress(out, Share(submission, number, count, None), job, log)


def _part_to_do(args: argparse.Namespace, request: Request) -> tuple[Submission, int]:
    """The submission and the part of `--part`, or those of `--shard`, which the first process makes."""
    from bench.runs import submissions
    from bench.runs.shards import images_of, plan

    if args.part:
        return submissions.load(request.out, args.part[0]), args.part[1]
    number, count = args.shard
    costs = _costs(request)
    key = submissions.key_of(request, images_of(costs))
    wanted = submissions.Submission(
        f"shards-{count}-{key}", request.suite.name, key, "other", _without_shard(args.arguments), (), (), False
    )
    return submissions.agreed(request.out, wanted, lambda: plan(costs, count)), number


def _without_shard(arguments: Sequence[str]) -> tuple[str, ...]:
    """What all who share a run with `--shard K/N` have in common."""
    kept = [
        word
        for before, word in zip(["", *arguments], arguments, strict=False)
        if "--shard" not in (before, word) and not word.startswith("--shard=")
    ]
    return tuple(kept)


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


def distribute(args: argparse.Namespace, request: Request) -> Picture | None:
    """Submit the parts of a run and watch them; None where there is nothing to do."""
    from bench.runs import submissions
    from bench.runs.shards import images_of

    plan, costs = planned(args, request)
    if not costs:
        return None
    submission = submissions.Submission(
        submissions.new_id(), request.suite.name, submissions.key_of(request, images_of(costs)), _executor(args),
        tuple(args.arguments), tuple(plan.counts()), tuple(plan.seconds()), plan.measured,
    )  # fmt: skip
    return _start(args, submission, plan)


def distribute_cases(args: argparse.Namespace, suite: Suite) -> Picture:
    """Train and measure the cases of table 1 side by side: a part is a case with one seed."""
    from bench.runs import submissions

    parts = [(case, seed) for seed in seeds_of(args) for case in _cases(args, suite)]
    own = tuple(("--ablation", case, *(("--seed", str(seed)) if args.seed else ())) for case, seed in parts)
    submission = submissions.Submission(
        submissions.new_id(), suite.name, key_of_cases(args, suite), _executor(args), tuple(args.arguments),
        (0,) * len(parts), (1.0,) * len(parts), False, own,
    )  # fmt: skip
    return _start(args, submission, None)


def _cases(args: argparse.Namespace, suite: Suite) -> list[str]:
    from bench.training.ablation import ROWS

    return list(ROWS) if args.ablation == "all" else [row.name for row in suite.select([args.ablation])]


def key_of_cases(args: argparse.Namespace, suite: Suite) -> str:
    """What was asked with `--ablation` and `--budget`, in a few letters."""
    from bench.records.store import digest_of

    asked = {"cases": _cases(args, suite), "budget": args.budget, "data": args.train_data}
    seeds = sorted(seeds_of(args))  # in whatever order they were named
    return digest_of(asked if seeds == [0] else {**asked, "seeds": seeds})[:16]  # as before there were seeds


def key_of_request(request: Request) -> str:
    """What was asked without them."""
    from bench.runs import submissions
    from bench.runs.shards import images_of

    return submissions.key_of(request, images_of(_costs(request)))


def again(args: argparse.Namespace, table: str, key: Callable[[], str]) -> Picture:
    """`--attach` and `--retry-failed`: watch an earlier submission, or resubmit its failed parts.

    Args:
        args: of the command.
        table: name of the suite.
        key: tells what is asked, see `Submission.key`.
    """
    submission = _submitted(args, table, key)
    if args.retry_failed:
        submission, failed = _submit_failed(args, submission)
        if failed and submission.executor == "workers":
            return _work(args, submission, failed)
    return _follow(args.out, submission)


def _submitted(args: argparse.Namespace, table: str, key: Callable[[], str]) -> Submission:
    """The newest submission of the same request."""
    from bench.runs import submissions

    found = [one for one in submissions.load_all(args.out) if one.table == table and one.executor != "other"]
    if not found:
        raise BenchError(f"{args.out}: expected submitted jobs of {table}, got none; leave out --attach")
    asked = key()
    same = [one for one in found if one.key == asked]
    if not same:
        others = "; ".join(f"{one.id}: {shlex.join(one.command)}" for one in found[-3:])
        raise BenchError(f"expected jobs that were submitted with the same arguments, got others: {others}")
    if args.workers or args.executor:
        wanted = _executor(args)
        fitting = [one for one in same if one.executor == wanted]
        if not fitting:
            how = "--workers N" if same[-1].executor == "workers" else f"--executor {same[-1].executor}"
            raise BenchError(f"expected {how}, with which {same[-1].id} was submitted, got {wanted}")
        same = fitting
    return same[-1]


def _submit_failed(args: argparse.Namespace, submission: Submission) -> tuple[Submission, list[int]]:
    """Resubmit the failed parts, and return which they are; nothing where another process has just done so."""
    from bench.records.journal import this_process
    from bench.runs import executors, submissions
    from bench.runs.watching import Watch

    with executors.exclusively(args.out):
        submission = submissions.load(args.out, submission.id)
        failed = [part.number for part in Watch(args.out, submission).settled().failed]
        if failed:
            submissions.forget(args.out, submission.id, failed)
            if submission.executor == "workers":
                submission = replace(submission, process=this_process())
                submissions.save(args.out, submission)
            else:
                submission = executors.submit(args.out, submission, failed, options_of(args), _PROGRAM)
    return submission, failed


def _executor(args: argparse.Namespace) -> Executor:
    if args.workers:
        return "workers"
    return "slurm" if args.executor == "slurm" else "local"


def _start(args: argparse.Namespace, submission: Submission, plan: Plan | None) -> Picture:
    """Submit, unless the same run is already submitted, and watch."""
    from bench.runs import executors, submissions

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
    return _follow(args.out, submission)


def _follow(out: Path, submission: Submission) -> Picture:
    """Watch jobs until they are done; Ctrl-C leaves them running."""
    from bench.cli.watching import PictureView, how_to_go_on
    from bench.runs.watching import Watch

    with PictureView(submission) as view, how_to_go_on(submission, out):
        return Watch(out, submission).follow(view.show)


def _refuse_twice(out: Path, wanted: Submission) -> None:
    from bench.runs import submissions
    from bench.runs.watching import Watch

    for other in submissions.load_all(out):
        if other.key == wanted.key and other.executor != "other":
            picture = Watch(out, other).settled()
            if not picture.finished:
                done = picture.count("done")
                raise BenchError(
                    f"expected no unfinished run with the same arguments in {out}, got {other.id} "
                    f"({done} of {len(other.images)} parts done); watch it with --attach, "
                    "or cancel it: python -m bench jobs --cancel"
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
