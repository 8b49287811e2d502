"""The coverage of layers feature by feature: as GeoJSON, as CSV, as rows of a stored run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import orjson
import shapely

from riskmap.analysis.coverage_layers import Covered, Found
from riskmap.analysis.coverage_told import line_ms
from riskmap.crs.datum import Datum
from riskmap.units import MS_PER_S, UNREACHED

#: The columns of a table, in order; seconds are after the alarm, null is not reached.
COLUMNS: Final = (
    *("layer", "id", "code", "name", "name_en", "risk_level", "people", "admin_code"),
    *("lon", "lat", "covered", "teams_in_time", "reason"),
    *(
        f"{rank}_{what}"
        for rank in ("first", "second", "third")
        for what in ("s", "team_layer", "team_id", "team_name")
    ),
    *("line_m", "line_s", "line_team_id"),
)
_RANKS: Final = ("first", "second", "third")
_NAMES: Final = ("code", "name", "name_en", "admin_code")
_CHUNK: Final = 500
_DECIMALS: Final = 7


def rows_of(found: Found, first: int = 0, count: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield what is known of each feature, by layer and id; some of all, counted from `first`."""
    left = sum(len(one.rows) for one in found.layers) if count is None else count
    for one in found.layers:
        size = len(one.rows)
        if first >= size:
            first -= size
            continue
        late = line_ms(found, one)
        order = np.argsort(one.rows.ids, kind="stable")[first : first + left].tolist()
        first, left = 0, left - len(order)
        for row in order:
            yield _row(found, one, row, int(late[row]))
        if not left:
            return


def count_of(found: Found) -> int:
    """Return how many features there are."""
    return sum(len(one.rows) for one in found.layers)


def _row(found: Found, one: Covered, row: int, line: int) -> dict[str, Any]:
    rows, best, lines = one.rows, one.nearest, one.lines
    place = rows.shapes[row].representative_point()
    people = rows.people[row]
    told: dict[str, Any] = {
        "layer": rows.layer.id,
        "id": int(rows.ids[row]),
        **{name: rows.fields[name][row] if name in rows.fields else None for name in _NAMES},
        "risk_level": int(rows.level[row]) or None,
        "people": None if people is None else float(people),
        "lon": round(place.x, _DECIMALS),
        "lat": round(place.y, _DECIMALS),
        "covered": bool(one.covered[row]),
        "teams_in_time": int(best.within[row]),
        "reason": _reason(found, one, row),
    }
    for rank, name in enumerate(_RANKS):
        ms, team = int(best.ms[row, rank]), found.teams.named(int(best.team[row, rank]))
        told |= {
            f"{name}_s": None if ms == UNREACHED else ms / MS_PER_S,
            f"{name}_team_layer": team and team["layer"],
            f"{name}_team_id": team and team["id"],
            f"{name}_team_name": team and team["name"],
        }
    near = None if lines is None else found.teams.named(int(lines.team[row]))
    return told | {
        "line_m": None if near is None or lines is None else round(float(lines.metres[row]), 1),
        "line_s": None if near is None else line / MS_PER_S,
        "line_team_id": near and near["id"],
        "shape": rows.shapes[row],
    }


def _reason(found: Found, one: Covered, row: int) -> str | None:
    """Say why a feature is not covered; None: it is."""
    if one.covered[row]:
        return None
    if one.far[row]:
        return "no_road"
    if not found.counts.any():
        return "no_team"
    return "out_of_reach" if one.ms[row] == UNREACHED else "late"


def feature(row: Mapping[str, Any], datum: Datum) -> bytes:
    """Write a row as a GeoJSON feature; its shape is moved to the datum, and so is its place."""
    told = dict(row)
    shape = told.pop("shape")
    if datum is not Datum.WGS84:
        shape = shapely.transform(shape, datum.from_wgs84)
        told["lon"], told["lat"] = _place(told, datum)
    geometry = orjson.Fragment(shapely.to_geojson(shape))
    return orjson.dumps({"type": "Feature", "geometry": geometry, "properties": told})


def _place(row: Mapping[str, Any], datum: Datum) -> list[float]:
    moved: list[float] = datum.from_wgs84(np.array([[row["lon"], row["lat"]]]))[0].tolist()
    return [round(value, _DECIMALS) for value in moved]


def geojson(
    rows: Iterable[Mapping[str, Any]], head: Mapping[str, Any], datum: Datum
) -> Iterator[bytes]:
    """Yield a feature collection piece by piece; what is said of it as a whole comes first."""
    start = orjson.dumps({"type": "FeatureCollection", **head})
    yield start[:-1] + b',"features":['
    before = b""
    for row in rows:
        yield before + feature(row, datum)
        before = b","
    yield b"]}"


def table(
    rows: Iterable[Mapping[str, Any]], datum: Datum, *, mark: bool = False
) -> Iterator[bytes]:
    """Yield CSV (RFC 4180) piece by piece; with a byte order mark where Excel will read it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    yield b"\xef\xbb\xbf" if mark else b""
    for number, row in enumerate(rows, 1):
        moved = dict(row)
        if datum is not Datum.WGS84:
            moved["lon"], moved["lat"] = _place(row, datum)
        writer.writerow(moved)
        if not number % _CHUNK:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    found = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return found
