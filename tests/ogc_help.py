"""What the ported abstract tests of OGC API - Features share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from api_help import CATALOG, Served, put, row_of, serving, shape
from riskmap.db.cluster import Cluster

OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
GEOJSON = "application/geo+json"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG = "http://www.opengis.net/def/crs/EPSG/0"
# Points, lines, areas and a layer of all of them.
LAYERS = ("geohazard-points", "fault-lines", "flash-flood-zones", "shelters")
ROWS = 23
# Open on both sides, at one end, closed, an instant.
TIMES = (
    (None, None),
    ("2023-01-01T00:00:00Z", None),
    (None, "2024-06-30T23:59:59Z"),
    ("2024-01-01T00:00:00Z", "2024-12-31T00:00:00Z"),
    ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
)


@contextmanager
def a_city(cluster: Cluster, template: str) -> Iterator[Served]:
    """Serve a city whose features lie apart and are valid at different times."""
    with serving(cluster, template) as served:
        for layer in CATALOG.values():
            rows = []
            for turn in range(ROWS if layer.id in LAYERS else 3):
                since, until = TIMES[turn % len(TIMES)]
                place = shape(layer.geometry, 120.1 + 0.031 * turn, 36.1 + 0.029 * turn, turn)
                row = row_of(layer, turn)
                for field in layer.fields:
                    if field.maximum is not None:
                        row[field.name] = min(row[field.name], field.maximum)
                rows.append({**row, "geom": place, "valid_from": since, "valid_to": until})
            put(served.database, layer.id, *rows)
        yield served


def all_items(served: Served, layer: str, **params: Any) -> list[dict[str, Any]]:
    """Read a collection by its next links."""
    answer = served.get(f"/collections/{layer}/items", **params)
    found: list[dict[str, Any]] = []
    while True:
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found += body["features"]
        following = [link["href"] for link in body["links"] if link["rel"] == "next"]
        if not following:
            return found
        (address,) = following
        answer = served.client.get(address)


def link_of(body: dict[str, Any], rel: str, media: str | None = None) -> dict[str, Any]:
    """Return the one link of a relation (and type)."""
    (found,) = [
        link for link in body["links"] if link["rel"] == rel and media in (None, link["type"])
    ]
    return found


def parameter(document: dict[str, Any], path: str, name: str) -> dict[str, Any]:
    """Find a parameter of a GET in the API's description, as the suite does."""
    item = document["paths"][path]
    for one in [*item.get("parameters", []), *item["get"]["parameters"]]:
        key = one.get("$ref", "").rpartition("/")[2]
        found = document["components"]["parameters"][key] if key else one
        if found["name"] == name and found["in"] == "query":
            return found
    raise AssertionError(f"{path} declares no {name}")


def is_problem(answer: Any, status: int, at_fault: str | None = None) -> None:
    """Check for a problem that names what is at fault."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert body["status"] == status and body["type"] and body["title"]
    if at_fault is not None:
        assert body["parameter"] == at_fault


def instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def valid_in(feature: dict[str, Any], start: str | None, end: str | None) -> bool:
    """Say whether a feature is valid at some moment of a closed interval."""
    since = instant(feature["properties"]["valid_from"])
    until = instant(feature["properties"]["valid_to"])
    first, last = instant(start), instant(end)
    return (since is None or last is None or since <= last) and (
        until is None or first is None or until >= first
    )
