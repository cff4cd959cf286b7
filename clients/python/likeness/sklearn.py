"""Nearest neighbors for scikit-learn: estimators that take the place of its own.

>>> from likeness.sklearn import NearestNeighbors
>>> X = [[0, 0], [1, 0], [5, 5]]
>>> NearestNeighbors(n_neighbors=2).fit(X).kneighbors([[0.9, 0]], return_distance=False)
array([[1, 0]])

Vectors are rounded to float32; the distances of these are exact, rounded once. Equal distances come in the order of the
rows. As in likeness.faiss, vectors have at most 4096 dimensions and a length within 2^-40 .. 2^40; zero is allowed but
for the metric "cosine".
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .faiss._store import Store

__all__ = ["KNeighborsTransformer", "NearestNeighbors"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Self = TypeVar("Self", bound="_Neighbors")

_METRICS = {"euclidean": "l2", "l2": "l2", "sqeuclidean": "l2", "cosine": "cosine"}


class _Neighbors(BaseEstimator):  # type: ignore[misc]
    n_neighbors: int
    radius: float
    metric: str

    def fit(self: Self, X: Any, y: Any = None) -> Self:
        """Keeps the rows of X, which is a dense array. y is ignored."""
        if self.metric not in _METRICS:
            raise ValueError(f"metric is {self.metric!r}, not one of {', '.join(_METRICS)}")
        rows = validate_data(self, X, dtype=[np.float64, np.float32])
        self.n_samples_fit_ = len(rows)
        self._store = Store(rows.shape[1], _METRICS[self.metric])
        self._store.add(self._checked(rows))
        return self

    def _checked(self, rows: Any) -> npt.NDArray[np.float32]:
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
        least = 2.0**-40 if self.metric == "cosine" else 0.0
        wrong = np.flatnonzero((lengths > 2.0**40) | (lengths < least) | ((lengths < 2.0**-40) & (lengths > 0)))
        if len(wrong):
            raise ValueError(f"row {wrong[0]} of X has the length {lengths[wrong[0]]:.3g}, outside 2^-40 .. 2^40")
        return np.ascontiguousarray(rows, np.float32)

    def _probes(self, X: Any) -> npt.NDArray[np.float32]:
        check_is_fitted(self)
        if X is None:
            return self._store.rows
        return self._checked(validate_data(self, X, dtype=[np.float64, np.float32], reset=False))

    def _distances(self, scores: npt.NDArray[np.float32]) -> Floats:
        wide = scores.astype(np.float64)
        if self.metric == "cosine":
            return 1 - wide
        return 0 - wide if self.metric == "sqeuclidean" else np.sqrt(0 - wide)

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """The distances of the nearest rows and their indices, nearest first. X = None: of the rows themselves, each of
        which is not its own neighbor.

        >>> NearestNeighbors(n_neighbors=1).fit([[0, 0], [3, 4], [3, 5]]).kneighbors()
        (array([[5.],
               [1.],
               [1.]]), array([[1],
               [2],
               [1]]))
        """
        probes = self._probes(X)
        count = _count(self.n_neighbors if n_neighbors is None else n_neighbors)
        most = self.n_samples_fit_ - (X is None)
        if count > most:
            raise ValueError(
                f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {count}, n_samples_fit = {most}, "
                f"n_samples = {len(probes)}"
            )
        found, scores = self._store.search(probes, count + (X is None), None)
        if X is None:
            others = _without_self(found)
            found, scores = found[others].reshape(-1, count), scores[others].reshape(-1, count)
        return (self._distances(scores), found) if return_distance else found

    def kneighbors_graph(self, X: Any = None, n_neighbors: int | None = None, mode: str = "connectivity") -> csr_matrix:
        """A sparse matrix: for each row of X its neighbors, 1 or their distances."""
        _check_mode(mode)
        distances, found = self.kneighbors(X, n_neighbors)
        values = distances.ravel() if mode == "distance" else np.ones(found.size)
        ends = np.arange(0, found.size + 1, found.shape[1])
        return csr_matrix((values, found.ravel(), ends), shape=(len(found), self.n_samples_fit_))


def _count(n_neighbors: Any) -> int:
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, numbers.Integral):
        raise TypeError(f"n_neighbors does not take {type(n_neighbors)} value, enter integer value")
    if n_neighbors <= 0:
        raise ValueError(f"Expected n_neighbors > 0. Got {n_neighbors}")
    return int(n_neighbors)


def _without_self(found: Indices) -> npt.NDArray[np.bool_]:
    """All but the row itself; where it is not there, as more rows are equal to it, all but the last."""
    others: npt.NDArray[np.bool_] = found != np.arange(len(found))[:, None]
    others[others.all(axis=1), -1] = False
    return others


def _check_mode(mode: Any) -> None:
    if mode not in ("connectivity", "distance"):
        raise ValueError(f"mode is {mode!r}, not one of connectivity, distance")


class NearestNeighbors(_Neighbors):
    """As sklearn.neighbors.NearestNeighbors. `metric`: "euclidean", "sqeuclidean" or "cosine"."""

    def __init__(self, *, n_neighbors: int = 5, radius: float = 1.0, metric: str = "euclidean"):
        self.n_neighbors = n_neighbors
        self.radius = radius
        self.metric = metric

    def radius_neighbors(
        self, X: Any = None, radius: float | None = None, return_distance: bool = True, sort_results: bool = False
    ) -> Any:
        """All rows within the radius: an array of arrays of distances, and one of indices.

        >>> distances, indices = NearestNeighbors().fit([[0], [3], [4]]).radius_neighbors([[3]], radius=1)
        >>> distances[0], indices[0]
        (array([0., 1.]), array([1, 2]))
        """
        probes = self._probes(X)
        lists = list(self._within(probes, float(self.radius if radius is None else radius), X is None, sort_results))
        distances, indices = np.empty(len(lists), object), np.empty(len(lists), object)
        for row, (near, found) in enumerate(lists):
            distances[row], indices[row] = near, found
        return (distances, indices) if return_distance else indices

    def _within(self, probes: Any, radius: float, others: bool, ordered: bool) -> Iterator[tuple[Floats, Indices]]:
        score = 1 - radius if self.metric == "cosine" else -radius if self.metric == "sqeuclidean" else -(radius**2)
        least = float(np.nextafter(np.float32(score), np.float32(-np.inf)))
        for row, (found, scores) in enumerate(self._store.range(probes, least, None)):
            distances = self._distances(scores)
            kept = (distances <= radius) & ~(others & (found == row))
            distances, found = distances[kept], found[kept]
            order = np.argsort(distances, kind="stable") if ordered else np.arange(len(found))
            yield distances[order], found[order]

    def radius_neighbors_graph(
        self, X: Any = None, radius: float | None = None, mode: str = "connectivity", sort_results: bool = False
    ) -> csr_matrix:
        """A sparse matrix: for each row of X those within the radius, 1 or their distances."""
        _check_mode(mode)
        distances, found = self.radius_neighbors(X, radius, sort_results=sort_results)
        ends = np.cumsum([0, *(len(indices) for indices in found)])
        indices = np.concatenate([np.empty(0, np.int64), *found])
        values = np.concatenate([np.empty(0), *distances]) if mode == "distance" else np.ones(len(indices))
        return csr_matrix((values, indices, ends), shape=(len(found), self.n_samples_fit_))


class KNeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _Neighbors):  # type: ignore[misc]
    """As sklearn.neighbors.KNeighborsTransformer: makes the graph of neighbors that other estimators take as their
    precomputed metric. With mode = "distance" a row has one neighbor more, since the first is often itself.

    >>> KNeighborsTransformer(n_neighbors=1).fit_transform([[0.0], [3.0], [4.0]]).toarray()
    array([[0., 3., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """

    def __init__(self, *, mode: str = "distance", n_neighbors: int = 5, metric: str = "euclidean"):
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.metric = metric

    def fit(self, X: Any, y: Any = None) -> KNeighborsTransformer:
        _check_mode(self.mode)
        super().fit(X, y)
        self._n_features_out = self.n_samples_fit_
        return self

    def transform(self, X: Any) -> csr_matrix:
        """The graph of the rows of X and their neighbors among those that were fitted."""
        return self.kneighbors_graph(X, self.n_neighbors + (self.mode == "distance"), self.mode)
