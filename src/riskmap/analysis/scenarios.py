"""What somebody supposes: roads closed or under water, teams elsewhere, another hour.

A scenario is data: it is read from JSON here, and laid over a network in
`riskmap.analysis.changed`. Positions are degrees of WGS 84.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple, TypeVar

import shapely
from shapely import MultiPolygon, Polygon

from riskmap.analysis.response import check_place
from riskmap.analysis.scenario_shapes import MAX_VERTICES, read_polygon, vertices
from riskmap.catalog.registry import Catalog
from riskmap.catalog.spec import Role
from riskmap.crs.datum import Datum, place_in_wgs84
from riskmap.errors import InputError
from riskmap.roads.speeds import DAY_TYPES
from riskmap.units import Bbox, LonLat

MAX_EDGES: Final = 10_000
MAX_POLYGONS: Final = 200
MAX_TEAMS: Final = 1_000
# The deepest sea trench; what is deeper is a slip of the keyboard.
MAX_DEPTH_M: Final = 11_000.0
_MAX_ID: Final = 2**63 - 1
_MAX_TEXT: Final = 200

_T = TypeVar("_T")


class TeamRef(NamedTuple):
    """A team that is stored."""

    layer: str
    id: int


class MovedTeam(NamedTuple):
    """A team that stands somewhere else."""

    team: TeamRef
    place: LonLat


class AddedTeam(NamedTuple):
    """A team that there is not; `fields` are those of its layer that answers tell."""

    layer: str
    place: LonLat
    fields: Mapping[str, Any]


class Flood(NamedTuple):
    """An area under water."""

    shape: Polygon | MultiPolygon
    depth_m: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is supposed; nothing of it: the city as it is.

    Attributes
    ----------
    closed_edges
        Ids of roads that nobody can use, in either direction.
    closed_polygons
        Areas whose roads are closed: all that touch them, bridges and tunnels too.
    flooded_polygons
        Areas under water. Roads that touch them are slowed or blocked as the table
        `flood_speed_factors` says for each profile; bridges stay dry, tunnels do not.
    hour, day_type
        By the city's clock, 0..23, and `workday` or `restday`: speeds of that hour.
    """

    closed_edges: tuple[int, ...] = ()
    closed_polygons: tuple[Polygon | MultiPolygon, ...] = ()
    flooded_polygons: tuple[Flood, ...] = ()
    teams_moved: tuple[MovedTeam, ...] = ()
    teams_added: tuple[AddedTeam, ...] = ()
    teams_removed: tuple[TeamRef, ...] = ()
    teams_off_duty: tuple[TeamRef, ...] = ()
    hour: int | None = None
    day_type: str | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is supposed."""
        return self == Scenario()

    @property
    def when(self) -> tuple[str, int] | None:
        """Kind of day and hour; None: free flow."""
        if self.hour is None or self.day_type is None:
            return None
        return self.day_type, self.hour

    @property
    def changes_teams(self) -> bool:
        """Whether a team stands otherwise than it does."""
        return bool(
            self.teams_moved or self.teams_added or self.teams_removed or self.teams_off_duty
        )

    @property
    def changes_roads(self) -> bool:
        """Whether a road takes another time than it does."""
        return bool(
            self.closed_edges or self.closed_polygons or self.flooded_polygons
        ) or self.hour is not None  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return it as `read_scenario` reads it, without what is empty."""
        found: dict[str, Any] = {
            "closed_edges": list(self.closed_edges),
            "closed_polygons": [_geojson(shape) for shape in self.closed_polygons],
            "flooded_polygons": [
                {"geometry": _geojson(flood.shape), "depth_m": flood.depth_m}
                for flood in self.flooded_polygons
            ],
            "teams_moved": [
                {**one.team._asdict(), **one.place._asdict()} for one in self.teams_moved
            ],
            "teams_added": [
                {"layer": one.layer, **one.place._asdict(), **one.fields}
                for one in self.teams_added
            ],
            "teams_removed": [one._asdict() for one in self.teams_removed],
            "teams_off_duty": [one._asdict() for one in self.teams_off_duty],
            "hour": self.hour,
            "day_type": self.day_type,
        }
        return {name: value for name, value in found.items() if value not in (None, [])}

    @property
    def digest(self) -> str:
        """A name of its content, 12 hexadecimal digits."""
        shapes = [*self.closed_polygons, *(flood.shape for flood in self.flooded_polygons)]
        bare = replace(self, closed_polygons=(), flooded_polygons=())
        depths = [flood.depth_m for flood in self.flooded_polygons]
        text = json.dumps([bare.to_json(), depths], sort_keys=True)
        # Shapes as WKB: writing thousands of vertices as text takes longer than closing roads.
        return hashlib.sha256(text.encode() + b"".join(shapely.to_wkb(shapes))).hexdigest()[:12]


