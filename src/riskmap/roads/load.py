"""Roads between the database and the arrays: all SQL about the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from psycopg import Connection as DriverConnection
from psycopg import OperationalError
from pyproj import Transformer
from sqlalchemy import ColumnElement, Row, Table, case, delete, exists, func, or_, select, text

from riskmap.db.audit import record
from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.db.tables import FEED, ROAD_EDGES, ROAD_PROFILES, ROAD_SPEEDS, ROAD_TURNS
from riskmap.errors import InputError, UnavailableError
from riskmap.roads.edges import RoadEdges, Turn
from riskmap.roads.graph import RoadGraph, build_graph
from riskmap.roads.turns import NO_TURNS, banned_passages
from riskmap.units import MS_PER_S, UNREACHED, WGS84, Bbox

# What the triggers call the network in the feed: edges, turns, profiles, speeds and factors count.
FEED_NAME: Final = "roads"

_COPIED: Final = (
    "geom",
    "from_node",
    "to_node",
    "source_id",
    "road_class",
    "name",
    "oneway",
    "maxspeed_kmh",
    "bridge",
    "tunnel",
    "level",
    "motor",
    "restricted",
    "foot",
)


@dataclass(frozen=True, slots=True)
class RoadsState:
    """What network is stored. `revision` names its content; a change of speeds changes it too."""

    revision: str
    edges: int
    length_km: float


def replace_edges(session: WriteSession, edges: RoadEdges, box: Bbox, *, source: str) -> RoadsState:
    """Put a network in the place of the stored one, in the session's transaction.

    Raises
    ------
    InputError
        No road of the file touches the city's box: another city's file, or a wrong CRS.
    UnavailableError
        The connection was lost.
    """
    inside = (
        (edges.lonlat[:, 0] >= box.west)
        & (edges.lonlat[:, 0] <= box.east)
        & (edges.lonlat[:, 1] >= box.south)
        & (edges.lonlat[:, 1] <= box.north)
    )
    if not inside.any():
        raise InputError("roads.elsewhere", parameter="file", bbox=",".join(map(str, box)))
    lines = shapely.from_ragged_array(
        shapely.GeometryType.LINESTRING, edges.lonlat, (edges.offsets,)
    )
    shapes = shapely.to_wkb(shapely.set_srid(lines, WGS84), hex=True, include_srid=True)
    speed = [None if not v > 0 else float(v) for v in edges.maxspeed_kmh]
    rows = zip(
        shapes,
        edges.from_node.tolist(),
        edges.to_node.tolist(),
        edges.source_id,
        edges.road_class,
        (name or None for name in edges.name),
        edges.oneway,
        speed,
        edges.bridge.tolist(),
        edges.tunnel.tolist(),
        edges.layer.tolist(),
        edges.motor.tolist(),
        edges.restricted.tolist(),
        edges.foot.tolist(),
        strict=True,
    )
    # One import at a time: a second one's DELETE would not see the rows that the first adds.
    session.execute(text("SELECT pg_advisory_xact_lock(hashtext('riskmap.import.roads'))"))
    # Turns name edges: those of another network mean nothing here.
    session.execute(delete(ROAD_TURNS))
    session.execute(delete(ROAD_EDGES))
    _copy(session, ROAD_EDGES, _COPIED, rows)
    _copy(session, ROAD_TURNS, Turn._fields, edges.turns)
    state = stored_edges(session)
    record(
        session,
        "roads.import",
        FEED_NAME,
        {"source": source, "length_km": round(state.length_km, 1), "turns": len(edges.turns)},
        row_count=state.edges,
    )
    return state


def _copy(
    session: WriteSession, table: Table, names: Iterable[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    driver: DriverConnection[Any] = session.connection.connection.driver_connection  # type: ignore[assignment]
    columns = ", ".join(f'"{table.c[name].name}"' for name in names)
    statement = f"COPY {table.name} ({columns}) FROM STDIN".encode()
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except OperationalError as error:
        raise UnavailableError("database.away") from error


def stored_edges(session: ReadSession) -> RoadsState:
    """Return the number and length of the stored edges; the revision is empty within an import."""
    row = session.execute(
        select(
            func.count(ROAD_EDGES.c.id).label("edges"),
            (func.coalesce(func.sum(ROAD_EDGES.c.length_m), 0.0) / 1000).label("length_km"),
        )
    ).one()
    return RoadsState("", row.edges, row.length_km)


def roads_revision(session: ReadSession) -> str | None:
    """Return the name of the stored network's content, or None when there is none.

    The time of the commit stands in it: a restored database may count to the same number again.
    """
    row = session.execute(select(*revision_columns())).one()
    return revision_name(row)


def revision_columns() -> tuple[ColumnElement[Any], ...]:
    """Return what `revision_name` reads, for a statement that asks for more beside it."""
    last = (
        select(FEED.c.revision, FEED.c.at)
        .where(FEED.c.layer == FEED_NAME, FEED.c.revision.is_not(None))
        .order_by(FEED.c.revision.desc())
        .limit(1)
        .subquery()
    )
    return (
        select(last.c.revision).scalar_subquery().label("roads_revision"),
        select(last.c.at).scalar_subquery().label("roads_at"),
        exists(select(ROAD_EDGES.c.id)).label("has_roads"),
    )


def revision_name(row: Row[Any]) -> str | None:
    """Return the name of the network's content from a row of `revision_columns`."""
    if row.roads_revision is None or not row.has_roads:
        return None
    return f"{row.roads_revision}-{row.roads_at:%Y%m%dT%H%M%S%f}"


