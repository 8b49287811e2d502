"""What schemathesis cannot read from JSON Schema: loaded by name through SCHEMATHESIS_HOOKS."""

from __future__ import annotations

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
    "sort-key": ["-code", "name", "id"],
    "layer": ["shelters", "geohazard-points"],
    "group-key": ["status", "admin_code"],
    "sum-key": ["position_accuracy_m"],
    "etag": ['"1"', '"7-abcdef12"'],
    # All of the id, forward, in the order of ids: such as the service itself makes.
    "cursor": ["WzcsMCwiIixbXV0"],
}
for name, values in FORMATS.items():
    schemathesis.openapi.format(name, st.sampled_from(values))
