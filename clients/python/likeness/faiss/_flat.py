"""Flat indexes: every vector is compared."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _arguments as checked
from ._selector import Bools, IDSelector, IDSelectorBatch, Ids
from ._store import Store

Floats = npt.NDArray[np.float32]
Array = TypeVar("Array", bound=npt.NDArray[Any])
MetricType = int

METRIC_INNER_PRODUCT, METRIC_L2 = 0, 1
_METRICS = {METRIC_INNER_PRODUCT: "ip", METRIC_L2: "l2"}
_FARTHEST = float(np.finfo(np.float32).max)


class SearchParameters:
    """`sel`: the ids among which to search; None: all."""

    def __init__(self, sel: IDSelector | None = None):
        if sel is not None and not isinstance(sel, IDSelector):
            raise TypeError(f"sel must be an IDSelector, not {type(sel).__name__}")
        self.sel = sel


def _vectors(x: Any, dim: int) -> Floats:
    array = np.ascontiguousarray(x, np.float32)
    if array.ndim != 2:
        raise ValueError(f"x must be rows x dim, not an array of {array.ndim} dimensions")
    if array.shape[1] != dim:
        raise AssertionError(f"x has the dimension {array.shape[1]}, the index {dim}")
    return array


def _check_rows(x: Floats) -> None:
    """When they are added, rather than when they are searched for."""
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    wrong = np.flatnonzero(~(lengths <= 2.0**40) | ((lengths < 2.0**-40) & (lengths > 0)))
    if len(wrong):
        raise ValueError(f"x[{wrong[0]}] is not finite, or its length is outside 2^-40 .. 2^40")


def _selector(params: SearchParameters | None) -> IDSelector | None:
    if params is not None and not isinstance(params, SearchParameters):
        raise TypeError(f"params must be SearchParameters, not {type(params).__name__}")
    return None if params is None else params.sel


def as_selector(ids: Any) -> IDSelector:
    return ids if isinstance(ids, IDSelector) else IDSelectorBatch(ids)


class Index:
    """What flat indexes and their maps of ids have in common."""

    d: int
    metric_type: int
    is_trained = True
    verbose = False
    metric_arg = 0.0

    @property
    def ntotal(self) -> int:
        raise NotImplementedError

    def train(self, x: npt.ArrayLike) -> None:
        """Nothing is learnt."""
        _vectors(x, self.d)

    def _found(self, ids: Ids) -> Ids:
        """The ids of positions; -1 stays."""
        raise NotImplementedError

    def _positions(self, selector: IDSelector | None) -> Ids | None:
        raise NotImplementedError

    def _store(self) -> Store:
        raise NotImplementedError

    def search(
        self,
        x: npt.ArrayLike,
        k: int,
        *,
        params: SearchParameters | None = None,
        D: Floats | None = None,
        I: Ids | None = None,
    ) -> tuple[Floats, Ids]:
        """The distances of the k nearest and their ids, one row per row of x. After the end of a shorter row the
        id is -1."""
        probes, count = _vectors(x, self.d), checked.integer("k", k, 1, 2**31 - 1, AssertionError)
        numbers, scores = self._store().search(probes, count, self._positions(_selector(params)))
        distances = np.where(numbers < 0, -_FARTHEST, scores).astype(np.float32)
        if self.metric_type == METRIC_L2:
            distances = 0 - distances
        found = self._found(numbers)
        return _into("D", D, distances), _into("I", I, found)

    def range_search(
        self, x: npt.ArrayLike, thresh: float, *, params: SearchParameters | None = None
    ) -> tuple[npt.NDArray[np.uint64], Floats, Ids]:
        """All ids nearer than thresh, or with an inner product above it: those of row i of x are
        I[lims[i] : lims[i + 1]], by their positions."""
        probes = _vectors(x, self.d)
        sign = -1 if self.metric_type == METRIC_L2 else 1
        least = np.nextafter(np.float32(sign * checked.real("thresh", thresh)), np.float32(np.inf))
        lists = self._store().range(probes, float(least), self._positions(_selector(params)))
        lims = np.cumsum([0, *(len(numbers) for numbers, _ in lists)]).astype(np.uint64)
        numbers = np.concatenate([np.empty(0, np.int64), *(numbers for numbers, _ in lists)])
        scores = np.concatenate([np.empty(0, np.float32), *(scores for _, scores in lists)])
        return lims, scores if sign == 1 else 0 - scores, self._found(numbers)

    def assign(self, x: npt.ArrayLike, k: int, labels: Ids | None = None) -> Ids:
        return self.search(x, k, I=labels)[1]

    def search_and_reconstruct(
        self, x: npt.ArrayLike, k: int, *, params: SearchParameters | None = None
    ) -> tuple[Floats, Ids, Floats]:
        """The vectors found as well; NaN where there is none."""
        D, I = self.search(x, k, params=params)
        vectors = np.full((*I.shape, self.d), np.nan, np.float32)
        vectors[I >= 0] = self.reconstruct_batch(I[I >= 0])
        return D, I, vectors

    def reconstruct(self, key: int, x: Floats | None = None) -> Floats:
        return _into("x", x, self._vectors_of(np.array([int(key)], np.int64))[0])

    def reconstruct_n(self, n0: int = 0, ni: int = -1, x: Floats | None = None) -> Floats:
        count = self.ntotal - n0 if ni == -1 else ni
        return _into("x", x, self._vectors_of(np.arange(n0, n0 + count, dtype=np.int64)))

    def reconstruct_batch(self, key: npt.ArrayLike, x: Floats | None = None) -> Floats:
        return _into("x", x, self._vectors_of(np.ascontiguousarray(key, np.int64)))

    def _vectors_of(self, ids: Ids) -> Floats:
        raise NotImplementedError


def _into(name: str, given: Array | None, made: Array) -> Array:
    if given is None:
        return made
    if given.shape != made.shape:
        raise AssertionError(f"{name} has the shape {given.shape}, not {made.shape}")
    given[...] = made
    return given


class IndexFlat(Index):
    """
    >>> index = IndexFlat(2, METRIC_INNER_PRODUCT)
    >>> index.add([[1, 0], [0, 3]])
    >>> index.search([[1, 1]], 2, params=SearchParameters(sel=IDSelectorBatch([0])))
    (array([[ 1.0000000e+00, -3.4028235e+38]], dtype=float32), array([[ 0, -1]]))
    """

    def __init__(self, d: int, metric: int = METRIC_L2):
        if metric not in _METRICS:
            raise ValueError(f"metric is {metric}; there are METRIC_INNER_PRODUCT and METRIC_L2")
        self.d, self.metric_type = checked.integer("d", d, 1, checked.DIM_MAX), metric
        self._stored = Store(self.d, _METRICS[metric])

    @property
    def ntotal(self) -> int:
        return len(self._stored.rows)

    def __repr__(self) -> str:
        name = {METRIC_INNER_PRODUCT: "inner product", METRIC_L2: "L2"}[self.metric_type]
        return f"<likeness.faiss.{type(self).__name__}: {self.ntotal} vectors of {self.d}, {name}>"

    def _store(self) -> Store:
        return self._stored

    def _found(self, ids: Ids) -> Ids:
        return ids

    def _positions(self, selector: IDSelector | None) -> Ids | None:
        if selector is None:
            return None
        return np.flatnonzero(selector.select(np.arange(self.ntotal, dtype=np.int64)))

    def add(self, x: npt.ArrayLike) -> None:
        rows = _vectors(x, self.d)
        _check_rows(rows)
        self._stored.add(rows)

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        raise RuntimeError("a flat index has no ids of its own: use IndexIDMap(index).add_with_ids")

    def remove_ids(self, x: IDSelector | npt.ArrayLike) -> int:
        """Vectors behind those that go move up. Returns how many went."""
        return self._remove(as_selector(x).select(np.arange(self.ntotal, dtype=np.int64)))

    def _remove(self, gone: Bools) -> int:
        if gone.any():
            self._stored.keep(~gone)
        return int(gone.sum())

    def reset(self) -> None:
        self._stored.clear()

    def _vectors_of(self, ids: Ids) -> Floats:
        if ((ids < 0) | (ids >= self.ntotal)).any():
            raise RuntimeError(f"there is no vector {ids[(ids < 0) | (ids >= self.ntotal)][0]} among {self.ntotal}")
        return self._stored.rows[ids]


class IndexFlatL2(IndexFlat):
    def __init__(self, d: int):
        super().__init__(d, METRIC_L2)


class IndexFlatIP(IndexFlat):
    def __init__(self, d: int):
        super().__init__(d, METRIC_INNER_PRODUCT)


def knn(xq: npt.ArrayLike, xb: npt.ArrayLike, k: int, metric: int = METRIC_L2) -> tuple[Floats, Ids]:
    """The k nearest of xb for each row of xq.

    >>> knn([[0, 1]], [[0, 3], [0, 2]], 1)
    (array([[1.]], dtype=float32), array([[1]]))
    """
    base = np.ascontiguousarray(xb, np.float32)
    index = IndexFlat(base.shape[1], metric)
    index.add(base)
    return index.search(xq, k)


def normalize_L2(x: Floats) -> None:
    """In place, to the length 1; rows of zeros stay."""
    if not isinstance(x, np.ndarray) or x.dtype != np.float32 or x.ndim != 2:
        raise TypeError("x must be a float32 array of rows x dim, which is changed in place")
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    np.divide(x, lengths, out=x, where=lengths > 0)
