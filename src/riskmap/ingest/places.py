"""The division code of rows by their position, and where a stated code disagrees with it.

The divisions are the features of the layers with the role area; the declared order of their
levels says which is the more detailed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from geoalchemy2 import Geometry as GeometryColumn
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Double,
    FromClause,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on

from riskmap.catalog.registry import load_catalog
from riskmap.catalog.spec import Layer, Role
from riskmap.db.base import METADATA
from riskmap.db.sessions import ReadSession, WriteSession
from riskmap.features.summary import LEVEL
from riskmap.ingest.frames import ROW
from riskmap.ingest.report import Problem, shorten
from riskmap.units import WGS84

ADMIN_CODE: Final = "admin_code"
# Grids are drawn by each street for itself; no standard gives them a code (DOMAIN.md section 2).
_GRID: Final = "grid"
# Vertices of a piece of a division: what a border of 10,000 vertices costs for every point, a
# piece costs only for those near it.
_PIECE: Final = 64


def _temporary(name: str, *columns: Column[Any]) -> Table:
    return Table(name, MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


_POINTS: Final = _temporary(
    "riskmap_points",
    Column(ROW, Integer),
    Column("geom", GeometryColumn("POINT", WGS84, spatial_index=False)),
    Column("stated", String),
)
PLACES: Final = _temporary(
    "riskmap_places", Column(ROW, Integer), Column("code", String), Column("stated", String)
)
"""What `find_places` fills: row, code by position, stated code where it is another one."""


def find_places(
    session: WriteSession, layer: Layer, rows: Select[Any], *, areas: Sequence[Layer] | None = None
) -> None:
    """Look up in which division each row lies; `PLACES` holds what was found.

    The points are indexed and the divisions, cut in pieces, walk through them: PostGIS prepares a
    piece once for all its points. 200,000 points in 1,509 divisions take 1.5 s of processor time,
    the other way round (each point asks the index of the divisions) 4.5 s.

    Parameters
    ----------
    rows
        Row number, geometry and stated code (or null) of the rows that need it.
    areas
        Layers of divisions; None: all with the role area. A layer that is one itself has no
        place looked up.
    """
    if areas is None:
        areas = load_catalog().with_role(Role.AREA)
    found = tuple(area for area in areas if _levels(area))
    wanted = rows.subquery("wanted")
    points = select(wanted.c[ROW], _inside(wanted.c.geom), wanted.c.stated)
    if layer.role is Role.AREA or not found:
        points = points.limit(0)
    names = [column.name for column in _POINTS.c]
    for made in (_POINTS, PLACES):
        made.create(session.connection, checkfirst=False)
    session.execute(insert(_POINTS).from_select(names, points))
    # Now and not before: to build it costs a fifth of inserting point after point.
    session.execute(text(f"CREATE INDEX ON {_POINTS.name} USING gist (geom)"))
    session.execute(text(f"ANALYZE {_POINTS.name}"))
    if found:
        session.execute(
            insert(PLACES).from_select([ROW, "code", "stated"], _lookup(found, _POINTS))
        )
    session.execute(text(f"DROP TABLE {_POINTS.name}"))
    session.execute(text(f"ANALYZE {PLACES.name}"))


def place_of(session: ReadSession, layer: Layer, shape: ColumnElement[Any]) -> str | None:
    """Return the code of the division that one geometry lies in, by the rules of `find_places`.

    None: in none, or the layer's features are divisions themselves.
    """
    areas = tuple(area for area in load_catalog().with_role(Role.AREA) if _levels(area))
    if layer.role is Role.AREA or not areas:
        return None
    point = select(
        literal(1).label(ROW), _inside(shape).label("geom"), cast(null(), String).label("stated")
    ).cte("riskmap_point")
    found = session.execute(_lookup(areas, point)).first()
    return None if found is None else str(found.code)


def is_mismatch(session: ReadSession, stated: str, code: str) -> bool:
    """Say whether a stated code names another place than a code by position."""
    asked = select(_differ(literal(stated, String), literal(code, String)))
    return bool(session.execute(asked).scalar_one())


def drop(session: WriteSession) -> None:
    """Drop what `find_places` made."""
    session.execute(text(f"DROP TABLE {PLACES.name}"))


def mismatches() -> ColumnElement[bool]:
    """Say whether a row of `PLACES` states another place than its position.

    `370202` and `370202000000` name the district that `370202001000` is a street of: no mismatch.
    """
    return and_(PLACES.c.stated.is_not(None), _differ(PLACES.c.stated, PLACES.c.code))


def count(session: WriteSession) -> tuple[int, int]:
    """Return how many rows get a code by their position, and how many state another place."""
    # The same few codes over and over: each pair is compared once.
    pairs = (
        select(PLACES.c.stated, mismatches().label("mismatch"), func.count().label("n"))
        .group_by(PLACES.c.stated, PLACES.c.code)
        .subquery("pairs")
    )
    rows = func.coalesce(func.sum(pairs.c.n).filter(pairs.c.stated.is_(None)), 0)
    other = func.coalesce(func.sum(pairs.c.n).filter(pairs.c.mismatch), 0)
    filled, mismatched = list(session.execute(select(rows, other)).one())
    return int(filled), int(mismatched)


def notes(session: WriteSession) -> Iterator[Problem]:
    """Yield the rows whose stated code disagrees with their position, in the order of the file."""
    statement = select(PLACES).where(mismatches()).order_by(PLACES.c[ROW])
    # A server cursor: a file may state a wrong code in each of a million rows.
    streamed = {"stream_results": True, "yield_per": 1000}
    for row, code, stated in session.connection.execute(statement, execution_options=streamed):
        values = {"by_position": str(code)}
        yield Problem(row, "ingest.admin.mismatch", ADMIN_CODE, shorten(stated), values)


def _inside(shape: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a point of a shape: a surface has one inside it, its centroid may lie outside."""
    return case((func.GeometryType(shape) == "POINT", shape), else_=func.ST_PointOnSurface(shape))


