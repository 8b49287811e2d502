"""Roads from an OpenStreetMap extract (.osm.pbf, .osm)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import osmium

from riskmap.errors import InputError
from riskmap.roads.edges import RoadEdges, RowNote
from riskmap.roads.osm_tags import RoadTags, read_tags
from riskmap.roads.osm_turns import Pieces, read_turns

_EVERY = 10_000


def read_osm_pbf(path: Path, *, progress: Callable[[int], None] | None = None) -> RoadEdges:
    """Read the roads of an extract, split at junctions.

    Parameters
    ----------
    path
        Any file that libosmium reads, locations not needed on ways.
    progress
        Called with the number of ways read, every 10,000 and at the end.

    Returns
    -------
    RoadEdges
        A junction is a node that roads use twice or more (a way that passes a node twice is split
        there) or where a road ends. Crossings without a common node are none: bridges stay apart.

    Raises
    ------
    InputError
        The file cannot be read, or holds no road.

    Notes
    -----
    Two passes of libosmium: nodes into a location index and ways, then the relations that restrict
    turns. A way whose nodes are partly outside the extract is cut at the gap and noted.
    """
    ways: list[int] = []
    tags: list[RoadTags] = []
    sizes = array("q")
    refs, lon, lat = array("q"), array("d"), array("d")
    seen = 0
    try:
        source = osmium.FileProcessor(str(path), osmium.osm.NODE | osmium.osm.WAY).with_locations()
        source.with_filter(osmium.filter.EntityFilter(osmium.osm.WAY))
        source.with_filter(osmium.filter.KeyFilter("highway", "route"))
        for way in source:
            seen += 1
            if progress is not None and seen % _EVERY == 0:
                progress(seen)
            if not isinstance(way, osmium.osm.Way):
                continue
            read = read_tags(cast("Mapping[str, str]", way.tags))
            if read is None:
                continue
            ways.append(way.id)
            tags.append(read)
            sizes.append(len(way.nodes))
            for node in way.nodes:
                refs.append(node.ref)
                known = node.location.valid()
                lon.append(node.lon if known else np.nan)
                lat.append(node.lat if known else np.nan)
    except (RuntimeError, OSError) as error:
        raise InputError("roads.file_unreadable", parameter=str(path), reason=str(error)) from error
    if progress is not None:
        progress(seen)
    edges, pieces = _split(
        path,
        ways=ways,
        tags=tags,
        way=np.repeat(np.arange(len(ways)), np.frombuffer(sizes, dtype=np.int64)),
        refs=np.frombuffer(refs, dtype=np.int64),
        lonlat=np.column_stack([np.frombuffer(lon, dtype=np.float64), np.frombuffer(lat)]),
    )
    turns, notes = read_turns(path, edges, pieces)
    return replace(edges, turns=turns, notes=(*edges.notes, *notes))


def _split(
    path: Path,
    *,
    ways: list[int],
    tags: list[RoadTags],
    way: npt.NDArray[np.int64],
    refs: npt.NDArray[np.int64],
    lonlat: npt.NDArray[np.float64],
) -> tuple[RoadEdges, Pieces]:
    """Cut ways, given as runs of vertices, at junctions and gaps; tell the edges of each way."""
    known = np.isfinite(lonlat[:, 0])
    missing = np.bincount(way[~known], minlength=len(ways))
    notes = tuple(
        RowNote(ways[k], "roads.way_incomplete", {"source_id": f"way/{ways[k]}", "missing": n})
        for k, n in enumerate(missing.tolist())
        if n
    )
    # The same node twice in a row is a slip of the pen, no road.
    again = np.zeros(len(refs), dtype=bool)
    again[1:] = (refs[1:] == refs[:-1]) & (way[1:] == way[:-1])
    # A run ends where the way ends or a vertex is missing.
    run = np.cumsum(np.concatenate([[0], (way[1:] != way[:-1]) | ~known[1:]])) if len(way) else way
    keep = known & ~again
    way, refs, lonlat, run = way[keep], refs[keep], lonlat[keep], run[keep]

    _, inverse, uses = np.unique(refs, return_inverse=True, return_counts=True)
    edge_of_run = np.ones(len(refs), dtype=bool)
    edge_of_run[1:] = run[1:] != run[:-1]
    last_of_run = np.append(edge_of_run[1:], True)[: len(refs)]
    junction = (uses[inverse] > 1) | edge_of_run | last_of_run
    # An edge goes from each junction to the next one of the same run.
    stops = np.flatnonzero(junction)
    first, last = stops[:-1], stops[1:]
    same = run[first] == run[last]
    first, last = first[same], last[same]
    if len(first) == 0:
        raise InputError("roads.no_roads", parameter=str(path))
    size = last - first + 1
    offsets = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    vertex = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], size)

    of_way = way[first]
    rank = np.arange(len(first)) - np.searchsorted(of_way, of_way)
    rows = of_way.tolist()
    read = [tags[row] for row in rows]
    pieces: Pieces = {}
    for edge, row in enumerate(rows):
        pieces.setdefault(ways[row], []).append(edge)
    edges = RoadEdges(
        source_id=[f"way/{ways[row]}/{k}" for row, k in zip(rows, rank.tolist(), strict=True)],
        from_node=refs[first],
        to_node=refs[last],
        lonlat=lonlat[vertex],
        offsets=offsets,
        road_class=[tag.road_class for tag in read],
        name=[tag.name for tag in read],
        oneway=[tag.oneway for tag in read],
        maxspeed_kmh=np.array([tag.maxspeed_kmh for tag in read]),
        bridge=np.array([tag.bridge for tag in read]),
        tunnel=np.array([tag.tunnel for tag in read]),
        layer=np.array([tag.layer for tag in read], dtype=np.int32),
        motor=np.array([tag.motor for tag in read]),
        foot=np.array([tag.foot for tag in read]),
        restricted=np.array([tag.restricted for tag in read]),
        notes=notes,
    )
    return edges, pieces
