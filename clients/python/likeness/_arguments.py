"""Arguments on their way into the library. ctypes cuts numbers off, ends strings at a NUL and takes anything for true;
so everything is checked here first. What is wrong raises a TypeError or a ValueError that names the argument."""

from __future__ import annotations

import ctypes
import datetime
import math
import numbers
import operator
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _structures as c

Path = Union[str, bytes, "os.PathLike[str]"]
Moment = Union[int, datetime.datetime, None]

METRICS = {"cosine": 0, "ip": 1, "l2": 2}
STORES = {"f32": 0, "f16": 1}
FUSIONS = {"none": 0, "max": 1, "mean": 2}
DIM_MAX = 4096
K_MAX = 4096
THREADS_MAX = 4096
ALL = 0xFFFFFFFF  # as k: all templates at or above the threshold
NEVER = 2**64 - 1  # ms, of a template that does not expire

_TEXT_MAX = 255  # bytes
_METADATA_MAX = 256
_UINT32_MAX, _UINT64_MAX, _INT64_MAX = 2**32 - 1, 2**64 - 1, 2**63 - 1
_ELEMENTS = {np.dtype(name): i for i, name in enumerate("<f4 <f8 <f2 u1 i1 <u2 <i2 <u4 <i4 <u8 <i8".split())}


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


def wrong_type(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def integer(name: str, value: Any, least: int, most: int, outside: type[Exception] = ValueError) -> int:
    """True and 1.0 are no integers."""
    try:
        number = operator.index(None if isinstance(value, (bool, np.bool_)) else value)  # type: ignore[arg-type]
    except TypeError:
        raise wrong_type(name, "an integer", value) from None
    if not least <= number <= most:
        raise outside(f"{name} is {number}, outside {least} .. {most}")
    return number


def word(name: str, value: Any) -> int:
    return integer(name, value, 0, _UINT64_MAX)


def candidates(k: Any) -> int:
    return ALL if isinstance(k, (int, np.integer)) and k == ALL else integer("k", k, 1, K_MAX)


def tags_and_mask(tags: Any, mask: Any) -> tuple[int, int]:
    """Tags without a mask are their own, so that they filter."""
    checked = word("tags", tags)
    return checked, checked if mask is None else word("mask", mask)


def real(name: str, value: Any) -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise wrong_type(name, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} is beyond the largest float") from None
    if math.isnan(number):
        raise ValueError(f"{name} is NaN")
    return number


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise wrong_type(name, "True or False", value)
    return bool(value)


def choice(name: str, value: Any, choices: Mapping[str, int]) -> int:
    if not isinstance(value, str):
        raise wrong_type(name, "a str", value)
    if value not in choices:
        near = [known for known in choices if known.startswith(value[:2]) or value.lower() == known]
        hint = f"; did you mean {near[0]!r}?" if value and near else ""
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}{hint}")
    return choices[value]


def _encode(name: str, value: Any) -> bytes:
    if not isinstance(value, str):
        raise wrong_type(name, "a str", value)
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!r}, which has half of a surrogate pair") from None


def _end(name: str, value: bytes) -> bytes:
    if b"\0" in value:
        raise ValueError(f"{name} is {value!r}, which has a NUL")
    return value


def string(name: str, value: Any) -> bytes:
    """For the library's strings, which end with a NUL."""
    return _end(name, _encode(name, value))


def path(name: str, value: Any) -> bytes:
    try:
        return _end(name, os.fsencode(value))
    except UnicodeEncodeError:
        raise ValueError(f"{name} is {value!r}, which has half of a surrogate pair") from None
    except TypeError:
        raise wrong_type(name, "a path", value) from None


def text(name: str, value: Any) -> c.Text:
    """For the library's texts, which may hold any bytes."""
    encoded = _encode(name, value)
    if len(encoded) > _TEXT_MAX:
        raise ValueError(f"{name} has {len(encoded)} bytes; at most {_TEXT_MAX} are allowed")
    return c.Text(encoded, len(encoded))


def metadata(name: str, value: Any) -> c.Text:
    encoded = value if isinstance(value, bytes) else _encode(name, value)
    if len(encoded) > _METADATA_MAX:
        raise ValueError(f"{name} has {len(encoded)} bytes; at most {_METADATA_MAX} are allowed")
    return c.Text(encoded, len(encoded))


