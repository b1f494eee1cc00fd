"""Records on disk, which are the truth: one line per image, one file per restoration and writer, merged on reading.

    OUT/records/<restoration>/<run>.jsonl   a header, then one line per image: its values by measure digest
    OUT/images/<restoration>/...            restored images, where they are kept
    OUT/thumbnails/...                      small pictures for the HTML report

A line is appended with one write and synced, so kill -9 loses the image in flight. Every run writes files of its own,
so any number of processes may fill one folder without a lock. What a reader cannot make sense of (a line that was cut,
another format, NaN) is set aside with one warning, and computed again.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bench import jsons
from bench.errors import StorageError, one_line
from bench.files import make_folder, unwritable
from bench.jsons import Json
from bench.metrics.metric import NotApplicable

FORMAT = 2

Values = tuple[float, ...] | NotApplicable
"""Of one image: one value per draw, one value over the draws, or why there is none."""


@dataclass(frozen=True)
class Record:
    """One image of one restoration, as one run measured it.

    Attributes:
        image: its id.
        pixels: SHA-256 of its HR pixels.
        values: by measure digest.
        facts: of the restoration, such as seconds.
        how: what the method did with this image where that is worth a footnote, such as "6 tiles, halo 212 LR pixels".
        run: that made it.
        time: when, in seconds since 1970.
    """

    image: str
    pixels: str
    values: Mapping[str, Values]
    facts: Mapping[str, float]
    how: str
    run: str
    time: float


@dataclass
class Merged:
    """What all runs together know of one image with one set of pixels.

    Attributes:
        pixels: SHA-256 of its HR pixels.
        values: by measure digest, the newest of each.
        facts: the newest.
        how: the newest.
        runs: run -> the measure digests whose newest value it made.
        time: of the newest record.
    """

    pixels: str
    values: dict[str, Values] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    how: str = ""
    runs: dict[str, str] = field(default_factory=dict)
    time: float = 0.0

    def add(self, record: Record) -> None:
        """Let a newer record win."""
        self.values |= record.values
        self.facts |= record.facts
        self.how, self.time = record.how, record.time
        self.runs |= dict.fromkeys(record.values, record.run)


def digest_of(specification: Json) -> str:
    """SHA-256 of everything that can change a number."""
    return hashlib.sha256(jsons.dumps(_sorted(specification)).encode()).hexdigest()


class Writer:
    """The file into which one run writes the images of one restoration; it is made with the first of them."""

    def __init__(self, out: Path, run: str, specification: Json) -> None:
        self.out = out
        self.restoration = digest_of(specification)
        self.path = folder_of(out, self.restoration) / f"{run}.jsonl"
        self._header = {"format": FORMAT, "restoration": self.restoration, "specification": specification}
        self._run = run
        self._handle: int | None = None

    def append(
        self, image: str, pixels: str, values: Mapping[str, Values], facts: Mapping[str, float], how: str = ""
    ) -> Record:
        """Add an image; it survives whatever happens next.

        Raises:
            StorageError: it cannot be written, or only in part.
        """
        record = Record(image, pixels, dict(values), dict(facts), how, self._run, time.time())
        self._write(_encode(record))
        return record

    def close(self) -> None:
        """Release the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: Json) -> None:
        data = (jsons.dumps(line) + "\n").encode()
        try:
            if self._handle is None:
                make_folder(self.path.parent)
                self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                if os.fstat(self._handle).st_size == 0:
                    data = (jsons.dumps(self._header) + "\n").encode() + data
            written = os.write(self._handle, data)
            os.fsync(self._handle)
        except OSError as error:
            raise StorageError(unwritable(self.path, error)) from None
        if written != len(data):
            raise StorageError(f"{self.path}: expected to write {len(data)} bytes, wrote {written}; is the disk full?")


def read(out: Path, restoration: str, wanted: Mapping[str, str] | None = None) -> dict[str, Merged]:
    """Image id -> what is known of it with the right pixels.

    Args:
        out: results folder.
        restoration: digest.
        wanted: image id -> digest of the pixels that count; images not in it do not. None: every image, with the pixels
            that were measured last.
    """
    merged: dict[tuple[str, str], Merged] = {}
    newest: dict[str, str] = {}
    for record in records(out, restoration):
        merged.setdefault((record.image, record.pixels), Merged(record.pixels)).add(record)
        newest[record.image] = record.pixels
    right = newest if wanted is None else wanted
    return {image: merged[image, pixels] for image, pixels in right.items() if (image, pixels) in merged}


def records(out: Path, restoration: str) -> tuple[Record, ...]:
    """Every line of every run, oldest first."""
    files = sorted(folder_of(out, restoration).glob("*.jsonl"))
    states = [path.stat() for path in files]
    return _records(restoration, tuple((p, s.st_size, s.st_mtime_ns) for p, s in zip(files, states, strict=True)))


