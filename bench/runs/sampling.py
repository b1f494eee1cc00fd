"""A random part of what was measured, spread over all rows and data sets."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.errors import BenchError

Stratum = tuple[str, str, str]
"""Table, row, data set."""


@dataclass(frozen=True)
class Sample:
    """How much to take: a share of every stratum (at least one image of each), or so many images in all.

    Attributes:
        share: above 0 and up to 1; None where a count is given.
        count: of images; None where a share is given.
    """

    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> Sample:
        """`5%` or `20`.

        Raises:
            BenchError: it is neither.
        """
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(%?)", text.strip())
        number = float(match[1]) if match else 0.0
        if match and match[2] and 0 < number <= 100:
            return cls(share=number / 100)
        if match and not match[2] and number.is_integer() and number >= 1:
            return cls(count=int(number))
        raise BenchError(f"expected a share such as 5% (up to 100%) or a count such as 20, got {text[:40]!r}")

    def of(self, strata: Mapping[Stratum, Sequence[str]], seed: int) -> dict[Stratum, list[str]]:
        """The images to take of each stratum; the same seed takes the same ones.

        A count goes round the strata, one image from each in turn, so that small ones are not passed over.
        """
        order = sorted(place for place, images in strata.items() if images)
        rng = random.Random(f"{seed}")
        mixed = {place: rng.sample(sorted(strata[place]), len(strata[place])) for place in order}
        if self.share is not None:
            return {place: images[: math.ceil(self.share * len(images))] for place, images in mixed.items()}
        rng.shuffle(order)
        taken: dict[Stratum, list[str]] = {}
        left = min(self.count or 0, sum(map(len, mixed.values())))
        while left:
            for place in [place for place in order if len(taken.get(place, [])) < len(mixed[place])][:left]:
                taken.setdefault(place, []).append(mixed[place][len(taken.get(place, []))])
                left -= 1
        return taken