def moment(name: str, value: Any) -> int:
    """Unix time in ms, of a datetime with a time zone, such an integer, or None for never."""
    if value is None:
        return NEVER
    if not isinstance(value, datetime.datetime):
        return integer(name, value, 0, _UINT64_MAX)
    if value.tzinfo is None:
        raise ValueError(f"{name} is {value}, which has no time zone")
    since = value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return integer(name, since // datetime.timedelta(milliseconds=1), 0, _UINT64_MAX)


def listed(name: str, values: Any) -> list[Any]:
    """A string is no list of its characters."""
    if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise wrong_type(name, "a sequence", values)
    return list(values)


class PackedTexts:
    """The decimals of numbers as texts of the library, made without an object for each."""

    def __init__(self, numbers: npt.NDArray[np.int64]):
        self.count, decimals = len(numbers), numbers.astype("S20")
        laid_out = np.zeros(max(self.count, 1), [("bytes", np.uintp), ("length", "u4"), ("padding", "u4")])
        laid_out["bytes"] = decimals.ctypes.data + np.arange(max(self.count, 1)) * decimals.itemsize
        laid_out["length"][: self.count] = np.char.str_len(decimals)
        self._kept = decimals, laid_out
        self.array = (c.Text * self.count).from_buffer(laid_out.data)


def texts(name: str, values: Any) -> tuple[ctypes.Array[c.Text] | None, int]:
    """The library's array and its length. None is no array, an empty list is an array, and a str is the only element."""
    if values is None:
        return None, 0
    if isinstance(values, PackedTexts):
        return values.array, values.count
    given = [values] if isinstance(values, str) else listed(name, values)
    made = [text(f"{name}[{i}]", value) for i, value in enumerate(given)]
    return (c.Text * len(made))(*made), integer(f"the number of {name}", len(made), 0, _UINT32_MAX)


def first(array: Any, element: type[Any]) -> Any:
    """A pointer to an array of the library's, which keeps it; NULL for None."""
    return ctypes.cast(array, ctypes.POINTER(element))


def claims(said: Claims | None) -> Any:
    if said is None:
        return None
    if not isinstance(said, Claims):
        raise wrong_type("claims", "Claims", said)
    names = ("purpose", "actor", "jurisdiction", "case_id", "authorisation")
    encoded = (text(name, getattr(said, name)) for name in names)
    if not isinstance(said.granted, bool):
        raise wrong_type("granted", "a bool", said.granted)
    since = integer("pending_since", said.pending_since, 0, _INT64_MAX)
    return ctypes.pointer(c.Claims(*encoded, said.granted, since, None))


def vectors(name: str, given: npt.ArrayLike) -> tuple[c.Vectors, npt.NDArray[Any]]:
    """The array as the library's struct, and the array that must outlive the struct."""
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a plain array: a masked one has elements that do not count")
    try:
        array = np.atleast_2d(np.asarray(given))
    except ValueError as error:
        raise ValueError(f"{name} must be rows x dim: {error}") from None
    if array.dtype not in _ELEMENTS:
        raise TypeError(f"{name} must have elements of float32, float64, float16 or integers, not {array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{name} must be rows x dim, not an array of {array.ndim} dimensions")
    rows, dim = array.shape
    integer(f"the dimension of {name}", dim, 0, _UINT32_MAX)
    if array.strides[1] != array.itemsize or array.strides[0] < dim * array.itemsize:
        array = np.ascontiguousarray(array)
    return describe(name, array), array


def describe(name: str, array: npt.NDArray[Any]) -> c.Vectors:
    """Of rows of contiguous elements."""
    rows, dim = array.shape
    return c.Vectors(name.encode(), array.ctypes.data, rows, dim, _ELEMENTS[array.dtype], array.strides[0])


def column(name: str, values: Any, rows: int) -> list[Any]:
    """A set and a dict give their elements in another order than the rows."""
    if isinstance(values, (Set, Mapping)):
        raise wrong_type(name, "a sequence", values)
    made = listed(name, values)
    if len(made) != rows:
        raise ValueError(f"{name} has {len(made)} elements for {rows} rows")
    return made


_COLUMNS = [
    ("keys", "key", text),
    ("subjects", "subject", text),
    ("groups", "group", text),
    ("tags", "tags", word),
    ("versions", "version", word),
    ("expires", "expires_ms", moment),
    ("metadata", "metadata", metadata),
]


def labels(rows: int, columns: Mapping[str, Sequence[Any] | None]) -> ctypes.Array[c.Label] | None:
    """One label for each row, from columns that may be None."""
    made = None
    for name, field, encode in _COLUMNS:
        values = columns.get(name)
        if values is None:
            continue
        made = made or (c.Label * rows)()
        for row, value in enumerate(column(name, values, rows)):
            setattr(made[row], field, encode(f"{name}[{row}]", value))
    return made
