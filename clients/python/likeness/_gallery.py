"""Devices, galleries, and what changes a gallery's folder."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from ctypes import POINTER, byref, c_uint64, cast, pointer
from pathlib import Path

import numpy as np

from . import _arguments as checked
from . import _library as c
from ._arguments import ALL, FUSIONS, METRICS, STORES, Claims
from ._handle import Owner
from ._library import call, library

MISSING = -1  # the template number after the end of a shorter list


class Device(Owner):
    """The device that searches run on: "auto", "cpu", "cpu:avx2", ... `threads`: 0 uses every processor that the
    process may use. Any threads may share it. If it is closed before the galleries that use it, it serves them until
    the last of them is closed."""

    _kind = "device"

    def __init__(self, name: str = "auto", threads: int = 0):
        self._open(checked.string("name", name), checked.integer("threads", threads, 0, checked.THREADS_MAX))

    @property
    def name(self) -> str:
        with self._opened() as device:
            return library.lk_device_name(device).decode()


class _Result(Owner):
    _kind = "result"

    def __init__(self):
        self._open()


def _read_lists(result, lists: int, ranks: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Template numbers and scores, lists x ranks. `ranks`: None for the length of the longest list."""
    counts = [library.lk_result_count(result, probe) for probe in range(lists)]
    shape = lists, max(counts, default=0) if ranks is None else ranks
    numbers, scores = np.full(shape, MISSING, np.int64), np.full(shape, -np.inf, np.float32)
    for probe in range(lists):
        library.lk_result_list(result, probe, numbers[probe:].ctypes.data, scores[probe:].ctypes.data)
    return numbers, scores


class Gallery(Owner):
    """An open gallery. It can be searched if it has a device. Any threads may read and search it at once, each search
    into a result of its own. What it says of the last search, it says of the last one in the same thread."""

    _kind = "gallery"

    def __init__(self, folder: str | Path, device: Device | None = None):
        self._results: list[_Result] = []  # that no search uses
        self._last = threading.local()
        if device is None:
            self._open(checked.path("folder", folder))
            return
        if not isinstance(device, Device):
            raise TypeError(f"device must be a Device, not {type(device).__name__}")
        handle = device._opened()
        with handle as loaded_on:
            self._open(checked.path("folder", folder), rests_on=handle)
            with self._opened() as gallery:
                call("lk_gallery_load", gallery, loaded_on)

    @property
    def last_search(self) -> dict[str, int]:
        """The statistics of this thread's last identify; empty before it."""
        return getattr(self._last, "search", {})

    def decision(self) -> dict:
        """The policy's decision on this thread's last search; {"policy": "none"} without a policy."""
        self._opened()
        decision = getattr(self._last, "decision", "")
        return json.loads(decision) if decision else {}

    def stat(self) -> dict[str, str | int]:
        stat = c.GalleryStat()
        with self._opened() as gallery:
            library.lk_gallery_stat_get(gallery, byref(stat))
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
        with self._opened() as gallery:
            call("lk_gallery_find", gallery, checked.text("key", key), byref(position))
        return position.value

    def key(self, position: int) -> str:
        with self._opened() as gallery:
            return str(library.lk_gallery_template(gallery, self._position(position)).key)

    def vector(self, position: int, claims: Claims | None = None) -> np.ndarray:
        """The template as it is stored."""
        vector = np.empty(self.stat()["dim"], np.float32)
        said = checked.claims(claims)
        with self._opened() as gallery:
            call("lk_gallery_export", gallery, self._position(position), 1, said, vector.ctypes.data)
        return vector

    def _position(self, position: int) -> int:
        return checked.integer("position", position, 0, len(self) - 1, outside=IndexError)

    @contextmanager
    def _searching(self):
        """The pointers of the gallery and of a result for one search. Keeps the decision on it."""
        try:
            result = self._results.pop()
        except IndexError:
            result = _Result()
        with self._opened() as gallery, result._opened() as found:
            try:
                yield gallery, found
            finally:
                self._last.decision = str(library.lk_result_decision(found))
                self._results.append(result)

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
        lists. k = ALL: all templates at or above the threshold, which is rounded to a float32, as scores are. `keys`,
        `subjects`: only the templates with these keys or of these subjects; an empty list is nobody, None everybody.
        """
        described, kept = checked.vectors("probes", probes)
        key_texts, keys_count = checked.texts("keys", keys)
        subject_texts, subjects_count = checked.texts("subjects", subjects)
        query = c.Query(
            probes=pointer(described),
            probes_count=1,
            fusion=checked.choice("fusion", fusion, FUSIONS),
            k=checked.candidates(k),
            threshold=checked.real("threshold", threshold),
            by_subject=checked.flag("by_subject", by_subject),
            model=checked.text("model", model),
            tags=checked.word("tags", tags),
            mask=checked.word("mask", mask),
            keys=cast(key_texts, POINTER(c.Text)),
            subjects=cast(subject_texts, POINTER(c.Text)),
            keys_count=keys_count,
            subjects_count=subjects_count,
            claims=checked.claims(claims),
        )
        stats = c.SearchStats()
        with self._searching() as (gallery, result):
            call("lk_gallery_identify", gallery, byref(query), result, byref(stats))
            found = _read_lists(result, len(kept) if fusion == "none" else 1, None if query.k == ALL else query.k)
        self._last.search = {name: getattr(stats, name) for name, _ in stats._fields_}
        return found

    def verify(self, probes: np.ndarray, subject: str, claims: Claims | None = None) -> tuple[np.ndarray, np.ndarray]:
        """For each probe the number and the score of the subject's best template; MISSING and -inf if the score is
        below the policy's threshold."""
        described, kept = checked.vectors("probes", probes)
        of, said = checked.text("subject", subject), checked.claims(claims)
        with self._searching() as (gallery, result):
            call("lk_gallery_verify", gallery, byref(described), of, said, result)
            numbers, scores = _read_lists(result, len(kept), 1)
        return numbers[:, 0], scores[:, 0]

    def close(self) -> None:
        """May be called again. Searches that run in other threads end first: the last one closes."""
        super().close()
        vars(self).get("_results", []).clear()


