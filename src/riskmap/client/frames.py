"""Features of the service as frames whose columns have the types that the layer declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import shape

CRS = "EPSG:4326"
# Types that can say "not known": a missing level must become neither 0 nor 4.
_TYPES = {"integer": "Int64", "number": "float64", "boolean": "boolean"}


def features_frame(
    features: Sequence[Mapping[str, Any]], fields: Iterable[Mapping[str, Any]]
) -> gpd.GeoDataFrame:
    """Return features, their ids as index.

    Parameters
    ----------
    fields
        Name and type of each field as `/collections/{layer}` lists them: an empty answer has
        these columns, too. What features have beside them (child rows) follows as it is.
    """
    kinds = {field["name"]: field["type"] for field in fields}
    names = dict.fromkeys(kinds)
    for feature in features:
        names.update(dict.fromkeys(feature["properties"]))
    index = pd.Index([feature["id"] for feature in features], name="id", dtype="int64")
    columns = {
        name: column([feature["properties"].get(name) for feature in features], kinds.get(name))
        for name in names
    }
    data = pd.DataFrame({name: values.set_axis(index) for name, values in columns.items()}, index)
    geometry = [
        None if feature["geometry"] is None else shape(feature["geometry"]) for feature in features
    ]
    return gpd.GeoDataFrame(data, geometry=gpd.GeoSeries(geometry, index=index, crs=CRS))


def column(values: list[Any], kind: str | None) -> pd.Series[Any]:
    """Return values as their kind's type; null stays null."""
    try:
        if kind == "date":
            return pd.Series(_days(values))
        if kind == "datetime":
            return pd.Series(_moments(values)).dt.tz_localize("UTC")
    except ValueError:
        # PostgreSQL's dates know "infinity" and years before Christ, numpy's reader does not.
        return pd.Series(values, dtype=object)
    return pd.Series(values, dtype=_TYPES.get(kind or "", object))


def _days(values: list[str | None]) -> np.ndarray[Any, Any]:
    # Microseconds reach to the year 9999, which stands for "for ever"; nanoseconds to 2262.
    days = [None if value is None else date.fromisoformat(value) for value in values]
    return np.array(days, dtype="datetime64[us]")


def _moments(values: list[str | None]) -> np.ndarray[Any, Any]:
    moments = [
        None
        if value is None
        else datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        for value in values
    ]
    return np.array(moments, dtype="datetime64[us]")


def filter_value(name: str, wanted: Any) -> str:
    """Write a property filter as the service reads it: several values are alternatives.

    Raises
    ------
    ValueError
        A text holds a comma, which the service takes for two values.
    """
    several = wanted if isinstance(wanted, list | tuple | set | frozenset | range) else [wanted]
    return ",".join(_scalar(name, value) for value in several)


def _scalar(name: str, value: Any) -> str:
    if value is None or value is pd.NA:
        return "null"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    text = value.isoformat() if isinstance(value, date) else str(value)
    if "," in text:
        raise ValueError(
            f"{name}: 值中不能有英文逗号 {text!r}\n{name}: a value may hold no comma: {text!r}"
        )
    return text
