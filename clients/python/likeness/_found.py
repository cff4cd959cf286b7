"""What searches find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from . import _structures as c
from ._handle import Closable, Handle, open_pointer
from ._library import library

if TYPE_CHECKING:
    from ._opened import OpenGallery

MISSING = -1  # the template number after the end of a shorter list

Numbers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


class Template(NamedTuple):
    """What a gallery says of a template. `expires`: Unix time in ms; None: never."""

    number: int
    key: str
    subject: str
    group: str
    tags: int
    version: int
    expires: int | None
    metadata: bytes


def read_template(found: c.Template) -> Template:
    expires = None if found.expires_ms == 2**64 - 1 else found.expires_ms
    texts = str(found.key), str(found.subject), str(found.group)
    return Template(found.number, *texts, found.tags, found.version, expires, found.metadata.raw())


class Candidate(NamedTuple):
    """A line of the table of what was found."""

    probe: int
    rank: int
    number: int
    key: str
    subject: str
    group: str
    score: float


class Pair(NamedTuple):
    """Two templates of different subjects that score as templates of one."""

    a: Template
    b: Template
    score: float


class Result(Closable):
    """The library's memory for the lists of a search."""

    _kind = "result"

    def __init__(self) -> None:
        self._handle = Handle("result", open_pointer("lk_result_open"), library.lk_result_close)


def read_lists(result: Any, lists: int, ranks: int | None) -> tuple[Numbers, Scores]:
    """Template numbers and scores, lists x ranks. `ranks`: None for the length of the longest list."""
    counts = [library.lk_result_count(result, probe) for probe in range(lists)]
    shape = lists, max(counts, default=0) if ranks is None else ranks
    numbers, scores = np.full(shape, MISSING, np.int64), np.full(shape, -np.inf, np.float32)
    for probe in range(lists):
        library.lk_result_list(result, probe, numbers[probe:].ctypes.data, scores[probe:].ctypes.data)
    return numbers, scores


class Candidates(Tuple[Numbers, Scores]):
    """The lists of a search, best first: `numbers, scores = candidates`, two arrays with a row per probe. MISSING and
    -inf fill shorter lists.

    `keys`, `subjects` and `groups` are arrays of the same shape, "" where a list has ended; `rows()` is all of it as
    one flat table, which pandas.DataFrame and csv.writer take. They are read when they are first asked for, which must
    be while the gallery is open.
    """

    _names: tuple[npt.NDArray[Any], ...] | None = None

    def __new__(
        cls, found: tuple[Numbers, Scores], gallery: OpenGallery, result: Result, release: Callable[[Result], None]
    ) -> Candidates:
        self = super().__new__(cls, found)
        self._gallery, self._result, self._release = gallery, result, release
        return self

    _gallery: OpenGallery
    _result: Result
    _release: Callable[[Result], None]

    @property
    def numbers(self) -> Numbers:
        return self[0]

    @property
    def scores(self) -> Scores:
        return self[1]

    @property
    def keys(self) -> npt.NDArray[Any]:
        return self._read_names()[0]

    @property
    def subjects(self) -> npt.NDArray[Any]:
        return self._read_names()[1]

    @property
    def groups(self) -> npt.NDArray[Any]:
        return self._read_names()[2]

    def _read_names(self) -> tuple[npt.NDArray[Any], ...]:
        if self._names is not None:
            return self._names
        names = tuple(np.full(self.numbers.shape, "", object) for _ in range(3))
        with self._gallery._opened(), self._result._opened() as result:
            for probe, rank in self._places():
                found = library.lk_result_candidate(result, probe, rank).found
                for array, text in zip(names, (found.key, found.subject, found.group)):
                    array[probe, rank] = str(text)
        self._names = names
        return names

    def _places(self) -> Iterator[tuple[int, int]]:
        for probe, rank in np.argwhere(self.numbers != MISSING).tolist():
            yield probe, rank

    def rows(self) -> list[Candidate]:
        """A line for each candidate: probe, rank from 1, number, key, subject, group, score."""
        keys, subjects, groups = self._read_names()
        return [
            Candidate(p, r + 1, int(self[0][p, r]), keys[p, r], subjects[p, r], groups[p, r], float(self[1][p, r]))
            for p, r in self._places()
        ]

    def __repr__(self) -> str:
        shape = "{} probes, {} ranks".format(*self.numbers.shape)
        return f"<likeness.Candidates of {shape}: {int((self.numbers != MISSING).sum())} candidates>"

    def __reduce__(self) -> tuple[type, tuple[tuple[Numbers, Scores]]]:
        return tuple, ((self.numbers, self.scores),)

    def __del__(self) -> None:
        if "_result" in vars(self):
            self._release(self._result)
