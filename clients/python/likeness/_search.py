"""Searches of an open gallery."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ctypes import byref, c_void_p, pointer
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from . import _arguments as checked
from . import _structures as c
from ._arguments import ALL, FUSIONS, Claims
from ._found import Candidates, Numbers, Pair, Result, Scores, read_lists, read_template
from ._interrupt import call_until_interrupt
from ._library import call, library
from ._opened import OpenGallery

Names = Union[str, Iterable[str], None]
_ECANCELLED = 10


class SearchedGallery(OpenGallery):
    @property
    def last_search(self) -> dict[str, int]:
        """The statistics of this thread's last identify; empty before it."""
        found: dict[str, int] = getattr(self._last, "search", {})
        return found

    def decision(self) -> dict[str, Any]:
        """The policy's decision on this thread's last search; {"policy": "none"} without a policy."""
        self._opened()
        decision = getattr(self._last, "decision", "")
        found: dict[str, Any] = json.loads(decision) if decision else {}
        return found

    @contextmanager
    def _searching(self) -> Iterator[tuple[c_void_p, c_void_p, Result]]:
        """The pointers of the gallery and of a result for one search. Keeps the decision on it. Whoever keeps the
        result releases it later."""
        try:
            result = self._results.pop()
        except IndexError:
            result = Result()
        with self._opened() as gallery, result._opened() as found:
            try:
                yield gallery, found, result
            finally:
                self._last.decision = str(library.lk_result_decision(found))

    def _release(self, result: Result) -> None:
        if not self.closed:
            self._results.append(result)

    def _work(self, probes: int) -> int:
        return len(self) * self.dim * probes

    def identify(
        self,
        probes: npt.ArrayLike,
        k: int = 10,
        *,
        threshold: float = -np.inf,
        by_subject: bool = False,
        fusion: str = "none",
        model: str = "",
        tags: int = 0,
        mask: int | None = None,
        keys: Names = None,
        subjects: Names = None,
        claims: Claims | None = None,
    ) -> Candidates:
        """The k best templates of each probe, exactly: two arrays, template numbers and scores, one row per probe
        (fused: one row), best first. MISSING and -inf fill shorter lists.

        k = ALL: all templates at or above the threshold, which is rounded to a float32, as scores are. `tags`: only
        templates that have them, or, with a `mask`, whose tags equal them in its bits. `keys`, `subjects`: only the
        templates with these keys or of these subjects; an empty list is nobody, None everybody. `by_subject`: the best
        template of each subject only.

        >>> numbers, scores = gallery.identify([1, 0, 0], k=2)
        >>> numbers
        array([[0, 1]])
        >>> found = gallery.identify([[1, 0, 0], [0, 0, 1]], k=2, by_subject=True, threshold=0.5)
        >>> found.subjects.tolist()
        [['ada', ''], ['cy', '']]
        >>> found.rows()[0]
        Candidate(probe=0, rank=1, number=0, key='ada-1', subject='ada', group='', score=1.0)
        """
        described, kept = checked.vectors("probes", probes)
        key_texts, keys_count = checked.texts("keys", keys)
        subject_texts, subjects_count = checked.texts("subjects", subjects)
        checked_tags, checked_mask = checked.tags_and_mask(tags, mask)
        control, stats = c.SearchControl(), c.SearchStats()
        query = c.Query(
            probes=pointer(described),
            probes_count=1,
            fusion=checked.choice("fusion", fusion, FUSIONS),
            k=checked.candidates(k),
            threshold=checked.real("threshold", threshold),
            by_subject=checked.flag("by_subject", by_subject),
            model=checked.text("model", model),
            tags=checked_tags,
            mask=checked_mask,
            keys=checked.first(key_texts, c.Text),
            subjects=checked.first(subject_texts, c.Text),
            keys_count=keys_count,
            subjects_count=subjects_count,
            claims=checked.claims(claims),
            control=pointer(control),
        )
        lists, ranks = len(kept) if fusion == "none" else 1, None if query.k == ALL else query.k
        with self._searching() as (gallery, found, result):
            arguments = gallery, byref(query), found, byref(stats)
            call_until_interrupt(self._work(len(kept)), control, "lk_gallery_identify", *arguments)
            arrays = read_lists(found, lists, ranks)
        self._last.search = {name: getattr(stats, name) for name, *_ in stats._fields_}
        return Candidates(arrays, self, result, self._release)

    def verify(self, probes: npt.ArrayLike, subject: str, claims: Claims | None = None) -> tuple[Numbers, Scores]:
        """For each probe the number and the score of the subject's best template; MISSING and -inf if the score is
        below the policy's threshold.

        >>> gallery.verify([1, 0, 0], "ada")
        (array([0]), array([1.], dtype=float32))
        """
        described, kept = checked.vectors("probes", probes)
        of, said = checked.text("subject", subject), checked.claims(claims)
        with self._searching() as (gallery, found, result):
            call("lk_gallery_verify", gallery, byref(described), of, said, found)
            numbers, scores = read_lists(found, len(kept), 1)
        self._release(result)
        return numbers[:, 0], scores[:, 0]

    def dedupe(self, threshold: float, claims: Claims | None = None) -> list[Pair]:
        """All pairs of templates of different subjects that score at least `threshold`, exactly, each once.

        >>> [(pair.a.key, pair.b.key) for pair in gallery.dedupe(0.5)]
        [('ada-2', 'bo-1')]
        """
        pairs: list[Pair] = []
        errors: list[BaseException] = []

        def take(_: object, pair: Any, __: object) -> int:
            try:
                both = pair.contents
                pairs.append(Pair(read_template(both.a), read_template(both.b), both.score))
            except BaseException as error:
                errors.append(error)
                return _ECANCELLED
            return 0

        control = c.SearchControl()
        order = c.Dedupe(
            threshold=checked.real("threshold", threshold),
            claims=checked.claims(claims),
            control=pointer(control),
            found=c.PairFound(take),
        )
        self._look()
        try:
            with self._searching() as (gallery, found, result), self._positions.shared():
                work = self._work(len(self))
                call_until_interrupt(work, control, "lk_gallery_dedupe", gallery, byref(order), found)
        except Exception:
            if errors:
                raise errors[0] from None
            raise
        self._release(result)
        return pairs
