"""Changes of a gallery that is open to be changed. Each is on the disk, and every search that starts afterwards sees it,
when the call returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import byref, c_uint64, pointer
from typing import Any, NamedTuple

import numpy.typing as npt

from . import _arguments as checked
from . import _structures as c
from ._arguments import Claims, Moment
from ._library import Error, call
from ._search import Names, SearchedGallery

_DELETE_KEY, _DELETE_SUBJECT, _TAG, _EXPIRE = 2, 3, 4, 5
_ENROLLMENT_BYTES = 32 << 20


class Receipt(NamedTuple):
    """What a change did. `epoch`: of the gallery, from which on searches see it. `numbered_from`: the number of the
    first new template. `templates`: that were added, deleted or changed. `replaced`: that gave way to new ones.
    `unchanged`: rows that were there in this version already, or keys and subjects that nobody has."""

    epoch: int
    numbered_from: int
    templates: int
    replaced: int
    unchanged: int


def _receipt(made: c.Receipt) -> Receipt:
    return Receipt(*(getattr(made, name) for name in Receipt._fields))


class ChangedGallery(SearchedGallery):
    def enroll(
        self,
        vectors: npt.ArrayLike,
        keys: Sequence[str] | None = None,
        subjects: Sequence[str] | None = None,
        *,
        groups: Sequence[str] | None = None,
        tags: Sequence[int] | None = None,
        versions: Sequence[int] | None = None,
        expires: Sequence[Moment] | None = None,
        metadata: Sequence[bytes | str] | None = None,
        replace: bool = False,
        unless_match: float | None = None,
        claims: Claims | None = None,
    ) -> Receipt:
        """Adds all rows or none. An empty key or subject stands for the default.

        `replace`: a row whose key is there takes that template's place. `unless_match`: a row that scores so much with
        a template of another subject refuses them all. With one of these there is a limit of 32 MiB; without them, more
        than that is added in parts: if one fails, those before it stay, and the error says how many rows they are.
        `likeness.enroll` adds any number at once, as long as nobody has the gallery open to change it.

        >>> receipt = gallery.enroll([[0, 1, 1]], keys=["di-1"], subjects=["di"])
        >>> receipt.templates, receipt.numbered_from
        (1, 4)
        >>> gallery.enroll([[0, 1, 1]], keys=["di-2"], subjects=["someone"], unless_match=0.9)
        Traceback (most recent call last):
        likeness.Error: vectors: row 0 matches (score 1, threshold 0.899999976) key 'di-1' of subject 'di'
        """
        described, kept = checked.vectors("vectors", vectors)
        columns: dict[str, Sequence[Any] | None] = {"keys": keys, "subjects": subjects, "groups": groups, "tags": tags}
        columns.update(versions=versions, expires=expires, metadata=metadata)
        labels = checked.labels(len(kept), columns)
        order = c.Enrollment(
            vectors=pointer(described),
            labels=checked.first(labels, c.Label),
            replace=checked.flag("replace", replace),
            unless_match=unless_match is not None,
            match_threshold=0.0 if unless_match is None else checked.real("unless_match", unless_match),
        )
        said = checked.claims(claims)
        whole = replace or unless_match is not None
        rows = len(kept) if whole else max(1, _ENROLLMENT_BYTES // (8 * max(kept.shape[1], 1) + 1024))
        receipts = []
        for first in range(0, max(len(kept), 1), max(rows, 1)):
            part = kept[first : first + rows]
            order.vectors = pointer(checked.describe("vectors", part))
            if labels is not None:
                order.labels = pointer(labels[first]) if len(part) else None
            receipts.append(self._enroll_part(order, said, first))
        last = receipts[-1]
        sums = (sum(getattr(made, name) for made in receipts) for name in ("templates", "replaced", "unchanged"))
        return Receipt(last.epoch, receipts[0].numbered_from, *sums)

    def _enroll_part(self, order: c.Enrollment, claims: Any, before: int) -> c.Receipt:
        made = c.Receipt()
        try:
            with self._owned() as owner:
                call("lk_owner_enroll", owner, byref(order), claims, byref(made))
        except Error as error:
            if before == 0:
                raise
            raise Error(error.status, f"after rows 0 .. {before - 1}, which were added: {error}") from None
        return made

    def delete(self, keys: Names = None, *, subjects: Names = None, claims: Claims | None = None) -> Receipt:
        """Deletes the templates with these keys, or all of these subjects. What nobody has is counted as unchanged.

        >>> receipt = gallery.delete(["ada-1", "nobody"])
        >>> receipt.templates, receipt.unchanged
        (1, 1)
        >>> gallery.delete(subjects="bo").templates
        1
        """
        if (keys is None) == (subjects is None):
            raise TypeError("delete takes keys, or subjects; one of them")
        if keys is not None:
            return self._change("keys", keys, lambda key: c.Change(kind=_DELETE_KEY, key=key), claims)
        return self._change("subjects", subjects, lambda of: c.Change(kind=_DELETE_SUBJECT, subject=of), claims)

    def tag(self, keys: Names, tags: int, mask: int, claims: Claims | None = None) -> Receipt:
        """Sets those of the templates' tags that are in the mask.

        >>> gallery.tag("cy-1", tags=0b01, mask=0b11).templates
        1
        """
        bits = {"tags": checked.word("tags", tags), "mask": checked.word("mask", mask)}
        return self._change("keys", keys, lambda key: c.Change(kind=_TAG, key=key, **bits), claims)

    def expire(self, keys: Names, at: Moment, claims: Claims | None = None) -> Receipt:
        """The templates are found until then: a datetime with a time zone, or a Unix time in ms; None: for ever.

        >>> gallery.expire(["cy-1"], None).templates
        1
        """
        expires_ms = checked.moment("at", at)
        return self._change("keys", keys, lambda key: c.Change(kind=_EXPIRE, key=key, expires_ms=expires_ms), claims)

    def _change(self, name: str, given: Names, make: Callable[[c.Text], c.Change], claims: Claims | None) -> Receipt:
        if given is None:
            raise checked.wrong_type(name, "a sequence", given)
        texts, count = checked.texts(name, given)
        changes = (c.Change * count)(*(make(text) for text in texts or ()))
        made, said = c.Receipt(), checked.claims(claims)
        with self._owned() as owner:
            call("lk_owner_change", owner, changes, count, said, byref(made))
        return _receipt(made)

    def compact(self, claims: Claims | None = None) -> int:
        """Erases what was deleted or has expired from the gallery's files. Returns how many templates that were."""
        erased, said = c_uint64(), checked.claims(claims)
        with self._owned() as owner, self._positions.alone():
            call("lk_owner_compact", owner, said, byref(erased))
        return erased.value
