"""What a policy and an audit log cost through the queue: two workers, one bare and one governed, each with a Redis of
its own and the same gallery, get the same probes in turn.

    scripts/bench-governance [--rows 1000000] [--dim 512] [--batch 256] [--turns 9]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from serving import Serving, make_gallery, write_vectors

POLICY = """
policy: 1
name: bench
rules:
  - id: halt
    effect: forbid
    text: The police do not search.
    actors: ["police/*"]
    except: {purposes: [missing-persons]}
    until: null
  - id: missing-persons
    effect: permit
    text: Missing persons are searched for, with a case and an authorisation.
    operations: [identify]
    purposes: [missing-persons]
    require: [case, jurisdiction, authorisation]
    probes_per_case: 1000000000
    max_candidates: 20
"""
CLAIMS = "--purpose missing-persons --actor police/north --jurisdiction US-OR --case 2021-77 --authorisation w-1 --granted".split()


def compare(bare: Serving, governed: Serving, probes: Path, count: int, job_probes: int, turns: int) -> None:
    seconds = {bare: [], governed: []}
    for turn in range(turns + 1):
        for side in (bare, governed) if turn % 2 else (governed, bare):
            taken = side.submit(probes, job_probes, CLAIMS)
            if turn > 0:  # the first is for warming up
                seconds[side].append(taken)
    rates = [count / statistics.median(seconds[side]) for side in (bare, governed)]
    ratio = statistics.median(g / b for g, b in zip(seconds[governed], seconds[bare]))
    print(
        f"jobs of {job_probes:3} probes: bare {rates[0]:.0f} probes/s, governed {rates[1]:.0f} probes/s;"
        f" time governed/bare {ratio:.4f} (median of {turns} turns)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"rows": 1000000, "dim": 512, "batch": 256, "turns": 9}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as name:
        folder = Path(name)
        gallery, probes, count = make_gallery(folder, options.rows, options.dim), folder / "probes.npy", 8 * options.batch
        write_vectors(probes, count, options.dim, seed=2)
        (folder / "policy.yaml").write_text(POLICY)
        batch, rules = ["--batch", str(options.batch)], ["--policy", folder / "policy.yaml", "--audit", folder / "audit"]
        bare = Serving(folder, "bare", gallery, batch)
        governed = Serving(folder, "governed", gallery, batch + rules)
        try:
            for job_probes in (options.batch, 1):
                compare(bare, governed, probes, count, job_probes, options.turns)
        finally:
            bare.close()
            governed.close()


if __name__ == "__main__":
    main()
