"""Arguments on their way into the library. ctypes cuts numbers off, ends strings at a NUL and takes anything for true;
so everything is checked here first. What is wrong raises a TypeError or a ValueError that names the argument."""

from __future__ import annotations

import ctypes
import math
import numbers
import operator
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from . import _library as c

METRICS = {"cosine": 0, "ip": 1, "l2": 2}
STORES = {"f32": 0, "f16": 1}
FUSIONS = {"none": 0, "max": 1, "mean": 2}
DIM_MAX = 4096
K_MAX = 4096
THREADS_MAX = 4096
ALL = 0xFFFFFFFF  # as k: all templates at or above the threshold

_TEXT_MAX = 255  # bytes
_UINT32_MAX, _UINT64_MAX, _INT64_MAX = 2**32 - 1, 2**64 - 1, 2**63 - 1
_ELEMENTS = {np.dtype("<f4"): 0, np.dtype("<f8"): 1, np.dtype("<f2"): 2, np.dtype("u1"): 3}


@dataclass(frozen=True)
class Claims:
    """Who searches a gallery that is bound to a policy, for what purpose and with what authorisation. An authorisation
    counts as pending unless it is said to be `granted`. `pending_since`: the Unix time in ms when a pending one was
    applied for; 0: not said."""

    purpose: str = ""
    actor: str = ""
    jurisdiction: str = ""
    case_id: str = ""
    authorisation: str = ""
    granted: bool = False
    pending_since: int = 0


def _wrong_type(name: str, wanted: str, value) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def integer(name: str, value, least: int, most: int, outside: type[Exception] = ValueError) -> int:
    """True and 1.0 are no integers."""
    try:
        number = operator.index(None if isinstance(value, (bool, np.bool_)) else value)
    except TypeError:
        raise _wrong_type(name, "an integer", value) from None
    if not least <= number <= most:
        raise outside(f"{name} is {number}, outside {least} .. {most}")
    return number


def word(name: str, value) -> int:
    return integer(name, value, 0, _UINT64_MAX)


def candidates(k) -> int:
    return ALL if isinstance(k, (int, np.integer)) and k == ALL else integer("k", k, 1, K_MAX)


def real(name: str, value) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise _wrong_type(name, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is beyond the largest float") from None
    if math.isnan(number):
        raise ValueError(f"{name} is NaN")
    return number


def flag(name: str, value) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise _wrong_type(name, "True or False", value)
    return bool(value)


def choice(name: str, value, choices: Mapping[str, int]) -> int:
    if not isinstance(value, str):
        raise _wrong_type(name, "a str", value)
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}")
    return choices[value]


def _encode(name: str, value: str) -> bytes:
    if not isinstance(value, str):
        raise _wrong_type(name, "a str", value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!r}, which has half of a surrogate pair") from None


def _end(name: str, value: bytes) -> bytes:
    if b"\0" in value:
        raise ValueError(f"{name} is {value!r}, which has a NUL")
    return value


def string(name: str, value: str) -> bytes:
    """For the library's strings, which end with a NUL."""
    return _end(name, _encode(name, value))


def path(name: str, value: str | bytes | os.PathLike) -> bytes:
    try:
        return _end(name, os.fsencode(value))
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!r}, which has half of a surrogate pair") from None
    except TypeError:
        raise _wrong_type(name, "a path", value) from None


def text(name: str, value: str) -> c.Text:
    """For the library's texts, which may hold any bytes."""
    encoded = _encode(name, value)
    if len(encoded) > _TEXT_MAX:
        raise ValueError(f"{name} has {len(encoded)} bytes; at most {_TEXT_MAX} are allowed")
    return c.Text(encoded, len(encoded))


def _listed(name: str, values) -> list:
    """A string is no list of its characters."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise _wrong_type(name, "a sequence", values)
    return list(values)


def texts(name: str, values: Sequence[str] | None) -> tuple[ctypes.Array | None, int]:
    """The library's array and its length. None is no array; an empty list is an array."""
    if values is None:
        return None, 0
    listed = [text(f"{name}[{i}]", value) for i, value in enumerate(_listed(name, values))]
    return (c.Text * len(listed))(*listed), integer(f"the number of {name}", len(listed), 0, _UINT32_MAX)


def claims(said: Claims | None):
    if said is None:
        return None
    if not isinstance(said, Claims):
        raise _wrong_type("claims", "Claims", said)
    names = ("purpose", "actor", "jurisdiction", "case_id", "authorisation")
    encoded = (text(name, getattr(said, name)) for name in names)
    if not isinstance(said.granted, bool):
        raise _wrong_type("granted", "a bool", said.granted)
    since = integer("pending_since", said.pending_since, 0, _INT64_MAX)
    return ctypes.pointer(c.Claims(*encoded, said.granted, since, None))


def vectors(name: str, array) -> tuple[c.Vectors, np.ndarray]:
    """The array as the library's struct, and the array that must outlive the struct."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array: a masked one has elements that do not count")
    try:
        array = np.atleast_2d(np.asarray(array))
    except ValueError as error:
        raise ValueError(f"{name} must be rows x dim: {error}") from None
    if array.dtype not in _ELEMENTS:
        raise TypeError(f"{name} must have elements of float32, float64, float16 or uint8, not {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{name} must be rows x dim, not an array of {array.ndim} dimensions")
    rows, dim = array.shape
    integer(f"the dimension of {name}", dim, 0, _UINT32_MAX)
    if array.strides[1] != array.itemsize or array.strides[0] < dim * array.itemsize:
        array = np.ascontiguousarray(array)
    described = c.Vectors(name.encode(), array.ctypes.data, rows, dim, _ELEMENTS[array.dtype], array.strides[0])
    return described, array


def _column(name: str, values, rows: int) -> list:
    """A set and a dict give their elements in another order than the rows."""
    if isinstance(values, (Set, Mapping)):
        raise _wrong_type(name, "a sequence", values)
    listed = _listed(name, values)
    if len(listed) != rows:
        raise ValueError(f"{name} has {len(listed)} elements for {rows} rows")
    return listed


def labels(rows: int, keys, subjects, tags) -> ctypes.Array | None:
    """One label for each row, from columns that may be None."""
    given = [("keys", "key", keys, text), ("subjects", "subject", subjects, text), ("tags", "tags", tags, word)]
    made = None
    for name, field, values, encode in given:
        if values is None:
            continue
        made = made or (c.Label * rows)()
        for row, value in enumerate(_column(name, values, rows)):
            setattr(made[row], field, encode(f"{name}[{row}]", value))
    return made
