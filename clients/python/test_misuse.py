"""Wrong uses of the module: objects closed in any order, threads, numbers that do not fit, arrays and texts of every
kind. Each must give the right answer or an error, never a wrong answer or a crash."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import numpy as np

import likeness

DIM, ROWS, PROBES = 32, 2000, 16
THREADS = 3  # of the device, of which the caller is one


class MisuseTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name) / "gallery"
        random = np.random.default_rng(5)
        self.rows = random.standard_normal((ROWS, DIM), dtype=np.float32)
        self.probes = random.standard_normal((PROBES, DIM), dtype=np.float32)
        likeness.create(self.folder, DIM)
        likeness.enroll(self.folder, self.rows, subjects=[f"s{row // 4}" for row in range(ROWS)])
        self.device = likeness.Device(threads=THREADS)
        self.gallery = likeness.Gallery(self.folder, self.device)
        self.addCleanup(self.device.close)
        self.addCleanup(self.gallery.close)
        self.wanted = self.gallery.identify(self.probes)

    def check(self, found):
        for got, wanted in zip(found, self.wanted):
            np.testing.assert_array_equal(got, wanted)

    def check_library_threads(self, wanted, why=None):
        """How many threads the library has. Those of Python end a little later than join says."""
        until = time.monotonic() + 10
        while (have := len(os.listdir("/proc/self/task")) - threading.active_count()) != wanted:
            self.assertLess(time.monotonic(), until, f"{have} threads, not {wanted}: {why}")

    def check_refused(self, error, words, call, *arguments, **options):
        """The error names what is wrong, and the gallery is as it was."""
        with self.subTest(words=words, arguments=arguments, options=options):
            with self.assertRaisesRegex(error, words):
                call(*arguments, **options)


class ClosingTest(MisuseTest):
    def test_a_device_serves_the_galleries_that_use_it(self):
        other = likeness.Gallery(self.folder, self.device)
        self.device.close()
        self.check(self.gallery.identify(self.probes))
        self.gallery.close()
        self.check(other.identify(self.probes))
        self.check_library_threads(THREADS - 1)
        other.close()
        self.check_library_threads(0, "the last gallery takes the device along")

    def test_what_is_closed_says_so(self):
        for _ in range(2):
            self.device.close()
            self.gallery.close()
        g = self.gallery
        uses = {
            "device": [lambda: self.device.name, lambda: likeness.Gallery(self.folder, self.device)],
            "gallery": [lambda: g.identify(self.probes), lambda: g.verify(self.probes, "s1"), lambda: g.find("1")]
            + [lambda: g.key(0), lambda: g.vector(0), g.stat, g.decision, lambda: len(g)],
        }
        for kind, calls in uses.items():
            for call in calls:
                self.check_refused(ValueError, f"this {kind} is closed", call)

    def test_garbage_goes_in_any_order(self):
        for last in "device", "gallery":
            device = likeness.Device(threads=THREADS)
            ring = {"device": device, "gallery": likeness.Gallery(self.folder, device)}
            ring["gallery"].ring = device.ring = ring
            ring[last] = ring.pop(last)
            del device, ring
            gc.collect()
        self.check_library_threads(THREADS - 1, "only the test's own device is left")

    def test_what_could_not_be_opened_holds_nothing(self):
        self.check_refused(likeness.Error, "no such gallery", likeness.Gallery, self.folder / "none", self.device)
        self.check_refused(likeness.Error, "does not know it", likeness.Device, "abacus")
        self.check_refused(
            TypeError, "device must be a Device, a str or None, not int", likeness.Gallery, self.folder, 1
        )
        self.check_refused(likeness.Error, "does not know it", likeness.Gallery, self.folder, "abacus")
        self.gallery.close()
        self.device.close()
        self.check_library_threads(0)

    def test_opened_again_in_place(self):
        self.gallery.__init__(self.folder, self.device)
        self.check(self.gallery.identify(self.probes))
        self.device.__init__(threads=THREADS)
        self.check(self.gallery.identify(self.probes))
        self.gallery.close()
        self.check_library_threads(THREADS - 1)

    def test_copies_are_refused(self):
        for used in self.device, self.gallery:
            for copied in copy.copy, copy.deepcopy, pickle.dumps:
                self.check_refused(TypeError, "cannot be copied", copied, used)

    def test_a_forked_process_opens_its_own(self):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.gallery.identify(self.probes)
            except RuntimeError:
                self.gallery.close()
                self.device.close()
                with likeness.Device(threads=1) as device, likeness.Gallery(self.folder, device) as gallery:
                    self.check(gallery.identify(self.probes))
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        self.check(self.gallery.identify(self.probes))

    def test_the_end_of_the_interpreter(self):
        begin = f"""
