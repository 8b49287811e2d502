"""What schemathesis cannot read from JSON Schema: loaded by name through SCHEMATHESIS_HOOKS."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
# Values of the formats that the description names; any other text is refused, as it should be.
FORMATS = {
    "cql2": ["code = 'x'", "NOT name IS NULL", "S_INTERSECTS(geometry,BBOX(120,36,121,37))"],
    "crs-uri": [CRS84, "http://www.opengis.net/def/crs/EPSG/0/4490"],
    "rfc3339-interval": ["2024-02-29T00:00:00Z", "../2024-01-01T00:00:00Z"],
    "words": ["避难", "name 3", "甲"],
    "property": ["code", "name"],
    "sort-key": [
        *["code", "name", "name_en", "status", "-address", "version", "source_id", "-updated_at"],
        "id",
    ],
    "layer": ["shelters", "geohazard-points"],
    "group-key": ["status", "admin_code", "department"],
    "sum-key": ["position_accuracy_m"],
    "etag": ['"1"', '"7-abcdef12"'],
    "scenario": ["{}"],
    "number-cursor": ["Nw"],
    # All of the id, forward, in the order of ids: such as the service itself makes.
    "cursor": ["WzcsMCwiIixbXV0"],
}
for name, values in FORMATS.items():
    schemathesis.openapi.format(name, st.sampled_from(values))


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Keep to the rules between parameters, for which JSON Schema of a parameter has no words."""
    query = case.query
    if not query or case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
        return
    if "sortby" in query:  # a cursor is that of one order
        query.pop("cursor", None)
    if query.get("datum", "wgs84") != "wgs84":  # which no CRS names
        query.pop("crs", None)
        query.pop("bbox-crs", None)
        if "lon" in query:  # where the others have positions
            query |= {"lon": 120.5, "lat": 36.5}
    if query.get("filter-lang") == "cql2-json" and "filter" in query:
        query["filter"] = '{"op":"=","args":[{"property":"code"},"x"]}'
    if "admin_digits" in query:
        query["group_by"] = ["admin_code"]
