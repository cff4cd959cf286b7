"""An open gallery: how it opens, what it says of itself, how it leaves."""

from __future__ import annotations

import os
import threading
from ctypes import byref, c_bool, c_uint64, c_void_p
from typing import Any, Union

import numpy as np

from . import _arguments as checked
from . import _structures as c
from ._arguments import METRICS, STORES, Claims, Path
from ._device import Device
from ._found import Result, Scores, Template, read_template
from ._handle import Closable, Handle, SharedLock, open_pointer
from ._library import call, library


def _open_owner(folder: bytes, device: Handle | None, pointer: c_void_p | None) -> Handle:
    owner = Handle("gallery", open_pointer("lk_owner_open", folder), library.lk_owner_close, device)
    if pointer is not None:
        try:
            with owner as opened:
                call("lk_owner_load", opened, pointer)
        except BaseException:
            owner.__exit__()
            raise
    return owner


def _open_reader(folder: bytes, device: Handle | None, pointer: c_void_p | None) -> Handle:
    gallery = Handle("gallery", open_pointer("lk_gallery_open", folder), library.lk_gallery_close, device)
    if pointer is not None:
        try:
            with gallery as opened:
                call("lk_gallery_load", opened, pointer)
        except BaseException:
            gallery.__exit__()
            raise
    return gallery


def _keep(_: c_void_p) -> None:
    """Of an owner's gallery, which the owner closes."""


