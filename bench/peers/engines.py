"""The engines side by side: each is built from rows of unit length and returns the numbers of the k rows of largest
inner product for each probe."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import faiss
import hnswlib
import numpy as np
import usearch.index
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

import likeness

from .data import CHUNK_ROWS, Data


class Engine:
    name: str
    is_exact = True
    filters = False  # whether `search` takes the name of a filter

    def __init__(self, data: Data, threads: int):
        raise NotImplementedError

    def search(self, probes: np.ndarray, k: int, filter_name: str | None = None) -> np.ndarray:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Likeness(Engine):
    name, filters = "Likeness", True

    def __init__(self, data: Data, threads: int, device: str, folder: Path | None = None):
        self.scratch = Path(tempfile.mkdtemp(prefix="bench-peers-", dir=folder))
        gallery = self.scratch / "gallery"
        bits = {name: 1 << bit for bit, name in enumerate(data.passes)}
        self.masks = bits
        likeness.create(gallery, data.rows.shape[1])
        likeness.enroll(gallery, data.rows, tags=sum(data.passes[name] * bits[name] for name in bits))
        self.device = likeness.Device(device, threads)
        self.gallery = likeness.Gallery(gallery, self.device)

    def search(self, probes, k, filter_name=None):
        mask = self.masks.get(filter_name, 0)
        return self.gallery.identify(probes, k, tags=mask, mask=mask)[0]

    def close(self):
        self.gallery.close()
        self.device.close()
        shutil.rmtree(self.scratch)


class Faiss(Engine):
    """Settings that were measured to be its best on two AVX2 cores: without them 1.15 takes no BLAS for batches of less
    than 250 probes at 512 dimensions, and is 5 to 8 times slower at 32 and 64."""

    blas_threshold, blas_rows = 1, 4096

    def build(self, data: Data, threads: int, index) -> None:
        faiss.omp_set_num_threads(threads)
        self.threads, self.index = threads, index
        if not index.is_trained:
            index.train(data.rows[:: max(1, len(data.rows) // 50_000)])
        index.add(data.rows)
        self.bitmaps = {name: np.packbits(passing, bitorder="little") for name, passing in data.passes.items()}
        self.rows = len(data.rows)

    def parameters(self, filter_name: str | None):
        if filter_name is None:
            return None
        return faiss.SearchParameters(sel=faiss.IDSelectorBitmap(self.rows, faiss.swig_ptr(self.bitmaps[filter_name])))

    def search(self, probes, k, filter_name=None):
        faiss.omp_set_num_threads(self.threads)
        faiss.cvar.distance_compute_blas_threshold = self.blas_threshold
        faiss.cvar.distance_compute_blas_database_bs = self.blas_rows
        return self.index.search(probes, k, params=self.parameters(filter_name))[1]


class FaissFlatIP(Faiss):
    name, filters = "FAISS IndexFlatIP", True

    def __init__(self, data, threads):
        self.build(data, threads, faiss.IndexFlatIP(data.rows.shape[1]))


class FaissFlatIPAsItComes(FaissFlatIP):
    name, filters, blas_threshold, blas_rows = "FAISS IndexFlatIP, as it comes", False, 128_000, 1024


class FaissFlatL2(Faiss):
    name, filters = "FAISS IndexFlatL2", True

    def __init__(self, data, threads):
        self.build(data, threads, faiss.IndexFlatL2(data.rows.shape[1]))


class FaissHNSW(Faiss):
    name, is_exact = "FAISS HNSW", False

    def __init__(self, data, threads):
        index = faiss.IndexHNSWFlat(data.rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = 80, 128
        self.build(data, threads, index)


class FaissIVF(Faiss):
    name, is_exact = "FAISS IVF", False

    def __init__(self, data, threads):
        dim, lists = data.rows.shape[1], int(4 * len(data.rows) ** 0.5)
        self.quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFFlat(self.quantizer, dim, min(lists, len(data.rows) // 40), faiss.METRIC_INNER_PRODUCT)
        index.nprobe = 64
        self.build(data, threads, index)


class Usearch(Engine):
    name = "usearch exact"

    def __init__(self, data, threads):
        self.rows, self.threads = data.rows, threads

    def search(self, probes, k, filter_name=None):
        found = usearch.index.search(
            self.rows, probes, k, usearch.index.MetricKind.IP, exact=True, threads=self.threads
        )
        return found.keys.astype(np.int64).reshape(len(probes), -1)


class Numpy(Engine):
    """In chunks: the scores of a large batch with all rows would not fit the memory."""

    name = "NumPy matmul + argpartition"

    def __init__(self, data, threads):
        self.rows, self.threads = data.rows, threads

    def search(self, probes, k, filter_name=None):
        with threadpool_limits(self.threads):
            parts = [self.search_chunk(probes, k, first) for first in range(0, len(self.rows), CHUNK_ROWS)]
        scores, numbers = (np.hstack(part) for part in zip(*parts))
        order = np.argsort(-scores, axis=1)[:, :k]
        return np.take_along_axis(numbers, order, axis=1)

    def search_chunk(self, probes, k, first):
        scores = probes @ self.rows[first : first + CHUNK_ROWS].T
        best = np.argpartition(-scores, min(k, scores.shape[1] - 1), axis=1)[:, :k]
        return np.take_along_axis(scores, best, axis=1), best + first


class ScikitLearn(Engine):
    name = "scikit-learn brute"

    def __init__(self, data, threads):
        self.threads = threads
        self.index = NearestNeighbors(algorithm="brute", metric="euclidean", n_jobs=threads).fit(data.rows)

    def search(self, probes, k, filter_name=None):
        with threadpool_limits(self.threads):
            return self.index.kneighbors(probes, k, return_distance=False)


class Hnswlib(Engine):
    name, is_exact = "hnswlib", False

    def __init__(self, data, threads):
        self.index = hnswlib.Index("ip", data.rows.shape[1])
        self.index.init_index(len(data.rows), ef_construction=80, M=32)
        self.index.set_num_threads(threads)
        self.index.add_items(data.rows)

    def search(self, probes, k, filter_name=None):
        self.index.set_ef(max(128, k))
        return self.index.knn_query(probes, k)[0].astype(np.int64)


PEERS = {
    "flat": FaissFlatIP,
    "flat0": FaissFlatIPAsItComes,
    "flatl2": FaissFlatL2,
    "numpy": Numpy,
    "usearch": Usearch,
    "sklearn": ScikitLearn,
    "hnsw": FaissHNSW,
    "ivf": FaissIVF,
    "hnswlib": Hnswlib,
}
