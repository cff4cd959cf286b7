#!/usr/bin/env python3
"""A page, a roofline and one JSON file of what scripts/gpu-check measured.

gpu_report.py LINES OUT    reads the lines that gpu-check wrote; writes OUT.json, OUT.md and OUT.svg"""
import json
import math
import sys
from pathlib import Path

COLOURS = ["#1b6ca8", "#d1495b", "#66a182", "#7a5195"]
PASS_PROBES = 1024  # that one pass over the codes compares, at most (kernels/plan.h)
LEFT, TOP, WIDTH, HEIGHT = 70, 40, 560, 380


def read(path):
    lines = [json.loads(line) for line in Path(path).read_text().splitlines() if line.strip()]
    of = lambda kind: [line for line in lines if line["kind"] == kind]
    return {
        "machine": (of("machine") or [{}])[-1],
        "stages": of("stage"),
        "limits": (of("limits") or [None])[-1],
        "peers": {
            (p["kind"], p["rows"], p["dim"], p["batch"], p.get("k")): p["seconds"] for p in lines if "batch" in p
        },
        "scans": of("scan"),
        "lines": lines,
    }


def tops(scan):
    return 2e-12 * scan["batch"] * scan["rows"] * scan["dim"] / scan["seconds"]


def gb_s(scan):
    return 1e-9 * scan["passes"] * scan["rows"] * scan["dim"] / scan["seconds"]


def share(value, limits, limit):
    return f"{100 * value / limits[limit]:.0f} %" if limits else ""


def beside(run, scan):
    """Our time over the bare product's, and torch's time over ours; both search all rows."""
    shape = scan["rows"], scan["dim"], scan["batch"]
    product = run["peers"].get(("bf16 product", *shape, None))
    torch = run["peers"].get(("torch", *shape, scan["k"]))
    return [f"{scan['seconds'] / product:.2f}" if product else "", f"{torch / scan['seconds']:.1f}" if torch else ""]


def row(run, scan):
    return [
        scan["device"],
        f"{scan['rows']:,} x {scan['dim']}",
        scan["k"],
        f"{100 * scan['visible']:.0f} %",
        scan["batch"],
        f"{1e3 * scan['seconds']:.3f}",
        share(tops(scan), run["limits"], "int8_tops"),
        share(gb_s(scan), run["limits"], "read_gb_s"),
        *beside(run, scan),
        f"{scan['survivors']:.0f}",
        f"{scan['rescored']:.0f}",
        scan["float_rounds"],
        scan["reruns"],
        scan["repeats"],
        scan["at_once"],
    ]


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def page(run, picture):
    machine, limits = run["machine"], run["limits"]
    lines = [f"# {machine.get('gpu', 'a GPU')}, {machine.get('date', '')}", ""]
    lines += [f"Driver {machine.get('driver', '?')}, commit {machine.get('commit', '?')}; `scripts/gpu-check`.", ""]
    lines += table(["stage", "", "s"], [[s["name"], s["result"], s["seconds"]] for s in run["stages"]]) + [""]
    if limits:
        lines += [
            f"The machine's own limits in the same run: int8 {limits['int8_tops']:.0f} TOP/s and bf16"
            f" {limits['bf16_tflops']:.0f} TFLOP/s (cublasLt, 8192^3), reading {limits['read_gb_s']:.0f} GB/s.",
            "",
        ]
    if run["scans"]:
        head = ["device", "rows", "k", "visible", "batch", "ms", "of int8", "of reading", "of the bf16 product's time"]
        head += ["torch over ours", "survivors", "rescored", "float rounds", "reruns", "same answers", "at once"]
        lines += [f"![roofline]({picture})", "", *table(head, [row(run, scan) for scan in run["scans"]]), ""]
    return "\n".join(lines)


def text(x, y, words, anchor="start", size=11):
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}">{words}</text>'


def intensity(scan):
    """Operations for each byte of codes that is read."""
    return 2 * min(scan["batch"], PASS_PROBES)


class Axes:
    """Logarithmic: operations a byte against TOP/s."""

    def __init__(self, scans, limits):
        speeds = [tops(s) for s in scans] + ([limits["int8_tops"]] if limits else [])
        self.x = 1, max(map(intensity, scans)) * 2
        self.y = min(speeds) / 2, max(speeds) * 2

    @staticmethod
    def _place(value, low, high):
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))

    def at(self, x, y):
        return LEFT + WIDTH * self._place(x, *self.x), TOP + HEIGHT * (1 - self._place(y, *self.y))


def line(axes, *ends, dash=""):
    (x1, y1), (x2, y2) = (axes.at(*end) for end in ends)
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="black" stroke-dasharray="{dash}"/>'


def roofs(axes, limits):
    """Reading bounds what lies left of the ridge, multiplying what lies right of it."""
    if not limits:
        return []
    rate, peak = limits["read_gb_s"] / 1e3, limits["int8_tops"]
    ridge = min(max(peak / rate, axes.x[0]), axes.x[1])
    low = min(max(axes.y[0] / rate, axes.x[0]), ridge)
    return [line(axes, (low, rate * low), (ridge, rate * ridge)), line(axes, (ridge, peak), (axes.x[1], peak))]


def ticks(axes):
    parts = [line(axes, (axes.x[0], axes.y[0]), (axes.x[1], axes.y[0]))]
    parts += [line(axes, (axes.x[0], axes.y[0]), (axes.x[0], axes.y[1]))]
    for value in (10**i for i in range(-6, 7)):
        if axes.x[0] <= value <= axes.x[1]:
            parts.append(text(axes.at(value, axes.y[0])[0], TOP + HEIGHT + 16, f"{value:g}", "middle"))
        if axes.y[0] <= value <= axes.y[1]:
            parts.append(text(LEFT - 6, axes.at(axes.x[0], value)[1] + 4, f"{value:g}", "end"))
    parts.append(text(LEFT + WIDTH / 2, TOP + HEIGHT + 34, "operations for each byte of codes", "middle", 12))
    return parts + [text(LEFT, TOP - 8, "TOP/s, whole search", size=12)]


def draw(run):
    """Filled: all rows; hollow: a filter."""
    axes = Axes(run["scans"], run["limits"])
    parts = ticks(axes) + roofs(axes, run["limits"])
    kinds = list(dict.fromkeys((s["device"], s["k"]) for s in run["scans"]))
    for scan in run["scans"]:
        colour = COLOURS[kinds.index((scan["device"], scan["k"])) % len(COLOURS)]
        x, y = axes.at(intensity(scan), tops(scan))
        fill = colour if scan["visible"] == 1 else "none"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" stroke="{colour}" fill="{fill}"/>')
    for i, (device, k) in enumerate(kinds):
        y = TOP + 14 + 16 * i
        parts.append(f'<circle cx="{LEFT + 16}" cy="{y - 4}" r="4" fill="{COLOURS[i % len(COLOURS)]}"/>')
        parts.append(text(LEFT + 26, y, f"{device}, k {k}"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{TOP + HEIGHT + 50}"'
    return "\n".join(
        [head + ' font-family="sans-serif">', '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""]
    )


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    run, out = read(sys.argv[1]), Path(sys.argv[2])
    Path(f"{out}.json").write_text(json.dumps(run["lines"], indent=1) + "\n")
    Path(f"{out}.md").write_text(page(run, f"{out.name}.svg"))
    if run["scans"]:
        Path(f"{out}.svg").write_text(draw(run))


main()