class OpenGallery(Closable):
    _kind = "gallery"
    _owner: Handle | None = None

    def __init__(self, folder: Path, device: Union[Device, str, None] = "auto", *, writable: bool = False):
        path, writable = checked.path("folder", folder), checked.flag("writable", writable)
        if device is not None and not isinstance(device, (Device, str)):
            raise checked.wrong_type("device", "a Device, a str or None", device)
        self.close()
        self._folder = os.fsdecode(path)
        self._results: list[Result] = []  # that no search uses
        self._last = threading.local()
        self._positions = SharedLock()  # who counts them shares it; who moves them is alone
        self._dim = 0
        if isinstance(device, str):
            with Device(device) as own:  # that the gallery keeps
                self._open(path, own._opened(), writable)
        else:
            self._open(path, None if device is None else device._opened(), writable)
        self._dim = int(self.stat()["dim"])

    def _open(self, folder: bytes, device: Handle | None, writable: bool) -> None:
        if device is None:
            self._take(folder, None, None, writable)
            return
        with device as pointer:
            self._take(folder, device, pointer, writable)

    def _take(self, folder: bytes, device: Handle | None, pointer: c_void_p | None, writable: bool) -> None:
        if not writable:
            self._handle = _open_reader(folder, device, pointer)
            return
        owner = _open_owner(folder, device, pointer)
        with owner as opened:
            gallery = c_void_p(library.lk_owner_gallery(opened))
        self._owner = owner
        self._handle = Handle("gallery", gallery, _keep, owner)

    def _owned(self) -> Handle:
        """The owner's handle."""
        self._opened()
        owner = self._owner
        if owner is None:
            raise ValueError(f"this gallery cannot be changed: open it with writable=True, as in {self._hint()}")
        return owner

    def _hint(self) -> str:
        return f"likeness.Gallery({self._folder!r}, writable=True)"

    @property
    def writable(self) -> bool:
        return self._owner is not None

    @property
    def dim(self) -> int:
        return self._dim

    def stat(self) -> dict[str, Any]:
        """Facts of the gallery: name, model, metric, store, dim, templates, epoch, bytes, policy, ...

        >>> gallery.stat()["templates"]
        4
        """
        stat = c.GalleryStat()
        with self._opened() as gallery:
            library.lk_gallery_stat_get(gallery, byref(stat))
            values = {name: getattr(stat, name) for name, *_ in stat._fields_}
            values["metric"] = list(METRICS)[stat.metric]
            values["store"] = list(STORES)[stat.store]
            del values["binding"]
            values["policy"] = stat.binding.policy or b"none"
            return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}

    def __len__(self) -> int:
        """The number of templates."""
        return int(self.stat()["templates"])

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if self.closed:
            return f"<likeness.Gallery {self._folder!r}: closed>"
        stat = self.stat()
        facts = f"{stat['templates']} templates of {stat['dim']}, {stat['metric']}, {stat['store']}"
        return f"<likeness.Gallery {self._folder!r}: {facts}{', writable' if self.writable else ''}>"

    def refresh(self) -> bool:
        """Brings the gallery up to what other processes have made of it. Returns whether that was anything. Searches go
        on meanwhile; positions count what is there afterwards."""
        changed = c_bool()
        with self._opened() as gallery, self._positions.alone():
            call("lk_gallery_refresh", gallery, byref(changed))
        return changed.value

    def check(self) -> None:
        """Verifies every byte of every file; raises ECORRUPT, which names the file."""
        with self._opened() as gallery, self._positions.shared():
            call("lk_gallery_check", gallery)

    def count_subjects(self) -> int:
        """How many subjects the templates are of."""
        found = c_uint64()
        self._look()
        with self._opened() as gallery, self._positions.shared():
            call("lk_gallery_subjects", gallery, byref(found))
        return found.value

    def _count(self) -> int:
        """Positions, for who shares them."""
        return int(self.stat()["positions"])

    def _position(self, position: int) -> int:
        return checked.integer("position", position, 0, self._count() - 1, outside=IndexError)

    def templates(self) -> list[Template]:
        """All templates that were not deleted, in the order of their enrollment, each a Template: number, key, subject,
        group, tags, version, expires, metadata.

        >>> [(template.key, template.subject) for template in gallery.templates()]
        [('ada-1', 'ada'), ('ada-2', 'ada'), ('bo-1', 'bo'), ('cy-1', 'cy')]
        """
        self._look()
        with self._opened() as gallery, self._positions.shared():
            found = (library.lk_gallery_template(gallery, at) for at in range(self._count()))
            return [read_template(template) for template in found if template.key.length > 0]

    def _look(self) -> None:
        """Positions of a gallery that is changed here count its templates as they are now."""
        if self.writable:
            self.refresh()

    def find(self, key: str) -> int:
        """The position of the template with this key, for `key` and `vector`. Positions count the templates in the
        order of enrollment, with those that were deleted since the last `compact`; they hold until the gallery is
        refreshed or compacted, and one that is writable until it is next asked for a position or for all templates."""
        position, wanted = c_uint64(), checked.text("key", key)
        self._look()
        with self._opened() as gallery, self._positions.shared():
            call("lk_gallery_find", gallery, wanted, byref(position))
        return position.value

    def key(self, position: int) -> str:
        with self._opened() as gallery, self._positions.shared():
            return str(library.lk_gallery_template(gallery, self._position(position)).key)

    def vector(self, position: int, claims: Claims | None = None) -> Scores:
        """The template's vector as it is stored."""
        vector, said = np.empty(self.dim, np.float32), checked.claims(claims)
        with self._opened() as gallery, self._positions.shared():
            call("lk_gallery_export", gallery, self._position(position), 1, said, vector.ctypes.data)
        return vector

    def vectors(self, claims: Claims | None = None) -> Scores:
        """The vectors of all `templates()`, a row each, as they are stored.

        >>> gallery.vectors().shape
        (4, 3)
        """
        said = checked.claims(claims)
        self._look()
        with self._opened() as gallery, self._positions.shared():
            templates = (library.lk_gallery_template(gallery, at) for at in range(self._count()))
            living = np.array([template.key.length > 0 for template in templates], bool)
            vectors = np.empty((int(living.sum()), self.dim), np.float32)
            ends = np.flatnonzero(np.diff(living, prepend=False, append=False)).tolist()  # of runs of the living
            done = 0
            for first, end in zip(ends[::2], ends[1::2]):
                call("lk_gallery_export", gallery, first, end - first, said, vectors[done:].ctypes.data)
                done += end - first
        return vectors

    def export(self, file: Path, claims: Claims | None = None) -> int:
        """Writes the gallery into one new file, which `likeness.import_gallery` reads. Returns how many templates."""
        return self._export("lk_gallery_export_file", [checked.path("file", file)], claims)

    def export_arrays(self, npy: Path, csv: Path, claims: Claims | None = None) -> int:
        """Writes vectors and labels as two new files, for numpy.load and any reader of csv. Returns how many
        templates."""
        files = [checked.path("npy", npy), checked.path("csv", csv)]
        return self._export("lk_gallery_export_arrays", files, claims)

    def _export(self, function: str, files: list[bytes], claims: Claims | None) -> int:
        written, order = c_uint64(), c.Export(claims=checked.claims(claims))
        with self._opened() as gallery:
            call(function, gallery, *files, byref(order), byref(written))
        return written.value

    def close(self) -> None:
        """May be called again. Calls that run in other threads end first: the last one closes."""
        super().close()
        owner = vars(self).pop("_owner", None)
        if owner is not None:
            owner.__exit__()
        vars(self).get("_results", []).clear()