@lru_cache(maxsize=64)
def _records(restoration: str, files: tuple[tuple[Path, int, int], ...]) -> tuple[Record, ...]:
    """One reading for all columns of a table; sizes and times are there to notice that a file changed."""
    found = [record for path, _, _ in files for record in _read_file(path, restoration)]
    return tuple(sorted(found, key=lambda record: record.time))


def specification_of(out: Path, restoration: str) -> Json | None:
    """What a restoration's digest was taken of, where a run has written it down."""
    for path in sorted(folder_of(out, restoration).glob("*.jsonl")):
        header = next(iter(_lines(path)), None)
        if header is not None and not header_fault(header[1], restoration):
            specification: Json = header[1]["specification"]
            return specification
    return None


def has_records(out: Path, restoration: str) -> bool:
    """Whether any run has written of a restoration."""
    return any(folder_of(out, restoration).glob("*.jsonl"))


def folder_of(out: Path, restoration: str) -> Path:
    """Where the records of a restoration are."""
    return out / "records" / restoration


def _read_file(path: Path, restoration: str) -> Iterator[Record]:
    for number, content in _lines(path):
        if number == 1:
            if fault := header_fault(content, restoration):
                _warn(path, number, fault, "the file")
                return
            specification = content["specification"]
            continue
        try:
            yield decode(content, path.stem, int(specification["draws"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            _warn(path, number, _reason(error), "the line")


def _lines(path: Path) -> Iterator[tuple[int, Json]]:
    """(number, content) of the whole lines; one that cannot be read is None-d with a warning, a last one cut is not."""
    try:
        data = path.read_bytes()
    except OSError as error:
        _warn(path, 0, error.strerror or "it cannot be read", "the file")
        return
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            content = jsons.loads(line)
            if not isinstance(content, dict):
                raise ValueError("expected an object")
        except ValueError as error:
            _warn(path, number, _reason(error), "the file" if number == 1 else "the line")
            if number == 1:
                return
            continue
        yield number, content


def header_fault(header: Json, restoration: str) -> str:
    """What is wrong with a file's first line; nothing where it is right."""
    if header.get("format") != FORMAT:
        return f"expected format {FORMAT}, got {header.get('format')!r:.80}"
    specification = header.get("specification")
    if header.get("restoration") != restoration or not isinstance(specification, dict):
        return "expected the header of this restoration, got another"
    if type(specification.get("draws")) is not int or digest_of(specification) != restoration:
        return "expected a specification with the restoration's digest, got another"
    return ""


def _encode(record: Record) -> Json:
    values = {
        digest: {"not applicable": one.why} if isinstance(one, NotApplicable) else [jsons.number(v) for v in one]
        for digest, one in record.values.items()
    }
    facts = {name: jsons.number(value) for name, value in record.facts.items()}
    return {
        "image": record.image, "pixels": record.pixels, "values": values, "facts": facts, "how": record.how,
        "time": record.time,
    }  # fmt: skip


def decode(content: Json, run: str, draws: int) -> Record:
    """The record of a line.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    values = {_text(digest): _values(raw, draws) for digest, raw in content["values"].items()}
    facts = {_text(name): _number(value) for name, value in content["facts"].items()}
    image, pixels, how = (_text(content[name]) for name in ("image", "pixels", "how"))
    return Record(image, pixels, values, facts, how, run, _number(content["time"]))


def _values(raw: object, draws: int) -> Values:
    if isinstance(raw, dict):
        return NotApplicable(_text(raw["not applicable"]))
    if not isinstance(raw, list) or len(raw) not in (1, draws):
        raise ValueError(f"expected 1 or {draws} values, got {raw!r:.80}")
    return tuple(_number(value) for value in raw)


_LARGEST = 1e15  # no metric and no fact of a restoration comes near it


def _number(raw: object) -> float:
    if isinstance(raw, str) and raw in ("inf", "-inf"):  # as `jsons.number` writes it
        return float(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise TypeError(f"expected a number, got {raw!r:.80}")
    if abs(raw) > _LARGEST:
        raise ValueError(f"expected a number up to {_LARGEST:g}, got {raw!r:.80}")
    return float(raw)


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError(f"expected text, got {raw!r:.80}")
    return raw


def _reason(error: Exception) -> str:
    return one_line(f"no {error}" if isinstance(error, KeyError) else error)


_warned: set[tuple[Path, int]] = set()


def _warn(path: Path, line: int, fault: str, what: str) -> None:
    """One line per fault and process."""
    if (path, line) not in _warned:
        _warned.add((path, line))
        at = f", line {line}" if line else ""
        print(f"warning: {path}{at}: {fault}; {what} is set aside and measured again", file=sys.stderr)


def _sorted(content: object) -> object:
    """The same with all keys in order."""
    if isinstance(content, Mapping):
        return {key: _sorted(content[key]) for key in sorted(content)}
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [_sorted(one) for one in content]
    return content


def runs_of(images: Iterable[Merged], measures: Iterable[str]) -> set[str]:
    """The runs that made the values of these measures."""
    wanted = set(measures)
    return {run for one in images for digest, run in one.runs.items() if digest in wanted}