KEYS: Final = tuple(field.name for field in fields(Scenario))


def read_scenario(
    content: Any, catalog: Catalog, box: Bbox, datum: Datum = Datum.WGS84, at: str = "scenario"
) -> Scenario:
    """Read a scenario from decoded JSON.

    Parameters
    ----------
    box
        The city's: teams stand in it, polygons meet it.
    datum
        Of all positions.
    at
        What the caller calls it; errors name the part at fault behind it:
        ``scenario.flooded_polygons[1].depth_m``.

    Raises
    ------
    InputError
        An unknown key, a value that cannot be, too much of something.
    """
    found = _object(content, at, KEYS)
    reader = _Reader(catalog, box, datum)
    areas = [*found.get("closed_polygons", ()), *found.get("flooded_polygons", ())]
    _check_size(areas, at)
    hour = found.get("hour")
    if hour is not None:
        hour = whole(hour, f"{at}.hour", 23)
    day_type = found.get("day_type")
    if day_type is not None and (day_type not in DAY_TYPES or hour is None):
        expected = " / ".join(DAY_TYPES) if hour is not None else "hour"
        raise wrong(f"{at}.day_type", day_type, expected)
    if hour is not None and day_type is None:
        day_type = DAY_TYPES[0]

    def several(name: str, read: Callable[[Any, str], _T], most: int) -> tuple[_T, ...]:
        return _several(found.get(name, []), f"{at}.{name}", read, most)

    scenario = Scenario(
        closed_edges=tuple(
            dict.fromkeys(
                several("closed_edges", lambda one, path: whole(one, path, _MAX_ID), MAX_EDGES)
            )
        ),
        closed_polygons=several("closed_polygons", reader.polygon, MAX_POLYGONS),
        flooded_polygons=several("flooded_polygons", reader.flood, MAX_POLYGONS),
        teams_moved=several("teams_moved", reader.moved, MAX_TEAMS),
        teams_added=several("teams_added", reader.added, MAX_TEAMS),
        teams_removed=several("teams_removed", reader.team, MAX_TEAMS),
        teams_off_duty=several("teams_off_duty", reader.team, MAX_TEAMS),
        hour=hour,
        day_type=day_type,
    )
    _check_once(scenario, at)
    return scenario


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the parts; `path` says where each stands."""

    catalog: Catalog
    box: Bbox
    datum: Datum

    def polygon(self, value: Any, path: str) -> Polygon | MultiPolygon:
        return read_polygon(value, path, self.box, self.datum)

    def flood(self, value: Any, path: str) -> Flood:
        found = _object(value, path, ("geometry", "depth_m"), needed=("geometry", "depth_m"))
        depth = _number(found["depth_m"], f"{path}.depth_m", 0, MAX_DEPTH_M, "m")
        return Flood(self.polygon(found["geometry"], f"{path}.geometry"), depth)

    def team(self, value: Any, path: str) -> TeamRef:
        return self._ref(_object(value, path, ("layer", "id"), needed=("id",)), path)

    def moved(self, value: Any, path: str) -> MovedTeam:
        keys = ("layer", "id", "lon", "lat")
        found = _object(value, path, keys, needed=("id", "lon", "lat"))
        return MovedTeam(self._ref(found, path), self._place(found, path))

    def added(self, value: Any, path: str) -> AddedTeam:
        told = ("name", "kind", "turnout_s", "personnel", "on_duty_personnel")
        needed = ("name", "lon", "lat")
        found = _object(value, path, ("layer", "lon", "lat", *told), needed=needed)
        texts = {name: _text(found[name], f"{path}.{name}") for name in told[:2] if name in found}
        counts: dict[str, float] = {
            name: whole(found[name], f"{path}.{name}", 1_000_000)
            for name in told[3:]
            if name in found
        }
        if "turnout_s" in found:
            counts["turnout_s"] = _number(found["turnout_s"], f"{path}.turnout_s", 0, 3600, "s")
        return AddedTeam(self._layer(found, path), self._place(found, path), texts | counts)

    def _ref(self, found: Mapping[str, Any], path: str) -> TeamRef:
        return TeamRef(self._layer(found, path), whole(found["id"], f"{path}.id", _MAX_ID))

    def _layer(self, found: Mapping[str, Any], path: str) -> str:
        known = [layer.id for layer in self.catalog.with_role(Role.TEAM)]
        layer: str = found.get("layer", known[0])
        if layer not in known:
            raise wrong(f"{path}.layer", layer, ", ".join(known))
        return layer

    def _place(self, found: Mapping[str, Any], path: str) -> LonLat:
        lon = _number(found["lon"], f"{path}.lon", -180, 180, "°")
        lat = _number(found["lat"], f"{path}.lat", -180, 180, "°")
        place = place_in_wgs84(LonLat(lon, lat), self.datum, path)
        check_place(place, self.box, path)
        return place


def wrong(path: str, value: Any, expected: str) -> InputError:
    """Return the error for a value that cannot be."""
    return InputError("parameter.value", parameter=path, value=str(value)[:40], expected=expected)


def whole(value: Any, path: str, most: int) -> int:
    """Read a whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise wrong(path, value, f"0 … {most}")
    return value


