"""python -m bench verify: measure a part of a results folder again."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.options import add_trust, whole
from bench.errors import BenchError
from bench.files import require_folder
from hcflow.cli.entry import subparser

if TYPE_CHECKING:
    from bench.records.store import Values
    from bench.runs.verifying import Check

_DESCRIPTION = """\
Measure a random part of a results folder again, on this machine, and compare digests and numbers. The images are drawn
from every row and data set. Nothing is written into the folder.

Exit code: 0 where everything that could be measured agrees, 1 where a number differs, 2 where nothing could be checked.
"""
_EXAMPLES = """\
examples:
  python -m bench verify results                      5 % of the images, at least one of each row and data set
  python -m bench verify results --sample 20          20 images in all
  python -m bench verify results --sample 100% --format json
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `verify`."""
    parser = subparser(commands, "verify", "measure a part of a results folder again", _EXAMPLES, _DESCRIPTION)
    parser.add_argument("folder", type=Path, metavar="DIR", help="results folder (--out of the runs)")
    parser.add_argument("--sample", default="5%", metavar="PART", help="a share (5%%) or a count of images (20)")
    parser.add_argument("--seed", type=whole, default=0, help="of the choice of images (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")
    add_trust(parser)
    parser.set_defaults(run=_verify)


def _verify(args: argparse.Namespace) -> int:
    require_folder(args.folder, "records")
    from bench.runs.provenance import choose_device
    from bench.runs.sampling import Sample
    from bench.runs.verifying import verify

    sample = Sample.parse(args.sample)

    def say(place: tuple[str, str, str], images: int) -> None:
        print(f"{place[0]}, {place[1]} on {place[2]}: {images} image{'' if images == 1 else 's'}", file=sys.stderr)

    checks = verify(args.folder, sample, args.seed, choose_device(args.device), say, args.trust)
    if args.format == "json":
        from bench import jsons

        print(jsons.dumps([_as_json(check) for check in checks], indent=1))
    else:
        _print(checks)
    if all(check.status == "not checked" for check in checks):
        why = checks[0].reason if checks else "no image in the sample"
        raise BenchError(f"{args.folder}: expected something that can be measured here, got: {why}")
    return 1 if any(check.status == "different" for check in checks) else 0


def _print(checks: Sequence[Check]) -> None:
    from rich.markup import escape

    from bench.cli.terminal import console, in_blocks

    screen = console()
    heads = ("table", "row", "data", "images", "identical", "same digits", "different", "not checked", "since then")
    rows = []
    places = dict.fromkeys((check.table, check.row, check.dataset) for check in checks)
    for place in places:
        mine = [check for check in checks if (check.table, check.row, check.dataset) == place]
        count = Counter(check.status for check in mine)
        images = len({check.image for check in mine if check.image})
        numbers = [str(count[status]) for status in ("identical", "same digits", "different", "not checked")]
        rows.append([*place, str(images), *numbers, _since(mine)])
    for table in in_blocks(heads, rows, screen.width, fixed=3):
        screen.print(table)
    for check in checks:
        if check.status in ("different", "same digits"):
            what = f"{check.status}: {check.row} on {check.dataset}/{check.image}, {check.measure}"
            screen.print(escape(f"{what}, temperature {check.temperature:g}: {check.reason}"))
    skipped = dict.fromkeys(
        f"not checked: {check.row} on {check.dataset}{'/' if check.image else ''}{check.image}"
        f"{', ' if check.measure else ''}{check.measure}: {check.reason}"
        for check in checks
        if check.status == "not checked"
    )
    for line in skipped:
        screen.print(escape(line))
    total = Counter(check.status for check in checks)
    screen.print(
        f"{len(checks)} numbers: {total['identical']} identical, "
        f"{total['same digits']} within half a unit of the last printed digit, "
        f"{total['different']} different, {total['not checked']} not checked"
    )


def _since(checks: Sequence[Check]) -> str:
    """What the digests say has changed; nothing where they are the same."""
    changed = dict.fromkeys(key for check in checks for key in check.changed)
    return f"changed: {', '.join(changed)}" if changed else "nothing changed"


def _as_json(check: Check) -> dict[str, Any]:
    return {
        "table": check.table, "row": check.row, "dataset": check.dataset, "image": check.image,
        "measure": check.measure, "temperature": check.temperature, "status": check.status,
        "recorded": _values(check.recorded), "computed": _values(check.computed), "changed": list(check.changed),
        "reason": check.reason,
    }  # fmt: skip


def _values(values: Values) -> object:
    from bench import jsons
    from bench.metrics.metric import NotApplicable

    if isinstance(values, NotApplicable):
        return {"not applicable": values.why}
    return [jsons.number(value) for value in values]
