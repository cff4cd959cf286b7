"""What a job costs on its way through the queue, in processor time: the client's, Redis' and the worker's. The gallery
is small, so that the search is a small part; it is told apart by a search of the same probes without a queue.

    scripts/bench-queue [--rows 256] [--dim 512] [--jobs 20000] [--turns 5]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

from serving import LIKENESS, Serving, cpu_seconds, make_gallery, write_vectors


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def search_seconds(gallery: Path, probes: Path) -> float:
    """Processor time of the same searches in one process."""
    before = children_seconds()
    subprocess.run([LIKENESS, "identify", gallery, probes, "--format", "csv"], check=True, stdout=subprocess.DEVNULL)
    return children_seconds() - before


def measure(serving: Serving, gallery: Path, probes: Path, jobs: int, job_probes: int, turns: int) -> None:
    rows = []
    serving.submit(probes, job_probes, [])  # warm
    for _ in range(turns):
        redis, worker, client = cpu_seconds(serving.redis.pid), cpu_seconds(serving.worker.pid), children_seconds()
        wall = serving.submit(probes, job_probes, [])
        client = children_seconds() - client
        redis, worker = cpu_seconds(serving.redis.pid) - redis, cpu_seconds(serving.worker.pid) - worker
        rows.append((wall, client, redis, worker, search_seconds(gallery, probes)))
    wall, client, redis, worker, search = (statistics.median(column) for column in zip(*rows))
    print(
        f"{job_probes:9} {jobs / wall:8.0f} {jobs * job_probes / wall:9.0f}"
        + "".join(f" {seconds / jobs * 1e6:8.1f}" for seconds in (client, redis, worker, search))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"rows": 256, "dim": 512, "jobs": 20000, "turns": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as name:
        folder = Path(name)
        gallery, probes = make_gallery(folder, options.rows, options.dim), folder / "probes.npy"
        serving = Serving(folder, "redis", gallery, [])
        print("                              processor time a job, us (medians)")
        print("probes/job   jobs/s  probes/s   client    redis   worker   (search alone)")
        try:
            for job_probes, jobs in ((1, options.jobs), (64, options.jobs // 20)):
                write_vectors(probes, jobs * job_probes, options.dim, seed=2)
                measure(serving, gallery, probes, jobs, job_probes, options.turns)
        finally:
            serving.close()


if __name__ == "__main__":
    main()
