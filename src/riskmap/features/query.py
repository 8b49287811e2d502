"""What is asked of a layer: one frozen query, whoever asks and in whatever format."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from riskmap.catalog.spec import Field, Layer
from riskmap.crs.datum import Datum
from riskmap.units import Bbox

MAX_LIMIT: Final = 10_000
DEFAULT_LIMIT: Final = 1_000
# A count past this costs a scan that nobody reads: it is left out instead (OGC allows that,
# and an estimate would be wrong).
COUNT_CAP: Final = 10_000

# A datetime is a date to Python.
Scalar = str | int | float | bool | date | None


@dataclass(frozen=True, slots=True)
class Equals:
    """A field equals one of some values; None among them stands for null (未评估)."""

    field: Field
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureQuery:
    """A question about one layer.

    Parameters
    ----------
    restricted
        Whether the caller may read restricted fields; without that they do not exist for it.
    bbox
        Only what meets this box, which is measured in the query's datum.
    after
        Keyset cursor: only ids above it, in the order of ids.
    datum
        What `bbox` is measured in, and the geometries of the answer.
    """

    layer: Layer
    restricted: bool = False
    bbox: Bbox | None = None
    filters: tuple[Equals, ...] = ()
    limit: int = DEFAULT_LIMIT
    after: int | None = None
    offset: int = 0
    feature_id: int | None = None
    datum: Datum = Datum.WGS84
    fields: tuple[Field, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.layer.visible(restricted=self.restricted)))
