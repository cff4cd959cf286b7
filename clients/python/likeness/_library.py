"""The C API (include/likeness) as ctypes sees it: its structures, its functions, its errors."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, byref
from ctypes import c_bool, c_char, c_char_p, c_float, c_int, c_int64, c_uint32, c_uint64, c_void_p

_VERSION = "0.2."  # of the library whose structures these are


class Error(Exception):
    """An error of the library: its text, and in `status` its name, such as EDIM."""

    def __init__(self, status: str, text: str):
        super().__init__(text)
        self.status = status


class ErrorText(Structure):
    _fields_ = [("text", c_char * 512)]


class Text(Structure):
    _fields_ = [("bytes", c_char_p), ("length", c_uint32)]

    def __str__(self) -> str:
        return ctypes.string_at(self.bytes, self.length).decode()


class FoundText(Structure):
    """Like Text, for bytes that are not terminated."""

    _fields_ = [("bytes", c_void_p), ("length", c_uint32)]

    def __str__(self) -> str:
        return ctypes.string_at(self.bytes, self.length).decode()


class Vectors(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("data", c_void_p),
        ("rows", c_uint64),
        ("dim", c_uint32),
        ("element", c_int),
        ("stride_bytes", c_uint64),
        ("element_stride_bytes", c_uint64),
        ("big_endian", c_bool),
    ]


class Label(Structure):
    _fields_ = [
        ("key", Text),
        ("subject", Text),
        ("group", Text),
        ("tags", c_uint64),
        ("version", c_uint64),
        ("expires_ms", c_uint64),
        ("metadata", Text),
    ]


class Template(Structure):
    _fields_ = [
        ("number", c_uint64),
        ("key", FoundText),
        ("subject", FoundText),
        ("group", FoundText),
        ("tags", c_uint64),
        ("version", c_uint64),
        ("expires_ms", c_uint64),
        ("metadata", FoundText),  # any bytes
    ]


class Binding(Structure):
    _fields_ = [("policy", c_char_p), ("calibration", c_char_p), ("audit", c_char_p), ("audit_key", c_char_p)]


class Claims(Structure):
    _fields_ = [
        ("purpose", Text),
        ("actor", Text),
        ("jurisdiction", Text),
        ("case_id", Text),
        ("authorisation", Text),
        ("granted", c_bool),
        ("pending_since_ms", c_int64),
        ("key", c_void_p),
    ]


class GalleryOptions(Structure):
    _fields_ = [
        ("dim", c_uint32),
        ("metric", c_int),
        ("store", c_int),
        ("model", c_char_p),
        ("binding", POINTER(Binding)),
    ]


class GalleryStat(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("model", c_char_p),
        ("metric", c_int),
        ("store", c_int),
        ("dim", c_uint32),
        ("templates", c_uint64),
        ("positions", c_uint64),
        ("deleted_in_segments", c_uint64),
        ("deleted_in_journals", c_uint64),
        ("epoch", c_uint64),
        ("next_number", c_uint64),
        ("segments", c_uint32),
        ("bytes", c_uint64),
        ("binding", Binding),
    ]


class SearchStats(Structure):
    _fields_ = [
        ("scanned", c_uint64),
        ("survivors", c_uint64),
        ("rescored", c_uint64),
        ("rounds", c_uint32),
        ("float_rounds", c_uint32),
        ("reruns", c_uint32),
    ]


class Query(Structure):
    _fields_ = [
        ("probes", POINTER(Vectors)),
        ("probes_count", c_uint32),
        ("fusion", c_int),
        ("k", c_uint32),
        ("threshold", c_float),
        ("by_subject", c_bool),
        ("model", Text),
        ("tags", c_uint64),
        ("mask", c_uint64),
        ("keys", POINTER(Text)),
        ("subjects", POINTER(Text)),
        ("keys_count", c_uint32),
        ("subjects_count", c_uint32),
        ("claims", POINTER(Claims)),
        ("control", c_void_p),
    ]


# name: (result, arguments)
_FUNCTIONS = {
    "lk_version": (c_char_p, []),
    "lk_status_name": (c_char_p, [c_int]),
    "lk_device_open": (c_int, [c_char_p, c_uint32, POINTER(c_void_p), POINTER(ErrorText)]),
    "lk_device_close": (None, [c_void_p]),
    "lk_device_name": (c_char_p, [c_void_p]),
    "lk_gallery_create": (c_int, [c_char_p, POINTER(GalleryOptions), POINTER(ErrorText)]),
    "lk_gallery_enroll": (
        c_int,
        [c_char_p, POINTER(Vectors), c_void_p, POINTER(Claims), c_void_p, c_void_p]
        + [POINTER(c_uint64), POINTER(ErrorText)],
    ),
    "lk_gallery_open": (c_int, [c_char_p, POINTER(c_void_p), POINTER(ErrorText)]),
    "lk_gallery_close": (None, [c_void_p]),
    "lk_gallery_load": (c_int, [c_void_p, c_void_p, POINTER(ErrorText)]),
    "lk_gallery_stat_get": (None, [c_void_p, POINTER(GalleryStat)]),
    "lk_gallery_template": (Template, [c_void_p, c_uint64]),
    "lk_gallery_bind": (c_int, [c_char_p, POINTER(Binding), POINTER(ErrorText)]),
    "lk_gallery_bind_after_loss": (c_int, [c_char_p, POINTER(Binding), POINTER(ErrorText)]),
    "lk_gallery_export": (
        c_int,
        [c_void_p, c_uint64, c_uint64, POINTER(Claims), c_void_p, POINTER(ErrorText)],
    ),
    "lk_gallery_find": (c_int, [c_void_p, Text, POINTER(c_uint64), POINTER(ErrorText)]),
    "lk_gallery_identify": (
        c_int,
        [c_void_p, POINTER(Query), c_void_p, POINTER(SearchStats), POINTER(ErrorText)],
    ),
    "lk_gallery_verify": (c_int, [c_void_p, POINTER(Vectors), Text, POINTER(Claims), c_void_p, POINTER(ErrorText)]),
    "lk_result_open": (c_int, [POINTER(c_void_p), POINTER(ErrorText)]),
    "lk_result_close": (None, [c_void_p]),
    "lk_result_count": (c_uint32, [c_void_p, c_uint32]),
    "lk_result_decision": (FoundText, [c_void_p]),
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


library = _load_library()


def call(name: str, *arguments) -> None:
    """Calls a function that returns a status and takes the error as its last argument. Raises Error."""
    error = ErrorText()
    status = getattr(library, name)(*arguments, byref(error))
    if status != 0:
        raise Error(library.lk_status_name(status).decode(), error.text.decode(errors="replace"))
