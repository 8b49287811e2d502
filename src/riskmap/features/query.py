"""What is asked of a layer: one frozen query, whoever asks and in whatever format."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from shapely.geometry.base import BaseGeometry

from riskmap.catalog.spec import Child, Field, Kind, Layer
from riskmap.crs.datum import Datum
from riskmap.crs.served import CRS84, ServedCrs
from riskmap.features.cql2 import Filter
from riskmap.units import Bbox

MAX_LIMIT: Final = 10_000
DEFAULT_LIMIT: Final = 1_000
# A count past this costs a scan that nobody reads: it is left out instead (OGC allows that,
# and an estimate would be wrong).
COUNT_CAP: Final = 10_000

# A datetime is a date to Python.
Scalar = str | int | float | bool | date | None

# The id is no field of a layer, yet one may sort by it.
ID: Final = Field(name="id", zh="主键", en="Id", kind=Kind.INTEGER, managed=True)


@dataclass(frozen=True, slots=True)
class Equals:
    """A field equals one of some values; None among them stands for null (未评估)."""

    field: Field
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A time from `start` to `end`, both inclusive; None: open. An instant has both the same."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Order:
    """One key of a sort order. Nulls come last in both directions: not assessed is not least."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Keyset:
    """Where a page starts: beside the row with these values of the sort keys and this id.

    Parameters
    ----------
    values
        One for each key of the order before the id; None: the row has null there.
    backward
        The page ends before the row, instead of starting after it.
    """

    values: tuple[Scalar, ...]
    feature_id: int
    backward: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureQuery:
    """A question about one layer.

    Parameters
    ----------
    restricted
        Whether the caller may read restricted fields; without that they do not exist for it.
    bbox
        Only what meets this box, which is measured in the query's datum.
    area
        Only what meets this shape, WGS 84 with the longitude first.
    time
        Only what is valid at some moment of it.
    filters
        Property filters (`risk_level=1,null`): all must hold.
    condition
        A CQL2 filter, checked against the layer's visible fields.
    words
        Full-text search: all of its words must be in the feature's texts.
    limit
        None: all of them.
    after
        Where the page starts; None: at the first.
    order
        Keys of the sort order; the id decides among equals and is the order when there is none.
    chosen
        Names of the fields and children in the answer; None: all that the caller may see.
    geometry
        Whether the answer has geometries.
    tolerance_m
        How far a simplified geometry may lie from the stored one; 0: as stored.
    datum
        What `bbox` is measured in, and the geometries of the answer.
    crs
        The coordinate system of the answer's geometries; any but CRS84 only with WGS 84.
    """

    layer: Layer
    restricted: bool = False
    bbox: Bbox | None = None
    area: BaseGeometry | None = None
    time: Interval | None = None
    filters: tuple[Equals, ...] = ()
    condition: Filter | None = None
    words: str | None = None
    limit: int | None = DEFAULT_LIMIT
    after: Keyset | None = None
    offset: int = 0
    order: tuple[Order, ...] = ()
    feature_id: int | None = None
    chosen: frozenset[str] | None = None
    geometry: bool = True
    tolerance_m: float = 0.0
    datum: Datum = Datum.WGS84
    crs: ServedCrs = CRS84
    fields: tuple[Field, ...] = field(init=False)
    children: tuple[Child, ...] = field(init=False)

    def __post_init__(self) -> None:
        def kept(name: str) -> bool:
            return self.chosen is None or name in self.chosen

        visible = self.layer.visible(restricted=self.restricted)
        children = self.layer.children
        object.__setattr__(self, "fields", tuple(one for one in visible if kept(one.name)))
        object.__setattr__(self, "children", tuple(one for one in children if kept(one.name)))

    @property
    def narrowed(self) -> bool:
        """Whether it asks for less than the whole layer."""
        parts = (self.bbox, self.area, self.time, self.condition, self.words, self.feature_id)
        return bool(self.filters) or any(part is not None for part in parts)