def _number(value: Any, path: str, least: float, most: float, unit: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared first of all: an integer may be larger than any float, and NaN is in no range.
    if not number or not least <= value <= most:
        raise wrong(path, value, f"{least:g} … {most:g} {unit}")
    return float(value)


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _MAX_TEXT or "\x00" in value:
        raise wrong(path, value, f"text, 1 … {_MAX_TEXT}")
    return value.strip()


def _object(
    value: Any, path: str, known: Sequence[str], needed: Sequence[str] = ()
) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise wrong(path, value, "{ … }")
    for name in value:
        if name not in known:
            raise InputError(
                "scenario.key", parameter=f"{path}.{str(name)[:40]}", known=", ".join(known)
            )
    for name in needed:
        if name not in value:
            raise InputError("parameter.missing", parameter=f"{path}.{name}")
    return value


def _several(value: Any, path: str, read: Callable[[Any, str], _T], most: int) -> tuple[_T, ...]:
    if not isinstance(value, list | tuple):
        raise wrong(path, value, "[ … ]")
    if len(value) > most:
        raise InputError("scenario.many", parameter=path, count=len(value), most=most)
    return tuple(read(one, f"{path}[{row}]") for row, one in enumerate(value))


def _check_size(areas: Sequence[Any], at: str) -> None:
    """Refuse what would take long before any of it is looked at."""
    count = sum(
        vertices(area["geometry"] if isinstance(area, dict) and "geometry" in area else area)
        for area in areas
    )
    if count > MAX_VERTICES:
        raise InputError("scenario.vertices", parameter=at, count=count, most=MAX_VERTICES)


def _check_once(scenario: Scenario, at: str) -> None:
    """Refuse a team that is told two things at once: which of them holds nobody could say."""
    seen: dict[TeamRef, str] = {}
    for name, teams in (
        ("teams_moved", [one.team for one in scenario.teams_moved]),
        ("teams_removed", scenario.teams_removed),
        ("teams_off_duty", scenario.teams_off_duty),
    ):
        for row, team in enumerate(teams):
            path = f"{at}.{name}[{row}]"
            if team in seen:
                # A team that is moved and off duty is off duty there; removed, it is nowhere.
                raise InputError("scenario.twice", parameter=path, other=seen[team], id=team.id)
            seen[team] = path


def _geojson(shape: Polygon | MultiPolygon) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shapely.to_geojson(shape))
    return found
