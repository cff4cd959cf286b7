"""The functions of the C API (include/likeness) and their errors."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, byref, c_char_p, c_int, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from . import _structures as c

_VERSION = "0.2."  # of the library whose structures these are


class Error(Exception):
    """An error of the library: its text, and in `status` its name, such as EDIM.

    >>> import likeness
    >>> try:
    ...     likeness.Gallery("no-such-folder")
    ... except likeness.Error as error:
    ...     error.status
    'EGALLERY'
    """

    __module__ = "likeness"  # as tracebacks name it

    def __init__(self, status: str, text: str):
        super().__init__(text)
        self.status = status

    def __reduce__(self) -> tuple[type[Error], tuple[str, str]]:
        return Error, (self.status, str(self))


_HANDLE, _ERROR, _NUMBER = c_void_p, POINTER(c.ErrorText), POINTER(c_uint64)
_OPENED, _CLAIMS, _RECEIPT, _VECTORS = POINTER(c_void_p), POINTER(c.Claims), POINTER(c.Receipt), POINTER(c.Vectors)

# Those that return a status and take the error as their last argument.
_CALLS: dict[str, list[Any]] = {
    "lk_device_open": [c_char_p, c_uint32, _OPENED],
    "lk_gallery_alias": [c_char_p, c_char_p, c_void_p],
    "lk_gallery_bind": [c_char_p, POINTER(c.Binding)],
    "lk_gallery_bind_after_loss": [c_char_p, POINTER(c.Binding)],
    "lk_gallery_check": [_HANDLE],
    "lk_gallery_create": [c_char_p, POINTER(c.GalleryOptions)],
    "lk_gallery_dedupe": [_HANDLE, POINTER(c.Dedupe), _HANDLE],
    "lk_gallery_enroll": [c_char_p, _VECTORS, c_void_p, _CLAIMS, c_void_p, c_void_p, _NUMBER],
    "lk_gallery_export": [_HANDLE, c_uint64, c_uint64, _CLAIMS, c_void_p],
    "lk_gallery_export_arrays": [_HANDLE, c_char_p, c_char_p, POINTER(c.Export), _NUMBER],
    "lk_gallery_export_file": [_HANDLE, c_char_p, POINTER(c.Export), _NUMBER],
    "lk_gallery_find": [_HANDLE, c.Text, _NUMBER],
    "lk_gallery_identify": [_HANDLE, POINTER(c.Query), _HANDLE, POINTER(c.SearchStats)],
    "lk_gallery_import_file": [c_char_p, c_char_p, POINTER(c.Import)],
    "lk_gallery_load": [_HANDLE, _HANDLE],
    "lk_gallery_open": [c_char_p, _OPENED],
    "lk_gallery_refresh": [_HANDLE, POINTER(ctypes.c_bool)],
    "lk_gallery_subjects": [_HANDLE, _NUMBER],
    "lk_gallery_verify": [_HANDLE, _VECTORS, c.Text, _CLAIMS, _HANDLE],
    "lk_owner_change": [_HANDLE, POINTER(c.Change), c_uint32, _CLAIMS, _RECEIPT],
    "lk_owner_compact": [_HANDLE, _CLAIMS, _NUMBER],
    "lk_owner_enroll": [_HANDLE, POINTER(c.Enrollment), _CLAIMS, _RECEIPT],
    "lk_owner_load": [_HANDLE, _HANDLE],
    "lk_owner_open": [c_char_p, _OPENED],
    "lk_result_open": [_OPENED],
}

# name: (result, arguments)
_OTHERS: dict[str, tuple[Any, list[Any]]] = {
    "lk_device_close": (None, [_HANDLE]),
    "lk_device_name": (c_char_p, [_HANDLE]),
    "lk_gallery_close": (None, [_HANDLE]),
    "lk_gallery_stat_get": (None, [_HANDLE, POINTER(c.GalleryStat)]),
    "lk_gallery_template": (c.Template, [_HANDLE, c_uint64]),
    "lk_owner_close": (None, [_HANDLE]),
    "lk_owner_gallery": (c_void_p, [_HANDLE]),
    "lk_result_candidate": (c.Candidate, [_HANDLE, c_uint32, c_uint32]),
    "lk_result_close": (None, [_HANDLE]),
    "lk_result_count": (c_uint32, [_HANDLE, c_uint32]),
    "lk_result_decision": (c.FoundText, [_HANDLE]),
    "lk_result_list": (None, [_HANDLE, c_uint32, c_void_p, c_void_p]),
    "lk_search_cancel": (None, [POINTER(c.SearchControl)]),
    "lk_status_name": (c_char_p, [c_int]),
    "lk_version": (c_char_p, []),
}


def _load_library() -> ctypes.CDLL:
    own = Path(__file__).with_name("liblikeness.so")  # as pip installs it
    loaded = ctypes.CDLL(os.environ.get("LIKENESS_LIBRARY") or (str(own) if own.exists() else "liblikeness.so.0"))
    calls = {name: (c_int, [*arguments, _ERROR]) for name, arguments in _CALLS.items()}
    for name, (result, arguments) in {**calls, **_OTHERS}.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    found = loaded.lk_version().decode()
    if not found.startswith(_VERSION):
        raise ImportError(f"liblikeness is {found}; this module is for {_VERSION}x")
    return loaded


library = _load_library()
version: str = library.lk_version().decode()


def call(name: str, *arguments: Any) -> None:
    """Calls a function that returns a status and takes the error as its last argument. Raises Error."""
    error = c.ErrorText()
    status = getattr(library, name)(*arguments, byref(error))
    if status != 0:
        raise Error(library.lk_status_name(status).decode(), error.text.decode(errors="replace"))
