"""Positions from one coordinate system to another, so that nobody pastes snippets of formulas.

A plain function: FastAPI runs it in a thread.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from riskmap.api.deps import parameters
from riskmap.crs.geojson import read_positions, write_positions
from riskmap.crs.input import InputCrs, check_datum, read_crs
from riskmap.errors import InputError
from riskmap.ingest.report import shorten

router = APIRouter(tags=["coordinates"])

PATH: Final = "/convert"
MAX_POSITIONS: Final = 10_000
# As many positions of two numbers with all their digits (18 characters each) and a comma, a blank
# and brackets between them are 430 kB.
MAX_BODY_BYTES: Final = 512 * 1024
# What an import must not guess has one meaning here: longitude and latitude of WGS 84.
_WGS84: Final = frozenset({"WGS84", "WGS-84", "CRS84"})


# The numbers' kind is checked below, as with positions: of a list that is too long nothing else is
# said, of one whose items are no numbers not an error for each.
_Shift = Annotated[
    list[Any],
    Field(max_length=7),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "number"},
            "maxItems": 7,
        }
    ),
]


class ConvertBody(BaseModel):
    """Positions or GeoJSON, and the two systems."""

    model_config = ConfigDict(extra="forbid")

    from_: str = Field(alias="from", description="EPSG:n, GCJ02, BD09, WGS84")
    to: str = Field(description="EPSG:n, GCJ02, BD09, WGS84")
    # Their shape is checked below: an error for each of 100,000 would be the caller's to make.
    positions: list[Any] | None = Field(default=None, description="[[x, y], …]")
    geojson: dict[str, Any] | None = None
    axes: str = Field(default="en", description="of what is sent: en (x first) or ne (y first)")
    to_axes: str = Field(default="en", description="of the answer")
    datum_shift: _Shift = Field(default=[], description="+towgs84 of `from`")
    to_datum_shift: _Shift = Field(default=[], description="+towgs84 of `to`")


def _system(text: str, parameter: str, axes: str, shift: list[Any], *, prefix: str) -> InputCrs:
    """Read one of the two systems; `prefix` begins the names of its other members."""
    named = "EPSG:4326" if text.strip().upper() in _WGS84 else text
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in shift):
        raise InputError("crs.shift", parameter=f"{prefix}datum_shift", value=shorten(shift))
    try:
        return read_crs(named, parameter=parameter, axes=axes, datum_shift=shift)
    except OverflowError:  # an integer of more digits than a double holds
        raise InputError("crs.shift", parameter=f"{prefix}datum_shift", value="1e309") from None
    except InputError as error:
        if error.parameter == parameter:
            raise
        named = f"{prefix}{error.parameter}"
        raise InputError(error.key, parameter=named, **error.values) from None


@router.post(PATH, summary="坐标转换 Convert positions", response_model=None)
def convert(body: ConvertBody, request: Request) -> Response:
    """Convert at most 10,000 positions, or a GeoJSON object of as many."""
    parameters(request, set())
    source = _system(body.from_, "from", body.axes, body.datum_shift, prefix="")
    target = _system(body.to, "to", body.to_axes, body.to_datum_shift, prefix="to_")
    if (body.positions is None) == (body.geojson is None):
        raise InputError("convert.missing", parameter="positions,geojson")
    found: dict[str, Any] = {"from": source.name, "to": target.name}
    if body.positions is not None:
        _check_positions(body.positions)
        xy = _moved(body.positions, source, target, "positions")
        found["positions"] = np.round(xy, target.decimals).tolist()
    elif body.geojson is not None:
        check_datum(body.geojson.get("datum"), source, parameter="from")
        xy = _moved(read_positions(body.geojson), source, target, "geojson")
        moved = write_positions(body.geojson, xy, target.decimals)
        if target.datum != "wgs84":
            moved = {"type": moved.pop("type"), "datum": target.datum, **moved}
        found["geojson"] = moved
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(found), media_type="application/json", headers=headers)


def _check_positions(positions: list[Any]) -> None:
    """Check number and shape, up to the first fault."""
    _check_count(len(positions), "positions")
    for row, position in enumerate(positions):
        if (
            not isinstance(position, list)
            or len(position) != 2
            or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in position)
        ):
            raise InputError(
                "convert.shape", parameter=f"positions[{row}]", value=shorten(position)
            )


def _check_count(count: int, parameter: str) -> None:
    if count > MAX_POSITIONS:
        raise InputError(
            "convert.most",
            parameter=parameter,
            value=count,
            most=MAX_POSITIONS,
            limit=MAX_BODY_BYTES // 1024,
        )


def _moved(
    positions: list[Any], source: InputCrs, target: InputCrs, parameter: str
) -> NDArray[np.float64]:
    """Convert positions.

    Raises
    ------
    InputError
        They are too many, or one of them is not finite or outside a system's range.
    """
    _check_count(len(positions), parameter)
    try:
        xy = np.array([position[:2] for position in positions], dtype=np.float64).reshape(-1, 2)
    except OverflowError:
        raise InputError("convert.geojson", parameter=parameter) from None
    moved = np.full_like(xy, np.inf)
    finite = np.flatnonzero(np.isfinite(xy).all(axis=1))
    lonlat = source.to_wgs84(xy[finite])
    # Otherwise they are metres under the wrong name.
    on_earth = (np.abs(lonlat) <= [180.0, 90.0]).all(axis=1)
    moved[finite[on_earth]] = target.from_wgs84(lonlat[on_earth])
    bad = np.flatnonzero(~np.isfinite(moved).all(axis=1))
    if len(bad):
        row = int(bad[0])
        x, y = (f"{number:.10g}" for number in xy[row])
        raise InputError(
            "convert.position",
            parameter=f"{parameter}[{row}]",
            x=x,
            y=y,
            source=source.name,
            target=target.name,
        )
    return moved
