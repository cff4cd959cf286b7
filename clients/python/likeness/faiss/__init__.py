"""The flat indexes of FAISS, by its names: change the import, and the code runs.

>>> from likeness import faiss
>>> index = faiss.IndexFlatL2(3)
>>> index.add([[1, 0, 0], [0, 1, 0], [0, 0, 2]])
>>> D, I = index.search([[1, 0, 0]], 2)
>>> I, D
(array([[0, 1]]), array([[0., 2.]], dtype=float32))

The same results as FAISS, with these differences. Distances are exact, rounded once to a float32; those of FAISS differ
from them in the last bits, and with them the order of near ties. Equal distances come in the order of their positions.
Vectors must be finite, none may be longer than 2^40 or, unless it is zero, shorter than 2^-40, and have 4096 dimensions
at most. The metrics are METRIC_INNER_PRODUCT and METRIC_L2. There is nothing to train, and no GPU. Errors are of the
types that FAISS raises.

An index keeps its vectors in memory, and a gallery of them in a temporary folder, from its first search on.
"""

from ._file import deserialize_index, read_index, serialize_index, write_index
from ._flat import Index, IndexFlat, IndexFlatIP, IndexFlatL2, MetricType, SearchParameters
from ._flat import METRIC_INNER_PRODUCT, METRIC_L2, knn, normalize_L2
from ._id_map import IndexIDMap, IndexIDMap2, index_factory, vector_to_array
from ._selector import IDSelector, IDSelectorAll, IDSelectorAnd, IDSelectorArray, IDSelectorBatch, IDSelectorBitmap
from ._selector import IDSelectorNot, IDSelectorOr, IDSelectorRange, IDSelectorXOr

__all__ = [
    *("IDSelector", "IDSelectorAll", "IDSelectorAnd", "IDSelectorArray", "IDSelectorBatch", "IDSelectorBitmap"),
    *("IDSelectorNot", "IDSelectorOr", "IDSelectorRange", "IDSelectorXOr"),
    *("Index", "IndexFlat", "IndexFlatIP", "IndexFlatL2", "IndexIDMap", "IndexIDMap2"),
    *("METRIC_INNER_PRODUCT", "METRIC_L2", "MetricType", "SearchParameters"),
    *("deserialize_index", "index_factory", "knn", "normalize_L2", "read_index", "serialize_index", "vector_to_array"),
    *("write_index",),
]
