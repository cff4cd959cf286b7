"""Two builds side by side: searches (bench_scan) and loading, in turns.

    bench/bench_builds.py OLD NEW [TURNS]    folders of two release builds; scripts/bench-quick COMMIT makes them

Each turn runs both builds, now the one first, now the other, and gives one ratio: the new time to the old. What else the
machine does slows both. The interval lies between two of the sorted ratios: of 21 the 6th and the 16th enclose the
median with 97 % certainty, however ratios are distributed (the sign test). Each build enrolls a gallery of its own, so
that a new format of segments is loaded beside the old one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from math import comb
from pathlib import Path
from statistics import median

ROWS, DIM, BATCHES = 100_000, 512, "1,32,256"

# In a process of its own, so that no load inherits the memory of another. Prints seconds.
LOAD = """
import ctypes, sys, time
library, device, gallery = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p(), ctypes.c_void_p()
def call(name, *arguments):
    if getattr(library, name)(*arguments, None) != 0:
        sys.exit(name + " failed")
call("lk_device_open", b"cpu", 0, ctypes.byref(device))
begin = time.perf_counter()
call("lk_gallery_open", sys.argv[2].encode(), ctypes.byref(gallery))
call("lk_gallery_load", gallery, device)
print(time.perf_counter() - begin)
"""


def write_rows(path: Path) -> None:
    """Random bytes as vectors: what they are does not matter to a load."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({ROWS}, {DIM}), }}\n".encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + os.urandom(ROWS * DIM))


def make_gallery(build: Path, folder: Path, rows: Path) -> Path:
    likeness = build / "engine/likeness"
    subprocess.run([likeness, "create", folder, "--dim", str(DIM)], check=True)
    subprocess.run([likeness, "enroll", folder, rows], check=True, stdout=subprocess.DEVNULL)
    return folder


def time_searches(build: Path, scratch: Path) -> dict[str, float]:
    result = scratch / "scan.json"
    result.unlink(missing_ok=True)
    words = ["--rows", str(ROWS), "--dim", str(DIM), "--batches", BATCHES, "--json", result]
    subprocess.run([build / "bench/bench_scan", *words], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in result.read_text().splitlines()]
    return {f"search, batch {line['batch']}": line["seconds"] for line in lines}


def time_load(build: Path, gallery: Path) -> float:
    words = [sys.executable, "-c", LOAD, build / "index/liblikeness.so", gallery]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def interval(ratios: list[float]) -> tuple[float, float]:
    """The narrowest pair of sorted ratios, as far from both ends, that encloses the median with 95 % or more."""
    count, below, tail = len(ratios), 0, 1
    while 2 * (tail + comb(count, below + 1)) <= 0.05 * 2**count:
        below += 1
        tail += comb(count, below)
    return sorted(ratios)[below], sorted(ratios)[count - 1 - below]


def main() -> None:
    old, new = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    turns = int(sys.argv[3]) if len(sys.argv) > 3 else 21
    times: dict[str, dict[Path, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-builds-") as folder:
        scratch = Path(folder)
        write_rows(scratch / "rows.npy")
        galleries = {
            build: make_gallery(build, scratch / name, scratch / "rows.npy")
            for name, build in [("old", old), ("new", new)]
        }
        for turn in range(turns):
            for build in (old, new) if turn % 2 == 0 else (new, old):
                taken = time_searches(build, scratch)
                taken["load, of its own"] = time_load(build, galleries[build])
                taken["load, of the old build"] = time_load(build, galleries[old])
                for what, seconds in taken.items():
                    times.setdefault(what, {old: [], new: []})[build].append(seconds)
    print(f"{'medians of ' + str(turns) + ' turns':24} {'old, ms':>10} {'new, ms':>10} {'ratio':>7}  95 % interval")
    for what, taken in times.items():
        ratios = [n / o for o, n in zip(taken[old], taken[new])]
        low, high = interval(ratios)
        milliseconds = [1e3 * median(taken[build]) for build in (old, new)]
        print(f"{what:24} {milliseconds[0]:10.3f} {milliseconds[1]:10.3f} {median(ratios):7.3f}  {low:.3f} .. {high:.3f}")


main()
