"""What GB 18218 asks the database: its tables, the sources, and who lives around their plants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Double,
    Numeric,
    String,
    and_,
    any_,
    case,
    cast,
    func,
    literal,
    not_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import distinct_on

from riskmap.analysis.gb18218 import TableRow, Tables
from riskmap.catalog.spec import Layer
from riskmap.db.sessions import ReadSession
from riskmap.db.tables import (
    GB18218_CATEGORIES,
    GB18218_CHEMICALS,
)
from riskmap.features.query import FeatureQuery
from riskmap.features.where import conditions, table_for
from riskmap.units import WGS84


@dataclass(frozen=True, slots=True)
class Exposure:
    """Who lives within some metres outward of the boundary that belongs to a feature.

    Attributes
    ----------
    persons
        The sum over the cells, exact to the digits of the cells.
    cells, points
        How many cells count, and how many of them are points, which count whole.
    cell_size_m
        The largest size stated of the points that count or nearly do.
    outline
        Whether the boundary is an enterprise's polygon; else it is the feature's own geometry.
    plant
        Code of the enterprise found, whether it has a polygon or not.
    foreign
        The enterprise comes from another source system than the feature.
    """

    persons: Fraction
    cells: int
    points: int
    cell_size_m: float | None
    outline: bool
    plant: str | None
    foreign: bool


def read_tables(session: ReadSession) -> dict[str, Tables]:
    """Return the tables of GB 18218 by edition."""
    chemicals: dict[str, dict[str, TableRow]] = {}
    categories: dict[str, dict[str, TableRow]] = {}
    for found, table, key in (
        (chemicals, GB18218_CHEMICALS, "cas"),
        (categories, GB18218_CATEGORIES, "symbol"),
    ):
        for row in session.execute(select(table)).mappings():
            found.setdefault(row["edition"], {})[row[key]] = TableRow(
                row["critical_quantity_t"], row["beta"], row["source"], row["verified"]
            )
    return {
        edition: Tables(edition, chemicals.get(edition, {}), categories.get(edition, {}))
        for edition in {*chemicals, *categories}
    }


def read_sources(
    session: ReadSession, query: FeatureQuery, names: Sequence[str], child: str, most: int
) -> list[Mapping[str, Any]]:
    """Read a page of features and one more: id, some fields, the rows of a child.

    Parameters
    ----------
    most
        How many features are in a page.

    Raises
    ------
    KeyError
        A field is not visible to this query: a fault of ours.
    """
    if not query.restricted or {*names} - {field.name for field in query.fields}:
        raise KeyError(f"fields not visible to this query: {names}")
    table = table_for(query.layer)
    statement = (
        select(table.c.id, *(table.c[name] for name in names), table.c[child])
        .where(*conditions(query))
        .order_by(table.c.id)
        .limit(most + 1)
    )
    if query.after is not None:
        statement = statement.where(table.c.id > query.after.feature_id)
    return [dict(row) for row in session.execute(statement).mappings()]


def read_exposure(
    session: ReadSession,
    layer: Layer,
    ids: Sequence[int],
    plants: Sequence[Layer],
    population: Layer,
    *,
    srid: int,
    radius_m: float,
) -> dict[int, Exposure]:
    """Count who lives within a radius outward of each feature's plant, in one statement.

    The boundary is the polygon of the enterprise that `enterprise_code` names, of the feature's
    own source system first since codes are unique only there; without one it is the feature's
    own geometry. Distances are those of the city's local projection. Features of one plant
    share its count.
    """
    site = _sites(layer, ids, plants, srid)
    place = (
        select(site.c.place, site.c.local)
        .ext(distinct_on(site.c.place))
        .order_by(site.c.place)
        .cte("place")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    # 360 corners: such a ring lacks 0.005 % of its area. Points need no ring, they have distances.
    ring = (
        select(
            place.c.place,
            place.c.local,
            func.ST_Difference(func.ST_Buffer(place.c.local, radius_m, 90), place.c.local).label(
                "ring"
            ),
            # Wider than the radius: what stands for coarse cells nearby should be known even where
            # none of them counts.
            func.ST_Transform(
                func.ST_Expand(func.ST_Envelope(place.c.local), 2 * radius_m), WGS84
            ).label("box"),
        )
        .cte("ring")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    counted = _cells_in(ring, population, srid, radius_m)
    inside = counted.c.share > 0
    totals = (
        select(
            counted.c.place,
            func.sum(counted.c.persons * cast(counted.c.share, Numeric)).label("persons"),
            func.count().filter(inside).label("cells"),
            func.count().filter(inside, counted.c.whole).label("points"),
            func.max(counted.c.size_m).label("size_m"),
        )
        .group_by(counted.c.place)
        .subquery("totals")
    )
    rows = session.execute(
        select(site.c.id, site.c.outline, site.c.plant, site.c.foreign_system, totals).join_from(
            site, totals, totals.c.place == site.c.place, isouter=True
        )
    )
    return {
        row.id: Exposure(
            persons=Fraction(row.persons or 0),
            cells=row.cells or 0,
            points=row.points or 0,
            cell_size_m=row.size_m,
            outline=row.outline,
            plant=row.plant,
            foreign=bool(row.foreign_system),
        )
        for row in rows
    }


def _sites(layer: Layer, ids: Sequence[int], plants: Sequence[Layer], srid: int) -> CTE:
    """Return for each feature the place whose surroundings count, in the local projection."""
    table = table_for(layer)
    plant = union_all(
        *(
            select(
                literal(one.id, String).label("layer"),
                *(table_for(one).c[name] for name in ("id", "code", "source_system", "geom")),
            )
            for one in plants
        )
    ).subquery("plant")
    foreign_system = (plant.c.source_system != table.c.source_system).label("foreign_system")
    dimension = func.ST_Dimension(plant.c.geom)
    outline = func.coalesce(dimension == 2, literal(False))
    return (
        select(
            table.c.id,
            outline.label("outline"),
            plant.c.code.label("plant"),
            foreign_system,
            case(
                (outline, plant.c.layer + "/" + cast(plant.c.id, String)),
                else_="/" + cast(table.c.id, String),
            ).label("place"),
            func.ST_MakeValid(
                func.ST_Transform(case((outline, plant.c.geom), else_=table.c.geom), srid)
            ).label("local"),
        )
        .select_from(table.outerjoin(plant, plant.c.code == table.c.enterprise_code))
        .where(table.c.id == any_(literal(list(ids), ARRAY(BigInteger))))
        .ext(distinct_on(table.c.id))
        .order_by(table.c.id, foreign_system, dimension.desc(), plant.c.layer, plant.c.id)
        .cte("site")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )


def _cells_in(ring: CTE, population: Layer, srid: int, radius_m: float) -> CTE:
    """Return for each place the cells near it: persons, which share counts, whether as a whole.

    A cell with an area counts by the share of its area in the ring, as if people lived evenly in
    it. So does the centre of a cell whose size is known: counted whole, the centres of 500 m cells
    all miss a ring of 500 m as often as not, and alpha says that nobody lives there. Any other
    point counts whole when it lies within the radius and outside the boundary.
    """
    cells = table_for(population)
    persons = cells.c[population.people or ""]
    local = func.ST_Transform(cells.c.geom, srid)
    size_m = cells.c.cell_size_m if "cell_size_m" in cells.c else literal(None, Double)
    is_centre = and_(func.ST_Dimension(local) == 0, size_m > 0, size_m < literal(math.inf, Double))
    near = (
        select(
            ring.c.place,
            ring.c.local,
            ring.c.ring,
            cast(persons, Numeric).label("persons"),
            case((is_centre, size_m)).label("size_m"),
            case(
                (is_centre, func.ST_Expand(local, size_m / 2)),
                (func.ST_Dimension(local) == 2, func.ST_MakeValid(local)),
                else_=local,
            ).label("cell"),
        )
        # psql stores infinity and NaN as well; NaN is above every number.
        .join_from(ring, cells, cells.c.geom.op("&&")(ring.c.box))
        .where(persons > 0, persons < literal(math.inf, Double))
        .cte("near")
    )
    whole = func.ST_Area(near.c.cell) == 0
    inside = and_(
        func.ST_DWithin(near.c.cell, near.c.local, radius_m),
        not_(func.ST_Covers(near.c.local, near.c.cell)),
    )
    share = case(
        (whole, case((inside, 1.0), else_=0.0)),
        else_=func.ST_Area(func.ST_Intersection(near.c.cell, near.c.ring))
        / func.nullif(func.ST_Area(near.c.cell), 0),
    )
    return select(
        near.c.place, near.c.persons, near.c.size_m, whole.label("whole"), share.label("share")
    ).cte("counted")
