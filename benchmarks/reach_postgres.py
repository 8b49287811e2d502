"""pgRouting for benchmarks/reach.py, in a private PostgreSQL of riskmap's own making."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from riskmap.db.cluster import Cluster
from riskmap.roads.graph import RoadGraph
from riskmap.settings import Settings
from riskmap.units import UNREACHED

# Farther than this as the crow flies nobody gets in a millisecond: 100 km/h, the fastest class.
_FASTEST_MPMS = 100 / 3.6 / 1000


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    folder.chmod(0o755)  # the account of root's clusters enters it
    found = Cluster.locate(Settings(data_dir=folder / "data"))
    with found.running():
        with connect(found, "postgres") as session:
            session.execute("ALTER SYSTEM SET fsync = off")
            session.execute("SELECT pg_reload_conf()")
        yield found


def connect(found: Cluster, database: str) -> psycopg.Connection:
    address = found.owner_url(database).set(drivername="postgresql")
    return psycopg.connect(address.render_as_string(hide_password=False), autocommit=True)


def has_pgrouting(found: Cluster) -> bool:
    with connect(found, "postgres") as session:
        row = session.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'pgrouting'"
        ).fetchone()
    return row is not None


@dataclass
class Routing:
    """A database with the edges of one graph, and one session of it."""

    session: psycopg.Connection
    version: str

    def count(self, node: int, limit_ms: int, place: tuple[float, float] | None = None) -> float:
        """Let it count what is reached; return the milliseconds. With a place: edges near it."""
        edges = "SELECT id, source, target, cost, reverse_cost FROM edges"
        if place is not None:
            metres = limit_ms * _FASTEST_MPMS
            west, south, east, north = (
                *(value - metres for value in place),
                *(value + metres for value in place),
            )
            edges += f" WHERE geom && ST_MakeEnvelope({west}, {south}, {east}, {north}, 0)"
        began = time.perf_counter()
        self.session.execute(
            "SELECT count(*) FROM pgr_drivingDistance(%s, %s::bigint, %s::float8, true)",
            (edges, node, limit_ms),
        ).fetchone()
        return (time.perf_counter() - began) * 1000

    def close(self) -> None:
        self.session.close()


def load(found: Cluster, name: str, graph: RoadGraph) -> Routing:
    """Put the edges of a graph into a database, whole milliseconds as its costs."""
    with connect(found, "postgres") as session:
        session.execute(f'CREATE DATABASE "{name}"')
    session = connect(found, name)
    session.execute("CREATE EXTENSION pgrouting CASCADE")
    session.execute(
        "CREATE TABLE edges (id bigint PRIMARY KEY, source bigint, target bigint, cost float8,"
        " reverse_cost float8, x0 float8, y0 float8, x1 float8, y1 float8)"
    )
    ends = [graph.xy[graph.offsets[:-1]], graph.xy[graph.offsets[1:] - 1]]
    costs = [
        [-1.0 if one == UNREACHED else float(one) for one in times.tolist()]
        for times in (graph.forward_ms, graph.backward_ms)
    ]
    with session.cursor() as cursor, cursor.copy("COPY edges FROM STDIN") as copy:
        for row in zip(
            graph.edge_id.tolist(),
            graph.node_id[graph.edge_from].tolist(),
            graph.node_id[graph.edge_to].tolist(),
            *costs,
            *(end[:, axis].tolist() for end in ends for axis in (0, 1)),
            strict=True,
        ):
            copy.write_row(row)
    session.execute(
        "ALTER TABLE edges ADD geom geometry(Geometry, 0);"
        "UPDATE edges SET geom = ST_MakeEnvelope(least(x0, x1), least(y0, y1),"
        " greatest(x0, x1), greatest(y0, y1), 0);"
        "CREATE INDEX ON edges USING gist (geom); CREATE INDEX ON edges (source);"
        "CREATE INDEX ON edges (target)"
    )
    session.execute("VACUUM (FULL, ANALYZE) edges")
    row = session.execute("SELECT pgr_version()").fetchone()
    assert row is not None
    return Routing(session, str(row[0]))
