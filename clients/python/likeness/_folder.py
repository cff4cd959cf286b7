"""What works on a gallery's folder, open or not."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref, c_uint64
from typing import Any

import numpy.typing as npt

from . import _arguments as checked
from . import _structures as c
from ._arguments import METRICS, STORES, Claims, Moment, Path
from ._library import call


def bind(
    folder: Path,
    policy: Path | None,
    calibration: Path | None = None,
    audit: Path | None = None,
    audit_key: Path | None = None,
    lost_audit_log: bool = False,
) -> None:
    """Binds the gallery to a policy, its calibration and an audit log. All None removes the binding.

    The logs that the gallery leaves and joins record it. `lost_audit_log` declares a log lost that is gone, cut
    or replaced; the new log records that first."""
    given = {"policy": policy, "calibration": calibration, "audit": audit, "audit_key": audit_key}
    binding = c.Binding(**{name: checked.path(name, path) for name, path in given.items() if path is not None})
    lost = checked.flag("lost_audit_log", lost_audit_log)
    function = "lk_gallery_bind_after_loss" if lost else "lk_gallery_bind"
    call(function, checked.path("folder", folder), byref(binding))


def create(folder: Path, dim: int, metric: str = "cosine", store: str = "f32", model: str = "") -> None:
    """Creates an empty gallery in the folder. `metric`: "cosine", "ip" or "l2"; `store`: "f32" or "f16"."""
    options = c.GalleryOptions(
        checked.integer("dim", dim, 1, checked.DIM_MAX),
        checked.choice("metric", metric, METRICS),
        checked.choice("store", store, STORES),
        checked.string("model", model),
        None,
    )
    call("lk_gallery_create", checked.path("folder", folder), byref(options))


def enroll(
    folder: Path,
    vectors: npt.ArrayLike,
    keys: Sequence[str] | None = None,
    subjects: Sequence[str] | None = None,
    tags: Sequence[int] | None = None,
    claims: Claims | None = None,
    *,
    groups: Sequence[str] | None = None,
    versions: Sequence[int] | None = None,
    expires: Sequence[Moment] | None = None,
    metadata: Sequence[bytes | str] | None = None,
) -> int:
    """Adds all rows or none, any number. Returns the template number of the first row; the other rows have the numbers
    after it. An empty key or subject stands for the default. While somebody else changes the gallery, it raises EBUSY.
    Galleries that are open show the new rows after `refresh`.

    >>> import likeness
    >>> likeness.create(scratch / "more", dim=2)
    >>> likeness.enroll(scratch / "more", [[1, 0], [0, 1]], keys=["x", "y"])
    0
    """
    described, kept = checked.vectors("vectors", vectors)
    columns: dict[str, Sequence[Any] | None] = {"keys": keys, "subjects": subjects, "groups": groups, "tags": tags}
    columns.update(versions=versions, expires=expires, metadata=metadata)
    labels = checked.labels(len(kept), columns)
    first, said = c_uint64(), checked.claims(claims)
    call("lk_gallery_enroll", checked.path("folder", folder), byref(described), labels, said, None, None, byref(first))
    return first.value


def import_gallery(folder: Path, file: Path) -> None:
    """Makes a new gallery in the folder, from a file of `Gallery.export`: the same templates, numbers and bits.

    >>> import likeness
    >>> gallery.export(scratch / "faces.lkg")
    4
    >>> likeness.import_gallery(scratch / "copy", scratch / "faces.lkg")
    >>> len(likeness.Gallery(scratch / "copy"))
    4
    """
    call("lk_gallery_import_file", checked.path("folder", folder), checked.path("file", file), byref(c.Import()))


def alias(name: Path, folder: Path) -> None:
    """Makes `name` lead to the gallery in `folder`, in one step. What is open stays what it is.

    >>> import likeness
    >>> likeness.alias(scratch / "current", scratch / "faces")
    >>> len(likeness.Gallery(scratch / "current"))
    4
    """
    call("lk_gallery_alias", checked.path("name", name), checked.path("folder", folder), None)
