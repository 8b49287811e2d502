"""From steps on the routing grid to courses: smoothed, chained into streets, paired."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import shapely

from riskmap.demo.ground import Floats
from riskmap.demo.streets_lines import Line, normals
from riskmap.demo.streets_names import Names
from riskmap.demo.streets_plan import (
    CLASS_OF_RANK,
    PRIMARY,
    SECONDARY,
    TERTIARY,
    TRACK,
    TRUNK,
    Plan,
)
from riskmap.demo.streets_route import STEP_M, Ints

# A street goes on through a crossing if it turns by less than this.
_STRAIGHT: Final = np.cos(np.radians(50.0))
# Half the distance between the carriageways of a one-way pair.
PAIR_M: Final = 9.0
_PAIR_DENSITY: Final = 5500.0
_SPEEDS: Final = {TRUNK: ("60", "80"), PRIMARY: ("50", "60"), SECONDARY: ("40", "50", "60")}


def smooth(plan: Plan, rng: np.random.Generator) -> Floats:
    """Return node places with the staircase of the grid taken out and some wavering put in."""
    routes = plan.routes
    a, b, rank = routes.edges()
    xy = routes.xy.copy()
    # Wavering: three waves of 1.2 to 4 km, up to 50 m each, so that nothing runs along the grid.
    for length in (1200.0, 2300.0, 4000.0):
        turn, shift = rng.uniform(0.0, 2.0 * np.pi, size=2)
        phase = 2.0 * np.pi * (xy @ [np.cos(turn), np.sin(turn)]) / length + shift
        xy += 50.0 * np.column_stack([np.cos(turn + 1.3) * np.sin(phase), np.sin(phase + 1.0)])
    home = xy.copy()
    degree = np.bincount(a, minlength=len(xy)) + np.bincount(b, minlength=len(xy))
    # Busy roads pull a crossing straighter than tracks do.
    weight = rank.astype(np.float64) ** 2
    total = np.zeros(len(xy))
    np.add.at(total, a, weight)
    np.add.at(total, b, weight)
    used = degree > 1
    free = used & ~routes.land & (degree == 2)
    for turn_no in range(160):
        mean = np.zeros_like(xy)
        np.add.at(mean, a, xy[b] * weight[:, None])
        np.add.at(mean, b, xy[a] * weight[:, None])
        # Over water a course is pulled straight, on land only smoothed.
        moved = free if turn_no >= 7 else used
        xy[moved] = 0.5 * xy[moved] + 0.5 * mean[moved] / total[moved, None]
        if turn_no < 7:
            off = xy - home
            far = np.hypot(*off.T)
            far = np.maximum(far / (0.55 * STEP_M), 1.0)
            xy = np.where(free[:, None], xy, home + off / far[:, None])
    return xy


def strokes(plan: Plan, xy: Floats) -> list[tuple[Ints, int]]:  # noqa: PLR0912 - one walk
    """Chain the steps into streets (nodes and rank) that go straight on in the same rank."""
    a, b, rank = plan.routes.edges()
    ends: dict[int, list[int]] = {}
    for edge, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        ends.setdefault(i, []).append(edge)
        ends.setdefault(j, []).append(edge)
    follow: dict[tuple[int, int], int] = {}
    for node, edges in ends.items():
        pairs = []
        for p, e in enumerate(edges):
            for f in edges[p + 1 :]:
                if rank[e] != rank[f]:
                    continue
                u = xy[a[e] + b[e] - node] - xy[node]
                v = xy[a[f] + b[f] - node] - xy[node]
                bend = float(u @ v) / max(float(np.hypot(*u) * np.hypot(*v)), 1e-9)
                if -bend > _STRAIGHT or len(edges) == 2:
                    pairs.append((bend, e, f))
        taken: set[int] = set()
        for _, e, f in sorted(pairs):
            if e not in taken and f not in taken:
                taken |= {e, f}
                follow[node, e], follow[node, f] = f, e
    out = []
    done = np.zeros(len(a), dtype=bool)
    for first in range(len(a)):
        if done[first]:
            continue
        # Back to where the street begins (or round to here), then forward to its end.
        edge, node = first, int(a[first])
        while follow.get((node, edge), first) != first:
            edge = follow[node, edge]
            node = int(a[edge] + b[edge]) - node
        nodes = [node]
        while True:
            done[edge] = True
            node = int(a[edge] + b[edge]) - node
            nodes.append(node)
            onward = follow.get((node, edge))
            if onward is None or done[onward]:
                break
            edge = onward
        out.append((np.array(nodes, dtype=np.int64), int(rank[first])))
    return out


def courses(
    plan: Plan, xy: Floats, joints: set[int], names: Names, rng: np.random.Generator
) -> list[Line]:
    """Return the routed roads as lines; busy roads in dense parts become one-way pairs.

    `joints` are nodes where something else than a road of the plan will end.
    """
    a, b, _ = plan.routes.edges()
    degree = np.bincount(a, minlength=len(xy)) + np.bincount(b, minlength=len(xy))
    degree[sorted(joints)] += 2
    lines: list[Line] = []
    for nodes, rank in strokes(plan, xy):
        road_class = CLASS_OF_RANK[rank]
        tags = _tags(rank, names, rng)
        dense = (rank >= PRIMARY) & (plan.routes.density[nodes] > _PAIR_DENSITY)
        for first, last, paired in _runs(dense, least=7):
            course, joint = _curve(xy[nodes[first : last + 1]], degree[nodes[first : last + 1]] > 2)
            if rank == TRACK:
                course = _winding(course, joint, rng)
            if paired:
                lines += one_way_pair(course, joint, road_class, tags)
            else:
                lines.append(Line(course, road_class, dict(tags)))
    return lines


def _tags(rank: int, names: Names, rng: np.random.Generator) -> dict[str, str]:
    """Return name and speed: a name from primary up, mostly below; a speed on part of all."""
    tags: dict[str, str] = {}
    chance = {SECONDARY: 0.75, TERTIARY: 0.4}.get(rank, 1.0 if rank >= PRIMARY else 0.0)
    if rng.random() < chance:
        tags |= names.tags(CLASS_OF_RANK[rank])
    if rank in _SPEEDS and rng.random() < 0.5:
        tags["maxspeed"] = str(rng.choice(_SPEEDS[rank]))
    return tags


def _runs(
    flag: np.ndarray[tuple[int], np.dtype[np.bool_]], least: int
) -> list[tuple[int, int, bool]]:
    """Cut a row of vertices where the flag changes; raised runs shorter than `least` are not."""
    edge_flag = flag[1:] & flag[:-1]
    stops = [0, *(np.flatnonzero(edge_flag[1:] != edge_flag[:-1]) + 1).tolist(), len(edge_flag)]
    runs: list[tuple[int, int, bool]] = []
    for first, last in itertools.pairwise(stops):
        raised = bool(edge_flag[first]) and last - first >= least
        if runs and not raised and not runs[-1][2]:
            runs[-1] = (runs[-1][0], last, False)
        else:
            runs.append((first, last, raised))
    return runs


def _curve(
    xy: Floats, joint: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Round the corners (Catmull-Rom, one new vertex each) and drop vertices in straight runs."""
    if len(xy) < 3:
        return xy, joint
    wide = np.concatenate([2 * xy[:1] - xy[1:2], xy, 2 * xy[-1:] - xy[-2:-1]])
    middle = (9.0 * (wide[1:-2] + wide[2:-1]) - wide[:-3] - wide[3:]) / 16.0
    fine = np.empty((2 * len(xy) - 1, 2))
    fine[::2], fine[1::2] = xy, middle
    stays = np.zeros(len(fine), dtype=bool)
    stays[::2] = joint
    stays[0] = stays[-1] = True
    stops = np.flatnonzero(stays)
    out, kept = [fine[:1]], [stays[:1]]
    for i, j in zip(stops[:-1].tolist(), stops[1:].tolist(), strict=True):
        thin = shapely.get_coordinates(shapely.simplify(shapely.LineString(fine[i : j + 1]), 6.0))
        # The joints keep their exact places: others end there.
        thin[-1] = fine[j]
        out.append(thin[1:])
        kept.append(np.arange(len(thin) - 1) == len(thin) - 2)
    marks = np.concatenate(kept)
    at_joint = np.zeros(len(marks), dtype=bool)
    at_joint[marks] = joint[stops // 2]
    return np.concatenate(out), at_joint


def _winding(
    xy: Floats, joint: np.ndarray[tuple[int], np.dtype[np.bool_]], rng: np.random.Generator
) -> Floats:
    """Let a track swing from side to side between the vertices it has."""
    parts = [xy[:1]]
    for i in range(len(xy) - 1):
        step = xy[i + 1] - xy[i]
        length = float(np.hypot(*step))
        count = int(length // 110.0)
        if count > 1:
            share = (np.arange(count) + 0.5) / count
            side = np.array([step[1], -step[0]]) / length
            swing = rng.uniform(15.0, 45.0, size=count) * (-1.0) ** np.arange(count)
            parts.append(xy[i] + share[:, None] * step + swing[:, None] * side)
        parts.append(xy[i + 1 : i + 2])
    return np.concatenate(parts)


def one_way_pair(
    xy: Floats,
    joint: np.ndarray[tuple[int], np.dtype[np.bool_]],
    road_class: str,
    tags: dict[str, str],
) -> list[Line]:
    """Return two carriageways (traffic keeps right) that meet at both ends, and their links.

    A link leads across wherever another road met the middle line, so that no road ends between
    the carriageways.
    """
    side = normals(xy)
    right, left = xy + PAIR_M * side, xy - PAIR_M * side
    for carriageway in (right, left):
        carriageway[0], carriageway[-1] = xy[0], xy[-1]
    tags = tags | {"oneway": "yes"}
    lines = [Line(right, road_class, dict(tags)), Line(left[::-1].copy(), road_class, dict(tags))]
    lines += [
        Line(np.array([left[k], xy[k], right[k]]), road_class + "_link")
        for k in np.flatnonzero(joint).tolist()
        if 0 < k < len(xy) - 1
    ]
    return lines
