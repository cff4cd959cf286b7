#!/usr/bin/env python3
"""What a GPU reaches without this program, for bench_scan to be put beside: cublasLt's int8 and bf16 products, reading
memory, and the usual exact search, torch's matmul and topk in fp16.

gpu_limits.py [--rows 10000000] [--dim 512] [--batches 1,32,256,1024] [--k 10]"""
import argparse

import torch

CHUNK = 1 << 20  # rows of one product: a score matrix of all of them would not fit


def milliseconds(run):
    """Median of ten, after two to warm up."""
    times = []
    for i in range(12):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        if i >= 2:
            times.append(begin.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def chunks(rows):
    return [rows[i:i + CHUNK] for i in range(0, len(rows), CHUNK)]


def product(rows, probes, out):
    for chunk in chunks(rows):
        torch.mm(probes, chunk.T, out=out[:, :len(chunk)])


def search(rows, probes, k):
    scores, found = [], []
    for i, chunk in enumerate(chunks(rows)):
        top = torch.topk(probes @ chunk.T, k, dim=1)
        scores.append(top.values)
        found.append(top.indices + i * CHUNK)
    best = torch.topk(torch.cat(scores, 1), k, dim=1)
    return best.values, torch.cat(found, 1).gather(1, best.indices)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--batches", default="1,32,256,1024")
    parser.add_argument("--k", type=int, default=10)
    o = parser.parse_args()
    n = 8192
    a = torch.randint(-127, 128, (n, n), dtype=torch.int8, device="cuda")
    print(f"int8 product, {n}^3: {2 * n**3 / milliseconds(lambda: torch._int_mm(a, a.T)) / 1e9:.0f} TOP/s")
    b = torch.randn(n, n, device="cuda").bfloat16()
    print(f"bf16 product, {n}^3: {2 * n**3 / milliseconds(lambda: b @ b.T) / 1e9:.0f} TFLOP/s")
    memory = torch.ones(1 << 30, dtype=torch.float32, device="cuda")
    print(f"reading 4 GiB: {memory.nbytes / milliseconds(memory.sum) / 1e6:.0f} GB/s")
    del a, b, memory
    rows = torch.nn.functional.normalize(torch.randn(o.rows, o.dim, device="cuda", dtype=torch.float16))
    print("batch  bf16 product ms  fp16 matmul + topk ms")
    for batch in map(int, o.batches.split(",")):
        probes = torch.nn.functional.normalize(torch.randn(batch, o.dim, device="cuda", dtype=torch.float16))
        out = torch.empty(batch, CHUNK, device="cuda", dtype=torch.bfloat16)
        as_bf16, probes_bf16 = rows.bfloat16(), probes.bfloat16()
        bare = milliseconds(lambda: product(as_bf16, probes_bf16, out))
        del as_bf16, out
        print(f"{batch:5} {bare:16.3f} {milliseconds(lambda: search(rows, probes, o.k)):22.3f}")


main()
