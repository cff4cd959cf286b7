"""Times of a search, beside those of another, in turns."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Times:
    wall_s: float  # median
    processor_s: float  # median of what all threads took together
    turns: int

    @property
    def threads(self) -> float:
        """As many as were busy on average; on a busy machine fewer than were asked for."""
        return self.processor_s / self.wall_s


@dataclass
class Duel:
    ours: Times
    theirs: Times
    wall: float  # median over turns of their time over ours in the same turn
    processor: float


def take_time(search: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    search()
    return time.perf_counter() - wall, time.process_time() - processor


def summarise(turns: list[tuple[float, float]]) -> Times:
    return Times(statistics.median(t[0] for t in turns), statistics.median(t[1] for t in turns), len(turns))


def run_duel(ours: Callable, theirs: Callable, least_turns: int, seconds: float) -> Duel:
    """Turns until `seconds` have passed. What the machine does besides falls on both alike."""
    take_time(ours), take_time(theirs)
    mine, other, begin = [], [], time.perf_counter()
    while len(mine) < least_turns or (time.perf_counter() - begin < seconds and len(mine) < 101):
        mine.append(take_time(ours))
        other.append(take_time(theirs))
    ratios = [[theirs[i] / max(ours[i], 1e-9) for ours, theirs in zip(mine, other)] for i in (0, 1)]
    return Duel(summarise(mine), summarise(other), *map(statistics.median, ratios))


def read_load() -> float:
    return round(os.getloadavg()[0], 2)
