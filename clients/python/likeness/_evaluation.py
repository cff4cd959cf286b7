"""Error rates of identification, as `likeness evaluate` and docs/evaluate.md define them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]

_Z = 1.959963984540054  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True)
class Rate:
    """`count` out of `of`, with Wilson's interval at 95 %."""

    count: int
    of: int

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        if self.of == 0:
            return 0.0, 1.0
        n, k = self.of, self.count
        centre = (k + _Z * _Z / 2) / (n + _Z * _Z)
        half = _Z / (n + _Z * _Z) * math.sqrt(k * (n - k) / n + _Z * _Z / 4)
        return 0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4g} ({self.count}/{self.of}, 95 % {low:.4g} .. {high:.4g})"


class Rates(NamedTuple):
    """At the threshold of the evaluation."""

    group: str | None  # None: all
    fpir: Rate
    fnir: Rate


@dataclass(frozen=True, repr=False)
class Evaluation:
    """A search for each labelled probe, one row of each array. `mate_ranks`: from 1; 0: not found. `mate_scores` and
    `top_scores`: -inf where there is none."""

    mated: Bools
    groups: npt.NDArray[Any]
    mate_ranks: npt.NDArray[np.int64]
    mate_scores: npt.NDArray[np.float32]
    top_scores: npt.NDArray[np.float32]
    threshold: float
    rank: int
    ranks: int  # candidates of each search

    def _of(self, group: str | None) -> Bools:
        return np.ones(len(self.mated), bool) if group is None else self.groups == group

    def fpir(self, threshold: float | None = None, group: str | None = None) -> Rate:
        """Non-mated searches with a candidate at or above the threshold."""
        least = np.float32(self.threshold if threshold is None else threshold)
        searches = ~self.mated & self._of(group)
        return Rate(int((self.top_scores[searches] >= least).sum()), int(searches.sum()))

    def fnir(self, threshold: float | None = None, group: str | None = None, rank: int | None = None) -> Rate:
        """Mated searches that do not return the mate within the rank at or above the threshold."""
        least = np.float32(self.threshold if threshold is None else threshold)
        searches = self.mated & self._of(group)
        missed = ~(self._returned(self.rank if rank is None else rank) & (self.mate_scores >= least))
        return Rate(int(missed[searches].sum()), int(searches.sum()))

    def identified(self, rank: int, group: str | None = None) -> Rate:
        """Mated searches that return the mate within the rank, at any score."""
        if rank > self.ranks:
            raise ValueError(f"rank is {rank}; the searches had {self.ranks} candidates: evaluate with a higher rank")
        searches = self.mated & self._of(group)
        return Rate(int(self._returned(rank)[searches].sum()), int(searches.sum()))

    def _returned(self, rank: int) -> Bools:
        found: Bools = (self.mate_ranks >= 1) & (self.mate_ranks <= rank)
        return found

    def rates(self) -> list[Rates]:
        """Of all searches, then of each group."""
        names = [None, *sorted(set(self.groups.tolist()) - {""}, key=str.encode)]
        return [Rates(name, self.fpir(group=name), self.fnir(group=name)) for name in names]

    def det(self, group: str | None = None) -> npt.NDArray[np.float64]:
        """Threshold, FPIR, FNIR: a row for every score at which one of them changes, by falling threshold."""
        of = self._of(group)
        non_mated, mated = self.top_scores[~self.mated & of], self.mate_scores[self.mated & of]
        returned = self.mate_scores[self.mated & of & self._returned(self.rank)]
        levels = np.unique(np.concatenate([non_mated, returned]))[::-1]
        levels = levels[levels > -np.inf]
        fpir = len(non_mated) - np.searchsorted(np.sort(non_mated), levels)
        fnir = len(mated) - (len(returned) - np.searchsorted(np.sort(returned), levels))
        with np.errstate(invalid="ignore"):
            return np.column_stack([levels, fpir / np.float64(len(non_mated)), fnir / np.float64(len(mated))])

    def __repr__(self) -> str:
        counts = f"{len(self.mated)} searches, {int(self.mated.sum())} mated"
        return f"<likeness.Evaluation {counts}: at {self.threshold:.9g} FPIR {self.fpir()}, FNIR {self.fnir()}>"


def threshold_for(fpir: float, top_scores: npt.NDArray[np.float32]) -> float:
    """The least score of a non-mated search at which the FPIR is at most the wanted one; where the greatest gives more,
    the float above it."""
    scores = np.sort(top_scores[top_scores > -np.inf])[::-1]
    if len(scores) == 0:
        return -math.inf
    levels = np.unique(scores)[::-1]
    counts = np.searchsorted(-scores, -levels, side="right")
    allowed = levels[counts / len(top_scores) <= fpir]
    return float(allowed[-1] if len(allowed) else np.nextafter(scores[0], np.float32(np.inf)))


def evaluate(
    searches: tuple[npt.NDArray[Any], npt.NDArray[np.float32]],
    enrolled: set[str],
    subjects: Sequence[str],
    groups: Sequence[str] | None,
    wanted: tuple[float, float | None, int],
) -> Evaluation:
    """`searches`: the subjects found by each search and their scores. `wanted`: FPIR, or a threshold, and the rank."""
    found, scores = searches
    of = np.array(subjects, object)
    mated = np.array([subject in enrolled for subject in subjects], bool)
    if not mated.any():
        raise ValueError("no probe has its subject in the gallery; FNIR needs mated searches")
    if mated.all():
        raise ValueError("every probe has its subject in the gallery; FPIR needs non-mated searches")
    hits = found == of[:, None]
    ranks = np.where(mated & hits.any(axis=1), hits.argmax(axis=1) + 1, 0)
    rows = np.arange(len(of))
    mates = np.where(ranks > 0, scores[rows, ranks - 1], np.float32(-np.inf)).astype(np.float32)
    tops = scores[:, 0].copy()
    fpir, threshold, rank = wanted
    at = threshold_for(fpir, tops[~mated]) if threshold is None else float(np.float32(threshold))
    names = np.array([""] * len(of) if groups is None else list(groups), object)
    return Evaluation(mated, names, ranks, mates, tops, at, rank, scores.shape[1])
