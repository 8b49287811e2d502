"""A synthetic city whose streets take a whole number of seconds, in a real database."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import TEST_CITY
from riskmap.db.sessions import Actor, Database
from riskmap.roads.edges import RoadEdges
from riskmap.roads.load import replace_edges

COLUMNS, ROWS = 21, 5
WEST, SOUTH, STEP = 120.4, 36.5, 0.003
BLOCK_S = 60
# Spurs from (column 14, row 0) to the south: 840 s to their root from column 0.
SPURS = {"s59": 59, "s60": 60, "s61": 61}


def place(column: float, row: float = 0) -> tuple[float, float]:
    """Return where a crossing lies (halves lie between)."""
    return (round(WEST + column * STEP, 9), round(SOUTH + row * STEP, 9))


def node(column: int, row: int = 0) -> int:
    return 1 + row * COLUMNS + column


# A class for each row: a block of the north is some millimetres shorter than one of the south.
SECONDS = {
    **{f"h{row}": BLOCK_S for row in range(ROWS)},
    **{f"v{row}": BLOCK_S for row in range(ROWS - 1)},
    "trap": BLOCK_S,
    **SPURS,
}
SPUR_END = {name: place(14 + 0.2 * k, -1) for k, name in enumerate(SPURS)}
TRAP = place(3, -1)  # a one-way street leads there from (3, 0), none back


def streets() -> list[tuple[int, int, tuple[float, float], tuple[float, float], str, str]]:
    found = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            here = (column, row)
            for beside, kind in (((column + 1, row), f"h{row}"), ((column, row + 1), f"v{row}")):
                if beside[0] < COLUMNS and beside[1] < ROWS:
                    found.append(
                        (node(*here), node(*beside), place(*here), place(*beside), kind, "both")
                    )
    for k, name in enumerate(SPURS):
        found.append((node(14), 900 + k, place(14), SPUR_END[name], name, "both"))
    found.append((node(3), 950, place(3), TRAP, "trap", "forward"))
    return found


def edges() -> RoadEdges:
    rows = streets()
    count = len(rows)
    return RoadEdges(
        source_id=[str(n) for n in range(count)],
        from_node=np.array([r[0] for r in rows], dtype=np.int64),
        to_node=np.array([r[1] for r in rows], dtype=np.int64),
        lonlat=np.array([p for r in rows for p in r[2:4]], dtype=float),
        offsets=np.arange(count + 1, dtype=np.int64) * 2,
        road_class=[r[4] for r in rows],
        name=[""] * count,
        oneway=[r[5] for r in rows],
        maxspeed_kmh=np.full(count, np.nan),
        bridge=np.zeros(count, bool),
        tunnel=np.zeros(count, bool),
        layer=np.zeros(count, np.int32),
        motor=np.ones(count, bool),
        foot=np.ones(count, bool),
        restricted=np.zeros(count, bool),
        notes=(),
    )


def build(database: Database) -> None:
    """Store the streets and speeds: a block takes 60 s (ordinary vehicles 120 s)."""
    with database.own(Actor("test")) as session:
        replace_edges(session, edges(), TEST_CITY.bbox, source="grid")
        for kind, seconds in SECONDS.items():
            for profile, slower in (("emergency", 1), ("ordinary", 2)):
                session.execute(
                    text(
                        "INSERT INTO road_speeds (profile, road_class, speed_kmh, source)"
                        " SELECT :profile, :kind, avg(length_m) * 3.6 / :seconds, 'grid'"
                        " FROM road_edges WHERE road_class = :kind"
                    ),
                    {"profile": profile, "kind": kind, "seconds": seconds * slower},
                )