def _differ(stated: ColumnElement[Any], code: ColumnElement[Any]) -> ColumnElement[bool]:
    stated, code = _significant(stated), _significant(code)
    return and_(~func.starts_with(stated, code), ~func.starts_with(code, stated))


def _significant(code: ColumnElement[Any]) -> ColumnElement[Any]:
    """Cut the zeros that stand for the whole: 370202000000 is 370202, 370200 is 3702."""
    for zeros in (
        "^([0-9]{6})(?:000){1,2}$",
        "^([0-9]{9})000$",
        "^([0-9]{4})00$",
        "^([0-9]{2})00$",
    ):
        code = func.regexp_replace(code, zeros, r"\1")
    return code


def _levels(area: Layer) -> list[str]:
    """Return the levels of an area layer but the grids, the largest first."""
    field = area.field(LEVEL)
    return [str(value.code) for value in field.values if value.code != _GRID] if field else []


def _lookup(areas: Sequence[Layer], points: FromClause) -> Select[Any]:
    """Return the most detailed division, of these the smallest, that holds each point."""
    pieces = union_all(*(_pieces(area, points) for area in areas)).subquery("pieces")
    within = func.ST_Intersects(pieces.c.geom, points.c.geom)
    best = (
        select(points.c[ROW], pieces.c.code, points.c.stated)
        .select_from(pieces.join(points, within))
        .ext(distinct_on(points.c[ROW]))
        .order_by(points.c[ROW], pieces.c.depth.desc(), pieces.c.area, pieces.c.code)
        .subquery("best")
    )
    # Where the row says the same itself, there is nothing to keep.
    return select(best).where(best.c.stated.is_distinct_from(best.c.code)).order_by(best.c[ROW])


def _pieces(area: Layer, points: FromClause) -> Select[Any]:
    stored = METADATA.tables[area.table]
    depth = func.array_position(cast(_levels(area), ARRAY(String)), stored.c[LEVEL])
    near = exists(select(1).where(points.c.geom.op("&&")(stored.c.geom)))
    return select(
        depth.label("depth"),
        func.ST_Area(stored.c.geom, type_=Double).label("area"),
        stored.c.code,
        func.ST_Subdivide(stored.c.geom, _PIECE).label("geom"),
    ).where(depth.is_not(None), func.ST_IsValid(stored.c.geom), near)
