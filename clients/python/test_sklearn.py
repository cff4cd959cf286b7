"""likeness.sklearn by scikit-learn's own checks, and beside its own estimators."""

import os
import pickle
import unittest
import warnings

import numpy as np

try:
    import sklearn
except ImportError:
    raise unittest.SkipTest("needs scikit-learn") from None

from sklearn.exceptions import SkipTestWarning
from sklearn.cluster import DBSCAN
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neighbors import KNeighborsTransformer as TheirTransformer
from sklearn.neighbors import NearestNeighbors as TheirNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from likeness.sklearn import KNeighborsTransformer, NearestNeighbors


class SklearnTest(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("LIKENESS_SEED", np.random.SeedSequence().entropy % 2**32))
        print("seed", self.seed)
        random = np.random.default_rng(self.seed)
        # Of a grid, so that float32 holds them, distances are exact for both, and there are ties.
        self.X, self.Q = (random.integers(-3, 4, (rows, 6)).astype(np.float64) for rows in (120, 17))
        self.X += 0.5

    def test_check_estimator(self):
        for estimator in NearestNeighbors(), NearestNeighbors(metric="sqeuclidean"), KNeighborsTransformer():
            with self.subTest(estimator), warnings.catch_warnings():
                warnings.simplefilter("ignore", SkipTestWarning)
                check_estimator(estimator)

    def pairs(self):
        for metric in "euclidean", "sqeuclidean", "cosine":
            yield metric, *(
                kind(n_neighbors=4, metric=metric).fit(self.X) for kind in (NearestNeighbors, TheirNeighbors)
            )

    def test_kneighbors(self):
        for metric, mine, theirs in self.pairs():
            for X in self.Q + 0.25, None:
                (mine_d, mine_i), (their_d, _) = mine.kneighbors(X), theirs.kneighbors(X)
                np.testing.assert_allclose(mine_d, their_d, atol=1e-6)
                self.assertTrue((np.diff(mine_d) >= 0).all())
                if X is None:
                    self.assertTrue((mine_i != np.arange(len(self.X))[:, None]).all())
                for row, indices in enumerate(mine_i):
                    self.assertEqual(4, len(set(indices)))
                graph = mine.kneighbors_graph(X, mode="distance")
                np.testing.assert_allclose(np.sort(graph.data), np.sort(mine_d.ravel()))
                self.assertEqual(theirs.kneighbors_graph(X).shape, graph.shape)
                self.assertEqual(4 * graph.shape[0], mine.kneighbors_graph(X).sum())

    def test_radius(self):
        """The radius itself is within."""
        for metric, mine, theirs in self.pairs():
            radius = {"euclidean": 5.0, "sqeuclidean": 25.0, "cosine": 0.35}[metric]
            for X in self.Q + 0.5, None:
                lists = [of.radius_neighbors(X, radius, sort_results=True) for of in (mine, theirs)]
                for (mine_d, mine_i), (their_d, their_i) in zip(zip(*lists[0]), zip(*lists[1])):
                    np.testing.assert_allclose(mine_d, their_d, atol=1e-6)
                    self.assertEqual(set(mine_i), set(their_i))
                graphs = [of.radius_neighbors_graph(X, radius, mode="distance") for of in (mine, theirs)]
                np.testing.assert_allclose(graphs[0].toarray(), graphs[1].toarray(), atol=1e-6)

    def test_equal_rows_are_not_their_own_neighbors(self):
        rows = np.ones((6, 3))
        distances, indices = NearestNeighbors(n_neighbors=3).fit(rows).kneighbors()
        self.assertTrue((distances == 0).all() and (indices != np.arange(6)[:, None]).all())

    def test_transformer_in_pipelines(self):
        labels = (self.X[:, 0] > 0).astype(int)
        X = self.X + np.random.default_rng(1).random(self.X.shape).astype(np.float32)
        predicted = [
            make_pipeline(kind(n_neighbors=8, mode="distance"), KNeighborsClassifier(5, metric="precomputed"))
            .fit(X, labels)
            .predict(self.Q)
            for kind in (KNeighborsTransformer, TheirTransformer)
        ]
        np.testing.assert_array_equal(*predicted)
        for mode in "distance", "connectivity":
            graphs = [
                kind(n_neighbors=8, mode=mode).fit_transform(X) for kind in (KNeighborsTransformer, TheirTransformer)
            ]
            np.testing.assert_allclose(graphs[0].toarray(), graphs[1].toarray(), atol=1e-5)
        graph = NearestNeighbors().fit(X).radius_neighbors_graph(radius=2.5, mode="distance", sort_results=True)
        np.testing.assert_array_equal(
            DBSCAN(eps=2.5).fit_predict(X.astype(np.float32)), DBSCAN(eps=2.5, metric="precomputed").fit_predict(graph)
        )

    def test_pickles_and_wrong_uses(self):
        fitted = NearestNeighbors(n_neighbors=2).fit(self.X)
        np.testing.assert_array_equal(fitted.kneighbors()[1], pickle.loads(pickle.dumps(fitted)).kneighbors()[1])
        for error, words, call in [
            (ValueError, "metric is 'cos'", lambda: NearestNeighbors(metric="cos").fit(self.X)),
            (ValueError, "mode is 'x'", lambda: KNeighborsTransformer(mode="x").fit(self.X)),
            (ValueError, "n_neighbors <= n_samples_fit", lambda: fitted.kneighbors(n_neighbors=120)),
            (ValueError, "n_neighbors > 0", lambda: fitted.kneighbors(n_neighbors=0)),
            (TypeError, "integer", lambda: fitted.kneighbors(n_neighbors=1.5)),
            (ValueError, "row 1 of X has the length", lambda: NearestNeighbors().fit([[1.0], [1e-20]])),
            (ValueError, "row 0 of X", lambda: NearestNeighbors(metric="cosine").fit([[0.0], [1.0]])),
        ]:
            with self.subTest(words), self.assertRaisesRegex(error, words):
                call()


if __name__ == "__main__":
    unittest.main()
