"""The API's description against the service: requests that schemathesis makes of it, all checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st

from api_help import Served
from ogc_help import a_city
from riskmap.db.cluster import Cluster

# Values that no JSON Schema tells: what a plain string would be is refused, as it should be.
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
FORMATS = {
    "cql2": ["code = 'x'", "NOT name IS NULL", "S_INTERSECTS(geometry,BBOX(120,36,121,37))"],
    "crs-uri": [CRS84, "http://www.opengis.net/def/crs/EPSG/0/4490"],
    "rfc3339-interval": ["2024-02-29T00:00:00Z", "../2024-01-01T00:00:00Z", "2024-01-01/P1Y"],
    "words": ["避难", "name 3", "甲"],
    "property": ["code", "name"],
    "sort-key": ["-code", "name", "id"],
    "layer": ["shelters", "geohazard-points"],
    "group-key": ["status", "admin_code"],
    "sum-key": ["position_accuracy_m"],
    "etag": ['"1"', '"7-abcdef12"'],
    "cursor": [],
}
# Made by the service alone, or for files: nothing that a schema could make.
LEFT_OUT = ("cursor",)


def schema_of(served: Served) -> Any:
    for name, values in FORMATS.items():
        if values:
            schemathesis.openapi.format(name, st.sampled_from(values))
    return schemathesis.openapi.from_asgi("/openapi.json", served.app)


@pytest.fixture(scope="module")
def served(cluster: Cluster, migrated: str) -> Iterator[Served]:
    with a_city(cluster, migrated) as found:
        yield found
