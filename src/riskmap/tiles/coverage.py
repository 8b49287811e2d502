"""The SQL of a stored run of coverage in a vector tile."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import LargeBinary, Select, cast, func, literal_column, select

from riskmap.db.tables import COVERAGE_FEATURES
from riskmap.tiles.grid import EXTENT, WEB_MERCATOR_QUAD, Address

#: The layer's name in a tile.
NAME: Final = "coverage"
# A symbol of 24 px across: 12 px = 96 units beyond the edge.
BUFFER: Final = 96


def statement(run_id: int, tile: Address) -> tuple[Select[Any], dict[str, int]]:
    """Return the statement of one tile of a run, and what it is bound to.

    `first_s` is absent where nobody arrives, `risk_level` where it is not assessed.
    """
    grid, z = WEB_MERCATOR_QUAD, tile.zoom
    found = COVERAGE_FEATURES.c
    geom = grid.geometry(COVERAGE_FEATURES)
    shape = func.ST_Simplify(geom, grid.pixel(z), True)
    rows = (
        select(
            found.feature_id.label("id"),
            *(found[name] for name in ("layer", "covered", "first_s", "teams_in_time")),
            *(found[name] for name in ("risk_level", "people")),
            func.ST_AsMVTGeom(shape, grid.envelope(z), EXTENT, BUFFER, True).label("geom"),
        )
        .where(found.run_id == run_id, geom.op("&&")(grid.envelope(z, buffer=BUFFER)))
        .order_by(found.layer, found.feature_id)
        .subquery("tile")
    )
    mvt = func.ST_AsMVT(literal_column("tile"), NAME, EXTENT, "geom", "id")
    told = select(cast(mvt.filter(rows.c.geom.is_not(None)), LargeBinary).label("mvt"))
    return told.select_from(rows), {"x": tile.x, "y": tile.y}
