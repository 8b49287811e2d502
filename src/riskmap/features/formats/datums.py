"""Rows in GCJ-02 or BD-09, which PostGIS does not know: the arithmetic is done here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import shapely
from numpy.typing import NDArray

from riskmap.catalog.spec import Geometry
from riskmap.crs.datum import DECIMALS, Datum, shapes_to_geojson
from riskmap.db.cursors import Row
from riskmap.features.formats.columns import moved
from riskmap.features.query import FeatureQuery


def shapes(wkb: Sequence[bytes], datum: Datum) -> NDArray[np.object_]:
    """Return geometries in a datum, 7 decimals; None where its formula is not made for."""
    found = shapely.force_2d(shapely.from_wkb(np.array(wkb, dtype=object)))
    if datum is Datum.WGS84:
        return np.asarray(found, dtype=object)
    xy, owner = shapely.get_coordinates(found, return_index=True)
    places = np.round(datum.from_wgs84(xy), DECIMALS)
    turned = np.asarray(shapely.set_coordinates(found, places), dtype=object)
    turned[np.unique(owner[~np.isfinite(places[:, 0])])] = None
    return turned


def places(wkb: Sequence[bytes], query: FeatureQuery) -> list[tuple[str, ...]]:
    """Return the texts of the geometry's columns: longitude and latitude, or WKT."""
    found = shapes(wkb, query.datum)
    if query.layer.geometry is not Geometry.POINT:
        texts = shapely.to_wkt(found, rounding_precision=DECIMALS, trim=True)
        return [("" if text is None else text,) for text in texts]
    pairs = zip(shapely.get_x(found).tolist(), shapely.get_y(found).tolist(), strict=True)
    return [("", "") if x != x else (repr(x), repr(y)) for x, y in pairs]  # noqa: PLR0124


async def geojson(batch: Sequence[Row], query: FeatureQuery) -> list[bytes]:
    """Return the features of a batch of `feature_columns` as GeoJSON."""

    def around(batch: Sequence[Row]) -> list[bytes]:
        texts = shapes_to_geojson([row[1] for row in batch], query.datum)
        return [
            b"".join((before, shape.encode(), after))
            for (before, _, after), shape in zip(batch, texts, strict=True)
        ]

    return await texts_of(batch, query, around)


async def texts_of(
    batch: Sequence[Row], query: FeatureQuery, around: Callable[[Sequence[Row]], list[bytes]]
) -> list[bytes]:
    """Return the texts of a batch: its only column, or what is put `around` moved geometries."""
    if not moved(query):
        return list(chain.from_iterable(batch))
    # Arithmetic on every vertex: others are served meanwhile.
    return await asyncio.to_thread(around, batch)
