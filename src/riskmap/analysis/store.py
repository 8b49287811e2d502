"""What the analyses read from the database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    Double,
    Numeric,
    Row,
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
from riskmap.catalog.spec import Layer, Role
from riskmap.db.sessions import ReadSession
from riskmap.db.tables import (
    CITY,
    GB18218_CATEGORIES,
    GB18218_CHEMICALS,
    RESPONSE_PHASES,
    ROAD_PROFILES,
    ROAD_SPEEDS,
    WIND_SECTORS,
)
from riskmap.errors import InputError
from riskmap.features import statements
from riskmap.features.query import FeatureQuery
from riskmap.features.summary import ADMITTING, OCCUPANCY, STATUS
from riskmap.features.where import conditions, table_for
from riskmap.roads.load import revision_columns
from riskmap.units import WGS84

DEFAULT_KIND = "default"
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Phases:
    """The parts of a response that are no travel, seconds, and where the figures come from."""

    kind: str
    profile: str
    call_handling_s: float
    turnout_s: float
    setup_s: float
    source: str

    @property
    def before_travel_s(self) -> float:
        """Seconds from the alarm to the wheels rolling."""
        return self.call_handling_s + self.turnout_s


@dataclass(frozen=True, eq=False)
class LayerRows:
    """The features of a layer at one revision, as arrays of n rows.

    Attributes
    ----------
    ids : int64[n]
    shapes : object[n]
        Shapely geometries in degrees.
    fields
        Values by field name, n each; only public fields are ever in here.
    """

    layer: Layer
    revision: int
    ids: npt.NDArray[np.int64]
    shapes: npt.NDArray[Any]
    fields: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def level(self) -> npt.NDArray[np.int8]:
        """Risk level of each feature, int8[n], 0 for none: 未评估."""
        values = self.fields.get("risk_level", [None] * len(self))
        return np.array([value or 0 for value in values], dtype=np.int8)

    @cached_property
    def people_known(self) -> npt.NDArray[np.bool_]:
        """Whether the layer's field of people holds a number, bool[n]."""
        return np.array([value is not None for value in self.people], dtype=bool)

    @cached_property
    def people_unknown(self) -> npt.NDArray[np.int64]:
        """1 where the layer's field of people holds nothing, int64[n]."""
        return (~self.people_known).astype(np.int64)

    @cached_property
    def micro_people(self) -> npt.NDArray[np.int64]:
        """Millionths of people at each feature, int64[n], 0 where that is not known.

        Gridded cells hold fractions. Whole numbers add up to the same whatever the order, so
        that a band and a minute of the same length tell the same people.
        """
        values = np.array([value or 0.0 for value in self.people], dtype=np.float64)
        return np.rint(values * MICRO).astype(np.int64)

    @cached_property
    def free_places(self) -> npt.NDArray[np.int64]:
        """Free places of each shelter, int64[n]: 0 where it is shut, full or its size unknown."""
        status = self.fields.get(STATUS[Role.SHELTER], [None] * len(self))
        occupied = self.fields.get(OCCUPANCY, [None] * len(self))
        return np.array(
            [
                max(0, capacity - (there or 0)) if capacity and state in ADMITTING else 0
                for capacity, there, state in zip(self.people, occupied, status, strict=True)
            ],
            dtype=np.int64,
        )

    @property
    def people(self) -> list[Any]:
        """The values of the layer's field of people, n of them, None where not known."""
        return self.fields.get(self.layer.people or "", [None] * len(self))


def layer_revisions(session: ReadSession, layers: Iterable[Layer]) -> dict[str, int]:
    """Return the last revision of each layer that has one."""
    return {row.layer: row.revision for row in session.execute(statements.revisions(layers))}


def read_revision(session: ReadSession, layer: Layer) -> int:
    """Return the last revision of a layer, 0 before its first."""
    return layer_revisions(session, [layer]).get(layer.id, 0)


def read_layer(
    session: ReadSession,
    layer: Layer,
    revision: int,
    names: Sequence[str],
    query: FeatureQuery | None = None,
) -> LayerRows:
    """Read the features of a layer that are in force: shape, id and some public fields.

    A query about the layer says which of them; none: all.
    """
    return read_rows(session, query or FeatureQuery(layer=layer), names, revision)


