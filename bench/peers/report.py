"""A page and plots of what bench_peers.py measured."""

from __future__ import annotations

from pathlib import Path

COLOURS = ["#1b6ca8", "#d1495b", "#66a182", "#edae49", "#7a5195", "#8d96a3", "#00798c", "#a44a3f"]
LEFT, WIDTH, BAR, GAP = 250, 420, 16, 14


def describe(run: dict) -> str:
    return f"{run['data']}, {run['rows']:,} x {run['dim']}"


def _format_miss(share: float, shortfall: float) -> str:
    if share == 1 and shortfall < 1e-12:
        return "yes"
    return f"{share:.4f}" + (f", misses by {shortfall:.1g}" if shortfall > 0 else "")


def _row(m: dict) -> str:
    ours, theirs = m["ours"], m["theirs"]
    cells = [
        m["peer"],
        m["filter"] or "",
        m["batch"],
        m["k"],
        f"{ours['wall_s'] * 1e3:.1f}",
        f"{theirs['wall_s'] * 1e3:.1f}",
        f"**{m['wall']:.1f}**",
        f"{m['processor']:.1f}",
        f"{ours['threads']:.1f} / {theirs['threads']:.1f}",
        f"{m['load'][0]:.0f} to {m['load'][1]:.0f}",
        _format_miss(*m["found"]),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


# By batch, over FAISS IndexFlatIP at a million rows of 512, k 10; and what a filter may cost.
WANTED, WANTED_ROWS, FILTER_COST = {1: 8, 32: 6, 256: 4, 1024: 4}, 1_000_000, 1.3


def _targets(run: dict) -> list[str]:
    if run["data"] != "random" or run["rows"] != WANTED_ROWS or run["dim"] != 512:
        return []
    lines, plain = [], {}
    for m in run["measurements"]:
        if m["peer"] != "FAISS IndexFlatIP" or m["k"] != 10 or m["batch"] not in WANTED:
            continue
        if m["filter"] is None:
            plain[m["batch"]] = m["ours"]["wall_s"]
            met = "met" if m["wall"] >= WANTED[m["batch"]] else "missed"
            lines.append(f"- batch {m['batch']}: {m['wall']:.1f} times as fast; wanted {WANTED[m['batch']]}: {met}")
        elif m["batch"] in plain:
            cost = m["ours"]["wall_s"] / plain[m["batch"]]
            met = "met" if cost <= FILTER_COST else "missed"
            lines.append(f"- batch {m['batch']}, {m['filter']}: {cost:.2f} of plain; wanted {FILTER_COST}: {met}")
    return [*lines, ""] if lines else []


def _settings(run: dict) -> str:
    return "".join(f"{name}={value} " for name, value in run.get("environment", {}).items())


def _table(run: dict) -> list[str]:
    return [
        f"## {describe(run)}",
        "",
        f"`{_settings(run)}{run['command']}`, on {run.get('device', 'cpu')}, commit {run['commit']}, {run['date']}",
        "",
        f"The true k best that Likeness found (of {run['judged']} probes): {_format_miss(*run['found'])}.",
        "",
        *_targets(run),
        "| beside | filter | batch | k | Likeness, ms | peer, ms | ratio | of processor time | threads busy, ours / theirs"
        " | load | found |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- | --- |",
        *map(_row, run["measurements"]),
        "",
    ]


def write_page(runs: list[dict], out: Path) -> None:
    head = runs[0]
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    lines = [
        f"# Likeness beside its peers, {head['date']}",
        "",
        f"{head['machine']}, {head['threads']} threads asked for; {versions}.",
        "",
        "A row is a duel: the two engines search the same rows for the same probes in turns. The times are medians; the"
        " ratio is the median over turns of the peer's time over ours in the same turn, by the clock on the wall and by"
        " the time of all threads on a processor. *Busy* is the one time over the other: where it is below the threads"
        " asked for, other programs had the processors (*load*: before and after the duel), and the second ratio is the"
        " safer one, except for a peer that spins while it waits. *Found* is the share of the k best in double precision"
        " that the peer found, and by how much its worst miss falls short.",
        "",
        *(f"![{describe(run)}]({_plot_path(out, i).name})" for i, run in enumerate(runs)),
        "",
    ]
    for run in runs:
        lines += _table(run)
    out.with_suffix(".md").write_text("\n".join(lines))


def _plot_path(out: Path, i: int) -> Path:
    return out.with_name(f"{out.name}-{i + 1}.svg")


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}">{text}</text>'


def draw(run: dict) -> str:
    """Bars of the ratios by the wall clock, on a scale of their square roots; 1 is Likeness itself."""
    measurements = run["measurements"]
    peers = list(dict.fromkeys(m["peer"] for m in measurements))
    most = max(m["wall"] for m in measurements)
    parts, y, peer = [_text(10, 22, f"Times of Likeness: {describe(run)}", size=15)], 34, None
    for m in measurements:
        y += GAP if m["peer"] != peer else 0
        peer = m["peer"]
        label = f"{peer}, batch {m['batch']}, k {m['k']}" + (f", {m['filter']}" if m["filter"] else "")
        length = WIDTH * (m["wall"] / most) ** 0.5
        colour = COLOURS[peers.index(peer) % len(COLOURS)]
        parts.append(_text(LEFT + 90, y + BAR - 4, label.replace("&", "&amp;"), "end", 11))
        parts.append(f'<rect x="{LEFT + 96}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>')
        parts.append(_text(LEFT + 102 + length, y + BAR - 4, f"{m['wall']:.1f}", size=11))
        y += BAR
    one = LEFT + 96 + WIDTH * (1 / most) ** 0.5
    parts.append(f'<line x1="{one:.0f}" x2="{one:.0f}" y1="40" y2="{y}" stroke="black" stroke-dasharray="3 3"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 160}" height="{y + 12}" font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def write_report(runs: list[dict], out: Path) -> None:
    write_page(runs, out)
    for i, run in enumerate(runs):
        _plot_path(out, i).write_text(draw(run))
