"""Pictures that are nearly the same: saved anew, made smaller, brightened, cut by a hair.

Two are alike where few bits of their hashes differ and their thumbnails rise and fall together. A group is made around
its first picture, so that whatever is left out for another one is like that very one.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from operator import mul, sub
from typing import TypeVar

from engine.plan.looks import HASH_SIDE, Look

MOST_BITS = 16
"""Of 128 that may differ."""
MOST_APART = 0.025
"""1 - the correlation of the thumbnails: 0.01 after saving anew or brightening, from 0.03 on for similar drawings."""
_FLATTEST = 4.0  # levels: what varies less has nothing to be compared
_MOST_COMPARED = 32  # thumbnails for each picture, those with the nearest hashes; a film has thousands of like ones
_COMMON = 64  # pictures, or a fiftieth of all: what so many have in common, such as a white border, finds no copies

_BITS = 2 * HASH_SIDE * HASH_SIDE
_PARTS = MOST_BITS + 1
_EDGES = [_BITS * part // _PARTS for part in range(_PARTS + 1)]
_Key = TypeVar("_Key")


@dataclass(frozen=True, eq=False)
class _Thumb:
    """A thumbnail without the mean of each of its colours, and how far the rest spreads."""

    values: Sequence[int]
    spread: float

    @classmethod
    def of(cls, look: Look) -> _Thumb:
        means = [sum(look.thumb[channel::3]) * 3 // len(look.thumb) for channel in range(3)]
        values = array("h", map(sub, look.thumb, cycle(means)))
        return cls(values, math.sqrt(sum(map(mul, values, values)) / len(values)))

    def apart(self, other: _Thumb) -> float:
        """1 - their correlation."""
        together = sum(map(mul, self.values, other.values)) / len(self.values)
        return float(1 - together / (self.spread * other.spread))


def near_copies(looks: Mapping[_Key, Look]) -> list[list[_Key]]:
    """Groups of two or more that are alike, each in the order of `looks`; all are like the first of their group."""
    keys = list(looks)
    thumbs = [_Thumb.of(look) for look in looks.values()]
    hashes = [look.hash for look in looks.values()]
    places = [place for place, thumb in enumerate(thumbs) if thumb.spread > _FLATTEST]
    bands = _bands(hashes, places)
    taken = set[int]()
    groups = []
    for place in places:
        if place in taken:
            continue
        taken.add(place)
        bits, thumb = hashes[place], thumbs[place]
        others = set[int]().union(*(band for table in bands if (band := table.get(place)))) - taken
        near = sorted((distance, o) for o in others if (distance := (bits ^ hashes[o]).bit_count()) <= MOST_BITS)
        alike = sorted(other for _, other in near[:_MOST_COMPARED] if thumb.apart(thumbs[other]) <= MOST_APART)
        if alike:
            taken.update(alike)
            groups.append([keys[place], *(keys[other] for other in alike)])
    return groups


def _bands(hashes: Sequence[int], places: Sequence[int]) -> list[dict[int, list[int]]]:
    """For each part of the hash, by place, the places that have the same there.

    There is one part more than bits may differ, so that two that are near have at least one in common.
    """
    common = max(_COMMON, len(places) // 50)
    tables = []
    for begin, end in pairwise(_EDGES):
        bands: defaultdict[int, list[int]] = defaultdict(list)
        mask = (1 << end - begin) - 1
        for place in places:
            bands[hashes[place] >> begin & mask].append(place)
        tables.append({place: band for band in bands.values() if 1 < len(band) <= common for place in band})
    return tables