def bind(
    folder: str | Path,
    policy: str | Path | None,
    calibration: str | Path | None = None,
    audit: str | Path | None = None,
    audit_key: str | Path | None = None,
    lost_audit_log: bool = False,
) -> None:
    """Binds the gallery to a policy, its calibration and an audit log. All None removes the binding.

    The logs that the gallery leaves and joins record it. `lost_audit_log` declares a log lost that is gone, cut
    or replaced; the new log records that first."""
    given = {"policy": policy, "calibration": calibration, "audit": audit, "audit_key": audit_key}
    binding = c.Binding(**{name: checked.path(name, path) for name, path in given.items() if path is not None})
    function = "lk_gallery_bind_after_loss" if lost_audit_log else "lk_gallery_bind"
    call(function, checked.path("folder", folder), byref(binding))


def create(folder: str | Path, dim: int, metric: str = "cosine", store: str = "f32", model: str = "") -> None:
    """Creates an empty gallery in the folder."""
    options = c.GalleryOptions(
        checked.integer("dim", dim, 1, checked.DIM_MAX),
        checked.choice("metric", metric, METRICS),
        checked.choice("store", store, STORES),
        checked.string("model", model),
        None,
    )
    call("lk_gallery_create", checked.path("folder", folder), byref(options))


def enroll(
    folder: str | Path,
    vectors: np.ndarray,
    keys: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    tags: Sequence[int] | None = None,
    claims: Claims | None = None,
) -> int:
    """Adds all rows or none. Returns the template number of the first row; the other rows have the numbers after it. An
    empty key or subject stands for the default. While another thread or process enrolls, it raises EBUSY. Galleries
    that are open do not show the new rows."""
    described, kept = checked.vectors("vectors", vectors)
    labels = checked.labels(len(kept), keys, subjects, tags)
    first, said = c_uint64(), checked.claims(claims)
    call("lk_gallery_enroll", checked.path("folder", folder), byref(described), labels, said, None, None, byref(first))
    return first.value
