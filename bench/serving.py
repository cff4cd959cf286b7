"""A worker to measure: a gallery of random vectors and a Redis of its own."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np

LIKENESS = "build/release/engine/likeness"


def write_vectors(path: Path, rows: int, dim: int, seed: int) -> None:
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dim))
    random = np.random.default_rng(seed)
    for first in range(0, rows, 65536):
        part = vectors[first : first + 65536]
        part[:] = random.standard_normal(part.shape, np.float32)


def make_gallery(folder: Path, rows: int, dim: int) -> Path:
    gallery, vectors = folder / "faces", folder / "rows.npy"
    write_vectors(vectors, rows, dim, seed=1)
    subprocess.run([LIKENESS, "create", gallery, "--dim", str(dim)], check=True)
    subprocess.run([LIKENESS, "enroll", gallery, vectors], check=True, stdout=subprocess.DEVNULL)
    vectors.unlink()
    return gallery


class Serving:
    """A Redis and a worker, until closed."""

    def __init__(self, folder: Path, name: str, gallery: Path, options: list):
        socket = folder / f"{name}.sock"
        self.url = f"unix:{socket}"
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        while not socket.exists():
            time.sleep(0.01)
        self.log = open(folder / f"{name}.log", "w+")
        self.worker = subprocess.Popen([LIKENESS, "serve", gallery, "--redis", self.url, *options], stderr=self.log)

    def submit(self, probes: Path, job_probes: int, options: list) -> float:
        """Seconds until all probes had their candidates."""
        start = time.monotonic()
        subprocess.run(
            [LIKENESS, "submit", probes, "--redis", self.url, "--gallery", "faces", "--format", "csv"]
            + ["--job-probes", str(job_probes), "--timeout", "120", *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.monotonic() - start

    def close(self) -> None:
        for process in (self.worker, self.redis):
            process.terminate()
            process.wait()
