"""Shards: a row, a data set and a range of its images; and plans, which give every process its share of them.

A plan puts all images that were asked for in one line, row by row and data set by data set, and cuts it into parts of
about equal seconds. So a part has few rows (each costs the loading of a network), its shards are ranges of images, and
no part is longer than its fair share by more than one image. Every image is in exactly one part, measured or not: an
estimate that is wrong costs time, never a number.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.errors import BenchError
from bench.runs.estimates import Cost

START = 1.0
"""Seconds that a row on a data set costs a process before its first image, where nothing better is known."""


@dataclass(frozen=True)
class Shard:
    """What one process does of a row on a data set.

    Attributes:
        row: name.
        dataset: name.
        start: first image, counted from 0 in the plan's list of the data set.
        stop: the image after the last.
        seconds: it is expected to take; without a unit where no earlier run tells how long an image takes.
    """

    row: str
    dataset: str
    start: int
    stop: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What every process does.

    Attributes:
        images: data set -> ids of the images that were asked for and present when the plan was made.
        parts: what each process does, those that take longest first.
        measured: whether the seconds come from earlier records, of some rows at least; else images count by their size.
    """

    images: dict[str, tuple[str, ...]]
    parts: tuple[tuple[Shard, ...], ...]
    measured: bool

    def seconds(self) -> list[float]:
        """How long each part is expected to take."""
        return [sum(shard.seconds for shard in part) for part in self.parts]

    def counts(self) -> list[int]:
        """How many images each part has, those of every row and data set counted."""
        return [sum(shard.stop - shard.start for shard in part) for part in self.parts]

    def ids(self, shard: Shard) -> tuple[str, ...]:
        """The images of a shard."""
        return self.images[shard.dataset][shard.start : shard.stop]

    def places(self) -> dict[tuple[str, str], list[int]]:
        """(Row, data set) -> the parts that have images of it, counted from 1."""
        found: dict[tuple[str, str], list[int]] = {}
        for number, part in enumerate(self.parts, 1):
            for shard in part:
                found.setdefault((shard.row, shard.dataset), []).append(number)
        return found


def plan(costs: Sequence[Cost], parts: int, start: float = START) -> Plan:
    """Cut what there is to do into parts of about equal length; fewer where there are not so many images.

    Args:
        costs: of every image of every row and data set, in order.
        parts: how many processes share the work.
        start: seconds that a row on a data set costs a process before its first image.
    """
    groups = sorted(_cut(costs, parts, start), key=lambda group: -_length(group, start))
    lists = images_of(costs)
    index = {dataset: {image: at for at, image in enumerate(ids)} for dataset, ids in lists.items()}
    made = tuple(tuple(_shards(group, index, start)) for group in groups)
    return Plan(lists, made, any(cost.known for cost in costs))


def images_of(costs: Sequence[Cost]) -> dict[str, tuple[str, ...]]:
    """Data set -> ids of its images, each once, in order."""
    images: dict[str, dict[str, None]] = {}
    for cost in costs:
        images.setdefault(cost.dataset, {})[cost.image] = None
    return {dataset: tuple(ids) for dataset, ids in images.items()}


def makespan(seconds: Iterable[float], processes: int) -> float:
    """When the last of so many processes is done, each taking the next part as soon as it has finished one."""
    free = [0.0] * processes
    for part in seconds:
        heapq.heapreplace(free, free[0] + part)
    return max(free)


def _length(group: Sequence[Cost], start: float) -> float:
    return sum(cost.seconds for cost in group) + start * len({(cost.row, cost.dataset) for cost in group})


def _shards(group: Sequence[Cost], index: dict[str, dict[str, int]], start: float) -> Iterator[Shard]:
    for (row, dataset), costs in groupby(group, key=lambda cost: (cost.row, cost.dataset)):
        of_place = list(costs)
        first, last = (index[dataset][cost.image] for cost in (of_place[0], of_place[-1]))
        yield Shard(row, dataset, first, last + 1, start + sum(cost.seconds for cost in of_place))


def _cut(costs: Sequence[Cost], parts: int, start: float) -> list[list[Cost]]:
    """Cut a line so that the longest piece is as short as it can be: bisection over its length.

    Only a length that was tried counts: a sum in another order may be shorter by a rounding error.
    """
    if not costs:
        return []
    if parts <= 1:
        return [list(costs)]
    low, high = 0.0, _length(costs, start) * (1 + 1e-9)
    best = _fill(costs, high, start)
    for _ in range(50):
        middle = (low + high) / 2
        pieces = _fill(costs, middle, start)
        if len(pieces) <= parts:
            high, best = middle, pieces
        else:
            low = middle
    if len(best) > parts:  # images beyond the last part would never be measured
        raise BenchError(f"expected a plan of at most {parts} parts, got {len(best)}; this is a bug in bench")
    return _spread(best, parts)


def _fill(costs: Sequence[Cost], longest: float, start: float) -> list[list[Cost]]:
    """Pieces, each filled until the next image would make it too long; an image alone is never too long."""
    pieces: list[list[Cost]] = []
    length, place = 0.0, None
    for cost in costs:
        new = (cost.row, cost.dataset) != place
        length += cost.seconds + (start if new else 0.0)
        if not pieces or length > longest:
            pieces.append([])
            length = cost.seconds + start
        pieces[-1].append(cost)
        place = (cost.row, cost.dataset)
    return pieces


def _spread(pieces: list[list[Cost]], parts: int) -> list[list[Cost]]:
    """Halve the longest pieces while there are fewer than was asked for."""
    while len(pieces) < parts:
        longest = max(pieces, key=lambda piece: (len(piece) > 1, sum(cost.seconds for cost in piece)))
        if len(longest) < 2:
            break
        at, middle = pieces.index(longest), len(longest) // 2
        pieces[at : at + 1] = [longest[:middle], longest[middle:]]
    return pieces
