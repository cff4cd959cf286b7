"""Exact 1:N search over galleries of embeddings: NumPy arrays in and out.

>>> import likeness
>>> with likeness.Gallery.create(scratch / "people", dim=3) as people:
...     receipt = people.enroll([[1, 0, 0], [0, 1, 0]], keys=["ada-1", "bo-1"], subjects=["ada", "bo"])
...     found = people.identify([[0.9, 0.1, 0]], k=1)
...     found.subjects
array([['ada']], dtype=object)

Vectors are arrays of rows x dim, of floats or integers. They are not copied, unless the elements of a row are not
contiguous. The library is the one that pip installed in this package, $LIKENESS_LIBRARY, or the one that the system
finds.

Errors: a failed call raises Error with the library's text. An argument of a wrong type raises TypeError, one that is
out of range ValueError, before the library is called; both name the argument. What is closed raises ValueError.

Threads: any threads may use any object at once, and search without the interpreter's lock. Objects may be closed in any
order, at any time, twice. A process that was forked off must open its own. Ctrl-C ends a search at once.

`likeness.faiss` has the classes of FAISS' flat indexes, `likeness.sklearn` an estimator for scikit-learn.
"""

from ._arguments import ALL, DIM_MAX, FUSIONS, K_MAX, METRICS, STORES, Claims
from ._change import Receipt
from ._device import Device
from ._evaluation import Evaluation, Rate
from ._folder import alias, bind, create, enroll, import_gallery
from ._found import MISSING, Candidate, Candidates, Pair, Template
from ._gallery import Gallery
from ._library import Error, version

__version__ = version

__all__ = [
    *("ALL", "DIM_MAX", "FUSIONS", "K_MAX", "METRICS", "MISSING", "STORES"),
    *("Candidate", "Candidates", "Claims", "Device", "Error", "Evaluation", "Gallery", "Pair", "Rate", "Receipt"),
    *("Template", "alias", "bind", "create", "enroll", "import_gallery"),
]