import builtins, threading, likeness, numpy as np
probes = np.ones((200, {DIM}), np.float32)
device = likeness.Device(threads=2)
gallery = likeness.Gallery({str(self.folder)!r}, device)
gallery.identify(probes)
"""
        endings = {
            "globals": "",
            "the other order": "aa, device = device, None",
            "a ring": "gallery.ring = [gallery]; device.ring = [device, gallery]",
            "outlives its module": "builtins.kept = [device, gallery]; del device, gallery",
            "in a with": "gallery.__enter__(), device.__exit__()",
            "a search that runs": "def search():\n  while True: gallery.identify(probes)\n"
            "threading.Thread(target=search, daemon=True).start()",
        }
        for name, ending in endings.items():
            with self.subTest(name):
                ran = subprocess.run([sys.executable, "-B", "-c", begin + ending], capture_output=True, timeout=60)
                self.assertEqual((0, b""), (ran.returncode, ran.stderr))


class ThreadsTest(MisuseTest):
    def run_in_threads(self, *works):
        """Each work in a thread of its own; the first error of any is raised here."""
        errors = []

        def run(work):
            try:
                work()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=[work]) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in errors:
            raise error

    def test_four_threads_on_one_gallery(self):
        verified = self.gallery.verify(self.probes, "s7")
        rounds = range(40)

        def identify(part):
            for _ in rounds:
                numbers, scores = self.gallery.identify(self.probes[part])
                np.testing.assert_array_equal(numbers, self.wanted[0][part])
                np.testing.assert_array_equal(scores, self.wanted[1][part])
                self.assertEqual({"policy": "none"}, self.gallery.decision())

        def verify():
            for _ in rounds:
                for got, wanted in zip(self.gallery.verify(self.probes, "s7"), verified):
                    np.testing.assert_array_equal(got, wanted)
                self.assertEqual((ROWS, 9, "9"), (len(self.gallery), self.gallery.find("9"), self.gallery.key(9)))

        def enroll():
            for _ in range(8):
                likeness.enroll(self.folder, self.rows[:3])

        self.run_in_threads(lambda: identify(slice(0, 3)), lambda: identify(slice(3, PROBES)), verify, enroll)
        with likeness.Gallery(self.folder) as grown:
            self.assertEqual(ROWS + 24, len(grown))

    def test_four_threads_enroll(self):
        """All rows of a call or none: whoever comes second gets EBUSY."""
        added = []

        def enroll():
            for _ in range(6):
                try:
                    added.append(likeness.enroll(self.folder, self.rows[:5]))
                except likeness.Error as error:
                    self.assertEqual("EBUSY", error.status)

        self.run_in_threads(*[enroll] * 4)
        with likeness.Gallery(self.folder) as grown:
            self.assertEqual(ROWS + 5 * len(added), len(grown))
            self.assertEqual(sorted(set(added)), list(range(ROWS, len(grown), 5)))

    def test_each_thread_has_its_last_search(self):
        mine = self.gallery.last_search
        seen = []
        self.run_in_threads(
            lambda: seen.append((self.gallery.last_search, self.gallery.decision())),
            lambda: seen.append(self.gallery.identify(self.probes[:1])),
        )
        self.assertIn(({}, {}), seen)
        self.assertEqual(mine, self.gallery.last_search)

    def test_closing_while_others_search(self):
        for closed in "gallery", "device":
            device = likeness.Device(threads=THREADS)
            gallery = likeness.Gallery(self.folder, device)
            started = threading.Barrier(4)

            def search():
                started.wait()
                try:
                    for _ in range(60):
                        self.check(gallery.identify(self.probes))
                except ValueError as error:
                    self.assertEqual("this gallery is closed", str(error))

            def close():
                started.wait()
                {"gallery": gallery, "device": device}[closed].close()

            self.run_in_threads(search, search, search, close)
            gallery.close()
            device.close()
            self.check_library_threads(THREADS - 1)

    def test_closing_twice_at_once(self):
        for _ in range(50):
            gallery = likeness.Gallery(self.folder, self.device)
            self.run_in_threads(*[gallery.close] * 4)
        self.check(self.gallery.identify(self.probes))


class NumbersTest(MisuseTest):
    not_integers = (1.0, 1.5, np.float64(2), True, np.True_, "1", None, [1], np.array([1, 2]), 1j)

    def check_integer(self, name, call, least, most):
        for value in self.not_integers:
            self.check_refused(TypeError, f"{name} must be an integer", call, value)
        for value in least - 1, most + 1, 2**32 + 4, 2**64, 2**64 + 1, -(2**63) - 1, 10**100:
            if not least <= value <= most:
                self.check_refused(ValueError, f"{name} is .*outside {least} .. {most}", call, value)

    def test_integers(self):
        g, p = self.gallery, self.probes
        other = self.folder.parent / "other"
        self.check_integer("k", lambda v: g.identify(p, k=v), 1, likeness.K_MAX)
        self.check_integer("tags", lambda v: g.identify(p, tags=v), 0, 2**64 - 1)
        self.check_integer("mask", lambda v: g.identify(p, mask=1.5 if v is None else v), 0, 2**64 - 1)
        self.check_integer("dim", lambda v: likeness.create(other, v), 1, likeness.DIM_MAX)
        self.check_integer("threads", lambda v: likeness.Device(threads=v), 0, 4096)
        row = self.rows[:1]
        self.check_integer(r"tags\[0\]", lambda v: likeness.enroll(self.folder, row, tags=[v]), 0, 2**64 - 1)
        pending = lambda v: g.identify(p, claims=likeness.Claims(pending_since=v))
        self.check_integer("pending_since", pending, 0, 2**63 - 1)
        self.assertFalse(other.exists())
        with likeness.Gallery(self.folder) as after:
            self.assertEqual(ROWS, len(after))

    def test_positions(self):
        for use in self.gallery.key, self.gallery.vector:
            for value in self.not_integers:
                self.check_refused(TypeError, "position must be an integer", use, value)
            for value in (-1, likeness.MISSING, ROWS, 2**32, 2**64):
                self.check_refused(IndexError, "position is .* outside 0 .. 1999", use, value)
        self.assertEqual("3", self.gallery.key(np.uint8(3)))

    def test_integers_of_numpy(self):
        self.check(self.gallery.identify(self.probes, k=np.int16(10), tags=np.uint64(0), mask=np.int8(0)))
        first = likeness.enroll(self.folder, self.rows[:2], tags=np.array([2**64 - 1, 2**63], np.uint64))
        self.assertEqual(ROWS, first)
        with likeness.Gallery(self.folder, self.device) as gallery:
            everything = 2**64 - 1
            numbers, _ = gallery.identify(self.probes, k=1, tags=everything, mask=everything)
            self.assertTrue((numbers == ROWS).all())
            numbers, _ = gallery.identify(self.probes, k=2, threshold=-2, tags=2**63, mask=2**63)
            self.assertEqual({ROWS, ROWS + 1}, set(numbers.ravel()))
            numbers, _ = gallery.identify(self.probes, k=np.uint32(likeness.ALL), threshold=2)
            self.assertEqual((PROBES, 0), numbers.shape)

    def test_thresholds(self):
        identify = self.gallery.identify
        for value in ("0.5", None, True, 1j, [0.5], np.array([0.5])):
            self.check_refused(TypeError, "threshold must be a number", identify, self.probes, threshold=value)
        for value in (np.nan, np.float32(np.nan)):
            self.check_refused(ValueError, "threshold is NaN", identify, self.probes, threshold=value)
        self.check_refused(ValueError, "threshold is beyond", identify, self.probes, threshold=10**400)
        for lowest in (-np.inf, -(10**300), np.float16(-2), -1):
            self.check(identify(self.probes, threshold=lowest))
        for highest in (np.inf, 1e300, 2):
            self.assertTrue((identify(self.probes, threshold=highest)[0] == likeness.MISSING).all())

    def test_choices(self):
        for value in (1, 0, "yes", None):
            self.check_refused(TypeError, "by_subject", self.gallery.identify, self.probes, by_subject=value)
        self.check_refused(ValueError, "none, max, mean", self.gallery.identify, self.probes, fusion="min")
        self.check_refused(TypeError, "fusion", self.gallery.identify, self.probes, fusion=1)
        self.check_refused(ValueError, "cosine, ip, l2", likeness.create, self.folder / "x", 4, metric="l1")
        self.check_refused(ValueError, "f32, f16", likeness.create, self.folder / "x", 4, store="f64")


class ArraysTest(MisuseTest):
    def test_elements(self):
        wrong = [bool, complex, object, np.longdouble, ">f4", ">i4", "U3", "M8[s]"]
        for element in wrong:
            self.check_refused(TypeError, "probes must have", self.gallery.identify, np.ones((1, DIM)).astype(element))
            self.check_refused(
                TypeError, "vectors must have", likeness.enroll, self.folder, np.zeros((1, DIM), element)
            )
        masked = np.ma.masked_array(self.probes, self.probes > 1)
        self.check_refused(TypeError, "probes must be a plain array", self.gallery.identify, masked)
        self.check_refused((TypeError, ValueError), "probes must", self.gallery.identify, [[1.0, 2.0], [3.0]])
        self.check_refused(TypeError, "probes must", self.gallery.identify, None)
        self.check(self.gallery.identify(self.probes.tolist()))

    def test_shapes(self):
        self.check_refused(ValueError, "probes must be rows x dim", self.gallery.identify, self.probes[None])
        wide = np.broadcast_to(np.uint8(1), (1, 2**32 + DIM))
        self.check_refused(ValueError, "dimension of probes is 4294967328", self.gallery.identify, wide)
        for dim in 0, DIM - 1, DIM + 1, 5000:
            self.check_refused(likeness.Error, "dimension", self.gallery.identify, np.ones((2, dim)))
        self.check_refused(likeness.Error, "dimension", self.gallery.identify, np.float32(1))
        for none in np.ones((0, DIM)), np.ones((0, DIM), np.uint8):
            self.assertEqual((0, 10), self.gallery.identify(none)[0].shape)
            self.assertEqual((0,), self.gallery.verify(none, "s1")[0].shape)
            self.check_refused(likeness.Error, "no rows", likeness.enroll, self.folder, none)

    def test_layouts(self):
        doubled = np.repeat(np.repeat(self.probes, 2, axis=0), 2, axis=1)
        layouts = {
            "every other": doubled[::2, ::2],
            "backwards": self.probes[::-1][::-1],
            "columns backwards": np.ascontiguousarray(self.probes[:, ::-1])[:, ::-1],
            "transposed": np.ascontiguousarray(self.probes.T).T,
            "not aligned": np.frombuffer(b"x" + self.probes.tobytes(), np.uint8)[1:].view("<f4").reshape(PROBES, DIM),
            "read only": np.frombuffer(self.probes.tobytes(), "<f4").reshape(PROBES, DIM),
            "overlapping": np.lib.stride_tricks.as_strided(self.probes, (PROBES, DIM), self.probes.strides),
        }
        for name, probes in layouts.items():
            with self.subTest(name):
                self.check(self.gallery.identify(probes))
        same = np.broadcast_to(self.probes[0], (PROBES, DIM))
        np.testing.assert_array_equal(self.gallery.identify(same)[0], [self.wanted[0][0]] * PROBES)
        window = np.lib.stride_tricks.sliding_window_view(np.concatenate([self.probes[0], self.probes[1]]), DIM)
        np.testing.assert_array_equal(self.gallery.identify(window)[0][[0, DIM]], self.wanted[0][:2])


class TextsTest(MisuseTest):
    def test_lists(self):
        identify, p = self.gallery.identify, self.probes
        for name in "keys", "subjects":
            for value in (b"s1", 5):
                self.check_refused(TypeError, f"{name} must be a sequence", identify, p, **{name: value})
            for value in ([1], [None], [b"s1"], ["s1", 2], np.array([1, 2])):
                self.check_refused(TypeError, rf"{name}\[\d\] must be a str", identify, p, **{name: value})
            self.check_refused(ValueError, rf"{name}\[1\] has 256 bytes", identify, p, **{name: ["s1", "é" * 128]})
            self.check_refused(ValueError, rf"{name}\[0\] .* surrogate", identify, p, **{name: ["\udc41"]})
        wanted = identify(p, subjects=["s1", "s9"])
        np.testing.assert_array_equal(identify(p, subjects="s1")[0], identify(p, subjects=["s1"])[0])
        for same in (("s9", "s1"), {"s1", "s9"}, np.array(["s1", "s9"]), (s for s in ["s1", "s9", "s1\0"])):
            np.testing.assert_array_equal(identify(p, subjects=same)[0], wanted[0])

    def test_columns(self):
        enroll, rows = likeness.enroll, self.rows[:2]
        for name in "keys", "subjects", "tags":
            for value in ("ab", b"ab", 2, {"a", "b"}, {"a": 1, "b": 2}):
                self.check_refused(TypeError, f"{name} must be a sequence", enroll, self.folder, rows, **{name: value})
            self.check_refused(
                ValueError, f"{name} has 3 elements for 2", enroll, self.folder, rows, **{name: [1, 2, 3]}
            )
        self.check_refused(TypeError, r"keys\[1\] must be a str", enroll, self.folder, rows, keys=["a", 5])
        self.check_refused(ValueError, r"subjects\[0\] has 256", enroll, self.folder, rows, subjects=["x" * 256, ""])
        self.check_refused(ValueError, r"keys\[1\] .* surrogate", enroll, self.folder, rows, keys=["a", "\ud800"])
        self.check_refused(
            likeness.Error, "row 1: its key has a control", enroll, self.folder, rows, keys=["a", "a\0b"]
        )
        with likeness.Gallery(self.folder) as after:
            self.assertEqual(ROWS, len(after))
        self.assertEqual(ROWS, enroll(self.folder, rows, keys=["x" * 255, "y"], tags=[0, 1]))

    def test_a_nul_ends_no_text(self):
        parent = self.folder.parent
        self.check_refused(ValueError, "folder .* NUL", likeness.Gallery, f"{self.folder}\0x")
        self.check_refused(ValueError, "folder .* NUL", likeness.enroll, f"{self.folder}\0x", self.rows)
        self.check_refused(ValueError, "folder .* NUL", likeness.create, parent / "n\0x", DIM)
        self.check_refused(ValueError, "model .* NUL", likeness.create, parent / "n", DIM, model="m\0x")
        self.check_refused(ValueError, "name .* NUL", likeness.Device, "cpu\0x")
        self.check_refused(ValueError, "policy .* NUL", likeness.bind, self.folder, "p\0x")
        self.check_refused(likeness.Error, "no key", self.gallery.find, "1\0x")
        self.check_refused(likeness.Error, "no subject", self.gallery.verify, self.probes, "s1\0x")
        self.assertFalse((parent / "n").exists())

    def test_other_texts(self):
        g, claims = self.gallery, likeness.Claims
        for value in (1, None, b"s1"):
            self.check_refused(TypeError, "subject must be a str", g.verify, self.probes, value)
            self.check_refused(TypeError, "key must be a str", g.find, value)
            self.check_refused(TypeError, "model must be a str", g.identify, self.probes, model=value)
            self.check_refused(TypeError, "actor must be a str", g.identify, self.probes, claims=claims(actor=value))
        self.check_refused(ValueError, "key is .* surrogate", g.find, "\ud800")
        self.check_refused(ValueError, "subject has 300 bytes", g.verify, self.probes, "s" * 300)
        self.check_refused(TypeError, "claims must be Claims", g.identify, self.probes, claims="me")
        self.check_refused(TypeError, "folder must be a path", likeness.Gallery, 5)
        self.check_refused(TypeError, "name must be a str", likeness.Device, 5)
        self.check_refused(ValueError, "folder .* surrogate", likeness.Gallery, "\ud800")
        self.check_refused(likeness.Error, "no subject", g.verify, self.probes, "")


if __name__ == "__main__":
    unittest.main()
