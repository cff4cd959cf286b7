#!/usr/bin/env python3
"""What a GPU reaches without this program, for bench_scan to be put beside: cublasLt's int8 and bf16 products, reading
memory, and the usual exact search, torch's matmul and topk in fp16.

gpu_limits.py [--rows 1000000,10000000] [--dim 512] [--batches 1,32,256,1024] [--k 10,1000] [--json FILE]

--json appends a line for each figure, for bench/gpu_report.py."""
import argparse
import json

import torch

CHUNK = 1 << 20  # rows of one product: a score matrix of all of them would not fit


def seconds(run):
    """Median of ten, after two to warm up."""
    times = []
    for i in range(12):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        if i >= 2:
            times.append(begin.elapsed_time(end) / 1e3)
    return sorted(times)[len(times) // 2]


def chunks(rows):
    return [rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK)]


def product(rows, probes, out):
    for chunk in chunks(rows):
        torch.mm(probes, chunk.T, out=out[:, : len(chunk)])


def search(rows, probes, k):
    scores, found = [], []
    for i, chunk in enumerate(chunks(rows)):
        top = torch.topk(probes @ chunk.T, k, dim=1)
        scores.append(top.values)
        found.append(top.indices + i * CHUNK)
    best = torch.topk(torch.cat(scores, 1), k, dim=1)
    return best.values, torch.cat(found, 1).exact_scan(1, best.indices)


def unit(count, dim):
    made = torch.empty(count, dim, device="cuda", dtype=torch.float16)
    for chunk in chunks(made):
        chunk.copy_(torch.nn.functional.normalize(torch.randn(chunk.shape, device="cuda")))
    return made


def limits(report):
    n = 8192
    a = torch.randint(-127, 128, (n, n), dtype=torch.int8, device="cuda")
    b = torch.randn(n, n, device="cuda").bfloat16()
    memory = torch.ones(1 << 30, dtype=torch.float32, device="cuda")
    report(
        kind="limits",
        int8_tops=2e-12 * n**3 / seconds(lambda: torch._int_mm(a, a.T)),
        bf16_tflops=2e-12 * n**3 / seconds(lambda: b @ b.T),
        read_gb_s=1e-9 * memory.nbytes / seconds(memory.sum),
    )


def peers(report, rows_count, o):
    rows = unit(rows_count, o.dim)
    as_bf16 = rows.bfloat16()
    for batch in o.batches:
        probes = unit(batch, o.dim)
        out = torch.empty(batch, min(CHUNK, rows_count), device="cuda", dtype=torch.bfloat16)
        probes_bf16 = probes.bfloat16()
        shape = dict(rows=rows_count, dim=o.dim, batch=batch)
        report(kind="bf16 product", **shape, seconds=seconds(lambda: product(as_bf16, probes_bf16, out)))
        for k in o.k:
            report(kind="torch", **shape, k=k, seconds=seconds(lambda: search(rows, probes, k)))


def main():
    def numbers(text):
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=numbers, default=[1_000_000, 10_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--batches", type=numbers, default=[1, 32, 256, 1024])
    parser.add_argument("--k", type=numbers, default=[10, 1000])
    parser.add_argument("--json")
    o = parser.parse_args()

    def report(**figure):
        line = json.dumps(figure)
        print(line, flush=True)
        if o.json:
            with open(o.json, "a") as out:
                out.write(line + "\n")

    limits(report)
    for rows in o.rows:
        peers(report, rows, o)


main()