def read_rows(
    session: ReadSession, query: FeatureQuery, names: Sequence[str], revision: int = 0
) -> LayerRows:
    """Read the features that a query matches: shape, id and some public fields."""
    rows = session.execute(statements.geometries(query, tuple(names))).all()
    return LayerRows(
        layer=query.layer,
        revision=revision,
        ids=np.array([row.id for row in rows], dtype=np.int64),
        shapes=shapely.from_wkb([row.wkb for row in rows]),
        fields={name: [getattr(row, name) for row in rows] for name in names},
    )


def read_now(session: ReadSession, layers: Iterable[Layer]) -> Row[Any]:
    """Return one row with all that an analysis asks for first.

    Its columns: `city` (a row of its table, or None), `phases` (rows of theirs), `speed_sources`
    (profile -> sources, every profile), `layer_revisions` (layer -> last revision), and those of
    `riskmap.roads.load.revision_columns`. One statement: on a circle of 15 ms every journey to the
    server shows.
    """
    phases = select(RESPONSE_PHASES).subquery()
    sources = (
        select(
            ROAD_PROFILES.c.profile,
            func.array_remove(
                func.array_agg(ROAD_SPEEDS.c.source.distinct()),
                None,
            ).label("sources"),
        )
        .select_from(
            ROAD_PROFILES.outerjoin(ROAD_SPEEDS, ROAD_SPEEDS.c.profile == ROAD_PROFILES.c.profile)
        )
        .group_by(ROAD_PROFILES.c.profile)
        .subquery()
    )
    city, moved = select(CITY).limit(1).subquery(), statements.revisions(layers).subquery()
    return session.execute(
        select(
            select(func.row_to_json(city.table_valued())).scalar_subquery().label("city"),
            select(func.json_agg(func.row_to_json(phases.table_valued())))
            .scalar_subquery()
            .label("phases"),
            select(func.json_object_agg(sources.c.profile, func.to_json(sources.c.sources)))
            .scalar_subquery()
            .label("speed_sources"),
            select(func.json_object_agg(moved.c.layer, moved.c.revision))
            .scalar_subquery()
            .label("layer_revisions"),
            *revision_columns(),
        )
    ).one()


def phases_by_kind(rows: Iterable[Mapping[str, Any]]) -> dict[str, Phases]:
    """Return the phases of `read_now` by kind of team."""
    names = [field.name for field in fields(Phases)]
    return {row["kind"]: Phases(**{name: row[name] for name in names}) for row in rows}


def _phases(row: Row[Any]) -> Phases:
    return Phases(
        row.kind, row.profile, row.call_handling_s, row.turnout_s, row.setup_s, row.source
    )


def read_phases(session: ReadSession) -> dict[str, Phases]:
    """Return the phases of every kind that has some; `default` serves the others."""
    return {row.kind: _phases(row) for row in session.execute(select(RESPONSE_PHASES))}


def phases_of(known: Mapping[str, Phases], kind: str | None) -> Phases:
    """Return the phases of a kind of team, or the default ones for a kind without its own.

    Raises
    ------
    InputError
        The table lacks even the default row.
    """
    found = known.get(kind or DEFAULT_KIND) or known.get(DEFAULT_KIND)
    if found is None:
        raise InputError("response.no_phases", parameter="kind")
    return found


def read_wind_sector(session: ReadSession, speed_mps: float | None) -> tuple[float, str] | None:
    """Return the half width of the downwind sector for a wind speed, degrees, and its source.

    That of the strongest wind where no speed is known; None where the table has no row for it.
    """
    table = WIND_SECTORS.c
    statement = select(table.half_width_deg, table.source).order_by(table.wind_speed_mps.desc())
    if speed_mps is not None:
        statement = statement.where(table.wind_speed_mps <= speed_mps)
    row = session.execute(statement.limit(1)).first()
    return None if row is None else (row.half_width_deg, row.source)


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


def is_filled(session: ReadSession, layer: Layer) -> bool:
    """Say whether a layer holds anything."""
    return bool(session.execute(statements.filled([layer])).scalar_one())


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
