"""Likeness beside what people would use instead: same rows, same probes, same threads, in turns.

    scripts/bench-peers run RESULT.json [--rows 100000] [--dim 512] [--data random|faces|FILE.npy] [--peers flat,...]
    scripts/bench-peers report bench/results/NAME RESULT.json...      writes NAME.md and NAME-1.svg, ...

One peer at a time is in memory beside Likeness."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from peers.data import FILTERS, JUDGED_PROBES, Data, Truth, make_faces, make_random, read_file
from peers.engines import PEERS, Engine, Likeness
from peers.measure import Duel, Times, read_load, run_duel
from peers.report import write_report

PACKAGES = ["faiss-cpu", "usearch", "hnswlib", "scikit-learn", "numpy"]
FILTERED_K = 10
BLAS_SETTINGS = ["OPENBLAS_CORETYPE", "MKL_ENABLE_INSTRUCTIONS", "FAISS_OPT_LEVEL"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("result", type=Path)
    run.add_argument("--rows", type=int, default=100_000)
    run.add_argument("--dim", type=int, default=512)
    run.add_argument("--data", default="random")
    run.add_argument("--peers", type=parse_names(PEERS), default=list(PEERS))
    run.add_argument("--batches", type=parse_numbers, default=[1, 32, 256, 1024])
    run.add_argument("--k", type=parse_numbers, default=[10])
    run.add_argument("--filters", type=parse_names(FILTERS), default=[])
    run.add_argument("--threads", type=int, default=2)
    run.add_argument("--device", default="cpu", help="of Likeness; with cpu:avx2 give the peers' BLAS that much too")
    run.add_argument("--turns", type=int, default=3, help="of each duel, at least")
    run.add_argument("--seconds", type=float, default=5, help="for each duel, where its turns are short")
    run.add_argument("--scratch", type=Path, help="where the gallery is made")
    report = commands.add_parser("report")
    report.add_argument("out", type=Path)
    report.add_argument("results", type=Path, nargs="+")
    return parser.parse_args()


def parse_numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def parse_names(known):
    def names(text: str) -> list[str]:
        chosen = list(known) if text == "all" else text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return chosen

    return names


def make_data(options: argparse.Namespace) -> Data:
    if options.data in ("random", "faces"):
        make = make_random if options.data == "random" else make_faces
        return make(options.rows, options.dim, max(options.batches))
    return read_file(Path(options.data))


def read_machine() -> str:
    models = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{len(models)} cores of {models[0]}, {platform.system()} {platform.release()}"


def read_commit() -> str:
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return commit.stdout.strip()


def describe_times(times: Times) -> dict:
    return asdict(times) | {"threads": times.threads}


def describe_duel(duel: Duel) -> dict:
    ratios = {"wall": duel.wall, "processor": duel.processor}
    return {"ours": describe_times(duel.ours), "theirs": describe_times(duel.theirs)} | ratios


class Bench:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.data = make_data(options)
        self.truths: dict[tuple[int, str | None], Truth] = {}
        self.ours = Likeness(self.data, options.threads, options.device, options.scratch)

    def truth(self, k: int, filter_name: str | None) -> Truth:
        if (k, filter_name) not in self.truths:
            self.truths[k, filter_name] = Truth(self.data, k, filter_name and self.data.passes[filter_name])
        return self.truths[k, filter_name]

    def judge(self, engine: Engine, k: int, filter_name: str | None) -> tuple[float, float]:
        return self.truth(k, filter_name).judge(engine.search(self.data.batch(JUDGED_PROBES), k, filter_name))

    def measure(self, peer: Engine, batch: int, k: int, filter_name: str | None) -> dict:
        probes, load = self.data.batch(batch), read_load()
        duel = run_duel(
            lambda: self.ours.search(probes, k, filter_name),
            lambda: peer.search(probes, k, filter_name),
            self.options.turns,
            self.options.seconds,
        )
        measured = {"peer": peer.name, "filter": filter_name, "batch": batch, "k": k} | describe_duel(duel)
        measured |= {"load": [load, read_load()], "found": self.judge(peer, k, filter_name)}
        print(
            f"{peer.name:28} {filter_name or '':12} batch {batch:4} k {k:3}  {duel.ours.wall_s * 1e3:9.2f} ms "
            f"{duel.theirs.wall_s * 1e3:9.2f} ms  {duel.wall:6.2f} x  {duel.processor:6.2f} x of processor time  "
            f"found {measured['found'][0]:.4f}  load {load}",
            flush=True,
        )
        return measured

    def run_peer(self, name: str) -> list[dict]:
        begin = time.perf_counter()
        peer = PEERS[name](self.data, self.options.threads)
        print(f"{peer.name}: built in {time.perf_counter() - begin:.1f} s", flush=True)
        searches = [(batch, k, None) for k in self.options.k for batch in self.options.batches]
        if peer.filters:
            searches += [(batch, FILTERED_K, name) for name in self.options.filters for batch in self.options.batches]
        measurements = [self.measure(peer, *search) for search in searches]
        peer.close()
        return measurements

    def run(self) -> dict:
        options, rows = self.options, self.data.rows
        return {
            "command": " ".join(["scripts/bench-peers", *sys.argv[1:]]),
            "machine": read_machine(),
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": read_commit(),
            "versions": {package: version(package) for package in PACKAGES},
            "threads": options.threads,
            "device": self.ours.device.name,
            "environment": {name: os.environ[name] for name in BLAS_SETTINGS if name in os.environ},
            "data": self.data.name,
            "rows": len(rows),
            "dim": rows.shape[1],
            "judged": min(JUDGED_PROBES, len(self.data.probes)),
            "found": self.judge(self.ours, max(options.k), None),
            "measurements": [measured for name in options.peers for measured in self.run_peer(name)],
        }

    def close(self) -> None:
        self.ours.close()


def main() -> None:
    options = parse()
    if options.command == "report":
        write_report([json.loads(path.read_text()) for path in options.results], options.out)
        return
    bench = Bench(options)
    result = bench.run()
    bench.close()
    options.result.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
