"""Which features lie near a place, and how many people: read, measured and counted by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from riskmap.analysis.fields import fields_of
from riskmap.analysis.plane import Floats, Plane
from riskmap.analysis.response import count_levels, people_in
from riskmap.analysis.store import LayerRows, is_filled, read_rows
from riskmap.catalog.spec import Layer, Role
from riskmap.crs.boxes import rectangle
from riskmap.db.sessions import ReadSession
from riskmap.features.query import FeatureQuery
from riskmap.features.summary import STATUS, public
from riskmap.units import UNREACHED, Bbox

CELL_SIZE: Final = "cell_size_m"
SUITABLE: Final = "suitable_hazards"
# Cells whose centre lies beyond the radius still count by the share of their area in it.
_CELL_MARGIN_M: Final = 5_000.0
_LISTED: Final = ("code", "name", "name_en", SUITABLE)


@dataclass(frozen=True, eq=False)
class Near:
    """The n features of a layer that may lie near a place, in the order of their ids.

    Attributes
    ----------
    shapes : object[n]
        In metres of the plane.
    distance_m, bearing_deg : float64[n]
        See `Plane.nearest`.
    arrival_ms : int64[n]
        Network time from the place, `UNREACHED` past the limit or where none was asked for.
    """

    rows: LayerRows
    shapes: npt.NDArray[np.object_]
    distance_m: Floats
    bearing_deg: Floats
    arrival_ms: npt.NDArray[np.int64]

    @property
    def layer(self) -> Layer:
        """Their layer."""
        return self.rows.layer

    def order(self, inside: npt.NDArray[np.bool_]) -> list[int]:
        """Return the rows of some of them, the nearest first, of equal ones the lower id."""
        rows = np.flatnonzero(inside)
        return [int(row) for row in rows[np.argsort(self.distance_m[rows], kind="stable")]]

    def told(self, row: int) -> dict[str, Any]:
        """Return what an answer says of one feature."""
        fields = {name: values[row] for name, values in self.rows.fields.items()}
        bearing = float(self.bearing_deg[row])
        middle = self.rows.shapes[row].representative_point()
        ms = int(self.arrival_ms[row])
        found: dict[str, Any] = {
            "id": int(self.rows.ids[row]),
            **fields,
            "lon": round(middle.x, 7),
            "lat": round(middle.y, 7),
            "distance_m": round(float(self.distance_m[row]), 1),
            "bearing_deg": None if np.isnan(bearing) else round(bearing, 1) % 360,
            "travel_s": None if ms == UNREACHED else ms / 1000,
        }
        if self.layer.role is Role.SHELTER:
            found["free"] = int(self.rows.free_places[row])
        return found


def listed_fields(layer: Layer) -> list[str]:
    """Return the public fields that an answer tells of each feature."""
    names = [*_LISTED, *fields_of(layer), STATUS.get(layer.role)]
    return [name for name in dict.fromkeys(names) if name and public(layer, name)]


def read_near(
    session: ReadSession, layer: Layer, plane: Plane, box: Bbox, arrivals: dict[int, int]
) -> Near:
    """Read the features that meet a box, and measure how far they are."""
    query = FeatureQuery(layer=layer, area=rectangle(*box))
    rows = read_rows(session, query, listed_fields(layer))
    shapes = plane.flat(rows.shapes)
    distance, bearing = plane.nearest(shapes)
    ms = np.array([arrivals.get(int(one), UNREACHED) for one in rows.ids], dtype=np.int64)
    return Near(rows, shapes, distance, bearing, ms)


def empty_layers(session: ReadSession, layers: list[Layer]) -> list[str]:
    """Return the ids of the layers that hold nothing at all."""
    return [layer.id for layer in layers if not is_filled(session, layer)]


def count_near(rows: LayerRows, inside: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Count some features: by risk level where they have one, people and free places summed.

    A null level is 未评估 and has a count of its own, never that of low.
    """
    found: dict[str, Any] = {"count": int(inside.sum())}
    if rows.layer.assessed:
        found["by_risk_level"] = count_levels(rows.level[inside])
    if rows.layer.people is not None and rows.layer.people in rows.fields:
        found["people"] = people_in(rows, inside)
        # A sum over features of which some say nothing is a least number: say how many.
        found["people_unknown"] = int((inside & ~rows.people_known).sum())
    if rows.layer.role is Role.SHELTER:
        found["free"] = int(rows.free_places[inside].sum())
    return found


@dataclass(frozen=True, eq=False)
class People:
    """The cells of the population layer near a place.

    Attributes
    ----------
    persons : float64[n]
    cells : object[n]
        In metres of the plane: areas, squares about centres of a known size, or points.
    """

    persons: Floats
    cells: npt.NDArray[np.object_]

    def inside(self, area: BaseGeometry) -> int:
        """Return how many people live in an area of the plane.

        A cell with an area counts by the share of it that lies inside, as if people lived evenly
        in it; so does the centre of a cell whose size is known. Any other point counts whole.
        """
        if not len(self.persons) or area.is_empty:
            return 0
        shapely.prepare(area)
        met = np.flatnonzero(shapely.intersects(area, self.cells))
        cells = self.cells[met]
        share = np.ones(len(met))
        cut = np.flatnonzero(~shapely.covers(area, cells))
        whole = shapely.area(cells[cut])
        part = shapely.area(shapely.intersection(cells[cut], area))
        # A line or point has no area to share out: it counts where it touches.
        share[cut] = np.where(whole > 0, part / np.where(whole > 0, whole, 1), 1.0)
        return round(float((self.persons[met] * share).sum()))


def read_people(session: ReadSession, layer: Layer, plane: Plane, radius_m: float) -> People:
    """Read the cells that may lie within a radius of a place."""
    names = [name for name in (layer.people, CELL_SIZE) if name is not None and public(layer, name)]
    box = plane.box(radius_m + min(radius_m, _CELL_MARGIN_M))
    rows = read_rows(session, FeatureQuery(layer=layer, area=rectangle(*box)), names)
    # psql stores infinity and NaN as well.
    persons = np.array([one or 0.0 for one in rows.people], dtype=np.float64)
    persons = np.where(np.isfinite(persons) & (persons > 0), persons, 0.0)
    shapes = plane.flat(rows.shapes)
    dimension = shapely.get_dimensions(shapes)
    area = dimension == 2
    shapes[area] = shapely.make_valid(shapes[area])
    size = np.array(
        [one or 0.0 for one in rows.fields.get(CELL_SIZE, [None] * len(rows))], dtype=np.float64
    )
    centre = (shapely.get_type_id(shapes) == shapely.GeometryType.POINT) & np.isfinite(size)
    centre &= size > 0
    x, y = shapely.get_x(shapes[centre]), shapely.get_y(shapes[centre])
    half = size[centre] / 2
    shapes[centre] = shapely.box(x - half, y - half, x + half, y + half)
    return People(persons, shapes)
