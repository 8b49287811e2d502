"""A small synthetic city on a real port, for those who come by HTTP: notebooks and their client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "analysis"))

from grid_city import build, place

from api_help import CATALOG, Served, listening, put, row_of, serving
from conftest import TEST_CITY
from riskmap.app import create_app
from riskmap.client import Client
from riskmap.db.city import write_city
from riskmap.db.cluster import Cluster
from riskmap.db.sessions import Actor

__all__ = ["FILLED", "LAYER", "NAMES", "ROWS", "Online", "an_online_city", "place"]

ROWS = 7
LAYER = "geohazard-points"
# Names that would do harm as HTML or as a template.
NAMES = {"script": "</script><script>alert(1)</script>", "braces": "{{ 7*7 }} {% x %}"}
FILLED = sorted(set(CATALOG) - {"supply-depots"})


@dataclass
class Online:
    served: Served
    url: str

    def client(self, **options: Any) -> Client:
        return Client(self.url, **options)

    def items(self, layer: str, **params: Any) -> dict[str, Any]:
        answer = self.served.get(f"/collections/{layer}/items", **params)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def an_online_city(cluster: Cluster, migrated: str) -> Iterator[Online]:
    """Serve rows in every layer but the depots', on streets of whole minutes."""
    with serving(cluster, migrated) as served:
        with served.database.own(Actor("test")) as session:
            write_city(session, replace(TEST_CITY, synthetic=True), replace=True)
        for layer in FILLED:
            put(served.database, layer, *(row_of(CATALOG[layer], turn) for turn in range(ROWS)))
        for code, name in NAMES.items():
            row = {**row_of(CATALOG[LAYER], 1), "code": code, "name": name}
            put(served.database, LAYER, row)
        build(served.database)
        with listening(create_app(served.settings)) as port:
            yield Online(served, f"http://127.0.0.1:{port}")
