"""likeness.faiss against NumPy in double precision, and, where it is installed, beside FAISS itself, whose distances
differ from the exact ones in the last bits: so near ties may come in another order, and distances are compared within a
tolerance that follows from the sizes of the numbers.

LIKENESS_SEED and LIKENESS_ROUNDS: of the random rounds."""

import copy
import gc
import glob
import os
import pathlib
import pickle
import tempfile
import unittest

import numpy as np

from likeness import faiss as ours

try:
    import faiss as theirs
except ImportError:
    theirs = None


def exact(metric, x, base):
    x, base = np.asarray(x, np.float32).astype(np.float64), np.asarray(base, np.float32).astype(np.float64)
    if metric == ours.METRIC_INNER_PRODUCT:
        return x @ base.T
    return np.square(x[:, None] - base[None]).sum(axis=2)


def slack(x, base):
    """FAISS adds in float32, and may take distances for lengths minus products."""
    lengths = [np.square(np.asarray(part, np.float64)).sum(axis=1).max(initial=1e-30) for part in (x, base)]
    return 4e-6 * max(lengths)


class FlatTest(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(3)
        self.base = random.standard_normal((500, 20), dtype=np.float32)
        self.x = random.standard_normal((9, 20), dtype=np.float32)

    def check(self, index, metric, which=None, k=7):
        """`which`: the positions that count."""
        which = np.arange(500) if which is None else which
        wanted = exact(metric, self.x, self.base[which])
        order = np.argsort(wanted if metric == ours.METRIC_L2 else -wanted, axis=1, kind="stable")[:, :k]
        D, I = index
        np.testing.assert_array_equal(which[order], I[:, : order.shape[1]])
        np.testing.assert_array_equal(np.take_along_axis(wanted, order, 1).astype(np.float32), D[:, : order.shape[1]])
        self.assertTrue((I[:, order.shape[1] :] == -1).all())

    def test_search_is_exact(self):
        for kind, metric in (ours.IndexFlatL2, ours.METRIC_L2), (ours.IndexFlatIP, ours.METRIC_INNER_PRODUCT):
            index = kind(20)
            self.assertEqual((True, 0, 20, metric), (index.is_trained, index.ntotal, index.d, index.metric_type))
            self.assertTrue((index.search(self.x, 2)[1] == -1).all())
            for part in np.array_split(self.base, 3):
                index.add(part)
                index.search(self.x[:1], 1)
            self.check(index.search(self.x, 7), metric)
            self.check(index.search(self.x, 5000), metric, k=5000)
            which = np.arange(100, 200)
            params = ours.SearchParameters(sel=ours.IDSelectorRange(100, 200))
            self.check(index.search(self.x, 7, params=params), metric, which)
            self.check(index.search(self.x, 150, params=params), metric, which, 150)
            index.remove_ids(ours.IDSelectorNot(ours.IDSelectorRange(100, 200)))
            self.assertEqual(100, index.ntotal)
            D, I = index.search(self.x, 7)
            self.check((D, I + 100), metric, which)

    def test_ranges_are_strict(self):
        index = ours.IndexFlatL2(2)
        index.add([[0, 0], [3, 4], [1, 0], [0, 0]])
        lims, D, I = index.range_search([[0, 0], [9, 9]], 1.0)
        self.assertEqual(([0, 2, 2], [0, 0], [0, 3]), (lims.tolist(), D.tolist(), I.tolist()))
        lims, D, I = index.range_search([[0, 0]], 25.5)
        self.assertEqual(([0, 25, 1, 0], [0, 1, 2, 3]), (D.tolist(), I.tolist()))
        params = ours.SearchParameters(sel=ours.IDSelectorBatch([3, 77]))
        self.assertEqual([3], index.range_search([[0, 0]], 1.5, params=params)[2].tolist())

    def test_given_arrays_are_filled(self):
        index = ours.IndexFlatL2(20)
        index.add(self.base)
        D, I = np.empty((9, 3), np.float32), np.empty((9, 3), np.int64)
        index.search(self.x, 3, D=D, I=I)
        self.check((D, I), ours.METRIC_L2, k=3)
        with self.assertRaises(AssertionError):
            index.search(self.x, 4, D=D)

    def test_wrong_uses(self):
        index = ours.IndexFlatL2(20)
        index.add(self.base)
        bad = self.base.copy()
        bad[3, 1] = np.inf
        for error, words, call in [
            (AssertionError, "dimension 19, the index 20", lambda: index.add(self.base[:, :19])),
            (AssertionError, "dimension 19", lambda: index.search(self.x[:, :19], 1)),
            (AssertionError, "k is 0", lambda: index.search(self.x, 0)),
            (ValueError, r"x\[3\] is not finite", lambda: index.add(bad)),
            (ValueError, "rows x dim", lambda: index.add(self.base[0])),
            (TypeError, "params", lambda: index.search(self.x, 1, params=ours.IDSelectorAll())),
            (TypeError, "sel", lambda: ours.SearchParameters(sel=[1])),
            (RuntimeError, "no vector 500", lambda: index.reconstruct(500)),
            (RuntimeError, "no vector -1", lambda: index.reconstruct(-1)),
            (RuntimeError, "IndexIDMap", lambda: index.add_with_ids(self.x, np.arange(9))),
            (RuntimeError, "empty", lambda: ours.IndexIDMap(index)),
            (ValueError, "METRIC_L2", lambda: ours.IndexFlat(3, 7)),
            (ValueError, "outside 1 .. 4096", lambda: ours.IndexFlat(5000)),
            (RuntimeError, "IVF", lambda: ours.index_factory(8, "IVF100,Flat")),
            (TypeError, "IDSelector", lambda: ours.IDSelectorNot([1])),
        ]:
            with self.subTest(words), self.assertRaisesRegex(error, words):
                call()
        self.assertEqual(500, index.ntotal)

    def test_copies_and_the_temporary_folder(self):
        with tempfile.TemporaryDirectory() as scratch:
            kept, tempfile.tempdir = tempfile.tempdir, scratch
            try:
                index = ours.IndexFlatL2(20)
                index.add(self.base)
                self.check(index.search(self.x, 7), ours.METRIC_L2)
                for made in copy.deepcopy(index), pickle.loads(pickle.dumps(index)):
                    made.add(self.base)
                    self.check(index.search(self.x, 7), ours.METRIC_L2)
                    self.assertEqual((500, 1000), (index.ntotal, made.ntotal))
                index.reset()
                self.assertEqual(0, index.ntotal)
                self.assertTrue((index.search(self.x, 2)[1] == -1).all())
                del index, made
                gc.collect()
                self.assertEqual([], glob.glob(scratch + "/*"))
            finally:
                tempfile.tempdir = kept

    def test_large_additions(self):
        many = np.random.default_rng(1).standard_normal((30000, 300), dtype=np.float32)
        index = ours.IndexFlatIP(300)
        for part in many[:10], many[10:29990], many[29990:]:
            index.add(part)
            index.search(many[:1], 1)
        self.assertEqual([[0], [15000], [29999]], index.search(many[[0, 15000, 29999]], 1)[1].tolist())


class FileTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.file = pathlib.Path(scratch.name) / "index.faiss"

    def test_damaged_files_are_refused(self):
        index = ours.IndexIDMap2(ours.IndexFlatIP(3))
        index.add_with_ids(np.eye(3), [5, 6, 7])
        ours.write_index(index, self.file)
        whole = self.file.read_bytes()
        self.assertEqual([6], ours.read_index(self.file).search([[0, 1, 0]], 1)[1][0].tolist())
        for cut in range(len(whole)):
            self.file.write_bytes(whole[:cut])
            with self.assertRaisesRegex(RuntimeError, "index.faiss: "):
                ours.read_index(self.file)
        for at in range(len(whole)):
            changed = bytearray(whole)
            changed[at] ^= 0x41
            try:
                ours.deserialize_index(np.frombuffer(changed, np.uint8))
            except (RuntimeError, ValueError):
                pass

    def test_other_indexes_are_named(self):
        self.file.write_bytes(b"IwFl" + bytes(100))
        with self.assertRaisesRegex(RuntimeError, "index.faiss: an index of the kind b'IwFl'; only flat"):
            ours.read_index(self.file)


@unittest.skipIf(theirs is None, "needs faiss-cpu")
class BesideFaissTest(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("LIKENESS_SEED", np.random.SeedSequence().entropy % 2**32))
        self.random = np.random.default_rng(self.seed)
        print("seed", self.seed)

    def draw(self, rows, dim):
        kind = self.random.choice(["float32", "float64", "float16", "int8", "columns", "gaps"])
        made = self.random.standard_normal((rows, dim)) * 10
        if kind == "columns":
            return np.asfortranarray(made.astype("f4"))
        if kind == "gaps":
            return np.repeat(made.astype("f4"), 2, axis=1)[:, ::2]
        return made.astype(kind)

    def check(self, metric, x, base, mine, real, ids=None):
        """The same ids and distances, but for near ties, whose distances are as near."""
        (D, I), (E, J) = mine, real
        self.assertEqual((J.shape, D.dtype, I.dtype), (I.shape, E.dtype, J.dtype))
        near = slack(x, base)
        np.testing.assert_allclose(D, E, atol=near, rtol=1e-5)
        np.testing.assert_array_equal(I == -1, J == -1)
        if ids is None:
            distances = exact(metric, x, base)
            for row, rank in np.argwhere(I != J):
                self.assertLessEqual(abs(distances[row, I[row, rank]] - distances[row, J[row, rank]]), near)

    def selectors(self, ids):
        """FAISS reads outside of its memory for ranges and arrays of ids that a flat index does not have, and finds
        vectors twice that an array has twice."""
        some = self.random.permutation(ids)[: self.random.integers(0, len(ids) + 1)]
        low, high = np.sort(self.random.integers(0, len(ids) + 1, 2)).tolist()
        bits = self.random.integers(0, 256, 9, dtype=np.uint8)
        makers = [
            lambda f: f.IDSelectorBatch(some),
            lambda f: f.IDSelectorArray(some),
            lambda f: f.IDSelectorRange(low, high),
            lambda f: f.IDSelectorBitmap(bits),
            lambda f: f.IDSelectorAll(),
        ]
        one, two = self.random.integers(0, len(makers), 2)
        kept = []  # FAISS keeps no selectors alive that another one uses

        def both(f, name):
            kept.extend([makers[one](f), makers[two](f)])
            return getattr(f, name)(*kept[-2:])

        def inverse(f):
            kept.append(makers[one](f))
            return f.IDSelectorNot(kept[-1])

        combined = [lambda f, name=name: both(f, name) for name in ("IDSelectorAnd", "IDSelectorOr", "IDSelectorXOr")]
        choices = [*makers, inverse, *combined]
        return choices[self.random.integers(len(choices))]

    def round(self):
        metric = int(self.random.integers(2))
        dim, count, probes = (int(self.random.integers(1, most)) for most in (40, 80, 12))
        kind = self.random.choice(["flat", "metric", "map", "map2"])
        made = {
            "flat": lambda f: (f.IndexFlatL2 if metric == 1 else f.IndexFlatIP)(dim),
            "metric": lambda f: f.IndexFlat(dim, metric),
            "map": lambda f: f.IndexIDMap(f.IndexFlat(dim, metric)),
            "map2": lambda f: f.IndexIDMap2(f.IndexFlatL2(dim) if metric == 1 else f.IndexFlatIP(dim)),
        }[kind]
        pair = made(ours), made(theirs)
        base, mapped = np.empty((0, dim), np.float32), kind.startswith("map")
        ids = np.empty(0, np.int64)
        for _ in range(self.random.integers(1, 4)):
            rows = self.draw(int(self.random.integers(0, count)), dim)
            new = self.random.choice(200, len(rows), replace=False).astype(np.int64) + 1000 * len(base)
            for index in pair:
                index.add_with_ids(rows, new) if mapped else index.add(rows)
            base = np.concatenate([base, rows.astype(np.float32)])
            ids = np.concatenate([ids, new]) if mapped else np.arange(len(base))
            self.compare(pair, metric, self.draw(probes, dim), base, ids, mapped)
            if self.random.random() < 0.5:
                choose = self.selectors(ids)
                gone = [index.remove_ids(choose(f)) for index, f in zip(pair, (ours, theirs))]
                self.assertEqual(*gone)
                stays = ~choose(ours).select(ids)
                base, ids = base[stays], ids[stays] if mapped else np.arange(int(stays.sum()))
                self.compare(pair, metric, self.draw(probes, dim), base, ids, mapped)
        self.move(pair, self.draw(probes, dim))

    def compare(self, pair, metric, x, base, ids, mapped):
        mine, real = pair
        self.assertEqual((real.ntotal, real.d, real.metric_type), (mine.ntotal, mine.d, mine.metric_type))
        k = int(self.random.integers(1, 90))
        known = None if not mapped else ids
        self.check(metric, x, base, mine.search(x, k), real.search(x, k), known)
        choose = self.selectors(ids)
        found = [index.search(x, k, params=f.SearchParameters(sel=choose(f))) for index, f in zip(pair, (ours, theirs))]
        self.check(metric, x, base, *found, known)
        if len(base):
            self.compare_ranges(pair, metric, x, base, choose)
            self.compare_rows(pair, base, ids, mapped)

    def compare_ranges(self, pair, metric, x, base, choose):
        distances = np.sort(exact(metric, x, base).ravel())
        at = int(self.random.integers(len(distances)))
        radius = float(distances[at] + min(1.0, np.diff(distances, append=distances[-1] + 1)[at]) / 2)
        if np.abs(distances - radius).min() <= slack(x, base):
            return  # FAISS might take a near one for one on the other side
        for selecting in False, True:
            lists = []
            for index, f in zip(pair, (ours, theirs)):
                params = f.SearchParameters(sel=choose(f)) if selecting else None
                lims, D, I = index.range_search(x, radius, params=params)
                lists.append((lims, D, I))
            for mine, real in zip(*lists):
                self.assertEqual((real.dtype, real.shape), (mine.dtype, mine.shape))
            np.testing.assert_array_equal(lists[0][0], lists[1][0])
            np.testing.assert_allclose(lists[0][1], lists[1][1], atol=slack(x, base), rtol=1e-5)
            np.testing.assert_array_equal(lists[0][2], lists[1][2])

    def compare_rows(self, pair, base, ids, mapped):
        mine, real = pair
        if not mapped:
            np.testing.assert_array_equal(base, mine.reconstruct_n())
            np.testing.assert_array_equal(real.reconstruct_n(0, len(base)), mine.reconstruct_n(0, len(base)))
            np.testing.assert_array_equal(
                real.reconstruct_batch([0, len(base) - 1]), mine.reconstruct_batch([0, len(base) - 1])
            )
        elif isinstance(mine, ours.IndexIDMap2):
            key = int(self.random.choice(ids))
            np.testing.assert_array_equal(real.reconstruct(key), mine.reconstruct(key))
        else:
            for index in pair:
                with self.assertRaises(RuntimeError):
                    index.reconstruct(int(ids[0]))
        if mapped:
            np.testing.assert_array_equal(theirs.vector_to_array(real.id_map), ours.vector_to_array(mine.id_map))

    def move(self, pair, x):
        """Each reads the other's file."""
        with tempfile.TemporaryDirectory() as scratch:
            ours.write_index(pair[0], f"{scratch}/ours")
            theirs.write_index(pair[1], f"{scratch}/theirs")
            for read, file, name in (ours, "theirs", type(pair[0])), (theirs, "ours", None):
                moved = read.read_index(f"{scratch}/{file}")
                self.assertEqual((pair[1].ntotal, pair[1].d), (moved.ntotal, moved.d))
                for got, wanted in zip(moved.search(x.astype("f4"), 3), pair[read is theirs].search(x.astype("f4"), 3)):
                    np.testing.assert_array_equal(wanted, got)
                if name is not None and "IDMap" in name.__name__:
                    self.assertIs(name, type(moved))

    def test_random_rounds(self):
        for _ in range(int(os.environ.get("LIKENESS_ROUNDS", "60"))):
            self.round()

    def test_knn_and_normalize(self):
        for metric in range(2):
            x, base = self.draw(20, 30), self.draw(300, 30)
            self.check(metric, x, base, ours.knn(x, base, 5, metric), theirs.knn(x, base, 5, metric))
        mine, real = (np.ascontiguousarray(x, np.float32) for _ in range(2))
        mine[3] = real[3] = 0
        ours.normalize_L2(mine), theirs.normalize_L2(real)
        np.testing.assert_allclose(mine, real, rtol=1e-6)

    def test_many_probes(self):
        """For which FAISS multiplies matrices."""
        base, x = (self.random.standard_normal((rows, 64), dtype=np.float32) for rows in (3000, 400))
        for metric in range(2):
            mine, real = ours.IndexFlat(64, metric), theirs.IndexFlat(64, metric)
            for index in mine, real:
                index.add(base)
            self.check(metric, x, base, mine.search(x, 20), real.search(x, 20))


if __name__ == "__main__":
    unittest.main()
