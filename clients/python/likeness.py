"""Exact 1:N search from Python: liblikeness (include/likeness/likeness.h) through ctypes, with numpy arrays in and out.

    import likeness

    likeness.create("faces", dim=512)
    likeness.enroll("faces", vectors, keys=["ada-1", "bo-1"])
    with likeness.Device() as device, likeness.Gallery("faces", device) as gallery:
        numbers, scores = gallery.identify(probes, k=10)
        gallery.keys(numbers[0])

Vectors are arrays of rows x dim, of float32, float64, float16 or uint8. They are not copied, unless the elements of a
row are not contiguous. A failed call raises Error with the library's text. The library is $LIKENESS_LIBRARY, or the
one that the system finds. Threads: only one thread at a time may search a gallery; the search itself runs without the
interpreter's lock.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref
from ctypes import c_bool, c_char, c_char_p, c_float, c_int, c_int64, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np

METRICS = {"cosine": 0, "ip": 1, "l2": 2}
STORES = {"f32": 0, "f16": 1}
FUSIONS = {"none": 0, "max": 1, "mean": 2}
ALL = 0xFFFFFFFF  # as k: all templates at or above the threshold
MISSING = -1  # the template number after the end of a shorter list

_VERSION = "0.2."  # of the library whose structures these are

_ELEMENTS = {np.dtype("<f4"): 0, np.dtype("<f8"): 1, np.dtype("<f2"): 2, np.dtype("u1"): 3}


class Error(Exception):
    """An error of the library: its text, and in `status` its name, such as EDIM."""

    def __init__(self, status: str, text: str):
        super().__init__(text)
        self.status = status


class _ErrorText(Structure):
    _fields_ = [("text", c_char * 512)]


class _Text(Structure):
    _fields_ = [("bytes", c_char_p), ("length", c_uint32)]

    def __str__(self) -> str:
        return ctypes.string_at(self.bytes, self.length).decode()


class _FoundText(Structure):
    """Like _Text, for bytes that are not terminated."""

    _fields_ = [("bytes", c_void_p), ("length", c_uint32)]

    def __str__(self) -> str:
        return ctypes.string_at(self.bytes, self.length).decode()


class _Vectors(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("data", c_void_p),
        ("rows", c_uint64),
        ("dim", c_uint32),
        ("element", c_int),
        ("stride_bytes", c_uint64),
    ]


class _Label(Structure):
    _fields_ = [("key", _Text), ("subject", _Text), ("group", _Text), ("tags", c_uint64)]


class _Template(Structure):
    _fields_ = [
        ("number", c_uint64),
        ("key", _FoundText),
        ("subject", _FoundText),
        ("group", _FoundText),
        ("tags", c_uint64),
    ]


@dataclass(frozen=True)
class Claims:
    """Who searches a gallery that is bound to a policy, for what purpose and with what authorisation. `pending_since`:
    the Unix time in ms when the authorisation was applied for, if it is not granted yet; 0: it is granted."""

    purpose: str = ""
    actor: str = ""
    jurisdiction: str = ""
    case_id: str = ""
    authorisation: str = ""
    pending_since: int = 0


class _Binding(Structure):
    _fields_ = [("policy", c_char_p), ("calibration", c_char_p), ("audit", c_char_p), ("audit_key", c_char_p)]


class _Claims(Structure):
    _fields_ = [
        ("purpose", _Text),
        ("actor", _Text),
        ("jurisdiction", _Text),
        ("case_id", _Text),
        ("authorisation", _Text),
        ("pending_since_ms", c_int64),
        ("key", c_void_p),
    ]


class _GalleryOptions(Structure):
    _fields_ = [
        ("dim", c_uint32),
        ("metric", c_int),
        ("store", c_int),
        ("model", c_char_p),
        ("binding", POINTER(_Binding)),
    ]


class _GalleryStat(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("model", c_char_p),
        ("metric", c_int),
        ("store", c_int),
        ("dim", c_uint32),
        ("templates", c_uint64),
        ("epoch", c_uint64),
        ("next_number", c_uint64),
        ("segments", c_uint32),
        ("bytes", c_uint64),
        ("binding", _Binding),
    ]


class _SearchStats(Structure):
    _fields_ = [
        ("scanned", c_uint64),
        ("survivors", c_uint64),
        ("rescored", c_uint64),
        ("rounds", c_uint32),
        ("float_rounds", c_uint32),
        ("reruns", c_uint32),
    ]


class _Query(Structure):
    _fields_ = [
        ("probes", POINTER(_Vectors)),
        ("probes_count", c_uint32),
        ("fusion", c_int),
        ("k", c_uint32),
        ("threshold", c_float),
        ("by_subject", c_bool),
        ("model", _Text),
        ("tags", c_uint64),
        ("mask", c_uint64),
        ("keys", POINTER(_Text)),
        ("subjects", POINTER(_Text)),
        ("keys_count", c_uint32),
        ("subjects_count", c_uint32),
        ("claims", POINTER(_Claims)),
    ]


# name: (result, arguments)
_FUNCTIONS = {
    "lk_version": (c_char_p, []),
    "lk_status_name": (c_char_p, [c_int]),
    "lk_device_open": (c_int, [c_char_p, c_uint32, POINTER(c_void_p), POINTER(_ErrorText)]),
    "lk_device_close": (None, [c_void_p]),
    "lk_device_name": (c_char_p, [c_void_p]),
    "lk_gallery_create": (c_int, [c_char_p, POINTER(_GalleryOptions), POINTER(_ErrorText)]),
    "lk_gallery_enroll": (
        c_int,
        [c_char_p, POINTER(_Vectors), c_void_p, POINTER(_Claims), c_void_p, c_void_p]
        + [POINTER(c_uint64), POINTER(_ErrorText)],
    ),
    "lk_gallery_open": (c_int, [c_char_p, POINTER(c_void_p), POINTER(_ErrorText)]),
    "lk_gallery_close": (None, [c_void_p]),
    "lk_gallery_load": (c_int, [c_void_p, c_void_p, POINTER(_ErrorText)]),
    "lk_gallery_stat_get": (None, [c_void_p, POINTER(_GalleryStat)]),
    "lk_gallery_template": (_Template, [c_void_p, c_uint64]),
    "lk_gallery_bind": (c_int, [c_char_p, POINTER(_Binding), POINTER(_ErrorText)]),
    "lk_gallery_export": (
        c_int,
        [c_void_p, c_uint64, c_uint64, POINTER(_Claims), c_void_p, POINTER(_ErrorText)],
    ),
    "lk_gallery_find": (c_int, [c_void_p, _Text, POINTER(c_uint64), POINTER(_ErrorText)]),
    "lk_gallery_identify": (
        c_int,
        [c_void_p, POINTER(_Query), c_void_p, POINTER(_SearchStats), POINTER(_ErrorText)],
    ),
    "lk_gallery_verify": (c_int, [c_void_p, POINTER(_Vectors), _Text, POINTER(_Claims), c_void_p, POINTER(_ErrorText)]),
    "lk_result_open": (c_int, [POINTER(c_void_p), POINTER(_ErrorText)]),
    "lk_result_close": (None, [c_void_p]),
    "lk_result_count": (c_uint32, [c_void_p, c_uint32]),
    "lk_result_decision": (_FoundText, [c_void_p]),
    "lk_result_list": (None, [c_void_p, c_uint32, c_void_p, c_void_p]),
}


def _load_library() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ.get("LIKENESS_LIBRARY", "liblikeness.so.0"))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    version = library.lk_version().decode()
    if not version.startswith(_VERSION):
        raise ImportError(f"liblikeness is {version}; this module is for {_VERSION}x")
    return library


_library = _load_library()


def _call(name: str, *arguments) -> None:
    """Calls a function that returns a status and takes the error as its last argument. Raises Error."""
    error = _ErrorText()
    status = getattr(_library, name)(*arguments, byref(error))
    if status != 0:
        raise Error(_library.lk_status_name(status).decode(), error.text.decode(errors="replace"))


def _encode_text(text: str) -> _Text:
    encoded = text.encode()
    return _Text(encoded, len(encoded))


def _encode_texts(texts: Sequence[str] | None) -> ctypes.Array | None:
    return None if texts is None else (_Text * len(texts))(*map(_encode_text, texts))


def _encode_claims(claims: Claims | None):
    if claims is None:
        return None
    said = (claims.purpose, claims.actor, claims.jurisdiction, claims.case_id, claims.authorisation)
    return ctypes.pointer(_Claims(*map(_encode_text, said), claims.pending_since, None))


def _describe_vectors(array: np.ndarray, name: str) -> tuple[_Vectors, np.ndarray]:
    """The array as the library's struct, and the array that must outlive the struct."""
    array = np.atleast_2d(np.asarray(array))
    if array.ndim != 2 or array.dtype not in _ELEMENTS:
        raise TypeError(f"{name}: {array.dtype} of {array.ndim} dimensions; expected rows x dim of float or uint8")
    if array.strides[1] != array.itemsize or array.strides[0] < array.shape[1] * array.itemsize:
        array = np.ascontiguousarray(array)
    element = _ELEMENTS[array.dtype]
    vectors = _Vectors(name.encode(), array.ctypes.data, *array.shape, element, array.strides[0])
    return vectors, array


