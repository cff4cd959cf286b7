"""FAISS's own files of flat indexes: four letters, a header, the vectors; around that the ids."""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arguments import DIM_MAX, Path
from ._flat import METRIC_INNER_PRODUCT, METRIC_L2, Index, IndexFlat, IndexFlatIP, IndexFlatL2
from ._id_map import IndexIDMap, IndexIDMap2

_HEADER = struct.Struct("<iqqq?i")  # dimension, vectors, two that mean nothing, is trained, metric
_UNUSED = 1 << 20
_MAPS: dict[bytes, type[IndexIDMap]] = {b"IxMp": IndexIDMap, b"IxM2": IndexIDMap2}


class _Reader:
    def __init__(self, name: str, data: memoryview):
        self._name, self._data, self._at = name, data, 0

    def fail(self, words: str) -> RuntimeError:
        return RuntimeError(f"{self._name}: {words}")

    def take(self, size: int) -> memoryview:
        if size > len(self._data) - self._at:
            raise self.fail(f"cut off at byte {len(self._data)}; {size} more are wanted from {self._at}")
        self._at += size
        return self._data[self._at - size : self._at]

    def array(self, kind: str) -> npt.NDArray[Any]:
        (count,) = struct.unpack("<Q", self.take(8))
        return np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)

    def header(self) -> tuple[int, int, int]:
        dim, count, _, _, _, metric = _HEADER.unpack(self.take(_HEADER.size))
        if metric > METRIC_L2:
            self.take(4)
        if not 1 <= dim <= DIM_MAX or count < 0 or metric not in (METRIC_INNER_PRODUCT, METRIC_L2):
            raise self.fail(
                f"{count} vectors of dimension {dim}, metric {metric}: not an index that can be searched here"
            )
        return dim, count, metric

    def index(self) -> Index:
        kind = bytes(self.take(4))
        if kind in _MAPS:
            return self._id_map(_MAPS[kind])
        if kind not in (b"IxFI", b"IxF2", b"IxFl"):
            raise self.fail(f"an index of the kind {kind!r}; only flat ones (IxFI, IxF2, IxFl, IxMp, IxM2) are read")
        dim, count, metric = self.header()
        rows = self.array("<f4")
        if len(rows) != dim * count:
            raise self.fail(f"{len(rows)} floats for {count} vectors of dimension {dim}")
        made: IndexFlat = IndexFlatL2(dim) if metric == METRIC_L2 else IndexFlatIP(dim)
        made.add(rows.reshape(count, dim))
        return made

    def _id_map(self, kind: type[IndexIDMap]) -> IndexIDMap:
        _, count, _ = self.header()
        inner, ids = self.index(), self.array("<i8")
        if not isinstance(inner, IndexFlat) or inner.ntotal != count or len(ids) != count:
            raise self.fail(f"{len(ids)} ids of {inner.ntotal} vectors, where there should be {count}")
        mapped = kind(type(inner)(inner.d))
        mapped.index, mapped._ids = inner, ids.astype(np.int64)
        return mapped


def _header(index: Index) -> bytes:
    return _HEADER.pack(index.d, index.ntotal, _UNUSED, _UNUSED, True, index.metric_type)


def _write(index: Index) -> bytes:
    if isinstance(index, IndexIDMap):
        kind = b"IxM2" if isinstance(index, IndexIDMap2) else b"IxMp"
        ids = index.id_map.astype("<i8").tobytes()
        return kind + _header(index) + _write(index.index) + struct.pack("<Q", index.ntotal) + ids
    if not isinstance(index, IndexFlat):
        raise TypeError(f"index must be an index of likeness.faiss, not {type(index).__name__}")
    kind = b"IxF2" if index.metric_type == METRIC_L2 else b"IxFI"
    rows = index._store().rows
    return kind + _header(index) + struct.pack("<Q", rows.size) + rows.astype("<f4").tobytes()


def write_index(index: Index, fname: Path) -> None:
    """Writes a file that FAISS reads, too."""
    data = _write(index)
    with open(fname, "wb") as file:
        file.write(data)


def read_index(fname: Path) -> Index:
    """Reads a file of FAISS's or of write_index.

    >>> index = IndexFlatL2(2)
    >>> index.add([[1, 2]])
    >>> write_index(index, scratch / "index.faiss")
    >>> read_index(scratch / "index.faiss").reconstruct(0)
    array([1., 2.], dtype=float32)
    """
    with open(fname, "rb") as file:
        data = file.read()
    return _Reader(os.fsdecode(fname), memoryview(data)).index()


def serialize_index(index: Index) -> npt.NDArray[np.uint8]:
    return np.frombuffer(_write(index), np.uint8).copy()


def deserialize_index(data: npt.NDArray[np.uint8]) -> Index:
    return _Reader("data", np.ascontiguousarray(data, np.uint8).data).index()
