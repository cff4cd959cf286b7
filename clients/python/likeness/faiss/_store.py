"""Vectors in memory, and a gallery of them to search, which is made when it is first needed."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _arguments as checked
from .._folder import create, enroll
from .._found import Numbers, Scores
from .._gallery import Gallery

_LARGE_BYTES = 32 << 20
_LISTED = 1 << 24  # candidates of lists that are as long as the gallery


class Store:
    """The template number of a row is its position. Any threads may search at once."""

    def __init__(self, dim: int, metric: str):
        self.dim, self._metric = dim, metric
        self.clear()

    def clear(self) -> None:
        self._replace(np.empty((0, self.dim), np.float32))

    def _replace(self, rows: npt.NDArray[np.float32]) -> None:
        self._rows, self._count = rows, len(rows)
        self._galleries: list[Gallery] = []  # one, once it was needed
        self._enrolled = 0
        self._lock = threading.Lock()

    @property
    def rows(self) -> npt.NDArray[np.float32]:
        return self._rows[: self._count]

    def add(self, rows: npt.NDArray[np.float32]) -> None:
        end = self._count + len(rows)
        if end > len(self._rows):
            grown = np.empty((max(end, len(self._rows) * 3 // 2), self.dim), np.float32)
            grown[: self._count] = self.rows
            self._rows = grown
        self._rows[self._count : end] = rows
        self._count = end

    def keep(self, which: npt.NDArray[np.bool_]) -> None:
        self._replace(self.rows[which])

    def __deepcopy__(self, _: Any) -> Store:
        copied = Store(self.dim, self._metric)
        copied.add(self.rows)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.dim, self._metric, self.rows)

    def _made(self) -> Gallery:
        """The gallery, with all rows."""
        with self._lock:
            new = self.rows[self._enrolled :]
            if not self._galleries:
                self._folder = tempfile.mkdtemp(prefix="likeness-")
                weakref.finalize(self._lock, _discard, self._galleries, self._folder)
                create(f"{self._folder}/index", self.dim, self._metric)
                self._galleries.append(self._enroll_whole(new))
            elif new.nbytes > _LARGE_BYTES:
                self._galleries.pop().close()
                self._galleries.append(self._enroll_whole(new))
            elif len(new):
                self._galleries[0].enroll(new)
            self._enrolled = self._count
            return self._galleries[0]

    def _enroll_whole(self, rows: npt.NDArray[np.float32]) -> Gallery:
        folder = f"{self._folder}/index"
        if len(rows):
            enroll(folder, rows)
        return Gallery(folder, writable=True)

    def search(
        self, probes: npt.NDArray[np.float32], k: int, which: npt.NDArray[np.int64] | None
    ) -> tuple[Numbers, Scores]:
        """The best k of the positions, or of those in `which`."""
        gallery = self._made()
        keys: Any = None if which is None else checked.PackedTexts(which)
        if k <= checked.K_MAX:
            found = gallery.identify(probes, k, keys=keys)
            return found.numbers, found.scores
        numbers, scores = np.full((len(probes), k), -1, np.int64), np.full((len(probes), k), -np.inf, np.float32)
        at_once = max(1, _LISTED // max(self._count, 1))
        for first in range(0, len(probes), at_once):
            found = gallery.identify(probes[first : first + at_once], checked.ALL, keys=keys)
            ranks = min(k, found.numbers.shape[1])
            numbers[first : first + at_once, :ranks] = found.numbers[:, :ranks]
            scores[first : first + at_once, :ranks] = found.scores[:, :ranks]
        return numbers, scores

    def range(
        self, probes: npt.NDArray[np.float32], least: float, which: npt.NDArray[np.int64] | None
    ) -> list[tuple[Numbers, Scores]]:
        """For each probe all positions whose score is at least that, ascending."""
        gallery = self._made()
        keys: Any = None if which is None else checked.PackedTexts(which)
        lists = []
        at_once = max(1, _LISTED // max(self._count, 1))
        for first in range(0, len(probes), at_once):
            found = gallery.identify(probes[first : first + at_once], checked.ALL, threshold=least, keys=keys)
            for numbers, scores in zip(*found):
                order = np.argsort(numbers)[np.count_nonzero(numbers < 0) :]
                lists.append((numbers[order], scores[order]))
        return lists


def _discard(galleries: list[Gallery], folder: str) -> None:
    for gallery in galleries:
        gallery.close()
    shutil.rmtree(folder, ignore_errors=True)


def _restore(dim: int, metric: str, rows: npt.NDArray[np.float32]) -> Store:
    store = Store(dim, metric)
    store.add(rows)
    return store