def profiles(session: ReadSession) -> list[str]:
    """Return the names of the profiles."""
    return list(
        session.execute(select(ROAD_PROFILES.c.profile).order_by(ROAD_PROFILES.c.profile)).scalars()
    )


def speed_sources(session: ReadSession, profile: str) -> list[str]:
    """Return where the speeds of a profile come from."""
    return list(
        session.execute(
            select(ROAD_SPEEDS.c.source).distinct().where(ROAD_SPEEDS.c.profile == profile)
        ).scalars()
    )


def _times(row_length: npt.NDArray[np.float64], kmh: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return whole milliseconds over each edge; NaN speeds are closed directions."""
    open_ = np.isfinite(kmh) & (kmh > 0)
    ms = np.full(len(kmh), UNREACHED, dtype=np.int64)
    # length / (kmh / 3.6) seconds
    ms[open_] = np.maximum(1, np.rint(row_length[open_] * 3.6 / kmh[open_] * MS_PER_S))
    return np.minimum(ms, UNREACHED).astype(np.int32)


def read_graph(session: ReadSession, *, profile: str, srid: int, revision: str) -> RoadGraph:
    """Build the graph of a profile from the stored network.

    Walkers go where `foot` allows, vehicles where `motor` does. Turn restrictions are given to the
    profiles that obey them.

    Raises
    ------
    UnavailableError
        No road of the network is open to the profile.
    """
    edge, speed = ROAD_EDGES.c, ROAD_SPEEDS.c
    along = case(
        (
            speed.maxspeed_factor.is_not(None) & edge.maxspeed_kmh.is_not(None),
            edge.maxspeed_kmh * speed.maxspeed_factor,
        ),
        else_=speed.speed_kmh,
    )
    against = along * speed.against_oneway_factor
    how = ROAD_PROFILES.c
    statement = (
        select(
            edge.id,
            edge.from_node,
            edge.to_node,
            edge.length_m,
            func.ST_AsBinary(edge.geom).label("wkb"),
            case((edge.oneway == "backward", against), else_=along).label("forward_kmh"),
            case((edge.oneway == "forward", against), else_=along).label("backward_kmh"),
            edge.road_class,
            # From a bridge or out of a tunnel nobody steps into what lies beside it on the map.
            (speed.stops & ~edge.bridge & ~edge.tunnel).label("stops"),
        )
        .join(ROAD_SPEEDS, (speed.road_class == edge.road_class) & (speed.profile == profile))
        .join(ROAD_PROFILES, how.profile == speed.profile)
        .where(
            case((how.mode == "foot", edge.foot), else_=edge.motor),
            or_(how.mode == "foot", how.uses_restricted, ~edge.restricted),
        )
        .order_by(edge.id)
    )
    session.execute(text("SET LOCAL statement_timeout = 0"))
    rows = session.execute(statement).all()
    if not rows:
        raise UnavailableError("roads.none_open", parameter="profile", profile=profile)
    ids, starts, ends, length, wkb, forward, backward, classes, stops = zip(*rows, strict=True)
    lines = shapely.from_wkb(list(wkb))
    lonlat, offsets = shapely.to_ragged_array(lines)[1:]
    to_local = Transformer.from_crs(WGS84, srid, always_xy=True)
    xy = np.column_stack(to_local.transform(lonlat[:, 0], lonlat[:, 1]))
    metres = np.array(length, dtype=float)
    rules = session.execute(
        select(how.u_turns, how.obeys_turns).where(how.profile == profile)
    ).one()
    ends_of = np.column_stack([np.array(column, dtype=np.int64) for column in (ids, starts, ends)])
    return build_graph(
        revision=revision,
        profile=profile,
        srid=srid,
        edge_id=ids,
        from_node=starts,
        to_node=ends,
        xy=xy,
        offsets=offsets[0],
        length_m=metres,
        forward_ms=_times(metres, np.array(forward, dtype=float)),
        backward_ms=_times(metres, np.array(backward, dtype=float)),
        road_class=classes,
        stops=np.array(stops, dtype=bool),
        turns=banned_passages(ends_of, _stored_turns(session)) if rules.obeys_turns else NO_TURNS,
        u_turns=rules.u_turns,
    )


def _stored_turns(session: ReadSession) -> npt.NDArray[np.int64]:
    """Return (from edge id, via node id, to edge id, 1 if mandatory) of each restriction.

    A source id that several edges bear gives a row for each of them: the via node decides.
    """
    turn = ROAD_TURNS.c
    start, end = ROAD_EDGES.alias("f"), ROAD_EDGES.alias("t")
    rows = session.execute(
        select(start.c.id, turn.via_node, end.c.id, turn.mandatory)
        .join(start, start.c.source_id == turn.from_source)
        .join(end, end.c.source_id == turn.to_source)
    ).all()
    return np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 4)
