"""Road edges as a file tells them: what the importers make and the loader stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

MOTOR_CLASSES: Final = frozenset(
    {
        *("motorway", "motorway_link", "trunk", "trunk_link", "primary", "primary_link"),
        *("secondary", "secondary_link", "tertiary", "tertiary_link", "unclassified"),
        # road: a road of unknown class, the only one whose stated speed is all we know of it.
        *("residential", "living_street", "service", "track", "road"),
    }
)
FOOT_CLASSES: Final = frozenset({"footway", "path", "steps", "pedestrian", "cycleway"})
ROAD_CLASSES: Final = MOTOR_CLASSES | FOOT_CLASSES | {"ferry"}
NO_WALK_CLASSES: Final = frozenset({"motorway", "motorway_link", "cycleway"})


@dataclass(frozen=True)
class RowNote:
    """What an importer did to one row of a file that it could not take as it is.

    Attributes
    ----------
    row
        Row number from 1, or the number of the OSM way or relation.
    key
        Entry of the catalogue.
    values
        What its placeholders are filled with.
    """

    row: int
    key: str
    values: dict[str, object]


class Turn(NamedTuple):
    """A turn restriction; see `riskmap.db.tables.ROAD_TURNS`.

    Attributes
    ----------
    from_source, to_source
        Source ids of the edges.
    via_node
        The junction between them.
    mandatory
        Only this turn is allowed, instead of: this one is not.
    source
        Where it comes from: ``OSM relation/7 no_left_turn``.
    """

    from_source: str
    via_node: int
    to_source: str
    mandatory: bool
    source: str


@dataclass(frozen=True, eq=False)
class RoadEdges:
    """m roads between junctions, v vertices.

    Attributes
    ----------
    source_id : list of str, m
        Where each comes from, unique: ``way/123/0`` is the first piece of OSM way 123.
    from_node, to_node : int64[m]
        Junction ids; roads meet where these are equal and nowhere else.
    lonlat : float64[v, 2]
        Vertices in degrees, WGS 84, longitude first, from-node first.
    offsets : int64[m + 1]
        Edge e has the vertices ``lonlat[offsets[e]:offsets[e + 1]]``, at least two.
    road_class : list of str, m
        One of `ROAD_CLASSES`.
    name : list of str, m
        Chinese where there is one; empty if unnamed.
    oneway : list of str, m
        ``both``, ``forward`` or ``backward``, for vehicles.
    maxspeed_kmh : float64[m]
        As tagged, NaN where it is not.
    bridge, tunnel : bool[m]
    layer : int32[m]
        Level above (or below) the ground, 0 if not told.
    motor, foot : bool[m]
        Whether motor vehicles and people on foot may use it.
    restricted : bool[m]
        Motor vehicles may, but not everyone: private, destination only, or emergency access.
    notes : tuple of RowNote
        What was left out or read differently.
    turns : tuple of Turn
        Turn restrictions, each (from, via, to) once.
    """

    source_id: list[str]
    from_node: npt.NDArray[np.int64]
    to_node: npt.NDArray[np.int64]
    lonlat: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.int64]
    road_class: list[str]
    name: list[str]
    oneway: list[str]
    maxspeed_kmh: npt.NDArray[np.float64]
    bridge: npt.NDArray[np.bool_]
    tunnel: npt.NDArray[np.bool_]
    layer: npt.NDArray[np.int32]
    motor: npt.NDArray[np.bool_]
    foot: npt.NDArray[np.bool_]
    restricted: npt.NDArray[np.bool_]
    notes: tuple[RowNote, ...]
    turns: tuple[Turn, ...] = ()

    def __len__(self) -> int:
        return len(self.source_id)
