"""Vectors to measure with, their filters, and what double precision says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

FILTERS = {"10 %": 0.1, "1 %": 0.01, "0.01 %": 0.0001, "20 % deleted": 0.8}  # the share of rows that pass
SUBJECT_ROWS = 4
CHUNK_ROWS = 65536
JUDGED_PROBES = 64


def normalise(vectors: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    return (vectors / lengths[:, None]).astype(np.float32)


@dataclass
class Data:
    name: str
    rows: np.ndarray  # of unit length
    probes: np.ndarray
    passes: dict[str, np.ndarray] = field(init=False)  # by filter, which rows pass

    def __post_init__(self):
        random = np.random.default_rng(3)
        self.passes = {name: random.random(len(self.rows)) < share for name, share in FILTERS.items()}

    def batch(self, count: int) -> np.ndarray:
        return np.ascontiguousarray(np.resize(self.probes, (count, self.probes.shape[1])))


def make_random(rows: int, dim: int, probes: int) -> Data:
    random = np.random.default_rng(1)
    vectors = [normalise(random.standard_normal((count, dim), np.float32)) for count in (rows, probes)]
    return Data("random", *vectors)


def make_faces(rows: int, dim: int, probes: int) -> Data:
    """Scores as of faces158 (bench/data.c has the same recipe): different people 0.085 around 0, alike ones 0.68. Every
    other probe is a stranger."""
    random = np.random.default_rng(2)
    spread = np.exp(-3.7 * np.arange(dim) / dim).astype(np.float32)
    people = random.standard_normal((rows // SUBJECT_ROWS + probes + 1, dim), np.float32) * spread
    axes = np.linalg.qr(random.standard_normal((dim, dim)))[0].astype(np.float32)

    def photograph(person: np.ndarray) -> np.ndarray:
        vectors = random.standard_normal((len(person), dim), np.float32)
        vectors *= 0.68 * spread
        vectors += people[person]
        return normalise(vectors @ axes)

    enrolled = rows // SUBJECT_ROWS
    searched = np.where(np.arange(probes) % 2 == 0, enrolled + np.arange(probes), random.integers(0, enrolled, probes))
    return Data("faces", photograph(np.arange(rows) // SUBJECT_ROWS), photograph(searched))


def read_file(path: Path) -> Data:
    """Every tenth row is a probe and not enrolled."""
    vectors = np.load(path).astype(np.float32)
    vectors = normalise(vectors[np.einsum("ij,ij->i", vectors, vectors) > 0])
    is_probe = np.arange(len(vectors)) % 10 == 0
    return Data(path.stem, np.ascontiguousarray(vectors[~is_probe]), np.ascontiguousarray(vectors[is_probe]))


class Truth:
    """The k best scores of some probes in double precision."""

    def __init__(self, data: Data, k: int, passing: np.ndarray | None = None):
        self.rows = data.rows
        self.probes = data.probes[:JUDGED_PROBES].astype(np.float64)
        self.k = k if passing is None else min(k, int(passing.sum()))
        best = np.full((len(self.probes), 0), -np.inf)
        for first in range(0, len(self.rows), CHUNK_ROWS):
            chunk = self.rows[first : first + CHUNK_ROWS].astype(np.float64)
            scores = self.probes @ (chunk if passing is None else chunk[passing[first : first + CHUNK_ROWS]]).T
            best = -np.sort(-np.hstack([best, scores]), axis=1)[:, : self.k]
        self.best = best

    def judge(self, numbers: np.ndarray) -> tuple[float, float]:
        """The share of the true k best that were found, and by how much the worst of all misses fell short. What is
        within the rounding of the last rank's score to a float counts as found: a tie."""
        numbers = numbers[: len(self.probes), : self.k]
        found = np.einsum("ij,ikj->ik", self.probes, self.rows[numbers].astype(np.float64))
        found[numbers < 0] = -np.inf
        last = self.best[:, -1:]
        is_right = found >= last - np.spacing(np.abs(last).astype(np.float32))
        found = -np.sort(-found, axis=1)
        return float(is_right.mean()), float(np.max(self.best - found))
