"""Galleries that are changed, listed, moved and evaluated; what a search says of whom it found."""

import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy as np

import likeness
from likeness._handle import SharedLock

DIM, ROWS = 24, 600


class GalleryTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        random = np.random.default_rng(11)
        self.rows = random.standard_normal((ROWS, DIM), dtype=np.float32)
        self.keys = [f"k{row}" for row in range(ROWS)]
        self.subjects = [f"s{row // 3}" for row in range(ROWS)]
        self.groups = ["F" if row // 3 % 2 else "M" for row in range(ROWS)]
        self.gallery = likeness.Gallery.create(self.scratch / "faces", DIM, device="cpu:portable")
        self.addCleanup(self.gallery.close)
        self.first = self.gallery.enroll(self.rows, self.keys, self.subjects, groups=self.groups)


class FoundTest(GalleryTest):
    def test_names_beside_numbers(self):
        found = self.gallery.identify(self.rows[[5, 100]], k=1)
        numbers, scores = found
        self.assertEqual([[5], [100]], numbers.tolist())
        self.assertEqual([["k5"], ["k100"]], found.keys.tolist())
        self.assertEqual([["s1"], ["s33"]], found.subjects.tolist())
        self.assertEqual([["F"], ["F"]], found.groups.tolist())
        self.assertEqual([(0, 1, 5, "k5", "s1", "F", 1.0), (1, 1, 100, "k100", "s33", "F", 1.0)], found.rows())
        self.assertIn("2 probes", repr(found))

    def test_names_stay_those_of_the_search(self):
        """Also when the gallery has changed since, and others have searched."""
        found = self.gallery.identify(self.rows[:3], k=1)
        self.gallery.delete(self.keys)
        self.gallery.compact()
        self.assertEqual((0, 3), self.gallery.identify(self.rows[:3], k=likeness.ALL).numbers.shape[::-1])
        self.assertEqual([["k0"], ["k1"], ["k2"]], found.keys.tolist())
        other = likeness.Gallery(self.scratch / "faces").identify(self.rows[:1])
        self.assertTrue((other.numbers == likeness.MISSING).all())
        self.assertEqual([], other.rows())

    def test_names_after_the_gallery_is_closed(self):
        read, unread = self.gallery.identify(self.rows[:2], k=1), self.gallery.identify(self.rows[:2], k=1)
        keys = read.keys
        self.gallery.close()
        self.assertIs(keys, read.keys)
        with self.assertRaisesRegex(ValueError, "closed"):
            unread.keys

    def test_short_lists_have_no_names(self):
        found = self.gallery.identify(self.rows[:2], k=3, subjects="s0", threshold=0.9999)
        self.assertEqual([["k0", "", ""], ["k1", "", ""]], found.keys.tolist())
        self.assertEqual(2, len(found.rows()))

    def test_tags_alone_filter(self):
        self.gallery.tag(["k7", "k8", "k9"], tags=6, mask=6)
        self.gallery.tag("k8", tags=0, mask=2)
        self.assertEqual({7, 9, likeness.MISSING}, set(self.gallery.identify(self.rows[0], k=5, tags=6)[0].ravel()))
        self.assertEqual(5, len(self.gallery.identify(self.rows[0], k=5, tags=6, mask=0).rows()))


class ChangeTest(GalleryTest):
    def check_raises(self, error, words, call, *arguments, **options):
        with self.assertRaisesRegex(error, words):
            call(*arguments, **options)

    def test_receipts(self):
        g = self.gallery
        self.assertEqual((0, ROWS, 0, 0), self.first[1:])
        self.assertEqual((2, 1), g.delete(["k1", "k2", "nobody"])[2::2])
        self.assertEqual(3, g.delete(subjects="s5").templates)
        self.assertEqual(ROWS - 5, len(g))
        again = g.enroll(self.rows[:2], ["k0", "k1"], replace=True)
        self.assertEqual((ROWS, 2, 1), again[1:4])
        self.assertEqual(["k1", "k0"], [t.key for t in g.templates()[:-3:-1]])
        versions = g.enroll(self.rows[:1], ["v"], versions=[9]), g.enroll(self.rows[:1], ["v"], versions=[9])
        self.assertEqual([(1, 0), (0, 1)], [receipt[2::2] for receipt in versions])
        self.assertEqual(5 + 1, g.compact())

    def test_refusals(self):
        g = self.gallery
        self.check_raises(likeness.Error, "k3", g.enroll, self.rows[:1], ["k3"])
        with self.assertRaisesRegex(likeness.Error, "k4") as raised:
            g.enroll(self.rows[4:5], ["new"], ["other"], unless_match=0.9)
        self.assertEqual("EEXIST", raised.exception.status)
        self.assertEqual(1, g.enroll(self.rows[4:5], ["new"], ["s1"], unless_match=0.9).templates)
        self.check_raises(TypeError, "one of them", g.delete)
        self.check_raises(TypeError, "one of them", g.delete, ["a"], subjects=["b"])
        self.check_raises(TypeError, "keys must be a sequence", g.tag, None, 1, 1)
        self.check_raises(TypeError, r"expires\[0\] must be an integer", g.enroll, self.rows[:1], expires=["tomorrow"])
        self.check_raises(ValueError, "has no time zone", g.expire, "k0", datetime.datetime(2030, 1, 1))
        self.check_raises(ValueError, r"metadata\[0\] has 257", g.enroll, self.rows[:1], metadata=[b"x" * 257])
        self.check_raises(likeness.Error, "(?i)busy|another|owner|process", likeness.Gallery, g._folder, writable=True)
        reader = likeness.Gallery(self.scratch / "faces")
        for change in lambda: reader.delete("k0"), lambda: reader.enroll(self.rows[:1]), reader.compact:
            self.check_raises(ValueError, "writable=True", change)
        self.assertEqual(ROWS + 1, len(g))

    def test_labels_come_back(self):
        at = datetime.datetime(2090, 1, 1, tzinfo=datetime.timezone.utc)
        labels = dict(groups=["g"], tags=[2**63], versions=[3], expires=[at], metadata=[b"\0\xff"])
        self.gallery.enroll(self.rows[:1], ["new"], ["s"], **labels)
        expires = int(at.timestamp() * 1000)
        self.assertEqual((ROWS, "new", "s", "g", 2**63, 3, expires, b"\0\xff"), self.gallery.templates()[-1])
        self.gallery.expire("new", None)
        self.assertIsNone(self.gallery.templates()[-1].expires)
        self.gallery.expire("new", 1)
        self.assertEqual((), tuple(self.gallery.identify(self.rows[:1], keys="new").rows()))

    def test_more_than_one_part(self):
        many = np.random.default_rng(1).standard_normal((70000, DIM)).astype(np.float32)
        subjects = [f"x{row}" for row in range(len(many))]
        receipt = self.gallery.enroll(many, subjects=subjects)
        self.assertEqual((ROWS, 70000), receipt[1:3])
        at = [0, 27593, 27594, 69999]
        found = self.gallery.identify(many[at], k=1)
        self.assertEqual([[ROWS + row] for row in at], found.numbers.tolist())
        self.assertEqual([[f"x{row}"] for row in at], found.subjects.tolist())
        many[60000, 0] = np.nan
        with self.assertRaisesRegex(likeness.Error, r"after rows 0 \.\. 55187, which were added"):
            self.gallery.enroll(many)
        self.assertEqual(ROWS + 70000 + 55188, len(self.gallery))

    def test_readers_follow(self):
        with likeness.Gallery(self.scratch / "faces") as reader:
            self.assertFalse(reader.refresh())
            self.gallery.delete("k0")
            self.assertEqual(ROWS, len(reader))
            self.assertTrue(reader.refresh())
            self.assertEqual((ROWS - 1, 200), (len(reader), reader.count_subjects()))
            self.assertEqual("k1", reader.templates()[0].key)
            np.testing.assert_array_equal(self.rows[1:], reader.vectors())
            reader.check()
            self.gallery.delete(["k7", "k8", "k300"])
            for gallery in reader, self.gallery:
                gallery.refresh()
                np.testing.assert_array_equal(np.delete(self.rows, [0, 7, 8, 300], axis=0), gallery.vectors())

    def test_in_a_forked_process_nothing_is_changed(self):
        child = os.fork()
        if child == 0:
            try:
                self.gallery.delete("k0")
            except RuntimeError:
                os._exit(0)
            os._exit(1)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        self.assertEqual(1, self.gallery.delete("k0").templates)


class MoveTest(GalleryTest):
    def test_export_and_import(self):
        file, other = self.scratch / "faces.lkg", self.scratch / "other"
        self.gallery.delete("k3")
        self.assertEqual(ROWS - 1, self.gallery.export(file))
        likeness.import_gallery(other, file)
        with likeness.Gallery(other) as copy:
            self.assertEqual(self.gallery.templates(), copy.templates())
            for mine, theirs in zip(self.gallery.identify(self.rows[:9]), copy.identify(self.rows[:9])):
                np.testing.assert_array_equal(mine, theirs)
        with self.assertRaises(likeness.Error):
            self.gallery.export(file)

    def test_arrays(self):
        npy, csv = self.scratch / "v.npy", self.scratch / "l.csv"
        self.assertEqual(ROWS, self.gallery.export_arrays(npy, csv))
        np.testing.assert_array_equal(self.rows, np.load(npy))
        self.assertIn("k0", csv.read_text())

    def test_alias(self):
        likeness.alias(self.scratch / "now", self.scratch / "faces")
        with likeness.Gallery(self.scratch / "now") as gallery:
            self.assertEqual(("faces", ROWS), (gallery.stat()["name"], len(gallery)))

    def test_repr(self):
        self.assertRegex(repr(self.gallery), r"faces': 600 templates of 24, cosine, f32, writable>")
        self.gallery.close()
        self.assertRegex(repr(self.gallery), "closed")
        self.assertRegex(likeness.__version__, r"^\d+\.\d+\.\d+$")


class JudgeTest(GalleryTest):
    def test_dedupe_finds_what_brute_force_finds(self):
        unit = self.rows.astype(np.float64)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        scores = unit @ unit.T
        wanted = {(a, b) for a, b in np.argwhere(scores >= 0.6).tolist() if a < b and a // 3 != b // 3}
        pairs = self.gallery.dedupe(0.6)
        self.assertGreater(len(wanted), 10)
        self.assertEqual(wanted, {(pair.a.number, pair.b.number) for pair in pairs})
        for pair in pairs:
            self.assertAlmostEqual(scores[pair.a.number, pair.b.number], pair.score, 5)
            self.assertEqual((f"k{pair.a.number}", f"s{pair.b.number // 3}"), (pair.a.key, pair.b.subject))
        with self.assertRaises(ValueError):
            self.gallery.dedupe(float("nan"))

    def evaluated(self):
        random = np.random.default_rng(2)
        probes = self.rows[:300] + 0.6 * random.standard_normal((300, DIM), dtype=np.float32)
        subjects = [self.subjects[row] if row % 2 else f"stranger{row}" for row in range(300)]
        return probes, subjects, [self.groups[row] if row % 5 else "" for row in range(300)]

    @unittest.skipUnless("LIKENESS_PROGRAM" in os.environ, "needs LIKENESS_PROGRAM")
    def test_evaluation_is_that_of_the_program(self):
        probes, subjects, groups = self.evaluated()
        np.save(self.scratch / "p.npy", probes)
        lines = [f"{row},{s},{g}" for row, (s, g) in enumerate(zip(subjects, groups))]
        (self.scratch / "p.csv").write_text("\n".join(["row,subject,group", *lines]) + "\n")
        for option in {"fpir": 0.05}, {"fpir": 0.04}, {"threshold": 0.7, "rank": 3}, {"fpir": 0.0}:
            words = [f"--{name}={value}".split("=") for name, value in option.items()]
            command = [os.environ["LIKENESS_PROGRAM"], "evaluate", self.scratch / "faces", self.scratch / "p.npy"]
            command += ["--labels", self.scratch / "p.csv", "--format", "json", *sum(words, [])]
            wanted = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
            mine = self.gallery.evaluate(probes, subjects, groups=groups, **option)
            self.assertEqual(np.float32(wanted["threshold"]), np.float32(mine.threshold))
            self.assertEqual([None, *[of["group"] for of in wanted["groups"]]], [r.group for r in mine.rates()])
            for theirs, (group, fpir, fnir) in zip([wanted["all"], *wanted["groups"]], mine.rates()):
                for name, rate in ("fpir", fpir), ("fnir", fnir):
                    self.assertEqual((theirs[name]["count"], theirs[name]["of"]), (rate.count, rate.of))
                    np.testing.assert_allclose((theirs[name]["low"], theirs[name]["high"]), rate.interval)
                for at in theirs["identified"]:
                    self.assertEqual(at["count"], mine.identified(at["rank"], group).count)
                curve = {np.float32(t): (fp, fn) for t, fp, fn in mine.det(group)}
                for point in theirs["det"]:
                    at = curve[np.float32(point["threshold"])]
                    np.testing.assert_allclose(at, [point["fpir"]["rate"], point["fnir"]["rate"]])

    def test_evaluation_needs_both_kinds(self):
        probes, subjects, _ = self.evaluated()
        for wrong, words in (["x"] * 300, "no probe"), (["s0"] * 300, "every probe"), ([""] * 300, "is empty"):
            with self.assertRaisesRegex(ValueError, words):
                self.gallery.evaluate(probes, wrong)
        with self.assertRaisesRegex(ValueError, "rank is 51; the searches had 50 candidates"):
            self.gallery.evaluate(probes, subjects).identified(51)
        with self.assertRaisesRegex(ValueError, "subjects has 2 elements"):
            self.gallery.evaluate(probes, subjects[:2])


class InterruptTest(unittest.TestCase):
    def test_ctrl_c_ends_a_long_search(self):
        with tempfile.TemporaryDirectory() as scratch:
            script = f"""
import numpy as np, likeness, sys
rows = np.random.default_rng(1).standard_normal((20000, 256), dtype=np.float32)
likeness.create("{scratch}/g", 256)
likeness.enroll("{scratch}/g", rows)
gallery = likeness.Gallery("{scratch}/g", "cpu:portable")
probes = np.tile(rows, (5, 1))
print("begins", flush=True)
try:
    gallery.identify(probes, k=5)
except KeyboardInterrupt:
    print("interrupted", gallery.identify(rows[:1], k=1)[0][0, 0])
"""
            command = [sys.executable, "-B", "-c", script]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                self.assertEqual("begins\n", process.stdout.readline())
                time.sleep(1)
                began = time.monotonic()
                process.send_signal(signal.SIGINT)
                self.assertEqual("interrupted 0\n", process.stdout.read())
            self.assertLess(time.monotonic() - began, 10)


class SharedLockTest(unittest.TestCase):
    def test_who_is_alone_waits_for_those_who_share(self):
        lock, said = SharedLock(), []
        leave = [threading.Event(), threading.Event()]

        def share(until):
            with lock.shared():
                until.wait()
                said.append("left")

        def be_alone():
            with lock.alone():
                said.append("alone")

        threads = [threading.Thread(target=share, args=[event]) for event in leave]
        for thread in threads:
            thread.start()
        while lock._sharing < 2:
            time.sleep(0.001)
        threads.append(threading.Thread(target=be_alone))
        threads[-1].start()
        time.sleep(0.05)
        for event in leave:
            event.set()
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        self.assertEqual(["left", "left", "alone"], said)


class CrowdTest(GalleryTest):
    """LIKENESS_ROUNDS: of all threads together."""

    def test_open_search_fail_close(self):
        rounds = int(os.environ.get("LIKENESS_ROUNDS", "1000"))
        device = likeness.Device("cpu", threads=2)
        self.addCleanup(device.close)
        wanted = self.gallery.identify(self.rows[:4], k=3)
        shared = [likeness.Gallery(self.scratch / "faces", device)]
        errors = []

        def work(thread):
            random = np.random.default_rng(thread)
            try:
                for _ in range(rounds // 8):
                    gallery = likeness.Gallery(self.scratch / "faces", device)
                    found = gallery.identify(self.rows[:4], k=3)
                    np.testing.assert_array_equal(wanted.numbers, found.numbers)
                    with self.assertRaises(likeness.Error):
                        gallery.identify(self.rows[:4, :5])
                    with self.assertRaises(ValueError):
                        gallery.identify(self.rows[:4], k=-1)
                    other = shared[0]
                    try:
                        np.testing.assert_array_equal(wanted.scores, other.identify(self.rows[:4], k=3).scores)
                        self.assertEqual("k5", other.templates()[5].key)
                        other.refresh()
                    except ValueError as error:
                        self.assertEqual("this gallery is closed", str(error))
                    if random.random() < 0.1:
                        shared[0] = likeness.Gallery(self.scratch / "faces", device)
                        other.close()
                    if random.random() < 0.5:
                        gallery.close()
                    self.assertEqual(wanted.keys[0, 0], "k0")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=[thread]) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in errors:
            raise error


if __name__ == "__main__":
    unittest.main()
