#!/usr/bin/env python3
"""How many probes around a photograph recover a template from what a policy releases of its scores: prints the cosine of
the recovered and the true template. Random templates of 512 dimensions stand for those of faces; the photograph has a
cosine of 0.7 with the template. Half a minute.

bench/template_recovery.py"""
import numpy as np

DIM, LIMIT = 512, 0.6
random = np.random.default_rng(7)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def around(photograph, count, spread=0.5):
    return unit(photograph + spread * unit(random.standard_normal((count, DIM))))


def recovered(probes, scores, template):
    """Least squares; from the normal equations where there are many probes, which is fast."""
    if len(probes) < 2 * DIM:
        found = np.linalg.lstsq(probes, scores, rcond=None)[0]
    else:
        found = np.linalg.solve(probes.T @ probes, probes.T @ scores)
    return float(unit(found) @ template)


def by_scores(photograph, template, count, decimals):
    probes = around(photograph, count)
    scores = (probes @ template).astype(np.float32).astype(float)
    if decimals is not None:  # in the middle of the step
        scores = (np.floor(scores * 10**decimals) + 0.5) / 10**decimals
    return recovered(probes, scores, template)


def by_decisions(photograph, template, points, steps):
    """Each point is where the decision changes, between the photograph and somewhere else, found by bisection."""
    inside, outside = np.tile(photograph, (points, 1)), around(photograph, points, spread=2.0)
    for _ in range(steps):
        middle = unit(inside + outside)
        found = (middle @ template >= LIMIT)[:, None]
        inside, outside = np.where(found, middle, inside), np.where(found, outside, middle)
    return recovered(unit(inside + outside), np.full(points, LIMIT), template)


template = unit(random.standard_normal(DIM))
across = random.standard_normal(DIM)
across = unit(across - (across @ template) * template)
photograph = 0.7 * template + np.sqrt(1 - 0.7**2) * across
print(f"the photograph itself: {photograph @ template:.6f}")
for decimals in None, 4, 3, 2, 1:
    for count in 513, 5130, 51300:
        name = "exact scores" if decimals is None else f"{decimals} decimals"
        print(f"{name}, {count} probes: {by_scores(photograph, template, count, decimals):.6f}")
for points, steps in (513, 8), (1026, 12), (5130, 14):
    print(f"decisions alone, {points * steps} probes: {by_decisions(photograph, template, points, steps):.6f}")
