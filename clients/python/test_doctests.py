"""The examples of the docstrings and of docs/python.md."""

import doctest
import importlib.util
import pathlib
import pkgutil
import tempfile
import unittest

import likeness


def _begin(test):
    test.scratch_folder = tempfile.TemporaryDirectory()
    scratch = pathlib.Path(test.scratch_folder.name)
    gallery = likeness.Gallery.create(scratch / "faces", dim=3)
    rows = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]
    gallery.enroll(rows, keys=["ada-1", "ada-2", "bo-1", "cy-1"], subjects=["ada", "ada", "bo", "cy"])
    test.globs.update(scratch=scratch, gallery=gallery)


def _end(test):
    test.globs["gallery"].close()
    test.scratch_folder.cleanup()


def load_tests(loader, tests, pattern):
    for module in ["likeness", *(found.name for found in pkgutil.walk_packages(likeness.__path__, "likeness."))]:
        if module == "likeness.liblikeness":
            continue  # no module, though its name ends like one
        if module == "likeness.sklearn" and importlib.util.find_spec("sklearn") is None:
            continue
        found = doctest.DocTestSuite(
            importlib.import_module(module), setUp=_begin, tearDown=_end, optionflags=doctest.ELLIPSIS
        )
        tests.addTests(found)
    page = pathlib.Path(__file__).resolve().parents[2] / "docs" / "python.md"
    if page.exists():
        tests.addTests(doctest.DocFileSuite(str(page), module_relative=False, setUp=_begin, tearDown=_end))
    return tests


if __name__ == "__main__":
    unittest.main()
