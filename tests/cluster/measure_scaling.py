"""How much faster two processes are than one, by turns on this machine:

    HCFLOW_DATA=.. OMP_NUM_THREADS=1 python tests/cluster/measure_scaling.py --rounds 3 --table 4 --dataset Set5 ..

All further arguments go to `bench run`. The table and MLflow do not count: from the submission to the last part's end.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median

from bench.runs import submissions

SETTINGS = [(1, 1), (1, 8), (2, 8)]
"""(Workers, shards), by turns."""


def measure(workers: int, shards: int, arguments: list[str], out: Path) -> tuple[float, float, int]:
    """Seconds until all is done, seconds until the first image is recorded, images."""
    command = [sys.executable, "-m", "bench", "run", *arguments, "--out", str(out), "--workers", str(workers)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    done = subprocess.run([*command, "--shards", str(shards)], check=False, env=environment, **pipes)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(done.stderr)
    (submission,) = submissions.load_all(out)
    parts = [submissions.status_of(out, submission.id, number) for number in submission.parts]
    known = [part for part in parts if part is not None]
    begun = datetime.fromisoformat(submission.created).timestamp()
    first = min(part.started + part.first for part in known) - begun
    return max(part.updated for part in known) - begun, first, sum(part.computed for part in known)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    args, rest = parser.parse_known_args()
    found: dict[tuple[int, int], list[tuple[float, float, int]]] = {setting: [] for setting in SETTINGS}
    for number in range(args.rounds):
        for setting in SETTINGS:
            with tempfile.TemporaryDirectory() as folder:
                found[setting].append(measure(*setting, rest, Path(folder) / "out"))
            seconds, first, images = found[setting][-1]
            what = f"{setting[0]} workers, {setting[1]} shards"
            print(f"round {number + 1}, {what}: {seconds:.1f} s, first record after {first:.1f} s, {images} images",
                  flush=True)  # fmt: skip
    pairs = zip(found[1, 8], found[2, 8], strict=True)
    ratios = [one[0] / two[0] for one, two in pairs]
    overheads = [(eight[0] - one[0]) / 7 for one, eight in zip(found[1, 1], found[1, 8], strict=True)]
    print(f"two workers against one, each round: {', '.join(f'{r:.2f}' for r in ratios)}; median {median(ratios):.2f}")
    print(f"overhead of a shard: median {median(overheads):.2f} s; load now {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
