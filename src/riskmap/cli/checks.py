"""What `riskmap doctor` looks at, in the order in which things can go wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text

from riskmap.catalog.registry import load_catalog
from riskmap.cli.opening import Opened, opened
from riskmap.db.city import find_city
from riskmap.db.migrate import connect_owner, schema_state
from riskmap.db.sessions import API_ROLE, shown
from riskmap.errors import RiskmapError
from riskmap.i18n import LANGS, say
from riskmap.roads.load import roads_revision, stored_edges


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fine` is None for what is merely not there yet."""

    name: str
    fine: bool | None
    detail: str


def _both(key: str, **values: object) -> str:
    return "\n".join(say(key, lang, **values) for lang in LANGS)


def run() -> Iterator[Check]:
    """Yield the findings; what cannot be looked at after a failure is left out."""
    yield Check("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    try:
        with opened(migrated=False) as ready:
            yield Check("数据库 Database", True, shown(ready.database.owner_url))
            yield from _database(ready)
    except RiskmapError as error:
        yield Check("数据库 Database", False, str(error))


def _database(ready: Opened) -> Iterator[Check]:
    with connect_owner(ready.database.owner_engine) as connection:
        version = connection.execute(text("SHOW server_version")).scalar_one()
        yield Check("PostgreSQL", True, version)
        state = schema_state(connection)
        if not state.ready:
            found = _both("schema.not_ready", current=state.current, head=state.head)
            yield Check("结构 Schema", False, found)
            return
        yield Check("结构 Schema", True, state.head)
        found = connection.execute(text("SELECT postgis_full_version()")).scalar_one()
        yield Check("PostGIS", True, found.split(" [")[0])
        owned = connection.execute(
            text(
                "SELECT count(*) FROM pg_class WHERE relowner ="
                " (SELECT oid FROM pg_roles WHERE rolname = :role)"
            ),
            {"role": API_ROLE},
        ).scalar_one()
        yield Check("角色 Role", owned == 0, API_ROLE)
    with ready.database.read() as session:
        city = find_city(session)
        yield Check(
            "城市 City", None if city is None else True, city.name if city else _both("city.none")
        )
        revision = roads_revision(session)
        roads = stored_edges(session)
        detail = f"{roads.edges:,} / {roads.length_km:,.0f} km / {revision}"
        yield Check(
            "路网 Roads",
            None if revision is None else True,
            detail if revision else _both("roads.none"),
        )
    yield Check("图层 Layers", True, str(len(load_catalog())))
