"""One place for the name of each division.

A style would name every piece that tiles cut a division into, and every island of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Select, func, literal, select, union_all

from riskmap.catalog.spec import Layer
from riskmap.crs.datum import DECIMALS, Datum
from riskmap.db.sessions import AsyncReadSession
from riskmap.features.summary import LEVEL
from riskmap.features.where import table_for

# Levels that are named, the largest first: whole provinces and grids of a street are not.
LEVELS: Final = ("district", "street", "community")


def statement(layers: Sequence[Layer]) -> Select[Any]:
    """Return (layer, id, level, name, name_en, lon, lat) of the divisions that have a name."""
    places = union_all(
        *(
            select(
                literal(layer.id).label("layer"),
                table.c.id,
                table.c[LEVEL],
                table.c.name,
                table.c.name_en,
                # Inside the division, and in its widest part.
                func.ST_PointOnSurface(table.c.geom).label("at"),
            ).where(table.c[LEVEL].in_(LEVELS), func.coalesce(table.c.name, table.c.name_en) != "")
            for layer in layers
            for table in [table_for(layer)]
        )
    ).subquery("places")
    columns = [column for column in places.c if column.name != "at"]
    lonlat = (func.ST_X(places.c.at).label("lon"), func.ST_Y(places.c.at).label("lat"))
    return select(*columns, *lonlat).order_by(places.c.layer, places.c.id)


async def names(session: AsyncReadSession, layers: Sequence[Layer], datum: Datum) -> dict[str, Any]:
    """Return the names as a FeatureCollection of points, positions in a datum."""
    rows = (await session.execute(statement(layers))).all() if layers else []
    lonlat = np.array([(row.lon, row.lat) for row in rows], dtype=float).reshape(-1, 2)
    features = [
        {
            "type": "Feature",
            "id": row.id,
            "properties": {
                key: value
                for key in ("layer", LEVEL, "name", "name_en")
                if (value := getattr(row, key)) is not None
            },
            "geometry": {"type": "Point", "coordinates": at},
        }
        for row, at in zip(rows, datum.from_wgs84(lonlat).round(DECIMALS).tolist(), strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}
