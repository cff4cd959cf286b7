"""The structures of the C API (include/likeness) as ctypes lays them out."""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure
from ctypes import c_bool, c_char, c_char_p, c_float, c_int, c_int64, c_uint32, c_uint64, c_void_p


class ErrorText(Structure):
    _fields_ = [("text", c_char * 512)]


class Text(Structure):
    """On its way into the library."""

    _fields_ = [("bytes", c_char_p), ("length", c_uint32)]


class FoundText(Structure):
    """Of the library, whose bytes are not terminated."""

    _fields_ = [("bytes", c_void_p), ("length", c_uint32)]

    def raw(self) -> bytes:
        return ctypes.string_at(self.bytes, self.length) if self.length else b""

    def __str__(self) -> str:
        return self.raw().decode()


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


class Candidate(Structure):
    _fields_ = [("found", Template), ("score", c_float)]


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


class SearchControl(Structure):
    _fields_ = [("progress", c_uint64), ("cancelled", c_uint32)]


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
        ("control", POINTER(SearchControl)),
    ]


class Receipt(Structure):
    _fields_ = [
        ("epoch", c_uint64),
        ("numbered_from", c_uint64),
        ("templates", c_uint64),
        ("replaced", c_uint64),
        ("unchanged", c_uint64),
    ]


class Enrollment(Structure):
    _fields_ = [
        ("vectors", POINTER(Vectors)),
        ("labels", POINTER(Label)),
        ("replace", c_bool),
        ("unless_match", c_bool),
        ("match_threshold", c_float),
    ]


class Change(Structure):
    _fields_ = [
        ("kind", c_int),
        ("version", c_uint64),
        ("key", Text),
        ("subject", Text),
        ("tags", c_uint64),
        ("mask", c_uint64),
        ("expires_ms", c_uint64),
    ]


class Pair(Structure):
    _fields_ = [("a", Template), ("b", Template), ("score", c_float)]


PairFound = CFUNCTYPE(c_int, c_void_p, POINTER(Pair), POINTER(ErrorText))


class Dedupe(Structure):
    _fields_ = [
        ("threshold", c_float),
        ("claims", POINTER(Claims)),
        ("control", POINTER(SearchControl)),
        ("found", PairFound),
        ("progress", c_void_p),
        ("context", c_void_p),
    ]


class Import(Structure):
    _fields_ = [
        ("binding", POINTER(Binding)),
        ("progress", c_void_p),
        ("context", c_void_p),
        ("control", POINTER(SearchControl)),
    ]


class Export(Structure):
    _fields_ = [
        ("claims", POINTER(Claims)),
        ("progress", c_void_p),
        ("context", c_void_p),
        ("control", POINTER(SearchControl)),
    ]