class _Owner:
    """Owns a handle and closes it once: in close, at the end of a `with`, or when the object is deleted."""

    _close_function: str
    _handle: c_void_p | None = None

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            getattr(_library, self._close_function)(handle)

    def _opened(self) -> c_void_p:
        if self._handle is None:
            raise ValueError(f"this {type(self).__name__.lower()} is closed")
        return self._handle

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class Device(_Owner):
    """The device that searches run on: "auto", "cpu", "cpu:avx2", ... `threads`: 0 uses every processor that the
    process may use."""

    _close_function = "lk_device_close"

    def __init__(self, name: str = "auto", threads: int = 0):
        handle = c_void_p()
        _call("lk_device_open", name.encode(), threads, byref(handle))
        self._handle = handle

    @property
    def name(self) -> str:
        return _library.lk_device_name(self._opened()).decode()


class _Result(_Owner):
    _close_function = "lk_result_close"

    def __init__(self):
        handle = c_void_p()
        _call("lk_result_open", byref(handle))
        self._handle = handle

    def arrays(self, lists: int, ranks: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Template numbers and scores, lists x ranks. `ranks`: None for the length of the longest list."""
        handle = self._opened()
        counts = [_library.lk_result_count(handle, probe) for probe in range(lists)]
        shape = lists, max(counts, default=0) if ranks is None else ranks
        numbers, scores = np.full(shape, MISSING, np.int64), np.full(shape, -np.inf, np.float32)
        for probe in range(lists):
            _library.lk_result_list(handle, probe, numbers[probe:].ctypes.data, scores[probe:].ctypes.data)
        return numbers, scores


class Gallery(_Owner):
    """An open gallery. It can be searched if it has a device, which must stay open for as long as the gallery."""

    _close_function = "lk_gallery_close"

    def __init__(self, folder: str | Path, device: Device | None = None):
        handle = c_void_p()
        _call("lk_gallery_open", os.fsencode(folder), byref(handle))
        self._handle = handle
        self._device = device
        self._result = _Result()
        self.last_search: dict[str, int] = {}
        if device is not None:
            _call("lk_gallery_load", handle, device._opened())

    def stat(self) -> dict[str, str | int]:
        stat = _GalleryStat()
        _library.lk_gallery_stat_get(self._opened(), byref(stat))
        values = {name: getattr(stat, name) for name, _ in stat._fields_}
        values["metric"] = list(METRICS)[stat.metric]
        values["store"] = list(STORES)[stat.store]
        del values["binding"]
        values["policy"] = stat.binding.policy or b"none"
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}

    def __len__(self) -> int:
        return self.stat()["templates"]

    def find(self, key: str) -> int:
        """The position of the template with this key."""
        position = c_uint64()
        _call("lk_gallery_find", self._opened(), _encode_text(key), byref(position))
        return position.value

    def key(self, position: int) -> str:
        return str(self._template(position).key)

    def vector(self, position: int, claims: Claims | None = None) -> np.ndarray:
        """The template as it is stored."""
        self._template(position)
        vector = np.empty(self.stat()["dim"], np.float32)
        _call("lk_gallery_export", self._opened(), position, 1, _encode_claims(claims), vector.ctypes.data)
        return vector

    def decision(self) -> dict:
        """The policy's decision on the last search; {"policy": "none"} without a policy."""
        decision = _library.lk_result_decision(self._result._opened())
        return json.loads(str(decision)) if decision.length > 0 else {}

    def _template(self, position: int) -> _Template:
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of {len(self)}")
        return _library.lk_gallery_template(self._opened(), position)

    def identify(
        self,
        probes: np.ndarray,
        k: int = 10,
        *,
        threshold: float = -np.inf,
        by_subject: bool = False,
        fusion: str = "none",
        model: str = "",
        tags: int = 0,
        mask: int = 0,
        keys: Sequence[str] | None = None,
        subjects: Sequence[str] | None = None,
        claims: Claims | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Template numbers and scores, one row per probe (fused: one row), best first. MISSING and -inf fill shorter
        lists. k = ALL: all templates at or above the threshold. `keys`, `subjects`: only the templates with these keys
        or of these subjects; an empty list is nobody, None everybody. Sets `last_search` to the search's statistics."""
        vectors, kept = _describe_vectors(probes, "probes")
        key_texts, subject_texts = _encode_texts(keys), _encode_texts(subjects)
        query = _Query(
            probes=ctypes.pointer(vectors),
            probes_count=1,
            fusion=FUSIONS[fusion],
            k=k,
            threshold=threshold,
            by_subject=by_subject,
            model=_encode_text(model),
            tags=tags,
            mask=mask,
            keys=ctypes.cast(key_texts, POINTER(_Text)),
            subjects=ctypes.cast(subject_texts, POINTER(_Text)),
            keys_count=len(keys or ()),
            subjects_count=len(subjects or ()),
            claims=_encode_claims(claims),
        )
        stats = _SearchStats()
        _call("lk_gallery_identify", self._opened(), byref(query), self._result._opened(), byref(stats))
        self.last_search = {name: getattr(stats, name) for name, _ in stats._fields_}
        return self._result.arrays(len(kept) if fusion == "none" else 1, None if k == ALL else k)

    def verify(
        self, probes: np.ndarray, subject: str, claims: Claims | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each probe the number and the score of the subject's best template; MISSING and -inf if the score is
        below the policy's threshold."""
        vectors, kept = _describe_vectors(probes, "probes")
        result = self._result._opened()
        said = _encode_claims(claims)
        _call("lk_gallery_verify", self._opened(), byref(vectors), _encode_text(subject), said, result)
        numbers, scores = self._result.arrays(len(kept), 1)
        return numbers[:, 0], scores[:, 0]

    def close(self) -> None:
        if self._handle is not None:
            self._result.close()
        super().close()


def bind(
    folder: str | Path,
    policy: str | Path | None,
    calibration: str | Path | None = None,
    audit: str | Path | None = None,
    audit_key: str | Path | None = None,
) -> None:
    """Binds the gallery to a policy, its calibration and an audit log. All None removes the binding."""
    paths = (os.fsencode(path) if path is not None else None for path in (policy, calibration, audit, audit_key))
    _call("lk_gallery_bind", os.fsencode(folder), byref(_Binding(*paths)))


def create(folder: str | Path, dim: int, metric: str = "cosine", store: str = "f32", model: str = "") -> None:
    """Creates an empty gallery in the folder."""
    options = _GalleryOptions(dim, METRICS[metric], STORES[store], model.encode(), None)
    _call("lk_gallery_create", os.fsencode(folder), byref(options))


def enroll(
    folder: str | Path,
    vectors: np.ndarray,
    keys: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    tags: Sequence[int] | None = None,
    claims: Claims | None = None,
) -> int:
    """Adds all rows or none. Returns the template number of the first row; the other rows have the numbers after it. An
    empty key or subject stands for the default."""
    described, kept = _describe_vectors(vectors, "vectors")
    labels = _make_labels(len(kept), keys, subjects, tags)
    first = c_uint64()
    _call("lk_gallery_enroll", os.fsencode(folder), byref(described), labels, _encode_claims(claims), None, None, byref(first))
    return first.value


def _make_labels(
    rows: int, keys: Sequence[str] | None, subjects: Sequence[str] | None, tags: Sequence[int] | None
) -> ctypes.Array | None:
    given = [column for column in (keys, subjects, tags) if column is not None]
    if not given:
        return None
    if any(len(column) != rows for column in given):
        raise ValueError(f"keys, subjects and tags: expected {rows} of each, one per row")
    labels = (_Label * rows)()
    for row, label in enumerate(labels):
        if keys is not None:
            label.key = _encode_text(keys[row])
        if subjects is not None:
            label.subject = _encode_text(subjects[row])
        if tags is not None:
            label.tags = int(tags[row])
    return labels
