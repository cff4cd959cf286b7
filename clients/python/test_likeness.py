"""Tests the module against numpy in double precision."""

import ctypes
import gc
import tempfile
import unittest
from pathlib import Path

import numpy as np

import likeness
from likeness import _arguments as checked
from likeness import _library
from likeness import _structures as c

DIM, ROWS, PROBES = 96, 3000, 40


def score(metric: str, probes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Under cosine both are of unit length."""
    if metric == "l2":
        return -np.square(probes[:, None, :] - rows[None, :, :]).sum(axis=2)
    return probes @ rows.T


def normalise(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class LikenessTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name) / "gallery"
        random = np.random.default_rng(7)
        self.rows = random.standard_normal((ROWS, DIM), dtype=np.float32)
        self.probes = random.standard_normal((PROBES, DIM), dtype=np.float32)
        self.device = likeness.Device(threads=2)
        self.addCleanup(self.device.close)

    def open_gallery(self, metric: str = "cosine", **labels) -> likeness.Gallery:
        likeness.create(self.folder, DIM, metric)
        likeness.enroll(self.folder, self.rows, **labels)
        gallery = likeness.Gallery(self.folder, self.device)
        self.addCleanup(gallery.close)
        return gallery

    def test_identify_agrees_with_double_precision(self):
        for metric in likeness.METRICS:
            with self.subTest(metric), tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "gallery"
                likeness.create(folder, DIM, metric)
                likeness.enroll(folder, self.rows)
                with likeness.Gallery(folder, self.device) as gallery:
                    numbers, scores = gallery.identify(self.probes, k=7)
                vectors = self.probes.astype(np.float64), self.rows.astype(np.float64)
                wanted = score(metric, *(map(normalise, vectors) if metric == "cosine" else vectors))
                best = np.argsort(-wanted, axis=1)[:, :7]
                np.testing.assert_array_equal(numbers, best)
                np.testing.assert_allclose(scores, np.take_along_axis(wanted, best, axis=1), rtol=1e-6)

    def test_templates_are_laid_out_as_the_library_has_them(self):
        labels = (c.Label * 2)()
        labels[1].key, labels[1].tags, labels[1].version, labels[1].expires_ms = c.Text(b"k", 1), 5, 7, 1 << 62
        labels[1].metadata = c.Text(b"a\0\xff", 3)
        likeness.create(self.folder, DIM, "l2")
        described, _ = checked.vectors("vectors", self.rows[:2])
        _library.call("lk_gallery_enroll", bytes(self.folder), described, labels, None, None, None, None)
        gallery = ctypes.c_void_p()
        _library.call("lk_gallery_open", bytes(self.folder), gallery)
        self.addCleanup(_library.library.lk_gallery_close, gallery)
        plain, full = (_library.library.lk_gallery_template(gallery, position) for position in range(2))
        self.assertEqual((0, 0, 2**64 - 1, 0), (plain.tags, plain.version, plain.expires_ms, plain.metadata.length))
        self.assertEqual(("k", 5, 7, 1 << 62), (str(full.key), full.tags, full.version, full.expires_ms))
        self.assertEqual(b"a\0\xff", ctypes.string_at(full.metadata.bytes, full.metadata.length))

    def test_arrays_of_all_kinds_are_searched_for(self):
        gallery = self.open_gallery()
        wanted = gallery.identify(self.probes)
        doubles = self.probes.astype(np.float64)
        for name, probes in {
            "double": doubles,
            "in columns": np.asfortranarray(self.probes),
            "with gaps": np.hstack([self.probes, self.probes])[:, :DIM],
        }.items():
            with self.subTest(name):
                for got, expected in zip(gallery.identify(probes), wanted):
                    np.testing.assert_array_equal(got, expected)
        numbers, _ = gallery.identify(self.probes[3])
        np.testing.assert_array_equal(numbers[0], wanted[0][3])
        backwards, _ = gallery.identify(self.probes[::-1])
        np.testing.assert_array_equal(backwards, wanted[0][::-1])

    def test_filters_thresholds_and_fusion(self):
        keys = [f"key {row}" for row in range(ROWS)]
        subjects = [f"subject {row // 3}" for row in range(ROWS)]
        gallery = self.open_gallery(keys=keys, subjects=subjects, tags=[row % 2 for row in range(ROWS)])
        exact = normalise(self.probes.astype(np.float64)) @ normalise(self.rows.astype(np.float64)).T
        numbers, _ = gallery.identify(self.probes, k=3, tags=1, mask=1)
        np.testing.assert_array_equal(numbers, np.argsort(-exact[:, 1::2], axis=1)[:, :3] * 2 + 1)
        numbers, scores = gallery.identify(self.probes, k=5, keys=["key 8", "key 6"], subjects=["no such one"])
        self.assertEqual({6, 8, likeness.MISSING}, set(numbers.ravel()))
        self.assertTrue(np.all(np.isneginf(scores[:, 2:])))
        for nobody in {"keys": []}, {"subjects": []}, {"keys": [], "subjects": []}, {"subjects": (), "fusion": "max"}:
            numbers, scores = gallery.identify(self.probes, k=3, **nobody)
            self.assertTrue((numbers == likeness.MISSING).all() and np.isneginf(scores).all(), nobody)
        numbers, scores = gallery.identify(self.probes, k=likeness.ALL, threshold=0.3)
        np.testing.assert_array_equal((numbers != likeness.MISSING).sum(axis=1), (exact >= 0.3).sum(axis=1))
        numbers, _ = gallery.identify(self.probes, k=2, fusion="max")
        np.testing.assert_array_equal(numbers[0], np.argsort(-exact.max(axis=0))[:2])
        numbers, _ = gallery.identify(self.probes, k=9, by_subject=True)
        self.assertTrue(all(len(set(found // 3)) == 9 for found in numbers))

    def test_verify(self):
        gallery = self.open_gallery(subjects=[f"subject {row // 3}" for row in range(ROWS)])
        exact = normalise(self.probes.astype(np.float64)) @ normalise(self.rows[30:33].astype(np.float64)).T
        numbers, scores = gallery.verify(self.probes, "subject 10")
        np.testing.assert_array_equal(numbers, 30 + exact.argmax(axis=1))
        np.testing.assert_allclose(scores, exact.max(axis=1), rtol=1e-6)

    def test_what_a_gallery_says_of_itself(self):
        gallery = self.open_gallery("ip", keys=[""] * (ROWS - 1) + ["żółw"])
        stat = gallery.stat()
        self.assertEqual(("gallery", "ip", "f32", DIM), (stat["name"], stat["metric"], stat["store"], stat["dim"]))
        self.assertEqual(ROWS, len(gallery))
        self.assertEqual(ROWS - 1, gallery.find("żółw"))
        self.assertEqual(["17", "żółw"], [gallery.key(17), gallery.key(ROWS - 1)])
        np.testing.assert_array_equal(self.rows[17], gallery.vector(17))
        gallery.identify(self.probes)
        self.assertGreaterEqual(gallery.last_search["rescored"], 10 * PROBES)

    def test_errors_have_the_words_of_the_library(self):
        gallery = self.open_gallery()
        with self.assertRaises(likeness.Error) as raised:
            gallery.identify(self.probes[:, :5])
        self.assertEqual("EDIM", raised.exception.status)
        self.assertIn("probes", str(raised.exception))
        self.probes[2, 3] = np.nan
        with self.assertRaisesRegex(likeness.Error, "2"):
            gallery.identify(self.probes)
        with self.assertRaises(likeness.Error) as raised:
            likeness.Gallery(self.folder / "none")
        self.assertEqual("EGALLERY", raised.exception.status)
        with self.assertRaises(IndexError):
            gallery.key(ROWS)
        with self.assertRaises(TypeError):
            gallery.identify(np.zeros((1, DIM), bool))
        with self.assertRaises(ValueError):
            likeness.enroll(self.folder, self.rows, keys=["one"])

    def test_closing(self):
        gallery = self.open_gallery()
        gallery.close()
        gallery.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            gallery.identify(self.probes)
        for _ in range(3):
            likeness.Gallery(self.folder, likeness.Device()).identify(self.probes)
        gc.collect()

    def test_a_bound_gallery_asks_its_policy(self):
        gallery = self.open_gallery()
        gallery.identify(self.probes)
        self.assertEqual(gallery.decision(), {"policy": "none"})
        policy = self.folder.parent / "policy.yaml"
        policy.write_text(
            "policy: 1\nname: t\nrules:\n  - id: demo\n    effect: permit\n    text: Demonstrations.\n"
            "    purposes: demo\n    operations: [identify, export]\n    max_candidates: 2\n"
        )
        likeness.bind(self.folder, policy)
        with likeness.Gallery(self.folder, self.device) as bound:
            self.assertEqual(bound.stat()["policy"], str(policy.resolve()))
            demo = likeness.Claims(purpose="demo")
            numbers, scores = bound.identify(self.probes, k=5, claims=demo)
            np.testing.assert_array_equal(numbers[:, :2], gallery.identify(self.probes, k=2)[0])
            self.assertTrue((numbers[:, 2:] == likeness.MISSING).all())
            self.assertEqual(bound.decision()["rules"], ["demo"])
            np.testing.assert_array_equal(bound.vector(3, demo), gallery.vector(3))
            refused = (
                lambda: bound.identify(self.probes),
                lambda: bound.vector(3),
                lambda: bound.verify(self.probes, "3", demo),
                lambda: likeness.enroll(self.folder, self.rows, claims=demo),
            )
            for attempt in refused:
                with self.assertRaises(likeness.Error) as caught:
                    attempt()
                self.assertEqual(caught.exception.status, "EPOLICY")


if __name__ == "__main__":
    unittest.main()
