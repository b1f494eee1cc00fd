"""python -m bench run: measure a table's rows."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_out, add_suite, add_table, add_trust, named_suite, one_of, positive, suite_of, whole
from bench.cli.sharing_options import add_sharing, check, seeds_of
from hcflow.cli.entry import loading, quiet, subparser
from hcflow.train.recipe import BUDGETS

if TYPE_CHECKING:
    from bench.runs.runner import Request
    from bench.suites.suite import Row, Suite

_DESCRIPTION = """\
Measure a table: print what the paper published, what was measured, and whether the two agree, and write the table as
HTML, markdown, LaTeX and JSON. What an earlier run finished is not computed again; Ctrl-C or kill -9 loses at most the
image in flight, and the same command resumes.

Nothing is downloaded unless --fetch is given. If none of the table's data sets is present, Sample is used: three
photographs that come with scikit-image. Published numbers do not apply to them.
"""
_EXAMPLES = """\
examples:
  python -m bench run --list                              tables, rows, and what each row needs
  python -m bench run --table 4                           every row and data set that is present
  python -m bench run --table 4 --fetch                   download the missing data sets first
  python -m bench run --table 4 --method Bicubic --dataset Set5 Set14
  python -m bench run --table 2 --dataset Sample --also niqe@live brisque@live
  python -m bench run --ablation case5                    the row of table 1
  python -m bench run --ablation case5 --budget smoke     the same, with weights trained for a few seconds
  python -m bench run --ablation all --budget smoke --seed 0 1      each twice, so that the noise of training is seen
  python -m bench run --table 4 --weights my.safetensors --as "My network"
  python -m bench run --table 4 --method spandrel:SwinIR.pth
  python -m bench run --suite mine.toml                   your own table
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run`."""
    parser = subparser(commands, "run", "measure a table", _EXAMPLES, _DESCRIPTION)
    what = parser.add_mutually_exclusive_group(required=True)
    add_table(what)
    add_suite(what)
    what.add_argument("--ablation", metavar="CASE", help="a row of table 1: case1 .. case5, or all")
    what.add_argument("--list", action="store_true", help="list tables and rows, and what each row needs")
    parser.add_argument("--method", nargs="+", action="extend", default=[], metavar="NAME", help=_METHOD)
    parser.add_argument(
        "--dataset", nargs="+", action="extend", default=[], metavar="NAME", help="only these data sets"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N images of each data set")
    parser.add_argument("--also", nargs="+", action="extend", default=[], metavar="MEASURE", help=_ALSO)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    parser.add_argument("--precision", type=one_of("fp32", "tf32", "bf16"), default="fp32", help=_PRECISION)
    parser.add_argument("--keep-images", action="store_true", help="keep the restored images in OUT/images")
    parser.add_argument("--dry-run", action="store_true", help="print what would run and how long it would take")
    custom = parser.add_argument_group("your own weights, as a row beside the paper's")
    custom.add_argument("--weights", type=Path, metavar="FILE", help="an HCFlow checkpoint, official or trained here")
    custom.add_argument(
        "--as", dest="name", default="", metavar="NAME", help="name of that row (default: the file's name)"
    )
    custom.add_argument(
        "--budget",
        type=one_of(*BUDGETS),
        metavar="BUDGET",
        help=f"with --ablation: train the case first, unless it is trained ({', '.join(BUDGETS)})",
    )
    custom.add_argument(
        "--train-data",
        nargs="+",
        default=[],
        metavar="DIR",
        help="training images for --budget (default for smoke: Sample)",
    )
    custom.add_argument("--seed", nargs="+", action="append", default=[], type=whole, metavar="N", help=_SEED)
    parser.add_argument("--fetch", action="store_true", help="first download the table's data sets that are missing")
    add_out(parser)
    add_trust(parser)
    add_sharing(parser)
    parser.set_defaults(run=_run)


_METHOD = "only these rows: a row (HCFlow), all rows of a method (hcflow), spandrel:FILE, onnx:FILE or module:object"
_ALSO = "additional measures, such as niqe@live or pyiqa:dists"
_SEED = "of the training of --budget; a row for each (default: 0)"
_PRECISION = "arithmetic: fp32 (IEEE); tf32 and bf16 make separate rows (default: fp32)"


def _run(args: argparse.Namespace) -> int:
    if args.list:
        from bench.cli.listing import print_tables

        return print_tables()
    check(args)
    _check_names(args)
    loading()
    suite = _suite(args)
    if args.fetch and not args.part:
        _fetch_missing(suite, args.dataset)
    if not args.part and (args.attach or args.retry_failed or args.workers or args.executor) and not args.dry_run:
        return _shared(args, suite)
    if args.part or args.shard:
        return _part(args, suite)
    suite, rows = _rows(args, suite)
    request = _request(args, suite, rows)
    if args.dry_run:
        from bench.cli.listing import print_forecast, print_plan

        code = print_forecast(request)
        return print_plan(args, request) if args.workers or args.executor else code
    return _measure(args, request)


def _check_names(args: argparse.Namespace) -> None:
    """Refuse names of tables, data sets, methods and measures that do not exist, before PyTorch is loaded."""
    from bench.datasets.manifest import load_manifest
    from bench.errors import BenchError
    from bench.methods.method import METHODS
    from bench.metrics.metric import Measure

    if args.budget is not None and not args.ablation:
        raise BenchError("expected --ablation CASE with --budget, got none; train with python -m hcflow train")
    if args.train_data and args.budget is None:
        raise BenchError("expected --budget with --train-data, got none; without it nothing is trained")
    if args.seed and args.budget is None:
        raise BenchError("expected --budget with --seed, got none; without it nothing is trained")
    suite = named_suite("1" if args.ablation else args.table, args.suite)
    if args.ablation and args.ablation != "all":
        suite.select([args.ablation])
    for name in args.dataset:
        load_manifest(name)
    for name in args.also:  # and import it: what this command names is not left out, see bench.records.trust
        Measure.parse(name)
    added = any(args.out.glob("runs/*.json"))  # whose rows of earlier runs count, too
    for name in args.method:
        if not (added or METHODS.knows(name)):
            suite.select([name])
    if args.out.exists() and not args.out.is_dir():
        raise BenchError(f"--out: expected a folder for the records, got the file {args.out}; choose another")
    if args.weights is not None and not args.weights.is_file():
        raise BenchError(f"expected a file of weights, got {args.weights}; check the path")


def _part(args: argparse.Namespace, suite: Suite) -> int:
    """One part of a run that others share."""
    from bench.cli.presenting import exit_code, present
    from bench.cli.sharing import do_part, progress_of

    with progress_of(args) as progress:
        suite, rows = _rows(args, suite)
        request = _request(args, suite, rows)
        outcome = do_part(args, request, progress)
    if outcome is None:
        print("nothing to do: the plan has fewer parts")
        return 0
    if not args.no_report:
        present(request, outcome, None, only=False)
    done = sum(entry.computed + entry.cached for entry in outcome.journal.entries)
    print(f"{done} images, {len(outcome.problems)} problems")
    return exit_code(outcome, shared=True)


def _shared(args: argparse.Namespace, suite: Suite) -> int:
    """Have a run done by other processes, watch it, and print its table."""
    from bench.cli.presenting import conclude
    from bench.cli.sharing import again, distribute, distribute_cases, key_of_cases, key_of_request

    rows: tuple[Row, ...] = ()
    cases = args.budget is not None and bool(args.ablation)
    if not cases:
        suite, rows = _rows(args, suite)
        request = _request(args, suite, rows, "cpu")
    if args.attach or args.retry_failed:
        picture = again(args, suite.name, lambda: key_of_cases(args, suite) if cases else key_of_request(request))
    elif cases:
        picture = distribute_cases(args, suite)
    else:
        told = distribute(args, request)
        if told is None:
            return _measure(args, request)  # it says why nothing can run
        picture = told
    suite = _suite(args)
    only = bool(rows) and bool(args.ablation or args.method or args.weights)
    return conclude(_request(args, suite, rows or suite.rows, "cpu"), picture, only)


def _suite(args: argparse.Namespace) -> Suite:
    """The table with what earlier runs and this command add to it."""
    from bench.methods.method import METHODS
    from bench.runs.own_weights import is_module

    # what this command names is not left out, as what a journal names is: see bench.records.trust
    for text in filter(is_module, args.method):
        METHODS.find(text)
    suite = suite_of("1" if args.ablation else args.table, args.suite, args.out, args.trust)
    return suite.with_columns(args.also)


def _request(args: argparse.Namespace, suite: Suite, rows: tuple[Row, ...], device: str = "") -> Request:
    from bench.records.own_rows import as_json
    from bench.runs.provenance import choose_device
    from bench.runs.runner import Request

    original = named_suite(suite.name, args.suite)
    chosen = choose_device(device or args.device)
    added = as_json(original, rows)
    return Request(suite, rows, args.dataset, args.limit, chosen, args.out, added, args.also, args.keep_images)


def _measure(args: argparse.Namespace, request: Request) -> int:
    from bench.cli.bar import RunBar
    from bench.cli.presenting import exit_code, present
    from bench.runs.precision import arithmetic
    from bench.runs.runner import run
    from bench.tracking.tables import Tracker

    tracker = None if args.no_report else Tracker(args.out, request.suite, trust=args.trust)
    with RunBar(quiet()) as bar, arithmetic(args.precision):
        outcome = run(request, bar, tracker.later if tracker else lambda journal: None)
    if tracker:
        present(request, outcome, tracker, only=bool(args.ablation or args.method or args.weights))
    return exit_code(outcome)


def _rows(args: argparse.Namespace, suite: Suite) -> tuple[Suite, tuple[Row, ...]]:
    """The suite with rows of your own, and the rows to run."""
    from bench.errors import BenchError
    from bench.records.own_rows import with_rows
    from bench.runs.own_weights import in_precision, weight_rows

    cases = [] if args.ablation in (None, "all") else [args.ablation]
    if args.budget is not None:
        rows = _trained(args, suite)
    elif args.weights is not None:
        rows = _with_case(suite, cases, weight_rows(suite, args.weights, args.name))
        rows += _selected(suite, args.method, "") if args.method else ()
    else:
        rows = _selected(suite, [*cases, *args.method], args.name)
        if args.name and all(row in suite.rows for row in rows):
            raise BenchError("expected --weights FILE or your own method with --as, got neither")
    rows = in_precision(rows, args.precision)
    return with_rows(suite, [row for row in rows if row not in suite.rows]), rows


def _selected(suite: Suite, names: list[str], name: str) -> tuple[Row, ...]:
    """Rows of the suite, or of any method."""
    from bench.errors import BenchError
    from bench.runs.own_weights import method_row

    rows: list[Row] = []
    for text in names:
        try:
            found = suite.select([text])
        except BenchError:
            row = method_row(suite, text, name)
            if row is None:
                raise
            found = (row,)
        rows += [row for row in found if row not in rows]
    return tuple(rows) if names else suite.rows


def _with_case(suite: Suite, cases: list[str], rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Rows for weights of a case of Table 1, beside that case and described as it is."""
    if not cases:
        return rows
    case = suite.select(cases)[0]
    return tuple(replace(row, beside=case.name, describe=dict(suite.csv_line(case))) for row in rows)


def _trained(args: argparse.Namespace, suite: Suite) -> tuple[Row, ...]:
    """Rows for weights of Table 1's cases, trained now unless they were before."""
    from bench.runs.own_weights import weight_rows
    from bench.training.ablation import ROWS, train_rows
    from hcflow.cli.watching import terminal_watcher

    names = ROWS if args.ablation == "all" else [row.name for row in suite.select([args.ablation])]
    rows: list[Row] = []
    with terminal_watcher() as watcher:
        for one in train_rows(names, args.budget, args.train_data, args.device, watcher, seeds_of(args)):
            beside = _with_case(suite, [one.row], weight_rows(suite, one.file, f"{one.row} (ours, {one.label})"))
            rows += [replace(row, series=one.series, seed=one.seed) for row in beside]
    return tuple(rows)


def _fetch_missing(suite: Suite, names: list[str]) -> None:
    """Download what is missing; a set that cannot be downloaded is reported, and the next one follows."""
    from bench.cli.progress import DownloadBar
    from bench.datasets.acquire import fetch
    from bench.datasets.local import presence
    from bench.datasets.manifest import load_manifest
    from bench.errors import BenchError
    from bench.files import make_folder
    from bench.roots import data_root

    make_folder(data_root())
    for manifest in [load_manifest(name) for name in names or suite.datasets]:
        if not presence(manifest).missing:
            continue
        print(f"{manifest.name}: {manifest.title}\n  licence: {manifest.licence}; terms: {manifest.terms}")
        try:
            with DownloadBar() as bar:
                fetch(manifest, bar)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
