"""Turn restrictions as the passages that they ban."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

NO_TURNS: Final[Ids] = np.empty((0, 3), dtype=np.int64)
NO_TURNS.flags.writeable = False


def banned_passages(edges: Ids, restrictions: Ids) -> Ids:
    """Return the banned passages between the edges of one profile.

    A mandatory turn bans every other exit of its junction, turning round included; where several
    start from one edge, each of theirs is allowed. One that leads into a road that the profile may
    not use binds nobody: the sign was meant for others.

    Parameters
    ----------
    edges : int64[m, 3]
        Id, from-node and to-node of each edge that the profile may use.
    restrictions : int64[k, 4]
        From edge, via node, to edge, and 1 if the turn is mandatory, else 0. Those whose edges are
        not there or do not touch the via node are left out.

    Returns
    -------
    int64[t, 3]
        From edge, via node, to edge; each once, in ascending order.
    """
    ids = edges[:, 0]
    order = np.argsort(ids)
    kept = restrictions
    for column in (0, 2):
        if len(kept) == 0 or len(ids) == 0:
            return NO_TURNS
        at = order[np.minimum(np.searchsorted(ids, kept[:, column], sorter=order), len(ids) - 1)]
        fits = (ids[at] == kept[:, column]) & (edges[at, 1:] == kept[:, 1:2]).any(axis=1)
        kept = kept[fits]
    must = kept[:, 3] == 1
    bans = [kept[~must, :3]]
    if must.any():
        bans.append(_others(edges, kept[must, :3]))
    return np.unique(np.concatenate(bans), axis=0)


def _others(edges: Ids, mandatory: Ids) -> Ids:
    """Return the passages that mandatory turns leave no room for."""
    # Every (node, edge) once; an edge that begins and ends at a node is one exit of it.
    ends = np.unique(np.concatenate([edges[:, [1, 0]], edges[:, [2, 0]]]), axis=0)
    starts = np.unique(mandatory[:, :2], axis=0)
    first = np.searchsorted(ends[:, 0], starts[:, 1], side="left")
    size = np.searchsorted(ends[:, 0], starts[:, 1], side="right") - first
    begin = np.cumsum(size) - size
    exits = ends[np.arange(size.sum()) + np.repeat(first - begin, size), 1]
    every = np.column_stack([np.repeat(starts, size, axis=0), exits])
    allowed = set(map(tuple, mandatory.tolist()))
    return every[[tuple(turn) not in allowed for turn in every.tolist()]]
