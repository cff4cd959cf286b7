"""The gallery: all that can be done with one that is open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import _arguments as checked
from ._arguments import Claims, Path
from ._change import ChangedGallery
from ._evaluation import Evaluation, evaluate
from ._folder import create

_BATCH = 1024
_RANKS = 50  # that an evaluation looks at, at least


class Gallery(ChangedGallery):
    """A gallery of templates: a folder that `likeness.create` or `Gallery.create` has made, open to be searched, and to
    be changed if it is `writable`; one process at a time can have it so.

    `device`: a Device, which several galleries can share; the name of one, which is then this gallery's own; or None,
    and it cannot search. Any threads may use a gallery at once: each search has a result of its own, and what the
    gallery says of the last search, it says of the last one in the same thread.

    >>> import likeness
    >>> with likeness.Gallery(scratch / "faces") as other:
    ...     numbers, scores = other.identify([0, 0, 1], k=1)
    >>> scores
    array([[1.]], dtype=float32)
    """

    @classmethod
    def create(
        cls, folder: Path, dim: int, metric: str = "cosine", store: str = "f32", model: str = "", device: str = "auto"
    ) -> Gallery:
        """Creates an empty gallery in the folder, and opens it to be changed.

        >>> with Gallery.create(scratch / "new", dim=2) as new:
        ...     _ = new.enroll([[1, 0], [0, 1]], keys=["x", "y"])
        ...     len(new)
        2
        """
        create(folder, dim, metric, store, model)
        return cls(folder, device, writable=True)

    @classmethod
    def open(cls, folder: Path, *, writable: bool = False) -> Gallery:
        """The same as Gallery(folder, writable=writable)."""
        return cls(folder, writable=writable)

    def evaluate(
        self,
        probes: npt.ArrayLike,
        subjects: Sequence[str],
        *,
        groups: Sequence[str] | None = None,
        fpir: float = 0.01,
        threshold: float | None = None,
        rank: int = 1,
        claims: Claims | None = None,
    ) -> Evaluation:
        """Error rates on labelled probes, by subject: at the threshold, or at the one for a wanted FPIR. Each probe has
        a subject; some are in the gallery, and some are not. `groups`: of the probes, for rates by group.

        >>> gallery.evaluate([[1, 0, 0], [0, 1, 1]], ["ada", "eve"], threshold=0.9)
        <likeness.Evaluation 2 searches, 1 mated: at 0.899999976 FPIR 0 (0/1, 95 % 0 .. 0.7935), FNIR 0 (0/1, ...)>
        """
        _, kept = checked.vectors("probes", probes)
        named: list[str] = checked.column("subjects", subjects, len(kept))
        for row, subject in enumerate(named):
            if checked.text(f"subjects[{row}]", subject).length == 0:
                raise ValueError(f"subjects[{row}] is empty; each probe needs one")
        if groups is not None:
            groups = checked.column("groups", groups, len(kept))
        wanted = checked.real("fpir", fpir), None if threshold is None else checked.real("threshold", threshold)
        ranks = checked.integer("rank", rank, 1, checked.K_MAX)
        enrolled = {template.subject for template in self.templates()}
        k = max(ranks, min(_RANKS, len(enrolled)))
        parts = [
            self.identify(kept[first : first + _BATCH], k, by_subject=True, claims=claims)
            for first in range(0, len(kept), _BATCH)
        ]
        found = np.concatenate([part.subjects for part in parts]) if parts else np.empty((0, k), object)
        scores = np.concatenate([part.scores for part in parts]) if parts else np.empty((0, k), np.float32)
        return evaluate((found, scores), enrolled, named, groups, (*wanted, ranks))
