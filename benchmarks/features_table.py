"""The table that benchmarks/features.py measures, and the statements that psql is given."""

from __future__ import annotations

import sys
import time

import psycopg
from sqlalchemy.dialects import postgresql

import riskmap.layers  # noqa: F401  (the tables)
from riskmap.catalog.spec import Field, Kind, Layer
from riskmap.db.city import City, write_city
from riskmap.db.cluster import Cluster
from riskmap.db.migrate import migrate
from riskmap.db.sessions import Actor, Database
from riskmap.features import statements
from riskmap.features.query import FeatureQuery
from riskmap.settings import Settings
from riskmap.units import Bbox

DATABASE = "bench"
SEED = 0.15
MOST_PAIRS = 50
CITY = City("测试市", "Testville", Bbox(120.0, 36.0, 121.0, 37.0), 4549, "Asia/Shanghai")
# What the service fills in itself, or what a load by hand leaves alone.
_LEFT = {"version", "created_at", "updated_at", "source_system", "code", "attributes"}


def value(field: Field, place: int) -> str:  # noqa: PLR0911
    """Return SQL of a field's value in row n: two of three fields are filled in, as in practice."""
    if field.values and field.kind is not Kind.TEXTS:
        codes = ", ".join(
            f"'{one.code}'" if isinstance(one.code, str) else str(one.code) for one in field.values
        )
        return f"(ARRAY[{codes}])[1 + n % {len(field.values)}]"
    match field.kind:
        case Kind.INTEGER:
            return f"n % {100 + place}"
        case Kind.NUMBER:
            return "round((random() * 1000)::numeric, 2)::float8"
        case Kind.BOOLEAN:
            return "n % 2 = 0"
        case Kind.DATE:
            return "DATE '2024-02-29' + (n % 300)"
        case Kind.DATETIME:
            return "TIMESTAMPTZ '2024-02-29 08:00+08' + (n % 300) * INTERVAL '1 hour'"
        case _:
            return f"'{field.zh}' || n"


def load(cluster: Cluster, layer: Layer, rows: int) -> float:
    """Make the database with a layer full of points; return how many seconds the rows took."""
    cluster.ensure_database(DATABASE)
    database = Database(cluster.owner_url(DATABASE), cluster.api_url(DATABASE), Settings())
    migrate(database)
    with database.own(Actor("benchmark")) as session:
        write_city(session, CITY)
    database.dispose()
    filled = {
        field.name: value(field, place)
        for place, field in enumerate(layer.fields)
        if field.name not in _LEFT
        and field.kind not in (Kind.TEXTS, Kind.JSON)
        and not field.restricted
        and (field in layer.own_fields or place % 3)
        and field.name not in ("raw_x", "raw_y", "valid_from", "valid_to")
    }
    began = time.perf_counter()
    with connect(cluster) as session:
        session.execute(f"SELECT setseed({SEED})")
        session.execute(
            f"""
            INSERT INTO {layer.table} (geom, code, source_system, {", ".join(filled)})
            SELECT ST_SetSRID(ST_MakePoint(
                    (120 + random())::numeric(10, 7), (36 + random())::numeric(10, 7)), 4326),
                'B' || n, 'benchmark', {", ".join(filled.values())}
            FROM generate_series(1, {rows}) n"""
        )
        session.execute(f"VACUUM ANALYZE {layer.table}")
        session.execute("CHECKPOINT")
    return time.perf_counter() - began


def connect(cluster: Cluster) -> psycopg.Connection:
    """Open a session of the owner."""
    address = cluster.owner_url(DATABASE).set(drivername="postgresql")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)


def ours_sql(layer: Layer, limit: int | None) -> str:
    """Return the text of our own statement, its features alone."""
    query = FeatureQuery(layer=layer, limit=limit)
    compiled = statements.page(query).compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    )
    # The page's extra row stays: we read it, too.
    return f"SELECT feature FROM ({compiled}) page"


def peer_sql(layer: Layer, limit: int) -> str:
    """Return the statement that anybody would write first."""
    query = FeatureQuery(layer=layer, limit=limit)
    names = [field.name for field in query.fields]
    pairs = [f"'{name}', {name}" for name in names]
    if len(pairs) > MOST_PAIRS:
        sys.exit(f"{layer.id} has more fields than a function takes arguments")
    built = f"json_build_object({', '.join(pairs)})"
    return (
        "SELECT json_build_object('type', 'Feature', 'id', id, 'geometry', "
        f"ST_AsGeoJSON(geom, 7, 0)::json, 'properties', {built}) "
        f"FROM {layer.table} ORDER BY id LIMIT {limit + 1}"
    )
