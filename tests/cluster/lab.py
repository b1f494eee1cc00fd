"""A folder in which runs are tried: a small table, twelve small images, and a method that takes its time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from bench.runs import submissions
from bench.runs.submissions import Submission

ROOT = Path(__file__).parents[2]
IMAGES = 12
_SUITE = """
title = "Slow and fast (x4)"
scale = 4
datasets = ["Tiny"]
fallback = "Tiny"
columns = [{ id = "psnr_y", measure = "psnr@y,crop4,u8" }]
rows = [{ name = "Slow", method = "slowly:SLOW" }, { name = "Bicubic", method = "bicubic" }]
"""
_METHOD = '''
"""A method that takes its time and notes every image that it restores."""
import os, time
from pathlib import Path
from torch.nn.functional import interpolate
from bench.methods.method import MethodEntry


class Slow:
    def __init__(self, scale):
        self.scale = scale

    def restore(self, lr, temperature, seeds):
        time.sleep(float(os.environ["SLOWLY"]))
        with Path(os.environ["RESTORED"]).open("a") as log:
            log.write(f"{os.getpid()} {float(lr.sum())}\\n")
        return interpolate(lr[None], scale_factor=float(self.scale)).expand(len(seeds), -1, -1, -1)


def build(scale, weights=(), device=None, precision="fp32"):
    return Slow(scale)


SLOW = MethodEntry("slowly:SLOW", "Slow", "SR", (), False, "no paper", build, module=__name__)
'''


def heed_signals() -> None:
    """For a process that is about to start: tests may run where Ctrl-C and hang-ups are ignored (nohup, `&`)."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class Lab:
    """A folder with what runs need."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def in_(cls, folder: Path, seconds: float = 0.5, **environment: str) -> Lab:
        (folder / "mine.toml").write_text(_SUITE)
        (folder / "slowly.py").write_text(_METHOD)
        generator = np.random.default_rng(0)
        images = folder / "data/Tiny/HR"
        images.mkdir(parents=True)
        lines = []
        for number in range(IMAGES):
            Image.fromarray(generator.integers(0, 256, (40, 48, 3), np.uint8)).save(images / f"i{number:02}.png")
            lines.append(f'    {{ file = "i{number:02}.png", width = 48, height = 40 }},')
        about = 'title = "Twelve small images"\nlicence = "CC0"\nterms = "free"\n'
        (folder / "Tiny.toml").write_text(f"{about}images = [\n" + "\n".join(lines) + "\n]\n")
        own = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "OMP_NUM_THREADS": "1", "SLOWLY": str(seconds),
            "RESTORED": str(folder / "restored.log"), "HCFLOW_DATA": str(folder / "data"),
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",  # nobody listens there: the log book has tests of its own
        }  # fmt: skip
        return cls(folder, {**os.environ, **own, **environment})

    @property
    def out(self) -> Path:
        return self.folder / "results"

    def bench(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run to its end."""
        command = [sys.executable, "-m", "bench", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def run(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return self.bench("run", "--suite", "mine.toml", *arguments, timeout=timeout)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A run that goes on meanwhile."""
        command = [sys.executable, "-m", "bench", "run", "--suite", "mine.toml", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "preexec_fn": heed_signals}
        process = subprocess.Popen(command, cwd=self.folder, env=self.environment, **pipes)  # type: ignore[call-overload]
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def submission(self) -> Submission:
        return submissions.load_all(self.out)[-1]

    def status(self, part: int) -> submissions.Status | None:
        return submissions.status_of(self.out, self.submission().id, part)

    def lines(self) -> Counter[tuple[str, str]]:
        """(Restoration, image) -> how often it was recorded."""
        found: Counter[tuple[str, str]] = Counter()
        for path in self.out.glob("records/*/*.jsonl"):
            for line in path.read_text().splitlines()[1:]:
                found[path.parent.name, json.loads(line)["image"]] += 1
        return found

    def restored(self) -> int:
        """How often the slow method was asked."""
        path = Path(self.environment["RESTORED"])
        return len(path.read_text().splitlines()) if path.is_file() else 0

    def cells(self) -> list[dict[str, object]]:
        """The table as scripts see it."""
        done = self.bench("show", "--suite", "mine.toml", "--format", "json")
        assert done.returncode == 0, done.stderr
        cells: list[dict[str, object]] = json.loads(done.stdout)
        return cells

    def assert_whole(self, rows: Sequence[str] = ("Slow", "Bicubic")) -> None:
        """Nothing lost, nothing twice."""
        assert {(cell["row"], cell["n"]) for cell in self.cells() if cell["row"] in rows} == {
            (row, IMAGES) for row in rows
        }
        assert set(self.lines().values()) == {1}
        assert sum(self.lines().values()) == IMAGES * len(rows)


def until(what: Callable[[], object], timeout: float = 120, every: float = 0.1) -> object:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(every)
    raise AssertionError(f"waited {timeout:.0f} s in vain")
