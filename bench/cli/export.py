"""python -m bench export: results as a file for other programs."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.options import add_trust, one_of
from bench.errors import BenchError
from hcflow.cli.entry import subparser

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = """\
examples:
  python -m bench export results --to results.csv                      a line per cell
  python -m bench export results other --frame draws --to draws.parquet
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `export`."""
    parser = subparser(
        commands,
        "export",
        "write results as CSV, Parquet or JSON",
        _EXAMPLES,
        description="Write the numbers of results folders into one file, with protocol, temperature, verdict, "
        "seconds and provenance. The same in Python: bench.load(FOLDER), see docs/analysis.md.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="results folders (--out of the runs)")
    parser.add_argument("--to", required=True, type=Path, metavar="FILE", help="FILE.csv, FILE.parquet or FILE.json")
    parser.add_argument(
        "--frame",
        type=one_of("cells", "images", "draws"),
        default="cells",
        help="cells, images or draws: what a line is",
    )
    parser.add_argument("--replace", action="store_true", help="overwrite the file if it is there")
    add_trust(parser)
    parser.set_defaults(run=_export)


def _export(args: argparse.Namespace) -> int:
    from bench.files import write_atomically
    from bench.records.frames import load

    encode = {".csv": _csv, ".parquet": _parquet, ".json": _json}.get(args.to.suffix.lower())
    if encode is None:
        raise BenchError(f"expected a file that ends in .csv, .parquet or .json, got {args.to}")
    if args.to.exists() and not args.replace:
        raise BenchError(f"{args.to}: expected a new file, got one that is there; choose another, or add --replace")
    frame = load(*args.folders, trust=args.trust).frame(args.frame)
    write_atomically(args.to, encode(frame))
    print(f"{args.to}: {len(frame)} lines")
    return 0


def _csv(frame: pd.DataFrame) -> bytes:
    return str(frame.to_csv(index=False, lineterminator="\n")).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    try:
        import pyarrow  # noqa: F401 - pandas would say it in many lines
    except ImportError:
        raise BenchError(
            "Parquet: expected the package pyarrow, got none; pip install 'hcflow-bench[parquet]', or use .csv"
        ) from None
    data = io.BytesIO()
    frame.to_parquet(data, engine="pyarrow", index=False)
    return data.getvalue()


def _json(frame: pd.DataFrame) -> bytes:
    """Strict JSON, one object per line of the frame; infinity is "inf" and what is missing null, as in our records."""
    from bench import jsons

    def plain(value: object) -> object:
        return jsons.number_or_null(value) if isinstance(value, float) else value

    lines = [{str(name): plain(value) for name, value in line.items()} for line in frame.to_dict("records")]
    return jsons.dumps(lines, indent=1).encode() + b"\n"
