"""Indexes whose vectors have ids of the caller's."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._flat import METRIC_L2, Floats, Index, IndexFlat, IndexFlatIP, IndexFlatL2, as_selector
from ._selector import IDSelector, Ids
from ._store import Store


class IndexIDMap(Index):
    """
    >>> index = IndexIDMap(IndexFlatL2(2))
    >>> index.add_with_ids([[1, 0], [0, 1]], [70, 50])
    >>> index.search([[0, 1]], 1)
    (array([[0.]], dtype=float32), array([[50]]))
    """

    def __init__(self, index: IndexFlat):
        if not isinstance(index, IndexFlat):
            raise TypeError(f"index must be an IndexFlat, not {type(index).__name__}")
        if index.ntotal != 0:
            raise RuntimeError("the index must be empty when its ids are mapped")
        self.index, self.d, self.metric_type = index, index.d, index.metric_type
        self._ids: Ids = np.empty(0, np.int64)

    @property
    def id_map(self) -> Ids:
        """The ids by position."""
        return self._ids

    @property
    def ntotal(self) -> int:
        return self.index.ntotal

    def __repr__(self) -> str:
        return f"<likeness.faiss.{type(self).__name__} of {self.index!r}>"

    def _store(self) -> Store:
        return self.index._store()

    def _found(self, ids: Ids) -> Ids:
        return np.append(self._ids, np.int64(-1))[ids]

    def _positions(self, selector: IDSelector | None) -> Ids | None:
        return None if selector is None else np.flatnonzero(selector.select(self._ids))

    def add(self, x: npt.ArrayLike) -> None:
        raise RuntimeError("each vector of this index needs an id: use add_with_ids")

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        rows, new = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(ids, np.int64)
        if new.shape != rows.shape[:1]:
            raise AssertionError(f"ids has the shape {new.shape} for {len(rows)} vectors")
        self.index.add(rows)
        self._ids = np.concatenate([self._ids, new])

    def remove_ids(self, x: IDSelector | npt.ArrayLike) -> int:
        """Returns how many vectors went."""
        gone = as_selector(x).select(self._ids)
        self._ids = self._ids[~gone]
        return self.index._remove(gone)

    def reset(self) -> None:
        self.index.reset()
        self._ids = np.empty(0, np.int64)

    def _vectors_of(self, ids: Ids) -> Floats:
        raise RuntimeError("IndexIDMap does not find vectors by their ids: IndexIDMap2 does")


class IndexIDMap2(IndexIDMap):
    """Finds vectors by their ids, too; the last one where several have the same.

    >>> index = IndexIDMap2(IndexFlatL2(2))
    >>> index.add_with_ids([[1, 0], [0, 1]], [70, 50])
    >>> index.reconstruct(50)
    array([0., 1.], dtype=float32)
    """

    def _vectors_of(self, ids: Ids) -> Floats:
        order = np.argsort(self._ids, kind="stable")
        places = np.searchsorted(self._ids, ids, side="right", sorter=order) - 1
        positions = order[places] if len(order) else np.full(len(ids), -1)
        known = (places >= 0) & (np.append(self._ids, np.int64(0))[positions] == ids) & (len(order) > 0)
        if not known.all():
            raise RuntimeError(f"no vector has the id {ids[~known][0]}")
        return self.index._vectors_of(positions)


def vector_to_array(v: Any) -> npt.NDArray[Any]:
    """Of an `id_map`."""
    return np.array(v)


def index_factory(d: int, description: str, metric: int = METRIC_L2) -> Index:
    """Of "Flat", "IDMap,Flat" and "IDMap2,Flat".

    >>> index_factory(4, "IDMap2,Flat")
    <likeness.faiss.IndexIDMap2 of <likeness.faiss.IndexFlatL2: 0 vectors of 4, L2>>
    """
    *maps, last = description.replace(" ", "").split(",")
    kinds = {"IDMap": IndexIDMap, "IDMap2": IndexIDMap2}
    if last != "Flat" or len(maps) > 1 or any(name not in kinds for name in maps):
        raise RuntimeError(f"description is {description!r}; there are 'Flat', 'IDMap,Flat' and 'IDMap2,Flat'")
    index = IndexFlatL2(d) if metric == METRIC_L2 else IndexFlatIP(d) if metric == 0 else IndexFlat(d, metric)
    return kinds[maps[0]](index) if maps else index
