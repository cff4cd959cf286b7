"""Which ids a search or a removal is about."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class IDSelector:
    def select(self, ids: Ids) -> Bools:
        """Whether each is a member."""
        raise NotImplementedError

    def is_member(self, id: int) -> bool:
        return bool(self.select(np.array([id], np.int64))[0])


class IDSelectorAll(IDSelector):
    def select(self, ids: Ids) -> Bools:
        return np.ones(len(ids), bool)


class IDSelectorRange(IDSelector):
    """imin <= id < imax.

    >>> IDSelectorRange(2, 4).is_member(3), IDSelectorRange(2, 4).is_member(4)
    (True, False)
    """

    def __init__(self, imin: int, imax: int, assume_sorted: bool = False):
        self.imin, self.imax = int(imin), int(imax)

    def select(self, ids: Ids) -> Bools:
        return (ids >= self.imin) & (ids < self.imax)


class IDSelectorBatch(IDSelector):
    """The ids of a list."""

    def __init__(self, ids: npt.ArrayLike):
        self._ids: Ids = np.unique(np.ascontiguousarray(ids, np.int64))

    def select(self, ids: Ids) -> Bools:
        return np.isin(ids, self._ids)


class IDSelectorArray(IDSelectorBatch):
    """The same as IDSelectorBatch: FAISS's differ only in speed."""


class IDSelectorBitmap(IDSelector):
    """Bit id % 8 of the byte id / 8.

    >>> [IDSelectorBitmap(np.packbits([0, 1, 0, 1], bitorder="little")).is_member(i) for i in (1, 2, 3, 99)]
    [True, False, True, False]
    """

    def __init__(self, bitmap: Any):
        self._bits: Bools = np.unpackbits(np.ascontiguousarray(bitmap).view(np.uint8), bitorder="little").astype(bool)

    def select(self, ids: Ids) -> Bools:
        known = (ids >= 0) & (ids < len(self._bits))
        found = np.zeros(len(ids), bool)
        found[known] = self._bits[ids[known]]
        return found


class IDSelectorNot(IDSelector):
    def __init__(self, sel: IDSelector):
        self._sel = _checked(sel)

    def select(self, ids: Ids) -> Bools:
        return ~self._sel.select(ids)


class _Both(IDSelector):
    def __init__(self, lhs: IDSelector, rhs: IDSelector):
        self._lhs, self._rhs = _checked(lhs), _checked(rhs)


class IDSelectorAnd(_Both):
    def select(self, ids: Ids) -> Bools:
        return self._lhs.select(ids) & self._rhs.select(ids)


class IDSelectorOr(_Both):
    def select(self, ids: Ids) -> Bools:
        return self._lhs.select(ids) | self._rhs.select(ids)


class IDSelectorXOr(_Both):
    def select(self, ids: Ids) -> Bools:
        return self._lhs.select(ids) ^ self._rhs.select(ids)


def _checked(sel: Any) -> IDSelector:
    if not isinstance(sel, IDSelector):
        raise TypeError(f"a selector must be an IDSelector, not {type(sel).__name__}")
    return sel
